//! What of a call outlives its task: kept in the session store each turn, and read by the task to
//! which the client comes back.

use actix::{AsyncContext, Context, WrapFuture};
use serde::{Deserialize, Serialize};
use voice_archive::entry::Event;
use voice_call::ResumeToken;
use voice_sonic::{Speaker, TokenCounts};
use voice_wire::SessionConfig;

use super::{CallActor, chronicle, exchange::SentText, settings, to, workflow::SavedWalk};
use crate::{mailbox::control, supervise};

/// Bytes that a checkpoint may have. The oldest lines go first.
const LIMIT: usize = 64 * 1024;
/// What the rest of a checkpoint may need of that.
const BESIDE_LINES: usize = 24 * 1024;
/// Changes whenever an older program could not read it.
const VERSION: u32 = 1;

/// The state of a call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    version: u32,
    wish: SessionConfig,
    /// Who said it, and what: `u` the caller, `a` the assistant.
    lines: Vec<(char, String)>,
    /// Tokens so far: speech and text in, speech and text out.
    tokens: [u64; 4],
    walk: SavedWalk,
    transferred: bool,
}

impl Checkpoint {
    /// Reads one. `None` for bytes of another version, or of nothing.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let checkpoint: Self = serde_json::from_slice(bytes).ok()?;
        (checkpoint.version == VERSION).then_some(checkpoint)
    }

    /// `None` when even without a line it would be too large.
    fn write(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok().filter(|bytes| bytes.len() <= LIMIT)
    }
}

/// The latest lines that have room.
fn latest<'a>(lines: impl DoubleEndedIterator<Item = (Speaker, &'a str)>) -> Vec<(char, String)> {
    let mut left = LIMIT - BESIDE_LINES;
    let mut kept = Vec::new();
    for (speaker, text) in lines.rev() {
        // In JSON a control character has six bytes.
        let size = 16
            + text
                .chars()
                .map(|c| if c.is_control() { 6 } else { c.len_utf8() + 1 })
                .sum::<usize>();
        if size > left {
            break;
        }
        left -= size;
        let who = if speaker == Speaker::User { 'u' } else { 'a' };
        kept.push((who, text.to_owned()));
    }
    kept.reverse();
    kept
}

impl CallActor {
    /// Keeps the state of the call, if its client may come back for it.
    pub(super) fn checkpoint(&self, ctx: &mut Context<Self>) {
        let Some(token) = &self.resume_token else { return };
        // Whoever is away may be with another task by now.
        if self.parked.is_some() || self.is_ending() {
            return;
        }
        let usage = self.ledger.usage();
        let checkpoint = Checkpoint {
            version: VERSION,
            wish: self.wish.clone(),
            lines: latest(self.ledger.lines()),
            tokens: [usage.input_speech, usage.input_text, usage.output_speech, usage.output_text],
            walk: self.walk.save(),
            transferred: self.transferred,
        };
        let Some(bytes) = checkpoint.write() else {
            return tracing::warn!("the state of the call is too large to be kept");
        };
        let kept = self.engine.shared.ports.store.keep(&self.id, token, bytes);
        let errors = self.engine.meters().store_errors.clone();
        let kept = async move {
            if let Err(error) = kept.await {
                errors.inc();
                tracing::warn!(%error, "the state of the call was not kept");
            }
        };
        ctx.spawn(kept.into_actor(self));
    }

    /// Forgets what was kept under a token that is of no use any more. It outlives the call.
    pub(super) fn forget_checkpoint(&self, token: Option<ResumeToken>) {
        if let Some(token) = token {
            let forgotten = self.engine.shared.ports.store.forget(&token);
            let forgotten = async move {
                if let Err(error) = forgotten.await {
                    tracing::warn!(%error, "the state of a call was not forgotten");
                }
            };
            supervise::spawn_root(forgotten, |_| ());
        }
    }

    /// Goes on where another task was.
    pub(super) fn restore(&mut self, checkpoint: Checkpoint, ctx: &mut Context<Self>) {
        let Checkpoint { wish, lines, tokens, walk, transferred, .. } = checkpoint;
        let speaker = |who| if who == 'u' { Speaker::User } else { Speaker::Assistant };
        let lines = lines.into_iter().map(|(who, text)| (speaker(who), text));
        let [input_speech, input_text, output_speech, output_text] = tokens;
        let usage = TokenCounts { input_speech, input_text, output_speech, output_text };
        let unanswered = self.ledger.restore(lines, usage);
        // The other task's log has these.
        self.note(Event::Before(chronicle::tokens(usage)));
        self.unsent =
            unanswered.into_iter().map(|text| SentText { text, by_caller: true }).collect();
        self.transferred = transferred;
        // The client knows the call, and the caller was greeted.
        (self.announced, self.greeted, self.caller_began) = (true, true, true);
        let shared = self.engine.shared.clone();
        let now = jiff::Timestamp::now();
        (self.settings, _) = settings::resolve(&wish, &shared.config, &self.catalog, now);
        control(&to(&self.client), self.settings.pace);
        self.wish = wish;
        self.walk.link(&self.settings.workflows);
        self.walk.restore(walk);
        self.open_first_stream(ctx);
        tracing::info!("the call goes on from another task");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_lines_are_kept_and_the_whole_has_room() {
        let texts: Vec<String> =
            (0..200).map(|n| format!("{n} \u{1} ü {}", "x".repeat(600))).collect();
        let lines = latest(texts.iter().map(|text| (Speaker::User, text.as_str())));
        assert!(lines.len() < 200);
        assert_eq!(lines.last().map(|(_, text)| text), texts.last());
        let checkpoint = Checkpoint {
            version: VERSION,
            wish: SessionConfig::default(),
            lines,
            tokens: [1, 2, 3, 4],
            walk: SavedWalk::default(),
            transferred: true,
        };
        let bytes = checkpoint.write().expect("it has room");
        assert!(bytes.len() <= LIMIT);
        let read = Checkpoint::read(&bytes).expect("it is one");
        assert_eq!((read.lines.len(), read.tokens), (checkpoint.lines.len(), [1, 2, 3, 4]));
        assert!(Checkpoint::read(b"{}").is_none());
        let newer =
            String::from_utf8(bytes).expect("JSON").replace(r#""version":1"#, r#""version":2"#);
        assert!(Checkpoint::read(newer.as_bytes()).is_none());
    }
}
