//! When to ask whether the caller is still there, and when to say goodbye.
//!
//! A machine: no actix, no clock.

use std::time::{Duration, Instant};

/// What silence calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleAction {
    /// Ask whether the caller is still there; the how-manieth time, from 1.
    Ask(u32),
    /// Say goodbye and end the call.
    Goodbye,
}

/// Watches for silence from both sides.
///
/// ```text
///              timeout            timeout (checks used up)
///   Waiting ────────────▶ Ask n ───────────────────────────▶ Goodbye
///      ▲                    │
///      └──── the caller ────┘        busy (someone speaks): the clock stands still
/// ```
#[derive(Debug)]
pub struct Idle {
    timeout: Option<Duration>,
    checks: u32,
    asked: u32,
    busy: bool,
    quiet_since: Instant,
    over: bool,
}

impl Idle {
    /// A watch that asks after `timeout` of silence (`None`: never), at most `checks` times.
    pub fn new(timeout: Option<Duration>, checks: u32, now: Instant) -> Self {
        Self { timeout, checks, asked: 0, busy: false, quiet_since: now, over: false }
    }

    /// Changes the numbers in mid-call.
    pub fn configure(&mut self, timeout: Option<Duration>, checks: u32) {
        (self.timeout, self.checks) = (timeout, checks);
    }

    /// The caller spoke or typed.
    pub fn caller_active(&mut self, now: Instant) {
        self.asked = 0;
        self.quiet_since = now;
    }

    /// The assistant speaks, a tool runs: nobody has to say anything until that is over.
    pub fn set_busy(&mut self, busy: bool, now: Instant) {
        if self.busy != busy {
            self.busy = busy;
            self.quiet_since = now;
        }
    }

    /// What silence calls for now, if anything.
    pub fn poll(&mut self, now: Instant) -> Option<IdleAction> {
        if self.next(now)? > now {
            return None;
        }
        self.quiet_since = now;
        if self.asked < self.checks {
            self.asked += 1;
            return Some(IdleAction::Ask(self.asked));
        }
        self.over = true;
        Some(IdleAction::Goodbye)
    }

    /// When [`Self::poll`] is worth asking again; `None` while only an event can change that.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        if self.over || self.busy {
            return None;
        }
        Some((self.quiet_since + self.timeout?).max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn asks_as_often_as_allowed_then_says_goodbye_once() {
        let start = Instant::now();
        let mut idle = Idle::new(Some(45 * SECOND), 3, start);
        assert_eq!(idle.poll(start + 44 * SECOND), None);
        let actions: Vec<_> = (1..=6).filter_map(|n| idle.poll(start + n * 45 * SECOND)).collect();
        use IdleAction::{Ask, Goodbye};
        assert_eq!(actions, [Ask(1), Ask(2), Ask(3), Goodbye]);
    }

    #[test]
    fn a_word_of_the_caller_starts_it_all_over() {
        let start = Instant::now();
        let mut idle = Idle::new(Some(45 * SECOND), 1, start);
        assert_eq!(idle.poll(start + 45 * SECOND), Some(IdleAction::Ask(1)));
        idle.caller_active(start + 50 * SECOND);
        assert_eq!(idle.poll(start + 94 * SECOND), None);
        assert_eq!(idle.poll(start + 95 * SECOND), Some(IdleAction::Ask(1)));
    }

    #[test]
    fn the_clock_stands_still_while_the_assistant_speaks() {
        let start = Instant::now();
        let mut idle = Idle::new(Some(45 * SECOND), 1, start);
        idle.set_busy(true, start);
        assert_eq!(idle.next(start), None);
        assert_eq!(idle.poll(start + 500 * SECOND), None);
        idle.set_busy(false, start + 500 * SECOND);
        assert_eq!(idle.next(start), Some(start + 545 * SECOND));
    }

    #[test]
    fn it_can_be_off() {
        let start = Instant::now();
        let mut idle = Idle::new(None, 3, start);
        assert_eq!(idle.poll(start + 5_000 * SECOND), None);
        assert_eq!(idle.next(start), None);
    }
}
