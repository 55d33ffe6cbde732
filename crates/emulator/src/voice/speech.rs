//! One text after the other through Pico: mark-up, feeding, chunks, and the output rate.
//!
//! Synchronous; knows neither threads nor channels. Called by `voice`.

use voice_audio::Resampler;
use voice_pico::{Accent, Engine, RATE_HZ, Step};

use super::VoiceError;

/// Samples of Pico's output in a chunk: 64 ms.
const CHUNK_SAMPLES: usize = 1024;

/// Calls without a sample after which the engine counts as stuck. The first sample of a long
/// sentence takes some hundred calls.
const MAX_IDLE_CALLS: u32 = 100_000;

/// Refuses rates that Nova Sonic does not offer.
pub(super) fn check_rate(rate_hz: u32) -> Result<(), VoiceError> {
    match rate_hz {
        8_000 | 16_000 | 24_000 => Ok(()),
        _ => Err(VoiceError::Rate(rate_hz)),
    }
}

/// An engine with its resampler, and the text it is at.
pub(super) struct Speaker {
    engine: Engine,
    resampler: Resampler,
    text: Vec<u8>,
    /// Bytes of the text that the engine has taken.
    fed: usize,
    /// Nothing more is to come.
    done: bool,
}

impl Speaker {
    /// Loads the voice; some milliseconds.
    pub(super) fn new(rate_hz: u32, accent: Accent) -> Result<Self, VoiceError> {
        check_rate(rate_hz)?;
        let resampler = Resampler::new(RATE_HZ, rate_hz).map_err(|_| VoiceError::Rate(rate_hz))?;
        let engine = Engine::new(accent)?;
        Ok(Self { engine, resampler, text: Vec::new(), fed: 0, done: true })
    }

    /// Drops what was being said and begins a new text.
    pub(super) fn begin(&mut self, text: &str) {
        self.engine.reset();
        self.resampler.flush();
        self.text = marked_up(text);
        self.fed = 0;
        self.done = false;
    }

    /// The next chunk, about 64 ms; `None` at the end of the text.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Vec<i16>>, VoiceError> {
        let mut samples = Vec::with_capacity(CHUNK_SAMPLES);
        let mut idle_calls = 0;
        while !self.done && samples.len() < CHUNK_SAMPLES {
            let rest = self.text.get(self.fed..).unwrap_or_default();
            let put = self.engine.put(rest)?;
            self.fed += put;
            let step = self.engine.take(&mut samples)?;
            self.done = matches!(step, Step::Idle(_)) && self.fed == self.text.len();
            idle_calls = match step {
                Step::Busy(0) | Step::Idle(0) if put == 0 => idle_calls + 1,
                _ => 0,
            };
            if idle_calls > MAX_IDLE_CALLS {
                return Err(VoiceError::Stuck { bytes: self.text.len() });
            }
        }
        let mut chunk = self.resampler.push(&samples);
        if self.done {
            chunk.extend(self.resampler.flush());
        }
        Ok(if chunk.is_empty() && self.done { None } else { Some(chunk) })
    }
}

/// The text as Pico wants it: at a volume that does not clip (at the default one it does),
/// terminated, and without characters that would be taken for mark-up.
///
/// Pico knows no `&lt;`: it would read the letters out. It does read `&` as "and".
fn marked_up(text: &str) -> Vec<u8> {
    let mut marked = String::with_capacity(text.len() + 32);
    marked.push_str("<volume level=\"60\">");
    for character in text.chars() {
        match character {
            '<' => marked.push_str(" less than "),
            '>' => marked.push_str(" greater than "),
            // A zero would end the text early.
            control if control.is_control() => marked.push(' '),
            other => marked.push(other),
        }
    }
    marked.push_str("</volume>\0");
    marked.into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use voice_audio::pcm;

    use super::super::synthesize;
    use super::*;

    #[test]
    fn mark_up_in_a_text_is_spoken_and_not_obeyed() {
        assert_eq!(
            marked_up("a <b> &\0c\n"),
            b"<volume level=\"60\">a  less than b greater than  & c </volume>\0"
        );
    }

    #[test]
    fn speech_is_loud_enough_and_does_not_clip() {
        for accent in [Accent::American, Accent::British] {
            let samples =
                synthesize("Welcome to Meridian Bank. How can I help?", 16_000, accent).unwrap();
            let level = pcm::rms(&samples);
            assert!((0.03..0.4).contains(&level), "{accent:?}: level {level}");
            assert!(samples.iter().all(|s| s.unsigned_abs() < 32_000), "{accent:?} clips");
        }
    }

    #[test]
    fn a_text_longer_than_the_engines_buffer_is_spoken_whole() {
        let sentence = "The quick brown fox jumps over the lazy dog. ";
        let one = synthesize(sentence, 8_000, Accent::American).unwrap().len();
        let many = synthesize(&sentence.repeat(20), 8_000, Accent::American).unwrap().len();
        assert!((18 * one..22 * one).contains(&many), "{one} and {many} samples");
    }

    #[test]
    fn every_rate_lasts_equally_long() {
        let [low, middle, high] = [8_000, 16_000, 24_000]
            .map(|rate| synthesize("Thank you for calling.", rate, Accent::British).unwrap().len());
        assert_eq!((low * 2, high * 2), (middle, middle * 3));
    }

    #[test]
    fn nothing_to_say_ends_at_once() {
        for text in ["", " ", "…", "😀", "日本"] {
            assert!(synthesize(text, 16_000, Accent::American).unwrap().len() < 16_000, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn no_text_hangs_or_breaks_the_voice(text in ".{0,120}") {
            prop_assert!(synthesize(&text, 16_000, Accent::American).is_ok());
        }
    }
}
