//! Utterances: the stretches of a stream in which somebody speaks, with their samples.
//!
//! [`crate::activity`] says when; here the samples are kept so that the first sound of a word is
//! not lost (pre-roll), what is too quiet is not listened to, and an utterance that never ends is
//! ended. Counted in samples, since audio comes in bursts. It knows no words and no turns. Called
//! by the audio bridge: as the gate before a service that is paid by the second, and to know when
//! a caller has finished.

use std::{collections::VecDeque, time::Duration};

use crate::{
    activity::{Activity, ActivityConfig, ActivityEvent, FRAME_SAMPLES, RATE_HZ},
    level,
    pcm::duration_ms,
};

/// The frames in which speech is found out: what may lie between its start and the news of it.
const ONSET_SAMPLES: usize = 6 * FRAME_SAMPLES;

/// What counts as an utterance. The defaults are those of connect-kvs.md §7.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UtteranceConfig {
    /// Threshold and hangover.
    pub activity: ActivityConfig,
    /// What is kept of the time before the first voiced frame.
    pub pre_roll: Duration,
    /// With less speech than this it was a click or a cough.
    pub least: Duration,
    /// Nobody speaks longer without a pause: another one begins.
    pub longest: Duration,
    /// What is quieter counts as silence, in decibels of full scale.
    pub floor_dbfs: f64,
}

impl Default for UtteranceConfig {
    fn default() -> Self {
        let activity =
            ActivityConfig { hangover: Duration::from_millis(600), ..ActivityConfig::default() };
        Self {
            activity,
            pre_roll: Duration::from_millis(300),
            least: Duration::from_millis(200),
            longest: Duration::from_secs(15),
            floor_dbfs: -55.0,
        }
    }
}

/// What happened. Offsets are in milliseconds since the start of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UtteranceEvent {
    /// Somebody began to speak.
    Began {
        /// The first voiced frame; the samples that follow begin earlier, by the pre-roll.
        offset_ms: u64,
    },
    /// Samples of the utterance, its pauses and the hangover included.
    Voice(Vec<i16>),
    /// The utterance is over.
    Ended {
        /// The end of the last voiced frame.
        offset_ms: u64,
        /// What was voiced.
        speech_ms: u64,
        /// Why.
        cause: Cause,
    },
}

/// Why an utterance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Silence followed.
    Silence,
    /// Silence followed, and there was so little of it that it was none.
    TooShort,
    /// It reached the longest there may be.
    TooLong,
    /// Somebody wanted it to end: the stream is over, or no longer heard.
    Forced,
}

/// The utterances of one stream of 16 kHz mono samples.
#[derive(Debug)]
pub struct Utterances {
    config: UtteranceConfig,
    activity: Activity,
    /// Samples that do not fill a frame yet.
    pending: Vec<i16>,
    /// The latest samples of silence.
    before: VecDeque<i16>,
    /// Samples that were heard.
    position: u64,
    /// Where the present utterance ends at the latest, in samples.
    limit: Option<u64>,
}

impl Utterances {
    /// At the start of a stream.
    pub fn new(config: UtteranceConfig) -> Self {
        Self {
            activity: Activity::new(config.activity),
            config,
            pending: Vec::with_capacity(FRAME_SAMPLES),
            before: VecDeque::new(),
            position: 0,
            limit: None,
        }
    }

    /// Hears the next samples, any number of them. Decisions fall frame by frame, so that any
    /// division of the stream gives the same utterances.
    pub fn push(&mut self, samples: &[i16]) -> Vec<UtteranceEvent> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(samples);
        let (frames, rest) = pending.as_chunks::<FRAME_SAMPLES>();
        let mut events = Vec::new();
        frames.iter().for_each(|frame| self.hear(frame, &mut events));
        self.pending = rest.to_vec();
        events
    }

    /// Ends what is being said, as when the stream is over.
    pub fn force_end(&mut self) -> Option<UtteranceEvent> {
        self.end(Cause::Forced)
    }

    /// Whether somebody speaks, or has stopped less than the hangover ago.
    pub fn is_open(&self) -> bool {
        self.limit.is_some()
    }

    /// How much was heard, in milliseconds.
    pub fn position_ms(&self) -> u64 {
        duration_ms(self.position + self.pending.len() as u64, RATE_HZ)
    }

    fn hear(&mut self, frame: &[i16; FRAME_SAMPLES], events: &mut Vec<UtteranceEvent>) {
        self.position += FRAME_SAMPLES as u64;
        let is_quiet = level::rms_dbfs(frame) < self.config.floor_dbfs;
        let heard = match is_quiet {
            true => self.activity.push(&[0; FRAME_SAMPLES]),
            false => self.activity.push(frame),
        };
        if self.is_open() {
            voice(events, frame.iter().copied());
        } else {
            self.remember(frame);
        }
        for event in heard {
            match event {
                ActivityEvent::Started { offset_ms } => self.begin(offset_ms, events),
                ActivityEvent::Ended { offset_ms, speech_ms, .. } => {
                    self.limit = None;
                    let is_short = Duration::from_millis(speech_ms) < self.config.least;
                    let cause = if is_short { Cause::TooShort } else { Cause::Silence };
                    events.push(UtteranceEvent::Ended { offset_ms, speech_ms, cause });
                }
            }
        }
        if self.limit.is_some_and(|limit| self.position >= limit) {
            events.extend(self.end(Cause::TooLong));
        }
    }

    fn begin(&mut self, offset_ms: u64, events: &mut Vec<UtteranceEvent>) {
        events.push(UtteranceEvent::Began { offset_ms });
        // All of the pre-roll and of the onset, and nothing before it.
        let since = (self.position - ms_to_samples(offset_ms)) as usize + self.pre_roll();
        let skip = self.before.len().saturating_sub(since);
        voice(events, self.before.drain(..).skip(skip));
        let longest = ms_to_samples(u64::try_from(self.config.longest.as_millis()).unwrap_or(0));
        self.limit = Some(ms_to_samples(offset_ms) + longest.max(FRAME_SAMPLES as u64));
    }

    fn end(&mut self, cause: Cause) -> Option<UtteranceEvent> {
        self.limit = None;
        match self.activity.force_end()? {
            ActivityEvent::Ended { offset_ms, speech_ms, .. } => {
                Some(UtteranceEvent::Ended { offset_ms, speech_ms, cause })
            }
            ActivityEvent::Started { .. } => None,
        }
    }

    fn remember(&mut self, frame: &[i16]) {
        self.before.extend(frame);
        let surplus = self.before.len().saturating_sub(self.pre_roll() + ONSET_SAMPLES);
        self.before.drain(..surplus);
    }

    fn pre_roll(&self) -> usize {
        let ms = u64::try_from(self.config.pre_roll.as_millis()).unwrap_or(0);
        ms_to_samples(ms) as usize
    }
}

fn ms_to_samples(ms: u64) -> u64 {
    ms.saturating_mul(RATE_HZ.into()) / 1000
}

/// Adds samples to the stretch that is being given out.
fn voice(events: &mut Vec<UtteranceEvent>, samples: impl Iterator<Item = i16>) {
    match events.last_mut() {
        Some(UtteranceEvent::Voice(stretch)) => stretch.extend(samples),
        _ => events.push(UtteranceEvent::Voice(samples.collect())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Something that the detector takes for a voice: a buzz with formants that wander like those
    /// of vowels. `ms` of it.
    fn vowels(ms: usize) -> Vec<i16> {
        let (mut low, mut high) = ([0.0_f64; 2], [0.0_f64; 2]);
        (0..ms * 16)
            .map(|n| {
                let t = n as f64 / 16_000.0;
                let pulse = if n % 128 == 0 { 1.0 } else { 0.0 };
                let sway = (t * 4.0 * std::f64::consts::TAU).sin();
                let pass = |state: &mut [f64; 2], hz: f64| {
                    let (r, w) = (0.97, std::f64::consts::TAU * hz / 16_000.0);
                    let out = pulse + 2.0 * r * w.cos() * state[0] - r * r * state[1];
                    *state = [out, state[0]];
                    out
                };
                let sum =
                    pass(&mut low, 600.0 + 150.0 * sway) + pass(&mut high, 1_400.0 - 300.0 * sway);
                (sum * 2_500.0) as i16
            })
            .collect()
    }

    fn silence(ms: usize) -> Vec<i16> {
        vec![0; ms * 16]
    }

    fn run(config: UtteranceConfig, samples: &[i16]) -> Vec<UtteranceEvent> {
        let mut utterances = Utterances::new(config);
        let mut events = utterances.push(samples);
        events.extend(utterances.force_end());
        events
    }

    fn ends(events: &[UtteranceEvent]) -> Vec<Cause> {
        let cause = |event: &UtteranceEvent| match event {
            UtteranceEvent::Ended { cause, .. } => Some(*cause),
            _ => None,
        };
        events.iter().filter_map(cause).collect()
    }

    #[test]
    fn an_utterance_has_its_pre_roll_and_its_hangover() {
        let stream = [silence(1_000), vowels(1_000), silence(2_000)].concat();
        let events = run(UtteranceConfig::default(), &stream);
        let [
            UtteranceEvent::Began { offset_ms: began },
            UtteranceEvent::Voice(voice),
            UtteranceEvent::Ended { offset_ms: ended, cause: Cause::Silence, .. },
        ] = events.as_slice()
        else {
            panic!("{events:?}");
        };
        assert!((950..1_150).contains(began) && (1_900..2_300).contains(ended), "{began} {ended}");
        // From the pre-roll to the end of the hangover, 600 ms in whole frames, without a gap.
        let (from, to) = (began - 300, ended + 608);
        assert_eq!(voice, &stream[from as usize * 16..to as usize * 16]);
    }

    #[test]
    fn what_is_too_quiet_is_silence() {
        let quiet: Vec<i16> = vowels(2_000).iter().map(|sample| sample / 256).collect();
        assert_eq!(run(UtteranceConfig::default(), &quiet), []);
    }

    #[test]
    fn an_utterance_that_never_ends_is_ended_and_another_begins() {
        let config = UtteranceConfig { longest: Duration::from_secs(1), ..Default::default() };
        let causes = ends(&run(config, &vowels(3_500)));
        assert_eq!(causes, [Cause::TooLong, Cause::TooLong, Cause::TooLong, Cause::Forced]);
    }

    #[test]
    fn a_click_is_told_from_a_word() {
        let config = UtteranceConfig { least: Duration::from_secs(2), ..Default::default() };
        let stream = [silence(500), vowels(700), silence(2_000)].concat();
        assert_eq!(ends(&run(config, &stream)), [Cause::TooShort]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn any_division_gives_the_same_utterances(
            stretches in prop::collection::vec((any::<bool>(), 100_usize..900), 1..5),
            cuts in prop::collection::vec(0_usize..3_000, 0..20),
        ) {
            let stream: Vec<i16> = stretches
                .into_iter()
                .flat_map(|(speech, ms)| if speech { vowels(ms) } else { silence(ms) })
                .collect();
            let config = UtteranceConfig {
                longest: Duration::from_millis(700),
                activity: ActivityConfig { hangover: Duration::from_millis(96), ..Default::default() },
                ..Default::default()
            };
            let mut utterances = Utterances::new(config);
            let (mut events, mut rest) = (Vec::new(), stream.as_slice());
            for cut in cuts {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                events.extend(utterances.push(piece));
                rest = tail;
            }
            events.extend(utterances.push(rest));
            events.extend(utterances.force_end());
            // Stretches of samples may be divided; joined, they are the same.
            let mut joined: Vec<UtteranceEvent> = Vec::new();
            for event in events {
                match event {
                    UtteranceEvent::Voice(samples) => voice(&mut joined, samples.into_iter()),
                    other => joined.push(other),
                }
            }
            prop_assert_eq!(joined, run(config, &stream));
        }
    }
}
