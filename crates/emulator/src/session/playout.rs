//! What the client has played by now, as far as the service can tell: it hears nothing of the
//! loudspeaker and reckons with the duration of the audio since its first chunk. Pure.
//!
//! `conversation` asks it whether speech is a barge-in, and which part of a sentence was spoken.

use std::collections::VecDeque;
use std::time::Duration;

/// A sentence whose FINAL text is outstanding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spoken {
    /// Its text, as in the SPECULATIVE block.
    pub(crate) text: String,
    /// When its playout begins.
    pub(crate) from: Duration,
    /// When its playout ends.
    pub(crate) to: Duration,
}

impl Spoken {
    /// The words that were played by `now`; the last one may be the one that was cut.
    fn part(mut self, now: Duration) -> Option<String> {
        if now >= self.to {
            return Some(self.text);
        }
        let played = now.saturating_sub(self.from).as_secs_f64();
        let whole = self.to.saturating_sub(self.from).as_secs_f64();
        let words = self.text.split_whitespace().count();
        let count = (played / whole * words as f64).floor() as usize;
        if count == 0 {
            return None;
        }
        // The leading blanks of a continuation stay.
        let indent = self.text.len() - self.text.trim_start().len();
        let end = self.text[indent..]
            .match_indices(char::is_whitespace)
            .nth(count - 1)
            .map_or(self.text.len(), |(at, _)| indent + at);
        self.text.truncate(end);
        Some(self.text)
    }
}

/// The reckoning.
#[derive(Debug, Default)]
pub(crate) struct Playout {
    until: Duration,
    spoken: VecDeque<Spoken>,
}

impl Playout {
    /// Audio of this duration was sent; returns when its playout begins.
    pub(crate) fn sent(&mut self, now: Duration, audio: Duration) -> Duration {
        let from = self.until.max(now);
        self.until = from + audio;
        from
    }

    /// When the client will have played everything.
    pub(crate) fn until(&self) -> Duration {
        self.until
    }

    /// Whether the client still has something to play.
    pub(crate) fn is_playing(&self, now: Duration) -> bool {
        now < self.until
    }

    /// A sentence is whole; its FINAL text waits.
    pub(crate) fn keep(&mut self, sentence: Spoken) {
        self.spoken.push_back(sentence);
    }

    /// All outstanding texts, in full.
    pub(crate) fn take_all(&mut self) -> Vec<String> {
        self.spoken.drain(..).map(|sentence| sentence.text).collect()
    }

    /// Playout stopped: the texts as far as they were heard.
    pub(crate) fn cut(&mut self, now: Duration) -> Vec<String> {
        self.until = self.until.min(now);
        self.spoken.drain(..).filter_map(|sentence| sentence.part(now)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn playout_goes_on_where_it_was_and_starts_anew_after_a_pause() {
        let mut playout = Playout::default();
        assert_eq!(playout.sent(ms(100), ms(500)), ms(100));
        assert_eq!(playout.sent(ms(110), ms(500)), ms(600));
        assert!(playout.is_playing(ms(1_099)));
        assert!(!playout.is_playing(ms(1_100)));
        assert_eq!(playout.sent(ms(5_000), ms(10)), ms(5_000));
    }

    #[test]
    fn an_interruption_keeps_what_was_heard() {
        let cases = [
            (0, vec![]),
            (399, vec!["one"]),
            (500, vec!["one two"]),
            (800, vec!["one two three four"]),
            (900, vec!["one two three four", "  five"]),
            (1_200, vec!["one two three four", "  five six"]),
        ];
        for (now, expected) in cases {
            let mut playout = Playout::default();
            let from = playout.sent(ms(0), ms(800));
            playout.keep(Spoken { text: "one two three four".into(), from, to: playout.until() });
            let from = playout.sent(ms(0), ms(200));
            playout.keep(Spoken { text: "  five six".into(), from, to: playout.until() });
            assert_eq!(playout.cut(ms(now)), expected, "{now} ms");
            assert!(playout.take_all().is_empty());
        }
    }
}
