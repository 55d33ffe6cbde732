//! What a session says to the engine: transmissions, events, states, refusals.
//!
//! Words only; the machine that speaks them is [`crate::session`].

use bytes::Bytes;
use serde_json::Value;
use voice_call::{AudioChunk, SampleRate};

use crate::usage::Usage;

/// One of the two who talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speaker {
    /// The caller.
    User,
    /// The model.
    Assistant,
}

impl Speaker {
    /// `user` or `assistant`, as clients and session logs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// What the transport has to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// Send this event: `{"event":{…}}` in UTF-8.
    Event(Bytes),
    /// Close the input. Nothing follows.
    Close,
}

/// What happened in the session.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// The user began to make sound; a hint, since noise does it too (`nova-sonic.md` §3.5).
    UserSpeechStarted {
        /// Position in the audio received, in milliseconds.
        offset_ms: u64,
    },
    /// The user stopped.
    UserSpeechEnded {
        /// Where the speech ended, in milliseconds of audio received.
        offset_ms: u64,
        /// Where the service noticed; the difference is the endpointing delay.
        detected_ms: u64,
    },
    /// A line of the transcript is new or has changed.
    Line(Line),
    /// First text or audio of an assistant turn.
    AssistantTurnStarted,
    /// Assistant audio at the session's output rate.
    Audio(AudioChunk),
    /// Barge-in: drop the playback. Once per barge-in, before anything of the next turn.
    Interrupted,
    /// The model calls a tool and waits for one result.
    ToolCall {
        /// Quote it with the result.
        tool_use_id: String,
        /// Which tool.
        name: String,
        /// The arguments; a plain string when they were not JSON.
        input: Value,
    },
    /// Tokens were counted.
    Usage(Usage),
    /// The assistant has finished its turn, or was cut off. Its audio may still be playing.
    AssistantTurnEnded {
        /// Whether a barge-in ended it.
        interrupted: bool,
    },
    /// The service has finished with the prompt (`completionEnd`).
    Completed,
    /// An event of a name that this crate does not know; ignored.
    Unknown {
        /// Its name.
        name: String,
    },
    /// An event that could not be understood; ignored.
    Malformed {
        /// What was wrong.
        reason: String,
    },
}

/// One line of the transcript: an utterance of the user or a turn of the assistant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Unique within the session, and stable while the line changes.
    pub id: u64,
    /// Who says it.
    pub speaker: Speaker,
    /// The whole line so far.
    pub text: String,
    /// Whether more is to come.
    pub state: LineState,
    /// Whether a barge-in cut it off.
    pub interrupted: bool,
}

/// Whether a line still grows. A final line can still be corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineState {
    /// More is expected.
    Streaming,
    /// The turn is over.
    Final,
}

/// Why something was not taken. The session is unharmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushRefused {
    /// The service has not answered yet.
    #[error("the stream is still opening; nothing but the opening may be sent")]
    NotOpen,
    /// The session was finished.
    #[error("the session is finished; nothing more is sent")]
    Finished,
    /// Audio at another rate than the session was opened with.
    #[error("audio is at {} Hz, but the session was opened with {} Hz", .actual.hertz(), .expected.hertz())]
    WrongRate {
        /// The session's input rate.
        expected: SampleRate,
        /// The rate of the refused chunk.
        actual: SampleRate,
    },
    /// The text is empty; the service cannot close a content without data.
    #[error("the text is empty")]
    Empty,
    /// This model family takes no text during a call.
    #[error("this model family does not answer to text")]
    Unsupported,
    /// No open tool call has this id: never made, or answered already.
    #[error("no open tool call has the id `{0}`")]
    UnknownToolUse(String),
}
