//! Runs a tool: checks the arguments, applies the rules of its file, asks its executor.
//!
//! It does not know calls or workflows' gates. The tool runner of the engine watches every run
//! for panics; dropping the future cancels the run. [`Executors`] is built once per process and
//! holds what runs share: connections, remembered answers, places.
//!
//! ```text
//! Executors::call -> arguments fit? -> remembered? -> a place free? -> within timeout_ms:
//!     attempt (Backend, table, builtin) -> may it pass and be repeated? -> attempt …
//!   -> an object -> cut to max_result_bytes -> remembered -> the model
//! ```

#[cfg(feature = "clients")]
mod address;
mod backend;
mod builtin;
mod cache;
#[cfg(feature = "clients")]
mod clients;
mod executors;
mod policy;
mod refusal;
mod shape;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

pub use backend::{Backend, Fault, Run};
#[cfg(feature = "clients")]
pub use clients::{
    ClientOptions, Clients, McpServer, McpServers, McpTransport, SdkConfig, Secrets, SetupError,
    WrongMcpServers,
};
pub use executors::Executors;
pub use policy::{HostRule, HttpPolicy, WrongHostRule};
pub use refusal::{ArgumentProblem, ToolError};

use crate::{snapshot::Snapshot, tool::Tool};

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

/// As [`Executors::call`] without clients, without memory and without places: for tools that
/// stay in the process.
pub async fn call(name: &str, input: &Value, context: &ToolContext) -> Result<Value, ToolError> {
    Executors::default().call(name, input, context).await
}

/// As [`Executors::run`] without clients, without memory and without places.
pub async fn run(tool: &Tool, input: &Value, context: &ToolContext) -> Result<Value, ToolError> {
    Executors::default().run(tool, input, context).await
}
