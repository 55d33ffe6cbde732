//! The rules a tool runs under: time, repetition, memory, size, and what a log may show.
//!
//! Pure. Read from `execute` by `tool/read/rules.rs`, applied by [`crate::execute`]; the engine
//! reads [`Announce`] and logs through [`Redaction`].

use std::time::Duration;

use serde_json::Value;

use crate::name::fold;

/// What stands in a log for a value that must not.
const HIDDEN: &str = "[redacted]";

/// The rules of one tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Longest time until there is an answer, all attempts together.
    pub timeout: Duration,
    /// Whether running it twice does no more than running it once.
    pub idempotent: bool,
    /// Further attempts after a failure that may pass; 0 unless `idempotent`.
    pub retries: u32,
    /// How long a good answer is given again for the same arguments.
    pub cache_ttl: Option<Duration>,
    /// Longest result as JSON text, in bytes; a longer one is cut.
    pub max_result_bytes: usize,
    /// Runs at the same time in this process; no limit when absent.
    pub concurrency: Option<usize>,
    /// What logs do not show.
    pub redact: Redaction,
    /// What the caller hears when it takes long.
    pub announce: Option<Announce>,
    /// Differs when the file's `execute` does, so that no answer outlives its definition.
    pub(crate) revision: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(8),
            idempotent: false,
            retries: 0,
            cache_ttl: None,
            max_result_bytes: 8 * 1024,
            concurrency: None,
            redact: Redaction::default(),
            announce: None,
            revision: 0,
        }
    }
}

/// A filler for the time a slow tool takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    /// How long the caller waits in silence before it.
    pub after: Duration,
    /// What is said.
    pub text: String,
}

/// The fields whose values logs do not show.
///
/// A path is a JSON pointer in which `*` stands for any key or index, or a bare name, which
/// means every field of that name at any depth, however a model spells it (case, `-`, `_`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redaction {
    /// Fields of the arguments.
    pub arguments: Vec<String>,
    /// Fields of the result.
    pub result: Vec<String>,
}

impl Redaction {
    /// The arguments as a log may show them. Arguments that were encoded twice are decoded; a
    /// text that cannot be is hidden as a whole when anything of it would have to be.
    pub fn arguments(&self, input: &Value) -> Value {
        match input {
            Value::String(text) if !self.arguments.is_empty() && !text.trim().is_empty() => {
                match serde_json::from_str::<Value>(text) {
                    Ok(decoded) if !decoded.is_string() => hide(&decoded, &self.arguments),
                    _ => Value::String(HIDDEN.to_owned()),
                }
            }
            other => hide(other, &self.arguments),
        }
    }

    /// The result as a log may show it.
    pub fn result(&self, result: &Value) -> Value {
        hide(result, &self.result)
    }
}

fn hide(value: &Value, paths: &[String]) -> Value {
    let mut copy = value.clone();
    for path in paths {
        match path.strip_prefix('/') {
            Some(pointer) => {
                let steps: Vec<String> = pointer
                    .split('/')
                    .map(|step| step.replace("~1", "/").replace("~0", "~"))
                    .collect();
                hide_path(&mut copy, &steps);
            }
            None => hide_name(&mut copy, &fold(path)),
        }
    }
    copy
}

fn hide_path(value: &mut Value, steps: &[String]) {
    let Some((step, rest)) = steps.split_first() else {
        *value = Value::String(HIDDEN.to_owned());
        return;
    };
    match value {
        Value::Object(object) => object
            .iter_mut()
            .filter(|(key, _)| step == "*" || *key == step)
            .for_each(|(_, item)| hide_path(item, rest)),
        Value::Array(items) => items
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| step == "*" || step.parse() == Ok(*index))
            .for_each(|(_, item)| hide_path(item, rest)),
        _ => {}
    }
}

fn hide_name(value: &mut Value, name: &str) {
    match value {
        Value::Object(object) => {
            for (key, item) in object.iter_mut() {
                if fold(key) == name {
                    *item = Value::String(HIDDEN.to_owned());
                } else {
                    hide_name(item, name);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide_name(item, name)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redaction(paths: &[&str]) -> Redaction {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        Redaction { arguments: paths.clone(), result: paths }
    }

    #[test]
    fn a_bare_name_hides_the_field_wherever_it_is() {
        let seen = redaction(&["securityCode"]).result(
            &json!({"id": 1, "security_code": "1", "list": [{"securityCode": {"deep": 2}}]}),
        );
        let hidden = json!({"id": 1, "security_code": HIDDEN, "list": [{"securityCode": HIDDEN}]});
        assert_eq!(seen, hidden);
    }

    #[test]
    fn a_pointer_hides_one_place_or_with_a_star_all_like_it() {
        let value = json!({"a": [{"iban": 1}, {"iban": 2}], "iban": 3});
        let seen = redaction(&["/a/*/iban"]).result(&value);
        assert_eq!(seen, json!({"a": [{"iban": HIDDEN}, {"iban": HIDDEN}], "iban": 3}));
        assert_eq!(redaction(&["/a/1"]).result(&value)["a"][1], HIDDEN);
        assert_eq!(redaction(&["/none/x"]).result(&value), value);
    }

    #[test]
    fn arguments_encoded_twice_hide_nothing_less() {
        let redact = redaction(&["pin"]);
        assert_eq!(
            redact.arguments(&json!("{\"pin\": 1, \"a\": 2}")),
            json!({"pin": HIDDEN, "a": 2})
        );
        assert_eq!(redact.arguments(&json!("pin is 1")), HIDDEN);
        assert_eq!(redact.arguments(&json!("\"{\\\"pin\\\": 1}\"")), HIDDEN);
        assert_eq!(Redaction::default().arguments(&json!("as it is")), "as it is");
    }
}
