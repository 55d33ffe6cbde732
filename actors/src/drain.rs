//! Whether the process takes new calls, and when those that it has must leave it.
//!
//! A machine: orders, the number of calls and `now` go in; what the calls have to be told comes
//! out. It knows neither why a cause came about nor how a call leaves (`call/leaving.rs`). The
//! registry drives it, because every admission passes there.
//!
//! ```text
//!              operator, protection             the deadline comes near,
//!              withdrawn                        or a signal
//!    Open ──────────────────────────▶ Draining ─────────────────────────▶ Leaving
//!     ▲ ◀──── operator takes it back ──┘    │                                │
//!     │                                     │ no call is left                │ no call is left,
//!     │                                     ▼                                ▼ or the deadline
//!     └──── operator takes it back ────── Done ◀─────────────────────────────┘
//!
//!    a signal goes to Leaving from everywhere, as long as there are calls
//! ```

use std::time::{Duration, Instant};

use actix::Message;

/// Why no new calls are taken, the weakest cause first: a stronger one is not taken back by the
/// word that took back a weaker one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// An operator said so.
    Operator,
    /// Somebody took the task's scale-in protection away: it is to be replaced (`ops.md` §1.6).
    ProtectionWithdrawn,
    /// SIGTERM or SIGINT.
    Signal,
}

/// When calls have to be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Whenever they end by themselves.
    ByThemselves,
    /// They are gone after `deadline`, and asked to leave `notice` before that.
    Within {
        /// From now on.
        deadline: Duration,
        /// What it takes a call to leave.
        notice: Duration,
    },
    /// They are asked at once, and get so long.
    Now(Duration),
}

/// An order to take no more calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Why.
    pub cause: Cause,
    /// What it means for the calls in progress.
    pub leave: Leave,
    /// Whether the process ends when no call is left.
    pub exit: bool,
}

/// What calls are told.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
#[rtype(result = "()")]
pub enum Notice {
    /// The process takes no new calls; those in progress go on, for so long at most.
    Draining(Option<Duration>),
    /// It takes new calls again.
    Cancelled,
    /// Leave, within so long.
    Leave(Duration),
}

/// Where a drain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// New calls are welcome.
    #[default]
    Open,
    /// No new calls; those in progress go on.
    Draining,
    /// Calls are asked to leave.
    Leaving,
    /// No call is left, or the time is over.
    Done,
}

/// What there is to know of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// The strongest cause so far.
    pub cause: Cause,
    /// When it began.
    pub since: Instant,
    /// When calls have to be gone; `None`: whenever they end.
    pub deadline: Option<Instant>,
    /// Whether the process ends afterwards.
    pub exit: bool,
    /// When they are asked to leave.
    ask_at: Option<Instant>,
}

/// Why a drain cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotCancel {
    /// There is none.
    #[error("new calls are taken: there is no drain to take back")]
    NotDraining,
    /// It is not an operator's.
    #[error("the drain has another cause than an operator's word, and goes on")]
    NotAnOperators,
    /// Calls have been sent away.
    #[error("calls have been asked to leave already")]
    Leaving,
    /// The process ends.
    #[error("the last call is gone, and the process ends")]
    Exiting,
}

/// The machine.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    phase: Phase,
    /// Absent while new calls are welcome.
    course: Option<Course>,
    calls: usize,
}

impl Drain {
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn course(&self) -> Option<Course> {
        self.course
    }

    /// Whether calls are refused.
    pub(crate) fn is_closed(&self) -> bool {
        self.phase != Phase::Open
    }

    /// An order has come. Another one may stand already: the stronger cause holds, and of two
    /// deadlines the sooner; an operator's last word replaces the one before.
    pub(crate) fn begin(&mut self, order: Order, now: Instant) -> Option<Notice> {
        let Order { cause, leave, exit } = order;
        let (ask_at, deadline) = match leave {
            Leave::ByThemselves => (None, None),
            Leave::Within { deadline, notice } => {
                (Some(now + deadline.saturating_sub(notice)), Some(now + deadline))
            }
            Leave::Now(grace) => (Some(now), Some(now + grace)),
        };
        let fresh = Course { cause, since: now, deadline, exit, ask_at };
        let before = self.course;
        let course = match before {
            None => fresh,
            Some(old) if old.cause == Cause::Operator && cause == Cause::Operator => {
                // Calls that were asked to leave by a certain time cannot be asked again.
                let leaves = self.phase == Phase::Leaving;
                let (ask_at, deadline) =
                    if leaves { (old.ask_at, old.deadline) } else { (ask_at, deadline) };
                Course { ask_at, deadline, since: old.since, ..fresh }
            }
            Some(old) => Course {
                cause: old.cause.max(cause),
                since: old.since,
                deadline: sooner(old.deadline, deadline),
                exit: old.exit || exit,
                ask_at: sooner(old.ask_at, ask_at),
            },
        };
        self.course = Some(course);
        match self.phase {
            Phase::Open | Phase::Draining => self.phase = Phase::Draining,
            // What was the last deadline is over, and somebody is still here.
            Phase::Done if self.calls > 0 && cause == Cause::Signal => {
                self.course = Some(Course { deadline, ask_at, ..course });
                self.phase = Phase::Draining;
            }
            Phase::Leaving | Phase::Done => return None,
        }
        let changed = before.is_none_or(|before| before.deadline != course.deadline);
        // Whoever leaves at once is told so by that.
        self.tick(now).or_else(|| {
            let told = self.phase == Phase::Draining && changed;
            told.then(|| self.announce(now)).flatten()
        })
    }

    /// An operator takes back what an operator has ordered.
    pub(crate) fn cancel(&mut self) -> Result<Notice, CannotCancel> {
        let course = self.course.ok_or(CannotCancel::NotDraining)?;
        if course.cause != Cause::Operator {
            return Err(CannotCancel::NotAnOperators);
        }
        match self.phase {
            Phase::Leaving => return Err(CannotCancel::Leaving),
            Phase::Done if course.exit => return Err(CannotCancel::Exiting),
            Phase::Open | Phase::Draining | Phase::Done => {}
        }
        (self.phase, self.course) = (Phase::Open, None);
        Ok(Notice::Cancelled)
    }

    /// So many calls are active now.
    pub(crate) fn count(&mut self, calls: usize) {
        self.calls = calls;
        if calls == 0 && matches!(self.phase, Phase::Draining | Phase::Leaving) {
            self.phase = Phase::Done;
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Notice> {
        let course = self.course?;
        let has_come = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match self.phase {
            Phase::Draining | Phase::Leaving if self.calls == 0 => {
                self.phase = Phase::Done;
                None
            }
            Phase::Draining if has_come(course.ask_at) => {
                self.phase = Phase::Leaving;
                self.announce(now)
            }
            Phase::Leaving if has_come(course.deadline) => {
                self.phase = Phase::Done;
                None
            }
            _ => None,
        }
    }

    /// When [`Drain::tick`] has something to do.
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        match self.phase {
            Phase::Draining => self.course?.ask_at,
            Phase::Leaving => self.course?.deadline,
            Phase::Open | Phase::Done => None,
        }
    }

    /// What a call has to know that was admitted before and comes in only now.
    pub(crate) fn announce(&self, now: Instant) -> Option<Notice> {
        let left = self.course?.deadline.map(|at| at.saturating_duration_since(now));
        match self.phase {
            Phase::Open => None,
            Phase::Draining => Some(Notice::Draining(left)),
            Phase::Leaving | Phase::Done => Some(Notice::Leave(left.unwrap_or_default())),
        }
    }
}

/// The sooner of two moments of which either may never come.
fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}

#[cfg(test)]
mod tests;
