//! Client → server: frames, their limits and their parsing.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use voice_call::{AudioChunk, SampleRate};

/// Largest audio frame: 16 KiB, half a second at 16 kHz.
pub const MAX_AUDIO_BYTES: usize = 16 * 1024;

/// Largest JSON frame.
pub const MAX_JSON_BYTES: usize = 64 * 1024;

/// What a client's frame means.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// The caller's voice.
    Audio(AudioChunk),
    /// A JSON message.
    Message(ClientMessage),
}

/// A JSON message of the client.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientMessage {
    /// `sessionConfig`: settings of the call; sent again whenever one changes.
    SessionConfig(Box<SessionConfig>),
    /// `textInput`: something the caller typed.
    TextInput(String),
    /// `ping`: asks for a `pong`.
    Ping,
    /// `session_feedback`: the caller's opinion of the call.
    SessionFeedback(Feedback),
    /// `authenticate`: the ticket of a client that presented none when it connected.
    Authenticate(Ticket),
}

/// A one-time ticket. Not printable.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Ticket(String);

impl Ticket {
    /// For whoever checks it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket(…)")
    }
}

/// The caller's opinion of the call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Feedback {
    /// Stars, thumbs: whatever the client counts in.
    pub score: f64,
    /// In words.
    #[serde(default)]
    pub comment: Option<String>,
}

/// The settings of a call. Unknown keys are ignored; every key is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionConfig {
    /// `raw_nova` is the one mode there is.
    pub brain_mode: Option<String>,
    /// `phone` when a human can take the line over at any time; else `web`.
    pub channel: Option<String>,
    /// A voice of Nova Sonic, such as `matthew`.
    pub voice_id: Option<String>,
    /// A persona of the catalog, by id; an explicit `systemPrompt` prevails.
    pub persona_id: Option<String>,
    /// Replaces the persona's text.
    pub system_prompt: Option<String>,
    /// How to speak, appended to the system prompt.
    pub speech_prompt: Option<String>,
    /// Whether `core-guardrails` is part of the prompt; it is unless this says no.
    pub enable_guardrails: Option<bool>,
    /// Tools by name: absent = all, empty = none.
    pub selected_tools: Option<Vec<String>>,
    /// Workflows by id.
    pub linked_workflows: Option<Vec<String>>,
    /// How quickly a pause counts as the end of a turn: `HIGH`, `MEDIUM` or `LOW`.
    pub endpointing_sensitivity: Option<String>,
    /// Whether a silent caller is asked after.
    pub inactivity_enabled: Option<bool>,
    /// Seconds of silence before that; fractions are allowed.
    pub inactivity_timeout: Option<f64>,
    /// How often, before goodbye.
    pub inactivity_max_checks: Option<u32>,
    /// Whether the assistant speaks first.
    pub greeting_enabled: Option<bool>,
    /// Where the caller is, for the prompt.
    pub user_location: Option<String>,
    /// IANA time zone of the caller.
    pub user_timezone: Option<String>,
    /// What else is known of the call, for `{{attributes.<name>}}` in prompts.
    pub attributes: Option<BTreeMap<String, Value>>,
}

/// What is wrong with a frame. The call goes on all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The audio ends in the middle of a sample.
    #[error("audio is 16-bit PCM, so a frame has an even number of bytes; this one has {0}")]
    OddAudio(usize),
    /// The audio frame is too large.
    #[error("an audio frame has at most {MAX_AUDIO_BYTES} bytes; this one has {0}")]
    AudioTooLarge(usize),
    /// The JSON frame is too large.
    #[error("a JSON message has at most {MAX_JSON_BYTES} bytes; this one has {0}")]
    JsonTooLarge(usize),
    /// The bytes of a text frame are not UTF-8.
    #[error("a text frame must be UTF-8; byte {0} is not")]
    NotUtf8(usize),
    /// Not JSON, or not the shape of its type.
    #[error("this is not a valid message: {message} (at {path})")]
    Malformed {
        /// Path to the offending value, such as `config.voiceId`.
        path: String,
        /// What was expected.
        message: String,
    },
    /// A `type` we do not know.
    #[error("unknown message type {0:?}; known: {KNOWN}")]
    UnknownType(String),
}

const KNOWN: &str = "sessionConfig, textInput, ping, session_feedback, authenticate";

impl FrameError {
    /// The stable code of the error, as the client sees it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OddAudio(_) => "odd_audio_length",
            Self::AudioTooLarge(_) => "audio_frame_too_large",
            Self::JsonTooLarge(_) => "message_too_large",
            Self::NotUtf8(_) => "invalid_utf8",
            Self::Malformed { .. } => "malformed_message",
            Self::UnknownType(_) => "unknown_type",
        }
    }
}

impl Frame {
    /// Reads a binary frame: audio, or JSON when it starts with `{"`.
    pub fn from_binary(bytes: Bytes) -> Result<Self, FrameError> {
        // Two bytes of audio can look like `{"` too, so what does not parse is audio after all
        // when it is of even length and no text.
        if bytes.starts_with(b"{\"") && std::str::from_utf8(&bytes).is_ok() {
            return Self::from_text(&bytes);
        }
        if bytes.len() > MAX_AUDIO_BYTES {
            return Err(FrameError::AudioTooLarge(bytes.len()));
        }
        AudioChunk::new(bytes, SampleRate::Hz16000)
            .map(Self::Audio)
            .map_err(|odd| FrameError::OddAudio(odd.0))
    }

    /// Reads a text frame.
    pub fn from_text(bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() > MAX_JSON_BYTES {
            return Err(FrameError::JsonTooLarge(bytes.len()));
        }
        let text =
            std::str::from_utf8(bytes).map_err(|e| FrameError::NotUtf8(e.valid_up_to() + 1))?;
        let malformed = |path: &str, error: &dyn std::fmt::Display| FrameError::Malformed {
            path: path.to_owned(),
            message: error.to_string(),
        };
        // serde_json refuses to nest deeper than 128 levels, so depth is no way in.
        let value: Value = serde_json::from_str(text).map_err(|e| malformed(".", &e))?;
        let kind = match value.get("type") {
            Some(Value::String(kind)) => kind.clone(),
            Some(_) => return Err(malformed("type", &"expected a string")),
            None => return Err(malformed("type", &"missing; every message has one")),
        };
        let message = match kind.as_str() {
            "sessionConfig" => {
                ClientMessage::SessionConfig(read(value).map(|m: ConfigMessage| m.config)?)
            }
            "textInput" => ClientMessage::TextInput(read(value).map(|m: TextMessage| m.text)?),
            "ping" => ClientMessage::Ping,
            "session_feedback" => ClientMessage::SessionFeedback(read(value)?),
            "authenticate" => {
                ClientMessage::Authenticate(read(value).map(|m: TicketMessage| m.ticket)?)
            }
            _ => return Err(FrameError::UnknownType(kind.chars().take(64).collect())),
        };
        Ok(Self::Message(message))
    }
}

#[derive(Deserialize)]
struct ConfigMessage {
    #[serde(default)]
    config: Box<SessionConfig>,
}

#[derive(Deserialize)]
struct TextMessage {
    text: String,
}

#[derive(Deserialize)]
struct TicketMessage {
    ticket: Ticket,
}

/// Reads one message; an error names the path of the value that is wrong.
fn read<T: DeserializeOwned>(value: Value) -> Result<T, FrameError> {
    serde_path_to_error::deserialize(value).map_err(|error| FrameError::Malformed {
        path: error.path().to_string(),
        message: error.into_inner().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_in_a_binary_frame_is_a_message() {
        let frame = Frame::from_binary(Bytes::from_static(br#"{"type":"ping"}"#));
        assert_eq!(frame, Ok(Frame::Message(ClientMessage::Ping)));
    }

    #[test]
    fn audio_that_starts_like_json_is_audio() {
        let frame = Frame::from_binary(Bytes::from_static(&[b'{', b'"', 0xff, 0xfe]));
        assert!(matches!(frame, Ok(Frame::Audio(_))), "{frame:?}");
    }

    #[test]
    fn a_ticket_is_read_and_never_printed() {
        let frame = Frame::from_text(br#"{"type":"authenticate","ticket":"t-1"}"#);
        let Ok(Frame::Message(ClientMessage::Authenticate(ticket))) = &frame else {
            panic!("no ticket: {frame:?}");
        };
        assert_eq!(ticket.reveal(), "t-1");
        assert!(!format!("{frame:?}").contains("t-1"));
        let error = Frame::from_text(br#"{"type":"authenticate"}"#).expect_err("no ticket");
        assert!(error.to_string().contains("ticket"), "{error}");
    }

    #[test]
    fn unknown_keys_are_ignored_and_known_ones_read() {
        let text = br#"{"type":"sessionConfig","config":{"voiceId":"amy","selectedTools":[],
            "inactivityTimeout":1.5,"novel":{"x":1}}}"#;
        let Ok(Frame::Message(ClientMessage::SessionConfig(config))) = Frame::from_text(text)
        else {
            panic!("not a sessionConfig");
        };
        assert_eq!(config.voice_id.as_deref(), Some("amy"));
        assert_eq!(config.selected_tools, Some(vec![]));
        assert_eq!(config.inactivity_timeout, Some(1.5));
    }

    #[test]
    fn a_wrong_value_is_named_by_its_path() {
        let error = Frame::from_text(br#"{"type":"sessionConfig","config":{"voiceId":7}}"#)
            .expect_err("a number is no voice");
        assert!(error.to_string().contains("voiceId"), "{error}");
    }

    #[test]
    fn each_mistake_has_its_own_code() {
        let code = |bytes: &[u8]| Frame::from_text(bytes).expect_err("a mistake").code();
        assert_eq!(code(b"{\"type\":\"dance\"}"), "unknown_type");
        assert_eq!(code(b"not json"), "malformed_message");
        assert_eq!(code(b"{\"type\":\"textInput\"}"), "malformed_message");
        assert_eq!(code(b"\xff\xfe"), "invalid_utf8");
        assert_eq!(code("[".repeat(4_000).as_bytes()), "malformed_message");
        assert_eq!(code(" ".repeat(MAX_JSON_BYTES + 1).as_bytes()), "message_too_large");
        let odd = Frame::from_binary(Bytes::from_static(&[1, 2, 3])).expect_err("odd");
        assert_eq!(odd.code(), "odd_audio_length");
        let large = Frame::from_binary(vec![0; MAX_AUDIO_BYTES + 2].into()).expect_err("large");
        assert_eq!(large.code(), "audio_frame_too_large");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let _ = Frame::from_text(&bytes);
            let _ = Frame::from_binary(bytes.into());
        }
    }
}
