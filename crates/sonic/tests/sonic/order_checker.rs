//! The order rules of `nova-sonic.md` §2.5, written down a second time.
//!
//! It shares nothing with the crate's own gate: it reads the JSON that leaves the session, as the
//! service would, and panics where the service would end the stream.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use voice_sonic::Transmit;

#[derive(Debug, Default)]
pub(crate) struct OrderChecker {
    events: usize,
    prompt: Option<String>,
    prompt_ended: bool,
    session_ended: bool,
    closed: bool,
    /// Open contents: type, interactive, bytes of data.
    open: BTreeMap<String, (String, bool, usize)>,
    names: BTreeSet<String>,
    had_system: bool,
    history: Vec<String>,
    had_audio: bool,
    /// Bytes of audio since the last interactive text.
    fresh_audio: usize,
    /// Tool calls that were reported and not answered. An id may come again after its answer.
    pub(crate) tool_calls: Vec<String>,
}

impl OrderChecker {
    pub(crate) fn check(&mut self, transmit: &Transmit) {
        assert!(!self.closed, "something follows the close");
        let Transmit::Event(json) = transmit else {
            self.closed = true;
            return;
        };
        let value: Value = serde_json::from_slice(json).expect("JSON");
        let event = value["event"].as_object().expect("an envelope");
        assert_eq!((value.as_object().unwrap().len(), event.len()), (1, 1));
        let (name, body) = event.iter().next().unwrap();
        assert!(!self.session_ended, "{name} after sessionEnd");
        assert_eq!(self.events == 0, name == "sessionStart", "sessionStart is first, and once");
        assert_eq!(self.events == 1, name == "promptStart", "promptStart is second, and once");
        self.events += 1;
        match name.as_str() {
            "sessionStart" => {}
            "promptStart" => {
                self.prompt = Some(text(body, "promptName"));
                assert_ne!(body["audioOutputConfiguration"]["voiceId"], "");
            }
            "sessionEnd" => {
                assert!(self.prompt_ended, "sessionEnd before promptEnd");
                self.session_ended = true;
            }
            _ => {
                assert!(!self.prompt_ended, "{name} after promptEnd");
                assert_eq!(Some(text(body, "promptName")), self.prompt);
                self.within_prompt(name, body);
            }
        }
    }

    fn within_prompt(&mut self, name: &str, body: &Value) {
        match name {
            "contentStart" => self.content_start(body),
            "textInput" | "audioInput" | "toolResult" => self.data(name, body),
            "contentEnd" => {
                let (kind, interactive, bytes) =
                    self.open.remove(&text(body, "contentName")).expect("an open content");
                assert!(bytes > 0, "Cannot end content as no content data was received");
                if kind == "TEXT" && interactive {
                    self.fresh_audio = 0;
                }
            }
            "promptEnd" => {
                assert!(self.open.is_empty(), "All contents must be closed before ending prompt");
                assert!(self.had_audio, "must have at least one audio content");
                self.prompt_ended = true;
            }
            other => panic!("there is no input event `{other}`"),
        }
    }

    fn content_start(&mut self, body: &Value) {
        let (name, kind, role) =
            (text(body, "contentName"), text(body, "type"), text(body, "role"));
        let interactive = body["interactive"].as_bool().expect("interactive");
        assert!(self.names.insert(name.clone()), "a content name twice");
        assert!(
            self.open.values().all(|(kind, ..)| kind == "AUDIO"),
            "a content within a text or a tool result"
        );
        assert_eq!(!self.had_system, role == "SYSTEM", "SYSTEM is first, and once");
        let audio_is_open = !self.open.is_empty();
        match (kind.as_str(), role.as_str(), interactive) {
            ("TEXT", "SYSTEM", false) => self.had_system = true,
            ("TEXT", "USER" | "ASSISTANT", false) => {
                assert!(!self.had_audio, "history after audio");
                let expected =
                    if self.history.len().is_multiple_of(2) { "USER" } else { "ASSISTANT" };
                assert_eq!(role, expected, "history alternates and begins with the user");
                self.history.push(role);
            }
            ("TEXT", "USER", true) => {
                assert!(audio_is_open, "interactive text without audio");
                assert!(self.fresh_audio >= 3_200, "interactive text without 100 ms of audio");
            }
            ("AUDIO", "USER", true) => {
                assert!(!self.had_audio, "a second audio content");
                self.had_audio = true;
            }
            ("TOOL", "TOOL", false) => {
                assert!(audio_is_open, "a tool result without audio");
                let configuration = &body["toolResultInputConfiguration"];
                assert_eq!(configuration["textInputConfiguration"]["mediaType"], "text/plain");
                let id = text(configuration, "toolUseId");
                let call = self.tool_calls.iter().position(|call| *call == id);
                self.tool_calls.remove(call.expect("a result that nobody waits for"));
            }
            other => panic!("no such content: {other:?}"),
        }
        self.open.insert(name, (kind, interactive, 0));
    }

    fn data(&mut self, event: &str, body: &Value) {
        let content = text(body, "content");
        if event == "audioInput" {
            let within_text = self.open.values().any(|(kind, ..)| kind == "TEXT");
            assert!(!within_text, "audioInput within a text block");
            self.fresh_audio += content.trim_end_matches('=').len() * 3 / 4;
        }
        let open = self.open.get_mut(&text(body, "contentName")).expect("an open content");
        let kind = match event {
            "textInput" => "TEXT",
            "audioInput" => "AUDIO",
            _ => "TOOL",
        };
        assert_eq!(open.0, kind, "{event} for a content of another type");
        match kind {
            "TEXT" => assert!(content.len() <= 1_000, "more than 1,000 bytes in one textInput"),
            "TOOL" => {
                assert!(serde_json::from_str::<Value>(&content).unwrap().is_object());
                assert_eq!(open.2, 0, "two results in one content");
            }
            _ => {}
        }
        open.2 += content.len();
    }
}

fn text(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap_or_else(|| panic!("{key} is missing in {body}")).to_owned()
}
