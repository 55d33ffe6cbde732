//! The caller's lines, until they may be shown: complete, corrected, and without a number that
//! reaches over several of them.
//!
//! A number that is said in pieces is known by its last piece, so a line that ends with digits
//! waits for the next one. A machine: no clock.

use std::collections::VecDeque;

use voice_archive::{
    entry::Line,
    redact::{
        Redactor,
        across::{Reach, reach},
    },
};

use super::{SETTLE, STALE, recent::Recent};

/// A line of the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) id: String,
    pub(super) text: String,
    /// When it was first heard of.
    pub(super) began: u64,
    /// When it was complete, or changed last.
    pub(super) ended: u64,
    changed: u64,
    is_final: bool,
    /// Whether it is a piece of a number: no correction brings it back.
    hidden: bool,
}

/// The lines that wait.
#[derive(Debug, Default)]
pub(super) struct CallerLines {
    waiting: VecDeque<Said>,
    released: Recent,
}

impl CallerLines {
    /// A line is new, has grown, or was corrected.
    pub(super) fn take(&mut self, at: u64, line: &Line) {
        let text = words(line);
        if self.released.contains(&line.id) || text.is_empty() {
            return;
        }
        match self.waiting.iter_mut().find(|said| said.id == line.id) {
            Some(said) => {
                if !said.hidden {
                    text.clone_into(&mut said.text);
                }
                if !said.is_final {
                    said.ended = said.ended.max(at);
                }
                said.is_final |= line.is_final;
                said.changed = said.changed.max(at);
            }
            None => self.waiting.push_back(Said {
                id: line.id.clone(),
                text: text.to_owned(),
                began: at,
                ended: at,
                changed: at,
                is_final: line.is_final,
                hidden: false,
            }),
        }
    }

    /// The next line that may be shown. With `all` nothing more will be said.
    pub(super) fn release(&mut self, now: u64, all: bool, redactor: &Redactor) -> Option<Said> {
        loop {
            // A line that may still change decides nothing.
            let is_settled = |said: &&Said| all || said.is_settled(now);
            self.waiting.front().filter(is_settled)?;
            let settled = self.waiting.iter().take_while(is_settled);
            match reach(settled.map(|said| said.text.as_str()), redactor) {
                Reach::Over(count, mark) => {
                    for said in self.waiting.iter_mut().take(count) {
                        mark.clone_into(&mut said.text);
                        said.hidden = true;
                    }
                }
                Reach::Open if !all => return None,
                Reach::Open | Reach::Alone => {
                    let said = self.waiting.pop_front()?;
                    self.released.insert(said.id.clone());
                    return Some(said);
                }
            }
        }
    }
}

impl Said {
    fn is_settled(&self, now: u64) -> bool {
        let patience = if self.is_final { SETTLE } else { STALE };
        now.saturating_sub(self.changed) >= patience
    }
}

/// The words of a line that may be kept, as the session log has them.
pub(super) fn words(line: &Line) -> &str {
    match line.heard.as_ref().filter(|heard| heard.redacted) {
        Some(heard) => &heard.text,
        None => &line.text,
    }
}
