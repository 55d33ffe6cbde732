//! The transcript: joins what will be said and what was said into lines without duplicates.
//!
//! The service tells every assistant sentence twice (`nova-sonic.md` §3.3): as SPECULATIVE text
//! just before its audio, and again as FINAL text, seconds later and in no useful order. After a
//! barge-in only the part that was really spoken is told again. So:
//!
//! - one line per assistant turn; SPECULATIVE sentences make it grow;
//! - FINAL texts find their place in it by their words (`matching`) and change nothing, unless
//!   they differ, or the turn was interrupted: then the line shrinks to what they say;
//! - a turn without SPECULATIVE texts is written from its FINAL texts;
//! - the user's texts are always final; the blocks of one utterance are one line.
//!
//! Every method returns the line to show, or `None` when it looks as it did before. When a turn
//! begins and ends is decided in [`crate::session`], which owns the only [`Transcript`].

mod assistant_line;
mod matching;

use std::collections::VecDeque;

use crate::event::{Line, LineState, Speaker};
use assistant_line::AssistantLine;

/// FINAL texts come seconds late: so many lines are kept to receive them.
const REMEMBERED_LINES: usize = 8;

/// The lines of one session that can still change.
#[derive(Debug, Default)]
pub struct Transcript {
    last_id: u64,
    /// The assistant's latest lines, oldest first.
    lines: VecDeque<AssistantLine>,
    /// The number of the latest assistant turn; 0 before the first.
    turn: u64,
    turn_is_open: bool,
    /// The latest turn that was cut off.
    interrupted_turn: u64,
    /// The user has said something since the latest assistant turn.
    asked: bool,
    utterance: Option<Utterance>,
}

/// The user's line that still grows.
#[derive(Debug)]
struct Utterance {
    id: u64,
    content_id: String,
    text: String,
}

impl Transcript {
    /// An assistant turn begins: its texts make a new line, and so does the user's next text.
    pub fn begin_turn(&mut self) {
        self.turn += 1;
        self.turn_is_open = true;
        self.asked = false;
        self.end_utterance();
    }

    /// SPECULATIVE text of the open turn.
    pub fn add_speculative(&mut self, content_id: &str, text: &str) -> Option<Line> {
        let line = self.line_of(self.turn);
        line.grow(content_id, text);
        self.show(self.turn)
    }

    /// The assistant's turn is over. Its line is final, though it may still be corrected.
    pub fn end_turn(&mut self) -> Option<Line> {
        self.turn_is_open = false;
        self.show(self.turn)
    }

    /// The latest assistant turn was cut off, whether or not it had ended.
    pub fn interrupt(&mut self) -> Option<Line> {
        self.turn_is_open = false;
        self.interrupted_turn = self.turn;
        let turn = self.turn;
        self.lines.iter_mut().filter(|line| line.turn == turn).for_each(|l| l.interrupted = true);
        self.show(turn)
    }

    /// A whole FINAL block of the assistant.
    pub fn add_spoken(&mut self, text: &str) -> Option<Line> {
        let words = matching::words(text);
        if words.is_empty() {
            return None;
        }
        let order = self.candidates();
        let found = order
            .iter()
            .find(|&&i| self.lines[i].confirm_block(&words, text))
            .or_else(|| order.iter().find(|&&i| self.lines[i].confirm_run(&words, text)))
            .or_else(|| order.iter().find(|&&i| self.lines[i].correct_similar(&words, text)));
        if let Some(&i) = found {
            let turn = self.lines[i].turn;
            return self.show(turn);
        }
        self.add_unforeseen(&words, text)
    }

    /// Something new has been asked (spoken or typed): an assistant text that matches nothing
    /// belongs to the turn to come.
    pub fn note_question(&mut self) {
        self.asked = true;
    }

    /// Text of the user.
    pub fn add_user(&mut self, content_id: &str, text: &str) -> Option<Line> {
        if text.trim().is_empty() {
            return None;
        }
        self.asked = true;
        let id = self.utterance.as_ref().map_or_else(|| self.last_id + 1, |u| u.id);
        self.last_id = self.last_id.max(id);
        let utterance = self.utterance.get_or_insert_with(|| Utterance {
            id,
            content_id: content_id.to_owned(),
            text: String::new(),
        });
        if utterance.content_id == content_id {
            utterance.text.push_str(text);
        } else {
            content_id.clone_into(&mut utterance.content_id);
            append(&mut utterance.text, text);
        }
        Some(Line {
            id,
            speaker: Speaker::User,
            text: utterance.text.trim().to_owned(),
            state: LineState::Final,
            interrupted: false,
        })
    }

    /// The user's next text makes a new line.
    pub fn end_utterance(&mut self) {
        self.utterance = None;
    }

    /// The order in which lines are asked whether a FINAL text is theirs.
    ///
    /// What was really spoken follows an interruption at once. Later on an interrupted line comes
    /// last: the assistant may say again what it could not finish.
    fn candidates(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.lines.len());
        let latest = self.lines.len().checked_sub(1).filter(|&i| self.lines[i].interrupted);
        order.extend(latest);
        order.extend((0..self.lines.len()).filter(|&i| !self.lines[i].interrupted));
        order.extend(
            (0..self.lines.len()).rev().filter(|&i| self.lines[i].interrupted && Some(i) != latest),
        );
        order
    }

    /// A FINAL text that no line foresaw.
    fn add_unforeseen(&mut self, words: &[String], text: &str) -> Option<Line> {
        let upcoming = !self.turn_is_open && (self.asked || self.turn == 0);
        let turn = if upcoming { self.turn + 1 } else { self.turn };
        let closed = !self.turn_is_open;
        let line = self.line_of(turn);
        if closed && !upcoming && line.says(words) {
            // Told a third time.
            return None;
        }
        line.add_unforeseen(text);
        self.show(turn)
    }

    /// The line of a turn; made when there is none.
    fn line_of(&mut self, turn: u64) -> &mut AssistantLine {
        let at = match self.lines.iter().position(|line| line.turn == turn) {
            Some(at) => at,
            None => {
                if self.lines.len() == REMEMBERED_LINES {
                    self.lines.pop_front();
                }
                self.last_id += 1;
                let interrupted = turn != 0 && turn == self.interrupted_turn;
                self.lines.push_back(AssistantLine::new(self.last_id, turn, interrupted));
                self.lines.len() - 1
            }
        };
        &mut self.lines[at]
    }

    fn show(&mut self, turn: u64) -> Option<Line> {
        let open = self.turn_is_open && turn == self.turn;
        self.lines.iter_mut().find(|line| line.turn == turn)?.show(open)
    }
}

/// Appends a block to a line. The service sends the blanks between sentences; where it did not,
/// one is added.
fn append(line: &mut String, block: &str) {
    if line.is_empty() {
        line.push_str(block.trim_start());
        return;
    }
    if !line.ends_with(char::is_whitespace) && !block.starts_with(char::is_whitespace) {
        line.push(' ');
    }
    line.push_str(block);
}

#[cfg(test)]
mod tests;
