//! PCM16 little-endian mono: bytes to samples and back, lengths and levels.
//!
//! Not a codec and not a file format. Called wherever audio leaves or enters the wire.

use bytes::Bytes;

/// The samples of `bytes`. A last odd byte is left out; see [`SampleReader`] for streams.
pub fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect()
}

/// The bytes of `samples`, little-endian.
pub fn bytes(samples: &[i16]) -> Bytes {
    samples.iter().copied().flat_map(i16::to_le_bytes).collect()
}

/// How long `samples` samples last at `rate_hz`, in whole milliseconds, rounded down; 0 at 0 Hz.
pub fn duration_ms(samples: u64, rate_hz: u32) -> u64 {
    samples.saturating_mul(1000).checked_div(rate_hz.into()).unwrap_or(0)
}

/// The root mean square level, `0.0..=1.0` of full scale; 0 for no samples.
pub fn rms(samples: &[i16]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let energy: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    (energy / samples.len() as f64).sqrt() / 32_768.0
}

/// Reads samples from a stream of byte pieces that may end in the middle of a sample.
///
/// The odd byte is kept for the next piece, so that one odd frame does not turn all that follows
/// into noise.
#[derive(Debug, Clone, Default)]
pub struct SampleReader {
    low_byte: Option<u8>,
}

impl SampleReader {
    /// A reader at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// The samples that `piece` completes.
    pub fn read(&mut self, piece: &[u8]) -> Vec<i16> {
        let mut read = Vec::with_capacity(piece.len() / 2 + 1);
        let mut rest = piece;
        if let (Some(low), [high, tail @ ..]) = (self.low_byte, piece) {
            read.push(i16::from_le_bytes([low, *high]));
            self.low_byte = None;
            rest = tail;
        }
        let (pairs, odd) = rest.as_chunks();
        read.extend(pairs.iter().copied().map(i16::from_le_bytes));
        self.low_byte = odd.first().copied().or(self.low_byte);
        read
    }

    /// Whether half a sample is waiting: at the end of a stream this means that a byte was lost.
    pub fn has_half_sample(&self) -> bool {
        self.low_byte.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_round_down() {
        assert_eq!(duration_ms(16_000, 16_000), 1000);
        assert_eq!(duration_ms(255, 16_000), 15);
        assert_eq!(duration_ms(1, 0), 0);
    }

    #[test]
    fn a_level_is_a_share_of_full_scale() {
        assert_eq!(rms(&[]), 0.0);
        assert_eq!(rms(&[i16::MIN; 8]), 1.0);
        assert!((rms(&[16_384, -16_384]) - 0.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn samples_survive_the_way_through_bytes(pcm: Vec<i16>) {
            prop_assert_eq!(samples(&bytes(&pcm)), pcm);
        }

        #[test]
        fn any_cut_of_the_bytes_gives_the_same_samples(
            whole: Vec<u8>,
            cuts in prop::collection::vec(0_usize..7, 0..200),
        ) {
            let mut reader = SampleReader::new();
            let (mut read, mut rest) = (Vec::new(), whole.as_slice());
            for cut in cuts {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                read.extend(reader.read(piece));
                rest = tail;
            }
            read.extend(reader.read(rest));
            prop_assert_eq!(read, samples(&whole));
            prop_assert_eq!(reader.has_half_sample(), whole.len() % 2 == 1);
        }
    }
}
