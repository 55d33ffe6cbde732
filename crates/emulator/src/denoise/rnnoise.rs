//! RNNoise, as `nnnoiseless` has it, between two resamplers: it works on 48 kHz.
//!
//! Any division of the input into pieces gives the same output, and nothing is shifted: every
//! sample keeps its place, and the latest 56 ms at most (896 samples) are still inside.
//! [`Denoiser::flush`] gives those.

use std::fmt;

use nnnoiseless::DenoiseState;
use voice_audio::activity::RATE_HZ;
use voice_audio::{ResampleError, Resampler};

use super::Denoise;

/// The rate that RNNoise was trained with, in Hz.
const NOISE_HZ: u32 = 48_000;
/// Samples at 48 kHz that RNNoise takes at a time, and by which it is late: 10 ms.
const FRAME: usize = DenoiseState::FRAME_SIZE;

/// Takes noise away from the sound of one caller, at 16 kHz.
pub(crate) struct Denoiser {
    up: Resampler,
    state: Box<DenoiseState<'static>>,
    /// Samples at 48 kHz that fill no frame yet.
    waiting: Vec<i16>,
    /// Whether the next frame is the first, in which there is nothing yet.
    is_first: bool,
    down: Resampler,
}

impl Denoiser {
    /// A denoiser, if one is wanted.
    pub(crate) fn new(denoise: Denoise) -> Option<Self> {
        match denoise {
            Denoise::Off => None,
            Denoise::On => Self::start()
                // Cannot happen: the resampler has both rates.
                .inspect_err(|error| tracing::error!(%error, "noise is not taken away"))
                .ok(),
        }
    }

    fn start() -> Result<Self, ResampleError> {
        Ok(Self {
            up: Resampler::new(RATE_HZ, NOISE_HZ)?,
            state: DenoiseState::new(),
            waiting: Vec::new(),
            is_first: true,
            down: Resampler::new(NOISE_HZ, RATE_HZ)?,
        })
    }

    /// Takes the next samples, and gives those that are done.
    pub(crate) fn push(&mut self, samples: &[i16]) -> Vec<i16> {
        let samples = self.up.push(samples);
        let clean = self.frames(&samples);
        self.down.push(&clean)
    }

    /// Gives what is still inside, so that input and output last equally long, and starts afresh.
    pub(crate) fn flush(&mut self) -> Vec<i16> {
        let rest = self.up.flush();
        // What fills the last frame, and the frame by which RNNoise is late.
        let inside = self.waiting.len() + rest.len();
        let late = if self.is_first { 0 } else { FRAME };
        let mut clean = self.frames(&[rest, vec![0; 2 * FRAME]].concat());
        clean.truncate(inside + late);
        let mut output = self.down.push(&clean);
        output.extend(self.down.flush());
        self.state = DenoiseState::new();
        self.waiting.clear();
        self.is_first = true;
        output
    }

    /// RNNoise's share: samples at 48 kHz, and those that are done.
    fn frames(&mut self, samples: &[i16]) -> Vec<i16> {
        self.waiting.extend(samples);
        let whole = self.waiting.len() / FRAME * FRAME;
        let mut clean = Vec::with_capacity(whole);
        let (mut input, mut output) = ([0.0; FRAME], [0.0; FRAME]);
        for frame in self.waiting[..whole].chunks_exact(FRAME) {
            for (input, sample) in input.iter_mut().zip(frame) {
                *input = f32::from(*sample);
            }
            self.state.process_frame(&mut output, &input);
            if !std::mem::take(&mut self.is_first) {
                // `as` saturates at full scale.
                clean.extend(output.iter().map(|sample| sample.round() as i16));
            }
        }
        self.waiting.drain(..whole);
        clean
    }
}

impl fmt::Debug for Denoiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denoiser").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::{Accent, synthesize};

    /// Samples that are inside at most: 56 ms.
    const INSIDE: usize = 56 * 16;

    fn denoiser() -> Denoiser {
        Denoiser::new(Denoise::On).unwrap()
    }

    #[test]
    fn silence_stays_silence() {
        let mut denoiser = denoiser();
        let mut clean = denoiser.push(&[0; 16_000]);
        clean.extend(denoiser.flush());
        assert_eq!(clean, [0; 16_000]);
    }

    #[test]
    fn any_pieces_give_the_same_and_little_stays_inside() {
        let speech = synthesize("What is my balance?", RATE_HZ, Accent::British).unwrap();
        let mut whole = denoiser();
        let at_once = [whole.push(&speech), whole.flush()].concat();
        assert_eq!(at_once.len(), speech.len());
        let (mut pieces, mut inside) = (denoiser(), 0);
        // The second time is after a flush: it is like new.
        for size in [1, 257] {
            let (mut given, mut taken) = (Vec::new(), 0);
            for piece in speech.chunks(size) {
                taken += piece.len();
                given.extend(pieces.push(piece));
                inside = inside.max(taken - given.len());
            }
            given.extend(pieces.flush());
            assert!(given == at_once, "pieces of {size}");
        }
        assert!(inside <= INSIDE, "{inside} samples");
        assert!(denoiser().flush().is_empty());
    }

    #[test]
    fn clean_speech_keeps_its_place() {
        let speech = synthesize("What is my balance?", RATE_HZ, Accent::British).unwrap();
        let mut denoiser = denoiser();
        let clean = [denoiser.push(&speech), denoiser.flush()].concat();
        // The place where the output is most like the input.
        let likeness = |shift: usize| -> f64 {
            let (input, output) = (&speech[400..speech.len() - 400], &clean[shift..]);
            input.iter().zip(output).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let best = (0..800).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap();
        assert_eq!(best, 400);
    }
}
