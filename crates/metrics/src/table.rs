//! The table: each metric once, with its name in CloudWatch and where `/metrics` has it.
//!
//! What is the same thing has the same name in both, written as each of them writes names
//! (`CallsStarted`, `voice_s2s_calls_started_total`); a test holds that. What CloudWatch gets as a
//! sum over some labels says which.
//!
//! Each row costs about $0.30 a month for the whole fleet (a metric is billed by name and
//! dimensions, and none of these names a task); the requests about $0.43 a month for each task
//! (`ops.md` §1.8).

use crate::datum::Unit;

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Name in CloudWatch.
    pub name: &'static str,
    /// Unit.
    pub unit: Unit,
    /// What it is, and where it is found.
    pub kind: Kind,
    /// A dimension of its own, besides those of all.
    pub dimension: Option<(&'static str, &'static str)>,
    /// What else follows from it.
    pub role: Role,
}

/// What a metric is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A state that can rise and fall.
    Gauge(Series),
    /// So much of a hundred of another gauge; nothing while that is 0.
    Share(Series, Series),
    /// What only grows. CloudWatch gets what was added.
    Counter(&'static [Series]),
    /// Waits, by the name of their histogram.
    Waits(&'static str),
}

/// What a metric is for, as far as it matters to whoever publishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// To be read.
    Figure,
    /// The metric of the contract: also told without any dimension.
    Contract,
    /// Told more often when high resolution is on.
    Fast,
}

impl Role {
    /// Whether the fleet grows and shrinks by it. A task that drains does not tell it any more: its
    /// falling count would ask for an even smaller fleet (`ops.md` §1.7).
    pub fn is_scaling(self) -> bool {
        self != Self::Figure
    }
}

/// Series of `/metrics`: the sum of one family over some labels.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    /// Name of the samples.
    pub family: &'static str,
    /// Which of them.
    pub of: Of,
}

/// Which samples of a family.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// All.
    All,
    /// Those whose label has one of these values.
    Only(&'static str, &'static [&'static str]),
    /// Those whose label has another value.
    Except(&'static str, &'static str),
}

const fn all(family: &'static str) -> Series {
    Series { family, of: Of::All }
}

const fn only(family: &'static str, label: &'static str, of: &'static [&'static str]) -> Series {
    Series { family, of: Of::Only(label, of) }
}

const fn figure(name: &'static str, unit: Unit, kind: Kind) -> Metric {
    Metric { name, unit, kind, dimension: None, role: Role::Figure }
}

const fn errors(source: &'static str, of: &'static [Series]) -> Metric {
    let kind = Kind::Counter(of);
    let dimension = Some(("Source", source));
    Metric { name: "Errors", unit: Unit::Count, kind, dimension, role: Role::Figure }
}

/// Ends of calls that nobody wanted.
const DROPS: &[&str] = &["sonic_lost", "child_failed", "supervisor_failed", "client_stalled"];

/// All metrics.
pub const METRICS: &[Metric] = &[
    Metric {
        role: Role::Contract,
        ..figure(
            "ActiveWebSocketConnections",
            Unit::Count,
            Kind::Gauge(all("voice_s2s_active_web_socket_connections")),
        )
    },
    figure("ActiveCalls", Unit::Count, Kind::Gauge(all("voice_s2s_active_calls"))),
    Metric {
        role: Role::Fast,
        ..figure(
            "CapacityUsed",
            Unit::Percent,
            Kind::Share(all("voice_s2s_active_calls"), all("voice_s2s_max_calls")),
        )
    },
    figure("CallsStarted", Unit::Count, Kind::Counter(&[all("voice_s2s_calls_started_total")])),
    figure("CallsRefused", Unit::Count, Kind::Counter(&[all("voice_s2s_calls_refused_total")])),
    figure(
        "CallsDropped",
        Unit::Count,
        Kind::Counter(&[only("voice_s2s_calls_ended_total", "reason", DROPS)]),
    ),
    figure("StreamRenewals", Unit::Count, Kind::Counter(&[all("voice_s2s_stream_renewals_total")])),
    figure("FramesDropped", Unit::Count, Kind::Counter(&[all("voice_s2s_dropped_total")])),
    errors("client", &[all("voice_s2s_client_errors_total")]),
    errors("sonic", &[all("voice_s2s_stream_faults_total")]),
    errors("transcribe", &[all("voice_s2s_transcription_faults_total")]),
    errors(
        "tool",
        &[Series { family: "voice_s2s_tool_calls_total", of: Of::Except("reason", "ok") }],
    ),
    errors(
        "ours",
        &[
            only("voice_s2s_child_exits_total", "exit", &["panicked", "hung"]),
            all("voice_s2s_store_errors_total"),
            all("voice_s2s_journal_errors_total"),
            all("voice_s2s_recording_errors_total"),
        ],
    ),
    figure("TurnFirstAudio", Unit::Seconds, Kind::Waits("voice_s2s_turn_first_audio_seconds")),
    figure("TurnFirstWritten", Unit::Seconds, Kind::Waits("voice_s2s_turn_first_written_seconds")),
    figure("Tokens", Unit::Count, Kind::Counter(&[all("voice_s2s_tokens_total")])),
    figure("Cost", Unit::None, Kind::Counter(&[all("voice_s2s_cost_total")])),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::{encoding::text::encode, registry::Registry};
    use voice_call::{
        Meters,
        meters::{ChildLabel, KindLabel, Queue, ReasonLabel},
    };

    use super::*;

    /// What `/metrics` says of meters that have all counted something.
    fn exposition() -> String {
        let meters = Meters::default();
        let by_reason = [
            &meters.calls_refused,
            &meters.calls_ended,
            &meters.client_errors,
            &meters.stream_faults,
            &meters.transcription_faults,
            &meters.tool_calls,
        ];
        for family in by_reason {
            family.get_or_create(&ReasonLabel { reason: "failed" }).inc();
        }
        meters.child_exits.get_or_create(&ChildLabel { role: "sonic", exit: "hung" }).inc();
        meters.tokens.get_or_create(&KindLabel { kind: "input_text" }).inc();
        meters.drops(Queue::Playout).inc();
        meters.first_audio.observe(Duration::from_secs(1));
        meters.first_written.observe(Duration::from_secs(1));
        let mut registry = Registry::with_prefix("voice_s2s");
        meters.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).expect("text");
        text
    }

    fn families(kind: Kind) -> Vec<String> {
        match kind {
            Kind::Gauge(one) => vec![one.family.to_owned()],
            Kind::Share(part, whole) => vec![part.family.to_owned(), whole.family.to_owned()],
            Kind::Counter(series) => series.iter().map(|one| one.family.to_owned()).collect(),
            Kind::Waits(histogram) => vec![format!("{histogram}_count")],
        }
    }

    #[test]
    fn everything_that_cloudwatch_gets_is_in_prometheus() {
        let text = exposition();
        for metric in METRICS {
            for family in families(metric.kind) {
                let has = text.lines().any(|line| {
                    line.strip_prefix(&family).is_some_and(|rest| rest.starts_with([' ', '{']))
                });
                assert!(has, "{}: /metrics has no {family}", metric.name);
            }
        }
    }

    /// `voice_s2s_calls_started_total` as CloudWatch would write it.
    fn in_words_of_cloudwatch(family: &str) -> String {
        let bare = family.trim_start_matches("voice_s2s_");
        let bare = bare.trim_end_matches("_count").trim_end_matches("_seconds");
        let words = bare.trim_end_matches("_total").split('_');
        words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
    }

    #[test]
    fn the_same_thing_has_the_same_name() {
        let exceptions = ["CapacityUsed", "CallsDropped", "FramesDropped", "Errors"];
        for metric in METRICS.iter().filter(|metric| !exceptions.contains(&metric.name)) {
            let families = families(metric.kind);
            assert_eq!(families.len(), 1, "{}", metric.name);
            assert_eq!(in_words_of_cloudwatch(&families[0]), metric.name);
        }
    }

    #[test]
    fn no_metric_is_there_twice() {
        let mut keys: Vec<_> =
            METRICS.iter().map(|metric| (metric.name, metric.dimension)).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), METRICS.len());
    }
}
