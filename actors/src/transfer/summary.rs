//! What a human agent is told of a call: a few lines of text, and attributes.
//!
//! Made from the transcript and the tools' results, without a model. Secrets of the caller are
//! left out: a security code proves nothing once it is written down.

use std::collections::VecDeque;

use serde_json::{Map, Value};
use voice_catalog::{Tool, name::fold};
use voice_sonic::Speaker;

/// Lines that are quoted.
const QUOTED: usize = 6;
/// Tool calls that are listed.
const LISTED: usize = 12;
/// Attributes that are handed on: more than 32 are of no use on an agent's screen.
const ATTRIBUTES: usize = 32;
/// The longest text of an attribute.
const LONGEST: usize = 256;
/// The longest line that is quoted, in characters.
const LONGEST_LINE: usize = 300;
/// Under what names tools tell who the caller is.
const NAMES: [&str; 6] =
    ["holder", "accountholder", "customername", "fullname", "callername", "name"];
/// By what results tools say that they have checked the identity.
const CHECKS: [&str; 5] = ["verified", "authenticated", "authorized", "authorised", "identified"];
/// Parts of names whose values are nobody's business.
const SECRET: [&str; 16] = [
    "password",
    "passcode",
    "passphrase",
    "secret",
    "token",
    "securitycode",
    "accesscode",
    "authcode",
    "verificationcode",
    "onetimecode",
    "otp",
    "cvv",
    "cvc",
    "cardnumber",
    "ssn",
    "pincode",
];

/// A tool call that ended.
#[derive(Debug, Clone)]
struct Tried {
    tool: String,
    outcome: &'static str,
}

/// What is gathered of a call.
#[derive(Debug, Default)]
pub(super) struct Story {
    said: VecDeque<(String, Speaker, String)>,
    tried: Vec<Tried>,
    /// What the last identity check said.
    verified: Option<(bool, String)>,
    attributes: Map<String, Value>,
}

impl Story {
    /// A line was said, or was corrected. Answers whether it is new.
    pub(super) fn line_said(&mut self, id: &str, speaker: Speaker, text: &str) -> bool {
        if let Some(line) = self.said.iter_mut().find(|line| line.0 == id) {
            text.clone_into(&mut line.2);
            return false;
        }
        if self.said.len() == QUOTED {
            self.said.pop_front();
        }
        self.said.push_back((id.to_owned(), speaker, text.to_owned()));
        true
    }

    /// A tool call ended. What it is called with and answers are facts only if it succeeded.
    pub(super) fn tool_ended(
        &mut self,
        tool: &str,
        outcome: &'static str,
        result: &Value,
        facts: Map<String, Value>,
    ) {
        let check = CHECKS.iter().find_map(|key| result.get(*key)?.as_bool());
        let outcome = match check {
            Some(false) => "said no",
            _ => outcome,
        };
        if let Some(verified) = check {
            self.verified = Some((verified, tool.to_owned()));
        }
        if self.tried.len() == LISTED {
            self.tried.remove(0);
        }
        self.tried.push(Tried { tool: tool.to_owned(), outcome });
        for (name, value) in facts {
            if self.attributes.len() < ATTRIBUTES || self.attributes.contains_key(&name) {
                self.attributes.insert(name, value);
            }
        }
    }

    /// What tools have found out about the caller.
    pub(super) fn attributes(&self) -> Map<String, Value> {
        self.attributes.clone()
    }

    /// The story in words; `step` is where a workflow stands.
    pub(super) fn tell(&self, step: Option<&str>) -> String {
        let mut lines = Vec::new();
        let name = NAMES.iter().find_map(|wanted| {
            let named = self.attributes.iter().find(|(key, _)| fold(key) == *wanted);
            named?.1.as_str()
        });
        lines.extend(name.map(|name| format!("Name: {name}")));
        lines.push(match &self.verified {
            Some((true, tool)) => format!("Identity: verified by {tool}"),
            Some((false, tool)) => format!("Identity: not verified, {tool} said no"),
            None => "Identity: not checked".to_owned(),
        });
        if !self.tried.is_empty() {
            let tried = self.tried.iter().map(|t| format!("{} ({})", t.tool, t.outcome));
            lines.push(format!("Tried: {}", tried.collect::<Vec<_>>().join(", ")));
        }
        lines.extend(step.map(|step| format!("Workflow: {step}")));
        if !self.said.is_empty() {
            lines.push("Last words:".to_owned());
        }
        for (_, speaker, text) in &self.said {
            let who = match speaker {
                Speaker::User => "Caller",
                Speaker::Assistant => "Assistant",
            };
            let text: String = text.trim().chars().take(LONGEST_LINE).collect();
            lines.push(format!("{who}: {text}"));
        }
        lines.join("\n")
    }
}

/// What a tool call tells about the caller, without secrets: those that the tool's file hides
/// from logs, and those that go by their name.
pub(crate) fn facts(tool: Option<&Tool>, input: &Value, result: &Value) -> Map<String, Value> {
    let decoded = match input {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    };
    let hidden = tool.map(|tool| (tool.redacted_arguments(&decoded), tool.redacted_result(result)));
    let (shown_input, shown_result) = hidden.unwrap_or((decoded.clone(), result.clone()));
    let mut facts = Map::new();
    for (whole, shown) in [(&decoded, &shown_input), (result, &shown_result)] {
        for (name, value) in whole.as_object().into_iter().flatten() {
            let plain = match value {
                Value::String(text) => !text.is_empty() && text.len() <= LONGEST,
                Value::Number(_) | Value::Bool(_) => true,
                _ => false,
            };
            if plain && shown.get(name) == Some(value) && !is_secret(name) {
                facts.insert(name.clone(), value.clone());
            }
        }
    }
    facts
}

fn is_secret(name: &str) -> bool {
    let name = fold(name);
    name == "pin" || name.ends_with("pin") || SECRET.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_human_hears_who_it_is_what_was_tried_and_the_last_words() {
        let mut story = Story::default();
        let input = json!({"accountId": "4021", "securityCode": "1188", "cardPin": "0000"});
        let result = json!({"verified": true, "holder": "Maria Keller"});
        let known = facts(None, &input, &result);
        story.tool_ended("verify_identity", "done", &result, known);
        story.tool_ended("get_balance", "failed", &json!({"error": "down"}), Map::new());
        assert!(story.line_said("1", Speaker::User, "There is a charge"));
        assert!(!story.line_said("1", Speaker::User, "There is a charge I do not know"));
        let expected = "Name: Maria Keller\nIdentity: verified by verify_identity\n\
                        Tried: verify_identity (done), get_balance (failed)\n\
                        Workflow: bank, at wish\nLast words:\n\
                        Caller: There is a charge I do not know";
        assert_eq!(story.tell(Some("bank, at wish")), expected);
        let expected = json!({"accountId": "4021", "verified": true, "holder": "Maria Keller"});
        assert_eq!(Value::Object(story.attributes()), expected, "no code, no pin");
    }

    #[test]
    fn arguments_that_were_encoded_twice_are_facts_too() {
        let known = facts(None, &json!(r#"{"city": "Berlin"}"#), &json!({"list": [1]}));
        assert_eq!(Value::Object(known), json!({"city": "Berlin"}));
    }
}
