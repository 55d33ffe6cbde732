//! Why a tool gave no result, and how the model is told so that it can do better.

use serde_json::{Map, Value, json};

use crate::tool::Tool;

/// Most argument problems that are listed; a model that made more starts over anyway.
const MAX_LISTED: usize = 8;

/// Longest text of one argument problem, in characters.
const MAX_PROBLEM_CHARS: usize = 200;

/// Why a tool gave no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ToolError {
    /// The model's arguments do not fit the schema; nothing was run.
    #[error("the arguments of {tool} do not fit its schema: {}", list(.problems))]
    InvalidArguments {
        /// The tool.
        tool: String,
        /// What does not fit.
        problems: Vec<ArgumentProblem>,
        /// The schema, so that the model sees what is expected.
        expected: Value,
    },
    /// The tool ran and failed.
    #[error("{tool} failed: {message}")]
    Failed {
        /// The tool.
        tool: String,
        /// What went wrong, fit for the model to read.
        message: String,
    },
    /// The tool gave no answer in its time.
    #[error("{tool} did not answer within {after_ms} ms")]
    TimedOut {
        /// The tool.
        tool: String,
        /// Its `timeout_ms`.
        after_ms: u64,
    },
    /// As many runs as the file allows are under way; nothing was run.
    #[error("{tool} is busy: {limit} runs are under way")]
    Busy {
        /// The tool.
        tool: String,
        /// Its `concurrency`.
        limit: usize,
    },
    /// The tool has no executor here.
    #[error("{tool} is not available: its file does not say how it is executed")]
    NotAvailable {
        /// The tool.
        tool: String,
    },
    /// No tool has that name.
    #[error("there is no tool {tool}")]
    Unknown {
        /// The name the model used.
        tool: String,
        /// The names there are.
        known: Vec<String>,
    },
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentProblem {
    /// The argument, such as `address/city`; empty for the arguments as a whole.
    pub argument: String,
    /// What is wrong with it.
    pub what: String,
}

impl std::fmt::Display for ArgumentProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.argument.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "{}: {}", self.argument, self.what)
        }
    }
}

fn list(problems: &[ArgumentProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl ToolError {
    /// The result for the model: always an object with `error`, and with what helps it go on.
    pub fn to_result(&self) -> Value {
        match self {
            Self::InvalidArguments { tool, problems, expected } => json!({
                "error": format!("The arguments of {tool} are not valid; nothing was done."),
                "problems": problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "expected": expected,
                "next": "Ask the caller for what is missing or unclear, then call the tool again."
            }),
            Self::Failed { message, .. } => json!({ "error": message }),
            Self::TimedOut { after_ms, .. } => json!({
                "error": format!("The tool did not answer within {} s.", *after_ms as f64 / 1000.0),
                "next": "It may still have been done. Tell the caller, and do not simply repeat it."
            }),
            Self::Busy { .. } => json!({
                "error": "The tool is busy; nothing was done.",
                "next": "Ask the caller for a moment's patience, then call the tool again."
            }),
            Self::NotAvailable { tool } => json!({
                "error": "not available",
                "tool": tool,
                "next": "Tell the caller that this cannot be done here, and offer something else."
            }),
            Self::Unknown { tool, known } => json!({
                "error": format!("There is no tool named {tool}."),
                "available": known
            }),
        }
    }

    /// A word for logs and metrics; of bounded variety.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::InvalidArguments { .. } => "invalid_arguments",
            Self::Failed { .. } => "failed",
            Self::TimedOut { .. } => "timed_out",
            Self::Busy { .. } => "busy",
            Self::NotAvailable { .. } => "not_available",
            Self::Unknown { .. } => "unknown_tool",
        }
    }
}

/// The arguments as an object that fits the tool's schema.
pub(super) fn check_arguments(tool: &Tool, input: &Value) -> Result<Map<String, Value>, ToolError> {
    let invalid = |problems| ToolError::InvalidArguments {
        tool: tool.name.clone(),
        problems,
        expected: tool.input_schema.as_ref().clone(),
    };
    let whole = |what: &str| {
        invalid(vec![ArgumentProblem { argument: String::new(), what: what.to_owned() }])
    };
    let decoded = match input {
        Value::Null => Value::Object(Map::new()),
        // Nova Sonic sometimes encodes the arguments twice (`nova-sonic.md` §3.2).
        Value::String(text) if text.trim().is_empty() => Value::Object(Map::new()),
        Value::String(text) => serde_json::from_str(text)
            .map_err(|_| whole("the arguments must be a JSON object, not a text"))?,
        other => other.clone(),
    };
    let problems: Vec<ArgumentProblem> = tool
        .validator()
        .iter_errors(&decoded)
        .take(MAX_LISTED)
        .map(|error| ArgumentProblem {
            argument: error.instance_path().to_string().trim_start_matches('/').to_owned(),
            // Masked: the text is logged, and the value may be a secret of the caller.
            what: shorten(&error.masked_with("the value").to_string()),
        })
        .collect();
    match decoded {
        Value::Object(arguments) if problems.is_empty() => Ok(arguments),
        Value::Object(_) => Err(invalid(problems)),
        _ => Err(whole("the arguments must be a JSON object")),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_PROBLEM_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
