//! What became of each frame of a call within the window.
//!
//! A machine: nothing is counted twice, and what never comes back is lost, also when the call
//! broke off before the frame could be sent. Used by `worker`.

use std::time::Duration;

/// The books of one call.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The first round within the window.
    first: Option<u32>,
    /// A bit for each round since: whether its echo came.
    returned: Vec<u64>,
    /// Sums.
    pub sums: Sums,
}

/// Sums of one call or of many.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Sums {
    /// Frames that were due.
    pub frames: u64,
    /// Of these, echoes that came.
    pub echoes: u64,
    /// Of these, echoes that came later than they are of use.
    pub late: u64,
    /// Echoes of frames that had come back already.
    pub doubled: u64,
}

impl Sums {
    /// Frames that never came back.
    pub fn lost(&self) -> u64 {
        self.frames - self.echoes
    }

    /// Adds the sums of another call.
    pub fn add(&mut self, other: Self) {
        self.frames += other.frames;
        self.echoes += other.echoes;
        self.late += other.late;
        self.doubled += other.doubled;
    }
}

impl Ledger {
    /// A frame within the window is due.
    pub fn due(&mut self, round: u32) {
        self.first.get_or_insert(round);
        self.sums.frames += 1;
    }

    /// Its echo came. Whether it counts: not if it is not of the window, or a second one.
    pub fn echo(&mut self, round: u32, latency: Duration, late: Duration) -> bool {
        let Some(at) = self.first.and_then(|first| round.checked_sub(first)) else { return false };
        let (word, bit) = (at as usize / 64, 1 << (at % 64));
        if u64::from(at) >= self.sums.frames {
            return false;
        }
        if self.returned.len() <= word {
            self.returned.resize(word + 1, 0);
        }
        if self.returned[word] & bit != 0 {
            self.sums.doubled += 1;
            return false;
        }
        self.returned[word] |= bit;
        self.sums.echoes += 1;
        self.sums.late += u64::from(latency > late);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_millis(100);
    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn what_does_not_come_back_is_lost_and_nothing_counts_twice() {
        let mut ledger = Ledger::default();
        (1_000..1_200).for_each(|round| ledger.due(round));
        for round in (1_000..1_200).filter(|round| round % 100 != 7) {
            assert!(ledger.echo(round, SOON, LATE));
        }
        assert!(!ledger.echo(1_000, SOON, LATE));
        let expected = Sums { frames: 200, echoes: 198, late: 0, doubled: 1 };
        assert_eq!((ledger.sums, ledger.sums.lost()), (expected, 2));
    }

    #[test]
    fn echoes_from_outside_of_the_window_do_not_count() {
        let mut ledger = Ledger::default();
        assert!(!ledger.echo(5, SOON, LATE));
        ledger.due(10);
        assert!(!ledger.echo(9, SOON, LATE) && !ledger.echo(11, SOON, LATE));
        assert_eq!(ledger.sums.echoes, 0);
    }

    #[test]
    fn a_late_echo_is_no_lost_one() {
        let mut ledger = Ledger::default();
        ledger.due(0);
        assert!(ledger.echo(0, LATE + SOON, LATE));
        assert_eq!((ledger.sums.late, ledger.sums.lost()), (1, 0));
    }
}
