//! The events we send, typed, and their JSON (`nova-sonic.md` §2).
//!
//! Shapes only: which event may follow which is the business of [`crate::order`], and when one
//! is sent that of [`crate::session`]. Payloads are borrowed where the caller has them.

mod audio_encoder;

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use voice_call::SampleRate;

pub use audio_encoder::AudioEncoder;

/// An event to the service.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum InputEvent<'a> {
    /// First of all, once.
    SessionStart(SessionStart),
    /// Once per stream.
    PromptStart(PromptStart<'a>),
    /// Opens a content.
    ContentStart(ContentStart<'a>),
    /// Text for an open TEXT content.
    TextInput(Payload<'a>),
    /// Base64 PCM for the open AUDIO content; see [`AudioEncoder`] for the quick way.
    AudioInput(Payload<'a>),
    /// JSON text for an open TOOL content.
    ToolResult(Payload<'a>),
    /// Closes a content.
    ContentEnd(ContentEnd<'a>),
    /// Closes the prompt.
    PromptEnd(PromptEnd<'a>),
    /// Last of all.
    SessionEnd(SessionEnd),
}

impl InputEvent<'_> {
    /// `{"event":{"<name>":{…}}}`.
    pub fn to_json(&self) -> Bytes {
        #[derive(Serialize)]
        struct Envelope<'e, 'a> {
            event: &'e InputEvent<'a>,
        }
        // Writing strings and numbers under string keys to memory has no way to fail.
        serde_json::to_vec(&Envelope { event: self }).unwrap_or_default().into()
    }
}

/// `sessionStart` (§2.1).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionStart {
    /// Sampling.
    pub inference_configuration: InferenceConfiguration,
    /// Not for Nova 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_detection_configuration: Option<TurnDetectionConfiguration>,
}

/// Sampling on the wire.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InferenceConfiguration {
    /// Tokens.
    pub max_tokens: u32,
    /// 0 to 1.
    pub top_p: f32,
    /// 0 to 1.
    pub temperature: f32,
}

/// Endpointing on the wire. It must be nested like this: flat, it is refused (§2.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnDetectionConfiguration {
    /// `HIGH`, `MEDIUM` or `LOW`.
    pub endpointing_sensitivity: &'static str,
}

/// `promptStart` (§2.2).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptStart<'a> {
    /// A UUID of our own making.
    pub prompt_name: Cow<'a, str>,
    /// How text comes back.
    pub text_output_configuration: MediaConfiguration,
    /// How audio comes back, and in which voice.
    pub audio_output_configuration: AudioOutputConfiguration<'a>,
    /// How tool calls come back; only with tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_use_output_configuration: Option<MediaConfiguration>,
    /// The tools; left out when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_configuration: Option<ToolConfiguration<'a>>,
}

/// A media type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaConfiguration {
    /// Such as `text/plain`.
    pub media_type: &'static str,
}

impl MediaConfiguration {
    /// `text/plain`.
    pub const TEXT: Self = Self { media_type: "text/plain" };
    /// `application/json`.
    pub const JSON: Self = Self { media_type: "application/json" };
}

/// The assistant's audio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioOutputConfiguration<'a> {
    /// The form of the samples.
    #[serde(flatten)]
    pub format: AudioFormat,
    /// Must not be empty.
    pub voice_id: Cow<'a, str>,
}

/// The form of audio on the wire: mono PCM16 in base64, at one of three rates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioFormat {
    /// `audio/lpcm`.
    pub media_type: &'static str,
    /// 8000, 16000 or 24000.
    pub sample_rate_hertz: u32,
    /// 16.
    pub sample_size_bits: u8,
    /// 1.
    pub channel_count: u8,
    /// `SPEECH`.
    pub audio_type: &'static str,
    /// `base64`.
    pub encoding: &'static str,
}

impl AudioFormat {
    /// The one form there is, at this rate.
    pub fn at(rate: SampleRate) -> Self {
        Self {
            media_type: "audio/lpcm",
            sample_rate_hertz: rate.hertz(),
            sample_size_bits: 16,
            channel_count: 1,
            audio_type: "SPEECH",
            encoding: "base64",
        }
    }
}

/// The tools of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolConfiguration<'a> {
    /// At least one.
    pub tools: Vec<Tool<'a>>,
    /// `None` means auto, and is left out: one project blames its presence for a refusal (§2.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice<'a>>,
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool<'a> {
    /// What the model knows of it.
    pub tool_spec: ToolSpecification<'a>,
}

/// What the model knows of a tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolSpecification<'a> {
    /// `[a-zA-Z0-9_-]+`.
    pub name: Cow<'a, str>,
    /// When and how to use it.
    pub description: Cow<'a, str>,
    /// Its arguments.
    pub input_schema: InputSchema,
}

/// A JSON Schema, as a **string**: an object here is a parse error of the service (§2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputSchema {
    /// JSON text.
    pub json: String,
}

/// Which tool the model should call. There is no "none" (§2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ToolChoice<'a> {
    /// As it sees fit.
    Auto {},
    /// At least one.
    Any {},
    /// This one.
    Tool {
        /// Its name.
        name: Cow<'a, str>,
    },
}

/// The kind of a content. The same words come back in [`crate::output`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ContentKind {
    /// Text.
    Text,
    /// Audio.
    Audio,
    /// A tool call or its result.
    Tool,
}

/// Whose content it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InputRole {
    /// The instruction; the first content, exactly once.
    System,
    /// Nova 2: steers the script of the Hindi transcript (§2.3).
    SystemSpeech,
    /// The caller.
    User,
    /// The model, in history only.
    Assistant,
    /// A tool result.
    Tool,
}

/// `contentStart` (§2.3). Exactly one of the configurations is present.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentStart<'a> {
    /// The prompt it belongs to.
    pub prompt_name: Cow<'a, str>,
    /// A UUID of our own making.
    pub content_name: Cow<'a, str>,
    /// TEXT, AUDIO or TOOL.
    #[serde(rename = "type")]
    pub kind: ContentKind,
    /// Whether the model answers to it. History sent as interactive would be answered (§2.6).
    pub interactive: bool,
    /// Whose content it is.
    pub role: InputRole,
    /// For TEXT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_input_configuration: Option<MediaConfiguration>,
    /// For AUDIO.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_input_configuration: Option<AudioFormat>,
    /// For TOOL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_result_input_configuration: Option<ToolResultConfiguration<'a>>,
}

/// Which call a tool result answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResultConfiguration<'a> {
    /// The id of the `toolUse` event.
    pub tool_use_id: Cow<'a, str>,
    /// `TEXT`.
    #[serde(rename = "type")]
    pub kind: ContentKind,
    /// `text/plain`; the service refuses anything else (§2.3).
    pub text_input_configuration: MediaConfiguration,
}

impl<'a> ContentStart<'a> {
    fn new(prompt: &'a str, content: &'a str, kind: ContentKind, role: InputRole) -> Self {
        Self {
            prompt_name: prompt.into(),
            content_name: content.into(),
            kind,
            interactive: false,
            role,
            text_input_configuration: None,
            audio_input_configuration: None,
            tool_result_input_configuration: None,
        }
    }

    /// A TEXT content.
    pub fn text(prompt: &'a str, content: &'a str, role: InputRole, interactive: bool) -> Self {
        Self {
            interactive,
            text_input_configuration: Some(MediaConfiguration::TEXT),
            ..Self::new(prompt, content, ContentKind::Text, role)
        }
    }

    /// The AUDIO content of the call.
    pub fn audio(prompt: &'a str, content: &'a str, rate: SampleRate) -> Self {
        Self {
            interactive: true,
            audio_input_configuration: Some(AudioFormat::at(rate)),
            ..Self::new(prompt, content, ContentKind::Audio, InputRole::User)
        }
    }

    /// A TOOL content: the result of one call.
    pub fn tool_result(prompt: &'a str, content: &'a str, tool_use_id: &'a str) -> Self {
        Self {
            tool_result_input_configuration: Some(ToolResultConfiguration {
                tool_use_id: tool_use_id.into(),
                kind: ContentKind::Text,
                text_input_configuration: MediaConfiguration::TEXT,
            }),
            ..Self::new(prompt, content, ContentKind::Tool, InputRole::Tool)
        }
    }
}

/// `textInput`, `audioInput` and `toolResult` (§2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Payload<'a> {
    /// The prompt it belongs to.
    pub prompt_name: Cow<'a, str>,
    /// The open content it belongs to.
    pub content_name: Cow<'a, str>,
    /// Text, base64 audio, or JSON text.
    pub content: Cow<'a, str>,
}

/// `contentEnd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentEnd<'a> {
    /// The prompt it belongs to.
    pub prompt_name: Cow<'a, str>,
    /// The content it closes.
    pub content_name: Cow<'a, str>,
}

/// `promptEnd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptEnd<'a> {
    /// The prompt it closes.
    pub prompt_name: Cow<'a, str>,
}

/// `sessionEnd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionEnd {}

#[cfg(test)]
mod tests;
