//! How loud something is, in decibels of full scale.
//!
//! A meter over a stretch of samples: it is pushed, read, and starts afresh. It does not tell
//! speech from noise; [`crate::activity`] does. Called by the audio bridge and by whoever reports
//! the state of a line.

/// Below this nothing is told apart: less than one step of a 16-bit sample.
pub const SILENCE_DBFS: f64 = -96.0;

/// The level of a stretch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Root mean square, in decibels of full scale; [`SILENCE_DBFS`] at the lowest. A sine as loud
    /// as can be has -3.
    pub rms_dbfs: f64,
    /// The largest sample, in the same measure.
    pub peak_dbfs: f64,
    /// How many samples lie at the ends of the scale.
    pub clipped: u64,
    /// How many samples there were.
    pub samples: u64,
}

/// Measures stretches of samples.
#[derive(Debug, Clone, Default)]
pub struct LevelMeter {
    energy: f64,
    peak: u16,
    clipped: u64,
    samples: u64,
}

impl LevelMeter {
    /// A meter that has heard nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hears more.
    pub fn push(&mut self, samples: &[i16]) {
        for &sample in samples {
            self.energy += f64::from(sample) * f64::from(sample);
            self.peak = self.peak.max(sample.unsigned_abs());
            self.clipped += u64::from(sample == i16::MAX || sample == i16::MIN);
        }
        self.samples += samples.len() as u64;
    }

    /// The level since the last time; `None` when nothing was heard.
    pub fn take(&mut self) -> Option<Level> {
        let Self { energy, peak, clipped, samples } = std::mem::take(self);
        let rms = (energy / samples as f64).sqrt();
        (samples > 0).then(|| Level {
            rms_dbfs: dbfs(rms),
            peak_dbfs: dbfs(peak.into()),
            clipped,
            samples,
        })
    }
}

/// The level of one stretch; silence when it is empty.
pub fn rms_dbfs(samples: &[i16]) -> f64 {
    dbfs(crate::pcm::rms(samples) * 32_768.0)
}

fn dbfs(amplitude: f64) -> f64 {
    (20.0 * (amplitude / 32_768.0).log10()).max(SILENCE_DBFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_says_what_it_heard_since_the_last_time() {
        let mut meter = LevelMeter::new();
        assert_eq!(meter.take(), None);
        meter.push(&[16_384, -16_384]);
        meter.push(&[16_384; 6]);
        let level = meter.take().expect("a level");
        assert!((level.rms_dbfs + 6.02).abs() < 0.01 && (level.peak_dbfs + 6.02).abs() < 0.01);
        assert_eq!((level.clipped, level.samples), (0, 8));
        meter.push(&[i16::MIN, i16::MAX, 0]);
        let level = meter.take().expect("a level");
        assert_eq!((level.clipped, level.samples, level.peak_dbfs), (2, 3, 0.0));
    }

    #[test]
    fn silence_is_a_number() {
        assert_eq!(rms_dbfs(&[]), SILENCE_DBFS);
        assert_eq!(rms_dbfs(&[0; 100]), SILENCE_DBFS);
        let mut meter = LevelMeter::new();
        meter.push(&[0; 10]);
        assert_eq!(meter.take().map(|level| level.rms_dbfs), Some(SILENCE_DBFS));
    }
}
