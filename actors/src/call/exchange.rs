//! Who owes whom a word: what was said to the model and not yet answered.
//!
//! It tells when the conversation rests (then a stream can be replaced unheard), and what a lost
//! stream leaves to be said again.
//!
//! A machine: no actix, no clock.

use std::time::{Duration, Instant};

/// Something spoken that is not answered for so long was noise, and the conversation rests.
const NOISE_AFTER: Duration = Duration::from_secs(10);

/// A text that was sent to the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentText {
    /// What.
    pub text: String,
    /// Whether the caller typed it; otherwise it is a stage direction.
    pub by_caller: bool,
}

/// What a stream that is gone leaves behind.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Texts that were not answered, oldest first.
    pub texts: Vec<SentText>,
    /// Whether the caller has spoken, or speaks, and was not answered. The audio is kept by the
    /// client actor.
    pub spoken: bool,
    /// Whether the assistant was in the middle of its turn.
    pub cut_off: bool,
}

/// What is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Debt {
    since: Instant,
    /// Whether the model always answers this: a text, the result of a tool, words it understood.
    certain: bool,
}

/// The exchange of one call.
#[derive(Debug, Default)]
pub struct Exchange {
    caller_speaks: bool,
    assistant_speaks: bool,
    owed: Option<Debt>,
    texts: Vec<SentText>,
    spoken: bool,
}

impl Exchange {
    /// The caller begins to speak.
    pub fn speech_started(&mut self) {
        self.caller_speaks = true;
    }

    /// The caller has finished.
    pub fn speech_ended(&mut self, now: Instant) {
        self.caller_speaks = false;
        self.spoken = true;
        self.owe(now, false);
    }

    /// The words of the caller were understood.
    pub fn words_understood(&mut self, now: Instant) {
        if self.spoken {
            self.owe(now, true);
        }
    }

    /// A text went to the model.
    pub fn text_sent(&mut self, text: SentText, now: Instant) {
        self.texts.push(text);
        self.owe(now, true);
    }

    /// The result of a tool went to the stream that asked for it. Another one is told `in_words`.
    pub fn result_sent(&mut self, in_words: String, now: Instant) {
        self.text_sent(SentText { text: in_words, by_caller: false }, now);
    }

    /// The assistant begins to answer, or calls a tool in order to.
    pub fn answer_began(&mut self, aloud: bool) {
        self.assistant_speaks |= aloud;
        self.owed = None;
        self.texts.clear();
        self.spoken = false;
    }

    /// The assistant's turn is over.
    pub fn answer_ended(&mut self) {
        self.assistant_speaks = false;
    }

    /// Whether the caller is speaking.
    pub fn caller_speaks(&self) -> bool {
        self.caller_speaks
    }

    /// Whether the assistant's turn is not over.
    pub fn assistant_speaks(&self) -> bool {
        self.assistant_speaks
    }

    /// Whether nobody speaks, and nobody is owed a word.
    pub fn is_at_rest(&self, now: Instant) -> bool {
        let waits = self.owed.is_some_and(|debt| {
            debt.certain || now.saturating_duration_since(debt.since) < NOISE_AFTER
        });
        !self.caller_speaks && !self.assistant_speaks && !waits
    }

    /// When [`Self::is_at_rest`] may change by itself.
    pub fn rests_at(&self) -> Option<Instant> {
        self.owed.filter(|debt| !debt.certain).map(|debt| debt.since + NOISE_AFTER)
    }

    /// The stream is gone, or is to be heard no more. What it leaves is to be said to the next.
    pub fn stream_gone(&mut self) -> Unfinished {
        let unfinished = Unfinished {
            texts: std::mem::take(&mut self.texts),
            spoken: self.spoken || self.caller_speaks,
            cut_off: self.assistant_speaks,
        };
        *self = Self::default();
        unfinished
    }

    fn owe(&mut self, now: Instant, certain: bool) {
        let certain = certain || self.owed.is_some_and(|debt| debt.certain);
        self.owed = Some(Debt { since: now, certain });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn typed(text: &str) -> SentText {
        SentText { text: text.into(), by_caller: true }
    }

    #[test]
    fn it_rests_when_nobody_speaks_and_nobody_waits() {
        let now = Instant::now();
        let mut exchange = Exchange::default();
        assert!(exchange.is_at_rest(now));
        exchange.speech_started();
        assert!(!exchange.is_at_rest(now));
        exchange.speech_ended(now);
        assert!(!exchange.is_at_rest(now));
        exchange.words_understood(now);
        exchange.answer_began(true);
        assert!(!exchange.is_at_rest(now));
        exchange.answer_ended();
        assert!(exchange.is_at_rest(now));
    }

    #[test]
    fn noise_is_waited_for_only_so_long_but_words_always() {
        let now = Instant::now();
        let mut exchange = Exchange::default();
        exchange.speech_ended(now);
        assert_eq!(exchange.rests_at(), Some(now + 10 * S));
        assert!(exchange.is_at_rest(now + 10 * S));
        exchange.words_understood(now);
        assert!(!exchange.is_at_rest(now + 99 * S));
        assert_eq!(exchange.rests_at(), None);
    }

    #[test]
    fn what_was_not_answered_is_left_over() {
        let now = Instant::now();
        let mut exchange = Exchange::default();
        exchange.text_sent(typed("answered"), now);
        exchange.answer_began(true);
        exchange.text_sent(typed("one"), now);
        exchange.text_sent(typed("two"), now);
        exchange.speech_started();
        let left = exchange.stream_gone();
        assert_eq!(left.texts, [typed("one"), typed("two")]);
        assert!(left.spoken && left.cut_off);
        assert_eq!(exchange.stream_gone(), Unfinished::default(), "said once");
    }

    #[test]
    fn a_call_of_a_tool_is_an_answer_too() {
        let now = Instant::now();
        let mut exchange = Exchange::default();
        exchange.text_sent(typed("balance?"), now);
        exchange.answer_began(false);
        assert!(exchange.is_at_rest(now));
        exchange.result_sent("[it answered 7]".into(), now);
        assert!(!exchange.is_at_rest(now + 99 * S));
        let told = SentText { text: "[it answered 7]".into(), by_caller: false };
        assert_eq!(exchange.stream_gone().texts, [told], "the next stream does not know it");
    }
}
