//! Reading on in a conversation that another stream began (nova-sonic.md §2.6).
//!
//! A stream that continues an earlier one is told what was said; tools are told in words. The
//! script follows it silently and stands where it stood. What was cut from the history is
//! forgotten. The words are those in which a client is likely to say such things, ours among them.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value;

use super::{Heard, Script, Step};
use crate::ear::MIN_TURN_MS;

/// What the USER text says of speech whose words nobody knows. No words are invented.
pub(crate) const NOT_RECOGNISED: &str = "(speech detected, not recognised)";

/// How a client tells the result of a tool that an earlier stream called.
const RESULT: &str = "[Result of the tool ";
/// What stands before the result.
const CALLED_EARLIER: &str = ", called earlier: ";
/// How a history tells that a tool was called, and what it answered.
const CALLED: &str = "[I called the tool ";
const ANSWERED: &str = "; it answered ";
/// How a client asks for the rest of an answer that was lost on the way.
const CUT_OFF: &str = "[Your last answer was cut off";

/// Answers that are remembered: more than a caller can have waiting.
const ANSWERS: usize = 8;

/// What the model said lately.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// The sentences of the latest answers, the latest last.
    answers: VecDeque<Vec<String>>,
    /// The assistant's last words in the history.
    last_words: String,
}

impl Past {
    /// The model answers.
    pub(super) fn answered(&mut self, steps: &[Step]) {
        let sentences: Vec<String> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Say(text) => Some(text.clone()),
                _ => None,
            })
            .collect();
        if !sentences.is_empty() {
            if self.answers.len() == ANSWERS {
                self.answers.pop_front();
            }
            self.answers.push_back(sentences);
        }
    }

    /// The rest of the answer that the history ends with, its last sentence included: nobody
    /// knows how much of that was heard. Without a trace of any, the whole of the latest.
    fn rest(&self) -> Vec<Step> {
        let place = |sentence: &String| self.last_words.rfind(sentence.as_str());
        let traced = self
            .answers
            .iter()
            .flat_map(|answer| {
                answer.iter().enumerate().map(move |(at, sentence)| (sentence, &answer[at..]))
            })
            .filter_map(|(sentence, rest)| Some((place(sentence)?, rest)))
            .max_by_key(|(place, _)| *place)
            .map(|(_, rest)| rest);
        let latest = || self.answers.back().map(Vec::as_slice);
        let rest = traced.or_else(latest).unwrap_or_default();
        rest.iter().cloned().map(Step::Say).collect()
    }
}

impl Script {
    /// The caller said this, on an earlier stream.
    pub fn recall_caller(&mut self, text: &str) {
        // Lines of one speaker come as one; speech is told by its place holder.
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(NOT_RECOGNISED) {
            self.recall_words(before);
            self.hear(Heard::Speech { ms: MIN_TURN_MS, words: None });
            rest = after;
        }
        self.recall_words(rest);
    }

    fn recall_words(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        match result_in_words(text) {
            Some((tool_use_name, result)) => {
                self.hear(Heard::ToolResult { tool_use_name, result: &result });
            }
            None => {
                self.hear(typed(text));
            }
        }
    }

    /// The assistant said this, on an earlier stream.
    pub fn recall_assistant(&mut self, text: &str) {
        text.clone_into(&mut self.past.last_words);
        let mut rest = text;
        while let Some((_, call)) = rest.split_once(CALLED) {
            rest = call;
            let Some((name, _)) = call.split_once(' ') else { return };
            let Some((_, result)) = call.split_once(ANSWERED) else { return };
            // A result that was cut is no JSON any more, and is forgotten.
            if let Some(result) = leading_json(result) {
                self.hear(Heard::ToolResult { tool_use_name: name, result: &result });
            }
        }
    }

    /// What the model does about a text that continues what an earlier stream left undone; `None`
    /// for any other text.
    pub fn hear_left_over(&mut self, text: &str) -> Option<Vec<Step>> {
        if text.starts_with(CUT_OFF) {
            return Some(self.past.rest());
        }
        let (tool_use_name, result) = result_in_words(text)?;
        Some(self.hear(Heard::ToolResult { tool_use_name, result: &result }))
    }
}

/// A typed text: keys of a telephone, or words.
pub(crate) fn typed(text: &str) -> Heard<'_> {
    keys(text).map_or(Heard::Text(text), Heard::Dtmf)
}

/// The telephone keys a text stands for: `DTMF 123#`, or keys with at least one that is no figure.
/// A bare number is text: whoever typed it may mean an amount.
fn keys(text: &str) -> Option<&str> {
    let text = text.trim();
    let named = text.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("dtmf"));
    let keys = if named { text[4..].trim_start_matches([':', ' ']) } else { text };
    let pressed = keys.chars().all(|c| c.is_ascii_digit() || c == '*' || c == '#');
    (!keys.is_empty() && pressed && (named || keys.contains(['*', '#']))).then_some(keys)
}

/// The tool and its result, from a text that tells them.
fn result_in_words(text: &str) -> Option<(&str, Value)> {
    let (name, result) = text.strip_prefix(RESULT)?.split_once(CALLED_EARLIER)?;
    Some((name, leading_json(result)?))
}

/// The JSON at the start of a text.
fn leading_json(text: &str) -> Option<Value> {
    Value::deserialize(&mut serde_json::Deserializer::from_str(text)).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::script::Scenario;

    fn says(steps: &[Step]) -> String {
        let said = steps.iter().filter_map(|step| match step {
            Step::Say(text) => Some(text.as_str()),
            _ => None,
        });
        said.collect::<Vec<_>>().join(" ")
    }

    const SHOP: &str = r#"{
        "name": "shop", "start": "open", "slots": { "order": { "kind": "digits" } },
        "states": {
            "open": { "turns": [
                { "when": { "text": "order" }, "do": [{ "say": "Which number?" }],
                  "goto": "number" }] },
            "number": { "turns": [
                { "when": { "text": "{order}" }, "do": [{ "call": { "tool": "find" } }] },
                { "when": { "results": "find" }, "if": { "result.found": true },
                  "do": [{ "call": { "tool": "track" } }], "goto": "tracking" }] },
            "tracking": { "end": true, "turns": [
                { "when": { "results": "track" }, "do": [
                  { "say": "Order {order} is in {track.place}. Goodbye." }] }] }
        }
    }"#;

    fn shop() -> Script {
        Script::new(Arc::new(Scenario::parse(SHOP).unwrap_or_else(|e| panic!("{e}"))))
    }

    #[test]
    fn a_script_that_read_the_history_goes_on_like_the_one_that_lived_it() {
        let (mut lived, mut read) = (shop(), shop());
        for text in ["My order", "4 0 2 1"] {
            lived.hear(Heard::Text(text));
        }
        read.recall_caller("My order");
        read.recall_assistant("Which number?");
        read.recall_caller("4 0 2 1");
        let found = json!({"found": true, "note": "a \"quoted\" ]"});
        lived.hear(Heard::ToolResult { tool_use_name: "find", result: &found });
        read.recall_assistant(&format!(
            "Hm. [I called the tool find with {{}}; it answered {found}] [I called the tool x"
        ));
        let place = json!({"place": "Rome"});
        let lived = lived.hear(Heard::ToolResult { tool_use_name: "track", result: &place });
        assert_eq!(says(&lived), "Order 4021 is in Rome. Goodbye.");
        let told = format!("[Result of the tool track, called earlier: {place}]");
        assert_eq!(read.hear_left_over(&told), Some(lived.clone()));
        let again = read.hear_left_over("[Your last answer was cut off by something. Go on.]");
        assert_eq!(again, Some(lived));
    }

    #[test]
    fn an_answer_that_was_cut_is_gone_on_with_at_its_last_sentence() {
        let scenario = r#"{"name": "two", "start": "a", "states": {"a": {"end": true, "turns": [
            {"when": {"text": "story"}, "do": [{"say": "Once there was. It grew. It ended."}]},
            {"when": {"any": true}, "do": [{"say": "I see."}]}]}}}"#;
        let mut read = Script::new(Arc::new(Scenario::parse(scenario).unwrap()));
        // The model answered them in another order.
        read.recall_caller(&format!("story {NOT_RECOGNISED}"));
        read.recall_assistant("I see. Once there was. It grew.");
        let rest = read.hear_left_over("[Your last answer was cut off by a fault.]").unwrap();
        assert_eq!(says(&rest), "It grew. It ended.");
    }

    fn bank() -> Script {
        Script::new(Arc::new(Scenario::default()))
    }

    #[test]
    fn speech_is_recalled_by_its_place_holder() {
        let (mut lived, mut read) = (bank(), bank());
        for _ in 0..3 {
            lived.hear(Heard::Speech { ms: 900, words: None });
        }
        read.recall_caller(&format!("{NOT_RECOGNISED} {NOT_RECOGNISED}"));
        read.recall_caller(NOT_RECOGNISED);
        let next = Heard::Speech { ms: 900, words: None };
        assert_eq!(read.hear(next), lived.hear(next));
    }

    #[test]
    fn what_is_no_left_over_is_not_taken_for_one() {
        for text in ["hello", "[Result of the tool x]", "[Result of the tool x, called earlier: {"]
        {
            assert_eq!(bank().hear_left_over(text), None, "{text}");
        }
        // Half a call in a history that was cut.
        bank().recall_assistant("[I called the tool x with {}; it answered {\"a\": \"b…]");
        bank().recall_assistant("[I called the tool ");
    }

    #[test]
    fn a_bare_number_is_text_and_telephone_keys_are_keys() {
        let cases = [
            ("DTMF: 12", Some("12")),
            ("dtmf 4821#", Some("4821#")),
            (" 12# ", Some("12#")),
            ("*", Some("*")),
            ("500", None),
            ("dtmf", None),
            ("press 1#", None),
            ("", None),
            ("Ünïcödé", None),
        ];
        for (text, expected) in cases {
            assert_eq!(keys(text), expected, "{text}");
        }
    }
}
