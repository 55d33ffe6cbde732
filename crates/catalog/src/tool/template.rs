//! `{argument}` in texts: finding the templates and filling them in.
//!
//! Pure. Used for the answers of `static` tables and for what the other kinds send out. What
//! comes out of an argument is never looked at for templates again.

use serde_json::{Map, Value};

/// A value in words; a text stays without its quotes.
pub(crate) fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Fills the templates of a value. A text that is one template only takes the argument as it is,
/// number or list; inside a longer text it becomes words.
pub(crate) fn fill(value: &mut Value, arguments: &Map<String, Value>) {
    match value {
        Value::String(text) => {
            *value = match templates(text).as_slice() {
                [(0, end, name)] if *end == text.len() => {
                    arguments.get(*name).cloned().unwrap_or(Value::Null)
                }
                _ => Value::String(fill_text(text, arguments)),
            };
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, arguments)),
        Value::Object(object) => object.values_mut().for_each(|item| fill(item, arguments)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text with its templates filled in; a missing argument becomes nothing.
pub(crate) fn fill_text(text: &str, arguments: &Map<String, Value>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end, name) in templates(text) {
        filled.push_str(&text[done..start]);
        filled.push_str(&arguments.get(name).map(as_text).unwrap_or_default());
        done = end;
    }
    filled.push_str(&text[done..]);
    filled
}

/// Every `{name}` of a text: where it starts, where it ends, what it names. Braces around
/// anything else are plain text.
pub(crate) fn templates(text: &str) -> Vec<(usize, usize, &str)> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    text.match_indices('{')
        .filter_map(|(start, _)| {
            let rest = &text[start + 1..];
            let name = &rest[..rest.find('}')?];
            is_name(name).then_some((start, start + name.len() + 2, name))
        })
        .collect()
}

/// As [`fill`], but an entry of an object that is nothing but a template without its argument is
/// left out: back ends take a missing optional better than a null.
#[cfg(feature = "clients")]
pub(crate) fn fill_sparse(value: &mut Value, arguments: &Map<String, Value>) {
    match value {
        Value::Object(object) => {
            object.retain(|_, item| !is_missing(item, arguments));
            object.values_mut().for_each(|item| fill_sparse(item, arguments));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill_sparse(item, arguments)),
        other => fill(other, arguments),
    }
}

#[cfg(feature = "clients")]
fn is_missing(value: &Value, arguments: &Map<String, Value>) -> bool {
    let Value::String(text) = value else { return false };
    matches!(templates(text).as_slice(), [(0, end, name)]
        if *end == text.len() && !arguments.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn optional_arguments_that_are_missing_are_left_out() {
        let given = json!({"a": 1, "b": "{c}"}).as_object().cloned().unwrap();
        let mut body = json!({"a": "{a}", "b": "{b}", "c": "{c}", "d": ["{c}", {"e": "{c}"}]});
        fill_sparse(&mut body, &given);
        assert_eq!(
            body,
            json!({"a": 1, "b": "{c}", "d": [null, {}]}),
            "arguments stay as they are"
        );
    }
}
