//! The recogniser of one caller: samples in, words out, turn by turn.
//!
//! ```text
//!   begin(domain) -> push(samples) ... partial() ... -> finish() -> Heard
//!         ^                                                |
//!         '------------ the caller's level and mean stay --'
//! ```
//!
//! It does not know when a turn begins or ends: whoever has an ear for speech and silence says so.
//! Work is done in `push`; `finish` has little left to do.

use std::fmt;
use std::sync::Arc;

use crate::domain::Domain;
use crate::features::{Features, Frame};
use crate::model::Model;
use crate::score::Scores;
use crate::search::{Said, Search};

/// Milliseconds of a frame.
const FRAME_MS: u64 = 10;

/// A recognised word.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// As the dictionary writes it: lower case.
    pub text: String,
    /// Where it begins, in milliseconds from the start of the turn.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// How much worse than the best phones it fits the sound: nats per frame, mostly below zero.
    pub gap: f32,
}

/// What was understood.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    /// The words, in order.
    pub words: Vec<Word>,
    /// The gap of all words together; the more below zero, the less it can be trusted. Zero
    /// without words.
    pub gap: f32,
    /// How well the words follow each other: the mean logarithm of their probabilities. What is
    /// made up of pieces of many phrases is far below what somebody says who says one of them.
    pub language: f32,
}

impl Heard {
    /// The words with blanks between them.
    pub fn text(&self) -> String {
        let words: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        words.join(" ")
    }
}

/// The recogniser of one caller.
pub struct Recogniser {
    model: Arc<Model>,
    features: Features,
    scores: Scores,
    turn: Option<Search>,
    frames: Vec<Frame>,
}

impl Recogniser {
    /// For a caller who has not said anything yet.
    pub fn new(model: Arc<Model>) -> Self {
        Self {
            features: Features::new(&model),
            scores: Scores::new(&model),
            turn: None,
            frames: Vec::new(),
            model,
        }
    }

    /// A turn begins, in which one of these phrases is expected. One that goes on is dropped.
    pub fn begin(&mut self, domain: Arc<Domain>) {
        if self.turn.is_some() {
            self.finish();
        }
        self.turn = Some(Search::new(&self.model, domain));
    }

    /// Hears the next samples, 16 kHz mono; nothing happens outside of a turn.
    pub fn push(&mut self, samples: &[i16]) {
        if self.turn.is_some() {
            self.features.push(samples, &mut self.frames);
            self.search();
        }
    }

    /// What was understood so far.
    pub fn partial(&self) -> Heard {
        self.turn.as_ref().map_or_else(Heard::default, |turn| self.heard(turn, turn.so_far()))
    }

    /// The turn is over: what was understood.
    pub fn finish(&mut self) -> Heard {
        self.features.finish(&mut self.frames);
        self.search();
        let heard = self.turn.as_ref().map(|turn| self.heard(turn, turn.result()));
        self.turn = None;
        heard.unwrap_or_default()
    }

    fn search(&mut self) {
        if let Some(turn) = &mut self.turn {
            for frame in &self.frames {
                turn.hear(&self.model, &mut self.scores, frame);
            }
        }
        self.frames.clear();
    }

    /// Whether a turn goes on.
    pub fn is_listening(&self) -> bool {
        self.turn.is_some()
    }

    /// Bytes of memory that this caller needs now, the model and the domain not counted.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.scores.memory() + self.turn.as_ref().map_or(0, Search::memory)
    }

    fn heard(&self, turn: &Search, said: Vec<Said>) -> Heard {
        let names = turn.domain().language.words();
        let frames: u32 = said.iter().map(|word| word.to - word.from).sum();
        let lacks: f32 = said.iter().map(|word| word.gap * (word.to - word.from) as f32).sum();
        let likely: f32 = said.iter().map(|word| word.log).sum();
        let language = likely / said.len().max(1) as f32;
        let words = said.into_iter().map(|word| Word {
            text: names.get(usize::from(word.word)).cloned().unwrap_or_default(),
            start_ms: u64::from(word.from) * FRAME_MS,
            end_ms: u64::from(word.to) * FRAME_MS,
            gap: word.gap,
        });
        Heard { words: words.collect(), gap: lacks / frames.max(1) as f32, language }
    }
}

impl fmt::Debug for Recogniser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recogniser").field("listening", &self.is_listening()).finish()
    }
}
