//! What is wrong with a scenario file, and where. Called by `compile`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

/// Why a scenario was refused: every problem found, in the order of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file could not be read.
    #[error("cannot read the scenario {path}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file was read and is no scenario.
    #[error("{name} is no scenario:{}", Listing(name, problems))]
    Invalid {
        /// The file's name, or `scenario` for text from elsewhere.
        name: String,
        /// What is wrong; never empty. A file that is not even JSON of the right shape has one
        /// problem, a file of the right shape all of them.
        problems: Vec<Problem>,
    },
}

impl ScenarioError {
    /// The problems of an invalid file.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Read { .. } => &[],
            Self::Invalid { problems, .. } => problems,
        }
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: a JSON pointer (RFC 6901), empty for the file as a whole.
    pub pointer: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong, and what is expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.line, self.column, self.pointer, self.message)
    }
}

/// The problems, each on a line of its own behind the file's name.
struct Listing<'a>(&'a str, &'a [Problem]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.iter().try_for_each(|problem| write!(f, "\n{}:{problem}", self.0))
    }
}

/// The open list of one file's problems.
pub(super) struct Problems<'a> {
    text: &'a str,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, found: Vec::new() }
    }

    /// Notes a problem with the value at `pointer`, or the nearest value around it.
    pub(super) fn add(&mut self, pointer: &str, message: impl Into<String>) {
        let (line, column) = position(self.text, locate(self.text, pointer));
        self.found.push(Problem {
            pointer: pointer.to_owned(),
            line,
            column,
            message: message.into(),
        });
    }

    /// Notes that the text has not even the right shape.
    pub(super) fn add_shape(&mut self, error: serde_path_to_error::Error<serde_json::Error>) {
        use serde_path_to_error::Segment;
        let pointer = error.path().iter().fold(String::new(), |pointer, segment| match segment {
            Segment::Seq { index } => format!("{pointer}/{index}"),
            Segment::Map { key } => format!("{pointer}/{key}"),
            Segment::Enum { .. } | Segment::Unknown => pointer,
        });
        let error = error.into_inner();
        let (line, column) = (error.line().max(1), error.column().max(1));
        // serde_json appends the place, which stands in its own fields here.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        self.found.push(Problem { pointer, line, column, message });
    }

    /// The list, sorted by place; `None` if all is well.
    pub(super) fn into_error(mut self, name: &str) -> Option<ScenarioError> {
        self.found.sort_by_key(|problem| (problem.line, problem.column));
        let name = name.to_owned();
        (!self.found.is_empty()).then_some(ScenarioError::Invalid { name, problems: self.found })
    }
}

/// The byte offset of the value at `pointer`, or of the innermost value around it that exists.
fn locate(text: &str, pointer: &str) -> usize {
    let offset = |value: &RawValue| (value.get().as_ptr() as usize) - (text.as_ptr() as usize);
    let Ok(mut value) = serde_json::from_str::<&RawValue>(text) else { return 0 };
    for token in pointer.split('/').skip(1) {
        let inner = match value.get().as_bytes().first() {
            Some(b'{') => serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get())
                .ok()
                .and_then(|map| map.get(token).copied()),
            Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(value.get())
                .ok()
                .zip(token.parse::<usize>().ok())
                .and_then(|(list, index)| list.get(index).copied()),
            _ => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => break,
        }
    }
    offset(value)
}

/// Line and column of a byte offset, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_pointer_and_missing_ones_by_what_is_around_them() {
        let text = "{\n  \"ä\": [1, {\"x\": \"}\"}],\n  \"b\": null\n}";
        let at = |pointer| position(text, locate(text, pointer));
        assert_eq!(at(""), (1, 1));
        assert_eq!(at("/ä/1/x"), (2, 18));
        assert_eq!(at("/ä/1/y"), (2, 12));
        assert_eq!(at("/b/c/d"), (3, 8));
        assert_eq!(locate("no json", "/a"), 0);
    }
}
