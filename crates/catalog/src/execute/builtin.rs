//! The tools the program brings along.
//!
//! Each returns only what the model should know. What `transfer_to_agent` and `end_call` do to
//! the call is the engine's business; it sees the run through [`crate::Tool::builtin`].

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{ToolContext, ToolError};
use crate::tool::Builtin;

/// Runs a builtin with arguments that fit the tool's schema.
pub(super) fn run(
    builtin: Builtin,
    arguments: &Map<String, Value>,
    context: &ToolContext,
) -> Result<Value, ToolError> {
    match builtin {
        Builtin::TransferToAgent => Ok(transfer(arguments)),
        Builtin::EndCall => Ok(json!({
            "status": "ending",
            "next": "The call ends after your last words. Add nothing but a short goodbye."
        })),
        Builtin::GetCurrentTime => current_time(arguments, context),
        Builtin::StartWorkflow => start_workflow(arguments, context),
        Builtin::PauseRecording => Ok(json!({
            "status": "paused",
            "next": "What is said now is not recorded. Call resume_recording afterwards."
        })),
        Builtin::ResumeRecording => Ok(json!({"status": "recording"})),
    }
}

fn transfer(arguments: &Map<String, Value>) -> Value {
    json!({
        "status": "transferring",
        "reason": arguments.get("reason").cloned().unwrap_or(Value::Null),
        "next": "Tell the caller in one short sentence that a colleague takes over. Ask nothing."
    })
}

fn current_time(arguments: &Map<String, Value>, context: &ToolContext) -> Result<Value, ToolError> {
    let zone = match arguments.get("timezone").and_then(Value::as_str).map(str::trim) {
        // A zone the model asked for by name must exist; a caller's that does not is no reason
        // to refuse the time.
        Some(asked) if !asked.is_empty() => {
            TimeZone::get(asked).map_err(|_| ToolError::Failed {
                tool: Builtin::GetCurrentTime.as_str().to_owned(),
                message: format!(
                    "There is no time zone named {asked:?}. Use an IANA name such as Europe/Berlin."
                ),
            })?
        }
        _ => context
            .timezone
            .as_deref()
            .and_then(|name| TimeZone::get(name.trim()).ok())
            .unwrap_or(TimeZone::UTC),
    };
    let now = context.now.to_zoned(zone);
    Ok(json!({
        "date": now.strftime("%Y-%m-%d").to_string(),
        "time": now.strftime("%H:%M").to_string(),
        "weekday": now.strftime("%A").to_string(),
        "timezone": now.time_zone().iana_name().unwrap_or("UTC"),
        "utcOffset": now.strftime("%:z").to_string()
    }))
}

fn start_workflow(
    arguments: &Map<String, Value>,
    context: &ToolContext,
) -> Result<Value, ToolError> {
    let wanted = arguments.get("workflowId").and_then(Value::as_str).unwrap_or_default();
    // Ids of workflows that are gone are the client's mistake, not the model's.
    let linked = context.workflows.iter().filter_map(|id| context.catalog.workflow(id));
    let linked: Vec<_> = linked.collect();
    let found = context.catalog.workflow(wanted);
    match found.filter(|found| linked.iter().any(|workflow| workflow.id == found.id)) {
        Some(workflow) => Ok(json!({
            "workflowId": workflow.id,
            "name": workflow.name,
            "currentStep": workflow.start().map(|node| node.id.as_str()),
            "steps": workflow.to_text(),
            "next": "Follow the steps in order, beginning at the start."
        })),
        None => Err(ToolError::Failed {
            tool: Builtin::StartWorkflow.as_str().to_owned(),
            message: match linked.as_slice() {
                [] => "No workflow is linked to this call.".to_owned(),
                known => {
                    let ids: Vec<&str> = known.iter().map(|known| known.id.as_str()).collect();
                    format!("There is no workflow {wanted:?} here. Use one of: {}.", ids.join(", "))
                }
            },
        }),
    }
}
