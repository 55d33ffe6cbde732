//! From samples to what the model was trained on: 39 numbers every 10 ms.
//!
//! ```text
//!   samples -> level (gain, a little noise) -> spectrum -> cepstra -> minus the mean -> changes
//! ```
//!
//! The numbers are those of the model's training: pre-emphasis 0.97, windows of 25.6 ms, a
//! transform of 512 points, mel bands, a cosine transform, the lifter, and the first and second
//! difference over a window of seven frames. Streaming: [`Features::push`] gives the frames that
//! are complete, [`Features::finish`] the last three. It knows no words and no turns but that one
//! ends; level and mean are kept from turn to turn, because half of the accuracy lies in them.

mod changes;
mod level;
mod mean;
mod spectrum;

use self::changes::Changes;
use self::level::Level;
use self::mean::Mean;
use self::spectrum::Cepstra;
use crate::model::Model;
use crate::model::codebooks::{STREAMS, WIDTH};

/// The only rate that is understood, in Hz.
pub const RATE_HZ: u32 = 16_000;
/// Samples from one frame to the next: 10 ms.
pub const FRAME_SAMPLES: usize = 160;

/// One frame: cepstra, their change, and the change of that.
pub(crate) type Frame = [[f32; WIDTH]; STREAMS];

/// The front end of one caller.
pub(crate) struct Features {
    level: Level,
    cepstra: Cepstra,
    mean: Mean,
    changes: Changes,
}

impl Features {
    /// For a caller who has not said anything yet.
    pub(crate) fn new(model: &Model) -> Self {
        Self {
            level: Level::new(),
            cepstra: Cepstra::new(&model.parameters),
            mean: Mean::new(model.parameters.mean),
            changes: Changes::default(),
        }
    }

    /// Hears the next samples and gives the frames that they complete.
    pub(crate) fn push(&mut self, samples: &[i16], frames: &mut Vec<Frame>) {
        let levelled = self.level.push(samples);
        self.take(&levelled, frames);
    }

    /// The turn is over: gives its last frames. What comes next is another turn of the same caller.
    pub(crate) fn finish(&mut self, frames: &mut Vec<Frame>) {
        let levelled = self.level.finish();
        self.take(&levelled, frames);
        self.changes.finish(frames);
        self.cepstra.reset();
    }

    fn take(&mut self, levelled: &[f32], frames: &mut Vec<Frame>) {
        let Self { cepstra, mean, changes, .. } = self;
        cepstra.push(levelled, |cepstrum| {
            frames.extend(changes.push(mean.subtract(cepstrum)));
        });
    }
}

#[cfg(test)]
mod tests;
