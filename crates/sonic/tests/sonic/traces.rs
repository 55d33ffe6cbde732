//! Plays the golden traces of `tests/traces/*.jsonl` against the session.
//!
//! A trace is a list of JSON objects, one per line:
//!
//! | line | meaning |
//! |---|---|
//! | `{"note": …}` | a comment |
//! | `{"settings": {"model", "greeting"}}` | how the session is made; once, before the rest |
//! | `{"skip": "opening"}` | what was queued so far is not compared |
//! | `{"call": "<method>", …}` | a call of the engine |
//! | `{"from": "service", "event": …}` | an event of the service (`"raw"`: bytes instead) |
//! | `{"from": "client", "event": …}` | what the session must send next; fields that are not named and those that are `"*"` may be anything; `"close"` closes the input |
//! | `{"expect": …}` | what the session must report next |
//! | `{"turn": …}`, `{"phase": …}` | what it must say when asked |
//!
//! Nothing may be sent or reported that the trace does not name.

use std::{collections::VecDeque, fs, path::Path};

use serde_json::{Value, json};
use voice_call::{AudioChunk, SampleRate};
use voice_sonic::{
    LineState, ModelFamily, Session, SessionEvent, SessionSettings, TokenCounts, Transmit,
};

#[test]
fn the_session_follows_every_golden_trace() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let mut played = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            play(&path);
            played += 1;
        }
    }
    assert!(played >= 10, "only {played} traces were found");
}

struct Player {
    session: Session,
    sent: VecDeque<Value>,
    reported: VecDeque<Value>,
}

fn play(path: &Path) {
    let trace = fs::read_to_string(path).unwrap();
    let mut player = Player::new(&json!({}));
    for (number, text) in trace.lines().enumerate() {
        let at = format!("{}:{}", path.file_name().unwrap().to_string_lossy(), number + 1);
        let line: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{at}: {e}"));
        player.step(&line, &at);
    }
    player.assert_quiet("the end of the trace");
}

impl Player {
    fn new(settings: &Value) -> Self {
        let session = Session::new(SessionSettings {
            model: ModelFamily::from_model_id(settings["model"].as_str().unwrap_or_default()),
            greeting: settings["greeting"].as_str().map(str::to_owned),
            ..Default::default()
        });
        let mut player = Self { session, sent: VecDeque::new(), reported: VecDeque::new() };
        player.drain();
        player
    }

    fn step(&mut self, line: &Value, at: &str) {
        let key = line.as_object().and_then(|l| l.keys().next()).map(String::as_str);
        match key.unwrap_or_default() {
            "note" => {}
            "settings" => *self = Self::new(&line["settings"]),
            "skip" => self.sent.clear(),
            "turn" => assert_eq!(json!(format!("{:?}", self.session.turn())), line["turn"], "{at}"),
            "phase" => {
                assert_eq!(json!(format!("{:?}", self.session.phase())), line["phase"], "{at}");
            }
            "expect" => {
                assert_eq!(self.reported.pop_front().as_ref(), Some(&line["expect"]), "{at}")
            }
            _ if line["from"] == "client" => {
                let sent =
                    self.sent.pop_front().unwrap_or_else(|| panic!("{at}: nothing was sent"));
                assert!(matches(&line["event"], &sent), "{at}: sent {sent}");
            }
            _ => {
                self.assert_quiet(at);
                self.act(line, at);
                self.drain();
            }
        }
    }

    fn act(&mut self, line: &Value, at: &str) {
        let session = &mut self.session;
        match line["call"].as_str() {
            Some("stream_opened") => session.stream_opened(),
            Some("push_audio") => {
                let ms = line["ms"].as_u64().unwrap() as u32;
                session.push_audio(&AudioChunk::silence(SampleRate::Hz16000, ms)).unwrap();
            }
            Some("push_text") => session.push_text(line["text"].as_str().unwrap()).unwrap(),
            Some("push_tool_result") => session
                .push_tool_result(line["toolUseId"].as_str().unwrap(), &line["result"])
                .unwrap(),
            Some("declare_interruption") => session.declare_interruption(),
            Some("finish") => session.finish(),
            Some(other) => panic!("{at}: there is no call `{other}`"),
            None => match line["raw"].as_str() {
                Some(raw) => session.receive(raw.as_bytes()),
                None => session.receive(json!({ "event": line["event"] }).to_string().as_bytes()),
            },
        }
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.session.poll_transmit() {
            self.sent.push_back(match transmit {
                Transmit::Close => json!("close"),
                Transmit::Event(event) => {
                    serde_json::from_slice::<Value>(&event).unwrap()["event"].clone()
                }
            });
        }
        while let Some(event) = self.session.poll_event() {
            self.reported.push_back(described(event));
        }
    }

    fn assert_quiet(&self, at: &str) {
        assert!(self.sent.is_empty(), "before {at}: also sent {:?}", self.sent);
        assert!(self.reported.is_empty(), "before {at}: also reported {:?}", self.reported);
    }
}

/// Whether `actual` has everything that `pattern` names.
fn matches(pattern: &Value, actual: &Value) -> bool {
    match (pattern, actual) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Object(pattern), Value::Object(actual)) => pattern
            .iter()
            .all(|(key, wanted)| actual.get(key).is_some_and(|value| matches(wanted, value))),
        _ => pattern == actual,
    }
}

/// An event as the traces write it.
fn described(event: SessionEvent) -> Value {
    let counts =
        |c: TokenCounts| json!([c.input_speech, c.input_text, c.output_speech, c.output_text]);
    match event {
        SessionEvent::UserSpeechStarted { offset_ms } => {
            json!({ "userSpeechStarted": { "offsetMs": offset_ms } })
        }
        SessionEvent::UserSpeechEnded { offset_ms, detected_ms } => {
            json!({ "userSpeechEnded": { "offsetMs": offset_ms, "detectedMs": detected_ms } })
        }
        SessionEvent::Line(line) => {
            let state = match line.state {
                LineState::Streaming => "streaming",
                LineState::Final => "final",
            };
            let mut described = json!({ "id": line.id, "speaker": line.speaker.as_str(),
                "text": line.text, "state": state });
            if line.interrupted {
                described["interrupted"] = json!(true);
            }
            json!({ "line": described })
        }
        SessionEvent::AssistantTurnStarted => json!("assistantTurnStarted"),
        SessionEvent::Audio(chunk) => json!({ "audio": { "samples": chunk.samples() } }),
        SessionEvent::Interrupted => json!("interrupted"),
        SessionEvent::ToolCall { tool_use_id, name, input } => {
            json!({ "toolCall": { "toolUseId": tool_use_id, "name": name, "input": input } })
        }
        SessionEvent::Usage(usage) => {
            json!({ "usage": { "delta": counts(usage.delta), "total": counts(usage.total) } })
        }
        SessionEvent::AssistantTurnEnded { interrupted } => {
            json!({ "assistantTurnEnded": { "interrupted": interrupted } })
        }
        SessionEvent::Completed => json!("completed"),
        SessionEvent::Unknown { name } => json!({ "unknown": { "name": name } }),
        SessionEvent::Malformed { .. } => json!("malformed"),
    }
}
