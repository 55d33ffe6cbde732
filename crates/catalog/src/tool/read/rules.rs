//! Reads the keys of `execute` that every kind has: time, repetition, memory, size, logs.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use serde_json::{Map, Value};

use super::super::{Announce, Redaction, Rules};
use crate::finding::{Findings, child, kind_of};

/// The keys read here.
pub(super) const KEYS: [&str; 10] = [
    "kind",
    "timeout_ms",
    "idempotent",
    "retries",
    "cache_ttl_s",
    "max_result_bytes",
    "concurrency",
    "redact",
    "announce_after_ms",
    "announce",
];

/// Silence before a filler when the file has a text but no time.
const ANNOUNCE_AFTER_MS: u64 = 1500;

/// Reads the rules; what is wrong is reported and keeps its default.
pub(super) fn read(execute: &Map<String, Value>, findings: &mut Findings<'_>) -> Rules {
    let mut rules = Rules { revision: revision(execute), ..Rules::default() };
    let mut number = |key: &str, least: u64, most: u64| -> Option<u64> {
        let given = execute.get(key)?;
        match given.as_u64() {
            Some(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                let what = format!("`{key}` must be a whole number from {least} to {most}");
                findings.error(&child("/execute", key), what, "See tools/README.md.");
                None
            }
        }
    };
    if let Some(ms) = number("timeout_ms", 50, 120_000) {
        rules.timeout = Duration::from_millis(ms);
    }
    let retries = number("retries", 0, 5).unwrap_or_default();
    rules.cache_ttl = number("cache_ttl_s", 1, 86_400).map(Duration::from_secs);
    if let Some(bytes) = number("max_result_bytes", 256, 262_144) {
        rules.max_result_bytes = usize::try_from(bytes).unwrap_or(rules.max_result_bytes);
    }
    rules.concurrency =
        number("concurrency", 1, 100_000).and_then(|runs| usize::try_from(runs).ok());
    let after = number("announce_after_ms", 100, 60_000);

    match execute.get("idempotent") {
        None => {}
        Some(Value::Bool(idempotent)) => rules.idempotent = *idempotent,
        Some(other) => {
            let what = format!("`idempotent` must be true or false, not {}", kind_of(other));
            findings.error("/execute/idempotent", what, "See tools/README.md.");
        }
    }
    if retries > 0 && !rules.idempotent {
        let what = "`retries` without `idempotent`: an order could be placed twice";
        let remedy = "Add \"idempotent\": true if running it twice does no harm; \
                      else take `retries` away.";
        findings.error("/execute/retries", what, remedy);
    } else {
        rules.retries = u32::try_from(retries).unwrap_or_default();
    }

    let text = findings.text_at(execute, "/execute", "announce");
    match (text.filter(|text| !text.trim().is_empty()), after) {
        (Some(text), after) => {
            let after = Duration::from_millis(after.unwrap_or(ANNOUNCE_AFTER_MS));
            rules.announce = Some(Announce { after, text });
        }
        (None, Some(_)) => {
            let what = "`announce_after_ms` without `announce`: there is nothing to say";
            findings.error("/execute/announce_after_ms", what, "Add `announce` with the text.");
        }
        (None, None) => {}
    }
    if let Some(redact) = execute.get("redact") {
        rules.redact = read_redaction(redact, findings);
    }
    rules
}

/// Warns of keys that this kind does not have: a misspelt `timeout_ms` would pass unnoticed.
pub(super) fn check_keys(execute: &Map<String, Value>, own: &[&str], findings: &mut Findings<'_>) {
    for key in execute.keys() {
        let key = key.as_str();
        if !KEYS.contains(&key) && !own.contains(&key) {
            let what = format!("`{key}` means nothing here and is ignored");
            findings.warn(&child("/execute", key), what, "See tools/README.md for the keys.");
        }
    }
}

fn read_redaction(redact: &Value, findings: &mut Findings<'_>) -> Redaction {
    let place = "/execute/redact";
    match redact {
        Value::Array(_) => {
            let paths = read_paths(redact, place, findings);
            Redaction { arguments: paths.clone(), result: paths }
        }
        Value::Object(object) => {
            let mut redaction = Redaction::default();
            for (key, paths) in object {
                let place = child(place, key);
                match key.as_str() {
                    "arguments" => redaction.arguments = read_paths(paths, &place, findings),
                    "result" => redaction.result = read_paths(paths, &place, findings),
                    _ => {
                        let what = format!("`{key}` is neither `arguments` nor `result`");
                        findings.error(&place, what, "Use these two, or a plain list for both.");
                    }
                }
            }
            redaction
        }
        other => {
            let what = format!("`redact` must be a list or an object, not {}", kind_of(other));
            findings.error(place, what, "Write [\"securityCode\"], for example.");
            Redaction::default()
        }
    }
}

fn read_paths(paths: &Value, place: &str, findings: &mut Findings<'_>) -> Vec<String> {
    let Value::Array(paths) = paths else {
        let what = format!("this must be a list of field names, not {}", kind_of(paths));
        findings.error(place, what, "Write [\"securityCode\"], for example.");
        return Vec::new();
    };
    let mut read = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        match path {
            Value::String(path) if !path.trim().is_empty() => read.push(path.clone()),
            _ => findings.error(
                &format!("{place}/{index}"),
                "a field to hide must be a name or a JSON pointer",
                "Write \"securityCode\" or \"/accounts/*/iban\".",
            ),
        }
    }
    read
}

fn revision(execute: &Map<String, Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    Value::Object(execute.clone()).to_string().hash(&mut hasher);
    hasher.finish()
}
