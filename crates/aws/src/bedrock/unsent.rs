//! The queue of events that wait for the transport: a machine without clock or locks.
//!
//! The transport announces back-pressure late (`measured-costs.md` §2), so the age of what waits
//! is bounded here. What the kernel and the peer's window have swallowed cannot be seen any
//! more; `link` keeps those buffers small. `uplink` is the shell around this.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use voice_call::port::SendRefused;

/// Hard limit besides the age: more than any opening, and a minute of audio as JSON.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// How long the transport gets after an event was found too old. If the whole process was held
/// up, sender and transport alike, the transport catches up in this time.
const SECOND_CHANCE: Duration = Duration::from_millis(500);

/// Events in order, with the time at which each came.
#[derive(Debug)]
pub(crate) struct Unsent {
    events: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    max_age: Duration,
    /// When an event was first found too old, with nothing taken since.
    suspect: Option<Instant>,
    state: State,
}

/// ```text
/// Open ──finish──▶ Finishing ──(last event taken)──▶ end of input
///   └──────────── abandon ───────────▶ Gone
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Events come and go.
    Open,
    /// No more will come; what waits is still sent.
    Finishing,
    /// The transport has let go: nothing will ever be taken.
    Gone,
}

/// What the transport gets when it asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The oldest event.
    Event(Bytes),
    /// Nothing now.
    Wait,
    /// Nothing ever again: close the input in order.
    End,
}

impl Unsent {
    /// A queue that already holds the opening events.
    pub(crate) fn new(opening: Vec<Bytes>, max_age: Duration, now: Instant) -> Self {
        let bytes = opening.iter().map(Bytes::len).sum();
        let events = opening.into_iter().map(|event| (now, event)).collect();
        Self { events, bytes, max_age, suspect: None, state: State::Open }
    }

    /// Takes an event unless something older than the limit waits and the transport does not move.
    pub(crate) fn push(&mut self, event: Bytes, now: Instant) -> Result<(), SendRefused> {
        if self.state != State::Open {
            return Err(SendRefused::Closed);
        }
        if self.bytes + event.len() > MAX_BYTES {
            return Err(SendRefused::Stalled);
        }
        let too_old = |(since, _): &(Instant, Bytes)| now.duration_since(*since) > self.max_age;
        if self.events.front().is_some_and(too_old) {
            let suspect = *self.suspect.get_or_insert(now);
            if now.duration_since(suspect) > SECOND_CHANCE {
                return Err(SendRefused::Stalled);
            }
        }
        self.bytes += event.len();
        self.events.push_back((now, event));
        Ok(())
    }

    /// What the transport may send next.
    pub(crate) fn next(&mut self) -> Next {
        self.suspect = None;
        match (self.events.pop_front(), self.state) {
            (Some((_, event)), _) => {
                self.bytes -= event.len();
                Next::Event(event)
            }
            (None, State::Open) => Next::Wait,
            (None, State::Finishing | State::Gone) => Next::End,
        }
    }

    /// No more events will come.
    pub(crate) fn finish(&mut self) {
        if self.state == State::Open {
            self.state = State::Finishing;
        }
    }

    /// The transport has let go.
    pub(crate) fn abandon(&mut self) {
        self.state = State::Gone;
        self.events.clear();
        self.bytes = 0;
    }

    /// The response head has come: what still waits counts as fresh, since until now the
    /// service was not obliged to read.
    pub(crate) fn opened(&mut self, now: Instant) {
        for (since, _) in &mut self.events {
            *since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(3);

    fn event(n: u8) -> Bytes {
        Bytes::from(vec![n])
    }

    #[test]
    fn events_leave_in_the_order_in_which_they_came() {
        let now = Instant::now();
        let mut unsent = Unsent::new(vec![event(1), event(2)], LIMIT, now);
        assert_eq!(unsent.push(event(3), now), Ok(()));
        unsent.finish();
        let order: Vec<_> = std::iter::repeat_with(|| unsent.next()).take(4).collect();
        let expected = [1, 2, 3].map(|n| Next::Event(event(n))).into_iter().chain([Next::End]);
        assert!(order.into_iter().eq(expected));
    }

    #[test]
    fn an_event_that_waits_too_long_stalls_the_stream() {
        let start = Instant::now();
        let mut unsent = Unsent::new(vec![], LIMIT, start);
        assert_eq!(unsent.push(event(1), start), Ok(()));
        assert_eq!(unsent.push(event(2), start + LIMIT), Ok(()));
        let late = start + LIMIT + Duration::from_millis(1);
        assert_eq!(unsent.push(event(3), late), Ok(()), "a second chance");
        let too_late = late + SECOND_CHANCE + Duration::from_millis(1);
        assert_eq!(unsent.push(event(4), too_late), Err(SendRefused::Stalled));
        assert_eq!(unsent.next(), Next::Event(event(1)));
        assert_eq!(unsent.push(event(4), too_late), Ok(()), "it flows again");
    }

    #[test]
    fn a_process_that_was_held_up_is_no_stall() {
        let start = Instant::now();
        let mut unsent = Unsent::new(vec![], LIMIT, start);
        assert_eq!(unsent.push(event(1), start), Ok(()));
        let resumed = start + LIMIT * 10;
        assert_eq!(unsent.push(event(2), resumed), Ok(()));
        assert_eq!(unsent.next(), Next::Event(event(1)));
        assert_eq!(unsent.next(), Next::Event(event(2)));
        assert_eq!(unsent.push(event(3), resumed + SECOND_CHANCE * 2), Ok(()));
    }

    #[test]
    fn waiting_for_the_response_head_is_no_stall() {
        let start = Instant::now();
        let mut unsent = Unsent::new(vec![event(1)], LIMIT, start);
        let opened = start + Duration::from_secs(15);
        unsent.opened(opened);
        assert_eq!(unsent.push(event(2), opened), Ok(()));
    }

    #[test]
    fn size_is_bounded_whatever_the_clock_says() {
        let now = Instant::now();
        let mut unsent = Unsent::new(vec![], LIMIT, now);
        let large = Bytes::from(vec![0; MAX_BYTES / 2]);
        assert_eq!(unsent.push(large.clone(), now), Ok(()));
        assert_eq!(unsent.push(large.clone(), now), Ok(()));
        assert_eq!(unsent.push(large, now), Err(SendRefused::Stalled));
    }

    #[test]
    fn a_stream_that_is_gone_takes_nothing() {
        let now = Instant::now();
        let mut unsent = Unsent::new(vec![event(1)], LIMIT, now);
        unsent.abandon();
        assert_eq!(unsent.push(event(2), now), Err(SendRefused::Closed));
        assert_eq!(unsent.next(), Next::End);
    }
}
