//! What the bridge counts. Cloning shares it; `/metrics` writes it.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// A cause as a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reason {
    pub(crate) reason: &'static str,
}

/// A stage of a turn as a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Stage {
    pub(crate) stage: &'static str,
}

type Seconds = Counter<f64, AtomicU64>;

/// All meters.
#[derive(Debug, Clone)]
pub struct Meters {
    /// Calls in progress.
    pub active_calls: Gauge,
    pub(crate) calls_started: Counter,
    pub(crate) calls_ended: Family<Reason, Counter>,
    /// Answers to the flow, by intent.
    pub(crate) answers: Family<Reason, Counter>,
    pub(crate) refused: Family<Reason, Counter>,
    pub(crate) media_opened: Counter,
    pub(crate) media_ended: Family<Reason, Counter>,
    pub(crate) media_missing: Seconds,
    pub(crate) media_behind: Histogram,
    pub(crate) voice_seconds: Seconds,
    pub(crate) voice_dropped: Family<Reason, Counter>,
    pub(crate) sonic_connections: Counter,
    pub(crate) prompts: Family<Reason, Counter>,
    pub(crate) prompt_seconds: Seconds,
    /// From the end of a caller's speech to each stage of the answer.
    pub(crate) turn: Family<Stage, Histogram>,
}

/// From a tenth of a second to half a minute.
const WAITS: [f64; 12] = [0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0];

impl Default for Meters {
    fn default() -> Self {
        let waits = || Histogram::new(WAITS);
        Self {
            active_calls: Gauge::default(),
            calls_started: Counter::default(),
            calls_ended: Family::default(),
            answers: Family::default(),
            refused: Family::default(),
            media_opened: Counter::default(),
            media_ended: Family::default(),
            media_missing: Counter::default(),
            media_behind: waits(),
            voice_seconds: Counter::default(),
            voice_dropped: Family::default(),
            sonic_connections: Counter::default(),
            prompts: Family::default(),
            prompt_seconds: Counter::default(),
            turn: Family::new_with_constructor(|| Histogram::new(WAITS)),
        }
    }
}

impl Meters {
    /// A registry in which every meter has its name.
    pub(crate) fn registry(&self) -> Registry {
        let mut r = Registry::with_prefix("bridge");
        r.register("active_calls", "Calls in progress", self.active_calls.clone());
        r.register("calls_started", "Calls started", self.calls_started.clone());
        r.register("calls_ended", "Calls ended, by cause", self.calls_ended.clone());
        r.register("answers", "Answers to contact flows, by intent", self.answers.clone());
        r.register("refused", "Requests refused, by cause", self.refused.clone());
        r.register("media_opened", "Connections to Kinesis Video", self.media_opened.clone());
        r.register("media_ended", "Ends of those connections, by cause", self.media_ended.clone());
        r.register_with_unit(
            "media_missing",
            "Caller audio that the stream did not have",
            Unit::Seconds,
            self.media_missing.clone(),
        );
        r.register_with_unit(
            "media_behind",
            "How late fragments were read",
            Unit::Seconds,
            self.media_behind.clone(),
        );
        r.register_with_unit(
            "voice",
            "Caller audio that was heard",
            Unit::Seconds,
            self.voice_seconds.clone(),
        );
        let dropped = "Pieces of caller audio not handed on, by cause";
        r.register("voice_dropped", dropped, self.voice_dropped.clone());
        r.register("sonic_connections", "Connections to /sonic", self.sonic_connections.clone());
        r.register("prompts", "Prompts, by what became of them", self.prompts.clone());
        r.register_with_unit(
            "prompt",
            "Audio of prompts",
            Unit::Seconds,
            self.prompt_seconds.clone(),
        );
        r.register_with_unit(
            "turn",
            "From the end of the caller's speech to each stage of the answer",
            Unit::Seconds,
            self.turn.clone(),
        );
        r
    }

    pub(crate) fn media_ended(&self, reason: &'static str) {
        self.media_ended.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn media_behind(&self, behind: Duration) {
        self.media_behind.observe(behind.as_secs_f64());
    }

    pub(crate) fn count(family: &Family<Reason, Counter>, reason: &'static str) {
        family.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn stage(&self, stage: &'static str, wait: Duration) {
        self.turn.get_or_create(&Stage { stage }).observe(wait.as_secs_f64());
    }
}
