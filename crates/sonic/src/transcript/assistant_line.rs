//! One turn of the assistant as a line: its sentences, what was confirmed, and how it reads.

use super::{
    append,
    matching::{find_run, is_similar, words},
};
use crate::event::{Line, LineState, Speaker};

/// The line of one turn.
#[derive(Debug)]
pub(super) struct AssistantLine {
    id: u64,
    pub(super) turn: u64,
    pub(super) interrupted: bool,
    blocks: Vec<Block>,
    /// The FINAL texts, each at the word of the line where it begins.
    spoken: Vec<(usize, String)>,
    /// Per word of the line: whether a FINAL text has repeated it.
    taken: Vec<bool>,
    /// As it was shown last.
    shown: Option<Line>,
}

/// One content of the service: usually a sentence.
#[derive(Debug)]
struct Block {
    content_id: String,
    text: String,
    speculative: bool,
}

impl AssistantLine {
    pub(super) fn new(id: u64, turn: u64, interrupted: bool) -> Self {
        Self {
            id,
            turn,
            interrupted,
            blocks: Vec::new(),
            spoken: Vec::new(),
            taken: Vec::new(),
            shown: None,
        }
    }

    /// Adds SPECULATIVE text: to its block if that is the last one, else as a new block.
    pub(super) fn grow(&mut self, content_id: &str, text: &str) {
        match self.blocks.last_mut() {
            Some(last) if last.speculative && last.content_id == content_id => {
                last.text.push_str(text);
            }
            _ => self.blocks.push(Block {
                content_id: content_id.to_owned(),
                text: text.to_owned(),
                speculative: true,
            }),
        }
    }

    /// Takes a FINAL text that is one whole block. Another punctuation corrects the block.
    pub(super) fn confirm_block(&mut self, told: &[String], text: &str) -> bool {
        let found = self.free_blocks().into_iter().find(|(_, _, block)| block == told);
        let Some((index, at, block)) = found else { return false };
        self.take(at, block.len());
        self.spoken.push((at, text.to_owned()));
        if !text.split_whitespace().eq(self.blocks[index].text.split_whitespace()) {
            text.clone_into(&mut self.blocks[index].text);
        }
        true
    }

    /// Takes a FINAL text that is a part of the line: the beginning of a sentence, or several.
    pub(super) fn confirm_run(&mut self, told: &[String], text: &str) -> bool {
        let words = self.words();
        self.taken.resize(words.len(), false);
        let Some(at) = find_run(&words, &self.taken, told) else { return false };
        self.take(at, told.len());
        self.spoken.push((at, text.to_owned()));
        true
    }

    /// Takes a FINAL text that tells one of the blocks in other words.
    pub(super) fn correct_similar(&mut self, told: &[String], text: &str) -> bool {
        let cut_off = self.interrupted;
        let found =
            self.free_blocks().into_iter().find(|(_, _, block)| is_similar(told, block, cut_off));
        let Some((index, ..)) = found else { return false };
        self.correct(index, text);
        true
    }

    /// Takes a FINAL text that resembles nothing.
    pub(super) fn add_unforeseen(&mut self, text: &str) {
        if self.interrupted {
            self.spoken.push((usize::MAX, text.to_owned()));
        } else if let Some((index, ..)) = self.free_blocks().into_iter().next() {
            self.correct(index, text);
        } else {
            let at = self.words().len();
            self.blocks.push(Block {
                content_id: String::new(),
                text: text.to_owned(),
                speculative: false,
            });
            self.take(at, words(text).len());
            self.spoken.push((at, text.to_owned()));
        }
    }

    /// Whether these words are in the line, confirmed or not.
    pub(super) fn says(&self, told: &[String]) -> bool {
        let words = self.words();
        find_run(&words, &vec![false; words.len()], told).is_some()
    }

    /// The line, if it looks different from when it was shown last.
    pub(super) fn show(&mut self, turn_is_open: bool) -> Option<Line> {
        let streaming = turn_is_open && self.blocks.iter().any(|block| block.speculative);
        let line = Line {
            id: self.id,
            speaker: Speaker::Assistant,
            text: self.text(),
            state: if streaming { LineState::Streaming } else { LineState::Final },
            interrupted: self.interrupted,
        };
        if line.text.is_empty() || self.shown.as_ref() == Some(&line) {
            return None;
        }
        self.shown = Some(line.clone());
        Some(line)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if self.interrupted && !self.spoken.is_empty() {
            let mut spoken: Vec<_> = self.spoken.iter().collect();
            spoken.sort_by_key(|(at, _)| *at);
            spoken.iter().for_each(|(_, part)| append(&mut text, part));
        } else {
            self.blocks.iter().for_each(|block| append(&mut text, &block.text));
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn correct(&mut self, index: usize, text: &str) {
        let at = self.blocks[..index].iter().map(|block| words(&block.text).len()).sum();
        let (before, after) = (words(&self.blocks[index].text).len(), words(text).len());
        if self.interrupted {
            // The text is put together from what was spoken; the block stays for later parts.
            self.take(at, before);
        } else {
            self.taken.resize(self.words().len(), false);
            self.taken.splice(at..at + before, std::iter::repeat_n(true, after));
            for (place, _) in self.spoken.iter_mut().filter(|(place, _)| *place > at) {
                *place = place.saturating_sub(before).saturating_add(after);
            }
            text.clone_into(&mut self.blocks[index].text);
        }
        self.spoken.push((at, text.to_owned()));
    }

    fn words(&self) -> Vec<String> {
        self.blocks.iter().flat_map(|block| words(&block.text)).collect()
    }

    /// The blocks that no FINAL text has touched: index, first word, words.
    fn free_blocks(&mut self) -> Vec<(usize, usize, Vec<String>)> {
        let mut at = 0;
        let mut free = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            let words = words(&block.text);
            let end = at + words.len();
            let touched = self.taken.iter().take(end).skip(at).any(|taken| *taken);
            if !words.is_empty() && !touched {
                free.push((index, at, words));
            }
            at = end;
        }
        free
    }

    fn take(&mut self, at: usize, count: usize) {
        let end = at.saturating_add(count);
        if self.taken.len() < end {
            self.taken.resize(end, false);
        }
        self.taken[at..end].fill(true);
    }
}
