//! What is told when, and what becomes of it while nobody takes it.
//!
//! ```text
//!  tick ─► publication ─► backlog ─► batch ─┬─ taken ──► forgotten
//!                            ▲              └─ failed ─► stays; pause, doubling
//!                            └── too long: the two oldest become one
//! ```
//! A counter is told as what was added since the publication before, so that each addition is in
//! exactly one publication, and a publication leaves the backlog only when it was taken: an outage
//! loses nothing that was counted, and nothing is counted twice. When the backlog is full the oldest
//! publications are made one: what they add is added up, their gauges are lost, and counted.
//!
//! One thing no client of CloudWatch can know: whether a request whose answer never came was taken.
//! It is sent again; then a minute may count twice.
//!
//! Without clock and I/O: `src/metrics.rs` ticks, sends and says what came of it.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use crate::{
    datum::{Datum, Figure},
    reading::Reading,
    table::{Kind, METRICS, Metric, Role},
};

/// Data that may wait: two hours and more of everything, some 2 MB.
const BACKLOG: usize = 4_000;

/// Most data in one request. The API takes 1000 in at most 1 MB; a distribution has up to 3 KB.
const BATCH: usize = 500;

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What is told, apart from the table.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Dimensions of all metrics, such as `Environment` and `Service`; may be none.
    pub dimensions: Vec<(&'static str, String)>,
    /// Tell what is for scaling at every tick, at high resolution, and all else at every tick of
    /// this number; without it each tick tells everything.
    pub fast: Option<u32>,
    /// Leave waits out: something else tells them.
    pub without_waits: bool,
}

/// What an unsuccessful try means for what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Later it may be taken.
    Later,
    /// It will never be taken as it is.
    Never,
}

/// The machine.
#[derive(Debug)]
pub struct Publisher {
    scope: Scope,
    ticks: u32,
    before: Reading,
    backlog: VecDeque<Vec<Datum>>,
    /// Publications that are being sent.
    sending: usize,
    failures: u32,
    lost: u64,
}

impl Publisher {
    /// Begins: what was counted so far has been told.
    pub fn new(scope: Scope, now: Reading) -> Self {
        Self {
            scope,
            ticks: 0,
            before: now,
            backlog: VecDeque::new(),
            sending: 0,
            failures: 0,
            lost: 0,
        }
    }

    /// An interval has passed.
    pub fn tick(&mut self, at: SystemTime, now: Reading, draining: bool) {
        self.ticks += 1;
        let is_full = self.scope.fast.is_none_or(|every| self.ticks.is_multiple_of(every.max(1)));
        let wanted = |metric: &&Metric| {
            (is_full || metric.role == Role::Fast) && !(draining && metric.role.is_scaling())
        };
        let data: Vec<Datum> =
            METRICS.iter().filter(wanted).flat_map(|metric| self.data(metric, at, &now)).collect();
        if is_full {
            self.before = now;
        }
        self.keep(data);
    }

    /// The last word: what was counted since the last tick, without gauges, which would stand for a
    /// whole interval.
    pub fn last(&mut self, at: SystemTime, now: Reading) {
        let counts = METRICS.iter().flat_map(|metric| self.data(metric, at, &now));
        let data = counts.filter(|datum| !matches!(datum.figure, Figure::Gauge(_))).collect();
        self.before = now;
        self.keep(data);
    }

    /// What is to be sent now, the oldest first; nothing when there is nothing. It is in the
    /// backlog until [`Publisher::taken`] or [`Publisher::failed`] says what became of it.
    pub fn batch(&mut self) -> Option<Vec<Datum>> {
        let mut batch = Vec::new();
        self.sending = 0;
        for publication in &self.backlog {
            if self.sending > 0 && batch.len() + publication.len() > BATCH {
                break;
            }
            batch.extend(publication.iter().cloned());
            self.sending += 1;
        }
        Some(batch).filter(|batch| !batch.is_empty())
    }

    /// The batch was taken. Says how many failures there were before.
    pub fn taken(&mut self) -> u32 {
        self.backlog.drain(..self.sending);
        self.sending = 0;
        std::mem::take(&mut self.failures)
    }

    /// The batch was not taken. Says how long to pause; `chance`, from 0 to 1, spreads the tasks of
    /// a fleet.
    pub fn failed(&mut self, how: Failed, chance: f64) -> Duration {
        if how == Failed::Never {
            let gone: usize = self.backlog.drain(..self.sending).map(|data| data.len()).sum();
            self.lost += gone as u64;
        }
        self.sending = 0;
        self.failures = self.failures.saturating_add(1);
        let doublings = (self.failures - 1).min(16);
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
        pause.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// Data that wait.
    pub fn waiting(&self) -> usize {
        self.backlog.iter().map(Vec::len).sum()
    }

    /// Data that nobody will ever get, since the start.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn data(&self, metric: &Metric, at: SystemTime, now: &Reading) -> Vec<Datum> {
        let Some(figure) = self.figure(metric.kind, now) else { return Vec::new() };
        let high_resolution = metric.role == Role::Fast && self.scope.fast.is_some();
        let common = self.scope.dimensions.iter().cloned();
        let own = metric.dimension.map(|(name, value)| (name, value.to_owned()));
        let whole = Datum {
            name: metric.name,
            dimensions: common.chain(own).collect(),
            at,
            figure,
            unit: metric.unit,
            high_resolution,
        };
        if metric.role == Role::Contract && !whole.dimensions.is_empty() {
            return vec![Datum { dimensions: Vec::new(), ..whole.clone() }, whole];
        }
        vec![whole]
    }

    fn figure(&self, kind: Kind, now: &Reading) -> Option<Figure> {
        match kind {
            Kind::Gauge(series) => Some(Figure::Gauge(now.sum(&series))),
            Kind::Share(part, whole) => {
                let whole = Some(now.sum(&whole)).filter(|whole| *whole > 0.0)?;
                Some(Figure::Gauge(100.0 * now.sum(&part) / whole))
            }
            Kind::Counter(series) => {
                let sum =
                    |reading: &Reading| series.iter().map(|one| reading.sum(one)).sum::<f64>();
                Some(Figure::Added((sum(now) - sum(&self.before)).max(0.0)))
            }
            Kind::Waits(_) if self.scope.without_waits => None,
            Kind::Waits(name) => {
                let waits = now.waits(name).since(&self.before.waits(name));
                // The API takes no distribution of nothing.
                Some(waits).filter(|waits| waits.count() > 0).map(Figure::Waits)
            }
        }
    }

    fn keep(&mut self, publication: Vec<Datum>) {
        if !publication.is_empty() {
            self.backlog.push_back(publication);
        }
        // What is being sent may be on the other side already, and stays as it is.
        while self.waiting() > BACKLOG && self.backlog.len() > self.sending + 2 {
            let Some(oldest) = self.backlog.remove(self.sending) else { break };
            let Some(heir) = self.backlog.get_mut(self.sending) else { break };
            self.lost += inherit(heir, oldest);
        }
    }
}

/// Adds what was counted to a later publication. Says how many data are lost by that.
fn inherit(heir: &mut Vec<Datum>, oldest: Vec<Datum>) -> u64 {
    let mut lost = 0;
    for datum in oldest {
        let same = heir
            .iter_mut()
            .find(|other| (other.name, &other.dimensions) == (datum.name, &datum.dimensions));
        match (same.map(|other| &mut other.figure), &datum.figure) {
            (Some(Figure::Added(sum)), Figure::Added(more)) => *sum += more,
            (Some(Figure::Waits(all)), Figure::Waits(more)) => all.merge(more),
            (_, Figure::Gauge(_)) => lost += 1,
            // The later one says nothing of it: this one goes there as it is, with its own time.
            _ => heir.push(datum),
        }
    }
    lost
}

#[cfg(test)]
mod tests;
