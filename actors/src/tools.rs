//! The tool runner: executes what the model asks for, each call as a watched task of its own.
//!
//! Every call that comes in gets exactly one answer: the tool's, or one that says what went
//! wrong, also when it panics, is too late, or does not exist.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient};
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use voice_call::{Meters, meters::ReasonLabel};
use voice_catalog::{
    Snapshot,
    execute::{Executors, ToolContext, ToolError},
};

use crate::{
    mailbox::control,
    supervise::{Exit, answer_probes, spawn_watched},
};

/// What a tool's own limit is exceeded by before we give it up ourselves.
const GRACE: Duration = Duration::from_secs(1);

/// Execute a tool.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub(crate) struct RunTool {
    pub(crate) tool_use_id: String,
    pub(crate) name: String,
    pub(crate) input: Value,
    /// The caller's time zone.
    pub(crate) timezone: Option<String>,
    /// The workflows that are linked to the call.
    pub(crate) workflows: Vec<String>,
}

/// Let the running calls go; nobody waits for them any more.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct FinishTools;

/// A tool call ended, well or badly.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub(crate) struct ToolFinished {
    pub(crate) tool_use_id: String,
    pub(crate) name: String,
    pub(crate) input: Value,
    /// What the model is told.
    pub(crate) result: Value,
    pub(crate) outcome: Outcome,
}

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Failed,
    TimedOut,
    Panicked,
    Unknown,
    /// The workflow did not allow it; nothing was run.
    Refused,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Panicked => "panicked",
            Self::Unknown => "unknown_tool",
            Self::Refused => "refused",
        }
    }
}

/// The actor.
pub(crate) struct ToolRunner {
    catalog: Arc<Snapshot>,
    executors: Arc<Executors>,
    deadline: Duration,
    meters: Meters,
    call: Recipient<ToolFinished>,
    running: HashMap<String, (RunTool, AbortHandle)>,
}

/// A task of ours ended; `answer` is empty when it did not get to give one.
#[derive(Message)]
#[rtype(result = "()")]
struct TaskEnded {
    tool_use_id: String,
    answer: Option<(Value, Outcome)>,
    exit: Exit,
}

impl ToolRunner {
    pub(crate) fn new(
        catalog: Arc<Snapshot>,
        executors: Arc<Executors>,
        deadline: Duration,
        meters: Meters,
        call: Recipient<ToolFinished>,
    ) -> Self {
        Self { catalog, executors, deadline, meters, call, running: HashMap::new() }
    }

    /// The executors keep the tool's own limit; this one is for what hangs in spite of it.
    fn deadline_of(&self, name: &str) -> Duration {
        let own = self.catalog.tool(name).map(|tool| tool.rules.timeout + GRACE);
        own.unwrap_or_default().max(self.deadline)
    }

    fn context(&self, run: &RunTool) -> ToolContext {
        ToolContext {
            now: jiff::Timestamp::now(),
            timezone: run.timezone.clone(),
            catalog: self.catalog.clone(),
            workflows: run.workflows.clone(),
        }
    }

    fn answer(&self, call: RunTool, result: Value, outcome: Outcome) {
        self.meters.tool_calls.get_or_create(&ReasonLabel { reason: outcome.as_str() }).inc();
        let RunTool { tool_use_id, name, input, .. } = call;
        control(&self.call, ToolFinished { tool_use_id, name, input, result, outcome });
    }
}

impl Actor for ToolRunner {
    type Context = Context<Self>;
}

answer_probes!(ToolRunner);

impl Drop for ToolRunner {
    fn drop(&mut self) {
        for (_, task) in self.running.values() {
            task.abort();
        }
    }
}

impl Handler<RunTool> for ToolRunner {
    type Result = ();

    fn handle(&mut self, run: RunTool, ctx: &mut Self::Context) {
        if self.running.contains_key(&run.tool_use_id) {
            tracing::warn!(tool_use_id = run.tool_use_id, "the model repeated a tool-use id");
            return;
        }
        let (context, asked) = (self.context(&run), run.clone());
        let (executors, deadline) = (self.executors.clone(), self.deadline_of(&run.name));
        let slot = std::rc::Rc::new(std::cell::Cell::new(None));
        let filled = slot.clone();
        let work = async move {
            filled.set(Some(execute_one(&executors, &asked, &context, deadline).await));
        };
        let (me, tool_use_id) = (ctx.address().recipient(), run.tool_use_id.clone());
        let live = self.meters.live_tasks.clone();
        live.inc();
        let task = spawn_watched(work, move |exit| {
            live.dec();
            control(&me, TaskEnded { tool_use_id, answer: slot.take(), exit });
        });
        self.running.insert(run.tool_use_id.clone(), (run, task));
    }
}

impl Handler<TaskEnded> for ToolRunner {
    type Result = ();

    fn handle(&mut self, ended: TaskEnded, _: &mut Self::Context) {
        let Some((run, _)) = self.running.remove(&ended.tool_use_id) else { return };
        let (result, outcome) = ended.answer.unwrap_or_else(|| {
            tracing::error!(tool = run.name, exit = ?ended.exit, "a tool broke");
            (json!({"error": "the tool failed; do not try it again"}), Outcome::Panicked)
        });
        self.answer(run, result, outcome);
    }
}

impl Handler<FinishTools> for ToolRunner {
    type Result = ();

    fn handle(&mut self, _: FinishTools, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// Runs one tool with its deadline.
async fn execute_one(
    executors: &Executors,
    run: &RunTool,
    context: &ToolContext,
    deadline: Duration,
) -> (Value, Outcome) {
    let work = executors.call(&run.name, &run.input, context);
    match tokio::time::timeout(deadline, work).await {
        Ok(Ok(result)) => (result, Outcome::Ok),
        Ok(Err(error)) => {
            let outcome = match error {
                ToolError::Unknown { .. } => Outcome::Unknown,
                ToolError::TimedOut { .. } => Outcome::TimedOut,
                _ => Outcome::Failed,
            };
            (error.to_result(), outcome)
        }
        Err(_) => {
            let seconds = deadline.as_secs_f64();
            let error = format!("the tool did not answer within {seconds} s; try it later");
            (json!({"error": error}), Outcome::TimedOut)
        }
    }
}
