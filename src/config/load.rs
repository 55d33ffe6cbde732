//! The settings of `load`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use voice_load::{Plan, Scenario};

use super::{BadSetting, seconds};

/// The settings of `load`.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Where to call: `ws://HOST:PORT/sonic`.
    #[arg(value_name = "URL")]
    pub url: String,
    /// Calls at a time. With --search, where the search begins.
    #[arg(long, default_value_t = 50)]
    pub calls: u32,
    /// Seconds that count.
    #[arg(long, default_value = "30", value_parser = seconds)]
    pub seconds: Duration,
    /// Seconds in which the calls begin; absent = 20 ms for each.
    #[arg(long, value_parser = seconds)]
    pub ramp: Option<Duration>,
    /// Seconds that each half of the calls gets to settle before its memory is read.
    #[arg(long, default_value = "6", value_parser = seconds)]
    pub settle: Duration,
    /// What callers do: `echo` (needs a far side that echoes), `conversation`, `idle`, `parked`
    /// (their connection is lost), `churn` (short calls), `slow` (every tenth reads nothing).
    #[arg(long, default_value = "echo")]
    pub scenario: Scenario,
    /// Seconds that a call of `churn` lasts.
    #[arg(long, default_value = "0.5", value_parser = seconds)]
    pub short_call: Duration,
    /// A process to measure, with its children; may be given several times. Linux only.
    #[arg(long = "pid", value_name = "PID")]
    pub pids: Vec<u32>,
    /// A process that takes part and is told apart, such as the emulator.
    #[arg(long = "beside", value_name = "PID")]
    pub beside: Vec<u32>,
    /// Look for the largest number of calls with p99 below 20 ms and nothing lost.
    #[arg(long)]
    pub search: bool,
    /// The most calls that --search tries.
    #[arg(long, default_value_t = 5_000)]
    pub most: u32,
    /// Threads of the load generator.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// From how many milliseconds on an echo is late.
    #[arg(long, default_value_t = 100)]
    pub late_ms: u64,
    /// A header of the upgrade, such as `Authorization: Bearer KEY`.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Draws when in their 32 ms the calls speak.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Also write a page with plots.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl LoadArgs {
    /// What is to be measured.
    pub fn plan(&self) -> Result<Plan, BadSetting> {
        let header = |line: &String| {
            let (name, value) = line.split_once(':').ok_or_else(|| {
                BadSetting::new("--header", format!("`{line}`: expected `Name: value`"))
            })?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        };
        let usual = Plan::new(&self.url, self.calls, self.seconds);
        Ok(Plan {
            headers: self.headers.iter().map(header).collect::<Result<_, _>>()?,
            ramp: self.ramp.unwrap_or(usual.ramp),
            settle: self.settle,
            threads: self.threads,
            scenario: self.scenario,
            short_call: self.short_call,
            pids: self.pids.clone(),
            beside: self.beside.clone(),
            late: Duration::from_millis(self.late_ms),
            seed: self.seed,
            ..usual
        })
    }
}
