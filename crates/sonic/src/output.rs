//! The events of the service, typed (`nova-sonic.md` §3). [`parse`] reads them.
//!
//! Shapes only: what an event means for the conversation is decided in [`crate::session`].
//! A field that is absent or of another type is empty here, never an error.

mod quick;
mod read;

use bytes::Bytes;

pub use crate::input::ContentKind;
pub use quick::{QuickAudio, audio};
pub use read::{Unreadable, parse};

use crate::usage::TokenCounts;

/// The ids that accompany every event. Any of them may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    /// The service's name of the session.
    pub session_id: String,
    /// Our name of the prompt.
    pub prompt_name: String,
    /// One per session in practice, not one per turn (§3.3): of no use for telling turns apart.
    pub completion_id: String,
}

/// An event of the service.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputEvent {
    /// Once, in the first turn.
    CompletionStart(Ids),
    /// A content begins.
    ContentStart(ContentStart),
    /// Text.
    TextOutput(TextOutput),
    /// Audio.
    AudioOutput(AudioOutput),
    /// A tool call.
    ToolUse(ToolUse),
    /// A content is over.
    ContentEnd(ContentEnd),
    /// The service has finished with the prompt.
    CompletionEnd(CompletionEnd),
    /// Tokens were counted.
    Usage(UsageReport),
    /// The user began to make sound.
    UserSpeechStart(UserSpeechStart),
    /// The user stopped.
    UserSpeechEnd(UserSpeechEnd),
    /// An event of a name that is not in this list.
    Unknown {
        /// Its name.
        name: String,
    },
}

/// `contentStart`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentStart {
    /// Ids.
    pub ids: Ids,
    /// What its data and its end refer to.
    pub content_id: String,
    /// TEXT, AUDIO or TOOL.
    pub kind: Option<ContentKind>,
    /// Whose content it is.
    pub role: Option<OutputRole>,
    /// TEXT only: the first or the second telling of it. On the wire it hides in a JSON string.
    pub stage: Option<Stage>,
    /// Such as `text/plain` or `audio/lpcm`.
    pub media_type: String,
    /// AUDIO only.
    pub audio: Option<AudioForm>,
}

/// The form of the audio of a content, as the service states it; 0 or empty where it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AudioForm {
    /// Samples per second.
    pub sample_rate_hertz: u64,
    /// 16.
    pub sample_size_bits: u64,
    /// 1.
    pub channel_count: u64,
    /// `base64`.
    pub encoding: String,
}

/// Whose content it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputRole {
    /// The caller: what was heard.
    User,
    /// The model.
    Assistant,
    /// A tool call.
    Tool,
}

/// The stage of a text (§3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// What will be said.
    Speculative,
    /// What was said.
    Final,
}

/// `textOutput`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextOutput {
    /// Ids.
    pub ids: Ids,
    /// The content it belongs to.
    pub content_id: String,
    /// Whose text it is.
    pub role: Option<OutputRole>,
    /// The text, blanks included.
    pub content: String,
}

impl TextOutput {
    /// Whether this is the interruption marker, which is JSON and never to be shown (§3.5).
    /// `Some(false)` is a marker that denies it.
    pub fn interruption_marker(&self) -> Option<bool> {
        let text = self.content.trim();
        if !text.starts_with('{') {
            return None;
        }
        serde_json::from_str::<serde_json::Value>(text).ok()?.get("interrupted")?.as_bool()
    }
}

/// `audioOutput`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AudioOutput {
    /// Ids.
    pub ids: Ids,
    /// The content it belongs to.
    pub content_id: String,
    /// Whose audio it is.
    pub role: Option<OutputRole>,
    /// The decoded bytes; a sample may be cut in two between events.
    pub pcm: Bytes,
}

/// `toolUse`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolUse {
    /// Ids.
    pub ids: Ids,
    /// The content it belongs to.
    pub content_id: String,
    /// Whose content it is.
    pub role: Option<OutputRole>,
    /// Which tool.
    pub tool_name: String,
    /// What the result has to quote.
    pub tool_use_id: String,
    /// The arguments as JSON text, sometimes JSON text of JSON text; see [`crate::tool`].
    pub content: String,
}

/// `contentEnd`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentEnd {
    /// Ids.
    pub ids: Ids,
    /// The content that is over.
    pub content_id: String,
    /// Sometimes absent: keep an own map by content id.
    pub kind: Option<ContentKind>,
    /// Why it ended.
    pub stop_reason: StopReason,
}

/// Why something ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// More of the turn follows. For texts it says nothing reliable (§3.3).
    PartialTurn,
    /// The turn is over; it counts on AUDIO contents only (§3.3).
    EndTurn,
    /// A barge-in.
    Interrupted,
    /// A tool is called.
    ToolUse,
    /// Absent, or a word that is not in this list.
    #[default]
    Other,
}

/// `completionEnd`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompletionEnd {
    /// Ids.
    pub ids: Ids,
    /// Why.
    pub stop_reason: StopReason,
}

/// `usageEvent`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageReport {
    /// Ids.
    pub ids: Ids,
    /// Tokens to the model since the connection began.
    pub total_input_tokens: u64,
    /// Tokens from the model since the connection began.
    pub total_output_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// Since the report before, by kind.
    pub delta: Option<TokenCounts>,
    /// Since the connection began, by kind.
    pub total: Option<TokenCounts>,
}

/// `userSpeechStart`: not documented by AWS, sent by Nova 2 and later (§3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserSpeechStart {
    /// Ids.
    pub ids: Ids,
    /// Milliseconds of input audio.
    pub input_audio_offset_ms: u64,
}

/// `userSpeechEnd`: not documented by AWS, sent by Nova 2 and later (§3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserSpeechEnd {
    /// Ids.
    pub ids: Ids,
    /// Where the speech ended, in milliseconds of input audio.
    pub input_audio_offset_ms: u64,
    /// Where the service noticed, in milliseconds of input audio.
    pub input_audio_detection_offset_ms: u64,
}
