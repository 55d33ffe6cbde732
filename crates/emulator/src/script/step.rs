//! The words between the script and the session: what was heard, and what the model does.

use serde_json::Value;

/// What reached the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Heard<'a> {
    /// The call began and the model is to speak first.
    Greeting,
    /// Typed text, or a cue from the client such as an idle prompt.
    Text(&'a str),
    /// A turn of speech.
    Speech {
        /// Voiced milliseconds. Fewer than [`crate::ear::MIN_TURN_MS`] are no turn and are ignored.
        ms: u64,
        /// The words, if somebody recognised them.
        words: Option<&'a str>,
    },
    /// A turn of speech to which somebody listened who understands words, and did not understand.
    Unclear {
        /// Voiced milliseconds, as above.
        ms: u64,
    },
    /// A tool answered.
    ToolResult {
        /// The tool's name as in the call.
        tool_use_name: &'a str,
        /// Its result.
        result: &'a Value,
    },
    /// Keys pressed on a telephone, `0`–`9`, `*`, `#`; a closing `#` counts as the enter key.
    Dtmf(&'a str),
}

/// What the model does, to be carried out in order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Speak one sentence: one SPECULATIVE text and one AUDIO block (nova-sonic.md §3.3).
    Say(String),
    /// Call a tool. Several in a row are parallel calls of one turn.
    Call {
        /// The tool's name.
        tool: String,
        /// Its input.
        input: Value,
        /// Send the input as a JSON string that holds JSON (nova-sonic.md §3.2).
        double_encoded: bool,
    },
    /// Wait, in unscaled milliseconds, before the next step.
    Pause {
        /// How long.
        ms: u64,
    },
    /// How interruptions are reported from now on.
    BargeIn(BargeIn),
    /// When the FINAL texts of the coming answers are sent.
    Finals(Finals),
    /// Something goes wrong.
    Fault(FaultStep),
    /// The conversation is over: the script has nothing more to say. The stream stays open until
    /// the client ends it.
    End,
}

/// How an interruption looks on the wire (nova-sonic.md §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum BargeIn {
    /// AUDIO contentEnd END_TURN, then the `{ "interrupted" : true }` text.
    #[default]
    Marker,
    /// AUDIO contentEnd INTERRUPTED, then the marker.
    Interrupted,
    /// The marker comes twice.
    MarkerTwice,
    /// `userSpeechStart` only: the audio stops with PARTIAL_TURN and no marker follows.
    SpeechStartOnly,
    /// The model talks on.
    Ignored,
}

/// When FINAL assistant texts are sent (nova-sonic.md §3.3, points 5 and 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Finals {
    /// When the next input starts.
    #[default]
    NextInput,
    /// This many unscaled milliseconds after the audio.
    After {
        /// How long.
        ms: u64,
    },
    /// Never.
    Never,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultStep {
    /// The kind of fault.
    pub kind: FaultKind,
    /// The message of the exception, where the kind has one; `None` = the service's usual text.
    pub message: Option<String>,
}

/// The kinds of fault a scenario can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum FaultKind {
    /// `throttlingException` on the stream.
    Throttling,
    /// `modelStreamErrorException` on the stream.
    ModelStreamError,
    /// `internalServerException` on the stream.
    InternalServer,
    /// `serviceUnavailableException` on the stream.
    ServiceUnavailable,
    /// `validationException` on the stream.
    Validation,
    /// `modelTimeoutException` on the stream.
    ModelTimeout,
    /// The answer was blocked by the content filter.
    ContentFilter,
    /// The connection is reset.
    Reset,
    /// The connection ends in the middle of a frame.
    Cut,
    /// Bytes that are no event-stream frame.
    Garbage,
    /// An event of an unknown type; the call goes on.
    UnknownEvent,
    /// The stream is closed in order, but unasked.
    Close,
    /// The model falls silent; the stream stays open.
    Hang,
    /// The model falls silent, and reads nothing for half a minute; the stream stays open.
    Deaf,
}
