//! A tool: what the model is told of it, and how it is run.
//!
//! This is the model alone; reading the file is `tool/read.rs`, running it is [`crate::execute`].

mod read;
pub(crate) mod remote;
mod rules;
mod table;
pub(crate) mod template;

use std::sync::Arc;

use serde_json::{Value, json};

#[cfg(feature = "clients")]
pub(crate) use read::SCHEMA_KEYS;
pub(crate) use read::read;
pub use remote::{Body, HttpCall, KnowledgeBaseQuery, LambdaCall, McpCall, UrlTemplate};
pub use rules::{Announce, Redaction, Rules};
pub use table::{Answer, Outcome, Row, StaticTable};

/// One tool of a snapshot.
#[derive(Debug, Clone)]
pub struct Tool {
    /// What the model calls; `^[a-zA-Z0-9_-]+$`, unique in the snapshot.
    pub name: String,
    /// What the model chooses by.
    pub description: String,
    /// How the model should use it; becomes part of the offered description.
    pub instruction: Option<String>,
    /// A group for display, such as `escalation`.
    pub category: Option<String>,
    /// JSON Schema of the arguments; its root is always `"type": "object"`.
    pub input_schema: Arc<Value>,
    /// File name without its folder; empty for the synthetic `start_workflow`.
    pub file: String,
    /// How it is run.
    pub execute: Executor,
    /// Under which rules.
    pub rules: Rules,
    raw: Value,
    validator: Arc<jsonschema::Validator>,
}

/// How a tool is run.
#[derive(Debug, Clone, PartialEq)]
pub enum Executor {
    /// By the program itself.
    Builtin(Builtin),
    /// Answered from a table in the tool's file.
    Static(StaticTable),
    /// By a request to a back end.
    Http(HttpCall),
    /// By an AWS Lambda function.
    Lambda(LambdaCall),
    /// By a tool of an MCP server.
    Mcp(McpCall),
    /// By a search in an Amazon Bedrock knowledge base.
    KnowledgeBase(KnowledgeBaseQuery),
    /// Not at all: the model is told that the tool is not available.
    None,
}

/// The tools the program brings along. Two of them also change the call; the engine does that
/// when it sees them here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// Hands the caller over to a human.
    TransferToAgent,
    /// Ends the call after the goodbye.
    EndCall,
    /// Tells date and time where the caller is.
    GetCurrentTime,
    /// Hands out a workflow's text.
    StartWorkflow,
    /// Has silence recorded instead of what is said.
    PauseRecording,
    /// Has what is said recorded again.
    ResumeRecording,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::TransferToAgent,
        Self::EndCall,
        Self::GetCurrentTime,
        Self::StartWorkflow,
        Self::PauseRecording,
        Self::ResumeRecording,
    ];

    /// The name a tool file uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransferToAgent => "transfer_to_agent",
            Self::EndCall => "end_call",
            Self::GetCurrentTime => "get_current_time",
            Self::StartWorkflow => "start_workflow",
            Self::PauseRecording => "pause_recording",
            Self::ResumeRecording => "resume_recording",
        }
    }

    /// The builtin of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builtin| builtin.as_str() == name)
    }
}

impl Tool {
    /// The file as it was written, unknown keys included: what `GET /api/tools` lists.
    pub fn raw(&self) -> &Value {
        &self.raw
    }

    /// Which builtin it is, if it is one: the engine reacts to transfer and end by this.
    pub fn builtin(&self) -> Option<Builtin> {
        match self.execute {
            Executor::Builtin(builtin) => Some(builtin),
            _ => None,
        }
    }

    /// The description with the instruction, as the model gets it (`contract.md` §1).
    pub fn offered_description(&self) -> String {
        match &self.instruction {
            Some(instruction) => format!("{}\n\n[INSTRUCTION]: {instruction}", self.description),
            None => self.description.clone(),
        }
    }

    /// What the caller hears when a run takes long, and after how much silence.
    pub fn announce(&self) -> Option<&Announce> {
        self.rules.announce.as_ref()
    }

    /// The model's arguments as a log may show them.
    pub fn redacted_arguments(&self, input: &Value) -> Value {
        self.rules.redact.arguments(input)
    }

    /// A result as a log may show it.
    pub fn redacted_result(&self, result: &Value) -> Value {
        self.rules.redact.result(result)
    }

    /// The compiled schema.
    pub(crate) fn validator(&self) -> &jsonschema::Validator {
        &self.validator
    }

    /// The tool that is offered when workflows are linked; `None` only if its own schema
    /// did not compile.
    pub(crate) fn start_workflow() -> Option<Self> {
        let input_schema = json!({
            "type": "object",
            "properties": {
                "workflowId": {
                    "type": "string",
                    "description": "The id of the workflow to follow."
                }
            },
            "required": ["workflowId"]
        });
        let validator = jsonschema::validator_for(&input_schema).ok()?;
        let builtin = Builtin::StartWorkflow;
        let description = "Start a workflow. The answer holds its steps; follow them in order.";
        Some(Self {
            name: builtin.as_str().to_owned(),
            description: description.to_owned(),
            instruction: None,
            category: Some("workflow".to_owned()),
            raw: json!({
                "name": builtin.as_str(),
                "description": description,
                "input_schema": input_schema
            }),
            input_schema: Arc::new(input_schema),
            file: String::new(),
            execute: Executor::Builtin(builtin),
            rules: Rules::default(),
            validator: Arc::new(validator),
        })
    }
}
