//! Whether figures may be told at all, and whether they are good.
//!
//! A machine. A benchmark whose own clock stumbles, or that shares its machine with somebody,
//! measures something else than it says: then there is no report. Used by `run` and `search`.

use std::time::Duration;

/// What a run must not exceed to be believed. `None`: not looked at.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The 99th percentile of how late our own frames were sent.
    pub jitter: Option<Duration>,
    /// The share of all cores that processes took which are not part of the measurement.
    pub others: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { jitter: Some(Duration::from_millis(5)), others: Some(0.15) }
    }
}

/// How a run went, as far as it is about the measurement itself.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// The 99th percentile of how late our own frames were sent.
    pub jitter: Duration,
    /// The share of all cores that others took, before the run or in it; unknown on some systems.
    pub others: Option<f64>,
    /// Whether that was before the run.
    pub before: bool,
}

/// Why there is no report.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The load generator could not keep time.
    #[error(
        "no report: the load generator itself was late, by {:.1} ms at the 99th percentile \
         (limit {:.1} ms); give it a core of its own, or ask for fewer calls",
        .late.as_secs_f64() * 1e3, .limit.as_secs_f64() * 1e3
    )]
    Jitter {
        /// How late.
        late: Duration,
        /// How late it may be.
        limit: Duration,
    },
    /// The machine was busy with something else.
    #[error(
        "no report: the machine is busy: {} took {:.0} % of all cores{} (limit {:.0} %); name \
         every process of the measurement with --pid or --beside and stop the others",
        if *.before { "processes that were there" } else { "processes that are not part of the measurement" },
        .share * 100.0,
        if *.before { " before it began" } else { "" },
        .limit * 100.0
    )]
    Busy {
        /// The share of all cores.
        share: f64,
        /// What it may be.
        limit: f64,
        /// Whether that was before the run.
        before: bool,
    },
}

impl Limits {
    /// Whether figures that came about like this may be told.
    pub fn judge(&self, how: &Circumstances) -> Result<(), Refusal> {
        if let (Some(share), Some(limit)) = (how.others, self.others)
            && share > limit
        {
            return Err(Refusal::Busy { share, limit, before: how.before });
        }
        match self.jitter {
            Some(limit) if how.jitter > limit => Err(Refusal::Jitter { late: how.jitter, limit }),
            _ => Ok(()),
        }
    }
}

/// What the calls of a core have to get, for it to count as holding them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Added delay at the 99th percentile.
    pub p99: Duration,
    /// Frames that never came back.
    pub lost: u64,
    /// Calls that did not begin, or broke off.
    pub failed: u64,
}

impl Held {
    /// The largest delay at the 99th percentile that nobody notices.
    pub const P99: Duration = Duration::from_millis(20);

    /// Whether all calls were served well.
    pub fn well(&self) -> bool {
        self.p99 < Self::P99 && self.lost == 0 && self.failed == 0
    }
}

/// Looks for the largest number of calls that is held well: up by half until it is not, then
/// between the two, until they are within a twentieth.
#[derive(Debug)]
pub struct Search {
    good: u32,
    bad: Option<u32>,
    next: u32,
    most: u32,
}

impl Search {
    /// Begins at `first` calls and never tries more than `most`.
    pub fn new(first: u32, most: u32) -> Self {
        Self { good: 0, bad: None, next: first.clamp(1, most.max(1)), most }
    }

    /// How many calls to try; `None` when the answer is known.
    pub fn next(&self) -> Option<u32> {
        (self.next > 0).then_some(self.next)
    }

    /// How that went.
    pub fn tried(&mut self, well: bool) {
        match well {
            true => self.good = self.next,
            false => self.bad = Some(self.next),
        }
        self.next = match self.bad {
            None if self.good >= self.most => 0,
            None => (self.good + self.good.div_ceil(2)).min(self.most),
            Some(bad) if bad - self.good <= (bad / 20).max(1) => 0,
            Some(bad) => self.good + (bad - self.good) / 2,
        };
    }

    /// The largest number that was held well.
    pub fn best(&self) -> u32 {
        self.good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn how(jitter_ms: u64, others: Option<f64>) -> Circumstances {
        Circumstances { jitter: Duration::from_millis(jitter_ms), others, before: false }
    }

    #[test]
    fn a_pacer_that_stumbles_tells_nothing() {
        let limits = Limits::default();
        assert_eq!(limits.judge(&how(5, Some(0.0))), Ok(()));
        let refusal = limits.judge(&how(6, Some(0.0))).expect_err("too late");
        assert!(refusal.to_string().contains("late, by 6.0 ms"), "{refusal}");
        let impossible = Limits { jitter: Some(Duration::ZERO), ..limits };
        assert!(impossible.judge(&how(1, None)).is_err());
    }

    #[test]
    fn a_busy_machine_tells_nothing() {
        let refusal = Limits::default().judge(&how(0, Some(0.3))).expect_err("busy");
        assert!(refusal.to_string().contains("busy"), "{refusal}");
        assert_eq!(Limits::default().judge(&how(0, None)), Ok(()), "what is not known is not held");
    }

    #[test]
    fn the_search_finds_where_it_ends() {
        for (edge, first) in [(1, 10), (137, 10), (137, 400), (5_000, 100), (3, 1)] {
            let mut search = Search::new(first, 100_000);
            let mut tries = 0;
            while let Some(calls) = search.next() {
                search.tried(calls <= edge);
                tries += 1;
            }
            let best = search.best();
            assert!(best <= edge && best + best / 18 + 1 >= edge, "{best} of {edge}");
            assert!(tries < 20, "{tries}");
        }
    }

    #[test]
    fn the_search_ends_at_what_it_may_try() {
        let mut search = Search::new(100, 250);
        while search.next().is_some() {
            search.tried(true);
        }
        assert_eq!(search.best(), 250);
        let mut search = Search::new(4, 250);
        while search.next().is_some() {
            search.tried(false);
        }
        assert_eq!(search.best(), 0);
    }

    #[test]
    fn a_call_that_fails_or_a_frame_that_is_lost_is_not_held_well() {
        let good = Held { p99: Duration::from_millis(19), lost: 0, failed: 0 };
        assert!(good.well());
        for bad in
            [Held { p99: Held::P99, ..good }, Held { lost: 1, ..good }, Held { failed: 1, ..good }]
        {
            assert!(!bad.well());
        }
    }
}
