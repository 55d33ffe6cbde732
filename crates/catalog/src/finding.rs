//! Collects the problems of one file while it is read. Called by the readers of each format.

use serde_json::{Map, Value};

use crate::{
    position::{Position, locate},
    problem::{Problem, Severity},
};

/// The open list of one file's problems.
pub(crate) struct Findings<'a> {
    file: String,
    text: &'a str,
    found: Vec<Problem>,
}

impl<'a> Findings<'a> {
    /// A list for a file named `file` (with its folder) that holds `text`.
    pub(crate) fn new(file: impl Into<String>, text: &'a str) -> Self {
        Self { file: file.into(), text, found: Vec::new() }
    }

    /// The list.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.found
    }

    /// Whether an error is among them.
    pub(crate) fn has_error(&self) -> bool {
        self.found.iter().any(Problem::is_error)
    }

    /// Something because of which no snapshot is made, at a JSON pointer.
    pub(crate) fn error(&mut self, pointer: &str, what: impl Into<String>, remedy: &str) {
        self.push(Severity::Error, pointer, what.into(), remedy);
    }

    /// Something to look at, at a JSON pointer.
    pub(crate) fn warn(&mut self, pointer: &str, what: impl Into<String>, remedy: &str) {
        self.push(Severity::Warning, pointer, what.into(), remedy);
    }

    /// An error at a known place of a file that is not JSON, or not yet.
    pub(crate) fn error_at(&mut self, place: Position, what: impl Into<String>, remedy: &str) {
        self.found.push(Problem {
            severity: Severity::Error,
            file: self.file.clone(),
            line: Some(place.line),
            column: Some(place.column),
            pointer: None,
            what: what.into(),
            remedy: remedy.to_owned(),
        });
    }

    fn push(&mut self, severity: Severity, pointer: &str, what: String, remedy: &str) {
        let place = locate(self.text, pointer);
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
            Ok(Value::Object(object)) => Some(object),
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
