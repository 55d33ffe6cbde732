//! A prompt: a text for the model, with an optional tail of settings.
//!
//! Its kind is the prefix of the file name; its tail is a line `---` followed by one JSON
//! object (`contract.md` §4). Pure: text in, prompt and problems out. The variables in the text
//! are `prompt/variables.rs`.

pub(crate) mod variables;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    finding::{Findings, syntax_message},
    position::Position,
    schema::{self, Format},
    source::Origin,
};

pub use variables::Variables;

/// What a prompt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptKind {
    /// `core-`: part of every call.
    Core,
    /// `persona-`: who the assistant is.
    Persona,
    /// `hidden-`: for the program, not for lists shown to people.
    Hidden,
    /// Any other name.
    Plain,
}

/// One prompt file.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// The file name without `.txt`, such as `persona-banking`.
    pub id: String,
    /// `name` of the settings, else made from the id.
    pub name: String,
    /// What it is for.
    pub kind: PromptKind,
    /// The text, without the tail.
    pub content: String,
    /// The settings of the tail (`voiceId`, `language`, `tools`, `workflows` …); may be empty.
    pub config: Map<String, Value>,
    /// Where it was read.
    pub origin: Origin,
}

impl Prompt {
    /// The id without the prefix of its kind: `banking` of `persona-banking`.
    pub fn short_id(&self) -> &str {
        self.kind.prefix().and_then(|prefix| self.id.strip_prefix(prefix)).unwrap_or(&self.id)
    }

    /// The voice it wants to be spoken with.
    pub fn voice_id(&self) -> Option<&str> {
        self.config.get("voiceId").and_then(Value::as_str)
    }

    /// The language it speaks, as a BCP 47 tag.
    pub fn language(&self) -> Option<&str> {
        self.config.get("language").and_then(Value::as_str)
    }

    /// How soon a pause of the caller counts as the end of a turn: HIGH, MEDIUM or LOW.
    pub fn sensitivity(&self) -> Option<&str> {
        self.config.get("endpointingSensitivity").and_then(Value::as_str)
    }

    /// The tools it limits itself to; `None` = all.
    pub fn tools(&self) -> Option<Vec<String>> {
        self.names("tools")
    }

    /// The workflows it is linked to unless the client says otherwise.
    pub fn workflows(&self) -> Option<Vec<String>> {
        self.names("workflows")
    }

    /// Whether it is the persona of a call that names none.
    pub(crate) fn is_default(&self) -> bool {
        self.config.get("default") == Some(&Value::Bool(true))
    }

    fn names(&self, key: &str) -> Option<Vec<String>> {
        let list = self.config.get(key)?.as_array()?;
        Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }
}

impl PromptKind {
    /// The kind a file name stands for.
    pub fn of_id(id: &str) -> Self {
        [Self::Core, Self::Persona, Self::Hidden]
            .into_iter()
            .find(|kind| kind.prefix().is_some_and(|prefix| id.starts_with(prefix)))
            .unwrap_or(Self::Plain)
    }

    fn prefix(self) -> Option<&'static str> {
        match self {
            Self::Core => Some("core-"),
            Self::Persona => Some("persona-"),
            Self::Hidden => Some("hidden-"),
            Self::Plain => None,
        }
    }
}

/// Reads one prompt; `None` when its tail is not JSON.
///
/// A prompt with other errors comes back as far as it could be read, so that what it refers to
/// can be checked as well; no snapshot is made of it.
pub(crate) fn read(file: &str, text: &str, findings: &mut Findings<'_>) -> Option<Prompt> {
    let id = file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned();
    let kind = PromptKind::of_id(&id);
    let (content, tail) = match split_tail(text) {
        None => (text, None),
        Some((content, at)) => (content, Some(at)),
    };
    check_variables(content, findings);
    let config = match tail {
        None => Map::new(),
        Some(at) => read_config(text, at, findings)?,
    };
    let content = content.trim().replace("\r\n", "\n");
    if content.is_empty() {
        let start = Position { line: 1, column: 1 };
        findings.error_at(start, "the prompt has no text", "Write it above the line `---`.");
    }
    let mut prompt =
        Prompt { id, name: String::new(), kind, content, config, origin: Origin::Local };
    prompt.name = match prompt.config.get("name").and_then(Value::as_str) {
        Some(name) if !name.trim().is_empty() => name.trim().to_owned(),
        _ => title(prompt.short_id()),
    };
    Some(prompt)
}

/// Text before the tail, and the offset at which the tail's JSON starts. A `---` that is not
/// followed by `{` is a ruler in the text.
pub(crate) fn split_tail(text: &str) -> Option<(&str, usize)> {
    let mut offset = 0;
    let mut tail = None;
    for line in text.split_inclusive('\n') {
        let end = offset + line.len();
        if line.trim_end() == "---" {
            let rest = &text[end..];
            let json = rest.trim_start();
            if json.starts_with('{') {
                tail = Some((&text[..offset], text.len() - json.len()));
            }
        }
        offset = end;
    }
    tail
}

fn read_config(text: &str, at: usize, findings: &mut Findings<'_>) -> Option<Map<String, Value>> {
    let tail = &text[at..];
    let config: Map<String, Value> = match serde_json::from_str(tail) {
        Ok(config) => config,
        Err(error) => {
            let place = Position::of_syntax_error(tail, &error);
            let above = Position::of_offset(text, at);
            let column = if place.line == 1 { above.column - 1 } else { 0 };
            let place =
                Position { line: above.line + place.line - 1, column: place.column + column };
            let remedy = "Correct the settings below `---`, or take them away.";
            findings.error_at(place, syntax_message(&error), remedy);
            return None;
        }
    };
    findings.set_json_from(at);
    findings.warn_of_repeated_keys();
    schema::check(Format::Prompt, &config, findings);
    if let Some(language) = config.get("language").and_then(Value::as_str)
        && !is_language(language)
    {
        let what = format!("{language:?} is not a language tag");
        findings.warn("/language", what, "Write a BCP 47 tag such as en-GB or de.");
    }
    Some(config)
}

/// Whether it has the shape of a BCP 47 tag: two or three letters, then further parts.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let is_first =
        |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic());
    let is_further = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    parts.next().is_some_and(is_first) && parts.all(is_further)
}

/// Reports variables that no call can fill in, in the text before the tail.
fn check_variables(content: &str, findings: &mut Findings<'_>) {
    for (range, name) in variables::find(content) {
        if !variables::is_known(name) {
            let place = Position::of_offset(content, range.start);
            let remedy = format!("Use {}, or take the braces away.", variables::KNOWN);
            findings.error_at(place, format!("there is no variable `{name}`"), &remedy);
        }
    }
}

/// `night-shift_desk` becomes `Night shift desk`.
fn title(id: &str) -> String {
    let words = id.replace(['-', '_'], " ");
    let mut letters = words.trim().chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Prompt, String> {
        let mut findings = Findings::new("prompts/persona-night-desk.txt", text);
        let prompt = read("persona-night-desk.txt", text, &mut findings);
        let error = findings.into_problems().into_iter().find(|problem| problem.is_error());
        error.map_or_else(|| Ok(prompt.unwrap()), |error| Err(error.to_string()))
    }

    #[test]
    fn the_tail_becomes_settings_and_leaves_the_text() {
        for newline in ["\n", "\r\n"] {
            let text = [
                "You are Anna.",
                "---",
                "A ruler above.",
                "---",
                "",
                "{\"voiceId\": \"tiffany\"}",
                "",
            ]
            .join(newline);
            let prompt = read_text(&text).unwrap();
            assert_eq!(prompt.content, "You are Anna.\n---\nA ruler above.");
            assert_eq!(prompt.voice_id(), Some("tiffany"));
            assert_eq!(
                (prompt.id.as_str(), prompt.short_id()),
                ("persona-night-desk", "night-desk")
            );
            assert_eq!(prompt.name, "Night desk");
        }
    }

    #[test]
    fn a_prompt_needs_no_tail() {
        let prompt = read_text("Only text.\n---\nand a ruler").unwrap();
        assert_eq!(prompt.content, "Only text.\n---\nand a ruler");
        assert!(prompt.config.is_empty());
    }

    #[test]
    fn a_broken_tail_is_reported_at_its_own_line() {
        let error = read_text("Text.\n\n---\n{\n  \"voiceId\": oops\n}\n").unwrap_err();
        assert!(error.starts_with("prompts/persona-night-desk.txt:5:14: error:"), "{error}");
    }

    #[test]
    fn a_persona_without_text_is_an_error() {
        assert!(read_text("\n---\n{\"voiceId\": \"amy\"}").unwrap_err().contains("no text"));
        assert!(read_text("").is_err());
    }
}
