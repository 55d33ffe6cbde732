//! One GetMedia connection: where it begins, what comes next, what it suffers.
//!
//! A machine: `now` goes in, steps come out; `front::media` carries them out. Source:
//! connect-kvs.md §2.

use bytes::Bytes;

use super::timeline::{Part, Timeline};
use crate::config::{MediaConfig, MediaFault, MediaFaultKind};

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    Now,
    Earliest,
    /// The fragment after this one.
    AfterFragment(String),
    /// The fragment after the one whose token this is.
    Token(String),
    /// Milliseconds since 1970, by the clock of the service.
    Server(u64),
    /// The same by the clock of the producer.
    Producer(u64),
}

/// What a connection does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Send(Bytes),
    /// Until this moment nothing happens.
    Wait(u64),
    /// Send this and cut the connection.
    Cut(Bytes),
    End,
}

#[derive(Debug)]
pub(crate) struct Reader {
    /// The next fragment and its part; `None`: what was asked for is not there.
    at: Option<(u64, usize)>,
    opened_ms: u64,
    /// When the next fragment may be sent.
    next_ms: u64,
    faults: Vec<MediaFault>,
    stalled_until: u64,
}

impl Reader {
    pub(super) fn new(
        timeline: &Timeline,
        selector: &Selector,
        faults: Vec<MediaFault>,
        now_ms: u64,
    ) -> Self {
        let ordinal = match selector {
            Selector::Now => Some(timeline.at(now_ms)),
            Selector::Earliest => Some(0),
            Selector::AfterFragment(number) | Selector::Token(number) => {
                timeline.find(number, now_ms).map(|ordinal| ordinal + 1)
            }
            Selector::Server(ms) => Some(timeline.at_server(*ms)),
            Selector::Producer(ms) => Some(timeline.at(*ms)),
        };
        Self {
            at: ordinal.map(|ordinal| (ordinal, 0)),
            opened_ms: now_ms,
            next_ms: 0,
            faults,
            stalled_until: 0,
        }
    }

    pub(super) fn step(&mut self, timeline: &Timeline, config: &MediaConfig, now_ms: u64) -> Step {
        let Some((ordinal, part)) = self.at else {
            // Said once, in place of media.
            self.at = Some((u64::MAX, 0));
            return Step::Send(Timeline::error(4_000));
        };
        let longest = self.opened_ms + millis(config.longest);
        if ordinal == u64::MAX || now_ms >= longest {
            return Step::End;
        }
        if now_ms < self.stalled_until {
            return Step::Wait(self.stalled_until);
        }
        // The next thing that happens to this connection, if nothing comes before it.
        let opened = self.opened_ms;
        let due = |fault: &MediaFault| opened + millis(fault.after);
        self.faults.sort_by_key(due);
        if self.faults.first().is_some_and(|fault| now_ms >= due(fault)) {
            match self.faults.remove(0).kind {
                MediaFaultKind::End => return Step::End,
                MediaFaultKind::Error(code) => {
                    self.at = Some((u64::MAX, 0));
                    return Step::Send(Timeline::error(code));
                }
                MediaFaultKind::Stall(duration) => {
                    self.stalled_until = now_ms + millis(duration);
                    return Step::Wait(self.stalled_until);
                }
                MediaFaultKind::Cut => {
                    let half = match timeline.part(ordinal, part, u64::MAX / 2) {
                        Part::Ready(bytes) => bytes.slice(..bytes.len() / 2),
                        _ => Bytes::new(),
                    };
                    return Step::Cut(half);
                }
                // At the door, if at all.
                MediaFaultKind::Refuse(_) => {}
            }
        }
        let until_fault = self.faults.first().map_or(u64::MAX, due).min(longest);
        if part == 0 && now_ms < self.next_ms {
            return Step::Wait(self.next_ms.min(until_fault));
        }
        match timeline.part(ordinal, part, now_ms) {
            Part::Ready(bytes) => {
                if part == 0 {
                    let rate = u64::from(config.fragments_per_second.max(1));
                    self.next_ms = now_ms + 1_000 / rate;
                }
                let more = part + 1 < timeline.parts();
                self.at = Some(if more { (ordinal, part + 1) } else { (ordinal + 1, 0) });
                Step::Send(bytes)
            }
            Part::Next => {
                self.at = Some((ordinal + 1, 0));
                Step::Wait(now_ms)
            }
            Part::NotBefore(at) => Step::Wait(at.min(until_fault)),
            Part::Over(since) => {
                let end = since.max(self.opened_ms) + millis(config.tail);
                match now_ms < end {
                    // Another call may begin.
                    true => Step::Wait((now_ms + 100).min(end)),
                    false => Step::End,
                }
            }
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{FaultScope, MediaShape};

    const BEGAN: u64 = 1_000_000;

    fn timeline() -> Timeline {
        let mut timeline = Timeline::new("s", "arn".to_owned(), MediaShape::default());
        timeline.begin("c", BEGAN);
        timeline
    }

    fn fault(ms: u64, kind: MediaFaultKind) -> MediaFault {
        MediaFault { after: Duration::from_millis(ms), kind, scope: FaultScope::Every }
    }

    #[test]
    fn a_backlog_comes_at_five_fragments_a_second() {
        let (timeline, config) = (timeline(), MediaConfig::default());
        let now = BEGAN + 60_000;
        let mut reader = Reader::new(&timeline, &Selector::Earliest, vec![], now);
        assert!(matches!(reader.step(&timeline, &config, now), Step::Send(_)));
        assert_eq!(reader.step(&timeline, &config, now), Step::Wait(now + 200));
        assert!(matches!(reader.step(&timeline, &config, now + 200), Step::Send(_)));
    }

    #[test]
    fn a_connection_ends_after_a_while_and_by_faults() {
        let (mut timeline, config) = (timeline(), MediaConfig::default());
        let mut reader = Reader::new(&timeline, &Selector::Now, vec![], BEGAN);
        assert_eq!(reader.step(&timeline, &config, BEGAN + 45 * 60_000), Step::End);
        let faults = vec![fault(500, MediaFaultKind::End)];
        let mut reader = Reader::new(&timeline, &Selector::Now, faults, BEGAN);
        assert_eq!(reader.step(&timeline, &config, BEGAN), Step::Wait(BEGAN + 500));
        assert_eq!(reader.step(&timeline, &config, BEGAN + 500), Step::End);
        let faults = vec![fault(500, MediaFaultKind::Stall(Duration::from_secs(9)))];
        let mut reader = Reader::new(&timeline, &Selector::Now, faults, BEGAN);
        assert_eq!(reader.step(&timeline, &config, BEGAN + 500), Step::Wait(BEGAN + 9_500));
        assert_eq!(reader.step(&timeline, &config, BEGAN + 600), Step::Wait(BEGAN + 9_500));
        assert!(matches!(reader.step(&timeline, &config, BEGAN + 9_500), Step::Send(_)));
        timeline.hang_up(0, BEGAN + 500);
        let mut reader = Reader::new(&timeline, &Selector::Earliest, vec![], BEGAN + 600);
        assert!(matches!(reader.step(&timeline, &config, BEGAN + 600), Step::Send(_)));
        assert!(matches!(reader.step(&timeline, &config, BEGAN + 900), Step::Wait(_)));
        assert_eq!(reader.step(&timeline, &config, BEGAN + 3_600), Step::End);
    }

    #[test]
    fn a_fragment_that_is_not_there_is_an_error_in_the_stream() {
        let (timeline, config) = (timeline(), MediaConfig::default());
        let selector = Selector::AfterFragment("12345".to_owned());
        let mut reader = Reader::new(&timeline, &selector, vec![], BEGAN);
        let Step::Send(bytes) = reader.step(&timeline, &config, BEGAN) else { panic!("no error") };
        assert!(bytes.windows(4).any(|digits| digits == b"4000"));
        assert_eq!(reader.step(&timeline, &config, BEGAN), Step::End);
    }
}
