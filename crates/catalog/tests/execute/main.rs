//! Tools that leave the process, over real sockets and real child processes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and so do its helpers")]

mod aws;
mod backend;
mod everything;
mod http;
mod mcp;
mod rules;

use std::sync::Arc;

use serde_json::{Value, json};
use voice_catalog::{
    Snapshot, SourceFile, Sources,
    execute::{Executors, HttpPolicy, ToolContext, ToolError},
};

/// A snapshot with one tool named `t` that takes any arguments.
pub(crate) fn one_tool(execute: Value) -> Arc<Snapshot> {
    built(&json!({
        "name": "t", "description": "d", "input_schema": {"type": "object"}, "execute": execute
    }))
}

pub(crate) fn built(tool: &Value) -> Arc<Snapshot> {
    let tools = vec![SourceFile::new("t.json", tool.to_string())];
    let sources = Sources { tools, ..Sources::default() };
    let (snapshot, warnings) = Snapshot::build(&sources).unwrap();
    assert_eq!(warnings, []);
    Arc::new(snapshot)
}

pub(crate) fn context(catalog: &Arc<Snapshot>) -> ToolContext {
    ToolContext {
        now: "2026-11-22T20:15:30Z".parse().unwrap(),
        timezone: None,
        catalog: Arc::clone(catalog),
        workflows: Vec::new(),
    }
}

/// Runs the tool `t`.
pub(crate) async fn run(
    executors: &Executors,
    catalog: &Arc<Snapshot>,
    arguments: Value,
) -> Result<Value, ToolError> {
    executors.call("t", &arguments, &context(catalog)).await
}

/// What the model is told of a failure.
pub(crate) fn told(result: Result<Value, ToolError>) -> String {
    result.unwrap_err().to_result()["error"].as_str().unwrap().to_owned()
}

/// Only this place of the own machine is allowed.
pub(crate) fn only(host: &str) -> HttpPolicy {
    HttpPolicy::parse("", host).unwrap()
}
