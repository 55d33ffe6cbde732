//! When the task has to be protected, and what it means when somebody else has ended that.
//!
//! A machine: the number of calls, the answers of the agent and `now` go in; the next request comes
//! out. One request is under way at a time; the task that sends it belongs to the server.
//!
//! ```text
//!              first call                    it is time to renew: still on?
//!    Off ─────────────────▶ protect ──▶ On ─────────────────────▶ look ──on──▶ protect ──▶ On
//!     ▲                                  │ no call is left          │ off, and not by us
//!     └────────── release ◀──────────────┘                          ▼
//!                                                               Withdrawn (nothing more is asked)
//! ```
//!
//! Whatever fails is tried again, after pauses that grow.

use std::time::{Duration, Instant};

use crate::agent::{AgentError, Answer};

/// The numbers of a protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtectionTimes {
    /// For how long ECS is asked to protect the task: 1 to 2880 minutes.
    pub minutes: u32,
    /// How often that is asked for anew while there are calls.
    pub renew: Duration,
    /// The first pause after a failure; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for ProtectionTimes {
    /// `ops.md` §1.6.
    fn default() -> Self {
        Self {
            minutes: 60,
            renew: Duration::from_secs(20 * 60),
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(300),
        }
    }
}

/// A request to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Whether the task is protected.
    Look,
    /// Protect it for so many minutes.
    Protect(u32),
    /// Do not protect it any more.
    Release,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send this, and tell of the answer.
    Ask(Request),
    /// Nothing until this moment, or until the number of calls changes; `None`: until that alone.
    Wait(Option<Instant>),
    /// The protection was ended from outside: the task is to be replaced. Said once.
    Withdrawn,
}

/// What is known of the protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is off, or never was on.
    Off,
    /// ECS said that it is on, and until when.
    On { renew_at: Instant, expires: Instant },
    /// It was on when it was time to renew: now it is renewed.
    Renewing { expires: Instant },
    /// Whether it was put on is not known. It ends at this moment in any case.
    Unknown { until: Instant },
    /// Ended by somebody else.
    Withdrawn { told: bool },
}

/// The machine.
#[derive(Debug)]
pub struct Protection {
    times: ProtectionTimes,
    state: State,
    calls: usize,
    /// After a failure: nothing is asked before, and how long the next pause is.
    pause: Option<(Instant, Duration)>,
}

impl Protection {
    /// A task without calls, unprotected as every fresh task is.
    pub fn new(times: ProtectionTimes) -> Self {
        Self { times, state: State::Off, calls: 0, pause: None }
    }

    /// So many calls are active now.
    pub fn count(&mut self, calls: usize) {
        self.calls = calls;
    }

    /// Whether ECS is believed not to end the task.
    pub fn is_on(&self) -> bool {
        matches!(self.state, State::On { .. } | State::Renewing { .. })
    }

    /// What there is to do now.
    pub fn step(&mut self, now: Instant) -> Step {
        if let State::Withdrawn { told } = &mut self.state {
            return if std::mem::replace(told, true) { Step::Wait(None) } else { Step::Withdrawn };
        }
        match self.state {
            // Renewing has failed for all that time: off is nobody's wish then.
            State::On { expires: end, .. }
            | State::Renewing { expires: end }
            | State::Unknown { until: end }
                if end <= now =>
            {
                self.state = State::Off;
            }
            _ => {}
        }
        let wanted = match (self.state, self.calls) {
            (State::Off, 0) | (State::Withdrawn { .. }, _) => return Step::Wait(None),
            (State::On { renew_at, .. }, 1..) if now < renew_at => {
                return Step::Wait(Some(renew_at));
            }
            (State::On { .. }, 1..) => Request::Look,
            (State::Off | State::Unknown { .. } | State::Renewing { .. }, 1..) => {
                Request::Protect(self.times.minutes)
            }
            (State::On { .. } | State::Renewing { .. } | State::Unknown { .. }, 0) => {
                Request::Release
            }
        };
        match self.pause {
            Some((until, _)) if now < until => Step::Wait(Some(until)),
            _ => Step::Ask(wanted),
        }
    }

    /// The agent has answered.
    pub fn answered(
        &mut self,
        request: Request,
        answer: &Result<Answer, AgentError>,
        now: Instant,
    ) {
        self.state = match (request, self.state, answer) {
            (_, State::Withdrawn { .. }, _) => self.state,
            (Request::Protect(minutes), _, Ok(Answer { protected: true, .. })) => {
                State::On { renew_at: now + self.times.renew, expires: now + ends_after(minutes) }
            }
            (Request::Look, State::On { expires, .. }, Ok(Answer { protected: true, .. })) => {
                State::Renewing { expires }
            }
            (Request::Look, State::On { .. }, Ok(Answer { protected: false, .. })) => {
                State::Withdrawn { told: false }
            }
            (Request::Release, _, Ok(Answer { protected: false, .. })) => State::Off,
            // From here on it went wrong. Before renewing is tried again, it is looked again.
            (Request::Protect(_), State::Renewing { expires }, _) => {
                State::On { renew_at: now, expires }
            }
            // ECS has said no, so nothing has changed.
            (_, state, Err(AgentError::Refused { .. })) => state,
            // The answer may be lost, and the change made.
            (Request::Protect(minutes), State::Off | State::Unknown { .. }, _) => {
                State::Unknown { until: now + ends_after(minutes) }
            }
            (_, state, _) => state,
        };
        let as_wanted = answer.as_ref().is_ok_and(|answer| match request {
            Request::Look => true,
            Request::Protect(_) => answer.protected,
            Request::Release => !answer.protected,
        });
        self.pause = (!as_wanted).then(|| {
            let pause = self.pause.map_or(self.times.first_pause, |(_, next)| next);
            (now + pause, (pause * 2).min(self.times.longest_pause))
        });
    }
}

fn ends_after(minutes: u32) -> Duration {
    Duration::from_secs(60 * u64::from(minutes))
}

#[cfg(test)]
mod tests;
