//! The epoch of the assistant's audio: the number that makes stale sound recognisable.

use std::fmt;

/// Counts barge-ins in one call.
///
/// Every piece of assistant audio carries the epoch in which it was made. A barge-in is
/// *epoch + 1*: whoever holds audio of an older epoch drops it, wherever it waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch after a barge-in.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
