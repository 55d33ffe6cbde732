//! The way out: the last sentence is heard, then the client is told, then the call ends.
//!
//! A machine: no actix, no clock. It lives in the supervisor, which alone hears when a turn is
//! over and when the caller has heard it; it survives a broken detector.

use std::time::{Duration, Instant};

use super::{TransferConfig, TransferRequested};

/// What is to be done now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Tell the client.
    Tell(TransferRequested),
    /// The client had its time: end the call.
    End,
}

/// The hand-over of one call.
///
/// ```text
///   Speaking ──turn over, all heard──▶ Settling ──nothing more comes──▶ Told ──deadline──▶ (end)
///      ▲  └─────────── sentence_limit ─────────────────────────────────▲ └─the client hangs up
///      └──────── audio again ────────────┘
/// ```
#[derive(Debug)]
pub(crate) struct Handover {
    /// Until the client is told.
    request: Option<TransferRequested>,
    deadline: Instant,
    settle: Duration,
    close_after: Duration,
    turn_over: bool,
    quiet_since: Option<Instant>,
    over: bool,
}

impl Handover {
    /// The transfer tool has succeeded.
    pub(crate) fn new(request: TransferRequested, config: &TransferConfig, now: Instant) -> Self {
        Self {
            request: Some(request),
            deadline: now + config.sentence_limit,
            settle: config.settle,
            close_after: config.close_after,
            turn_over: false,
            quiet_since: None,
            over: false,
        }
    }

    /// Whether the client was told: a call that ends from here on was handed over.
    pub(crate) fn is_told(&self) -> bool {
        self.request.is_none()
    }

    /// A turn of the assistant is complete.
    pub(crate) fn turn_ended(&mut self) {
        self.turn_over = true;
    }

    /// The caller has heard all there was.
    pub(crate) fn heard(&mut self, now: Instant) {
        if self.turn_over && self.quiet_since.is_none() {
            self.quiet_since = Some(now);
        }
    }

    /// The assistant goes on speaking.
    pub(crate) fn audio(&mut self) {
        (self.turn_over, self.quiet_since) = (false, None);
    }

    /// What is to be done now.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Step> {
        if self.next()? > now {
            return None;
        }
        match self.request.take() {
            Some(request) => {
                self.deadline = now + self.close_after;
                Some(Step::Tell(request))
            }
            None => {
                self.over = true;
                Some(Step::End)
            }
        }
    }

    /// When [`Self::poll`] is worth asking.
    pub(crate) fn next(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let settled = self.quiet_since.filter(|_| !self.is_told()).map(|at| at + self.settle);
        Some(settled.map_or(self.deadline, |at| at.min(self.deadline)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn handover(now: Instant) -> Handover {
        let config = TransferConfig::default();
        let request = TransferRequested {
            reason: "x".into(),
            summary: String::new(),
            attributes: Map::new(),
        };
        Handover::new(request, &config, now)
    }

    fn tells(step: Option<Step>) -> bool {
        matches!(step, Some(Step::Tell(_)))
    }

    #[test]
    fn the_sentence_is_heard_to_its_end() {
        let now = Instant::now();
        let mut handover = handover(now);
        handover.heard(now);
        assert_eq!(handover.poll(now + 2_000 * MS), None, "what was heard came before");
        handover.turn_ended();
        handover.heard(now + 2_000 * MS);
        assert_eq!(handover.poll(now + 2_500 * MS), None);
        handover.audio();
        assert_eq!(handover.poll(now + 3_000 * MS), None, "another sentence");
        handover.turn_ended();
        handover.heard(now + 4_000 * MS);
        assert!(tells(handover.poll(now + 4_800 * MS)) && handover.is_told());
        assert_eq!(handover.poll(now + 10_000 * MS), None);
        assert_eq!(handover.poll(now + 35_000 * MS), Some(Step::End));
        assert_eq!(handover.next(), None);
    }

    #[test]
    fn a_sentence_without_end_is_not_waited_for() {
        let now = Instant::now();
        let mut handover = handover(now);
        assert_eq!(handover.poll(now + 7_999 * MS), None);
        assert!(tells(handover.poll(now + 8_000 * MS)));
    }
}
