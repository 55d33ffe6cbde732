//! Cepstra: the shape of the spectrum in 13 numbers, for each window of 25.6 ms.

use std::collections::VecDeque;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::{FRAME_SAMPLES, RATE_HZ};
use crate::model::codebooks::WIDTH;
use crate::model::parameters::Parameters;

/// Samples in a window: 25.625 ms.
const WINDOW: usize = 410;
/// Points of the transform.
const POINTS: usize = 512;
/// How much of the sample before is taken away: raises the high frequencies.
const PREEMPHASIS: f32 = 0.97;
/// Keeps the logarithm of a silent band finite.
const FLOOR: f32 = 1e-4;

/// One band of the mel scale: a triangle over some bins.
struct Band {
    first: usize,
    weights: Vec<f32>,
}

/// Makes cepstra of a stream of samples.
pub(super) struct Cepstra {
    transform: Arc<dyn RealToComplex<f32>>,
    hamming: Vec<f32>,
    bands: Vec<Band>,
    /// For each cepstrum, the weight of each band, lifter included.
    cosines: Vec<Vec<f32>>,
    /// The sample before those that wait.
    previous: f32,
    /// Samples, emphasised, from the start of the next window on.
    waiting: VecDeque<f32>,
    input: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    energies: Vec<f32>,
}

impl Cepstra {
    pub(super) fn new(parameters: &Parameters) -> Self {
        let transform = RealFftPlanner::new().plan_fft_forward(POINTS);
        let turn = std::f32::consts::TAU / (WINDOW - 1) as f32;
        Self {
            hamming: (0..WINDOW).map(|n| 0.54 - 0.46 * (turn * n as f32).cos()).collect(),
            bands: bands(parameters),
            cosines: cosines(parameters),
            previous: 0.0,
            waiting: VecDeque::with_capacity(4 * WINDOW),
            input: transform.make_input_vec(),
            spectrum: transform.make_output_vec(),
            scratch: transform.make_scratch_vec(),
            energies: vec![0.0; parameters.bands],
            transform,
        }
    }

    /// Another stretch of sound begins, which has nothing to do with the one before.
    pub(super) fn reset(&mut self) {
        self.previous = 0.0;
        self.waiting.clear();
    }

    /// Takes the next samples and hands out the cepstra of each window that they fill.
    pub(super) fn push(&mut self, samples: &[f32], mut each: impl FnMut([f32; WIDTH])) {
        for sample in samples {
            self.waiting.push_back(sample - PREEMPHASIS * self.previous);
            self.previous = *sample;
        }
        while self.waiting.len() >= WINDOW {
            each(self.window());
            self.waiting.drain(..FRAME_SAMPLES);
        }
    }

    fn window(&mut self) -> [f32; WIDTH] {
        self.input.fill(0.0);
        let windowed =
            self.waiting.iter().zip(&self.hamming).map(|(sample, weight)| sample * weight);
        for (place, sample) in self.input.iter_mut().zip(windowed) {
            *place = sample;
        }
        // It only fails for buffers of another length, and these were made by the transform.
        let made = self.transform.process_with_scratch(
            &mut self.input,
            &mut self.spectrum,
            &mut self.scratch,
        );
        debug_assert!(made.is_ok());
        for (energy, band) in self.energies.iter_mut().zip(&self.bands) {
            let bins = self.spectrum.iter().skip(band.first).zip(&band.weights);
            let sum: f32 = bins.map(|(bin, weight)| bin.norm_sqr() * weight).sum();
            *energy = (sum + FLOOR).ln();
        }
        let mut cepstra = [0.0; WIDTH];
        for (cepstrum, cosines) in cepstra.iter_mut().zip(&self.cosines) {
            *cepstrum = self.energies.iter().zip(cosines).map(|(e, c)| e * c).sum();
        }
        cepstra
    }
}

/// Triangles of equal width on the mel scale and of area one, their corners on bins.
fn bands(parameters: &Parameters) -> Vec<Band> {
    let mel = |hz: f32| 2595.0 * (1.0 + hz / 700.0).log10();
    let hz = |mel: f32| 700.0 * (10_f32.powf(mel / 2595.0) - 1.0);
    let bin_hz = RATE_HZ as f32 / POINTS as f32;
    let (low, high) = (mel(parameters.low_hz), mel(parameters.high_hz));
    let width = (high - low) / (parameters.bands + 1) as f32;
    let corner = |n: usize| (hz(low + width * n as f32) / bin_hz).round() * bin_hz;
    (0..parameters.bands)
        .map(|band| {
            let [left, centre, right] = [band, band + 1, band + 2].map(corner);
            let height = 2.0 / (right - left);
            let first = (left / bin_hz) as usize;
            let last = ((right / bin_hz) as usize).min(POINTS / 2);
            let weights = (first..=last).map(|bin| {
                let at = bin as f32 * bin_hz;
                // Where two corners fall together the triangle has an upright side.
                let slope =
                    |far: f32, near: f32| if far == near { 1.0 } else { (at - far) / (near - far) };
                (slope(left, centre).min(slope(right, centre)) * height).max(0.0)
            });
            Band { first, weights: weights.collect() }
        })
        .collect()
}

/// The orthonormal cosine transform of the second kind, with the lifter.
fn cosines(parameters: &Parameters) -> Vec<Vec<f32>> {
    let bands = parameters.bands as f32;
    let pi = std::f32::consts::PI;
    (0..WIDTH)
        .map(|cepstrum| {
            let n = cepstrum as f32;
            let norm = if cepstrum == 0 { 1.0 } else { 2.0 } / bands;
            let lift = match parameters.lifter {
                0.0 => 1.0,
                lifter => 1.0 + lifter / 2.0 * (n * pi / lifter).sin(),
            };
            let cosine = |band: usize| (pi * n * (band as f32 + 0.5) / bands).cos();
            (0..parameters.bands).map(|band| norm.sqrt() * lift * cosine(band)).collect()
        })
        .collect()
}
