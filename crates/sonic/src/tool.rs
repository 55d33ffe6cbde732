//! The JSON of tool calls: arguments in, results out (`nova-sonic.md` §2.4, §3.2).
//!
//! Not here: which calls are open; the session keeps that list.

use serde_json::{Value, json};

/// The arguments of a call. They come as JSON text, sometimes as JSON text of JSON text; text that
/// is no JSON is handed on as a string, so that the tool's own check can complain about it.
pub fn decode_input(raw: &str) -> Value {
    if raw.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str(raw) {
        Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
            _ => Value::String(inner),
        },
        Ok(value) => value,
        Err(_) => Value::String(raw.to_owned()),
    }
}

/// The text of a result. The service demands text that parses as JSON, and a bare word kills the
/// session, so whatever is not an object is wrapped as `{"result": …}`.
pub fn encode_result(result: &Value) -> String {
    if result.is_object() { result.to_string() } else { json!({ "result": result }).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_decoded_once_or_twice() {
        let rome = json!({ "city": "Rome" });
        assert_eq!(decode_input(r#"{"city":"Rome"}"#), rome);
        assert_eq!(decode_input(r#""{\"city\":\"Rome\"}""#), rome);
        assert_eq!(decode_input("{}"), json!({}));
        assert_eq!(decode_input("  "), json!({}));
        assert_eq!(decode_input("city=Rome"), json!("city=Rome"));
        assert_eq!(decode_input(r#""Rome""#), json!("Rome"));
    }

    #[test]
    fn a_result_is_always_an_object() {
        assert_eq!(encode_result(&json!({ "temp": 21 })), r#"{"temp":21}"#);
        assert_eq!(encode_result(&json!("CANCELLED")), r#"{"result":"CANCELLED"}"#);
        assert_eq!(encode_result(&Value::Null), r#"{"result":null}"#);
    }
}
