//! Loudness: a gain that follows the caller slowly, and a little noise.
//!
//! The model was trained on recordings with some noise in them. Digital silence and empty bands are
//! unlike anything it knows, so white noise is added; with quiet speech that noise would drown the
//! words, so the speech is levelled first (local-voice.md §3, "Level" and "Dither").

use super::RATE_HZ;

/// The noise that is added: its standard deviation, in units of 16-bit samples.
const DITHER: f32 = 30.0;
/// Loudness that speech is brought to: the mean square root over the loud frames.
const TARGET: f32 = 5_000.0;
/// Blocks below this are silence and teach nothing.
const SILENCE: f32 = 40.0;
/// How far the gain may go.
const GAIN: std::ops::RangeInclusive<f32> = 0.2..=20.0;
/// Samples over which loudness is measured: 10 ms.
const BLOCK: usize = RATE_HZ as usize / 100;
/// What is held back at the start of a call until the first gain is known: 300 ms.
const FIRST: usize = RATE_HZ as usize * 3 / 10;
/// How fast the estimate rises with a louder block, and falls with a softer one.
const RISE: f32 = 0.2;
const FALL: f32 = 0.0007;

/// The level of one caller.
pub(super) struct Level {
    /// How loud the caller's speech is, as far as known.
    loudness: Option<f32>,
    /// Held back until `loudness` is known.
    held: Vec<i16>,
    /// Samples of it that are no silence.
    speech: usize,
    /// The block that is being measured.
    block: Vec<i16>,
    noise: Noise,
}

impl Level {
    pub(super) fn new() -> Self {
        Self {
            loudness: None,
            held: Vec::new(),
            speech: 0,
            block: Vec::with_capacity(BLOCK),
            noise: Noise(1),
        }
    }

    /// Takes samples and gives them back levelled, all but what is held back.
    pub(super) fn push(&mut self, mut samples: &[i16]) -> Vec<f32> {
        let mut levelled = Vec::new();
        // Block by block, so that it does not matter how the samples come.
        while self.loudness.is_none() && !samples.is_empty() {
            let missing = BLOCK - self.held.len() % BLOCK;
            let (piece, rest) = samples.split_at(missing.min(samples.len()));
            self.held.extend_from_slice(piece);
            samples = rest;
            let whole = self.held.len().is_multiple_of(BLOCK);
            if whole && is_speech(&self.held[self.held.len() - BLOCK..]) {
                self.speech += BLOCK;
            }
            if self.speech >= FIRST {
                levelled = self.finish();
            }
        }
        levelled.extend(self.level(samples));
        levelled
    }

    /// Gives what is held back; the caller's turn is over.
    pub(super) fn finish(&mut self) -> Vec<f32> {
        let held = std::mem::take(&mut self.held);
        self.speech = 0;
        if held.is_empty() {
            return Vec::new();
        }
        self.loudness = first_loudness(&held);
        self.level(&held)
    }

    fn level(&mut self, samples: &[i16]) -> Vec<f32> {
        let mut levelled = Vec::with_capacity(samples.len());
        for sample in samples {
            let gain = self.loudness.map_or(1.0, gain);
            levelled.push(f32::from(*sample) * gain + self.noise.next());
            self.block.push(*sample);
            if self.block.len() == BLOCK {
                self.learn();
            }
        }
        levelled
    }

    /// Follows the loud blocks quickly up and slowly down.
    fn learn(&mut self) {
        let heard = rms(&self.block);
        self.block.clear();
        if let Some(loudness) = &mut self.loudness
            && heard > SILENCE
        {
            let rate = if heard > *loudness { RISE } else { FALL };
            *loudness += (heard - *loudness) * rate;
        }
    }
}

fn gain(loudness: f32) -> f32 {
    (TARGET / loudness.max(1.0)).clamp(*GAIN.start(), *GAIN.end())
}

fn rms(block: &[i16]) -> f32 {
    let energy: f32 = block.iter().map(|sample| f32::from(*sample).powi(2)).sum();
    (energy / block.len().max(1) as f32).sqrt()
}

fn is_speech(block: &[i16]) -> bool {
    rms(block) > SILENCE
}

/// How loud the louder blocks are: what nine tenths of them stay below. `None` of silence.
fn first_loudness(samples: &[i16]) -> Option<f32> {
    let blocks = samples.chunks_exact(BLOCK).map(rms).filter(|block| *block > SILENCE);
    let mut blocks: Vec<f32> = blocks.collect();
    blocks.sort_by(f32::total_cmp);
    blocks.get(blocks.len() * 9 / 10).copied()
}

/// White noise, nearly Gaussian, always the same: two runs of a test hear the same.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        // Four uniform numbers together have a variance of 4/12, hence the root of three below.
        let mut sum = 0.0;
        for _ in 0..4 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            sum += (self.0 >> 40) as f32 / (1_u64 << 24) as f32 - 0.5;
        }
        sum * DITHER * 3_f32.sqrt()
    }
}
