//! The ids of what was shown already, as far as anybody may still correct it.

use std::collections::VecDeque;

/// How many are remembered.
const LIMIT: usize = 256;

/// A set that forgets the oldest.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<String>);

impl Recent {
    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.iter().any(|known| known == id)
    }

    pub(super) fn insert(&mut self, id: String) {
        if self.0.len() >= LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(id);
    }
}
