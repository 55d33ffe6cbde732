//! The assistant's answers, until everything is known of them: their words, which may still be
//! corrected, their tokens, which the model counts a moment later, and their figures.
//!
//! A machine: no clock.

use std::collections::VecDeque;

use voice_archive::entry::{Line, PromptUsed, Tokens, Turn};

use super::{SETTLE, caller::words, recent::Recent};

/// Answers that wait at most; an older one is shown as it is.
const LIMIT: usize = 8;

/// One answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// From 1, over the part of the call that this task has.
    pub(super) number: u32,
    pub(super) began: u64,
    /// When its first audio came.
    pub(super) heard: Option<u64>,
    pub(super) ended: Option<u64>,
    /// Whether the caller cut it short.
    pub(super) interrupted: bool,
    /// Ids and words, in the order in which they were said.
    lines: Vec<(String, String)>,
    pub(super) tokens: Tokens,
    pub(super) figures: Option<Turn>,
    /// A tool that failed on the way to it.
    pub(super) failed_tool: Option<String>,
    /// The prompt of Langfuse's by which it was made.
    pub(super) prompt: Option<PromptUsed>,
}

/// The answers that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: VecDeque<Answer>,
    /// How many there were.
    count: u32,
    /// Lines of answers that were shown already.
    shown: Recent,
    /// What the next answer begins with.
    next: Next,
}

/// What is known before an answer begins.
#[derive(Debug, Default)]
struct Next {
    tokens: Tokens,
    failed_tool: Option<String>,
}

impl Answers {
    /// The assistant begins to answer.
    pub(super) fn begin(&mut self, at: u64, prompt: Option<PromptUsed>) {
        self.end(at, false);
        self.count += 1;
        let Next { tokens, failed_tool } = std::mem::take(&mut self.next);
        self.waiting.push_back(Answer {
            number: self.count,
            began: at,
            tokens,
            failed_tool,
            prompt,
            ..Answer::default()
        });
    }

    /// Its first audio came.
    pub(super) fn heard(&mut self, at: u64) {
        if let Some(open) = self.open() {
            open.heard.get_or_insert(at);
        }
    }

    /// It is complete, or was cut short.
    pub(super) fn end(&mut self, at: u64, interrupted: bool) {
        if let Some(open) = self.open() {
            open.ended = Some(at);
            open.interrupted |= interrupted;
        }
    }

    /// A line of the assistant's is new, has grown, or was corrected.
    pub(super) fn line(&mut self, at: u64, line: &Line, prompt: Option<PromptUsed>) {
        let text = words(line);
        if self.shown.contains(&line.id) {
            return;
        }
        for answer in &mut self.waiting {
            if let Some((_, known)) = answer.lines.iter_mut().find(|(id, _)| *id == line.id) {
                text.clone_into(known);
                // It may have been generated to its end and cut while it was played.
                answer.interrupted |= line.interrupted;
                return;
            }
        }
        if text.is_empty() {
            return;
        }
        if self.waiting.is_empty() {
            // Late words of an answer that is gone, or whose beginning was lost.
            self.begin(at, prompt);
            self.end(at, false);
        }
        if let Some(answer) = self.waiting.back_mut() {
            answer.lines.push((line.id.clone(), text.to_owned()));
            answer.interrupted |= line.interrupted;
        }
    }

    /// The figures of the answer that ended last.
    pub(super) fn figures(&mut self, turn: Turn) {
        let mut ended = self.waiting.iter_mut().rev().filter(|answer| answer.ended.is_some());
        if let Some(answer) = ended.next() {
            answer.figures.get_or_insert(turn);
        }
    }

    /// A tool failed. An answer that goes on suffers from it, or the next one.
    pub(super) fn tool_failed(&mut self, name: &str) {
        let name = name.to_owned();
        match self.open() {
            Some(open) => _ = open.failed_tool.get_or_insert(name),
            None => _ = self.next.failed_tool.get_or_insert(name),
        }
    }

    /// Tokens were counted. They belong to the answer that came last, which the model counts a
    /// moment after it (`nova-sonic.md` §3.3), or to the next one.
    pub(super) fn count(&mut self, tokens: Tokens) {
        let sum = self.waiting.back_mut().map_or(&mut self.next.tokens, |last| &mut last.tokens);
        sum.input_speech += tokens.input_speech;
        sum.input_text += tokens.input_text;
        sum.output_speech += tokens.output_speech;
        sum.output_text += tokens.output_text;
    }

    /// The next answer of which nothing more will be known. With `all` nothing more will happen.
    pub(super) fn release(&mut self, now: u64, all: bool) -> Option<Answer> {
        let first = self.waiting.front()?;
        let is_settled = first.ended.is_some_and(|ended| now.saturating_sub(ended) >= SETTLE);
        if !all && !is_settled && self.waiting.len() <= LIMIT {
            return None;
        }
        let answer = self.waiting.pop_front()?;
        answer.lines.iter().for_each(|(id, _)| self.shown.insert(id.clone()));
        Some(answer)
    }

    /// Tokens that belong to no answer, when nothing more will happen.
    pub(super) fn rest(&mut self) -> Option<Tokens> {
        let rest = std::mem::take(&mut self.next).tokens;
        (rest != Tokens::default()).then_some(rest)
    }

    fn open(&mut self) -> Option<&mut Answer> {
        self.waiting.back_mut().filter(|answer| answer.ended.is_none())
    }
}

impl Answer {
    /// All its words.
    pub(super) fn text(&self) -> String {
        let words: Vec<&str> = self.lines.iter().map(|(_, text)| text.trim()).collect();
        words.join(" ").trim().to_owned()
    }
}
