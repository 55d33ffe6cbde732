//! Whether a piece of the caller's audio stands out so much that it may be speech.
//!
//! Cheap, and no judge of speech: the service is. It only tells what a service that works would
//! have something to say about. The loudness of a steady noise is learned and does not stand out.
//!
//! A machine: no actix, no clock.

use voice_call::AudioChunk;

/// The mean amplitude (of 32,767) below which nothing stands out.
const LEAST: f32 = 700.0;
/// How much louder than the noise speech is.
const ABOVE_NOISE: f32 = 3.0;
/// In how many milliseconds of louder audio the noise is learned.
const RISE_MS: f32 = 10_000.0;
/// In how many of softer audio.
const FALL_MS: f32 = 200.0;

/// What is loud on one line.
#[derive(Debug, Default)]
pub struct Loudness {
    noise: f32,
}

impl Loudness {
    /// Hears the next audio; answers whether it stands out.
    pub fn is_loud(&mut self, audio: &AudioChunk) -> bool {
        let mean = mean_amplitude(audio);
        let time = if mean > self.noise { RISE_MS } else { FALL_MS };
        let share = (audio.duration().as_secs_f32() * 1_000.0 / time).min(1.0);
        let loud = mean >= LEAST && mean >= ABOVE_NOISE * self.noise;
        self.noise += (mean - self.noise) * share;
        loud
    }
}

fn mean_amplitude(audio: &AudioChunk) -> f32 {
    // Pieces whose sum fits into 32 bits, which the processor adds up many at a time.
    let sum = audio.bytes().chunks(32 * 1024).map(|piece| {
        let samples = piece.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]]));
        u64::from(samples.map(|sample| u32::from(sample.unsigned_abs())).sum::<u32>())
    });
    sum.sum::<u64>() as f32 / audio.samples().max(1) as f32
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use voice_call::SampleRate;

    use super::*;

    /// 100 ms.
    fn sound(value: i16) -> AudioChunk {
        let pcm: Vec<u8> = std::iter::repeat_n(value.to_le_bytes(), 1_600).flatten().collect();
        AudioChunk::new(Bytes::from(pcm), SampleRate::Hz16000).unwrap()
    }

    fn loud(ear: &mut Loudness, tenths: usize, value: i16) -> usize {
        (0..tenths).filter(|_| ear.is_loud(&sound(value))).count()
    }

    #[test]
    fn speech_stands_out_of_a_quiet_line_and_of_a_noisy_one() {
        let mut ear = Loudness::default();
        assert_eq!(loud(&mut ear, 100, 300), 0);
        assert!(loud(&mut ear, 30, 4_000) >= 25);
        assert_eq!(loud(&mut ear, 10, 0), 0);
        // A steady noise stands out at first, and is learned.
        assert!(loud(&mut ear, 300, 1_500) < 60);
        assert!(loud(&mut ear, 20, 8_000) >= 15);
    }

    #[test]
    fn words_with_pauses_stay_loud_for_minutes() {
        let mut ear = Loudness::default();
        for _ in 0..100 {
            assert_eq!(loud(&mut ear, 10, 4_000), 10);
            loud(&mut ear, 5, 50);
        }
    }
}
