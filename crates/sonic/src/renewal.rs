//! When a stream is replaced by a fresh one: the policy of renewal (`nova-sonic.md` §4.1, §5).
//!
//! The service closes every stream after eight minutes. So the next one is opened ahead of time,
//! beside the present one, and takes over in a pause of the conversation: make before break. The
//! same way serves for whatever is fixed for the life of a stream, such as its voice, and for
//! credentials that are about to expire.
//!
//! A machine: no clock, no I/O. It decides; the call engine opens, hands over and closes. A stream
//! that was *lost* is not its business.

use std::time::{Duration, Instant};

/// The numbers of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalLimits {
    /// Age of a stream from which on the next one is prepared.
    pub arm: Duration,
    /// Age from which on no pause is waited for, only for the end of an answer that the model is
    /// giving.
    pub press: Duration,
    /// Age at which the next one takes over, whatever happens. The service's limit is 480 s.
    pub force: Duration,
    /// How long before the credentials expire that they count as old, and the next stream is
    /// prepared.
    pub expiry_margin: Duration,
    /// How long a change of settings waits for a pause in the conversation.
    pub change_patience: Duration,
    /// How long a stream may stand by. It hears nothing meanwhile, so its idle clock runs (55 s);
    /// an older one is replaced.
    pub standby_limit: Duration,
    /// The pause after a failed attempt to open the next stream; it doubles with each.
    pub first_pause: Duration,
    /// The longest such pause.
    pub longest_pause: Duration,
}

impl Default for RenewalLimits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            arm: seconds(360),
            press: seconds(420),
            force: seconds(450),
            expiry_margin: seconds(180),
            change_patience: seconds(20),
            standby_limit: seconds(30),
            first_pause: seconds(1),
            longest_pause: seconds(15),
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewalAction {
    /// Open the next stream; one that stands by already is closed.
    OpenStandby,
    /// Let the one that stands by take over now.
    HandOver,
}

/// How well the conversation lends itself to a hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lull {
    /// The model is in the middle of an answer, which would be cut.
    None,
    /// It is not. The caller may speak, wait for an answer, or listen to one: what was not
    /// answered is heard again by the next stream, and what was said is played to its end.
    Between,
    /// Nobody would notice.
    Quiet,
}

/// Where the preparation stands.
///
/// ```text
///               due                    standby_ready            lull, or forced
///   Resting ─────────▶ Opening ─────────────────────▶ Ready ─────────────────────▶ (hand-over,
///                       ▲  │ standby_lost             │  │                           Resting)
///                       │  ▼                          │  │
///                     Pausing ◀── standby_lost ───────┘  │
///                       ▲                                │
///   Opening ◀───────────┴── stands by too long, or is out of date
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Resting,
    Opening,
    Ready { since: Instant },
    Pausing { until: Instant },
}

/// The renewal of one call's stream.
#[derive(Debug)]
pub struct Renewal {
    limits: RenewalLimits,
    state: State,
    /// When the present stream was opened; `None` while there is none.
    began: Option<Instant>,
    /// When its credentials expire.
    expires: Option<Instant>,
    /// Since when another stream is wanted, however young the present one is.
    wanted: Option<Instant>,
    /// When that no longer waits for a pause.
    wanted_at_last: Option<Instant>,
    /// The standby was opened before the latest wish.
    outdated: bool,
    lull: Lull,
    failures: u32,
}

impl Renewal {
    /// A policy without a stream.
    pub fn new(limits: RenewalLimits) -> Self {
        Self {
            limits,
            state: State::Resting,
            began: None,
            expires: None,
            wanted: None,
            wanted_at_last: None,
            outdated: false,
            lull: Lull::None,
            failures: 0,
        }
    }

    /// A stream is the call's stream from now on; its credentials are good until `expires`.
    pub fn stream_up(&mut self, now: Instant, expires: Option<Instant>) {
        self.began = Some(now);
        self.expires = expires;
        (self.wanted, self.wanted_at_last) = (None, None);
        self.outdated = false;
        self.failures = 0;
        self.state = State::Resting;
    }

    /// The call has no stream any more; another one is opened, with all that was wished for.
    pub fn stream_down(&mut self) {
        self.began = None;
        (self.wanted, self.wanted_at_last) = (None, None);
        self.state = State::Resting;
    }

    /// Another stream is wanted soon, because something that is fixed for a stream has changed.
    pub fn request(&mut self, now: Instant) {
        self.want(now, now + self.limits.change_patience);
        self.outdated = matches!(self.state, State::Opening | State::Ready { .. });
    }

    /// Another stream is wanted as soon as it is up, because the present one seems to be dead.
    pub fn request_at_once(&mut self, now: Instant) {
        self.want(now, now);
    }

    fn want(&mut self, now: Instant, at_last: Instant) {
        if self.began.is_some() {
            self.wanted.get_or_insert(now);
            let before = self.wanted_at_last.unwrap_or(at_last);
            self.wanted_at_last = Some(before.min(at_last));
        }
    }

    /// The standby is up.
    pub fn standby_ready(&mut self, now: Instant) {
        if self.state == State::Opening {
            self.state = State::Ready { since: now };
        }
    }

    /// The standby did not open, or ended.
    pub fn standby_lost(&mut self, now: Instant) {
        if matches!(self.state, State::Opening | State::Ready { .. }) {
            let doubled = 2_u32.saturating_pow(self.failures.min(16));
            let pause = self.limits.first_pause.saturating_mul(doubled);
            self.failures += 1;
            self.outdated = false;
            self.state = State::Pausing { until: now + pause.min(self.limits.longest_pause) };
        }
    }

    /// How the conversation stands now.
    pub fn set_lull(&mut self, lull: Lull) {
        self.lull = lull;
    }

    /// Whether a stream stands by that could take over at once.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { .. }) && !self.outdated
    }

    /// What is to be done now. Ask until it answers `None`.
    pub fn poll(&mut self, now: Instant) -> Option<RenewalAction> {
        if self.due_at()? > now {
            return None;
        }
        let open = match self.state {
            State::Resting => true,
            State::Opening => self.outdated,
            State::Pausing { until } => until <= now,
            State::Ready { .. } if self.outdated => true,
            State::Ready { .. } if self.lull >= self.wanted_lull(now)? => {
                self.state = State::Resting;
                self.began = None;
                return Some(RenewalAction::HandOver);
            }
            State::Ready { since } => since + self.limits.standby_limit <= now,
        };
        if !open {
            return None;
        }
        self.outdated = false;
        self.state = State::Opening;
        Some(RenewalAction::OpenStandby)
    }

    /// When [`Self::poll`] is worth asking again if nothing happens until then.
    pub fn next(&self) -> Option<Instant> {
        let due = self.due_at()?;
        match self.state {
            State::Resting => Some(due),
            State::Opening => None,
            State::Pausing { until } => Some(until.max(due)),
            State::Ready { since } => {
                // With the lull there is now, if it lasts.
                let at = if self.lull == Lull::None { self.force_at()? } else { self.press_at()? };
                Some(at.min(since + self.limits.standby_limit))
            }
        }
    }

    /// From when on the next stream is prepared.
    fn due_at(&self) -> Option<Instant> {
        let began = self.began?;
        let by_age = began + self.limits.arm;
        // Credentials that are old already are no reason to renew without end.
        let by_expiry = self
            .expires
            .and_then(|at| at.checked_sub(self.limits.expiry_margin))
            .map(|at| at.max(began + self.limits.standby_limit));
        [Some(by_age), by_expiry, self.wanted].into_iter().flatten().min()
    }

    /// What is good enough at this age.
    fn wanted_lull(&self, now: Instant) -> Option<Lull> {
        Some(if self.force_at()? <= now {
            Lull::None
        } else if self.press_at()? <= now {
            Lull::Between
        } else {
            Lull::Quiet
        })
    }

    /// From when on it is enough that no answer is cut.
    fn press_at(&self) -> Option<Instant> {
        Some(self.force_at()?.min(self.began? + self.limits.press))
    }

    /// From when on nothing is waited for.
    fn force_at(&self) -> Option<Instant> {
        let began = self.began?;
        let by_age = began + self.limits.force;
        let by_expiry = self
            .expires
            .and_then(|at| at.checked_sub(self.limits.expiry_margin / 4))
            .map(|at| at.max(began + self.limits.standby_limit));
        [Some(by_age), by_expiry, self.wanted_at_last].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::RenewalAction::{HandOver, OpenStandby};
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn up(start: Instant) -> Renewal {
        let mut renewal = Renewal::new(RenewalLimits::default());
        renewal.stream_up(start, None);
        renewal
    }

    #[test]
    fn the_next_stream_is_prepared_in_time_and_takes_over_in_a_pause() {
        let start = Instant::now();
        let mut renewal = up(start);
        assert_eq!(renewal.next(), Some(start + s(360)));
        assert_eq!(renewal.poll(start + s(359)), None);
        assert_eq!(renewal.poll(start + s(360)), Some(OpenStandby));
        assert_eq!(renewal.poll(start + s(360)), None, "it is being opened");
        renewal.set_lull(Lull::Quiet);
        assert_eq!(renewal.poll(start + s(361)), None, "it is not up yet");
        renewal.set_lull(Lull::None);
        renewal.standby_ready(start + s(361));
        assert_eq!(renewal.poll(start + s(361)), None, "somebody speaks");
        assert!(renewal.is_ready());
        renewal.set_lull(Lull::Quiet);
        assert_eq!(renewal.poll(start + s(362)), Some(HandOver));
        assert_eq!(renewal.next(), None, "there is no stream until the next one is up");
        renewal.stream_up(start + s(362), None);
        assert_eq!(renewal.next(), Some(start + s(722)));
    }

    #[test]
    fn without_a_pause_it_takes_over_all_the_same() {
        let start = Instant::now();
        let mut renewal = up(start);
        let mut opened = 0;
        for second in 360..450 {
            match renewal.poll(start + s(second)) {
                Some(OpenStandby) => {
                    opened += 1;
                    renewal.standby_ready(start + s(second));
                }
                other => assert_eq!(other, None),
            }
        }
        assert_eq!(opened, 3, "a standby hears nothing, so it is replaced before it goes stale");
        assert_eq!(renewal.poll(start + s(450)), Some(HandOver));
    }

    #[test]
    fn when_time_presses_it_waits_only_for_the_end_of_an_answer() {
        let start = Instant::now();
        let mut renewal = up(start);
        assert_eq!(renewal.poll(start + s(400)), Some(OpenStandby));
        renewal.standby_ready(start + s(400));
        renewal.set_lull(Lull::Between);
        assert_eq!(renewal.poll(start + s(419)), None);
        assert_eq!(renewal.next(), Some(start + s(420)));
        renewal.set_lull(Lull::None);
        assert_eq!(renewal.poll(start + s(421)), None, "the model speaks");
        assert_eq!(renewal.next(), Some(start + s(430)), "the standby goes stale");
        renewal.set_lull(Lull::Between);
        assert_eq!(renewal.poll(start + s(422)), Some(HandOver));
    }

    #[test]
    fn attempts_that_fail_are_repeated_with_growing_pauses() {
        let start = Instant::now();
        let mut renewal = up(start);
        let mut now = start + s(360);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            assert_eq!(renewal.poll(now), Some(OpenStandby));
            renewal.standby_lost(now);
            assert_eq!(renewal.poll(now), None);
            let next = renewal.next().unwrap();
            pauses.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15, 15]);
        // A standby that is lost after it was up counts as well.
        assert_eq!(renewal.poll(now), Some(OpenStandby));
        renewal.standby_ready(now);
        renewal.standby_lost(now);
        assert!(!renewal.is_ready());
    }

    #[test]
    fn a_change_does_not_wait_for_the_age_and_replaces_a_standby() {
        let start = Instant::now();
        let mut renewal = up(start);
        renewal.request(start + s(10));
        assert_eq!(renewal.poll(start + s(10)), Some(OpenStandby));
        renewal.standby_ready(start + s(11));
        renewal.request(start + s(12));
        assert!(!renewal.is_ready(), "it has the settings of before");
        renewal.set_lull(Lull::Quiet);
        assert_eq!(renewal.poll(start + s(12)), Some(OpenStandby));
        renewal.standby_ready(start + s(13));
        renewal.set_lull(Lull::None);
        assert_eq!(renewal.poll(start + s(29)), None);
        assert_eq!(renewal.next(), Some(start + s(30)));
        assert_eq!(renewal.poll(start + s(30)), Some(HandOver), "20 s after the first wish");
    }

    #[test]
    fn a_stream_that_seems_dead_is_replaced_as_soon_as_the_next_one_is_up() {
        let start = Instant::now();
        let mut renewal = up(start);
        renewal.request(start + s(10));
        assert_eq!(renewal.poll(start + s(10)), Some(OpenStandby));
        renewal.request_at_once(start + s(11));
        assert_eq!(renewal.poll(start + s(11)), None, "it is being opened");
        renewal.standby_ready(start + s(12));
        assert_eq!(renewal.poll(start + s(12)), Some(HandOver), "whoever speaks");
    }

    #[test]
    fn old_credentials_are_renewed_but_not_without_end() {
        let start = Instant::now();
        let mut renewal = Renewal::new(RenewalLimits::default());
        renewal.stream_up(start, Some(start + s(300)));
        assert_eq!(renewal.next(), Some(start + s(120)));
        // The next stream got the same credentials.
        renewal.stream_up(start + s(120), Some(start + s(300)));
        assert_eq!(renewal.next(), Some(start + s(150)));
    }

    #[test]
    fn without_a_stream_there_is_nothing_to_renew() {
        let start = Instant::now();
        let mut renewal = up(start);
        renewal.request(start);
        renewal.stream_down();
        renewal.request(start);
        assert_eq!(renewal.poll(start + s(999)), None);
        renewal.standby_ready(start);
        assert!(!renewal.is_ready());
        assert_eq!(renewal.next(), None);
    }
}
