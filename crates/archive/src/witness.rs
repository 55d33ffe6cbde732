//! Who else hears what happens in calls: traces, for instance.
//!
//! A witness gets the entries that the journal keeps, from the journal's thread, in their order and
//! after personal data was taken out. It is heard also when nothing is kept.

use std::fmt;

use crate::entry::Entry;

/// Hears every entry of every call.
pub trait Witness: Send + Sync + fmt::Debug {
    /// Something happened in a call. Numbers tell the calls of one process apart; the first entry
    /// of each says how it began.
    ///
    /// The journals of all calls wait meanwhile: whoever has work to do takes a copy and is done.
    fn saw(&self, call: u64, entry: &Entry);
}
