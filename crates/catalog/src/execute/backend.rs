//! The seam between the rules of a run and the clients that leave the process.

use std::fmt;

use futures::future::BoxFuture;
use serde_json::{Map, Value};

use crate::tool::Tool;

/// Runs the kinds that leave the process: `http`, `lambda`, `mcp`, `knowledge_base`.
///
/// One attempt per call. Time, repetition and size are the business of
/// [`Executors`](super::Executors); dropping the future must cancel the attempt.
pub trait Backend: fmt::Debug + Send + Sync {
    /// One attempt with arguments that fit the schema.
    fn run<'a>(&'a self, tool: &'a Tool, arguments: &'a Map<String, Value>) -> Run<'a>;
}

/// An attempt under way.
pub type Run<'a> = BoxFuture<'a, Result<Value, Fault>>;

/// Why an attempt gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({detail})")]
pub struct Fault {
    /// What the model is told; holds no address, no secret and no detail of the back end.
    pub message: String,
    /// What the log says; holds no secret and no argument.
    pub detail: String,
    /// Whether another attempt may fare better.
    pub may_pass: bool,
}

impl Fault {
    /// A failure that stays.
    pub fn lasting(message: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { message: message.into(), detail: detail.into(), may_pass: false }
    }

    /// A failure that may be over soon.
    pub fn passing(message: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { message: message.into(), detail: detail.into(), may_pass: true }
    }
}
