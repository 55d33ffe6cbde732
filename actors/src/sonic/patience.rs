//! When a service that says nothing must be taken for dead.
//!
//! A stream can break without a sign: bytes that announce a message which never comes, a
//! connection whose far side is gone. The service may be silent while the caller is; but when it
//! owes an answer, or the caller is loud and clear, silence of many seconds is no answer.
//!
//! A machine: no actix, no clock.

use std::time::{Duration, Instant};

use voice_call::AudioChunk;

use crate::loudness::Loudness;

/// How much loud audio the service may leave without any sign.
const LOUD_LIMIT: Duration = Duration::from_secs(1);
/// The part of the limit after which that is suspicious.
const SUSPICIOUS_PART: u32 = 3;

/// What the silence of the service means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// It owes an answer for certain, and is dead.
    Dead,
    /// The caller was loud, has stopped, and it does not say what it makes of it. It may be noise
    /// that the service ignores: a reason to try another stream, none to cut this one.
    Suspicious,
}

/// Watches one stream.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    owed: Option<Instant>,
    heard: Instant,
    ear: Loudness,
    loud: Duration,
    last_loud: Instant,
    suspected: bool,
}

impl Patience {
    /// Patience that lasts for `limit`, with a service that has just said something.
    pub fn new(limit: Duration, now: Instant) -> Self {
        Self {
            limit,
            owed: None,
            heard: now,
            ear: Loudness::default(),
            loud: Duration::ZERO,
            last_loud: now,
            suspected: false,
        }
    }

    /// The service has been told something that it always answers (a text, a result, words that
    /// it understood), or has begun an answer and owes the rest.
    pub fn owed(&mut self, now: Instant) {
        self.owed = Some(now);
    }

    /// It has said all it wants to say, or waits for a tool.
    pub fn answered(&mut self) {
        self.owed = None;
    }

    /// It said anything at all.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.loud = Duration::ZERO;
        self.suspected = false;
    }

    /// The caller's audio went to it.
    pub fn fed(&mut self, audio: &AudioChunk, now: Instant) {
        if self.ear.is_loud(audio) {
            self.loud += audio.duration();
            self.last_loud = now;
        }
    }

    /// What its silence means by now, said once.
    pub fn judge(&mut self, now: Instant) -> Option<Silence> {
        let silent_since = |since: Instant| now.saturating_duration_since(since.max(self.heard));
        if self.owed.is_some_and(|owed| silent_since(owed) >= self.limit) {
            self.owed = None;
            return Some(Silence::Dead);
        }
        let suspicious =
            self.loud >= LOUD_LIMIT && silent_since(self.last_loud) >= self.limit / SUSPICIOUS_PART;
        (suspicious && !std::mem::replace(&mut self.suspected, true)).then_some(Silence::Suspicious)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use voice_call::SampleRate;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn second(value: i16) -> AudioChunk {
        let pcm: Vec<u8> = std::iter::repeat_n(value.to_le_bytes(), 16_000).flatten().collect();
        AudioChunk::new(Bytes::from(pcm), SampleRate::Hz16000).unwrap()
    }

    #[test]
    fn an_answer_that_is_owed_may_take_its_time_but_not_in_silence() {
        let start = Instant::now();
        let mut patience = Patience::new(15 * S, start);
        assert_eq!(patience.judge(start + 999 * S), None, "nothing is owed");
        patience.owed(start);
        patience.heard(start + 10 * S);
        assert_eq!(patience.judge(start + 24 * S), None);
        assert_eq!(patience.judge(start + 25 * S), Some(Silence::Dead));
        assert_eq!(patience.judge(start + 26 * S), None);
        patience.owed(start + 30 * S);
        patience.owed(start + 31 * S);
        patience.heard(start + 40 * S);
        assert_eq!(patience.judge(start + 55 * S), Some(Silence::Dead), "in mid-sentence");
        patience.owed(start + 60 * S);
        patience.answered();
        assert_eq!(patience.judge(start + 99 * S), None);
    }

    #[test]
    fn a_loud_caller_who_is_not_noticed_raises_suspicion_once() {
        let start = Instant::now();
        let mut patience = Patience::new(15 * S, start);
        let feed = |patience: &mut Patience, seconds: std::ops::Range<u32>, value| {
            seconds.for_each(|at| patience.fed(&second(value), start + at * S));
        };
        feed(&mut patience, 0..60, 100);
        assert_eq!(patience.judge(start + 60 * S), None, "a quiet room");
        feed(&mut patience, 60..62, 3_000);
        assert_eq!(patience.judge(start + 65 * S), None, "it may wait for more");
        assert_eq!(patience.judge(start + 66 * S), Some(Silence::Suspicious));
        assert_eq!(patience.judge(start + 67 * S), None);
        patience.heard(start + 68 * S);
        feed(&mut patience, 70..72, -6_000);
        patience.heard(start + 73 * S);
        assert_eq!(patience.judge(start + 99 * S), None, "it has said something since");
    }
}
