//! Server → client: every message there is (`contract.md` §1).

use serde::Serialize;
use serde_json::Value;

/// Who said a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The caller.
    User,
    /// Nova Sonic.
    Assistant,
}

/// A JSON message of the server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ServerMessage {
    /// The connection was accepted.
    Connected {
        /// The call's id.
        session_id: String,
        /// For people.
        message: String,
        /// Which program this is.
        version: Version,
        /// Whether the server can reach a model at all.
        has_credentials: bool,
        /// `emulator` or `bedrock`: who answers.
        backend: &'static str,
        /// With it the client comes back to this call, once, when its connection is lost.
        #[serde(skip_serializing_if = "Option::is_none")]
        resume_token: Option<String>,
        /// Whether this is a call that the client has come back to.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        resumed: bool,
    },
    /// The model's stream is up. Sent once per call: clients clear their chat on it.
    #[serde(rename = "session_start")]
    SessionStart {
        /// The call's id.
        session_id: String,
        /// ISO 8601.
        timestamp: String,
    },
    /// What was said.
    Transcript {
        /// Lines with the same id are one line that grows or is corrected.
        id: String,
        /// Who said it.
        role: Role,
        /// The whole line so far.
        text: String,
        /// Whether it will not change any more.
        is_final: bool,
        /// Whether the assistant is still saying it.
        is_streaming: bool,
        /// Whether the caller cut it short.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        interrupted: bool,
        /// ISO 8601.
        timestamp: String,
    },
    /// The assistant's turn was interrupted.
    TranscriptCancelled {
        /// Whose turn: always the assistant's.
        role: Role,
    },
    /// Barge-in: flush what is being played.
    Interruption,
    /// A tool call starts.
    #[serde(rename = "tool_use")]
    ToolUse {
        /// Which tool.
        tool_name: String,
        /// Its arguments.
        tool_input: Value,
        /// Which call of it.
        tool_use_id: String,
    },
    /// A tool call ended, well or badly.
    #[serde(rename = "tool_result")]
    ToolResult {
        /// Which tool.
        tool_name: String,
        /// What it answered.
        tool_result: Value,
        /// Which call of it.
        tool_use_id: String,
    },
    /// The assistant hands the caller to a human.
    TransferToAgent {
        /// Why, for the human.
        reason: String,
        /// The story so far, for the human.
        summary: String,
        /// What is known about the caller.
        attributes: serde_json::Map<String, Value>,
    },
    /// A workflow moved.
    #[serde(rename = "workflow_update")]
    WorkflowUpdate {
        /// Id of the step that was reached.
        current_step: String,
    },
    /// Where a workflow stands; comes with every `workflow_update`.
    #[serde(rename = "workflowStatus")]
    WorkflowStatus {
        /// The details.
        data: WorkflowStatus,
    },
    /// The model's usage, accumulated over the call.
    Usage {
        /// In the shape of the model's own event.
        data: Value,
    },
    /// Tokens so far, at the end of a turn.
    #[serde(rename = "token_usage")]
    TokenUsage {
        /// To the model.
        input_tokens: u64,
        /// From the model.
        output_tokens: u64,
        /// What the call costs so far, where a price is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        cost: Option<f64>,
        /// ISO 4217, with `cost`.
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<String>,
    },
    /// Something became known of the call.
    Metadata {
        /// What.
        data: Metadata,
    },
    /// How long the caller waited for the turn that ended.
    #[serde(rename = "latency_update")]
    LatencyUpdate {
        /// From the end of the caller's speech to the first audio.
        #[serde(rename = "ttft_ms")]
        ttft_ms: u64,
        /// From the end of the caller's speech to the end of the answer's generation.
        #[serde(rename = "latency_ms")]
        latency_ms: u64,
    },
    /// Answer to `ping`.
    Pong,
    /// The server takes no new calls any more. With a deadline this connection is closed with 1012
    /// by then, between two turns if there is such a moment, and the client goes on at another
    /// server with its resume token. The last one that came counts.
    Draining {
        /// At the latest in so many milliseconds; absent: the call goes on to its own end.
        #[serde(skip_serializing_if = "Option::is_none")]
        deadline_ms: Option<u64>,
    },
    /// The server takes new calls again, and nobody has to leave.
    DrainCancelled,
    /// The model's stream was lost.
    Reconnecting {
        /// For people.
        message: String,
    },
    /// The model's stream is back.
    Reconnected {
        /// For people.
        message: String,
    },
    /// Something is wrong.
    Error {
        /// What, where, and what is expected.
        message: String,
        /// A stable word for programs.
        code: &'static str,
        /// Whether the call is over.
        fatal: bool,
    },
    /// There is no place now: an error that says when to come back.
    #[serde(rename = "error")]
    Busy {
        /// Why.
        message: String,
        /// `busy`.
        code: &'static str,
        /// Always: there is no call.
        fatal: bool,
        /// When to try again.
        retry_after_seconds: u32,
    },
}

/// What became known of a call.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Metadata {
    /// Where it is traced.
    Trace {
        /// 32 hexadecimal digits.
        trace_id: String,
    },
    /// The language of the caller, as it was heard.
    Language {
        /// BCP 47.
        detected_language: String,
        /// From 0 to 1.
        language_confidence: f64,
    },
}

/// Where a workflow stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowStatus {
    /// Id of the present step.
    pub active_step_id: String,
    /// Id of the workflow it belongs to.
    pub workflow_id: String,
    /// What the workflow's steps need to know, and whether it is known.
    pub checks: std::collections::BTreeMap<String, bool>,
}

/// Which program answers; also what `/api/version` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Semantic version.
    pub version: String,
    /// ISO 8601, or empty in builds that do not state one.
    pub build_time: String,
    /// The program's name.
    pub name: String,
}

impl ServerMessage {
    /// The message as the text of one frame.
    pub fn to_json(&self) -> String {
        // Serialising cannot fail: every key is a string and every value is plain data.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(message: &ServerMessage) -> Value {
        serde_json::from_str(&message.to_json()).expect("JSON")
    }

    #[test]
    fn names_are_the_contracts() {
        let latency = ServerMessage::LatencyUpdate { ttft_ms: 1, latency_ms: 2 };
        assert_eq!(
            json(&latency),
            serde_json::json!({"type": "latency_update", "ttft_ms": 1, "latency_ms": 2})
        );
        let line = ServerMessage::Transcript {
            id: "a1".into(),
            role: Role::Assistant,
            text: "Hello".into(),
            is_final: false,
            is_streaming: true,
            interrupted: false,
            timestamp: "2026-01-01T00:00:00Z".into(),
        };
        assert_eq!(
            json(&line),
            serde_json::json!({"type": "transcript", "id": "a1", "role": "assistant",
                "text": "Hello", "isFinal": false, "isStreaming": true,
                "timestamp": "2026-01-01T00:00:00Z"})
        );
        for (deadline_ms, expected) in [
            (Some(20_000), serde_json::json!({"type": "draining", "deadlineMs": 20_000})),
            (None, serde_json::json!({"type": "draining"})),
        ] {
            assert_eq!(json(&ServerMessage::Draining { deadline_ms }), expected);
        }
        assert_eq!(json(&ServerMessage::Interruption), serde_json::json!({"type": "interruption"}));
        let data = Metadata::Trace { trace_id: "ab".into() };
        assert_eq!(
            json(&ServerMessage::Metadata { data }),
            serde_json::json!({"type": "metadata", "data": {"traceId": "ab"}})
        );
        let data = Metadata::Language { detected_language: "de".into(), language_confidence: 0.5 };
        assert_eq!(
            json(&ServerMessage::Metadata { data })["data"],
            serde_json::json!({"detectedLanguage": "de", "languageConfidence": 0.5})
        );
        let tool = ServerMessage::ToolUse {
            tool_name: "t".into(),
            tool_input: serde_json::json!({}),
            tool_use_id: "u".into(),
        };
        assert_eq!(
            json(&tool),
            serde_json::json!({"type": "tool_use", "toolName": "t", "toolInput": {}, "toolUseId": "u"})
        );
    }
}
