//! Half an ear: it hears that the caller speaks and when the turn is over, and no words.
//!
//! Not a recogniser; `listener` has one beside it, if there is one. The session feeds it every
//! `audioInput` of a connection and turns its events
//! into `userSpeechStart` and `userSpeechEnd` (nova-sonic.md §3.2). All times are audio time:
//! milliseconds of input received, never the wall clock.

use std::time::Duration;

use voice_audio::{Activity, ActivityConfig, ActivityEvent, Resampler, SampleReader, activity};

/// Speech shorter than this in total is a cough or a click, not a turn (local-voice.md §7c).
pub const MIN_TURN_MS: u64 = 300;

/// The input rates Nova Sonic takes, in Hz.
const RATES: [u32; 3] = [8_000, 16_000, 24_000];

/// What the ear heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarEvent {
    /// The caller began to speak.
    SpeechStarted {
        /// Where speech began, in milliseconds of input audio.
        offset_ms: u64,
    },
    /// The caller has been silent for the endpointing time. Sent after every `SpeechStarted`,
    /// also when the speech was too short to be a turn: see [`EarEvent::is_turn`].
    SpeechEnded {
        /// The end of the last voiced frame, in milliseconds of input audio.
        offset_ms: u64,
        /// Where the ear was sure of it: about `offset_ms` plus the endpointing time.
        detected_ms: u64,
        /// Voiced time between start and end, pauses not counted.
        speech_ms: u64,
    },
}

impl EarEvent {
    /// Whether this ends something long enough to be answered ([`MIN_TURN_MS`]).
    pub fn is_turn(&self) -> bool {
        matches!(self, Self::SpeechEnded { speech_ms, .. } if *speech_ms >= MIN_TURN_MS)
    }
}

impl From<ActivityEvent> for EarEvent {
    fn from(event: ActivityEvent) -> Self {
        match event {
            ActivityEvent::Started { offset_ms } => Self::SpeechStarted { offset_ms },
            ActivityEvent::Ended { offset_ms, detected_ms, speech_ms } => {
                Self::SpeechEnded { offset_ms, detected_ms, speech_ms }
            }
        }
    }
}

/// The ear of one connection.
#[derive(Debug)]
pub struct Ear {
    reader: SampleReader,
    /// To the detector's rate; `None` when the input has it already.
    resampler: Option<Resampler>,
    activity: Activity,
}

impl Ear {
    /// An ear for mono input at `rate_hz` that calls a turn over after `endpointing` of silence.
    ///
    /// Nova Sonic takes 8, 16 and 24 kHz; at any other rate the ear listens as if it were the
    /// nearest of these, so its offsets are off by that much.
    pub fn new(rate_hz: u32, endpointing: Duration) -> Self {
        let rate = RATES.into_iter().min_by_key(|rate| rate.abs_diff(rate_hz));
        let rate = rate.unwrap_or(activity::RATE_HZ);
        let resampler = match rate == activity::RATE_HZ {
            true => None,
            false => Resampler::new(rate, activity::RATE_HZ).ok(),
        };
        let config = ActivityConfig { hangover: endpointing, ..ActivityConfig::default() };
        Self { reader: SampleReader::new(), resampler, activity: Activity::new(config) }
    }

    /// Hears the next piece of PCM16 little-endian mono, of any length, odd ones too.
    pub fn push(&mut self, pcm_le: &[u8]) -> Vec<EarEvent> {
        let samples = self.read(pcm_le);
        self.hear(&samples)
    }

    /// The first half of [`Ear::push`]: the samples at 16 kHz that these bytes complete.
    pub fn read(&mut self, pcm_le: &[u8]) -> Vec<i16> {
        let samples = self.reader.read(pcm_le);
        match &mut self.resampler {
            Some(resampler) => resampler.push(&samples),
            None => samples,
        }
    }

    /// The second half: hears samples at 16 kHz.
    pub fn hear(&mut self, samples: &[i16]) -> Vec<EarEvent> {
        self.activity.push(samples).into_iter().map(EarEvent::from).collect()
    }

    /// Changes the silence that ends a turn, also of one that is going on.
    pub fn set_endpointing(&mut self, endpointing: Duration) {
        self.activity.set_hangover(endpointing);
    }

    /// Calls speech over now, as when the client closes the audio content. At most one event.
    pub fn force_end(&mut self) -> Option<EarEvent> {
        self.activity.force_end().map(EarEvent::from)
    }

    /// Whether the caller speaks, or stopped less than the endpointing time ago.
    pub fn is_speaking(&self) -> bool {
        self.activity.is_speaking()
    }

    /// How much input has been heard, in milliseconds.
    pub fn position_ms(&self) -> u64 {
        self.activity.position_ms()
    }
}

#[cfg(test)]
mod tests {
    use voice_audio::pcm;

    use super::*;
    use crate::voice::{Accent, synthesize};

    const ENDPOINTING: Duration = Duration::from_millis(500);

    /// Half a second of silence, `text`, and a second of silence, as bytes.
    fn call(text: &str, rate_hz: u32) -> Vec<u8> {
        let speech = synthesize(text, rate_hz, Accent::British).unwrap();
        let silence = vec![0_i16; rate_hz as usize];
        let call = [&silence[..silence.len() / 2], &speech, &silence].concat();
        pcm::bytes(&call).to_vec()
    }

    #[test]
    fn a_spoken_sentence_is_one_turn_at_every_rate() {
        for rate in RATES {
            let audio = call("What is the balance of my account?", rate);
            let mut ear = Ear::new(rate, ENDPOINTING);
            // 31 bytes: every second piece cuts a sample in two.
            let events: Vec<_> = audio.chunks(31).flat_map(|piece| ear.push(piece)).collect();
            let [EarEvent::SpeechStarted { offset_ms: start }, end] = events[..] else {
                panic!("{rate} Hz: {events:?}");
            };
            let EarEvent::SpeechEnded { offset_ms, detected_ms, speech_ms } = end else {
                panic!("{rate} Hz: {events:?}");
            };
            assert!((400..800).contains(&start), "{rate} Hz: {events:?}");
            assert!((500..530).contains(&(detected_ms - offset_ms)), "{rate} Hz: {events:?}");
            assert!(end.is_turn() && speech_ms <= offset_ms - start, "{rate} Hz: {events:?}");
            assert!(!ear.is_speaking());
        }
    }

    #[test]
    fn a_short_sound_ends_but_is_no_turn() {
        let short = EarEvent::SpeechEnded { offset_ms: 300, detected_ms: 800, speech_ms: 208 };
        assert!(!short.is_turn());
        assert!(!EarEvent::SpeechStarted { offset_ms: 0 }.is_turn());
    }

    #[test]
    fn speech_can_be_cut_off() {
        let audio = call("I would like to know", 16_000);
        let mut ear = Ear::new(16_000, ENDPOINTING);
        let events = ear.push(&audio[..40_000]);
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(matches!(ear.force_end(), Some(EarEvent::SpeechEnded { .. })));
        assert_eq!(ear.force_end(), None);
        assert_eq!(ear.position_ms(), 1250);
    }
}
