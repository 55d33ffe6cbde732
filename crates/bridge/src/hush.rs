//! Quiet for a model that goes on listening: on a noisy line the caller has finished, and the model
//! does not say so.
//!
//! Nova Sonic decides when a turn is over; it needs quiet for that. When our own ear has heard the
//! end of an utterance and for a while nobody answers, what comes from the line is replaced with
//! silence until the caller speaks again, or the assistant does. A machine in audio time; called by
//! the call.

/// How long the model has to find out by itself, in milliseconds of the line.
const PATIENCE_MS: u64 = 1_500;

/// Whether silence is sent in place of the line.
#[derive(Debug, Default)]
pub(crate) struct Hush {
    /// The end of an utterance that was not answered yet.
    done_ms: Option<u64>,
}

impl Hush {
    pub(crate) fn caller_speaks(&mut self) {
        self.done_ms = None;
    }

    /// An utterance ended there, in milliseconds of the line.
    pub(crate) fn caller_done(&mut self, at_ms: u64) {
        self.done_ms = Some(at_ms);
    }

    pub(crate) fn assistant_speaks(&mut self) {
        self.done_ms = None;
    }

    /// Whether it is on at this moment of the line.
    pub(crate) fn is_on(&self, now_ms: u64) -> bool {
        self.done_ms.is_some_and(|done| now_ms >= done + PATIENCE_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_hushed_when_nobody_answers_and_until_somebody_speaks() {
        let mut hush = Hush::default();
        assert!(!hush.is_on(100_000), "before anybody has spoken the line is heard");
        hush.caller_done(3_000);
        assert!(!hush.is_on(4_499) && hush.is_on(4_500));
        hush.caller_speaks();
        assert!(!hush.is_on(60_000));
        hush.caller_done(70_000);
        hush.assistant_speaks();
        assert!(!hush.is_on(90_000));
    }
}
