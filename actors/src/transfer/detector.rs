//! Notices that a caller should be handed over, and when to offer it.
//!
//! A machine: no actix, no clock.

use serde_json::{Map, Value};
use voice_sonic::Speaker;

use super::{
    TransferConfig, TransferRequested,
    phrases::{Tone, has_tone},
    summary::Story,
};

/// Why a hand-over is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The caller asked for a human.
    Wish,
    /// Tool after tool failed.
    FailedTools,
    /// The assistant did not understand, again and again.
    NotUnderstood,
    /// The caller is angry.
    Anger,
}

impl Cause {
    /// A word for the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Wish => "wish",
            Self::FailedTools => "failed_tools",
            Self::NotUnderstood => "not_understood",
            Self::Anger => "anger",
        }
    }

    /// What the model is told. It makes the offer in its own words; the start of the text is
    /// fixed, so that scripts can tell it.
    pub(crate) fn cue(self) -> String {
        let why = match self {
            Self::Wish => "the caller has asked for a person",
            Self::FailedTools => "several look-ups have failed",
            Self::NotUnderstood => "the caller was not understood several times",
            Self::Anger => "the caller is upset",
        };
        format!(
            "[Offer the caller a human agent: {why}. Ask in one short sentence whether a colleague \
             should take over. If they say yes, call transfer_to_agent.]"
        )
    }
}

/// A tool call ended.
#[derive(Debug, Clone)]
pub(crate) struct ToolReport {
    pub(crate) tool: String,
    /// Whether it gave a result and no error.
    pub(crate) succeeded: bool,
    /// Whether it ran at all: a refusal is no failure.
    pub(crate) ran: bool,
    pub(crate) result: Value,
    /// What it tells about the caller.
    pub(crate) facts: Map<String, Value>,
}

/// The machine.
///
/// ```text
///   Listening ──wish, trouble──▶ Pending ──the assistant's turn is over──▶ Ripe
///    ▲    ▲                         │                                       │ all was heard
///    │    └── the assistant offers ─┘                                       ▼
///    └────────────────────────────────────────────────────────────────── Offer
///   any ──transfer tool──▶ Done
/// ```
#[derive(Debug)]
pub(crate) struct Detector {
    config: TransferConfig,
    done: bool,
    story: Story,
    failed: u32,
    not_understood: u32,
    offers: u32,
    pending: Option<Cause>,
    ripe: bool,
}

impl Detector {
    /// `done`: whether this call was handed over before.
    pub(crate) fn new(config: TransferConfig, done: bool) -> Self {
        Self {
            config,
            done,
            story: Story::default(),
            failed: 0,
            not_understood: 0,
            offers: 0,
            pending: None,
            ripe: false,
        }
    }

    /// A line of the transcript is complete, or was corrected.
    pub(crate) fn line_said(&mut self, id: &str, speaker: Speaker, text: &str) {
        if !self.story.line_said(id, speaker, text) {
            return;
        }
        match speaker {
            Speaker::User if self.config.hears_wish && has_tone(text, Tone::Wish) => {
                self.note(Cause::Wish);
            }
            Speaker::User if self.config.hears_anger && has_tone(text, Tone::Angry) => {
                self.note(Cause::Anger);
            }
            Speaker::User => {}
            Speaker::Assistant if has_tone(text, Tone::Offered) => {
                // It has offered by itself.
                self.forget();
            }
            Speaker::Assistant if has_tone(text, Tone::NotUnderstood) => {
                self.not_understood += 1;
                if reaches(self.not_understood, self.config.not_understood) {
                    self.note(Cause::NotUnderstood);
                    // Its turn is the one that was not understood.
                    self.ripe = self.pending.is_some();
                }
            }
            Speaker::Assistant => self.not_understood = 0,
        }
    }

    /// A tool call ended.
    pub(crate) fn tool_ended(&mut self, report: ToolReport) {
        let ToolReport { tool, succeeded, ran, result, facts } = report;
        let outcome = match (succeeded, ran) {
            (true, _) => "done",
            (false, true) => "failed",
            (false, false) => "not allowed",
        };
        self.story.tool_ended(&tool, outcome, &result, facts);
        if succeeded {
            self.failed = 0;
        } else if ran {
            self.failed += 1;
            if reaches(self.failed, self.config.failed_tools) {
                self.note(Cause::FailedTools);
            }
        }
    }

    /// The transfer tool succeeded. A call is handed over once.
    pub(crate) fn transfer(
        &mut self,
        input: &Value,
        step: Option<&str>,
    ) -> Option<TransferRequested> {
        if std::mem::replace(&mut self.done, true) {
            return None;
        }
        self.forget();
        let text = input.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let reason = text.as_ref().unwrap_or(input).get("reason").and_then(Value::as_str);
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        Some(TransferRequested {
            reason: reason.unwrap_or("The caller asked for a human agent").to_owned(),
            summary: self.story.tell(step),
            attributes: self.story.attributes(),
        })
    }

    /// The assistant has said what it had to say.
    pub(crate) fn turn_ended(&mut self) {
        self.ripe |= self.pending.is_some();
    }

    /// The caller has heard everything, and nobody speaks: the moment for an offer.
    pub(crate) fn quiet(&mut self) -> Option<Cause> {
        if !self.ripe || self.done {
            return None;
        }
        let cause = self.pending?;
        self.forget();
        self.offers += 1;
        Some(cause)
    }

    /// The first cause counts until it is dealt with.
    fn note(&mut self, cause: Cause) {
        if !self.done && self.offers < self.config.offers && self.pending.is_none() {
            self.pending = Some(cause);
            self.ripe = false;
        }
    }

    fn forget(&mut self) {
        (self.pending, self.ripe) = (None, false);
        (self.failed, self.not_understood) = (0, 0);
    }
}

/// Whether a count has come to its limit; a limit of 0 is none.
fn reaches(count: u32, limit: u32) -> bool {
    limit > 0 && count >= limit
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn detector() -> Detector {
        Detector::new(TransferConfig::default(), false)
    }

    fn report(succeeded: bool, ran: bool) -> ToolReport {
        let (result, facts) = (json!({}), Map::new());
        ToolReport { tool: "look_up".into(), succeeded, ran, result, facts }
    }

    fn after_the_turn(detector: &mut Detector) -> Option<Cause> {
        detector.turn_ended();
        detector.quiet()
    }

    #[test]
    fn three_failed_tools_in_a_row_lead_to_an_offer() {
        let mut detector = detector();
        for (succeeded, ran) in [
            (false, true),
            (false, true),
            (true, true),
            (false, true),
            (false, false),
            (false, true),
        ] {
            detector.tool_ended(report(succeeded, ran));
            assert_eq!(after_the_turn(&mut detector), None);
        }
        detector.tool_ended(report(false, true));
        assert_eq!(detector.quiet(), None, "the assistant has not answered yet");
        assert_eq!(after_the_turn(&mut detector), Some(Cause::FailedTools));
        assert_eq!(after_the_turn(&mut detector), None, "once");
    }

    #[test]
    fn a_plain_wish_is_left_to_the_model_first() {
        let mut detector = detector();
        detector.line_said("1", Speaker::User, "I want to talk to a human");
        detector.line_said("2", Speaker::Assistant, "Shall I connect you to a colleague?");
        assert_eq!(after_the_turn(&mut detector), None, "it has offered by itself");
        detector.line_said("3", Speaker::User, "I want to talk to a human");
        detector.line_said("3", Speaker::User, "I want to talk to a human!");
        detector.line_said("4", Speaker::Assistant, "Which city are you in?");
        assert_eq!(after_the_turn(&mut detector), Some(Cause::Wish));
    }

    #[test]
    fn misunderstandings_count_in_a_row() {
        let mut detector = detector();
        let sorry = "Sorry, I did not understand that.";
        for (id, text) in [sorry, sorry, "Your balance is ten euros.", sorry, sorry, sorry]
            .into_iter()
            .enumerate()
        {
            assert_eq!(detector.quiet(), None);
            detector.line_said(&id.to_string(), Speaker::Assistant, text);
        }
        assert_eq!(detector.quiet(), Some(Cause::NotUnderstood));
    }

    #[test]
    fn offers_are_not_repeated_for_ever() {
        let mut detector = detector();
        let made = (0..9).filter(|n| {
            detector.line_said(&n.to_string(), Speaker::User, "This is ridiculous!");
            after_the_turn(&mut detector) == Some(Cause::Anger)
        });
        assert_eq!(made.count(), 2);
    }

    #[test]
    fn a_transfer_happens_once_and_ends_all_offers() {
        let mut detector = detector();
        let input = json!(r#"{"reason": "disputed charge"}"#);
        let request = detector.transfer(&input, None).expect("a transfer");
        assert_eq!(request.reason, "disputed charge");
        assert_eq!(detector.transfer(&input, None), None);
        detector.line_said("1", Speaker::User, "I want to talk to a human");
        assert_eq!(after_the_turn(&mut detector), None);
    }
}
