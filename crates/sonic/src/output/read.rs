//! Reads an event of the service out of its JSON, and tolerates what it can.
//!
//! Two steps: the envelope, which gives the name and the still unread body, then the body by
//! name. `audioOutput` is most of the traffic: in its usual form it is read by `quick`, and here
//! without an intermediate tree.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    AudioForm, AudioOutput, CompletionEnd, ContentEnd, ContentKind, ContentStart, Ids, OutputEvent,
    OutputRole, Stage, StopReason, TextOutput, ToolUse, UsageReport, UserSpeechEnd,
    UserSpeechStart,
};
use crate::usage::TokenCounts;

/// Standard alphabet, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why bytes are not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON, or not of the form `{"event":{"<name>":{…}}}`.
    #[error("not of the form {{\"event\":{{\"<name>\":{{…}}}}}}: {0}")]
    Envelope(String),
    /// The body is not JSON that can be read (nested too deeply, for one).
    #[error("the body of `{name}` cannot be read: {problem}")]
    Body {
        /// The event.
        name: String,
        /// What was wrong.
        problem: String,
    },
    /// The audio is not base64.
    #[error("the content of `audioOutput` is not base64: {0}")]
    Base64(String),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

/// Reads one event. An unknown name is [`OutputEvent::Unknown`], unknown fields are skipped.
pub fn parse(payload: &[u8]) -> Result<OutputEvent, Unreadable> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(payload).map_err(|e| Unreadable::Envelope(e.to_string()))?;
    // One name per event; should there ever be more, the known one counts.
    let mut first_unknown = None;
    for (name, body) in envelope.event {
        match body_of(&name, body.get())? {
            Some(event) => return Ok(event),
            None => first_unknown = first_unknown.or_else(|| Some(name.into_owned())),
        }
    }
    match first_unknown {
        Some(name) => Ok(OutputEvent::Unknown { name }),
        None => Err(Unreadable::Envelope("`event` is empty".to_owned())),
    }
}

fn body_of(name: &str, body: &str) -> Result<Option<OutputEvent>, Unreadable> {
    if name == "audioOutput"
        && let Some(audio) = quick_audio(body)?
    {
        return Ok(Some(OutputEvent::AudioOutput(audio)));
    }
    let read: fn(&Fields) -> Result<OutputEvent, Unreadable> = match name {
        "completionStart" => |f| Ok(OutputEvent::CompletionStart(f.ids())),
        "contentStart" => |f| Ok(OutputEvent::ContentStart(content_start(f))),
        "textOutput" => |f| {
            Ok(OutputEvent::TextOutput(TextOutput {
                ids: f.ids(),
                content_id: f.text("contentId"),
                role: f.role(),
                content: f.text("content"),
            }))
        },
        "audioOutput" => |f| {
            Ok(OutputEvent::AudioOutput(AudioOutput {
                ids: f.ids(),
                content_id: f.text("contentId"),
                role: f.role(),
                pcm: decode(&f.text("content"))?,
            }))
        },
        "toolUse" => |f| Ok(OutputEvent::ToolUse(tool_use(f))),
        "contentEnd" => |f| {
            Ok(OutputEvent::ContentEnd(ContentEnd {
                ids: f.ids(),
                content_id: f.text("contentId"),
                kind: f.kind(),
                stop_reason: f.stop_reason(),
            }))
        },
        "completionEnd" => |f| {
            Ok(OutputEvent::CompletionEnd(CompletionEnd {
                ids: f.ids(),
                stop_reason: f.stop_reason(),
            }))
        },
        "usageEvent" => |f| Ok(OutputEvent::Usage(usage(f))),
        "userSpeechStart" => |f| {
            Ok(OutputEvent::UserSpeechStart(UserSpeechStart {
                ids: f.ids(),
                input_audio_offset_ms: f.number("inputAudioOffsetMs"),
            }))
        },
        "userSpeechEnd" => |f| {
            Ok(OutputEvent::UserSpeechEnd(UserSpeechEnd {
                ids: f.ids(),
                input_audio_offset_ms: f.number("inputAudioOffsetMs"),
                input_audio_detection_offset_ms: f.number("inputAudioDetectionOffsetMs"),
            }))
        },
        _ => return Ok(None),
    };
    let fields = serde_json::from_str(body)
        .map_err(|e| Unreadable::Body { name: name.to_owned(), problem: e.to_string() })?;
    read(&Fields(fields)).map(Some)
}

/// `None` when the fields are not what they usually are: the slow way may still make sense of it.
fn quick_audio(body: &str) -> Result<Option<AudioOutput>, Unreadable> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        #[serde(borrow)]
        content: Cow<'a, str>,
        #[serde(default)]
        content_id: String,
        #[serde(default)]
        session_id: String,
        #[serde(default)]
        prompt_name: String,
        #[serde(default)]
        completion_id: String,
        #[serde(borrow, default)]
        role: Cow<'a, str>,
    }
    let Ok(body) = serde_json::from_str::<Body<'_>>(body) else { return Ok(None) };
    Ok(Some(AudioOutput {
        ids: Ids {
            session_id: body.session_id,
            prompt_name: body.prompt_name,
            completion_id: body.completion_id,
        },
        content_id: body.content_id,
        role: role_named(&body.role),
        pcm: decode(&body.content)?,
    }))
}

fn decode(content: &str) -> Result<Bytes, Unreadable> {
    BASE64.decode(content.trim()).map(Bytes::from).map_err(|e| Unreadable::Base64(e.to_string()))
}

pub(super) fn role_named(word: &str) -> Option<OutputRole> {
    match word {
        "USER" => Some(OutputRole::User),
        "ASSISTANT" => Some(OutputRole::Assistant),
        "TOOL" => Some(OutputRole::Tool),
        _ => None,
    }
}

/// A body whose fields are taken as they come.
struct Fields(Value);

impl Fields {
    fn text(&self, key: &str) -> String {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn number(&self, key: &str) -> u64 {
        number(self.0.get(key))
    }

    fn under(&self, path: &[&str]) -> Option<Fields> {
        let mut at = &self.0;
        for key in path {
            at = at.get(key)?;
        }
        at.is_object().then(|| Fields(at.clone()))
    }

    fn ids(&self) -> Ids {
        Ids {
            session_id: self.text("sessionId"),
            prompt_name: self.text("promptName"),
            completion_id: self.text("completionId"),
        }
    }

    fn role(&self) -> Option<OutputRole> {
        role_named(&self.text("role"))
    }

    fn kind(&self) -> Option<ContentKind> {
        match self.text("type").as_str() {
            "TEXT" => Some(ContentKind::Text),
            "AUDIO" => Some(ContentKind::Audio),
            "TOOL" => Some(ContentKind::Tool),
            _ => None,
        }
    }

    fn stop_reason(&self) -> StopReason {
        match self.text("stopReason").as_str() {
            "PARTIAL_TURN" => StopReason::PartialTurn,
            "END_TURN" => StopReason::EndTurn,
            "INTERRUPTED" => StopReason::Interrupted,
            "TOOL_USE" => StopReason::ToolUse,
            _ => StopReason::Other,
        }
    }

    /// The stage is JSON within a string; an object in its place is understood as well.
    fn stage(&self) -> Option<Stage> {
        let fields = match self.0.get("additionalModelFields")? {
            Value::String(text) => serde_json::from_str(text).ok()?,
            object => object.clone(),
        };
        match fields.get("generationStage")?.as_str()? {
            "SPECULATIVE" => Some(Stage::Speculative),
            "FINAL" => Some(Stage::Final),
            _ => None,
        }
    }
}

fn number(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::Number(n)) => n
            .as_u64()
            // A cast of a float saturates: negative and NaN give 0.
            .or_else(|| n.as_f64().map(|f| f as u64))
            .unwrap_or_default(),
        Some(Value::String(text)) => text.trim().parse().unwrap_or_default(),
        _ => 0,
    }
}

fn content_start(f: &Fields) -> ContentStart {
    let audio = f.under(&["audioOutputConfiguration"]);
    let media = audio
        .as_ref()
        .map(|a| a.text("mediaType"))
        .or_else(|| f.under(&["textOutputConfiguration"]).map(|t| t.text("mediaType")))
        .or_else(|| f.under(&["toolUseOutputConfiguration"]).map(|t| t.text("mediaType")));
    ContentStart {
        ids: f.ids(),
        content_id: f.text("contentId"),
        kind: f.kind(),
        role: f.role(),
        stage: f.stage(),
        media_type: media.unwrap_or_default(),
        audio: audio.map(|a| AudioForm {
            sample_rate_hertz: a.number("sampleRateHertz"),
            sample_size_bits: a.number("sampleSizeBits"),
            channel_count: a.number("channelCount"),
            encoding: a.text("encoding"),
        }),
    }
}

fn tool_use(f: &Fields) -> ToolUse {
    ToolUse {
        ids: f.ids(),
        content_id: f.text("contentId"),
        role: f.role(),
        tool_name: f.text("toolName"),
        tool_use_id: f.text("toolUseId"),
        content: match f.0.get("content") {
            Some(Value::String(text)) => text.clone(),
            // Not seen, but its meaning would be plain.
            Some(object) => object.to_string(),
            None => String::new(),
        },
    }
}

fn usage(f: &Fields) -> UsageReport {
    let counts = |which| {
        let details = f.under(&["details", which])?;
        let of = |direction, kind| {
            number(details.0.get(direction).and_then(|tokens: &Value| tokens.get(kind)))
        };
        Some(TokenCounts {
            input_speech: of("input", "speechTokens"),
            input_text: of("input", "textTokens"),
            output_speech: of("output", "speechTokens"),
            output_text: of("output", "textTokens"),
        })
    };
    UsageReport {
        ids: f.ids(),
        total_input_tokens: f.number("totalInputTokens"),
        total_output_tokens: f.number("totalOutputTokens"),
        total_tokens: f.number("totalTokens"),
        delta: counts("delta"),
        total: counts("total"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> OutputEvent {
        parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn the_stage_is_read_out_of_its_string() {
        let OutputEvent::ContentStart(start) = read(
            r#"{"event":{"contentStart":{"sessionId":"s","promptName":"p","completionId":"k",
            "contentId":"c","type":"TEXT","role":"ASSISTANT","new":[1],
            "additionalModelFields":"{\"generationStage\":\"SPECULATIVE\"}",
            "textOutputConfiguration":{"mediaType":"text/plain"}}}}"#,
        ) else {
            panic!("not a content start")
        };
        assert_eq!(start.stage, Some(Stage::Speculative));
        assert_eq!(start.kind, Some(ContentKind::Text));
        assert_eq!(start.role, Some(OutputRole::Assistant));
        assert_eq!((start.content_id.as_str(), start.media_type.as_str()), ("c", "text/plain"));
        assert_eq!(start.ids.completion_id, "k");
    }

    #[test]
    fn audio_is_decoded_with_and_without_padding_and_in_odd_company() {
        for content in ["AQID", "AQIDBA==", "AQIDBA"] {
            let json = format!(r#"{{"event":{{"audioOutput":{{"content":"{content}"}}}}}}"#);
            let OutputEvent::AudioOutput(audio) = read(&json) else { panic!("not audio") };
            assert!(audio.pcm.starts_with(&[1, 2, 3]));
        }
        let odd = r#"{"event":{"audioOutput":{"contentId":7,"role":null,"content":"AQ=="}}}"#;
        assert!(matches!(read(odd), OutputEvent::AudioOutput(a) if a.pcm.as_ref() == [1]));
        let bad = parse(br#"{"event":{"audioOutput":{"content":"*"}}}"#);
        assert!(matches!(bad, Err(Unreadable::Base64(_))));
    }

    #[test]
    fn usage_is_read_by_kind() {
        let OutputEvent::Usage(usage) = read(
            r#"{"event":{"usageEvent":{"totalInputTokens":7,"totalOutputTokens":"3",
            "totalTokens":1e1,"details":{
            "delta":{"input":{"speechTokens":1,"textTokens":2},"output":{"speechTokens":-4}},
            "total":{"input":{"speechTokens":3,"textTokens":4},
                     "output":{"speechTokens":1,"textTokens":2}}}}}}"#,
        ) else {
            panic!("not usage")
        };
        assert_eq!(usage.total_tokens, 10);
        assert_eq!(usage.total_output_tokens, 3);
        let delta = TokenCounts { input_speech: 1, input_text: 2, ..Default::default() };
        assert_eq!(usage.delta, Some(delta));
        assert_eq!(usage.total.map(|t| t.output()), Some(3));
    }

    #[test]
    fn unknown_names_are_named_and_rubbish_is_an_error() {
        let unknown = read(r#"{"event":{"moodEvent":{"mood":"good"}}}"#);
        assert_eq!(unknown, OutputEvent::Unknown { name: "moodEvent".into() });
        let deep =
            format!(r#"{{"event":{{"toolUse":{}{}}}}}"#, "[".repeat(9_000), "]".repeat(9_000));
        assert!(matches!(parse(deep.as_bytes()), Err(Unreadable::Body { .. })));
        for bytes in [&b""[..], b"null", b"{}", b"\xff", br#"{"event":{}}"#, br#"{"event":3}"#] {
            assert!(matches!(parse(bytes), Err(Unreadable::Envelope(_))), "{bytes:?}");
        }
    }

    #[test]
    fn the_marker_is_json_whatever_its_blanks() {
        let marker = |content: &str| {
            TextOutput { content: content.into(), ..Default::default() }.interruption_marker()
        };
        assert_eq!(marker("{ \"interrupted\" : true }"), Some(true));
        assert_eq!(marker("\n{\"interrupted\":true}"), Some(true));
        assert_eq!(marker("{\"interrupted\":false}"), Some(false));
        assert_eq!(marker("interrupted : true"), None);
        assert_eq!(marker("{\"interrupted\":\"yes\"}"), None);
    }
}
