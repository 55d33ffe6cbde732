//! The transfer detector: notices when the caller is to be handed over to a human.
//!
//! It listens to tool calls and to the transcript, tells the story of the call when the model
//! calls the transfer tool, and has the hand-over offered when the caller wishes for it or is in
//! trouble. A transfer happens at most once per call. What is sent when is `transfer/handover.rs`,
//! which the supervisor keeps.

mod detector;
pub(crate) mod handover;
mod phrases;
pub(crate) mod summary;

use std::time::Duration;

use actix::{Actor, ActorContext, Context, Handler, Message, Recipient};
use serde_json::{Map, Value};
use voice_sonic::Speaker;

use self::detector::Detector;
pub(crate) use self::detector::{Cause, ToolReport};
use crate::{mailbox::control, supervise::answer_probes};

/// When a caller is handed over, and when that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferConfig {
    /// How long the last sentence may take before the client is told all the same.
    pub sentence_limit: Duration,
    /// How long it must be quiet after it: another sentence may follow the tool's result, about
    /// 650 ms later (`nova-sonic.md` §2.9).
    pub settle: Duration,
    /// How long the client has to hang up before the call is ended.
    pub close_after: Duration,
    /// Tools that may fail in a row before a human is offered; 0: any number.
    pub failed_tools: u32,
    /// Turns in a row that may not be understood before a human is offered; 0: any number.
    pub not_understood: u32,
    /// Whether a caller's plain wish that the model does not take up leads to an offer.
    pub hears_wish: bool,
    /// Whether an angry caller is offered a human.
    pub hears_anger: bool,
    /// How often in a call a human is offered.
    pub offers: u32,
}

impl Default for TransferConfig {
    fn default() -> Self {
        Self {
            sentence_limit: Duration::from_secs(8),
            settle: Duration::from_millis(800),
            close_after: Duration::from_secs(30),
            failed_tools: 3,
            not_understood: 3,
            hears_wish: true,
            hears_anger: true,
            offers: 2,
        }
    }
}

/// A tool call ended.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub(crate) struct ToolEnded(pub(crate) ToolReport);

/// The transfer tool succeeded.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub(crate) struct TransferCalled {
    pub(crate) input: Value,
    /// Where a workflow stands, in words.
    pub(crate) step: Option<String>,
}

/// A line of the transcript is complete.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub(crate) struct LineSaid {
    pub(crate) id: String,
    pub(crate) speaker: Speaker,
    pub(crate) text: String,
}

/// How the conversation stands.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
#[rtype(result = "()")]
pub(crate) enum Moment {
    /// The assistant's turn is complete.
    TurnEnded,
    /// The caller has heard it, and nobody speaks.
    Quiet,
}

/// The call is over.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct FinishDetector;

/// What the detector has to say.
#[derive(Message, Debug, Clone, PartialEq)]
#[rtype(result = "()")]
pub(crate) enum Detected {
    /// The caller is to be handed over.
    Requested(TransferRequested),
    /// The hand-over should be offered.
    OfferDue(Cause),
}

/// What the client is told of a hand-over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TransferRequested {
    pub(crate) reason: String,
    /// The story so far, for the human.
    pub(crate) summary: String,
    /// What tools have found out: account numbers, cities, dates.
    pub(crate) attributes: Map<String, Value>,
}

/// The actor.
pub(crate) struct TransferDetector {
    detector: Detector,
    call: Recipient<Detected>,
}

impl TransferDetector {
    /// `done`: whether a transfer of this call was requested before.
    pub(crate) fn new(config: TransferConfig, done: bool, call: Recipient<Detected>) -> Self {
        Self { detector: Detector::new(config, done), call }
    }
}

impl Actor for TransferDetector {
    type Context = Context<Self>;
}

answer_probes!(TransferDetector);

impl Handler<ToolEnded> for TransferDetector {
    type Result = ();

    fn handle(&mut self, ToolEnded(report): ToolEnded, _: &mut Self::Context) {
        self.detector.tool_ended(report);
    }
}

impl Handler<TransferCalled> for TransferDetector {
    type Result = ();

    fn handle(&mut self, called: TransferCalled, _: &mut Self::Context) {
        if let Some(request) = self.detector.transfer(&called.input, called.step.as_deref()) {
            control(&self.call, Detected::Requested(request));
        }
    }
}

impl Handler<LineSaid> for TransferDetector {
    type Result = ();

    fn handle(&mut self, line: LineSaid, _: &mut Self::Context) {
        self.detector.line_said(&line.id, line.speaker, &line.text);
    }
}

impl Handler<Moment> for TransferDetector {
    type Result = ();

    fn handle(&mut self, moment: Moment, _: &mut Self::Context) {
        match moment {
            Moment::TurnEnded => self.detector.turn_ended(),
            Moment::Quiet => {
                if let Some(cause) = self.detector.quiet() {
                    control(&self.call, Detected::OfferDue(cause));
                }
            }
        }
    }
}

impl Handler<FinishDetector> for TransferDetector {
    type Result = ();

    fn handle(&mut self, _: FinishDetector, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
