//! What happens in a call, as the journal keeps it: one JSON object a line.
//!
//! The engine tells; `journal` writes; `document` makes the session log of it. A field that is
//! added needs a default, because a newer program finishes the journals of an older one.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since 1970, by the wall clock.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

impl Entry {
    /// It happened just now.
    pub fn now(event: Event) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: since.as_millis() as u64, event }
    }
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// The caller.
    User,
    /// The model.
    Assistant,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The call began.
    Began(Box<Began>),
    /// The settings of the call, at its start and whenever they change.
    Settings(Box<Settings>),
    /// A line was said, has grown, or was corrected.
    Line(Line),
    /// The caller interrupted the assistant.
    BargeIn,
    /// The model called a tool.
    ToolCalled {
        /// Which call of it.
        id: String,
        /// Which tool.
        name: String,
        /// With what; secret fields are hidden already.
        input: Value,
    },
    /// A tool answered, or was refused.
    ToolAnswered {
        /// Which call of it.
        id: String,
        /// What; secret fields are hidden already.
        result: Value,
        /// `ok`, `error`, `refused`, `timeout` …
        outcome: String,
    },
    /// The workflow moved.
    Step {
        /// Its id.
        workflow: String,
        /// The step that was reached.
        step: String,
    },
    /// The assistant began to answer.
    AnswerBegan,
    /// The first audio of what the assistant says came.
    AnswerHeard,
    /// The assistant's answer is complete, or was cut short.
    AnswerEnded {
        /// Whether the caller cut it short.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        interrupted: bool,
    },
    /// The figures of a turn of the assistant's are known.
    Turn(Turn),
    /// Tokens so far.
    Usage(Tokens),
    /// Tokens that another task has counted, whose call this one goes on with.
    Before(Tokens),
    /// A stream to the model was opened.
    Stream {
        /// Which, from 1.
        number: u32,
        /// `first`, `renewed`, `recovered` …
        reason: String,
    },
    /// Something went wrong.
    Error {
        /// A stable word.
        code: String,
        /// For people.
        message: String,
    },
    /// The client's connection was lost, or it came back.
    Connection {
        /// `lost` or `back`.
        state: String,
    },
    /// The caller is handed over to a human.
    Transfer {
        /// Why.
        reason: String,
        /// What the human is told.
        summary: String,
        /// What is known of the caller.
        attributes: Map<String, Value>,
    },
    /// The caller's opinion.
    Feedback(Feedback),
    /// Seconds that were transcribed.
    Transcribed {
        /// Audio seconds of the whole call so far, all channels together as one stream.
        seconds: f64,
    },
    /// The call is recorded from here on, or not any more.
    Recording {
        /// `on`, `paused`, `resumed`, `failed`.
        state: String,
    },
    /// Entries were lost here.
    Gap {
        /// How many.
        lost: u64,
    },
    /// The call ended.
    Ended {
        /// A stable word.
        cause: String,
        /// More of it, for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
    },
}

/// What a caller thinks of the call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Feedback {
    /// As the client counts.
    pub score: f64,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What the score is called, where it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Feedback {
    /// As the session log has it (`contract.md` §4).
    pub fn to_json(&self, at: u64) -> Value {
        let Self { score, comment, name } = self;
        let mut feedback = json!({"timestamp": at, "score": score, "comment": comment});
        if let Some(name) = name {
            feedback["name"] = name.as_str().into();
        }
        feedback
    }
}

/// How a call began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Began {
    /// The call's id.
    pub session_id: String,
    /// Program and version.
    pub program: String,
    /// `emulator` or `bedrock`.
    pub backend: String,
    /// The model.
    pub model_id: String,
    /// Hash of the tools, workflows and prompts it holds.
    pub catalog: String,
    /// Whether it goes on from another task.
    pub continued: bool,
}

/// What a call works by.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// The persona's id.
    pub persona: Option<String>,
    /// The voice.
    pub voice: String,
    /// BCP 47.
    pub language: Option<String>,
    /// `web` or `phone`.
    pub channel: String,
    /// Linked workflows.
    pub workflows: Vec<String>,
    /// Offered tools.
    pub tools: Vec<String>,
    /// The prompts of which the system prompt was made.
    pub prompts: Vec<PromptUsed>,
}

/// One prompt, and which version of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromptUsed {
    /// Its id.
    pub id: String,
    /// `local`, `langfuse` or `client`.
    pub source: String,
    /// The version, where there are versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// One line of the conversation, as far as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Lines of one id are one line.
    pub id: String,
    /// Who says it.
    pub role: Speaker,
    /// The whole line so far.
    pub text: String,
    /// Whether it is complete.
    #[serde(rename = "final", default)]
    pub is_final: bool,
    /// Whether the caller cut it short.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// What Amazon Transcribe heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Heard>,
}

/// What a second pair of ears heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// The words.
    pub text: String,
    /// Seconds into the call's audio.
    pub start: f64,
    /// Seconds into the call's audio.
    pub end: f64,
    /// BCP 47, when it was identified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether personal data was taken out; then these are the words that may be kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
}

/// The figures of a turn. Milliseconds, all from the end of the caller's speech.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Turn {
    /// Until the model's first audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_audio_ms: Option<u64>,
    /// Until the first audio was written to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_written_ms: Option<u64>,
    /// Until the answer was generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole_ms: Option<u64>,
    /// Time within that in which tools were at work.
    pub tools_ms: u64,
    /// Whether the caller cut it short.
    pub interrupted: bool,
}

/// Tokens by kind and direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tokens {
    /// Speech heard.
    pub input_speech: u64,
    /// Text read.
    pub input_text: u64,
    /// Speech spoken.
    pub output_speech: u64,
    /// Text written.
    pub output_text: u64,
}

impl Tokens {
    /// To the model.
    pub fn input(&self) -> u64 {
        self.input_speech + self.input_text
    }

    /// From the model.
    pub fn output(&self) -> u64 {
        self.output_speech + self.output_text
    }

    /// What was added since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            input_speech: self.input_speech.saturating_sub(earlier.input_speech),
            input_text: self.input_text.saturating_sub(earlier.input_text),
            output_speech: self.output_speech.saturating_sub(earlier.output_speech),
            output_text: self.output_text.saturating_sub(earlier.output_text),
        }
    }
}
