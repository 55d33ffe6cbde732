//! A goodbye that is heard to its end before the call ends.
//!
//! A machine: no actix, no clock.

use voice_call::EndReason;

/// The way of a farewell.
///
/// ```text
///   Asked ──the assistant's turn is complete──▶ Spoken ──the caller has heard it──▶ over
///     └──────────────────────── deadline ─────────────────────────────────────────▶ over
/// ```
#[derive(Debug)]
pub struct Farewell {
    reason: EndReason,
    spoken: bool,
}

impl Farewell {
    /// The assistant was asked to say goodbye; the call then ends for `reason`.
    pub fn new(reason: EndReason) -> Self {
        Self { reason, spoken: false }
    }

    /// An assistant turn is complete: that was the goodbye. What is left is to be heard.
    pub fn turn_ended(&mut self) {
        self.spoken = true;
    }

    /// The caller has heard all there is. What was said before is no goodbye.
    pub fn heard(&self) -> Option<EndReason> {
        self.spoken.then(|| self.reason.clone())
    }

    /// It takes too long.
    pub fn overdue(&self) -> EndReason {
        self.reason.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_ends_when_the_goodbye_was_heard() {
        let mut farewell = Farewell::new(EndReason::Inactivity);
        assert_eq!(farewell.heard(), None);
        farewell.turn_ended();
        assert_eq!(farewell.heard(), Some(EndReason::Inactivity));
    }
}
