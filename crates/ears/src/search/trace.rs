//! The words that ended, each with the one before it: the ways back from every token.

use super::Said;
use crate::language::StateId;

/// An entry by its number.
pub(super) type TraceId = u32;
/// No word ended before.
pub(super) const NONE: TraceId = TraceId::MAX;

/// Entries at which those that nobody can come back to are forgotten.
const CROWD: usize = 8_000;

/// A word, or a stretch of silence, that ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) before: TraceId,
    /// The first frame after it.
    pub(super) frame: u32,
    /// `None` for silence and noises.
    pub(super) word: Option<u16>,
    /// May be the last one: it sounds as before silence.
    pub(super) quiet: bool,
    /// What the language makes of it.
    pub(super) state: StateId,
    pub(super) score: f32,
    /// The part of the score that is the language's.
    pub(super) paid: f32,
    /// The logarithm of the word's probability.
    pub(super) log: f32,
}

/// All entries of a turn that matter still.
#[derive(Debug, Default)]
pub(super) struct Trace {
    entries: Vec<Entry>,
    /// Entries above which the next cleaning starts.
    crowd: usize,
}

impl Trace {
    pub(super) fn get(&self, id: TraceId) -> Option<&Entry> {
        self.entries.get(id as usize)
    }

    pub(super) fn push(&mut self, entry: Entry) -> TraceId {
        self.entries.push(entry);
        (self.entries.len() - 1) as TraceId
    }

    /// The entries that ended before this frame, which is the present one.
    pub(super) fn ended_at(&self, frame: u32) -> impl Iterator<Item = (TraceId, &Entry)> {
        let numbered = self.entries.iter().enumerate().map(|(id, entry)| (id as TraceId, entry));
        numbered.rev().take_while(move |(_, entry)| entry.frame == frame)
    }

    /// The words on the way to an entry.
    pub(super) fn words(&self, mut id: TraceId) -> Vec<Said> {
        let mut words = Vec::new();
        while let Some(entry) = self.get(id) {
            let before = self.get(entry.before);
            if let Some(word) = entry.word {
                let from = before.map_or(0, |before| before.frame);
                let sound = |entry: &Entry| entry.score - entry.paid;
                let lacks = sound(entry) - before.map_or(0.0, sound);
                let gap = lacks / (entry.frame - from).max(1) as f32;
                words.push(Said { word, from, to: entry.frame, gap, log: entry.log });
            }
            id = entry.before;
        }
        words.reverse();
        words
    }

    /// Whether it is time to forget.
    pub(super) fn is_crowded(&self) -> bool {
        self.entries.len() >= self.crowd.max(CROWD)
    }

    /// Keeps what can be reached from these links. Gives the new number of each old one.
    pub(super) fn forget(&mut self, links: impl Iterator<Item = TraceId>) -> Moved {
        let mut kept = vec![false; self.entries.len()];
        for mut id in links {
            while let Some(flag) = kept.get_mut(id as usize).filter(|flag| !**flag) {
                *flag = true;
                id = self.entries[id as usize].before;
            }
        }
        // An entry comes after those before it, so one pass is enough.
        let mut moved = Moved(vec![NONE; self.entries.len()]);
        let mut length = 0;
        for (old, keep) in kept.into_iter().enumerate() {
            if keep {
                let mut entry = self.entries[old];
                entry.before = moved.to(entry.before);
                moved.0[old] = length as TraceId;
                self.entries[length] = entry;
                length += 1;
            }
        }
        self.entries.truncate(length);
        // If nearly all is kept, cleaning again soon would be work for nothing.
        self.crowd = length + CROWD / 2;
        moved
    }

    pub(super) fn memory(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }
}

/// Where entries went when others were forgotten.
pub(super) struct Moved(Vec<TraceId>);

impl Moved {
    pub(super) fn to(&self, old: TraceId) -> TraceId {
        self.0.get(old as usize).copied().unwrap_or(NONE)
    }
}
