//! What a process counts about its calls. One set per server, shared by every call.
//!
//! Adding to a meter is one atomic operation, so the audio path may do it.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::latencies::Latencies;

/// The queues in which something of a call can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Queue {
    /// Frames from the socket to the client actor.
    FromSocket,
    /// Caller audio on its way to the Sonic stream actor.
    CallerAudio,
    /// Assistant audio on its way to the client actor.
    AssistantAudio,
    /// Assistant audio that waits to be played, in bytes.
    Playout,
    /// Messages to the socket.
    ToSocket,
    /// Audio on its way to the transcriber.
    Overheard,
    /// Entries of journals on their way to the traces.
    TraceEntries,
    /// Spans on their way to Langfuse or a collector.
    Spans,
    /// Scores on their way to Langfuse.
    Scores,
}

/// A queue's name as a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct QueueLabel {
    /// Which queue.
    pub queue: Queue,
}

/// A bounded word as a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// Which one.
    pub reason: &'static str,
}

/// A kind as a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabel {
    /// Which one.
    pub kind: &'static str,
}

/// A child's role and how it ended, as labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ChildLabel {
    /// Which child.
    pub role: &'static str,
    /// How it ended.
    pub exit: &'static str,
}

/// Counters and gauges of the engine. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Meters {
    /// Calls in progress: what the registry holds.
    pub active_calls: Gauge,
    /// Most calls at a time; 0: no limit.
    pub max_calls: Gauge,
    /// 1 while no new calls are taken because the process is drained.
    pub draining: Gauge,
    /// 1 while Amazon ECS may not choose this task when it scales in.
    pub task_protected: Gauge,
    /// Requests to the ECS agent for the protection of the task, by outcome.
    pub task_protection: Family<ReasonLabel, Counter>,
    /// Calls whose connection was lost, and whose client may come back.
    pub parked_calls: Gauge,
    /// Clients that came back to their call, or wanted to, by what became of it.
    pub resumes: Family<ReasonLabel, Counter>,
    /// States of calls that could not be kept or read.
    pub store_errors: Counter,
    /// Sockets that are open.
    pub open_sockets: Gauge,
    /// Client sockets that have to bring a ticket yet.
    pub waiting_sockets: Gauge,
    /// Requests that were refused before any route saw them, by reason.
    pub requests_refused: Family<ReasonLabel, Counter>,
    /// Streams to Nova Sonic that are open or being opened.
    pub open_streams: Gauge,
    /// Child actors that are alive.
    pub live_children: Gauge,
    /// Detached tasks (tool executions) that are alive.
    pub live_tasks: Gauge,
    /// Calls that were started.
    pub calls_started: Counter<u64, AtomicU64>,
    /// Calls that ended, by cause.
    pub calls_ended: Family<ReasonLabel, Counter>,
    /// Calls that were refused before the upgrade, by cause.
    pub calls_refused: Family<ReasonLabel, Counter>,
    /// Children that ended, by role and kind of end.
    pub child_exits: Family<ChildLabel, Counter>,
    /// Faults of Sonic streams, by kind.
    pub stream_faults: Family<ReasonLabel, Counter>,
    /// Streams opened anew within a call.
    pub stream_restarts: Counter,
    /// Streams replaced in good time by one that stood by.
    pub stream_renewals: Counter,
    /// What clients did wrong, by error code.
    pub client_errors: Family<ReasonLabel, Counter>,
    /// Audio frames from callers.
    pub caller_frames: Counter,
    /// Audio frames to callers.
    pub playout_frames: Counter,
    /// Barge-ins.
    pub barge_ins: Counter,
    /// Events of the service that could not be understood.
    pub unknown_events: Counter,
    /// Tool calls, by outcome.
    pub tool_calls: Family<ReasonLabel, Counter>,
    /// Changes of tools, workflows and prompts, by what became of them.
    pub catalog_reloads: Family<ReasonLabel, Counter>,
    /// Questions to Langfuse for its prompts, by outcome.
    pub prompt_refreshes: Family<ReasonLabel, Counter>,
    /// Whether the files on disk are newer than the catalog in use because they have errors.
    pub catalog_stale: Gauge,
    /// From the end of a caller's speech to the model's first audio.
    pub first_audio: Latencies,
    /// From the end of a caller's speech until the first audio was written to the client.
    pub first_written: Latencies,
    /// Tokens, by kind and direction.
    pub tokens: Family<KindLabel, Counter>,
    /// What the tokens cost, in the currency of the table of prices.
    pub cost: Counter<f64, AtomicU64>,
    /// Streams to the transcription service that are open.
    pub open_transcriptions: Gauge,
    /// Faults of these streams, by kind.
    pub transcription_faults: Family<ReasonLabel, Counter>,
    /// Seconds that were transcribed.
    pub transcribed_seconds: Counter<f64, AtomicU64>,
    /// Entries of journals that found no room.
    pub journal_lost: Counter,
    /// Events of calls that the live view missed because it did not keep up.
    pub monitor_lost: Counter,
    /// How often a watcher of the live view was too slow and took a fresh snapshot.
    pub monitor_lags: Counter,
    /// Watchers of the live view.
    pub monitors: Gauge,
    /// Journals and logs that could not be written.
    pub journal_errors: Counter,
    /// Recordings that were broken off or could not be kept.
    pub recording_errors: Counter,
    /// Finished logs that wait for their store.
    pub spool_files: Gauge,
    /// Bytes that wait for the store, parts of recordings included, after the last try.
    pub spool_bytes: Gauge,
    /// Uploads of logs and parts of recordings, by outcome.
    pub uploads: Family<ReasonLabel, Counter>,
    /// Spans of traces, by what became of them.
    pub spans: Family<ReasonLabel, Counter>,
    /// Batches of spans that were sent, by outcome.
    pub trace_exports: Family<ReasonLabel, Counter>,
    /// Scores, by what became of them.
    pub scores: Family<ReasonLabel, Counter>,
    /// Requests to CloudWatch, by outcome.
    pub cloudwatch_requests: Family<ReasonLabel, Counter>,
    /// Data that wait for CloudWatch.
    pub cloudwatch_waiting: Gauge,
    /// Data that CloudWatch will never get.
    pub cloudwatch_lost: Counter,
    /// Lines of the log that found no room while nobody took them.
    pub log_lines_lost: Counter,
    /// What waits now, by queue (audio in bytes, messages in pieces).
    pub queue_depth: Family<QueueLabel, Gauge>,
    /// What was dropped because a queue was full, in pieces.
    pub dropped: Family<QueueLabel, Counter>,
}

impl Meters {
    /// Gives every meter its name in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let r = registry;
        r.register("active_calls", "Calls in progress", self.active_calls.clone());
        r.register("max_calls", "Most calls at a time; 0: no limit", self.max_calls.clone());
        r.register("draining", "1 while no new calls are taken", self.draining.clone());
        r.register(
            "task_protected",
            "1 while ECS may not end this task to scale in",
            self.task_protected.clone(),
        );
        r.register(
            "task_protection",
            "Requests for the protection of the task, by outcome",
            self.task_protection.clone(),
        );
        r.register("parked_calls", "Calls that wait for their client", self.parked_calls.clone());
        r.register("resumes", "Returns of clients, by outcome", self.resumes.clone());
        r.register("store_errors", "Failures of the session store", self.store_errors.clone());
        r.register(
            "waiting_sockets",
            "Client sockets that have to bring a ticket yet",
            self.waiting_sockets.clone(),
        );
        r.register(
            "requests_refused",
            "Requests refused by the guard, by reason",
            self.requests_refused.clone(),
        );
        r.register("open_sockets", "Open client sockets", self.open_sockets.clone());
        // The same under the name that it has in CloudWatch.
        r.register(
            "active_web_socket_connections",
            "Open client sockets, as CloudWatch is told",
            self.open_sockets.clone(),
        );
        r.register("open_streams", "Open Nova Sonic streams", self.open_streams.clone());
        r.register("live_children", "Live child actors", self.live_children.clone());
        r.register("live_tasks", "Live detached tasks", self.live_tasks.clone());
        r.register("calls_started", "Calls started", self.calls_started.clone());
        r.register("calls_ended", "Calls ended, by cause", self.calls_ended.clone());
        r.register("calls_refused", "Calls refused, by cause", self.calls_refused.clone());
        r.register("child_exits", "Ends of child actors", self.child_exits.clone());
        r.register("stream_faults", "Faults of Sonic streams", self.stream_faults.clone());
        r.register("stream_restarts", "Streams opened anew", self.stream_restarts.clone());
        r.register("stream_renewals", "Streams replaced in time", self.stream_renewals.clone());
        r.register("client_errors", "Mistakes of clients, by code", self.client_errors.clone());
        r.register("caller_frames", "Audio frames from callers", self.caller_frames.clone());
        r.register("playout_frames", "Audio frames to callers", self.playout_frames.clone());
        r.register("barge_ins", "Interrupted assistant turns", self.barge_ins.clone());
        r.register("unknown_events", "Service events not understood", self.unknown_events.clone());
        r.register("tool_calls", "Tool calls, by outcome", self.tool_calls.clone());
        r.register(
            "catalog_reloads",
            "Changes of tools, workflows and prompts, by what became of them",
            self.catalog_reloads.clone(),
        );
        r.register(
            "prompt_refreshes",
            "Questions to Langfuse for its prompts, by outcome",
            self.prompt_refreshes.clone(),
        );
        r.register(
            "catalog_stale",
            "1 while changed files have errors and the old ones are used",
            self.catalog_stale.clone(),
        );
        let waits = [
            (&self.first_audio, "turn_first_audio", "Wait for the model's first audio"),
            (&self.first_written, "turn_first_written", "Wait for the first audio to the client"),
        ];
        waits.into_iter().for_each(|(wait, name, help)| wait.register(r, name, help));
        r.register("tokens", "Tokens, by kind and direction", self.tokens.clone());
        r.register("cost", "What the tokens cost, by the table of prices", self.cost.clone());
        r.register(
            "open_transcriptions",
            "Open streams to the transcription service",
            self.open_transcriptions.clone(),
        );
        r.register(
            "transcription_faults",
            "Faults of streams to the transcription service, by kind",
            self.transcription_faults.clone(),
        );
        r.register("transcribed", "Seconds transcribed", self.transcribed_seconds.clone());
        r.register("journal_lost", "Journal entries lost", self.journal_lost.clone());
        r.register("monitor_lost", "Events that the live view missed", self.monitor_lost.clone());
        r.register("monitor_lags", "Watchers that were too slow", self.monitor_lags.clone());
        r.register("monitors", "Watchers of the live view", self.monitors.clone());
        r.register("journal_errors", "Journals not written", self.journal_errors.clone());
        r.register("recording_errors", "Recordings broken off", self.recording_errors.clone());
        r.register(
            "spool_files",
            "Session logs that wait for their store",
            self.spool_files.clone(),
        );
        r.register("spool_bytes", "Bytes that wait for their store", self.spool_bytes.clone());
        r.register("uploads", "Uploads to the store, by outcome", self.uploads.clone());
        r.register("spans", "Spans of traces, by what became of them", self.spans.clone());
        r.register(
            "trace_exports",
            "Batches of spans sent, by outcome",
            self.trace_exports.clone(),
        );
        r.register("scores", "Scores for Langfuse, by what became of them", self.scores.clone());
        r.register(
            "cloudwatch_requests",
            "Requests to CloudWatch, by outcome",
            self.cloudwatch_requests.clone(),
        );
        r.register(
            "cloudwatch_waiting",
            "Data that wait for CloudWatch",
            self.cloudwatch_waiting.clone(),
        );
        r.register(
            "cloudwatch_lost",
            "Data that CloudWatch will never get",
            self.cloudwatch_lost.clone(),
        );
        r.register(
            "log_lines_lost",
            "Lines that found no room while nobody took the log",
            self.log_lines_lost.clone(),
        );
        r.register("queue_depth", "What waits now, by queue", self.queue_depth.clone());
        r.register("dropped", "Dropped from full queues", self.dropped.clone());
    }

    /// Counts tokens, by kind, and what they cost.
    pub fn count_tokens<const N: usize>(&self, tokens: [(&'static str, u64); N], cost: f64) {
        for (kind, count) in tokens.into_iter().filter(|(_, count)| *count > 0) {
            self.tokens.get_or_create(&KindLabel { kind }).inc_by(count);
        }
        if cost > 0.0 {
            self.cost.inc_by(cost);
        }
    }

    /// Works out what is worked out only for whoever reads it.
    pub fn settle(&self) {
        self.first_audio.settle();
        self.first_written.settle();
    }

    /// The gauge of one queue.
    pub fn depth(&self, queue: Queue) -> Gauge {
        self.queue_depth.get_or_create(&QueueLabel { queue }).clone()
    }

    /// The drop counter of one queue.
    pub fn drops(&self, queue: Queue) -> Counter {
        self.dropped.get_or_create(&QueueLabel { queue }).clone()
    }
}
