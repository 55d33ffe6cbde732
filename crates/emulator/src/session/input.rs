//! Client events as the service reads them: strict, and written apart from `crates/sonic`, so
//! that the two check each other.
//!
//! Shapes only (`nova-sonic.md` §2.1–§2.4). What may come when is `order`'s business.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::violation::Violation;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: ClientEvent<'a>,
}

/// One event of a client.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ClientEvent<'a> {
    SessionStart(SessionStart),
    PromptStart(PromptStart),
    ContentStart(ContentStart),
    #[serde(borrow)]
    TextInput(Data<'a>),
    #[serde(borrow)]
    AudioInput(Data<'a>),
    #[serde(borrow)]
    ToolResult(Data<'a>),
    #[serde(borrow)]
    ContentEnd(ContentEnd<'a>),
    #[serde(borrow)]
    PromptEnd(PromptEnd<'a>),
    SessionEnd(Empty),
}

impl<'a> ClientEvent<'a> {
    /// Reads one event.
    pub(crate) fn parse(json: &'a [u8]) -> Result<Self, Violation> {
        if let Some(audio) = quick_audio(json) {
            return Ok(Self::AudioInput(audio));
        }
        let envelope: Envelope<'a> =
            serde_json::from_slice(json).map_err(|_| Violation::Unparsable)?;
        Ok(envelope.event)
    }

    /// The event's name, as on the wire.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::SessionStart(_) => "sessionStart",
            Self::PromptStart(_) => "promptStart",
            Self::ContentStart(_) => "contentStart",
            Self::TextInput(_) => "textInput",
            Self::AudioInput(_) => "audioInput",
            Self::ToolResult(_) => "toolResult",
            Self::ContentEnd(_) => "contentEnd",
            Self::PromptEnd(_) => "promptEnd",
            Self::SessionEnd(_) => "sessionEnd",
        }
    }
}

/// An `audioInput` as clients usually write it, which is nearly all they write. Whatever is spelled
/// otherwise is left to serde.
fn quick_audio(json: &[u8]) -> Option<Data<'_>> {
    let inside = json.strip_prefix(br#"{"event":{"audioInput":{"#)?.strip_suffix(b"}}}")?;
    let inside = std::str::from_utf8(inside).ok()?;
    let (prompt_name, rest) = quick_member(inside, "\"promptName\":\"")?;
    let (content_name, rest) = quick_member(rest.strip_prefix(',')?, "\"contentName\":\"")?;
    let (content, rest) = quick_member(rest.strip_prefix(',')?, "\"content\":\"")?;
    rest.is_empty().then_some(Data {
        prompt_name: prompt_name.into(),
        content_name: content_name.into(),
        content: content.into(),
    })
}

/// The value of a member that begins like this, if it has no escapes, and what follows it.
fn quick_member<'a>(json: &'a str, head: &str) -> Option<(&'a str, &'a str)> {
    let (value, rest) = json.strip_prefix(head)?.split_once('"')?;
    let odd = value.bytes().any(|byte| byte == b'\\' || byte < 0x20);
    (!odd).then_some((value, rest))
}

/// An object of which no member matters.
#[derive(Debug, Deserialize)]
pub(crate) struct Empty {}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionStart {
    pub(crate) inference_configuration: Option<Inference>,
    pub(crate) turn_detection_configuration: Option<TurnDetection>,
    /// Anything else. A flat `endpointingSensitivity` lands here, and is refused.
    #[serde(flatten)]
    pub(crate) unknown: HashMap<String, IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Inference {
    pub(crate) max_tokens: Option<u32>,
    pub(crate) top_p: Option<f64>,
    pub(crate) temperature: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TurnDetection {
    pub(crate) endpointing_sensitivity: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptStart {
    pub(crate) prompt_name: String,
    pub(crate) text_output_configuration: Option<Media>,
    pub(crate) audio_output_configuration: AudioConfiguration,
    pub(crate) tool_use_output_configuration: Option<Media>,
    pub(crate) tool_configuration: Option<ToolConfiguration>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Media {
    pub(crate) media_type: String,
}

/// Audio, in either direction.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AudioConfiguration {
    pub(crate) media_type: String,
    pub(crate) sample_rate_hertz: u32,
    pub(crate) sample_size_bits: Option<u32>,
    pub(crate) channel_count: Option<u32>,
    pub(crate) voice_id: Option<String>,
    pub(crate) encoding: Option<String>,
    pub(crate) audio_type: Option<String>,
}

impl AudioConfiguration {
    /// Whether it describes headerless PCM16 mono at a rate the service has, in base64.
    pub(crate) fn is_supported(&self) -> bool {
        self.media_type == "audio/lpcm"
            && matches!(self.sample_rate_hertz, 8_000 | 16_000 | 24_000)
            && self.sample_size_bits.is_none_or(|bits| bits == 16)
            && self.channel_count.is_none_or(|channels| channels == 1)
            && self.encoding.as_deref().is_none_or(|encoding| encoding == "base64")
            && self.audio_type.as_deref().is_none_or(|audio| audio == "SPEECH")
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToolConfiguration {
    #[serde(default)]
    pub(crate) tools: Vec<Tool>,
    /// Read for its shape only.
    #[expect(dead_code, reason = "the script decides which tool is called")]
    pub(crate) tool_choice: Option<ToolChoice>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tool {
    pub(crate) tool_spec: ToolSpec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToolSpec {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) input_schema: InputSchema,
}

#[derive(Debug, Deserialize)]
pub(crate) struct InputSchema {
    /// A JSON string; an object here is what the service cannot parse.
    pub(crate) json: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read for its shape only")]
pub(crate) enum ToolChoice {
    Auto(Empty),
    Any(Empty),
    Tool { name: String },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContentStart {
    pub(crate) prompt_name: String,
    pub(crate) content_name: String,
    #[serde(rename = "type")]
    pub(crate) kind: ContentType,
    #[serde(default)]
    pub(crate) interactive: bool,
    pub(crate) role: ContentRole,
    pub(crate) text_input_configuration: Option<Media>,
    pub(crate) audio_input_configuration: Option<AudioConfiguration>,
    pub(crate) tool_result_input_configuration: Option<ToolResultConfiguration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ContentType {
    Text,
    Audio,
    Tool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ContentRole {
    System,
    SystemSpeech,
    User,
    Assistant,
    Tool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToolResultConfiguration {
    pub(crate) tool_use_id: String,
    #[serde(rename = "type")]
    pub(crate) kind: ContentType,
    pub(crate) text_input_configuration: Option<Media>,
}

/// A piece of a content. Borrowed from the event where the text holds no escapes; audio never
/// does. (serde borrows a `Cow` only where it is spelled out.)
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Data<'a> {
    #[serde(borrow)]
    pub(crate) prompt_name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) content_name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) content: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContentEnd<'a> {
    #[serde(borrow)]
    pub(crate) prompt_name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) content_name: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptEnd<'a> {
    #[serde(borrow)]
    pub(crate) prompt_name: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_borrowed_from_the_event_and_not_copied() {
        let json =
            br#"{"event":{"audioInput":{"promptName":"p","contentName":"c","content":"AAEC"}}}"#;
        let ClientEvent::AudioInput(data) = ClientEvent::parse(json).unwrap() else {
            panic!("no audioInput")
        };
        assert!(matches!(data.content, Cow::Borrowed("AAEC")));
    }

    #[test]
    fn the_quick_way_reads_what_serde_reads() {
        let usual =
            r#"{"event":{"audioInput":{"promptName":"p","contentName":"c","content":"AAEC"}}}"#;
        for (odd, is_quick) in [
            (usual.to_owned(), true),
            (usual.replace("AAEC", ""), true),
            (usual.replace("\"p\"", "\"\\u0070\""), false),
            (usual.replace(":{", ": {"), false),
            (usual.replace("}}}", ",\"x\":1}}}"), false),
            (usual.replace("\"contentName\":\"c\",", ""), false),
            (usual.replace("AAEC", "A\n"), false),
        ] {
            let quick = quick_audio(odd.as_bytes());
            assert_eq!(quick.is_some(), is_quick, "{odd}");
            let slow: Option<Envelope<'_>> = serde_json::from_slice(odd.as_bytes()).ok();
            if let (Some(quick), Some(ClientEvent::AudioInput(slow))) =
                (quick, slow.map(|envelope| envelope.event))
            {
                assert_eq!(
                    (quick.prompt_name, quick.content_name, quick.content),
                    (slow.prompt_name, slow.content_name, slow.content)
                );
            }
        }
    }

    #[test]
    fn what_the_service_cannot_read_is_unparsable() {
        let cases: &[&str] = &[
            "",
            "hello",
            "{}",
            "[]",
            r#"{"event":{}}"#,
            r#"{"event":{"wish":{}}}"#,
            r#"{"event":{"sessionEnd":{},"promptEnd":{"promptName":"p"}}}"#,
            r#"{"event":{"textInput":{"promptName":"p","contentName":"c"}}}"#,
            r#"{"event":{"textInput":{"promptName":"p","contentName":"c","content":7}}}"#,
            r#"{"event":{"contentStart":{"promptName":"p","contentName":"c","type":"VIDEO","role":"USER"}}}"#,
            r#"{"event":{"promptStart":{"promptName":"p","audioOutputConfiguration":{"mediaType":"audio/lpcm","sampleRateHertz":24000,"voiceId":"v"},"toolConfiguration":{"tools":[{"toolSpec":{"name":"n","description":"d","inputSchema":{"json":{"type":"object"}}}}]}}}}"#,
            r#"{"event":{"promptStart":{"promptName":"p","audioOutputConfiguration":{"mediaType":"audio/lpcm","sampleRateHertz":24000,"voiceId":"v"},"toolConfiguration":{"toolChoice":{"none":{}}}}}}"#,
        ];
        for case in cases {
            assert_eq!(
                ClientEvent::parse(case.as_bytes()).map(|event| event.name()),
                Err(Violation::Unparsable),
                "{case}"
            );
        }
    }

    #[test]
    fn members_the_service_does_not_need_are_tolerated() {
        let json = br#"{"event":{"toolResult":{"promptName":"p","contentName":"c","content":"{}","status":"success","role":"TOOL"}}}"#;
        assert_eq!(ClientEvent::parse(json).unwrap().name(), "toolResult");
        let json = br#"{"event":{"sessionEnd":{}}}"#;
        assert_eq!(ClientEvent::parse(json).unwrap().name(), "sessionEnd");
    }
}
