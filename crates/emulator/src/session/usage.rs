//! Tokens: what a `usageEvent` reports (`nova-sonic.md` §3.1, §3.2). Plausible figures, not the
//! service's own: nobody can be billed by them.

use std::time::Duration;

/// Tokens of one second of speech, in either direction.
const SPEECH_TOKENS_PER_SECOND: u64 = 25;
/// Bytes of English text to a token.
const BYTES_PER_TOKEN: usize = 4;

/// Tokens of the four kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) speech_in: u64,
    pub(crate) text_in: u64,
    pub(crate) speech_out: u64,
    pub(crate) text_out: u64,
}

impl Tokens {
    fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// What one connection has used so far, and since it was last reported.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    total: Tokens,
    unreported: Tokens,
    /// Bytes of the conversation so far; the model reads all of it again for each answer.
    context: usize,
}

impl Usage {
    /// The caller spoke.
    pub(crate) fn heard(&mut self, speech: Duration) {
        self.unreported.speech_in += speech_tokens(speech);
    }

    /// Text joined the conversation.
    pub(crate) fn read(&mut self, bytes: usize) {
        self.context += bytes;
    }

    /// The model begins an answer, for which it reads the conversation.
    pub(crate) fn answering(&mut self) {
        self.unreported.text_in += text_tokens(self.context);
    }

    /// The model wrote a text.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.unreported.text_out += text_tokens(bytes);
        self.context += bytes;
    }

    /// The model spoke.
    pub(crate) fn spoke(&mut self, speech: Duration) {
        self.unreported.speech_out += speech_tokens(speech);
    }

    /// What was used since the last report, and in all; `None` if nothing was.
    pub(crate) fn report(&mut self) -> Option<Report> {
        let delta = std::mem::take(&mut self.unreported);
        if delta.is_zero() {
            return None;
        }
        self.total.speech_in += delta.speech_in;
        self.total.text_in += delta.text_in;
        self.total.speech_out += delta.speech_out;
        self.total.text_out += delta.text_out;
        Some(Report { delta, total: self.total })
    }
}

/// The figures of one `usageEvent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) delta: Tokens,
    pub(crate) total: Tokens,
}

fn speech_tokens(speech: Duration) -> u64 {
    (speech.as_millis() as u64 * SPEECH_TOKENS_PER_SECOND).div_ceil(1000)
}

fn text_tokens(bytes: usize) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_and_silence_costs_nothing() {
        let mut usage = Usage::default();
        assert_eq!(usage.report(), None);
        usage.heard(Duration::from_secs(2));
        let first = usage.report().unwrap();
        assert_eq!((first.delta.speech_in, first.total.speech_in), (50, 50));
        assert_eq!(usage.report(), None);
        usage.read(400);
        usage.answering();
        usage.wrote(40);
        usage.spoke(Duration::from_secs(1));
        let second = usage.report().unwrap();
        assert_eq!(
            second.delta,
            Tokens { speech_in: 0, text_in: 100, speech_out: 25, text_out: 10 }
        );
        assert_eq!(second.total.speech_in, 50);
        usage.answering();
        assert_eq!(usage.report().unwrap().delta.text_in, 110);
    }
}
