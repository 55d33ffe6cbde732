//! Voice activity: when somebody starts and stops speaking, in audio time.
//!
//! `earshot` gives a probability per frame of 16 ms; the rest is a state machine over voiced and
//! unvoiced frames with the settings measured in local-voice.md §4. It hears no words and knows no
//! turns: what an end of speech means is its caller's business. Called by the emulator's ear.

use std::fmt;
use std::time::Duration;

use earshot::Detector;

use crate::pcm::duration_ms;

/// The only rate the detector understands, in Hz.
pub const RATE_HZ: u32 = 16_000;

/// Samples in a frame.
pub const FRAME_SAMPLES: usize = 256;

/// Milliseconds in a frame.
pub const FRAME_MS: u64 = 16;

/// Start of speech: this many voiced frames ...
const START_VOICED: u32 = 4;
/// ... out of this many.
const START_WINDOW: u32 = 6;

/// How speech is told from silence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActivityConfig {
    /// A frame is voiced from this probability on. 0.5 is best: 0.7 splits turns in noise.
    pub threshold: f32,
    /// Silence after which speech is over; rounded up to whole frames, at least one.
    pub hangover: Duration,
}

impl Default for ActivityConfig {
    /// Threshold 0.5 and 500 ms, as measured in local-voice.md §4.
    fn default() -> Self {
        Self { threshold: 0.5, hangover: Duration::from_millis(500) }
    }
}

/// What happened, with offsets in milliseconds of audio since the start of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityEvent {
    /// Speech began.
    Started {
        /// The beginning of the first voiced frame.
        offset_ms: u64,
    },
    /// Speech is over.
    Ended {
        /// The end of the last voiced frame.
        offset_ms: u64,
        /// Where this became known: `offset_ms` plus the hangover, or earlier if forced.
        detected_ms: u64,
        /// The voiced frames in between, pauses not counted.
        speech_ms: u64,
    },
}

/// The voice activity of one stream of 16 kHz mono samples.
pub struct Activity {
    detector: Box<Detector>,
    threshold: f32,
    machine: Machine,
    /// Samples that do not fill a frame yet.
    pending: Vec<i16>,
}

impl Activity {
    /// At the start of a stream.
    pub fn new(config: ActivityConfig) -> Self {
        Self {
            detector: Box::default(),
            threshold: config.threshold,
            machine: Machine::new(config.hangover),
            pending: Vec::with_capacity(FRAME_SAMPLES),
        }
    }

    /// Hears the next samples (16 kHz mono), any number of them.
    pub fn push(&mut self, samples: &[i16]) -> Vec<ActivityEvent> {
        self.pending.extend_from_slice(samples);
        let (frames, rest) = self.pending.as_chunks::<FRAME_SAMPLES>();
        let mut events = Vec::new();
        for frame in frames {
            let voiced = self.detector.predict_i16(frame) >= self.threshold;
            events.extend(self.machine.hear(voiced));
        }
        self.pending = rest.to_vec();
        events
    }

    /// Declares speech over now, as when the stream ends. Nothing if nobody speaks.
    pub fn force_end(&mut self) -> Option<ActivityEvent> {
        self.machine.force_end()
    }

    /// Changes the silence that ends speech, also of speech that is going on.
    pub fn set_hangover(&mut self, hangover: Duration) {
        self.machine.hangover = frames(hangover);
    }

    /// Whether somebody speaks, or has stopped less than the hangover ago.
    pub fn is_speaking(&self) -> bool {
        matches!(self.machine.state, State::Speech { .. })
    }

    /// How much audio has been heard, in milliseconds.
    pub fn position_ms(&self) -> u64 {
        self.machine.position_ms() + duration_ms(self.pending.len() as u64, RATE_HZ)
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity").field("machine", &self.machine).finish_non_exhaustive()
    }
}

/// Whole frames that last at least `duration`, one or more.
fn frames(duration: Duration) -> u64 {
    let frame = u128::from(FRAME_MS) * 1_000_000;
    u64::try_from(duration.as_nanos().div_ceil(frame)).unwrap_or(u64::MAX).max(1)
}

/// The decisions, frame by frame.
#[derive(Debug)]
struct Machine {
    hangover: u64,
    /// Frames heard so far.
    frame: u64,
    state: State,
}

/// ```text
///             4 of the last 6 frames voiced
///   Silence ---------------------------------> Speech
///      ^                                          |
///      '------------------------------------------'
///             hangover without a voiced frame, or forced
/// ```
#[derive(Debug)]
enum State {
    Silence {
        /// The last frames, newest in the lowest bit, 1 = voiced. Empty after speech, so that one
        /// voiced frame is not counted for two stretches of speech.
        history: u32,
    },
    Speech {
        /// The end of the last voiced frame, as a frame number.
        voiced_until: u64,
        voiced_frames: u64,
    },
}

impl Machine {
    fn new(hangover: Duration) -> Self {
        Self { hangover: frames(hangover), frame: 0, state: State::Silence { history: 0 } }
    }

    fn position_ms(&self) -> u64 {
        self.frame * FRAME_MS
    }

    fn hear(&mut self, voiced: bool) -> Option<ActivityEvent> {
        self.frame += 1;
        match &mut self.state {
            State::Silence { history } => {
                *history = (*history << 1 | u32::from(voiced)) & ((1 << START_WINDOW) - 1);
                let voiced_frames = history.count_ones();
                if voiced_frames < START_VOICED {
                    return None;
                }
                // The oldest voiced frame of the window is where speech began.
                let first = u64::from(u32::BITS - history.leading_zeros());
                self.state =
                    State::Speech { voiced_until: self.frame, voiced_frames: voiced_frames.into() };
                Some(ActivityEvent::Started { offset_ms: (self.frame - first) * FRAME_MS })
            }
            State::Speech { voiced_until, voiced_frames } => {
                if voiced {
                    *voiced_until = self.frame;
                    *voiced_frames += 1;
                }
                match self.frame - *voiced_until >= self.hangover {
                    true => self.force_end(),
                    false => None,
                }
            }
        }
    }

    fn force_end(&mut self) -> Option<ActivityEvent> {
        let State::Speech { voiced_until, voiced_frames } = self.state else { return None };
        self.state = State::Silence { history: 0 };
        Some(ActivityEvent::Ended {
            offset_ms: voiced_until * FRAME_MS,
            detected_ms: self.position_ms(),
            speech_ms: voiced_frames * FRAME_MS,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a pattern of `#` (voiced) and `.` (not) through a machine with `hangover` frames.
    fn run(hangover: u64, pattern: &str) -> Vec<ActivityEvent> {
        let mut machine = Machine::new(Duration::from_millis(hangover * FRAME_MS));
        pattern.chars().filter_map(|c| machine.hear(c == '#')).collect()
    }

    #[test]
    fn speech_starts_with_four_voiced_frames_out_of_six() {
        assert_eq!(run(9, "..#.#.#.#.#...."), []);
        assert_eq!(run(9, "..##..##"), [ActivityEvent::Started { offset_ms: 2 * 16 }]);
        // A lone frame long before does not count.
        assert_eq!(run(9, "#......####"), [ActivityEvent::Started { offset_ms: 7 * 16 }]);
    }

    #[test]
    fn speech_ends_after_the_hangover_and_pauses_are_bridged() {
        let started = ActivityEvent::Started { offset_ms: 16 };
        assert_eq!(
            run(3, ".####..##...."),
            [
                started,
                ActivityEvent::Ended { offset_ms: 9 * 16, detected_ms: 12 * 16, speech_ms: 6 * 16 }
            ]
        );
        assert_eq!(run(4, ".####...####..."), [started]);
    }

    #[test]
    fn an_end_can_be_forced_once() {
        let mut machine = Machine::new(Duration::from_secs(1));
        assert_eq!(machine.force_end(), None);
        for _ in 0..5 {
            machine.hear(true);
        }
        machine.hear(false);
        assert_eq!(
            machine.force_end(),
            Some(ActivityEvent::Ended { offset_ms: 80, detected_ms: 96, speech_ms: 80 })
        );
        assert_eq!(machine.force_end(), None);
    }

    #[test]
    fn a_hangover_is_rounded_up_to_frames() {
        assert_eq!(frames(Duration::ZERO), 1);
        assert_eq!(frames(Duration::from_millis(16)), 1);
        assert_eq!(frames(Duration::from_millis(17)), 2);
        assert_eq!(frames(Duration::MAX), u64::MAX);
    }

    #[test]
    fn silence_is_not_speech() {
        let mut activity = Activity::new(ActivityConfig::default());
        assert_eq!(activity.push(&[0; 16_000]), []);
        assert_eq!(activity.position_ms(), 1000);
        assert!(!activity.is_speaking());
    }

    proptest! {
        #[test]
        fn events_alternate_and_time_runs_forward(
            pattern in prop::collection::vec(any::<bool>(), 0..400),
            hangover in 1_u64..30,
        ) {
            let mut machine = Machine::new(Duration::from_millis(hangover * FRAME_MS));
            let (mut speaking, mut last) = (false, 0);
            for voiced in pattern {
                match machine.hear(voiced) {
                    None => {}
                    Some(ActivityEvent::Started { offset_ms }) => {
                        prop_assert!(!speaking && offset_ms >= last);
                        (speaking, last) = (true, offset_ms);
                    }
                    Some(ActivityEvent::Ended { offset_ms, detected_ms, speech_ms }) => {
                        prop_assert!(speaking && offset_ms > last);
                        prop_assert_eq!(detected_ms - offset_ms, hangover * FRAME_MS);
                        prop_assert!(speech_ms <= offset_ms - last);
                        (speaking, last) = (false, offset_ms);
                    }
                }
            }
        }

        #[test]
        fn any_division_of_the_samples_gives_the_same_events(
            seed: u64,
            cuts in prop::collection::vec(0_usize..900, 0..20),
        ) {
            // Bursts of noise: the detector's verdict does not matter here, only that it is one.
            let mut state = seed | 1;
            let samples: Vec<i16> = (0..9_000).map(|n| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let loud = if n / 2_500 % 2 == 0 { 0 } else { 3 };
                ((state >> 48) as i16) >> (12 - 3 * loud)
            }).collect();
            let config = ActivityConfig { threshold: 0.3, hangover: Duration::from_millis(32) };
            let whole = Activity::new(config).push(&samples);
            let mut activity = Activity::new(config);
            let (mut events, mut rest) = (Vec::new(), samples.as_slice());
            for cut in cuts {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                events.extend(activity.push(piece));
                rest = tail;
            }
            events.extend(activity.push(rest));
            prop_assert_eq!(events, whole);
        }
    }
}
