//! What is to be measured. Parsed by `src/config/load.rs`, or made by a test.

use std::{str::FromStr, time::Duration};

use crate::verdict::Limits;

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where: `ws://HOST:PORT/sonic`.
    pub url: String,
    /// Headers of the upgrade, such as credentials.
    pub headers: Vec<(String, String)>,
    /// How many calls at a time.
    pub calls: u32,
    /// How long it takes to begin them.
    pub ramp: Duration,
    /// What each half of them gets to settle before memory is read.
    pub settle: Duration,
    /// How long figures count.
    pub window: Duration,
    /// Threads of the load generator.
    pub threads: usize,
    /// What callers do.
    pub scenario: Scenario,
    /// How long a call of [`Scenario::Churn`] lasts.
    pub short_call: Duration,
    /// Processes whose CPU and memory are the figures, children included.
    pub pids: Vec<u32>,
    /// Processes that are part of the measurement, but not measured: told apart.
    pub beside: Vec<u32>,
    /// From which delay on an echo is of no use any more.
    pub late: Duration,
    /// What the run must not exceed to be believed.
    pub limits: Limits,
    /// Draws when in their 32 ms the calls speak.
    pub seed: u64,
}

impl Plan {
    /// A plan with the usual numbers.
    pub fn new(url: impl Into<String>, calls: u32, window: Duration) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            calls,
            ramp: Duration::from_millis(20) * calls,
            settle: Duration::from_secs(6),
            window,
            threads: 1,
            scenario: Scenario::Echo,
            short_call: Duration::from_millis(500),
            pids: Vec::new(),
            beside: Vec::new(),
            late: Duration::from_millis(100),
            limits: Limits::default(),
            seed: 1,
        }
    }
}

/// What callers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// They speak without a pause, and a far side that echoes returns every frame.
    Echo,
    /// They talk with the assistant: speech, pauses, barge-ins, questions that need a tool.
    Conversation,
    /// They say nothing and send nothing.
    Idle,
    /// Their connection is lost after a moment, and they do not come back.
    Parked,
    /// Short calls, one after the other.
    Churn,
    /// As `Echo`, but every tenth caller reads nothing.
    Slow,
}

impl Scenario {
    /// Whether frames are followed to their echo.
    pub fn echoes(self) -> bool {
        matches!(self, Self::Echo | Self::Slow)
    }

    /// Whether this caller reads.
    pub(crate) fn reads(self, slot: u32) -> bool {
        self != Self::Slow || slot % 10 != 9
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "echo" => Self::Echo,
            "conversation" => Self::Conversation,
            "idle" => Self::Idle,
            "parked" => Self::Parked,
            "churn" => Self::Churn,
            "slow" => Self::Slow,
            _ => return Err("expected echo, conversation, idle, parked, churn or slow".to_owned()),
        })
    }
}
