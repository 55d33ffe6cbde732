//! Whom to ask, for how long, and what follows from a failure: one budget for all attempts.
//!
//! A machine: `now` is an argument; it knows no HTTP. A flow waits for eight seconds and hears of
//! nothing in between, so every attempt says how long the bridge may hold it, and the last one is
//! given up in time for an answer. Called by [`crate::serve`].
//!
//! ```text
//!   owner ── broken twice, 404, 5xx twice ──▶ any task, "adopt" ── broken, 5xx ──▶ again, later
//!     ▲ │                                           │
//!     └─┴──────────── 421: the owner it names ◀─────┘            no time left ──▶ give up
//! ```

use std::time::{Duration, Instant};

/// The answer has to travel back, and a connection may have to be made.
pub const MARGIN: Duration = Duration::from_millis(500);
/// An attempt with less time than this is not made.
const LEAST: Duration = Duration::from_millis(200);
/// The first pause before the same task is asked again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);
/// Owners that are followed before the call is taken over.
const MOST_HOPS: u32 = 2;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// `http://HOST:PORT` of the task.
    pub at: String,
    /// Whether that task is to take the call over.
    pub adopt: bool,
    /// How long the bridge may hold the question.
    pub wait: Duration,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// 421: another task has the call, and this is its name.
    Elsewhere(Option<String>),
    /// 404: nobody knows the call here.
    Unknown,
    /// Another status, with what the bridge says of it.
    Status(u16, String),
    /// No connection, or it broke off.
    Broken(String),
    /// It took too long.
    Slow,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// [`Plan::attempt`] again, after this pause.
    Again(Duration),
    /// That was all.
    GiveUp(GaveUp),
}

/// Why nothing more is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GaveUp {
    /// The owner of the call was silent until the time was up; another task may be asked next.
    OwnerSilent,
    /// For this reason, in words for the log.
    Because(String),
}

/// The attempts at one question.
#[derive(Debug)]
pub struct Plan {
    /// Where any task is reached.
    bridge: String,
    at: String,
    adopt: bool,
    /// Whether the question says enough of the call to take it over.
    can_adopt: bool,
    until: Instant,
    /// Failures of the task that is asked now.
    here: u32,
    hops: u32,
}

impl Plan {
    /// A question that goes to `owner` or to any task, and has to be answered until then.
    pub fn new(bridge: &str, owner: Option<&str>, can_adopt: bool, until: Instant) -> Self {
        Self {
            bridge: bridge.to_owned(),
            at: owner.unwrap_or(bridge).to_owned(),
            adopt: false,
            can_adopt,
            until,
            here: 0,
            hops: 0,
        }
    }

    /// The next request; `None` when there is no time for one.
    pub fn attempt(&self, now: Instant) -> Option<Attempt> {
        let left = self.until.saturating_duration_since(now);
        let wait = left.checked_sub(MARGIN).filter(|wait| *wait >= LEAST)?;
        // A little less than all, so that there is an answer when it is cut off.
        let timeout = left - MARGIN / 5;
        Some(Attempt { at: self.at.clone(), adopt: self.adopt, wait, timeout })
    }

    /// What follows from a failure.
    pub fn failed(&mut self, failure: Failure) -> Next {
        match failure {
            Failure::Elsewhere(Some(owner)) if owner != self.at && self.hops < MOST_HOPS => {
                self.hops += 1;
                self.go(owner, false)
            }
            // Two tasks that point at each other: neither has it.
            Failure::Elsewhere(_) => self.take_over("the call's owner is not to be found"),
            Failure::Unknown if self.adopt => {
                give_up("the bridge does not know the call, and does not take it over")
            }
            Failure::Unknown => self.take_over("the bridge does not know the call"),
            Failure::Status(status @ 500.., why) => {
                self.again(&format!("the bridge answers {status}: {why}"))
            }
            // Asked again it would say the same.
            Failure::Status(status, why) => {
                give_up(&format!("the bridge refuses, {status}: {why}"))
            }
            Failure::Broken(why) => self.again(&format!("the bridge cannot be reached: {why}")),
            Failure::Slow if self.at != self.bridge && self.can_adopt => {
                Next::GiveUp(GaveUp::OwnerSilent)
            }
            Failure::Slow => give_up("the bridge did not answer in time"),
        }
    }

    /// The same task once more, or, when an owner fails twice, another one. Any task is asked until
    /// the time is up: behind its name there may be many.
    fn again(&mut self, why: &str) -> Next {
        self.here += 1;
        if self.at != self.bridge && self.here >= 2 {
            return self.take_over(why);
        }
        let pause = FIRST_PAUSE * 2_u32.pow(self.here.min(4) - 1);
        Next::Again(pause.min(LONGEST_PAUSE))
    }

    fn take_over(&mut self, why: &str) -> Next {
        if !self.can_adopt || self.adopt {
            return give_up(why);
        }
        let bridge = self.bridge.clone();
        self.go(bridge, true)
    }

    fn go(&mut self, at: String, adopt: bool) -> Next {
        (self.at, self.adopt, self.here) = (at, adopt, 0);
        Next::Again(Duration::ZERO)
    }
}

fn give_up(why: &str) -> Next {
    Next::GiveUp(GaveUp::Because(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRIDGE: &str = "http://bridge.internal:8081";
    const OWNER: &str = "http://10.0.1.7:8081";

    fn plan(owner: Option<&str>, can_adopt: bool) -> (Plan, Instant) {
        let now = Instant::now();
        (Plan::new(BRIDGE, owner, can_adopt, now + Duration::from_secs(7)), now)
    }

    fn broken() -> Failure {
        Failure::Broken("refused".to_owned())
    }

    fn asked(plan: &Plan, now: Instant) -> (String, bool) {
        let attempt = plan.attempt(now).expect("time is left");
        (attempt.at, attempt.adopt)
    }

    #[test]
    fn the_owner_is_asked_and_holds_the_question_as_long_as_there_is_time() {
        let (plan, now) = plan(Some(OWNER), true);
        let attempt = plan.attempt(now).expect("an attempt");
        assert_eq!((attempt.at.as_str(), attempt.adopt), (OWNER, false));
        assert_eq!(attempt.wait, Duration::from_millis(6_500));
        assert_eq!(attempt.timeout, Duration::from_millis(6_900));
        let late = plan.attempt(now + Duration::from_secs(5)).expect("another");
        assert_eq!(late.wait, Duration::from_millis(1_500));
        assert_eq!(plan.attempt(now + Duration::from_millis(6_400)), None);
        assert_eq!(plan.attempt(now + Duration::from_secs(60)), None);
    }

    #[test]
    fn an_owner_that_is_gone_is_replaced() {
        let (mut plan, now) = plan(Some(OWNER), true);
        assert_eq!(plan.failed(broken()), Next::Again(FIRST_PAUSE));
        assert_eq!(asked(&plan, now), (OWNER.to_owned(), false));
        assert_eq!(plan.failed(broken()), Next::Again(Duration::ZERO));
        assert_eq!(asked(&plan, now), (BRIDGE.to_owned(), true));
        // Whoever is behind the bridge's name may come up any moment.
        let pauses: Vec<Next> = (0..5).map(|_| plan.failed(broken())).collect();
        let pause = |ms| Next::Again(Duration::from_millis(ms));
        assert_eq!(pauses, [pause(100), pause(200), pause(400), pause(800), pause(800)]);
    }

    #[test]
    fn a_task_that_is_not_the_owner_names_it() {
        let (mut plan, now) = plan(None, true);
        let other = Failure::Elsewhere(Some(OWNER.to_owned()));
        assert_eq!(plan.failed(other.clone()), Next::Again(Duration::ZERO));
        assert_eq!(asked(&plan, now), (OWNER.to_owned(), false));
        // It does not know better: the call has no owner.
        assert_eq!(plan.failed(other), Next::Again(Duration::ZERO));
        assert_eq!(asked(&plan, now), (BRIDGE.to_owned(), true));
        assert!(matches!(plan.failed(Failure::Elsewhere(None)), Next::GiveUp(_)));
    }

    #[test]
    fn a_call_that_nobody_knows_is_taken_over_if_enough_is_known_of_it() {
        let (mut with, now) = plan(Some(OWNER), true);
        assert_eq!(with.failed(Failure::Unknown), Next::Again(Duration::ZERO));
        assert_eq!(asked(&with, now), (BRIDGE.to_owned(), true));
        assert!(matches!(with.failed(Failure::Unknown), Next::GiveUp(_)));
        let (mut without, _) = plan(Some(OWNER), false);
        assert!(matches!(without.failed(Failure::Unknown), Next::GiveUp(_)));
    }

    #[test]
    fn refusals_are_final_and_failures_of_the_bridge_are_not() {
        let (mut plan, now) = plan(None, false);
        let full = Failure::Status(503, "full".to_owned());
        assert_eq!(plan.failed(full), Next::Again(FIRST_PAUSE));
        assert_eq!(asked(&plan, now), (BRIDGE.to_owned(), false));
        let Next::GiveUp(GaveUp::Because(why)) =
            plan.failed(Failure::Status(401, "another key".to_owned()))
        else {
            panic!("it is asked again");
        };
        assert_eq!(why, "the bridge refuses, 401: another key");
    }

    #[test]
    fn an_owner_that_is_silent_gets_no_second_question() {
        let (mut owned, _) = plan(Some(OWNER), true);
        assert_eq!(owned.failed(Failure::Slow), Next::GiveUp(GaveUp::OwnerSilent));
        let (mut any, _) = plan(None, true);
        assert!(matches!(any.failed(Failure::Slow), Next::GiveUp(GaveUp::Because(_))));
    }
}
