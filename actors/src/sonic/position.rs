//! Where in the caller's audio the service is: it counts all that a stream received, our silence
//! included, while the caller's positions run on from stream to stream.
//!
//! A machine: no actix, no clock.

use std::collections::VecDeque;

/// Runs of the caller's audio that are remembered. Reports of the service are a second or two
/// late, and a run ends only where silence was put in.
const REMEMBERED: usize = 64;

/// A run of caller audio without anything between.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Where it begins in the stream, in samples.
    stream: u64,
    /// Where it begins in the caller's audio.
    caller: u64,
    /// How long it is.
    samples: u64,
}

/// The positions of one stream.
#[derive(Debug, Default)]
pub struct Positions {
    runs: VecDeque<Run>,
}

impl Positions {
    /// The caller's audio from `caller` on is what the stream hears from `stream` on.
    pub fn sent(&mut self, stream: u64, caller: u64, samples: u64) {
        if let Some(run) = self.runs.back_mut()
            && run.stream + run.samples == stream
            && run.caller + run.samples == caller
        {
            run.samples += samples;
            return;
        }
        if self.runs.len() == REMEMBERED {
            self.runs.pop_front();
        }
        self.runs.push_back(Run { stream, caller, samples });
    }

    /// The caller's position at a position of the stream. Within silence of ours it is the end of
    /// the audio before.
    pub fn caller_at(&self, stream: u64) -> Option<u64> {
        let run = self.runs.iter().rev().find(|run| run.stream <= stream).or(self.runs.front())?;
        Some(run.caller + stream.saturating_sub(run.stream).min(run.samples))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_of_ours_does_not_count() {
        let mut positions = Positions::default();
        assert_eq!(positions.caller_at(0), None);
        // A second stream: it begins with 100 ms of silence, and the caller is at 50,000.
        positions.sent(1_600, 50_000, 512);
        positions.sent(2_112, 50_512, 512);
        // Silence of 1,000 samples, then the caller again.
        positions.sent(3_624, 51_024, 512);
        for (stream, caller) in [
            (0, 50_000),
            (1_600, 50_000),
            (2_000, 50_400),
            (2_624, 51_024),
            (3_000, 51_024),
            (3_624, 51_024),
            (3_724, 51_124),
            (9_999, 51_536),
        ] {
            assert_eq!(positions.caller_at(stream), Some(caller), "{stream}");
        }
        assert_eq!(positions.runs.len(), 2);
    }

    #[test]
    fn only_so_much_is_remembered() {
        let mut positions = Positions::default();
        for n in 0..1_000 {
            positions.sent(n * 20, n * 10, 10);
        }
        assert_eq!(positions.runs.len(), REMEMBERED);
        assert_eq!(positions.caller_at(19_985), Some(9_995));
    }
}
