//! Audio as it travels through a call: 16-bit signed little-endian mono PCM, headerless.

use bytes::Bytes;

/// Samples per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum SampleRate {
    /// Telephony.
    Hz8000 = 8_000,
    /// What the caller's audio is sent as.
    Hz16000 = 16_000,
    /// What Nova Sonic answers in.
    Hz24000 = 24_000,
}

impl SampleRate {
    /// Samples per second.
    pub const fn hertz(self) -> u32 {
        self as u32
    }

    /// Bytes of PCM16 mono that last `ms` milliseconds.
    pub const fn bytes_in_ms(self, ms: u32) -> usize {
        (self.hertz() / 1000 * ms) as usize * 2
    }
}

/// A run of whole PCM16 samples at a known rate.
#[derive(Clone, PartialEq, Eq)]
pub struct AudioChunk {
    pcm: Bytes,
    rate: SampleRate,
}

/// The bytes end in the middle of a sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("audio is 16-bit PCM, so a frame has an even number of bytes; this one has {0}")]
pub struct OddLength(pub usize);

impl AudioChunk {
    /// Takes raw PCM16 little-endian mono bytes; they must hold whole samples.
    pub fn new(pcm: Bytes, rate: SampleRate) -> Result<Self, OddLength> {
        if pcm.len().is_multiple_of(2) { Ok(Self { pcm, rate }) } else { Err(OddLength(pcm.len())) }
    }

    /// Digital silence that lasts `ms` milliseconds.
    pub fn silence(rate: SampleRate, ms: u32) -> Self {
        Self { pcm: Bytes::from(vec![0; rate.bytes_in_ms(ms)]), rate }
    }

    /// The bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.pcm
    }

    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.pcm
    }

    /// Samples per second.
    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// How many samples.
    pub fn samples(&self) -> usize {
        self.pcm.len() / 2
    }

    /// Whether there is no sample at all.
    pub fn is_empty(&self) -> bool {
        self.pcm.is_empty()
    }

    /// How long it sounds.
    pub fn duration(&self) -> std::time::Duration {
        let nanos = self.samples() as u64 * 1_000_000_000 / u64::from(self.rate.hertz());
        std::time::Duration::from_nanos(nanos)
    }

    /// Splits off the first `bytes` bytes (rounded down to a whole sample).
    #[must_use]
    pub fn split_to(&mut self, bytes: usize) -> Self {
        let at = (bytes & !1).min(self.pcm.len());
        Self { pcm: self.pcm.split_to(at), rate: self.rate }
    }
}

impl std::fmt::Debug for AudioChunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AudioChunk({} samples at {} Hz)", self.samples(), self.rate.hertz())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_sample_is_refused() {
        let odd = AudioChunk::new(Bytes::from_static(&[1, 2, 3]), SampleRate::Hz16000);
        assert_eq!(odd, Err(OddLength(3)));
    }

    #[test]
    fn thirty_two_milliseconds_are_1024_bytes_at_16_khz() {
        let chunk = AudioChunk::silence(SampleRate::Hz16000, 32);
        assert_eq!(chunk.bytes().len(), 1024);
        assert_eq!(chunk.duration(), std::time::Duration::from_millis(32));
    }

    #[test]
    fn splitting_keeps_whole_samples() {
        let mut chunk = AudioChunk::silence(SampleRate::Hz8000, 10);
        assert_eq!(chunk.split_to(7).bytes().len(), 6);
        assert_eq!(chunk.bytes().len(), 154);
        assert_eq!(chunk.split_to(9_999).samples(), 77);
        assert!(chunk.is_empty());
    }
}
