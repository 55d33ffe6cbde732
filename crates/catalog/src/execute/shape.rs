//! The shape of a result: always a JSON object, never longer than its file allows.
//!
//! Pure. A result that is too long is made smaller as JSON (shorter texts, shorter lists), so
//! that what is left can be read, and says that something is missing.

use serde_json::{Map, Value, json};

/// The key that says that something was cut.
const MARKER: &str = "_truncated";

/// Longest text of a failure, in characters.
const MAX_FAILURE_CHARS: usize = 1000;

/// The part of an answer that a file asks for; a text that holds an object or a list is decoded.
#[cfg_attr(not(feature = "clients"), expect(dead_code, reason = "only clients get answers"))]
pub(super) fn select(answer: Value, pointer: Option<&str>) -> Option<Value> {
    let found = match pointer {
        None | Some("") => answer,
        Some(pointer) => answer.pointer(pointer)?.clone(),
    };
    Some(decode(found))
}

/// Back ends like to put JSON into JSON as a text.
pub(super) fn decode(value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    match serde_json::from_str(text) {
        Ok(decoded @ (Value::Object(_) | Value::Array(_))) => decoded,
        _ => value,
    }
}

/// An object as it is; anything else under `result`.
pub(super) fn to_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => Map::from_iter([("result".to_owned(), other)]),
    }
}

/// The result within `max_bytes` of JSON text, with a marker if it was longer.
pub(super) fn cut(result: Map<String, Value>, max_bytes: usize) -> Value {
    let whole = Value::Object(result);
    let length = whole.to_string().len();
    if length <= max_bytes {
        return whole;
    }
    let marker = format!("The result had {length} bytes and was shortened. Ask for less.");
    // Halving what is kept of every text and list treats all fields alike and ends soon.
    let (mut chars, mut items) = (max_bytes, 1024);
    while chars > 4 {
        let mut smaller = shrink(&whole, chars, items, 8);
        if let Value::Object(object) = &mut smaller {
            object.insert(MARKER.to_owned(), json!(marker));
        }
        if smaller.to_string().len() <= max_bytes {
            return smaller;
        }
        chars /= 2;
        items = (items * 2 / 3).max(1);
    }
    json!({ MARKER: marker })
}

/// A failure's text within what a model needs of it; an MCP server may write a whole page.
pub(super) fn shorten(message: String) -> String {
    match message.char_indices().nth(MAX_FAILURE_CHARS) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

fn shrink(value: &Value, chars: usize, items: usize, depth: usize) -> Value {
    match value {
        Value::String(text) => match text.char_indices().nth(chars) {
            Some((end, _)) => Value::String(format!("{}…", &text[..end])),
            None => value.clone(),
        },
        Value::Array(_) | Value::Object(_) if depth == 0 => json!("…"),
        Value::Array(list) => {
            list.iter().take(items).map(|item| shrink(item, chars, items, depth - 1)).collect()
        }
        Value::Object(object) => object
            .iter()
            .take(items.max(2))
            .map(|(key, item)| (key.clone(), shrink(item, chars, items, depth - 1)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_list_keeps_its_beginning_and_says_so() {
        let rows: Vec<Value> = (0..500).map(|id| json!({"id": id, "text": "some words"})).collect();
        let cut = cut(to_object(json!({"name": "short", "rows": rows})), 2048);
        assert!(cut.to_string().len() <= 2048);
        assert_eq!(cut["name"], "short");
        assert_eq!(cut["rows"][3]["id"], 3);
        assert!(cut[MARKER].as_str().unwrap().starts_with("The result had "));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let cut = cut(to_object(json!("ä".repeat(9000))), 1024);
        assert!(cut.to_string().len() <= 1024);
        assert!(cut["result"].as_str().unwrap().ends_with("ä…"));
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(cut(to_object(json!([1, 2])), 256), json!({"result": [1, 2]}));
        assert_eq!(select(json!({"body": "{\"a\":1}"}), Some("/body")), Some(json!({"a": 1})));
        assert_eq!(select(json!({"body": "12"}), Some("/body")), Some(json!("12")));
        assert_eq!(select(json!({}), Some("/body")), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,400}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 200, 12, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
                prop::collection::hash_map(".{0,90}", inner, 0..12)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn nothing_is_ever_longer_than_allowed(value in any_json(), max in 256_usize..9000) {
            let cut = cut(to_object(value), max);
            prop_assert!(cut.is_object());
            prop_assert!(cut.to_string().len() <= max);
        }
    }
}
