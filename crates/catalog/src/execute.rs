//! Runs a tool: checks the arguments, then asks the executor of its file.
//!
//! It does not know calls, deadlines or workflows' gates: the tool runner of the engine wraps
//! every run in its own deadline and watches for panics. Dropping the future cancels the run.

mod builtin;
mod refusal;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value};

pub use refusal::{ArgumentProblem, ToolError};

use crate::{
    snapshot::Snapshot,
    tool::{Executor, Outcome, StaticTable, Tool},
};

/// What a tool may know of the call it runs for.
#[derive(Debug, Clone)]
pub struct ToolContext {
    /// The moment of the call; tools read no clock of their own.
    pub now: Timestamp,
    /// The caller's time zone, an IANA name, unchecked; UTC when absent.
    pub timezone: Option<String>,
    /// The snapshot the call holds.
    pub catalog: Arc<Snapshot>,
    /// Ids of the workflows linked to the call.
    pub workflows: Vec<String>,
}

/// Runs the tool of that name; the name may be folded as in [`Snapshot::tool`].
pub async fn call(name: &str, input: &Value, context: &ToolContext) -> Result<Value, ToolError> {
    match context.catalog.tool(name) {
        Some(tool) => run(tool, input, context).await,
        None => Err(ToolError::Unknown {
            tool: name.to_owned(),
            known: context.catalog.tools().iter().map(|tool| tool.name.clone()).collect(),
        }),
    }
}

/// Runs a tool. `input` is what the model sent: an object, the same once more encoded as a text,
/// or nothing (null, an empty text) for no arguments.
///
/// The result is what the model gets. An error becomes a result by [`ToolError::to_result`].
pub async fn run(tool: &Tool, input: &Value, context: &ToolContext) -> Result<Value, ToolError> {
    let arguments = refusal::check_arguments(tool, input)?;
    match &tool.execute {
        Executor::Builtin(builtin) => builtin::run(*builtin, &arguments, context),
        Executor::Static(table) => answer(table, tool, &arguments).await,
        Executor::None => Err(ToolError::NotAvailable { tool: tool.name.clone() }),
    }
}

async fn answer(
    table: &StaticTable,
    tool: &Tool,
    arguments: &Map<String, Value>,
) -> Result<Value, ToolError> {
    let answer = table.answer(arguments).ok_or_else(|| ToolError::Failed {
        tool: tool.name.clone(),
        message: "Nothing was found for these arguments.".to_owned(),
    })?;
    if answer.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
    }
    match answer.outcome {
        Outcome::Result(result) => Ok(result),
        Outcome::Fail(message) => Err(ToolError::Failed { tool: tool.name.clone(), message }),
    }
}
