//! Remembered answers: bounded, by tool and arguments. Pure; the caller says what time it is.

use std::{collections::HashMap, time::Duration};

use serde_json::{Map, Value};
use tokio::time::Instant;

/// Most answers that are remembered in a process.
const MAX_ENTRIES: usize = 1024;

/// Most bytes of keys and answers, so that large results cannot fill the memory.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What makes two runs the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    tool: String,
    revision: u64,
    arguments: String,
}

impl Key {
    pub(super) fn new(tool: &str, revision: u64, arguments: &Map<String, Value>) -> Self {
        let mut canonical = String::new();
        write_canonical(&Value::Object(arguments.clone()), &mut canonical);
        Self { tool: tool.to_owned(), revision, arguments: canonical }
    }
}

/// JSON with sorted keys, whatever order the model wrote them in.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort();
            out.push('{');
            for key in keys {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(&object[key], out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[derive(Debug)]
struct Entry {
    answer: Value,
    bytes: usize,
    until: Instant,
}

/// The memory.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Key, Entry>,
    bytes: usize,
}

impl Cache {
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Value> {
        let entry = self.entries.get(key)?;
        (now < entry.until).then(|| entry.answer.clone())
    }

    pub(super) fn put(&mut self, key: Key, answer: Value, ttl: Duration, now: Instant) {
        let bytes = key.arguments.len() + answer.to_string().len();
        if bytes > MAX_BYTES / 4 {
            return;
        }
        self.remove(&key);
        if self.is_full(bytes) {
            let old: Vec<Key> = self.keys(|entry| entry.until <= now);
            old.iter().for_each(|key| self.remove(key));
        }
        while self.is_full(bytes) {
            // The one that would go first anyway.
            let Some(key) = self.entries.iter().min_by_key(|(_, entry)| entry.until) else { break };
            let key = key.0.clone();
            self.remove(&key);
        }
        self.bytes += bytes;
        self.entries.insert(key, Entry { answer, bytes, until: now + ttl });
    }

    fn is_full(&self, more: usize) -> bool {
        self.entries.len() >= MAX_ENTRIES || self.bytes + more > MAX_BYTES
    }

    fn keys(&self, of: impl Fn(&Entry) -> bool) -> Vec<Key> {
        self.entries.iter().filter(|(_, entry)| of(entry)).map(|(key, _)| key.clone()).collect()
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(revision: u64, arguments: Value) -> Key {
        Key::new("t", revision, arguments.as_object().unwrap())
    }

    #[test]
    fn the_order_of_keys_does_not_matter_and_the_definition_does() {
        let one: Value = serde_json::from_str(r#"{"a": 1, "b": {"x": [1], "y": 2}}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"b": {"y": 2, "x": [1]}, "a": 1}"#).unwrap();
        assert_eq!(key(1, one.clone()), key(1, two.clone()));
        assert_ne!(key(1, one), key(2, two));
        assert_ne!(key(1, json!({"a": 1})), key(1, json!({"a": "1"})));
    }

    #[test]
    fn answers_are_forgotten_in_time_and_when_there_are_too_many() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let second = Duration::from_secs(1);
        cache.put(key(0, json!({})), json!(1), second, now);
        assert_eq!(cache.get(&key(0, json!({})), now), Some(json!(1)));
        assert_eq!(cache.get(&key(0, json!({})), now + second), None);
        for index in 0..2 * MAX_ENTRIES {
            cache.put(key(0, json!({"i": index})), json!(index), second * 9, now);
        }
        assert_eq!(cache.entries.len(), MAX_ENTRIES);
        let long = "x".repeat(MAX_BYTES / 5);
        for index in 0..20 {
            cache.put(key(1, json!({"i": index})), json!(long), second * 9, now);
        }
        assert!(cache.bytes <= MAX_BYTES, "{}", cache.bytes);
        assert_eq!(cache.get(&key(1, json!({"i": 19})), now), Some(json!(long)), "the latest");
    }
}
