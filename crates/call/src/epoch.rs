//! The epoch of the assistant's audio: the number that makes stale sound recognisable.

use std::fmt;

/// Which stream of a call, and how many barge-ins it has seen.
///
/// Every piece of assistant audio carries the epoch in which it was made. A barge-in is
/// *epoch + 1*: whoever holds audio of an older epoch drops it, wherever it waits. A new stream is
/// later than all epochs of the one before, but it takes nothing back: what the one before has
/// said is heard to its end, and only what it might still say is stale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    stream: u32,
    barge_ins: u32,
}

impl Epoch {
    /// The first epoch of the call's stream of this number.
    pub fn of_stream(stream: u32) -> Self {
        Self { stream, barge_ins: 0 }
    }

    /// Whether something of this epoch continues `earlier` instead of replacing it: another stream
    /// has taken over, and nobody barged in since.
    pub fn continues(self, earlier: Self) -> bool {
        self.stream > earlier.stream && self.barge_ins == 0
    }

    /// The epoch after a barge-in.
    #[must_use]
    pub fn next(self) -> Self {
        Self { barge_ins: self.barge_ins + 1, ..self }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stream, self.barge_ins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_stream_is_later_than_every_barge_in_before_it() {
        let first = Epoch::of_stream(1);
        assert!(first < first.next());
        assert!(first.next().next() < Epoch::of_stream(2));
    }
}
