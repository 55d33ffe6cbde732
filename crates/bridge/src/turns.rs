//! Whose turn it is: what the assistant says on one side, the questions of the contact flow on the
//! other.
//!
//! A machine: no tokio, no clock, no audio. A flow asks with a key and waits; it is answered with
//! the next piece of a reply, with the end of the call, or, when its time is up, with "listen". The
//! same key gets the same answer, however often it is asked: Lambda asks again after an error, and
//! nothing must be skipped by that (connect-kvs.md §5.1).
//!
//! ```text
//!            ask                    a piece is ready, or an ending, or time is up
//!   Idle ───────────▶ Waiting(key) ───────────────────────────────────────────▶ Idle
//!                        │ ask with another key: the old one gets "listen" ─┐
//!                        └──────────────────────────────────────────────────┘
//! ```

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Answers that are kept for whoever asks again.
pub(crate) const KEPT: usize = 8;

/// What the flow does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Play this, then ask again.
    Continue,
    /// There is nothing to play: ask again.
    Listen,
    /// Play this if there is something, then hand over to a human.
    Transfer,
    /// Play this if there is something, then hang up.
    End,
}

impl Intent {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Listen => "listen",
            Self::Transfer => "transfer",
            Self::End => "end",
        }
    }
}

/// What a human is told who takes over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Handover {
    pub(crate) reason: String,
    pub(crate) summary: String,
    pub(crate) attributes: Vec<(String, String)>,
}

/// How a call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A human takes over.
    Transfer(Handover),
    /// The conversation is over.
    End,
    /// The assistant cannot go on; this is said, and a human takes over.
    Failed {
        /// What the caller is told.
        words: String,
        /// What the human is told.
        reason: &'static str,
    },
}

/// An answer to the flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) intent: Intent,
    /// Where the audio is.
    pub(crate) url: Option<String>,
    /// What it says: spoken by Connect when the audio cannot be played.
    pub(crate) text: String,
    /// How long it is.
    pub(crate) duration: Duration,
    /// Whether more of the same reply follows.
    pub(crate) more: bool,
    pub(crate) handover: Option<Handover>,
}

/// A piece of a reply on its way to where Connect can play it.
#[derive(Debug)]
struct Piece {
    id: u64,
    text: String,
    /// Bytes of the server's voice that it was made of.
    bytes: u64,
    /// `None` while it is on its way; then where it is, if anywhere, and how long it lasts.
    place: Option<(Option<String>, Duration)>,
}

#[derive(Debug)]
struct Waiting {
    key: String,
    until: Instant,
}

/// The turns of one call.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    pieces: VecDeque<Piece>,
    next: u64,
    /// Whether a reply has begun and is not over.
    growing: bool,
    ending: Option<Ending>,
    waiting: Option<Waiting>,
    answered: VecDeque<(String, Answer)>,
}

/// What becomes of a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It was answered before.
    Known(Answer),
    /// It waits. A question that waited before is answered with this.
    Waits(Option<(String, Answer)>),
}

impl Turns {
    /// The flow asks, and waits until then at the longest.
    pub(crate) fn ask(&mut self, key: &str, until: Instant) -> Asked {
        if let Some((_, answer)) = self.answered.iter().find(|(known, _)| known == key) {
            return Asked::Known(answer.clone());
        }
        if let Some(waiting) = &mut self.waiting
            && waiting.key == key
        {
            waiting.until = waiting.until.max(until);
            return Asked::Waits(None);
        }
        let before = self.waiting.replace(Waiting { key: key.to_owned(), until });
        Asked::Waits(before.map(|waiting| self.keep(waiting.key, listen(false))))
    }

    /// A piece of a reply is cut; it will be [`Self::placed`].
    pub(crate) fn piece(&mut self, text: String, bytes: u64) -> u64 {
        self.next += 1;
        self.pieces.push_back(Piece { id: self.next, text, bytes, place: None });
        self.next
    }

    /// A piece can be played from there, or cannot be played and is spoken by Connect.
    pub(crate) fn placed(&mut self, id: u64, url: Option<String>, duration: Duration) {
        if let Some(piece) = self.pieces.iter_mut().find(|piece| piece.id == id) {
            piece.place = Some((url, duration));
        }
        // What can neither be played nor be said would be an error in the flow.
        let is_mute =
            |piece: &Piece| piece.text.is_empty() && matches!(piece.place, Some((None, _)));
        self.pieces.retain(|piece| !is_mute(piece));
    }

    /// Whether more of the present reply will come.
    pub(crate) fn set_growing(&mut self, growing: bool) {
        self.growing = growing;
    }

    /// The caller has talked over the reply: what was not played is not wanted any more.
    pub(crate) fn interrupted(&mut self) {
        self.pieces.clear();
        self.growing = false;
    }

    /// The call ends like this, when all has been played. The first reason prevails.
    pub(crate) fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    /// Bytes of the server's voice that the flow was not given yet.
    pub(crate) fn unplayed_bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.bytes).sum()
    }

    /// Whether all that was said and decided so far has been told.
    pub(crate) fn is_settled(&self) -> bool {
        self.pieces.is_empty() && !self.growing && (self.ending.is_none() || self.is_over())
    }

    /// Whether somebody waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether the flow has been told that the call ends.
    pub(crate) fn is_over(&self) -> bool {
        let ends = |answer: &Answer| matches!(answer.intent, Intent::Transfer | Intent::End);
        self.answered.back().is_some_and(|(_, answer)| ends(answer))
    }

    /// When [`Self::poll`] is worth asking, if nothing else happens.
    pub(crate) fn next_poll(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|waiting| waiting.until)
    }

    /// The answer to the question that waits, if it is time.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<(String, Answer)> {
        let is_late = now >= self.waiting.as_ref()?.until;
        let answer = match self.pieces.front() {
            Some(Piece { place: Some(_), .. }) => self.play()?,
            Some(_) if is_late => listen(true),
            Some(_) => return None,
            None if !self.growing && self.ending.is_some() => self.ended(),
            None if is_late => listen(self.growing),
            None => return None,
        };
        let waiting = self.waiting.take()?;
        Some(self.keep(waiting.key, answer))
    }

    /// The next piece; the last one of a call ends it.
    fn play(&mut self) -> Option<Answer> {
        let piece = self.pieces.pop_front()?;
        let more = self.growing || !self.pieces.is_empty();
        let (url, duration) = piece.place.unwrap_or_default();
        let mut answer = Answer {
            intent: Intent::Continue,
            url,
            text: piece.text,
            duration,
            more,
            handover: None,
        };
        // What a failure has to say is a piece of its own.
        if !more && matches!(self.ending, Some(Ending::Transfer(_) | Ending::End)) {
            let ended = self.ended();
            (answer.intent, answer.handover) = (ended.intent, ended.handover);
        }
        Some(answer)
    }

    fn ended(&self) -> Answer {
        let silent = Answer { text: String::new(), ..listen(false) };
        match self.ending.clone() {
            Some(Ending::Transfer(handover)) => {
                Answer { intent: Intent::Transfer, handover: Some(handover), ..silent }
            }
            Some(Ending::Failed { words, reason }) => Answer {
                intent: Intent::Transfer,
                text: words,
                handover: Some(Handover { reason: reason.to_owned(), ..Handover::default() }),
                ..silent
            },
            Some(Ending::End) | None => Answer { intent: Intent::End, ..silent },
        }
    }

    fn keep(&mut self, key: String, answer: Answer) -> (String, Answer) {
        self.answered.push_back((key.clone(), answer.clone()));
        if self.answered.len() > KEPT {
            self.answered.pop_front();
        }
        (key, answer)
    }
}

/// Nothing to play.
fn listen(more: bool) -> Answer {
    Answer {
        intent: Intent::Listen,
        url: None,
        text: String::new(),
        duration: Duration::ZERO,
        more,
        handover: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn url(id: u64) -> Option<String> {
        Some(format!("https://bucket/{id}.wav"))
    }

    /// Asks a question that waits, and answers it if it can be.
    fn ask(turns: &mut Turns, key: &str, now: Instant) -> Option<Answer> {
        match turns.ask(key, now + SECOND) {
            Asked::Known(answer) => Some(answer),
            Asked::Waits(_) => turns.poll(now).map(|(answered, answer)| {
                assert_eq!(answered, key);
                answer
            }),
        }
    }

    #[test]
    fn pieces_are_played_in_their_order_and_each_once() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        turns.set_growing(true);
        let first = turns.piece("One.".into(), 10);
        assert_eq!(ask(&mut turns, "1", now), None, "it is not there yet");
        turns.placed(first, url(first), SECOND);
        let (_, answer) = turns.poll(now).expect("the first piece");
        assert_eq!((answer.intent, answer.url, answer.more), (Intent::Continue, url(1), true));
        // The second is ready before somebody asks.
        let second = turns.piece("Two.".into(), 10);
        turns.placed(second, url(second), SECOND);
        turns.set_growing(false);
        let answer = ask(&mut turns, "2", now).expect("the second");
        assert_eq!((answer.url, answer.more), (url(2), false));
        assert_eq!(ask(&mut turns, "3", now), None);
    }

    #[test]
    fn the_same_key_gets_the_same_answer() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        for text in ["One.", "Two."] {
            let id = turns.piece(text.into(), 10);
            turns.placed(id, url(id), SECOND);
        }
        let first = ask(&mut turns, "1", now);
        assert_eq!(ask(&mut turns, "1", now), first);
        assert_ne!(ask(&mut turns, "2", now), first);
        assert_eq!(ask(&mut turns, "1", now), first);
        // Also while it waits.
        assert_eq!(turns.ask("3", now + SECOND), Asked::Waits(None));
        assert_eq!(turns.ask("3", now + 2 * SECOND), Asked::Waits(None));
        assert_eq!(turns.next_poll(), Some(now + 2 * SECOND));
    }

    #[test]
    fn whoever_waits_in_vain_is_told_to_listen() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        assert_eq!(ask(&mut turns, "1", now), None);
        let (_, answer) = turns.poll(now + SECOND).expect("time is up");
        assert_eq!((answer.intent, answer.more), (Intent::Listen, false));
        // A piece on its way is no reason to wait longer; the next question gets it.
        let id = turns.piece("Late.".into(), 10);
        assert_eq!(ask(&mut turns, "2", now), None);
        let (_, answer) = turns.poll(now + SECOND).expect("time is up");
        assert_eq!((answer.intent, answer.more), (Intent::Listen, true));
        turns.placed(id, None, Duration::ZERO);
        let answer = ask(&mut turns, "3", now).expect("the piece");
        assert_eq!((answer.url, answer.text.as_str()), (None, "Late."));
    }

    #[test]
    fn a_question_that_nobody_waits_for_any_more_gives_way() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        assert_eq!(turns.ask("1", now + SECOND), Asked::Waits(None));
        let Asked::Waits(Some((key, answer))) = turns.ask("2", now + SECOND) else {
            panic!("the first was not answered");
        };
        assert_eq!((key.as_str(), answer.intent), ("1", Intent::Listen));
        assert_eq!(turns.ask("1", now), Asked::Known(answer));
    }

    #[test]
    fn a_transfer_comes_with_the_last_piece_or_after_it() {
        let handover = Handover { reason: "a dispute".into(), ..Handover::default() };
        let now = Instant::now();
        let mut turns = Turns::default();
        let id = turns.piece("I connect you.".into(), 10);
        turns.placed(id, url(id), SECOND);
        turns.end(Ending::Transfer(handover.clone()));
        let answer = ask(&mut turns, "1", now).expect("the last piece");
        assert_eq!((answer.intent, answer.url), (Intent::Transfer, url(1)));
        assert_eq!(answer.handover, Some(handover.clone()));
        assert!(turns.is_over());
        let mut turns = Turns::default();
        let id = turns.piece("I connect you.".into(), 10);
        turns.placed(id, url(id), SECOND);
        assert_eq!(ask(&mut turns, "1", now).map(|a| a.intent), Some(Intent::Continue));
        turns.end(Ending::Transfer(handover.clone()));
        turns.end(Ending::End);
        let answer = ask(&mut turns, "2", now).expect("the transfer");
        assert_eq!(
            (answer.intent, answer.url, answer.handover),
            (Intent::Transfer, None, Some(handover))
        );
    }

    #[test]
    fn a_failure_says_its_words_after_what_was_being_said() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let id = turns.piece("Your balance".into(), 10);
        turns.placed(id, url(id), SECOND);
        turns.end(Ending::Failed { words: "I am sorry.".into(), reason: "the model is lost" });
        assert_eq!(ask(&mut turns, "1", now).map(|a| a.intent), Some(Intent::Continue));
        let answer = ask(&mut turns, "2", now).expect("the apology");
        assert_eq!((answer.intent, answer.text.as_str()), (Intent::Transfer, "I am sorry."));
    }

    #[test]
    fn a_piece_that_can_neither_be_played_nor_said_is_passed_over() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let (mute, spoken) = (turns.piece(String::new(), 10), turns.piece("Two.".into(), 10));
        turns.placed(spoken, None, SECOND);
        assert_eq!(ask(&mut turns, "1", now), None);
        turns.placed(mute, None, SECOND);
        assert_eq!(turns.poll(now).map(|(_, answer)| answer.text), Some("Two.".into()));
    }

    #[test]
    fn a_caller_who_talks_over_a_reply_hears_no_more_of_it() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let old = turns.piece("One.".into(), 10);
        turns.set_growing(true);
        turns.interrupted();
        let new = turns.piece("Yes?".into(), 10);
        turns.placed(old, url(old), SECOND);
        assert_eq!(ask(&mut turns, "1", now), None);
        turns.placed(new, url(new), SECOND);
        assert_eq!(turns.poll(now).map(|(_, answer)| answer.text), Some("Yes?".into()));
    }
}
