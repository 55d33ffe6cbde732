//! The figures of a run, as data, as JSON and as a table.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{ledger::Sums, plan::Scenario};

/// A distribution in milliseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Spread {
    /// How many values.
    pub count: u64,
    /// The median.
    pub p50_ms: f64,
    /// 95 of 100 are below.
    pub p95_ms: f64,
    /// 99 of 100 are below.
    pub p99_ms: f64,
    /// The largest.
    pub max_ms: f64,
}

/// All that is told of a run. Delays are counted from the moment a frame was due.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What callers did.
    pub scenario: Scenario,
    /// How many calls at a time.
    pub calls: u32,
    /// Seconds that counted.
    pub seconds: f64,
    /// CPU of the measured processes for one minute of one call.
    pub cpu_s_per_call_minute: Option<f64>,
    /// Added delay, median.
    pub p50_ms: Option<f64>,
    /// Added delay, 95th percentile.
    pub p95_ms: Option<f64>,
    /// Added delay, 99th percentile.
    pub p99_ms: Option<f64>,
    /// Added delay, the largest.
    pub max_ms: Option<f64>,
    /// Frames whose echo never came.
    pub lost_frames: Option<u64>,
    /// Echoes that came later than they are of use.
    pub late_frames: Option<u64>,
    /// Memory for one more call, in KiB: from half of the calls to all of them.
    pub kib_per_call: Option<f64>,
    /// Memory before the first call, in KiB.
    pub base_kib: Option<u64>,
    /// Memory at the end of the window, in KiB.
    pub end_kib: Option<u64>,
    /// Proportional set size at the end of the window, in KiB.
    pub end_pss_kib: Option<u64>,
    /// Memory after the first thousand calls, for short calls.
    pub thousand_kib: Option<u64>,
    /// Cores that the measured process may use.
    pub server_cores: Option<usize>,
    /// The share of one core that it used.
    pub server_core_share: Option<f64>,
    /// CPU of the processes beside it, for one minute of one call.
    pub beside_cpu_s_per_call_minute: Option<f64>,
    /// CPU of the load generator, for one minute of one call.
    pub load_cpu_s_per_call_minute: Option<f64>,
    /// The share of all cores that everybody else took.
    pub others_share: Option<f64>,
    /// Of that: what the host of the virtual machine took away.
    pub stolen_share: Option<f64>,
    /// Frames that were sent late by the load generator itself.
    pub pacing: Spread,
    /// From connecting to `session_start`.
    pub start: Spread,
    /// From the end of the caller's sentence to the first sound of the answer.
    pub answer: Option<Spread>,
    /// Frames, echoes, late and doubled ones.
    pub frames: Sums,
    /// Calls that began.
    pub started_calls: u64,
    /// Calls that did not begin.
    pub refused_calls: u64,
    /// Why the first of them did not.
    pub refused_because: Option<String>,
    /// Calls that ended before they should.
    pub broken_calls: u64,
    /// Frames for which a connection had no room.
    pub blocked_frames: u64,
    /// Barge-ins that were told.
    pub interruptions: u64,
    /// Tools that were used.
    pub tool_results: u64,
    /// Bytes of audio that came.
    pub audio_bytes: u64,
    /// Kernel and processor.
    pub machine: String,
    /// The course of the run.
    #[serde(skip)]
    pub course: Course,
}

/// What is drawn.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// Percentile (0 to 100) and delay in ms.
    pub percentiles: Vec<(f64, f64)>,
    /// Second of the window, median and 99th percentile in ms.
    pub delays: Vec<(f64, f64, f64)>,
    /// Seconds since the run began, CPU in cores of the measured processes and of those beside.
    pub cpu: Vec<(f64, f64, f64)>,
    /// Seconds since the run began, memory in MiB, calls.
    pub memory: Vec<(f64, f64, f64)>,
}

/// The answer to "how many calls does a core hold?".
#[derive(Debug, Clone, Serialize)]
pub struct Capacity {
    /// The largest number of calls with a p99 below 20 ms, nothing lost and none refused.
    pub calls: u32,
    /// Cores that the server had.
    pub cores: usize,
    /// Calls for each of them.
    pub calls_per_core: f64,
    /// What was tried.
    pub tries: Vec<Report>,
}

impl Report {
    /// One line of JSON.
    pub fn to_json(&self) -> String {
        // A struct of numbers and strings always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A table for people.
    pub fn to_table(&self) -> String {
        let mut table = String::new();
        let mut row = |name: &str, value: String| {
            if !value.is_empty() {
                let _ = writeln!(table, "{name:<34}{value:>16}");
            }
        };
        let number = |value: Option<f64>, digits: usize| {
            value.map(|value| format!("{value:.digits$}")).unwrap_or_default()
        };
        let count = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        let mib = |kib: Option<u64>| number(kib.map(|kib| kib as f64 / 1024.0), 1);
        row("calls", self.calls.to_string());
        row("seconds", format!("{:.0}", self.seconds));
        row("added delay p50, ms", number(self.p50_ms, 2));
        row("added delay p95, ms", number(self.p95_ms, 2));
        row("added delay p99, ms", number(self.p99_ms, 2));
        row("added delay max, ms", number(self.max_ms, 2));
        row("frames sent", self.frames.frames.to_string());
        row("frames lost", count(self.lost_frames));
        row("frames late", count(self.late_frames));
        row("CPU s per call-minute", number(self.cpu_s_per_call_minute, 3));
        row("cores used by the server", number(self.server_core_share, 2));
        row("CPU s per call-minute, beside", number(self.beside_cpu_s_per_call_minute, 3));
        row("CPU s per call-minute, callers", number(self.load_cpu_s_per_call_minute, 3));
        row("memory per call, KiB", number(self.kib_per_call, 0));
        row("memory before calls, MiB", mib(self.base_kib));
        row("memory after 1,000 calls, MiB", mib(self.thousand_kib));
        row("memory at the end, MiB", mib(self.end_kib));
        row("start to ready p50, ms", format!("{:.1}", self.start.p50_ms));
        row("start to ready p95, ms", format!("{:.1}", self.start.p95_ms));
        if let Some(answer) = &self.answer {
            row("answer p50, ms", format!("{:.0}", answer.p50_ms));
            row("answer p95, ms", format!("{:.0}", answer.p95_ms));
            row("barge-ins", self.interruptions.to_string());
            row("tool results", self.tool_results.to_string());
        }
        row("calls begun", self.started_calls.to_string());
        row("calls refused", self.refused_calls.to_string());
        row("calls broken off", self.broken_calls.to_string());
        row("own pacing p99, ms", format!("{:.2}", self.pacing.p99_ms));
        let per_cent = |share: Option<f64>| number(share.map(|share| share * 100.0), 1);
        row("others, % of all cores", per_cent(self.others_share));
        row("stolen by the host, % of all cores", per_cent(self.stolen_share));
        if let Some(why) = &self.refused_because {
            let _ = writeln!(table, "the first call that did not begin: {why}");
        }
        table
    }
}

impl Capacity {
    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A table for people.
    pub fn to_table(&self) -> String {
        let mut table =
            format!("{:>8}{:>10}{:>10}{:>8}{:>10}\n", "calls", "p50 ms", "p99 ms", "lost", "cores");
        for report in &self.tries {
            let _ = writeln!(
                table,
                "{:>8}{:>10.2}{:>10.2}{:>8}{:>10.2}",
                report.calls,
                report.p50_ms.unwrap_or_default(),
                report.p99_ms.unwrap_or_default(),
                report.lost_frames.unwrap_or_default(),
                report.server_core_share.unwrap_or_default(),
            );
        }
        let _ = writeln!(
            table,
            "{} calls on {} cores: {:.0} calls per core",
            self.calls, self.cores, self.calls_per_core
        );
        table
    }
}
