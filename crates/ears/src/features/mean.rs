//! The cepstral mean: what a caller's voice, microphone and line are like on average.
//!
//! Subtracted from every cepstrum, so that the model hears sounds and not microphones. It is
//! learnt while the caller speaks and kept between turns: without it the errors triple, and with
//! what the first turn alone can teach they double (local-voice.md §3).

use crate::model::codebooks::WIDTH;

/// How many frames the mean that one starts with counts for.
const PRIOR: f32 = 200.0;
/// The mean of the energy at the level that speech is brought to, whoever speaks: what the model
/// brings along is that of its own recordings. As measured on the tuning voices.
const LEVELLED: f32 = 49.5;
/// Once so many frames were heard ...
const MOST: f32 = 800.0;
/// ... they count for so many only, so that the mean follows a caller who moves.
const FORGET_TO: f32 = 500.0;

/// The mean of one caller.
pub(super) struct Mean {
    sum: [f32; WIDTH],
    frames: f32,
}

impl Mean {
    pub(super) fn new(mut prior: [f32; WIDTH]) -> Self {
        prior[0] = LEVELLED;
        Self { sum: prior.map(|mean| mean * PRIOR), frames: PRIOR }
    }

    /// Takes the mean from a cepstrum, and learns of it.
    pub(super) fn subtract(&mut self, mut cepstrum: [f32; WIDTH]) -> [f32; WIDTH] {
        if self.frames >= MOST {
            let keep = FORGET_TO / self.frames;
            self.sum = self.sum.map(|sum| sum * keep);
            self.frames = FORGET_TO;
        }
        self.frames += 1.0;
        for (value, sum) in cepstrum.iter_mut().zip(&mut self.sum) {
            *sum += *value;
            *value -= *sum / self.frames;
        }
        cepstrum
    }
}
