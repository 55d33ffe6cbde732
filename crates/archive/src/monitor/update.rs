//! What watchers are told over `/monitor` (`contract.md` §2): one message each. Shapes only; the
//! board says when.

use serde::Serialize;
use serde_json::Value;

use super::board::{CallView, State};
use crate::entry::Speaker;

/// A line of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spoken {
    /// Lines of one id are one line.
    pub id: String,
    /// Who said it.
    pub role: Speaker,
    /// What.
    pub text: String,
    /// Whether it is complete.
    pub is_final: bool,
    /// Whether the caller cut it short.
    pub interrupted: bool,
}

/// A message to watchers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Update {
    /// All calls: the first message, and again after some were missed.
    #[serde(rename = "sbc_snapshot")]
    Snapshot {
        /// Oldest first.
        calls: Vec<CallView>,
    },
    /// A call began and its settings are known, or they have changed.
    #[serde(rename = "sbc_call_start")]
    Start {
        /// Which call.
        call_id: String,
        /// `web` or `phone`.
        from: String,
        /// The voice.
        voice: String,
        /// The persona.
        persona: Option<String>,
        /// The first workflow that is linked.
        workflow: Option<String>,
        /// Milliseconds since 1970.
        started_at: u64,
    },
    /// A line is complete.
    #[serde(rename = "sbc_transcript")]
    Transcript {
        /// Which call.
        call_id: String,
        /// The line.
        #[serde(flatten)]
        line: Spoken,
    },
    /// A line grows. Of our own: the panel of before would show each of them as a new line.
    #[serde(rename = "sbc_line")]
    Growing {
        /// Which call.
        call_id: String,
        /// The line so far.
        #[serde(flatten)]
        line: Spoken,
    },
    /// What a call is at has changed.
    #[serde(rename = "sbc_state")]
    State {
        /// Which call.
        call_id: String,
        /// What it is at.
        state: State,
    },
    /// A tool is called.
    #[serde(rename = "sbc_tool_use")]
    ToolUse {
        /// Which call.
        call_id: String,
        /// Which tool.
        tool_name: String,
        /// With what.
        args: Value,
        /// Which call of the tool.
        tool_use_id: String,
    },
    /// A tool has answered.
    #[serde(rename = "sbc_tool_result")]
    ToolResult {
        /// Which call.
        call_id: String,
        /// Which tool.
        tool_name: String,
        /// What it answered.
        result: Value,
        /// Which call of the tool.
        tool_use_id: String,
        /// `ok`, `error`, `refused` …
        outcome: String,
    },
    /// Tokens so far.
    #[serde(rename = "sbc_usage")]
    Usage {
        /// Which call.
        call_id: String,
        /// To the model.
        input_tokens: u64,
        /// From the model.
        output_tokens: u64,
    },
    /// How long the caller waited.
    #[serde(rename = "sbc_latency")]
    Latency {
        /// Which call.
        call_id: String,
        /// Until the first audio.
        #[serde(rename = "ttft_ms")]
        ttft_ms: u64,
        /// Until the answer was whole.
        #[serde(rename = "latency_ms")]
        latency_ms: u64,
    },
    /// The workflow moved.
    #[serde(rename = "sbc_workflow_step")]
    Step {
        /// Which call.
        call_id: String,
        /// The step.
        step_id: String,
        /// Its workflow.
        workflow_id: String,
    },
    /// Something went wrong.
    #[serde(rename = "sbc_error")]
    Error {
        /// Which call.
        call_id: String,
        /// A stable word.
        code: String,
        /// For people.
        message: String,
    },
    /// A call is over.
    #[serde(rename = "sbc_call_end")]
    End {
        /// Which call.
        call_id: String,
        /// How long it was.
        duration_ms: u64,
        /// Why it ended.
        cause: String,
    },
}
