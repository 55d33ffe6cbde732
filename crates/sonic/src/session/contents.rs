//! The contents that the service has opened and not closed: the stage and the role stand on
//! `contentStart` only, and everything else refers to it by id (`nova-sonic.md` §3.2).

use std::collections::VecDeque;

use crate::{
    input::ContentKind,
    output::{ContentStart, OutputRole, Stage},
};

/// The service has at most a few contents open. Should it forget to close them, the oldest go.
const MAX_OPEN: usize = 64;

/// Open contents, oldest first.
#[derive(Debug, Default)]
pub(super) struct Contents {
    open: VecDeque<Content>,
}

/// One open content.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) id: String,
    pub(super) kind: ContentKind,
    pub(super) role: Option<OutputRole>,
    /// Whether its texts are the first telling. A text whose start was never seen counts as the
    /// second: it can complete a line, but not begin a turn.
    pub(super) speculative: bool,
    /// FINAL text so far; it is compared when the content is complete.
    pub(super) text: String,
    /// The first half of a sample whose second half is in the next event.
    pub(super) half_sample: Option<u8>,
    /// Cut off by a barge-in: what still comes is not played or shown.
    pub(super) stale: bool,
    /// It held the interruption marker, so its stop reason is no news.
    pub(super) marked: bool,
    /// It began after the user's words that ended the turn before.
    pub(super) after_user: bool,
}

impl Contents {
    pub(super) fn start(&mut self, start: &ContentStart, after_user: bool) {
        // The same id again: the older content was never closed.
        self.end(&start.content_id);
        let kind = start.kind.unwrap_or(ContentKind::Text);
        self.push(Content {
            speculative: kind == ContentKind::Text && start.stage != Some(Stage::Final),
            after_user,
            ..Content::unannounced(&start.content_id, kind, start.role)
        });
    }

    /// The content with this id; made when its start was never seen.
    pub(super) fn find(
        &mut self,
        id: &str,
        kind: ContentKind,
        role: Option<OutputRole>,
    ) -> &mut Content {
        let at = match self.open.iter().position(|content| content.id == id) {
            Some(at) => at,
            None => self.push(Content::unannounced(id, kind, role)),
        };
        let content = &mut self.open[at];
        content.role = content.role.or(role);
        content
    }

    pub(super) fn end(&mut self, id: &str) -> Option<Content> {
        let at = self.open.iter().position(|content| content.id == id)?;
        self.open.remove(at)
    }

    pub(super) fn end_all(&mut self) -> VecDeque<Content> {
        std::mem::take(&mut self.open)
    }

    /// A barge-in: the open audio and announcements of the assistant are void. FINAL texts are
    /// not, they tell what was spoken.
    pub(super) fn cut_off(&mut self) {
        for content in &mut self.open {
            content.stale |= content.kind == ContentKind::Audio || content.speculative;
        }
    }

    fn push(&mut self, content: Content) -> usize {
        if self.open.len() == MAX_OPEN {
            self.open.pop_front();
        }
        self.open.push_back(content);
        self.open.len() - 1
    }
}

impl Content {
    fn unannounced(id: &str, kind: ContentKind, role: Option<OutputRole>) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            role,
            speculative: false,
            text: String::new(),
            half_sample: None,
            stale: false,
            marked: false,
            after_user: false,
        }
    }
}
