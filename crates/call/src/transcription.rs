//! The port to a transcription service: how the engine has a call transcribed without knowing
//! the SDK.
//!
//! Audio goes in, segments of text come out; the wire below belongs to whoever implements
//! [`TranscriptionPort`] (`crates/aws`, on Amazon Transcribe Streaming).

use std::time::Duration;

use bytes::Bytes;
use futures::{future::BoxFuture, stream::BoxStream};

use crate::port::SendRefused;

/// Opens streams to the service.
pub trait TranscriptionPort: Send + Sync + 'static {
    /// Opens one stream. The future carries its own deadline; dropping it, or both halves of the
    /// stream, cancels the request.
    fn open(
        &self,
        request: TranscriptionRequest,
    ) -> BoxFuture<'static, Result<TranscriptionStream, TranscriptionFault>>;
}

/// What is to be transcribed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscriptionRequest {
    /// Samples a second: 8,000 or 16,000.
    pub rate: u32,
    /// Whose words.
    pub channels: Channels,
    /// In which language.
    pub language: Language,
}

/// Whose words are transcribed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Channels {
    /// Nobody's.
    #[default]
    Off,
    /// The caller's: one channel.
    Caller,
    /// The caller's and the assistant's: two channels.
    Both,
}

impl std::str::FromStr for Channels {
    type Err = UnknownChannels;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "caller" => Ok(Self::Caller),
            "both" => Ok(Self::Both),
            _ => Err(UnknownChannels),
        }
    }
}

/// A word that names no channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected off, caller or both")]
pub struct UnknownChannels;

/// The language of what is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Language {
    /// Known; BCP 47.
    Known(String),
    /// One of these; the first is the likeliest.
    OneOf(Vec<String>),
}

/// An open stream. Drop both halves to cancel it.
pub struct TranscriptionStream {
    /// Audio to the service: PCM16 little-endian, of two channels in turns.
    pub sender: Box<dyn AudioSender>,
    /// What the service understood. It ends after the first fault, or without one when the service
    /// closed in order.
    pub receiver: BoxStream<'static, Result<Segment, TranscriptionFault>>,
}

/// The sending half. Dropping it ends the audio in order: what is being said becomes final.
pub trait AudioSender: Send {
    /// Hands audio to the transport; never waits.
    fn send(&mut self, pcm: Bytes) -> Result<(), SendRefused>;
}

/// A stretch of speech, as far as it is understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Segments of one id are one that grows.
    pub id: String,
    /// 0 the caller, 1 the assistant.
    pub channel: u8,
    /// Where it begins in the stream's audio.
    pub start: Duration,
    /// Where it ends.
    pub end: Duration,
    /// The words so far.
    pub text: String,
    /// Whether they will not change any more.
    pub is_final: bool,
    /// The language, when it was identified, and how sure that is.
    pub language: Option<(String, f64)>,
    /// Whether personal data was taken out.
    pub redacted: bool,
}

/// Why a stream could not be opened, or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct TranscriptionFault {
    /// What kind.
    pub kind: TranscriptionFaultKind,
    /// The whole story.
    pub message: String,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TranscriptionFaultKind {
    /// It heard nothing for too long, or for as long as it ever does.
    Expired,
    /// Too many streams.
    Limit,
    /// Another stream of the same session.
    Conflict,
    /// It is not available, or broke.
    Unavailable,
    /// The connection broke, or no answer came.
    Transport,
    /// The request is wrong.
    Invalid,
    /// It may not be used.
    Denied,
}

impl TranscriptionFaultKind {
    /// A word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Limit => "limit",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Transport => "transport",
            Self::Invalid => "invalid",
            Self::Denied => "denied",
        }
    }

    /// Whether another try may go better.
    pub fn passes(self) -> bool {
        !matches!(self, Self::Invalid | Self::Denied)
    }
}

impl std::fmt::Display for TranscriptionFaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
