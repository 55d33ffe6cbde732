//! What a call must not forget when its stream is replaced: what was said, and what it cost.
//!
//! A machine: no actix, no clock.

use std::collections::VecDeque;

use voice_sonic::{HistoryMessage, Speaker, TokenCounts};

/// Lines that are kept for the history of a next stream. Far more than any stream takes.
const KEPT: usize = 200;

/// One line of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    id: String,
    speaker: Speaker,
    text: String,
}

/// The memory of one call.
#[derive(Debug, Default)]
pub struct Ledger {
    lines: VecDeque<Said>,
    /// Of the streams that are over.
    before: TokenCounts,
    /// Of the present stream.
    present: TokenCounts,
}

impl Ledger {
    /// A line was said, has grown or was corrected.
    pub fn note_line(&mut self, id: &str, speaker: Speaker, text: &str) {
        if let Some(line) = self.lines.iter_mut().rev().find(|line| line.id == id) {
            text.clone_into(&mut line.text);
            return;
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(Said { id: id.to_owned(), speaker, text: text.to_owned() });
    }

    /// The conversation so far, for the next stream.
    pub fn history(&self) -> Vec<HistoryMessage> {
        let spoken = self.lines.iter().filter(|line| !line.text.trim().is_empty());
        spoken.map(|line| HistoryMessage { role: line.speaker, text: line.text.clone() }).collect()
    }

    /// The present stream's totals. Answers the call's totals.
    pub fn note_usage(&mut self, stream_total: TokenCounts) -> TokenCounts {
        self.present = stream_total;
        self.usage()
    }

    /// The present stream is over: the next one counts from zero.
    pub fn stream_ended(&mut self) {
        self.before = self.usage();
        self.present = TokenCounts::default();
    }

    /// The call's totals.
    pub fn usage(&self) -> TokenCounts {
        self.before + self.present
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_grows_stays_one_line() {
        let mut ledger = Ledger::default();
        ledger.note_line("1-1", Speaker::User, "hello");
        ledger.note_line("1-2", Speaker::Assistant, "Good");
        ledger.note_line("1-2", Speaker::Assistant, "Good morning.");
        ledger.note_line("1-3", Speaker::User, " ");
        let texts: Vec<_> = ledger.history().into_iter().map(|m| m.text).collect();
        assert_eq!(texts, ["hello", "Good morning."]);
    }

    #[test]
    fn usage_runs_on_across_streams() {
        let tokens = |n| TokenCounts { input_text: n, ..TokenCounts::default() };
        let mut ledger = Ledger::default();
        ledger.note_usage(tokens(5));
        ledger.note_usage(tokens(9));
        ledger.stream_ended();
        assert_eq!(ledger.note_usage(tokens(2)).input_text, 11);
    }
}
