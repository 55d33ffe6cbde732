//! Collects the problems of one file while it is read. Called by the readers of each format.

use serde_json::{Map, Value};

use crate::{
    position::{Position, locate, repeated_keys},
    problem::{Problem, Severity},
};

/// The open list of one file's problems.
pub(crate) struct Findings<'a> {
    file: String,
    text: &'a str,
    /// Where the JSON begins to which pointers point: prompts have text above it.
    json_from: usize,
    found: Vec<Problem>,
}

impl<'a> Findings<'a> {
    /// A list for a file named `file` (with its folder) that holds `text`.
    pub(crate) fn new(file: impl Into<String>, text: &'a str) -> Self {
        Self { file: file.into(), text, json_from: 0, found: Vec::new() }
    }

    /// The list.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.found
    }

    /// Whether an error is among them.
    pub(crate) fn has_error(&self) -> bool {
        self.found.iter().any(Problem::is_error)
    }

    /// From here on pointers point into the JSON that begins at this offset.
    pub(crate) fn set_json_from(&mut self, offset: usize) {
        self.json_from = offset;
    }

    /// Whether anything was found at `pointer`.
    pub(crate) fn has_any_at(&self, pointer: &str) -> bool {
        self.found.iter().any(|problem| problem.pointer.as_deref() == Some(pointer))
    }

    /// Whether there is an error at `pointer`, below it, or above it other than at the root.
    pub(crate) fn has_error_around(&self, pointer: &str) -> bool {
        let inside = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.found.iter().filter(|problem| problem.is_error()).any(|problem| {
            let Some(at) = problem.pointer.as_deref() else { return false };
            inside(at, pointer) || (!at.is_empty() && inside(pointer, at))
        })
    }

    /// Whether an error at `pointer` names `word`.
    pub(crate) fn names_error(&self, pointer: &str, word: &str) -> bool {
        let word = format!("`{word}`");
        self.found.iter().any(|problem| {
            let says = |text: &str| text.contains(&word);
            problem.is_error()
                && problem.pointer.as_deref() == Some(pointer)
                && (says(&problem.what) || says(&problem.remedy))
        })
    }

    /// Something because of which no snapshot is made, at a JSON pointer.
    pub(crate) fn error(&mut self, pointer: &str, what: impl Into<String>, remedy: &str) {
        self.push(Severity::Error, pointer, false, what.into(), remedy);
    }

    /// Something to look at, at a JSON pointer.
    pub(crate) fn warn(&mut self, pointer: &str, what: impl Into<String>, remedy: &str) {
        self.push(Severity::Warning, pointer, false, what.into(), remedy);
    }

    /// Something to look at in the key of the value at a JSON pointer.
    pub(crate) fn warn_key(&mut self, pointer: &str, what: impl Into<String>, remedy: &str) {
        self.push(Severity::Warning, pointer, true, what.into(), remedy);
    }

    /// An error at a known place of a file that is not JSON, or not yet.
    pub(crate) fn error_at(&mut self, place: Position, what: impl Into<String>, remedy: &str) {
        self.push_at(Severity::Error, place, what, remedy);
    }

    /// A warning at a known place.
    pub(crate) fn warn_at(&mut self, place: Position, what: impl Into<String>, remedy: &str) {
        self.push_at(Severity::Warning, place, what, remedy);
    }

    /// Warns of keys that stand twice in the JSON of the file.
    pub(crate) fn warn_of_repeated_keys(&mut self) {
        let json = self.text.get(self.json_from..).unwrap_or_default();
        for (offset, key) in repeated_keys(json) {
            let place = Position::of_offset(self.text, self.json_from + offset);
            let what = format!("`{key}` stands twice in this object; only the last one counts");
            self.warn_at(place, what, "Keep one of them.");
        }
    }

    fn push_at(
        &mut self,
        severity: Severity,
        place: Position,
        what: impl Into<String>,
        remedy: &str,
    ) {
        self.found.push(Problem {
            severity,
            file: self.file.clone(),
            line: Some(place.line),
            column: Some(place.column),
            pointer: None,
            what: what.into(),
            remedy: remedy.to_owned(),
        });
    }

    fn push(
        &mut self,
        severity: Severity,
        pointer: &str,
        at_key: bool,
        what: String,
        remedy: &str,
    ) {
        let json = self.text.get(self.json_from..).unwrap_or_default();
        let place = locate(json, pointer).map(|found| {
            let offset = if at_key { found.key } else { found.value };
            Position::of_offset(self.text, self.json_from + offset)
        });
        self.found.push(Problem {
            severity,
            file: self.file.clone(),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            pointer: Some(pointer.to_owned()),
            what,
            remedy: remedy.to_owned(),
        });
    }

    /// Reads the file as a JSON object.
    pub(crate) fn read_object(&mut self) -> Option<Map<String, Value>> {
        match serde_json::from_str(self.text) {
            Ok(Value::Object(object)) => {
                self.warn_of_repeated_keys();
                Some(object)
            }
            Ok(other) => {
                let what = format!("the file holds {}, not an object", kind_of(&other));
                self.error("", what, "Put the definition between { and }.");
                None
            }
            Err(error) => {
                let place = Position::of_syntax_error(self.text, &error);
                self.error_at(place, syntax_message(&error), "Correct the JSON here.");
                None
            }
        }
    }

    /// An optional text; another type is an error.
    pub(crate) fn text_at(
        &mut self,
        object: &Map<String, Value>,
        parent: &str,
        key: &str,
    ) -> Option<String> {
        match object.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => {
                let what = format!("`{key}` must be a text, not {}", kind_of(other));
                self.error(&child(parent, key), what, "Write it between double quotes.");
                None
            }
        }
    }
}

/// The pointer of a value one level below `parent`.
pub(crate) fn child(parent: &str, key: &str) -> String {
    format!("{parent}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A JSON type in words.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What `serde_json` says, without its own line and column.
pub(crate) fn syntax_message(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    format!("this is not valid JSON: {said}")
}
