//! The transfer detector: notices when the caller is to be handed over to a human.
//!
//! It listens to tool calls and to the transcript. A transfer happens at most once per call.

use actix::{Actor, ActorContext, Context, Handler, Message, Recipient};
use serde_json::{Map, Value};
use voice_sonic::Speaker;

use crate::mailbox::control;

/// Lines of the transcript that a summary quotes.
const QUOTED: usize = 6;

/// A tool call ended well.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub(crate) struct ToolSucceeded {
    pub(crate) input: Value,
    /// Whether it is the transfer tool.
    pub(crate) is_transfer: bool,
}

/// A line of the transcript is complete.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub(crate) struct LineSaid {
    pub(crate) speaker: Speaker,
    pub(crate) text: String,
}

/// The call is over.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct FinishDetector;

/// The caller is to be handed over.
#[derive(Message, Debug, Clone, PartialEq)]
#[rtype(result = "()")]
pub(crate) struct TransferRequested {
    pub(crate) reason: String,
    /// The story so far, for the human.
    pub(crate) summary: String,
    /// What tools were asked with: account numbers, cities, dates.
    pub(crate) attributes: Map<String, Value>,
}

/// The actor.
pub(crate) struct TransferDetector {
    detector: Detector,
    call: Recipient<TransferRequested>,
}

impl TransferDetector {
    /// `done`: whether a transfer of this call was requested before.
    pub(crate) fn new(done: bool, call: Recipient<TransferRequested>) -> Self {
        Self { detector: Detector { done, ..Detector::default() }, call }
    }
}

impl Actor for TransferDetector {
    type Context = Context<Self>;
}

impl Handler<ToolSucceeded> for TransferDetector {
    type Result = ();

    fn handle(&mut self, tool: ToolSucceeded, _: &mut Self::Context) {
        if let Some(request) = self.detector.tool_succeeded(tool) {
            control(&self.call, request);
        }
    }
}

impl Handler<LineSaid> for TransferDetector {
    type Result = ();

    fn handle(&mut self, line: LineSaid, _: &mut Self::Context) {
        self.detector.line_said(line);
    }
}

impl Handler<FinishDetector> for TransferDetector {
    type Result = ();

    fn handle(&mut self, _: FinishDetector, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// The machine.
///
/// ```text
///   Listening ──transfer tool──▶ Done
/// ```
#[derive(Debug, Default)]
struct Detector {
    done: bool,
    said: Vec<LineSaid>,
    attributes: Map<String, Value>,
}

impl Detector {
    fn line_said(&mut self, line: LineSaid) {
        if self.said.len() == QUOTED {
            self.said.remove(0);
        }
        self.said.push(line);
    }

    fn tool_succeeded(&mut self, tool: ToolSucceeded) -> Option<TransferRequested> {
        if !tool.is_transfer {
            if let Value::Object(input) = tool.input {
                self.attributes.extend(input);
            }
            return None;
        }
        if std::mem::replace(&mut self.done, true) {
            return None;
        }
        let reason = tool.input.get("reason").and_then(Value::as_str);
        Some(TransferRequested {
            reason: reason.unwrap_or("The caller asked for a human agent").to_owned(),
            summary: self.summary(),
            attributes: self.attributes.clone(),
        })
    }

    fn summary(&self) -> String {
        let lines = self.said.iter().map(|line| {
            let who = match line.speaker {
                Speaker::User => "Caller",
                Speaker::Assistant => "Assistant",
            };
            format!("{who}: {}", line.text.trim())
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn transfer() -> ToolSucceeded {
        ToolSucceeded { input: json!({"reason": "disputed charge"}), is_transfer: true }
    }

    #[test]
    fn the_human_hears_the_reason_the_story_and_the_facts() {
        let mut detector = Detector::default();
        let text = "there is a charge I do not know".into();
        detector.line_said(LineSaid { speaker: Speaker::User, text });
        let lookup = json!({"accountId": "4021"});
        let other = ToolSucceeded { input: lookup, is_transfer: false };
        assert_eq!(detector.tool_succeeded(other), None);
        let request = detector.tool_succeeded(transfer()).expect("a transfer");
        assert_eq!(request.reason, "disputed charge");
        assert_eq!(request.summary, "Caller: there is a charge I do not know");
        assert_eq!(request.attributes["accountId"], "4021");
    }

    #[test]
    fn a_transfer_happens_once() {
        let mut detector = Detector::default();
        assert!(detector.tool_succeeded(transfer()).is_some());
        assert_eq!(detector.tool_succeeded(transfer()), None);
    }
}
