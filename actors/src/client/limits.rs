//! How much a client may send: a token bucket for JSON messages, and one for audio.
//!
//! Machines: no actix, no clock.

use std::time::{Duration, Instant};

/// Messages that may come at once.
const BURST: f64 = 100.0;
/// Messages per second after that.
const RATE: f64 = 20.0;
/// Refused messages, less those accepted since, after which the client is beyond repair.
const PATIENCE: u32 = 1_000;
/// The client is told of refusals at most this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Handle it.
    Accept,
    /// Drop it and tell the client.
    Refuse,
    /// Drop it; the client was told a moment ago.
    RefuseQuietly,
    /// Close: the client does not listen.
    Close,
}

/// The bucket of one client.
#[derive(Debug)]
pub struct MessageLimit {
    tokens: f64,
    at: Instant,
    told: Option<Instant>,
    refused: u32,
}

impl MessageLimit {
    /// A full bucket.
    pub fn new(now: Instant) -> Self {
        Self { tokens: BURST, at: now, told: None, refused: 0 }
    }

    /// Decides on one message.
    pub fn judge(&mut self, now: Instant) -> Verdict {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.tokens = (self.tokens + elapsed * RATE).min(BURST);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            self.refused = self.refused.saturating_sub(1);
            return Verdict::Accept;
        }
        self.refused += 1;
        if self.refused > PATIENCE {
            return Verdict::Close;
        }
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < TELL_EVERY) {
            return Verdict::RefuseQuietly;
        }
        self.told = Some(now);
        Verdict::Refuse
    }
}

/// Seconds of audio per second after that. A voice makes one.
const AUDIO_RATE: f64 = 2.0;
/// Seconds of refused audio after which the client is beyond repair.
const AUDIO_PATIENCE: f64 = 60.0;

/// The bucket of a client's audio, in seconds of speech. Whoever sends faster than a voice can
/// speak is no voice, and all of it would cost what speech costs.
#[derive(Debug)]
pub struct AudioLimit {
    burst: f64,
    seconds: f64,
    at: Instant,
    told: Option<Instant>,
    refused: f64,
}

impl AudioLimit {
    /// A full bucket: so much audio may come at once, since a client or the network keeps it while
    /// the line is away.
    pub fn new(burst: Duration, now: Instant) -> Self {
        let burst = burst.as_secs_f64();
        Self { burst, seconds: burst, at: now, told: None, refused: 0.0 }
    }

    /// Decides on audio of this duration.
    pub fn judge(&mut self, duration: Duration, now: Instant) -> Verdict {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.seconds = (self.seconds + elapsed * AUDIO_RATE).min(self.burst);
        let duration = duration.as_secs_f64();
        if self.seconds >= duration {
            self.seconds -= duration;
            return Verdict::Accept;
        }
        self.refused += duration;
        if self.refused > AUDIO_PATIENCE {
            return Verdict::Close;
        }
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < TELL_EVERY) {
            return Verdict::RefuseQuietly;
        }
        self.told = Some(now);
        Verdict::Refuse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(32);

    #[test]
    fn a_voice_is_never_too_fast_and_what_was_kept_may_come_at_once() {
        let start = Instant::now();
        let mut limit = AudioLimit::new(Duration::from_secs(35), start);
        let kept = (0..1_000).map(|_| limit.judge(FRAME, start));
        assert!(kept.into_iter().all(|verdict| verdict == Verdict::Accept), "32 s");
        let live = |frame| limit.judge(FRAME, start + FRAME * frame);
        assert!((0..10_000).map(live).all(|verdict| verdict == Verdict::Accept));
    }

    #[test]
    fn audio_at_many_times_real_time_is_dropped_told_and_then_closed() {
        let start = Instant::now();
        let mut limit = AudioLimit::new(Duration::from_secs(35), start);
        let eight_times = |n| limit.judge(FRAME, start + FRAME * n / 8);
        let verdicts = (0..10_000).map(eight_times).take_while(|v| *v != Verdict::Close);
        let verdicts: Vec<_> = verdicts.collect();
        let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
        // Of eight seconds each second two are taken, after the burst: 60 s are refused after 15.8.
        assert!((3_900..4_000).contains(&verdicts.len()), "{}", verdicts.len());
        let accepted = count(Verdict::Accept) as f64 * FRAME.as_secs_f64();
        assert!((66.0..67.0).contains(&accepted), "{accepted} s");
        assert!((9..12).contains(&count(Verdict::Refuse)), "told once a second");
    }

    #[test]
    fn a_burst_is_cut_and_the_client_is_told_once() {
        let now = Instant::now();
        let mut limit = MessageLimit::new(now);
        let verdicts: Vec<_> = (0..1_000).map(|_| limit.judge(now)).collect();
        let count = |wanted| verdicts.iter().filter(|v| **v == wanted).count();
        assert_eq!(count(Verdict::Accept), 100);
        assert_eq!(count(Verdict::Refuse), 1);
        assert_eq!(count(Verdict::RefuseQuietly), 899);
        assert_eq!(limit.judge(now + Duration::from_secs(1)), Verdict::Accept);
    }

    #[test]
    fn a_client_that_never_stops_is_closed() {
        let now = Instant::now();
        let mut limit = MessageLimit::new(now);
        assert!((0..1_200).any(|_| limit.judge(now) == Verdict::Close));
        // At any speed that is more than is refilled by far.
        let mut limit = MessageLimit::new(now);
        let flood = |message| now + message * Duration::from_millis(5);
        assert!((0..2_000).any(|message| limit.judge(flood(message)) == Verdict::Close));
        // Who is a little too fast is slowed, and no more.
        let mut limit = MessageLimit::new(now);
        let hasty = |message| now + message * Duration::from_millis(40);
        assert!((0..10_000).all(|message| limit.judge(hasty(message)) != Verdict::Close));
    }
}
