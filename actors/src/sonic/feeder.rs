//! Keeps the audio container fed: Nova Sonic wants audio at real-time pace, and a typed message
//! or an idle clock does not wait for a client that sends none (`nova-sonic.md` §2.7, §4.1).
//!
//! A machine: no actix, no clock.

use std::time::{Duration, Instant};

/// The most silence that is fed at once.
const LARGEST: Duration = Duration::from_millis(200);

/// How often to ask.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// Compares the audio that was sent with the time that went by.
#[derive(Debug)]
pub struct Feeder {
    /// A gap that is not filled: jitter of the network, and fragments of the phone, close by
    /// themselves.
    gap: Duration,
    /// The point of the call up to which the container holds audio.
    covered: Instant,
}

impl Feeder {
    /// A feeder of a container that was opened `now`, for a client with such gaps.
    pub fn new(gap: Duration, now: Instant) -> Self {
        Self { gap, covered: now }
    }

    /// The caller's audio of this length was sent.
    pub fn sent(&mut self, audio: Duration, now: Instant) {
        // What comes late fills its own gap; what comes early is not held against the caller.
        self.covered = (self.covered + audio).min(now + self.gap);
    }

    /// How much silence to send now.
    pub fn due(&mut self, now: Instant) -> Option<Duration> {
        let behind = now.saturating_duration_since(self.covered);
        if behind <= self.gap {
            return None;
        }
        // A process that was held up does not pour the whole gap out at once.
        let silence = (behind - self.gap).min(LARGEST);
        self.covered = now - self.gap;
        Some(silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const GAP: Duration = Duration::from_millis(300);

    #[test]
    fn a_talking_client_is_left_alone() {
        let mut now = Instant::now();
        let mut feeder = Feeder::new(GAP, now);
        for _ in 0..500 {
            now += 32 * MS;
            feeder.sent(32 * MS, now);
            assert_eq!(feeder.due(now), None);
        }
    }

    #[test]
    fn silence_replaces_a_silent_client_at_real_time_pace() {
        let start = Instant::now();
        let mut feeder = Feeder::new(GAP, start);
        let fed: Duration = (1..=100).filter_map(|tick| feeder.due(start + tick * INTERVAL)).sum();
        assert_eq!(fed, 100 * INTERVAL - GAP);
    }

    #[test]
    fn jitter_is_not_filled_and_a_burst_catches_up() {
        let start = Instant::now();
        let mut feeder = Feeder::new(GAP, start);
        assert_eq!(feeder.due(start + 250 * MS), None);
        for _ in 0..8 {
            feeder.sent(32 * MS, start + 250 * MS);
        }
        assert_eq!(feeder.due(start + 500 * MS), None);
    }

    #[test]
    fn a_voice_in_fragments_of_a_second_is_not_cut_up() {
        let fed = |gap: Duration| -> Duration {
            let start = Instant::now();
            let mut feeder = Feeder::new(gap, start);
            let ticks = (1..=200).map(|tick| (start + tick * INTERVAL, tick));
            let due = ticks.map(|(now, tick)| {
                // A fragment of 1.1 s as soon as it is complete.
                if tick % 11 == 0 {
                    feeder.sent(11 * INTERVAL, now);
                }
                feeder.due(now).unwrap_or_default()
            });
            due.sum()
        };
        assert_eq!(fed(1_500 * MS), Duration::ZERO);
        assert!(fed(GAP) > Duration::from_secs(5), "as a browser's it would be full of holes");
    }
}
