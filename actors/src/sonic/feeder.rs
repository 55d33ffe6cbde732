//! Keeps the audio container fed: Nova Sonic wants audio at real-time pace, and a typed message
//! or an idle clock does not wait for a client that sends none (`nova-sonic.md` §2.7, §4.1).
//!
//! A machine: no actix, no clock.

use std::time::{Duration, Instant};

/// A gap in the caller's audio that is not filled: jitter of the network closes by itself.
const TOLERANCE: Duration = Duration::from_millis(300);
/// The most silence that is fed at once.
const LARGEST: Duration = Duration::from_millis(200);

/// How often to ask.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// Compares the audio that was sent with the time that went by.
#[derive(Debug)]
pub struct Feeder {
    /// The point of the call up to which the container holds audio.
    covered: Instant,
}

impl Feeder {
    /// A feeder of a container that was opened `now`.
    pub fn new(now: Instant) -> Self {
        Self { covered: now }
    }

    /// The caller's audio of this length was sent.
    pub fn sent(&mut self, audio: Duration, now: Instant) {
        // What comes late fills its own gap; what comes early is not held against the caller.
        self.covered = (self.covered + audio).min(now + TOLERANCE);
    }

    /// How much silence to send now.
    pub fn due(&mut self, now: Instant) -> Option<Duration> {
        let behind = now.saturating_duration_since(self.covered);
        if behind <= TOLERANCE {
            return None;
        }
        // A process that was held up does not pour the whole gap out at once.
        let silence = (behind - TOLERANCE).min(LARGEST);
        self.covered = now - TOLERANCE;
        Some(silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_talking_client_is_left_alone() {
        let mut now = Instant::now();
        let mut feeder = Feeder::new(now);
        for _ in 0..500 {
            now += 32 * MS;
            feeder.sent(32 * MS, now);
            assert_eq!(feeder.due(now), None);
        }
    }

    #[test]
    fn silence_replaces_a_silent_client_at_real_time_pace() {
        let start = Instant::now();
        let mut feeder = Feeder::new(start);
        let fed: Duration = (1..=100).filter_map(|tick| feeder.due(start + tick * INTERVAL)).sum();
        assert_eq!(fed, 100 * INTERVAL - TOLERANCE);
    }

    #[test]
    fn jitter_is_not_filled_and_a_burst_catches_up() {
        let start = Instant::now();
        let mut feeder = Feeder::new(start);
        assert_eq!(feeder.due(start + 250 * MS), None);
        for _ in 0..8 {
            feeder.sent(32 * MS, start + 250 * MS);
        }
        assert_eq!(feeder.due(start + 500 * MS), None);
    }
}
