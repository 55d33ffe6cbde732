//! The two voices of a call on one clock: the caller left, the assistant right *as it was heard*.
//!
//! For whoever records or transcribes. The caller's samples are laid one after the other as they
//! come; only a longer gap is filled with silence, and silence that a late burst shows to have
//! been a stall of the network is taken back. The assistant's samples lie where the playout queue
//! says they are heard; a barge-in cuts off what was not heard yet. To be able to do either, the
//! mixer gives its audio out half a second late.
//!
//! A machine: no actix, no clock. `now` goes in, blocks of samples come out.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use voice_audio::Resampler;

/// How late audio is given out.
const HOLD: Duration = Duration::from_millis(500);
/// A gap in the caller's audio that is not filled: frames are never exactly on time.
const SLACK: Duration = Duration::from_millis(120);
/// A gap in the assistant's audio that is none.
const ROUNDING: Duration = Duration::from_millis(2);
/// How far the caller's audio may be ahead of the clock before silence is taken back.
const AHEAD: Duration = Duration::from_millis(40);
/// Audio of one track that may wait. More is a client out of its mind; the rest is left out.
const MOST: Duration = Duration::from_secs(20);
/// What is given out at once: a divisor of a second at every rate.
const BLOCK: Duration = Duration::from_millis(20);

/// The rate of the caller's audio.
const CALLER_HZ: u32 = 16_000;
/// The rate of the assistant's audio.
const ASSISTANT_HZ: u32 = 24_000;

/// The mixer of one call.
pub struct Mixer {
    /// Where position 0 is.
    origin: Instant,
    caller: Track,
    assistant: Track,
}

/// One voice.
struct Track {
    rate: u32,
    /// Samples that were given out, since the origin.
    given: u64,
    /// Samples that follow them.
    waiting: VecDeque<i16>,
    /// The last silence that was filled in: where it begins, how many samples of it there are.
    filled: (u64, u64),
    /// To the rate that is wanted; `None` when it has it.
    resampler: Option<Resampler>,
    converted: Vec<i16>,
}

impl Mixer {
    /// A mixer that gives out both voices at `rate` (8,000 or 16,000 Hz), beginning now.
    pub fn new(rate: u32, now: Instant) -> Self {
        Self {
            origin: now,
            caller: Track::new(CALLER_HZ, rate),
            assistant: Track::new(ASSISTANT_HZ, rate),
        }
    }

    /// The caller's next samples arrived.
    pub fn caller(&mut self, samples: &[i16], now: Instant) {
        let track = &mut self.caller;
        if track.is_full() {
            return;
        }
        let here = track.position(now.saturating_duration_since(self.origin));
        let begin = here.saturating_sub(samples.len() as u64);
        if begin > track.end() + track.position(SLACK) {
            track.fill_to(begin);
        }
        track.waiting.extend(samples);
        let ahead = track.end().saturating_sub(here);
        if ahead > track.position(AHEAD) {
            track.take_back(ahead);
        }
    }

    /// The assistant's next samples are heard from `from` on.
    pub fn assistant(&mut self, samples: &[i16], from: Instant) {
        let track = &mut self.assistant;
        if track.is_full() {
            return;
        }
        let begin = track.position(from.saturating_duration_since(self.origin));
        // A sample more or less is rounding: frames that follow each other stay together.
        if begin > track.end() + track.position(ROUNDING) {
            track.fill_to(begin);
        }
        track.waiting.extend(samples);
    }

    /// Barge-in: what was not heard by now never is.
    pub fn flush(&mut self, now: Instant) {
        let track = &mut self.assistant;
        let here = track.position(now.saturating_duration_since(self.origin));
        let keep = here.saturating_sub(track.given);
        track.waiting.truncate(keep.try_into().unwrap_or(usize::MAX));
    }

    /// What is due by now: pairs of samples, left and right.
    pub fn take(&mut self, now: Instant) -> Vec<i16> {
        self.take_until(now.checked_sub(HOLD).unwrap_or(self.origin))
    }

    /// All that is left; the call is over.
    pub fn finish(&mut self, now: Instant) -> Vec<i16> {
        let mut pairs = self.take_until(now);
        self.caller.flush();
        self.assistant.flush();
        pairs.extend(self.pairs());
        pairs
    }

    fn take_until(&mut self, until: Instant) -> Vec<i16> {
        let until = until.saturating_duration_since(self.origin);
        for track in [&mut self.caller, &mut self.assistant] {
            let block = track.position(BLOCK);
            let due = track.position(until).saturating_sub(track.given) / block * block;
            track.give(due);
        }
        self.pairs()
    }

    fn pairs(&mut self) -> Vec<i16> {
        let (left, right) = (&mut self.caller.converted, &mut self.assistant.converted);
        let count = left.len().min(right.len());
        let mut pairs = vec![0; count * 2];
        for ((pair, left), right) in pairs.as_chunks_mut().0.iter_mut().zip(&*left).zip(&*right) {
            *pair = [*left, *right];
        }
        left.drain(..count);
        right.drain(..count);
        pairs
    }
}

impl Track {
    fn new(rate: u32, wanted: u32) -> Self {
        // Both are among the rates that it knows; otherwise the rate stays.
        let resampler = (rate != wanted).then(|| Resampler::new(rate, wanted).ok()).flatten();
        Self {
            rate,
            given: 0,
            waiting: VecDeque::new(),
            filled: (0, 0),
            resampler,
            converted: Vec::new(),
        }
    }

    /// Samples in so much time.
    fn position(&self, time: Duration) -> u64 {
        (time.as_nanos() * u128::from(self.rate) / 1_000_000_000).try_into().unwrap_or(u64::MAX)
    }

    fn end(&self) -> u64 {
        self.given + self.waiting.len() as u64
    }

    fn is_full(&self) -> bool {
        self.waiting.len() as u64 >= self.position(MOST)
    }

    /// Silence up to `position`.
    fn fill_to(&mut self, position: u64) {
        let missing = position.saturating_sub(self.end()).min(self.position(MOST));
        if missing > 0 {
            self.filled = (self.end(), missing);
            self.waiting.extend(std::iter::repeat_n(0, missing as usize));
        }
    }

    /// Takes up to `count` samples of the last filled silence back.
    fn take_back(&mut self, count: u64) {
        let (begin, length) = self.filled;
        let first = begin.max(self.given);
        let left = (begin + length).saturating_sub(first);
        let count = left.min(count);
        let at = (first - self.given) as usize;
        self.waiting.drain(at..at + count as usize);
        self.filled = (first, left - count);
    }

    fn give(&mut self, count: u64) {
        let count = count as usize;
        let there = count.min(self.waiting.len());
        let mut samples = Vec::with_capacity(count);
        let (first, second) = self.waiting.as_slices();
        let cut = there.min(first.len());
        samples.extend_from_slice(&first[..cut]);
        samples.extend_from_slice(&second[..there - cut]);
        self.waiting.drain(..there);
        samples.resize(count, 0);
        self.given += count as u64;
        match &mut self.resampler {
            Some(resampler) => self.converted.extend(resampler.push(&samples)),
            None => self.converted.extend(samples),
        }
    }

    fn flush(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            self.converted.extend(resampler.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// The caller says `value` for so many milliseconds.
    fn said(value: i16, milliseconds: usize) -> Vec<i16> {
        vec![value; milliseconds * 16]
    }

    fn left(pairs: &[i16]) -> Vec<i16> {
        pairs.iter().step_by(2).copied().collect()
    }

    fn right(pairs: &[i16]) -> Vec<i16> {
        pairs.iter().skip(1).step_by(2).copied().collect()
    }

    /// Where a voice begins and ends, in milliseconds at 16 kHz.
    fn heard(samples: &[i16]) -> Option<(usize, usize)> {
        let loud = |sample: &i16| sample.abs() > 200;
        let first = samples.iter().position(loud)?;
        let last = samples.iter().rposition(loud)?;
        Some((first / 16, last / 16))
    }

    #[test]
    fn both_voices_lie_where_they_were_heard() {
        let start = Instant::now();
        let mut mixer = Mixer::new(16_000, start);
        for frame in 1..=100 {
            let value = if frame > 40 && frame <= 60 { 1_000 } else { 0 };
            mixer.caller(&said(value, 20), start + ms(frame * 20));
        }
        // Released ahead of time, heard from 500 ms on.
        mixer.assistant(&vec![2_000; 24 * 300], start + ms(500));
        let mut pairs = mixer.take(start + ms(1_500));
        assert!(pairs.len() <= 2 * 1_000 * 16, "it is given out too early");
        pairs.extend(mixer.finish(start + ms(2_000)));
        assert_eq!(pairs.len(), 2 * 2_000 * 16);
        assert_eq!(heard(&left(&pairs)), Some((800, 1_199)));
        let (from, to) = heard(&right(&pairs)).expect("a voice");
        assert!(from.abs_diff(500) <= 2 && to.abs_diff(800) <= 2, "{from} {to}");
    }

    #[test]
    fn frames_that_follow_each_other_stay_together() {
        let start = Instant::now();
        let mut mixer = Mixer::new(16_000, start);
        let voice: Vec<i16> = (0..24_000).map(|n| (n % 97) * 100).collect();
        let mut at = start + Duration::from_nanos(12_345_678);
        for frame in voice.chunks(157) {
            mixer.assistant(frame, at);
            at += Duration::from_nanos(157 * 1_000_000_000 / 24_000);
        }
        let track = &mixer.assistant;
        let begin = track.position(Duration::from_nanos(12_345_678));
        let laid: Vec<i16> = track.waiting.iter().skip(begin as usize).copied().collect();
        assert!(laid == voice, "a sample was put between two frames, or lost");
    }

    #[test]
    fn a_barge_in_cuts_what_was_not_heard() {
        let start = Instant::now();
        let mut mixer = Mixer::new(16_000, start);
        mixer.assistant(&vec![2_000; 24 * 900], start);
        mixer.flush(start + ms(400));
        mixer.assistant(&vec![3_000; 24 * 100], start + ms(700));
        let voice = right(&mixer.finish(start + ms(1_000)));
        let cut = &voice[16 * 402..16 * 698];
        assert!(cut.iter().all(|sample| sample.abs() < 200), "something is heard after the cut");
        assert!(voice[16 * 390].abs() > 1_500 && voice[16 * 750].abs() > 2_500);
    }

    #[test]
    fn jitter_moves_nothing_and_a_stall_is_taken_back() {
        let start = Instant::now();
        let mut mixer = Mixer::new(16_000, start);
        mixer.caller(&said(1_000, 20), start + ms(20));
        mixer.caller(&said(1_000, 20), start + ms(95));
        // Nothing for 400 ms, then all of it at once.
        for _ in 0..20 {
            mixer.caller(&said(1_000, 20), start + ms(440));
        }
        let voice = left(&mixer.finish(start + ms(600)));
        let (from, to) = heard(&voice).expect("a voice");
        assert_eq!(from, 0);
        assert!(to <= 480, "silence was left in the middle: {to}");
        let silent = voice[..to * 16].iter().filter(|sample| **sample == 0).count();
        assert!(silent <= 40 * 16, "{silent} samples of silence within speech");
    }

    #[test]
    fn a_client_that_sends_nothing_is_silent_for_so_long() {
        let start = Instant::now();
        let mut mixer = Mixer::new(8_000, start);
        mixer.caller(&said(1_000, 100), start + ms(100));
        mixer.caller(&said(1_000, 100), start + ms(3_100));
        let voice = left(&mixer.finish(start + ms(3_200)));
        assert_eq!(voice.len(), 3_200 * 8);
        let speech = |at: usize| voice[at * 8].abs() > 500;
        assert!(speech(50) && !speech(200) && !speech(2_950) && speech(3_050));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_story_gives_audio_of_its_length(
            steps in proptest::collection::vec((0_u8..4, 0_u64..900, 0_usize..400), 0..30),
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut mixer = Mixer::new(8_000, start);
            let mut pairs = Vec::new();
            for (what, pause, length) in steps {
                now += ms(pause);
                match what {
                    0 => mixer.caller(&said(500, length), now),
                    1 => mixer.assistant(&vec![500; length * 24], now + ms(pause % 200)),
                    2 => mixer.flush(now),
                    _ => pairs.extend(mixer.take(now)),
                }
            }
            pairs.extend(mixer.finish(now));
            let lasted = (now - start).as_millis() as usize;
            let expected = lasted / 20 * 20 * 8 * 2;
            prop_assert!(pairs.len().abs_diff(expected) <= 16, "{} {}", pairs.len(), expected);
        }
    }
}
