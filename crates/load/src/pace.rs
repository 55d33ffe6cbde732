//! When which frame is due: one ring for all calls of a thread, instead of a timer for each.
//!
//! All calls have the same period, so their moments follow each other in the same order round
//! after round. Phases are drawn at random: callers do not know of each other.
//!
//! A machine: time is given, counted from the beginning of the run. Used by `worker`.

use std::time::Duration;

/// One frame.
pub const PERIOD: Duration = Duration::from_millis(32);

/// A frame whose moment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub slot: u32,
    /// The how manieth since the beginning.
    pub round: u32,
    /// When it was due. Latency counts from here, however late the frame is sent.
    pub at: Duration,
}

/// The moments of a thread's calls.
#[derive(Debug)]
pub struct Ring {
    /// Phase and slot, in the order of the phases.
    places: Vec<(Duration, u32)>,
    next: usize,
    round: u32,
}

impl Ring {
    /// A ring of these slots; the same seed draws the same phases.
    pub fn new(slots: impl IntoIterator<Item = u32>, seed: u64) -> Self {
        Self::of(slots.into_iter().map(|slot| (slot, slot)), seed)
    }

    /// The same for pairs of the name to be reported and the slot whose phase counts.
    pub fn of(slots: impl IntoIterator<Item = (u32, u32)>, seed: u64) -> Self {
        let mut places: Vec<_> =
            slots.into_iter().map(|(name, slot)| (phase_of(slot, seed), name)).collect();
        places.sort_unstable();
        Self { places, next: 0, round: 0 }
    }

    /// When the next frame is due.
    pub fn next_at(&self) -> Option<Duration> {
        let (phase, _) = self.places.get(self.next)?;
        Some(PERIOD * self.round + *phase)
    }

    /// The next frame, if its moment has come.
    pub fn pop(&mut self, now: Duration) -> Option<Due> {
        let at = self.next_at().filter(|at| *at <= now)?;
        let due = Due { slot: self.places[self.next].1, round: self.round, at };
        self.next += 1;
        if self.next == self.places.len() {
            (self.next, self.round) = (0, self.round + 1);
        }
        Some(due)
    }
}

/// When within a round the frames of a slot are due.
pub fn phase_of(slot: u32, seed: u64) -> Duration {
    let mut dice =
        fastrand::Rng::with_seed(seed ^ u64::from(slot).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    Duration::from_nanos(dice.u64(..PERIOD.as_nanos() as u64))
}

/// When a frame of a slot was due.
pub fn due_at(slot: u32, round: u32, seed: u64) -> Duration {
    PERIOD * round + phase_of(slot, seed)
}

/// When things happen in a run.
#[derive(Debug, Clone, Copy)]
pub struct Timeline {
    calls: u32,
    ramp: Duration,
    settle: Duration,
    window: Duration,
}

impl Timeline {
    /// Calls begin in two halves, so that memory can be read at both.
    pub fn new(calls: u32, ramp: Duration, settle: Duration, window: Duration) -> Self {
        Self { calls, ramp, settle, window }
    }

    /// When a call begins.
    pub fn begins(&self, slot: u32) -> Duration {
        let half = self.half();
        let pause = if slot < half { Duration::ZERO } else { self.settle };
        self.ramp * slot / self.calls.max(1) + pause
    }

    /// Calls of the first half.
    pub fn half(&self) -> u32 {
        self.calls / 2
    }

    /// When the calls of the first half have settled.
    pub fn half_settled(&self) -> Duration {
        self.ramp / 2 + self.settle
    }

    /// When the figures begin to count.
    pub fn window_begins(&self) -> Duration {
        self.ramp + self.settle * 2
    }

    /// When they end.
    pub fn window_ends(&self) -> Duration {
        self.window_begins() + self.window
    }

    /// Whether a frame that is due then counts.
    pub fn counts(&self, at: Duration) -> bool {
        (self.window_begins()..self.window_ends()).contains(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_its_frame_in_every_round_and_in_order() {
        let mut ring = Ring::new(0..50, 1);
        let mut last = Duration::ZERO;
        let mut rounds = [0; 50];
        for _ in 0..500 {
            let at = ring.next_at().expect("a moment");
            assert_eq!(ring.pop(at - Duration::from_nanos(1)), None, "not before its moment");
            let due = ring.pop(at).expect("it is due");
            assert!(due.at >= last);
            assert_eq!(due.at, due_at(due.slot, due.round, 1));
            assert_eq!(due.round, rounds[due.slot as usize]);
            rounds[due.slot as usize] += 1;
            last = due.at;
        }
        assert_eq!(rounds, [10; 50]);
    }

    #[test]
    fn a_pacer_that_was_held_up_omits_nothing() {
        let mut ring = Ring::new(0..3, 1);
        let late = PERIOD * 10;
        let due: Vec<Due> = std::iter::from_fn(|| ring.pop(late)).collect();
        assert!(due.len() >= 30, "{}", due.len());
        assert!(due.iter().all(|due| due.at <= late));
    }

    #[test]
    fn callers_do_not_march_in_step() {
        let phases: Vec<Duration> = (0..100).map(|slot| phase_of(slot, 7)).collect();
        assert!(phases.iter().all(|phase| *phase < PERIOD));
        let early = phases.iter().filter(|phase| **phase < PERIOD / 2).count();
        assert!((30..70).contains(&early), "{early}");
    }

    #[test]
    fn memory_can_be_read_at_half_of_the_calls() {
        let seconds = Duration::from_secs;
        let time = Timeline::new(10, seconds(10), seconds(4), seconds(30));
        assert_eq!(time.begins(0), seconds(0));
        assert!(time.begins(4) < time.half_settled());
        assert!(time.begins(5) >= seconds(5) + seconds(4));
        assert!(time.begins(9) < time.window_begins());
        assert_eq!((time.window_begins(), time.window_ends()), (seconds(18), seconds(48)));
        assert!(time.counts(seconds(18)) && !time.counts(seconds(48)));
    }
}
