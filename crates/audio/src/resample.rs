//! A streaming resampler for mono PCM16 on `rubato`'s FFT resampler.
//!
//! It works on blocks of about 16 ms and hides them: any division of the input into pieces gives
//! the same output, the filter's delay is cut off at the start and made up for by
//! [`Resampler::flush`] at the end, so nothing is shifted or shortened. Peaks beyond full scale
//! saturate. Not for clocks that drift. Called by the emulator's voice and ear, and by the bridge.
//! `tests/audio/response.rs` measures what passes and what does not.

use std::{fmt, time::Duration};

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

/// The rates this resampler converts between, in Hz.
pub const RATES: [u32; 6] = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000];

/// Milliseconds of input per block, about: latency against the steepness of the filter.
const BLOCK_MS: u32 = 16;

/// The same where one side is a telephone line: the voice band ends at 3400 Hz of 4000, and a
/// filter of 16 ms would take a decibel of its upper end.
const LINE_BLOCK_MS: u32 = 20;

/// The rate of telephone lines.
const LINE_HZ: u32 = 8_000;

/// Full scale of a PCM16 sample as a float.
const FULL_SCALE: f32 = 32_768.0;

/// A pair of rates that cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot resample from {from_hz} Hz to {to_hz} Hz: expected two of {RATES:?}")]
pub struct ResampleError {
    /// The input rate asked for, in Hz.
    pub from_hz: u32,
    /// The output rate asked for, in Hz.
    pub to_hz: u32,
}

/// Converts one stream of mono samples from one rate to another.
pub struct Resampler {
    from_hz: u32,
    to_hz: u32,
    /// `None` when both rates are the same.
    blocks: Option<Blocks>,
    /// Samples taken and given since the last flush.
    taken: u64,
    given: u64,
}

/// The block machinery behind a stream.
struct Blocks {
    fft: Fft<f32>,
    /// Input that does not fill a block yet.
    pending: Vec<f32>,
    /// One block of output.
    output: Vec<f32>,
    /// Output samples still to drop: the filter's delay.
    delay: usize,
    /// Whether nothing but silence is inside: more of it needs no work.
    is_silent: bool,
}

impl Resampler {
    /// A resampler from `from_hz` to `to_hz`, both out of [`RATES`].
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        let error = ResampleError { from_hz, to_hz };
        if !RATES.contains(&from_hz) || !RATES.contains(&to_hz) {
            return Err(error);
        }
        let blocks = match from_hz == to_hz {
            true => None,
            false => Some(Blocks::new(from_hz, to_hz).ok_or(error)?),
        };
        Ok(Self { from_hz, to_hz, blocks, taken: 0, given: 0 })
    }

    /// The output rate, in Hz.
    pub fn to_hz(&self) -> u32 {
        self.to_hz
    }

    /// What the filter itself delays, apart from the wait for a whole block. Files do not show it:
    /// it is cut off at their start.
    pub fn delay(&self) -> Duration {
        let samples = self.blocks.as_ref().map_or(0, |blocks| blocks.fft.output_delay());
        Duration::from_secs_f64(samples as f64 / f64::from(self.to_hz))
    }

    /// How long a block is.
    pub fn block(&self) -> Duration {
        let samples = self.blocks.as_ref().map_or(0, |blocks| blocks.fft.input_frames_next());
        Duration::from_secs_f64(samples as f64 / f64::from(self.from_hz))
    }

    /// Takes the next samples and gives what is ready; up to two blocks (about 40 ms) stay inside.
    pub fn push(&mut self, samples: &[i16]) -> Vec<i16> {
        self.taken += samples.len() as u64;
        let output = match &mut self.blocks {
            None => samples.to_vec(),
            Some(blocks) => blocks.push(samples.iter().map(|&s| f32::from(s) / FULL_SCALE)),
        };
        self.given += output.len() as u64;
        output
    }

    /// Ends the stream: gives what is still inside, so that input and output last equally long,
    /// and starts afresh.
    pub fn flush(&mut self) -> Vec<i16> {
        // Rounded to the nearest sample; at equal rates nothing is due.
        let (from, to) = (u64::from(self.from_hz), u64::from(self.to_hz));
        let due = ((self.taken * to + from / 2) / from).saturating_sub(self.given) as usize;
        let mut output = Vec::with_capacity(due);
        if let Some(blocks) = &mut self.blocks {
            while output.len() < due {
                let silence = blocks.fft.input_frames_next();
                output.extend(blocks.push(std::iter::repeat_n(0.0, silence)));
            }
            output.truncate(due);
            blocks.reset();
        }
        (self.taken, self.given) = (0, 0);
        output
    }
}

impl Blocks {
    /// `None` if rubato refuses the pair, which it does for no pair of [`RATES`].
    fn new(from_hz: u32, to_hz: u32) -> Option<Self> {
        let block_ms = if from_hz.min(to_hz) == LINE_HZ { LINE_BLOCK_MS } else { BLOCK_MS };
        let block = (from_hz * block_ms / 1000) as usize;
        let fft = Fft::new(from_hz as usize, to_hz as usize, block, 1, FixedSync::Both).ok()?;
        let output = vec![0.0; fft.output_frames_max()];
        let delay = fft.output_delay();
        Some(Self { fft, pending: Vec::new(), output, delay, is_silent: true })
    }

    fn push(&mut self, samples: impl Iterator<Item = f32>) -> Vec<i16> {
        self.pending.extend(samples);
        let (frames_in, frames_out) = (self.fft.input_frames_next(), self.fft.output_frames_next());
        let mut converted = Vec::with_capacity(self.pending.len() / frames_in * frames_out);
        let mut used = 0;
        while let Some(block) = self.pending.get(used..used + frames_in) {
            used += frames_in;
            let silence = block.iter().all(|sample| *sample == 0.0);
            if silence && self.is_silent {
                self.output.fill(0.0);
            } else if Self::convert(&mut self.fft, block, &mut self.output).is_none() {
                // A block that could not be converted keeps its place in time as silence.
                self.output.fill(0.0);
            } else {
                // A block rings on in the next one, and no further.
                self.is_silent = silence;
            }
            let drop = self.delay.min(frames_out);
            self.delay -= drop;
            let ready = self.output.get(drop..frames_out).unwrap_or_default();
            converted.extend(ready.iter().map(|&sample| quantize(sample)));
        }
        self.pending.drain(..used);
        converted
    }

    /// One block; `None` if the buffers do not fit, which their sizes rule out.
    fn convert(fft: &mut Fft<f32>, input: &[f32], output: &mut [f32]) -> Option<()> {
        let (frames_in, frames_out) = (input.len(), output.len());
        let input = InterleavedSlice::new(input, 1, frames_in).ok()?;
        let mut output = InterleavedSlice::new_mut(output, 1, frames_out).ok()?;
        fft.process_into_buffer(&input, &mut output, None).ok().map(|_| ())
    }

    fn reset(&mut self) {
        self.fft.reset();
        self.pending.clear();
        self.delay = self.fft.output_delay();
        self.is_silent = true;
    }
}

/// Rounds to the nearest sample; `as` saturates at full scale.
fn quantize(sample: f32) -> i16 {
    let scaled = sample * FULL_SCALE;
    // `round` is a function call on a processor that may be old, and this is done for every sample.
    (scaled + 0.5_f32.copysign(scaled)) as i16
}

/// Converts a whole recording.
pub fn resample(samples: &[i16], from_hz: u32, to_hz: u32) -> Result<Vec<i16>, ResampleError> {
    let mut resampler = Resampler::new(from_hz, to_hz)?;
    let mut output = resampler.push(samples);
    output.extend(resampler.flush());
    Ok(output)
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resampler")
            .field("from_hz", &self.from_hz)
            .field("to_hz", &self.to_hz)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAIRS: [(u32, u32); 7] = [
        (16_000, 24_000),
        (24_000, 16_000),
        (8_000, 16_000),
        (16_000, 8_000),
        (24_000, 8_000),
        (16_000, 16_000),
        (44_100, 16_000),
    ];

    fn sine(hz: f64, rate: u32, samples: usize, amplitude: f64) -> Vec<i16> {
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        (0..samples).map(|n| ((n as f64 * step).sin() * amplitude) as i16).collect()
    }

    #[test]
    fn unknown_rates_are_refused() {
        assert_eq!(
            Resampler::new(16_000, 12_345).unwrap_err(),
            ResampleError { from_hz: 16_000, to_hz: 12_345 }
        );
        assert!(Resampler::new(0, 16_000).is_err());
    }

    #[test]
    fn a_tone_keeps_its_place_and_its_level() {
        for (from, to) in PAIRS {
            let input = sine(440.0, from, from as usize, 20_000.0);
            let output = resample(&input, from, to).unwrap();
            let ideal = sine(440.0, to, to as usize, 20_000.0);
            assert_eq!(output.len(), ideal.len(), "{from} to {to}");
            // The cut edges ring; the middle is exact to well under one percent.
            let edge = to as usize / 20;
            let middle = edge..ideal.len() - edge;
            let worst = output[middle.clone()].iter().zip(&ideal[middle]);
            let worst = worst.map(|(&a, &b)| i32::from(a).abs_diff(b.into())).max();
            assert!(worst < Some(60), "{from} to {to}: off by {worst:?}");
        }
    }

    #[test]
    fn tones_above_the_new_range_are_removed() {
        let output = resample(&sine(6_000.0, 24_000, 24_000, 20_000.0), 24_000, 8_000).unwrap();
        let loudest = output[400..7_600].iter().map(|s| s.unsigned_abs()).max();
        assert!(loudest < Some(50), "{loudest:?}");
    }

    #[test]
    fn overshoot_saturates_instead_of_wrapping() {
        // A square wave at full scale overshoots when it is band-limited.
        let square: Vec<i16> =
            (0..4_800).map(|n| if n / 40 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let output = resample(&square, 16_000, 24_000).unwrap();
        assert!(output.contains(&i16::MAX) && output.contains(&i16::MIN));
        // Wrapping would show as a jump of nearly the full range between two plateau samples.
        for (n, &sample) in output.iter().enumerate() {
            match n % 120 {
                10..50 => assert!(sample > 20_000, "sample {n} is {sample}"),
                70..110 => assert!(sample < -20_000, "sample {n} is {sample}"),
                _ => {}
            }
        }
    }

    #[test]
    fn a_flushed_resampler_starts_afresh() {
        let input = sine(300.0, 16_000, 5_000, 9_000.0);
        let mut resampler = Resampler::new(16_000, 24_000).unwrap();
        let mut runs = (0..2).map(|_| {
            let mut output = resampler.push(&input);
            output.extend(resampler.flush());
            output
        });
        assert_eq!(runs.next(), runs.next());
        assert_eq!(resampler.flush(), Vec::<i16>::new());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_division_gives_the_same_output(
            pair in prop::sample::select(&PAIRS[..]),
            input in prop::collection::vec(any::<i16>(), 0..3_000),
            cuts in prop::collection::vec(0_usize..700, 0..12),
        ) {
            let whole = resample(&input, pair.0, pair.1).unwrap();
            let mut resampler = Resampler::new(pair.0, pair.1).unwrap();
            let (mut output, mut rest) = (Vec::new(), input.as_slice());
            for cut in cuts {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                output.extend(resampler.push(piece));
                rest = tail;
            }
            output.extend(resampler.push(rest));
            output.extend(resampler.flush());
            let due = (input.len() as f64 * f64::from(pair.1) / f64::from(pair.0)).round();
            prop_assert_eq!(output.len(), due as usize);
            prop_assert_eq!(output, whole);
        }
    }
}
