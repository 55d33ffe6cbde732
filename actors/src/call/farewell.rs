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

    /// An assistant turn is complete. `hearing`: whether the caller has not heard all of it yet.
    pub fn turn_ended(&mut self, hearing: bool) -> Option<EndReason> {
        self.spoken = true;
        (!hearing).then(|| self.reason.clone())
    }

    /// The caller has heard all there is.
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
        assert_eq!(farewell.heard(), None, "what was said before is no goodbye");
        assert_eq!(farewell.turn_ended(true), None);
        assert_eq!(farewell.heard(), Some(EndReason::Inactivity));
    }

    #[test]
    fn a_goodbye_that_made_no_sound_ends_at_once() {
        let mut farewell = Farewell::new(EndReason::Completed);
        assert_eq!(farewell.turn_ended(false), Some(EndReason::Completed));
    }
}
