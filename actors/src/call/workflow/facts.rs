//! What a call knows from its tools: the context that steps require.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use voice_catalog::{Tool, name::fold};

use super::Work;

/// Facts that are kept; more are no context but data.
const KEPT: usize = 256;
/// The longest text that is kept as it is.
const LONGEST: usize = 512;
/// Keys of a result by which an identity check says no.
const CHECKS: [&str; 5] = ["verified", "authenticated", "authorized", "authorised", "identified"];
/// Keys of a result by which anything else says that it did not come about.
const OUTCOMES: [&str; 2] = ["success", "ok"];
/// Words that begin the label of an edge for the case that a check said yes.
const AFFIRMATIVE: [&str; 14] = [
    "yes",
    "ja",
    "oui",
    "si",
    "sí",
    "sì",
    "sim",
    "हाँ",
    "verified",
    "ok",
    "true",
    "success",
    "confirmed",
    "matched",
];
/// Words that make an edge the one to take when a tool has failed.
const NEGATIVE: [&str; 20] = [
    "no",
    "not",
    "none",
    "cannot",
    "error",
    "errors",
    "timeout",
    "unavailable",
    "unknown",
    "wrong",
    "invalid",
    "mismatch",
    "denied",
    "declined",
    "rejected",
    "unsuccessful",
    "nein",
    "nicht",
    "fehler",
    "sonst",
];

/// A value and how well it is founded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Fact {
    value: Value,
    /// It is what the model put into a call, not what a tool answered.
    claimed: bool,
}

/// The facts, by name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Facts(BTreeMap<String, Fact>);

impl Facts {
    /// A tool gave a result. Arguments count as far as the tool's schema knows them, and never
    /// against what a tool has answered: the model must not be able to talk its way through.
    pub(super) fn learn(&mut self, tool: Option<&Tool>, input: &Value, result: &Value) {
        let declared = tool.and_then(|tool| tool.input_schema.get("properties"));
        for (name, value) in arguments(input) {
            let known = declared.is_some_and(|properties| properties.get(&name).is_some());
            let founded = self.0.get(&fold(&name)).is_some_and(|fact| !fact.claimed);
            if known && !founded {
                self.put(&name, &value, true);
            }
        }
        for (name, value) in result.as_object().into_iter().flatten() {
            self.put(name, value, false);
        }
    }

    fn put(&mut self, name: &str, value: &Value, claimed: bool) {
        let name = fold(name);
        if self.0.len() >= KEPT && !self.0.contains_key(&name) {
            return;
        }
        let value = match value {
            Value::String(text) if text.len() > LONGEST => Value::Bool(true),
            Value::Array(list) => Value::Bool(!list.is_empty()),
            Value::Object(map) => Value::Bool(!map.is_empty()),
            other => other.clone(),
        };
        self.0.insert(name, Fact { value, claimed });
    }

    /// Whether it is known, and not as a no.
    pub(super) fn has(&self, name: &str) -> bool {
        match self.0.get(&fold(name)).map(|fact| &fact.value) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(_) => true,
        }
    }

    /// The first of `names` that the arguments give another value than is known.
    pub(super) fn contradiction(
        &self,
        names: &[String],
        input: &Value,
    ) -> Option<(String, String)> {
        let arguments = arguments(input);
        names.iter().find_map(|name| {
            let known = plain(&self.0.get(&fold(name))?.value)?;
            let given = arguments.iter().find(|(key, _)| fold(key) == fold(name))?.1;
            let given = plain(given)?;
            (given != known).then(|| (name.clone(), known))
        })
    }
}

/// The arguments as an object, also when they were encoded twice (`nova-sonic.md` §3.2).
fn arguments(input: &Value) -> Map<String, Value> {
    match input {
        Value::Object(map) => map.clone(),
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        _ => Map::new(),
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What a result says against itself; `None`: nothing.
pub(super) fn verdict(result: &Value) -> Option<Work> {
    let says_no =
        |keys: &[&str]| keys.iter().any(|key| result.get(*key) == Some(&Value::Bool(false)));
    if says_no(&CHECKS) {
        return Some(Work::Denied);
    }
    says_no(&OUTCOMES).then_some(Work::Failed)
}

/// Whether an edge is labelled for the case that a check said yes.
pub(super) fn is_affirmative(label: &str) -> bool {
    let lower = label.to_lowercase();
    let first = lower.split(|c: char| c.is_whitespace() || c.is_ascii_punctuation()).next();
    first.is_some_and(|word| AFFIRMATIVE.contains(&word))
}

/// Whether an edge is labelled for the case that things went wrong.
pub(super) fn is_negative(label: &str) -> bool {
    let lower = label.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric() && c != '\'');
    words.any(|word| word.starts_with("fail") || NEGATIVE.contains(&word) || word.ends_with("n't"))
}
