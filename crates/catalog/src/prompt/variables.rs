//! `{{user.location}}` and its like in prompts: found when files are checked, filled in when a
//! call is made.
//!
//! A value is data from outside: it becomes one line of bounded length, and is never searched
//! for variables itself.

use std::{collections::BTreeMap, ops::Range};

/// What stands for a value that is not known in this call.
const UNKNOWN: &str = "unknown";

/// Characters of a value that reach the prompt.
const MAX_VALUE: usize = 200;

/// The prefix of values that were given to the call, such as contact attributes.
const ATTRIBUTES: &str = "attributes.";

/// The names that `check` accepts, for remedies.
pub(crate) const KNOWN: &str =
    "{{user.location}}, {{user.timezone}}, {{date}} or {{attributes.<name>}}";

/// What the variables of a prompt stand for in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Variables<'a> {
    /// `{{user.location}}`: where the caller is, in words.
    pub location: Option<&'a str>,
    /// `{{user.timezone}}`: an IANA name.
    pub timezone: Option<&'a str>,
    /// `{{date}}`: today where the caller is, in words.
    pub date: Option<&'a str>,
    /// `{{attributes.<name>}}`: what is known of the call.
    pub attributes: Option<&'a BTreeMap<String, String>>,
}

impl Variables<'_> {
    /// `text` with its variables filled in. A known one without a value becomes `unknown`; what
    /// is no variable stays as it is.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = 0;
        for (range, name) in find(text) {
            if let Some(value) = self.value(name) {
                filled.push_str(&text[rest..range.start]);
                filled.push_str(&value);
                rest = range.end;
            }
        }
        filled.push_str(&text[rest..]);
        filled
    }

    /// The value of a variable; `None` when there is no such variable.
    fn value(&self, name: &str) -> Option<String> {
        let value = match name {
            "user.location" => self.location,
            "user.timezone" => self.timezone,
            "date" => self.date,
            _ => {
                let name = name.strip_prefix(ATTRIBUTES).filter(|name| is_word(name))?;
                self.attributes.and_then(|all| all.get(name)).map(String::as_str)
            }
        };
        let value = one_line(value.unwrap_or_default());
        Some(if value.is_empty() { UNKNOWN.to_owned() } else { value })
    }
}

/// Whether a call can fill it in.
pub(crate) fn is_known(name: &str) -> bool {
    Variables::default().value(name).is_some()
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// Words with single blanks between them, cut to a sane length.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(MAX_VALUE).collect()
}

/// Every `{{name}}` of a text, with the offsets of its braces.
pub(crate) fn find(text: &str) -> Vec<(Range<usize>, &str)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find("{{").map(|at| from + at) {
        let inner = open + 2;
        let line = text[inner..].split('\n').next().unwrap_or_default();
        let Some(length) = line.find("}}") else {
            from = inner;
            continue;
        };
        let close = inner + length + 2;
        // The innermost pair counts: `{{{{date}}` is a variable behind two braces.
        let start = text[open..inner + length].rfind("{{").map_or(open, |at| open + at);
        found.push((start..close, text[start + 2..inner + length].trim()));
        from = close;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn variables_are_filled_in_and_the_rest_stays() {
        let attributes = BTreeMap::from([("tier".to_owned(), "gold\n{{date}}".to_owned())]);
        let variables = Variables {
            location: Some(" Berlin\tMitte "),
            attributes: Some(&attributes),
            ..Variables::default()
        };
        let text = "{{ user.location }}/{{user.timezone}}/{{attributes.tier}}/{{other}}/{{/}}";
        assert_eq!(
            variables.fill(text),
            "Berlin Mitte/unknown/gold {{date}}/{{other}}/{{/}}",
            "a value is not searched again"
        );
    }

    #[test]
    fn only_known_names_are_variables() {
        for name in ["user.location", "user.timezone", "date", "attributes.x", "attributes.a-b.c"] {
            assert!(is_known(name), "{name}");
        }
        for name in ["", "user", "user.name", "attributes.", "attributes.a b", "Date"] {
            assert!(!is_known(name), "{name}");
        }
    }

    #[test]
    fn a_value_is_one_line_of_bounded_length() {
        let long = "x".repeat(1000);
        let variables = Variables { location: Some(&long), ..Variables::default() };
        assert_eq!(variables.fill("{{user.location}}").len(), MAX_VALUE);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\{|\\}|\n|ä|date| ){0,40}") {
            let filled = Variables { date: Some("x"), ..Variables::default() }.fill(&text);
            prop_assert!(filled.len() <= text.len() || text.contains("{{"));
        }
    }
}
