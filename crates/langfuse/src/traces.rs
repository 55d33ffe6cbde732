//! Follows all calls of a process: the journal's entries in, spans and scores on their way out.
//!
//! ```text
//! journal's thread ──8,192 entries──▶ follower ──4,096 spans──▶ exporter ──▶ Langfuse, collector
//!                                        └───────1,024 scores──▶ scorer ───▶ Langfuse
//! ```
//!
//! Nothing here is ever waited for by a call: what finds no room is dropped and counted. What is
//! decided is in `trace.rs` and `export/batches.rs`.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry_sdk::trace::SpanData;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::JoinHandle,
    time::{MissedTickBehavior, timeout},
};
use voice_archive::{
    Witness,
    entry::{Entry, Event},
};
use voice_call::{
    Meters,
    meters::{Queue, ReasonLabel},
};

use crate::{
    client::{LangfuseConfig, SetupError},
    closing::{Close, closing},
    export::{self, ExportOptions, Exporter},
    score::Score,
    scores::{self, Scorer},
    target::OtlpTarget,
    trace::{Finished, Trace, TraceRules},
};

/// Entries of all calls that may wait.
const ENTRIES: usize = 8 * 1024;

/// How often the traces look at the clock.
const TICK: Duration = Duration::from_secs(1);

/// How long a call may say nothing before its end counts as lost, in milliseconds.
const FORGOTTEN: u64 = 2 * 60 * 60 * 1_000;

/// How calls are traced.
#[derive(Debug, Clone)]
pub struct TracesConfig {
    /// Where spans go.
    pub target: OtlpTarget,
    /// Where scores go; nowhere when absent.
    pub scores: Option<LangfuseConfig>,
    /// Who we are: attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// How they go there.
    pub options: ExportOptions,
}

/// The traces of a process.
#[derive(Debug)]
pub struct Traces {
    /// Taken when they are closed.
    scores: Mutex<Option<Sender<Score>>>,
    close: Close,
    /// Taken when they are closed.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    meters: Meters,
}

/// The side of the journal's thread.
#[derive(Debug)]
struct Ears {
    entries: Sender<(u64, Entry)>,
    meters: Meters,
}

impl Witness for Ears {
    fn saw(&self, call: u64, entry: &Entry) {
        let is_of_no_interest = matches!(entry.event, Event::Step { .. } | Event::Recording { .. });
        if is_of_no_interest {
            return;
        }
        offer(&self.entries, (call, entry.clone()), Queue::TraceEntries, &self.meters);
    }
}

/// Puts something into a queue that has room for it. Answers whether it had.
fn offer<T>(queue: &Sender<T>, item: T, name: Queue, meters: &Meters) -> bool {
    // It is counted before it can be taken out again.
    meters.depth(name).inc();
    let has_room = queue.try_send(item).is_ok();
    if !has_room {
        meters.depth(name).dec();
        meters.drops(name).inc();
    }
    has_room
}

impl Traces {
    /// Starts to follow. The second part is for the journal; the traces end when it is dropped.
    /// Must be called inside a tokio runtime.
    pub fn start(
        config: TracesConfig,
        rules: TraceRules,
        meters: Meters,
    ) -> Result<(Self, impl Witness + 'static), SetupError> {
        let TracesConfig { target, scores: scored, resource, options } = config;
        let (close, closing) = closing();
        let exporter = Exporter::new(target, &resource, options, closing.clone(), meters.clone())?;
        let (entries, heard) = mpsc::channel(ENTRIES);
        let (spans, exported) = mpsc::channel(export::QUEUE);
        let mut tasks = Vec::new();
        let mut scores = None;
        if let Some(project) = scored {
            let scorer = Scorer::new(project, options.pauses, closing, meters.clone())?;
            let (sender, receiver) = mpsc::channel(scores::QUEUE);
            tasks.push(tokio::spawn(scorer.run(receiver)));
            scores = Some(sender);
        }
        let follower = Follower {
            rules,
            traces: HashMap::new(),
            spans,
            scores: scores.clone(),
            meters: meters.clone(),
        };
        tasks.push(tokio::spawn(follower.run(heard)));
        tasks.push(tokio::spawn(exporter.run(exported)));
        let ears = Ears { entries, meters: meters.clone() };
        let (scores, tasks) = (Mutex::new(scores), Mutex::new(tasks));
        Ok((Self { scores, close, tasks, meters }, ears))
    }

    /// Gives a score to a call that has ended. Answers whether it is on its way; its comment must be
    /// clean.
    pub fn give(&self, score: Score) -> bool {
        let offered = |scores| offer(scores, score, Queue::Scores, &self.meters);
        lock(&self.scores).as_ref().is_some_and(offered)
    }

    /// Sends what is finished, within `deadline`, after the journal has let go of its side. Answers
    /// how many spans and scores did not arrive.
    pub async fn close(&self, deadline: Duration) -> u64 {
        self.close.begin();
        // The scorer ends when nobody can give scores any more.
        drop(lock(&self.scores).take());
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        let all = futures::future::join_all(tasks);
        if timeout(deadline, all).await.is_err() {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        let left = |queue| u64::try_from(self.meters.depth(queue).get()).unwrap_or(0);
        let (spans, scores) = (left(Queue::Spans), left(Queue::Scores));
        let reason = ReasonLabel { reason: "unsent" };
        self.meters.spans.get_or_create(&reason).inc_by(spans);
        self.meters.scores.get_or_create(&reason).inc_by(scores);
        spans + scores
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task that makes spans of entries.
struct Follower {
    rules: TraceRules,
    traces: HashMap<u64, Trace>,
    spans: Sender<SpanData>,
    scores: Option<Sender<Score>>,
    meters: Meters,
}

impl Follower {
    async fn run(mut self, mut entries: Receiver<(u64, Entry)>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                entry = entries.recv() => match entry {
                    Some((call, entry)) => {
                        self.meters.depth(Queue::TraceEntries).dec();
                        self.take(call, &entry);
                    }
                    None => break,
                },
                _ = tick.tick() => self.tick(),
            }
        }
        let calls: Vec<u64> = self.traces.keys().copied().collect();
        calls.into_iter().for_each(|call| self.work(call, |trace| trace.abandon("lost")));
    }

    fn take(&mut self, call: u64, entry: &Entry) {
        if let Event::Began(began) = &entry.event {
            let trace = Trace::begin(entry.at, began, self.rules.clone());
            self.traces.insert(call, trace);
        }
        self.work(call, |trace| trace.take(entry));
    }

    fn tick(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = now.as_millis() as u64;
        let calls: Vec<u64> = self.traces.keys().copied().collect();
        for call in calls {
            self.work(call, |trace| match now.saturating_sub(trace.seen()) > FORGOTTEN {
                true => trace.abandon("lost"),
                false => trace.tick(now),
            });
        }
    }

    /// Works on one trace, and passes on what became complete.
    fn work(&mut self, call: u64, work: impl FnOnce(&mut Trace)) {
        let Some(trace) = self.traces.get_mut(&call) else { return };
        // One odd call must not end the traces of all.
        let finished = catch_unwind(AssertUnwindSafe(|| {
            work(trace);
            (trace.finished(), trace.is_over())
        }));
        let Ok((Finished { spans, scores }, is_over)) = finished else {
            tracing::error!("the trace of a call broke");
            self.meters.spans.get_or_create(&ReasonLabel { reason: "broken" }).inc();
            self.traces.remove(&call);
            return;
        };
        if is_over {
            self.traces.remove(&call);
        }
        for span in spans {
            offer(&self.spans, span, Queue::Spans, &self.meters);
        }
        if let Some(queue) = &self.scores {
            scores.into_iter().for_each(|score| {
                offer(queue, score, Queue::Scores, &self.meters);
            });
        }
    }
}
