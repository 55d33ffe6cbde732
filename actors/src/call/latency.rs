//! How long the caller waits for an answer, measured from the end of the caller's speech.
//!
//! A machine: no actix, no clock.

use std::time::{Duration, Instant};

/// The figures of one answered turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnLatency {
    /// From the end of the caller's speech to the first audio of the answer.
    pub first_audio: Duration,
    /// From the end of the caller's speech to the end of the answer's generation.
    pub whole: Duration,
}

/// Follows the turns of one call.
#[derive(Debug, Default)]
pub struct Latency {
    asked: Option<Instant>,
    first_audio: Option<Duration>,
}

impl Latency {
    /// The caller finished speaking (or typing) at `at`.
    pub fn caller_finished(&mut self, at: Instant) {
        self.asked = Some(at);
        self.first_audio = None;
    }

    /// Assistant audio arrived.
    pub fn audio(&mut self, now: Instant) {
        if let (Some(asked), None) = (self.asked, self.first_audio) {
            self.first_audio = Some(now.saturating_duration_since(asked));
        }
    }

    /// The assistant's turn is complete. Turns that nobody asked for have no latency.
    pub fn turn_ended(&mut self, now: Instant) -> Option<TurnLatency> {
        let first_audio = self.first_audio.take()?;
        let whole = now.saturating_duration_since(self.asked.take()?);
        Some(TurnLatency { first_audio, whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_the_end_of_speech_and_only_answers() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut latency = Latency::default();
        latency.audio(start);
        assert_eq!(latency.turn_ended(start), None, "a greeting answers nobody");
        latency.caller_finished(start);
        latency.audio(start + ms(400));
        latency.audio(start + ms(900));
        let turn = latency.turn_ended(start + ms(1_500));
        assert_eq!(turn, Some(TurnLatency { first_audio: ms(400), whole: ms(1_500) }));
        assert_eq!(latency.turn_ended(start + ms(1_600)), None);
    }
}
