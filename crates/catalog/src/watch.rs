//! Decides when changed files are worth judging. Pure: what a look at the folders found goes in.
//!
//! Why looks at all, and no notification of the system: inotify hears nothing of bind mounts and
//! network file systems, where a bank's files live in production; and `notify`, the crate for
//! it, is under CC0-1.0 in every version, which is not among our licences (`deny.toml`). The
//! folders hold a few dozen small files, so reading them once a second costs next to nothing,
//! and comparing contents instead of time stamps leaves no change unseen.

use crate::{problem::Problem, source::Sources};

/// What one look at the folders found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// The files.
    pub(crate) sources: Sources,
    /// What could not be read.
    pub(crate) problems: Vec<Problem>,
}

/// Waits until a change stands still: an editor may be half way through a file, or a deploy
/// half way through a folder.
///
/// ```text
///            differs from the judged             the same once more: judge it
///   Settled ─────────────────────────▶ Changing ──────────────────────────────▶ Settled
///      ▲                                │    ▲ │
///      └──── as judged again: undone ───┘    └─┘ differs again
/// ```
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    /// The files as they were judged last, whether they were taken or refused.
    judged: Look,
    /// Other files, seen once.
    changing: Option<Look>,
}

impl Watcher {
    /// A watcher of files that were just judged.
    pub(crate) fn new(judged: Look) -> Self {
        Self { judged, changing: None }
    }

    /// Takes a look in; returns it when it is time to judge it.
    pub(crate) fn see(&mut self, look: Look) -> Option<&Look> {
        if look == self.judged {
            self.changing = None;
            return None;
        }
        if self.changing.as_ref() != Some(&look) {
            self.changing = Some(look);
            return None;
        }
        self.judge(look)
    }

    /// Takes a look in that shall be judged at once if it is new.
    pub(crate) fn judge(&mut self, look: Look) -> Option<&Look> {
        self.changing = None;
        if look == self.judged {
            return None;
        }
        Some(self.judge_again(look))
    }

    /// Takes a look in that shall be judged though it may be the one that was judged last:
    /// something besides the files has changed.
    pub(crate) fn judge_again(&mut self, look: Look) -> &Look {
        self.changing = None;
        self.judged = look;
        &self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    fn look(text: &str) -> Look {
        let tools = vec![SourceFile::new("a.json", text)];
        Look { sources: Sources { tools, ..Sources::default() }, problems: Vec::new() }
    }

    #[test]
    fn a_change_is_judged_once_it_stands_still() {
        let mut watcher = Watcher::new(look("1"));
        assert_eq!(watcher.see(look("1")), None);
        assert_eq!(watcher.see(look("2")), None, "it may still be being written");
        assert_eq!(watcher.see(look("23")), None);
        assert_eq!(watcher.see(look("23")), Some(&look("23")));
        assert_eq!(watcher.see(look("23")), None, "judged already");
    }

    #[test]
    fn a_change_that_was_undone_is_none() {
        let mut watcher = Watcher::new(look("1"));
        assert_eq!(watcher.see(look("2")), None);
        assert_eq!(watcher.see(look("1")), None);
        assert_eq!(watcher.see(look("2")), None, "the wait begins anew");
        assert_eq!(watcher.see(look("2")), Some(&look("2")));
    }

    #[test]
    fn who_asks_for_it_is_not_kept_waiting() {
        let mut watcher = Watcher::new(look("1"));
        assert_eq!(watcher.judge(look("1")), None);
        assert_eq!(watcher.judge(look("2")), Some(&look("2")));
        assert_eq!(watcher.see(look("2")), None);
    }
}
