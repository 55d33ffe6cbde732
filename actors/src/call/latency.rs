//! How long the caller waits for an answer, measured from the end of the caller's speech.
//!
//! A machine: no actix, no clock.

use std::time::{Duration, Instant};

/// The figures of one answered turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnLatency {
    /// From the end of the caller's speech to the first audio of the answer.
    pub first_audio: Duration,
    /// From the end of the caller's speech until the first audio was on its way to the client;
    /// absent when it never was.
    pub written: Option<Duration>,
    /// From the end of the caller's speech to the end of the answer's generation.
    pub whole: Duration,
    /// Time within that in which tools were at work.
    pub tools: Duration,
    /// Whether the caller cut the answer short.
    pub interrupted: bool,
}

/// Follows the turns of one call.
#[derive(Debug, Default)]
pub struct Latency {
    asked: Option<Instant>,
    first_audio: Option<Duration>,
    written: Option<Duration>,
    tools: Duration,
    tools_since: Option<Instant>,
    /// A turn that ended before its first audio was on its way, and when it was asked for.
    unwritten: Option<(Instant, TurnLatency)>,
}

impl Latency {
    /// The caller finished speaking (or typing) at `at`. Answers a turn of which nothing more will
    /// be known.
    pub fn caller_finished(&mut self, at: Instant) -> Option<TurnLatency> {
        self.asked = Some(at);
        (self.first_audio, self.written, self.tools) = (None, None, Duration::ZERO);
        self.tools_since = self.tools_since.map(|_| at);
        self.unwritten.take().map(|(_, turn)| turn)
    }

    /// Tools are at work from here on, or none is any more.
    pub fn tools_at_work(&mut self, at_work: bool, now: Instant) {
        match (at_work, self.tools_since) {
            (true, None) => self.tools_since = Some(now),
            (false, Some(since)) => {
                self.tools += now.saturating_duration_since(since);
                self.tools_since = None;
            }
            _ => {}
        }
    }

    /// Assistant audio arrived.
    pub fn audio(&mut self, now: Instant) {
        if let (Some(asked), None) = (self.asked, self.first_audio) {
            self.first_audio = Some(now.saturating_duration_since(asked));
        }
    }

    /// Assistant audio is on its way to the client, after a silence. Answers a turn that has
    /// ended and whose figures are complete now.
    pub fn written(&mut self, now: Instant) -> Option<TurnLatency> {
        if let Some((asked, mut turn)) = self.unwritten.take() {
            turn.written = Some(now.saturating_duration_since(asked));
            return Some(turn);
        }
        if let (Some(asked), None) = (self.asked, self.written) {
            self.written = Some(now.saturating_duration_since(asked));
        }
        None
    }

    /// The assistant's turn is complete. Turns that nobody asked for have no latency. The second
    /// figure says whether all is known; otherwise `written` or `caller_finished` tells the rest.
    pub fn turn_ended(&mut self, interrupted: bool, now: Instant) -> Option<(TurnLatency, bool)> {
        let first_audio = self.first_audio.take()?;
        let asked = self.asked.take()?;
        let at_work =
            self.tools_since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let turn = TurnLatency {
            first_audio,
            written: self.written.take(),
            whole: now.saturating_duration_since(asked),
            tools: std::mem::take(&mut self.tools) + at_work,
            interrupted,
        };
        let complete = turn.written.is_some() || interrupted;
        if !complete {
            self.unwritten = Some((asked, turn));
        }
        Some((turn, complete))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn counts_from_the_end_of_speech_and_only_answers() {
        let start = Instant::now();
        let mut latency = Latency::default();
        latency.audio(start);
        assert_eq!(latency.turn_ended(false, start), None, "a greeting answers nobody");
        latency.caller_finished(start);
        latency.tools_at_work(true, start + ms(100));
        latency.tools_at_work(false, start + ms(350));
        latency.audio(start + ms(400));
        assert_eq!(latency.written(start + ms(410)), None);
        latency.audio(start + ms(900));
        let expected = TurnLatency {
            first_audio: ms(400),
            written: Some(ms(410)),
            whole: ms(1_500),
            tools: ms(250),
            interrupted: false,
        };
        assert_eq!(latency.turn_ended(false, start + ms(1_500)), Some((expected, true)));
        assert_eq!(latency.turn_ended(false, start + ms(1_600)), None);
    }

    #[test]
    fn a_turn_that_ends_before_it_is_heard_is_completed_later() {
        let start = Instant::now();
        let mut latency = Latency::default();
        latency.caller_finished(start);
        latency.audio(start + ms(300));
        let (turn, complete) = latency.turn_ended(false, start + ms(310)).expect("a turn");
        assert_eq!((turn.written, complete), (None, false));
        let turn = latency.written(start + ms(320)).expect("it is complete");
        assert_eq!((turn.first_audio, turn.written), (ms(300), Some(ms(320))));
        assert_eq!(latency.caller_finished(start + ms(900)), None);
        latency.audio(start + ms(950));
        latency.turn_ended(false, start + ms(960));
        let given_up = latency.caller_finished(start + ms(2_000)).expect("never heard");
        assert_eq!(given_up.written, None);
    }
}
