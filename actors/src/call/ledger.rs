//! What a call must not forget when its stream is replaced: what was said, and what it cost.
//!
//! A machine: no actix, no clock.

use std::collections::VecDeque;

use serde_json::Value;
use voice_sonic::{HistoryMessage, Speaker, TokenCounts};

use super::exchange::SentText;

/// Lines that are kept for the history of a next stream. Far more than any stream takes.
const KEPT: usize = 200;

/// Bytes of a tool's arguments and of its result that go into the history.
const TOOL_TEXT: usize = 600;

/// One line of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    id: String,
    speaker: Speaker,
    text: String,
    /// Whether it is complete, as far as is known.
    is_final: bool,
}

/// A line that was still growing when its stream was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLine {
    /// Its id.
    pub id: String,
    /// Who says it.
    pub speaker: Speaker,
    /// As far as it came.
    pub text: String,
}

/// The memory of one call.
#[derive(Debug, Default)]
pub struct Ledger {
    lines: VecDeque<Said>,
    /// Of the streams that are over.
    before: TokenCounts,
    /// Of the streams that still count, by number: the present one, and those that retire.
    counting: Vec<(u32, TokenCounts)>,
    tools: u32,
}

impl Ledger {
    /// A line was said, has grown or was corrected.
    pub fn note_line(&mut self, id: &str, speaker: Speaker, text: &str, is_final: bool) {
        if let Some(line) = self.lines.iter_mut().rev().find(|line| line.id == id) {
            text.clone_into(&mut line.text);
            line.is_final = is_final;
            return;
        }
        self.push(Said { id: id.to_owned(), speaker, text: text.to_owned(), is_final });
    }

    /// A tool was called and answered. A next stream is told so in words (`nova-sonic.md` §2.6:
    /// tool calls are never replayed as such).
    pub fn note_tool(&mut self, name: &str, input: &Value, result: &Value) {
        self.tools += 1;
        let (input, result) = (short(input), short(result));
        self.push(Said {
            id: format!("tool-{}", self.tools),
            speaker: Speaker::Assistant,
            text: format!("[I called the tool {name} with {input}; it answered {result}]"),
            is_final: true,
        });
    }

    fn push(&mut self, said: Said) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(said);
    }

    /// The conversation so far, for the next stream. What the caller said last is left out as far
    /// as the next stream hears it again: the texts that are sent to it, and with `spoken` what
    /// was spoken, whose audio is replayed.
    pub fn history(&self, texts: &[SentText], spoken: bool) -> Vec<HistoryMessage> {
        let mut lines: Vec<&Said> =
            self.lines.iter().filter(|line| !line.text.trim().is_empty()).collect();
        let mut sent: Vec<&str> =
            texts.iter().filter(|text| text.by_caller).map(|text| text.text.as_str()).collect();
        while let Some(last) = lines.last().filter(|line| line.speaker == Speaker::User) {
            match sent.iter().position(|text| *text == last.text) {
                Some(at) => drop(sent.remove(at)),
                None if spoken => {}
                None => break,
            }
            lines.pop();
        }
        let message = |line: &Said| HistoryMessage { role: line.speaker, text: line.text.clone() };
        lines.into_iter().map(message).collect()
    }

    /// All lines, oldest first, for another task.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = (Speaker, &str)> {
        self.lines.iter().map(|line| (line.speaker, line.text.as_str()))
    }

    /// Goes on from what another task knew. What the caller said last and nobody has answered is
    /// left out, and returned: it is to be said again.
    pub fn restore(
        &mut self,
        lines: impl IntoIterator<Item = (Speaker, String)>,
        usage: TokenCounts,
    ) -> Vec<String> {
        self.before = usage;
        for (number, (speaker, text)) in lines.into_iter().enumerate() {
            self.push(Said { id: format!("before-{number}"), speaker, text, is_final: true });
        }
        let mut unanswered = Vec::new();
        while let Some(last) = self.lines.pop_back_if(|line| line.speaker == Speaker::User) {
            unanswered.insert(0, last.text);
        }
        unanswered
    }

    /// What the caller said last must not be said again, nor, with `answered`, what the assistant
    /// has begun to answer.
    pub fn forget_last_question(&mut self, answered: bool) {
        while answered && self.lines.back().is_some_and(|line| line.speaker != Speaker::User) {
            self.lines.pop_back();
        }
        while self.lines.back().is_some_and(|line| line.speaker == Speaker::User) {
            self.lines.pop_back();
        }
    }

    /// The lines that were still growing; from now on they are complete.
    pub fn close_open_lines(&mut self) -> Vec<OpenLine> {
        let open = self.lines.iter_mut().filter(|line| !line.is_final);
        open.map(|line| {
            line.is_final = true;
            let Said { id, speaker, text, .. } = line.clone();
            OpenLine { id, speaker, text }
        })
        .collect()
    }

    /// A stream's totals so far. Answers the call's totals.
    pub fn note_usage(&mut self, stream: u32, total: TokenCounts) -> TokenCounts {
        match self.counting.iter_mut().find(|(number, _)| *number == stream) {
            Some((_, counts)) => *counts = total,
            None => self.counting.push((stream, total)),
        }
        self.usage()
    }

    /// This stream is over: it counts no more.
    pub fn stream_ended(&mut self, stream: u32) {
        for (_, counts) in self.counting.extract_if(.., |(number, _)| *number == stream) {
            self.before += counts;
        }
    }

    /// The call's totals.
    pub fn usage(&self) -> TokenCounts {
        self.counting.iter().fold(self.before, |sum, (_, counts)| sum + *counts)
    }
}

/// JSON as text, cut to what the history has room for.
fn short(value: &Value) -> String {
    let mut text = value.to_string();
    if text.len() > TOOL_TEXT {
        let at = (0..=TOOL_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(at);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(history: Vec<HistoryMessage>) -> Vec<String> {
        history.into_iter().map(|message| message.text).collect()
    }

    fn typed(text: &str) -> SentText {
        SentText { text: text.into(), by_caller: true }
    }

    #[test]
    fn a_line_that_grows_stays_one_line() {
        let mut ledger = Ledger::default();
        ledger.note_line("1-1", Speaker::User, "hello", true);
        ledger.note_line("1-2", Speaker::Assistant, "Good", false);
        ledger.note_line("1-2", Speaker::Assistant, "Good morning.", true);
        ledger.note_line("1-3", Speaker::User, " ", true);
        assert_eq!(texts(ledger.history(&[], false)), ["hello", "Good morning."]);
    }

    #[test]
    fn what_is_heard_again_is_not_told_as_history() {
        let mut ledger = Ledger::default();
        ledger.note_line("1", Speaker::Assistant, "Yes?", true);
        ledger.note_line("2", Speaker::User, "spoken", true);
        ledger.note_line("3", Speaker::User, "typed", true);
        assert_eq!(texts(ledger.history(&[], false)), ["Yes?", "spoken", "typed"]);
        assert_eq!(texts(ledger.history(&[typed("typed")], false)), ["Yes?", "spoken"]);
        assert_eq!(texts(ledger.history(&[typed("typed")], true)), ["Yes?"]);
        ledger.forget_last_question(false);
        assert_eq!(texts(ledger.history(&[], false)), ["Yes?"]);
        ledger.note_line("4", Speaker::User, "bad", true);
        ledger.note_line("5", Speaker::Assistant, "I", true);
        ledger.forget_last_question(true);
        assert_eq!(texts(ledger.history(&[], false)), ["Yes?"]);
    }

    #[test]
    fn tools_are_told_in_words_of_bounded_length() {
        let mut ledger = Ledger::default();
        ledger.note_tool("find_branch", &json!({"city": "Rome"}), &json!({"x": "ü".repeat(900)}));
        let text = texts(ledger.history(&[], false)).remove(0);
        assert!(text.starts_with("[I called the tool find_branch with {\"city\":\"Rome\"}"));
        assert!(text.len() < 2 * TOOL_TEXT, "{}", text.len());
    }

    #[test]
    fn lines_that_a_lost_stream_left_open_are_closed_once() {
        let mut ledger = Ledger::default();
        ledger.note_line("1", Speaker::User, "hello", true);
        ledger.note_line("2", Speaker::Assistant, "I was about", false);
        let open = ledger.close_open_lines();
        assert_eq!((open.len(), open[0].text.as_str()), (1, "I was about"));
        assert_eq!(ledger.close_open_lines(), []);
    }

    #[test]
    fn another_task_goes_on_where_this_one_was() {
        let mut ledger = Ledger::default();
        ledger.note_line("1", Speaker::User, "hello", true);
        ledger.note_line("2", Speaker::Assistant, "Yes?", true);
        ledger.note_line("3", Speaker::User, "my balance", true);
        let lines: Vec<_> = ledger.lines().map(|(who, text)| (who, text.to_owned())).collect();
        let usage = TokenCounts { input_text: 7, ..TokenCounts::default() };
        let mut other = Ledger::default();
        assert_eq!(other.restore(lines, usage), ["my balance"]);
        assert_eq!(texts(other.history(&[], false)), ["hello", "Yes?"]);
        assert_eq!(other.usage().input_text, 7);
    }

    #[test]
    fn usage_runs_on_across_streams() {
        let tokens = |n| TokenCounts { input_text: n, ..TokenCounts::default() };
        let mut ledger = Ledger::default();
        ledger.note_usage(1, tokens(5));
        ledger.note_usage(2, tokens(1));
        assert_eq!(ledger.note_usage(1, tokens(9)).input_text, 10, "the first counts to its end");
        ledger.stream_ended(1);
        assert_eq!(ledger.note_usage(2, tokens(2)).input_text, 11);
    }
}
