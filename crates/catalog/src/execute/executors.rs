//! What the runs of a process share, and the rules they run under.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Backend, Fault, ToolContext, ToolError, builtin,
    cache::{Cache, Key},
    refusal::check_arguments,
    shape,
};
use crate::tool::{Executor, Outcome, StaticTable, Tool};

/// Wait before the second attempt; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// Runs tools. One per process, shared by all calls.
///
/// The default has no clients: tools that leave the process answer that they are not available.
#[derive(Debug, Default)]
pub struct Executors {
    backend: Option<Arc<dyn Backend>>,
    cache: Mutex<Cache>,
    running: Mutex<HashMap<String, usize>>,
}

impl Executors {
    /// Executors whose remote kinds run on `backend`.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend: Some(backend), ..Self::default() }
    }

    /// Runs the tool of that name; the name may be folded as in
    /// [`Snapshot::tool`](crate::Snapshot::tool).
    pub async fn call(
        &self,
        name: &str,
        input: &Value,
        context: &ToolContext,
    ) -> Result<Value, ToolError> {
        match context.catalog.tool(name) {
            Some(tool) => self.run(tool, input, context).await,
            None => Err(ToolError::Unknown {
                tool: name.to_owned(),
                known: context.catalog.tools().iter().map(|tool| tool.name.clone()).collect(),
            }),
        }
    }

    /// Runs a tool. `input` is what the model sent: an object, the same once more encoded as a
    /// text, or nothing (null, an empty text) for no arguments.
    ///
    /// The result is what the model gets: an object within the tool's `max_result_bytes`. An
    /// error becomes a result by [`ToolError::to_result`].
    pub async fn run(
        &self,
        tool: &Tool,
        input: &Value,
        context: &ToolContext,
    ) -> Result<Value, ToolError> {
        let arguments = check_arguments(tool, input)?;
        // These take no time, and the engine reads their results: nothing is cut off them.
        if let Executor::Builtin(builtin) = &tool.execute {
            return builtin::run(*builtin, &arguments, context);
        }
        let rules = &tool.rules;
        let key =
            rules.cache_ttl.map(|ttl| (Key::new(&tool.name, rules.revision, &arguments), ttl));
        if let Some((key, _)) = &key
            && let Some(answer) = lock(&self.cache).get(key, Instant::now())
        {
            return Ok(answer);
        }
        let _place = self.take_place(tool)?;
        let attempts = self.attempts(tool, &arguments);
        let answer =
            timeout(rules.timeout, attempts).await.map_err(|_| ToolError::TimedOut {
                tool: tool.name.clone(),
                after_ms: u64::try_from(rules.timeout.as_millis()).unwrap_or(u64::MAX),
            })??;
        let answer = shape::cut(shape::to_object(answer), rules.max_result_bytes);
        if let Some((key, ttl)) = key {
            lock(&self.cache).put(key, answer.clone(), ttl, Instant::now());
        }
        Ok(answer)
    }

    async fn attempts(
        &self,
        tool: &Tool,
        arguments: &Map<String, Value>,
    ) -> Result<Value, ToolError> {
        let backend = match &tool.execute {
            Executor::Static(table) => return answer(table, tool, arguments).await,
            Executor::Builtin(_) | Executor::None => None,
            _ => self.backend.as_ref(),
        };
        let Some(backend) = backend else {
            return Err(ToolError::NotAvailable { tool: tool.name.clone() });
        };
        let mut attempt = 0;
        loop {
            let Fault { message, detail, may_pass } = match backend.run(tool, arguments).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let again = may_pass && tool.rules.idempotent && attempt < tool.rules.retries;
            tracing::warn!(tool = tool.name, attempt, again, detail, "a tool failed");
            if !again {
                let message = shape::shorten(message);
                return Err(ToolError::Failed { tool: tool.name.clone(), message });
            }
            sleep(FIRST_BACKOFF * 2_u32.saturating_pow(attempt)).await;
            attempt += 1;
        }
    }

    fn take_place(&self, tool: &Tool) -> Result<Option<Place<'_>>, ToolError> {
        let Some(limit) = tool.rules.concurrency else { return Ok(None) };
        let mut running = lock(&self.running);
        let count = running.entry(tool.name.clone()).or_default();
        if *count >= limit {
            return Err(ToolError::Busy { tool: tool.name.clone(), limit });
        }
        *count += 1;
        Ok(Some(Place { running: &self.running, tool: tool.name.clone() }))
    }
}

/// A place among the runs of a tool; given back when dropped, whatever ended the run.
struct Place<'a> {
    running: &'a Mutex<HashMap<String, usize>>,
    tool: String,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut running = lock(self.running);
        if let Some(count) = running.get_mut(&self.tool) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                running.remove(&self.tool);
            }
        }
    }
}

/// Nothing is left half done under these locks, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        sleep(Duration::from_millis(answer.delay_ms)).await;
    }
    match answer.outcome {
        Outcome::Result(result) => Ok(result),
        Outcome::Fail(message) => Err(ToolError::Failed { tool: tool.name.clone(), message }),
    }
}
