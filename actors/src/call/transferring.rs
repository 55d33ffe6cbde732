//! The way to a human: what the detector hears of, what it finds, and the hand-over itself.

use actix::{AsyncContext, Context, Handler};
use serde_json::{Map, Value};
use voice_archive::entry::Event;
use voice_call::EndReason;
use voice_catalog::{Builtin, name::fold};
use voice_wire::ServerMessage;

use super::{CallActor, to};
use crate::{
    mailbox::control,
    tools::Outcome,
    transcript::LineUpdated,
    transfer::{
        Cause, Detected, LineSaid, Moment, ToolEnded, ToolReport, TransferCalled,
        TransferRequested,
        handover::{Handover, Step},
        summary,
    },
};

impl CallActor {
    // What the detector hears of.

    pub(super) fn line_said(&self, line: &LineUpdated) {
        if let Some(transfer) = &self.transfer {
            let (id, text) = (line.id.clone(), line.text.clone());
            control(&to(transfer), LineSaid { id, speaker: line.speaker, text });
        }
    }

    pub(super) fn report_tool(&self, name: &str, input: &Value, result: &Value, outcome: Outcome) {
        let tool = self.catalog.tool(name);
        let builtin = tool.and_then(|tool| tool.builtin());
        // The engine's own tools are no part of the caller's story.
        let Some(transfer) = self.transfer.as_ref().filter(|_| builtin.is_none()) else { return };
        if self.walk.is_linked() && fold(name) == fold(super::workflow::ADVANCE) {
            return;
        }
        let succeeded = outcome == Outcome::Ok;
        let facts = if succeeded { summary::facts(tool, input, result) } else { Map::new() };
        let report = ToolReport {
            tool: name.to_owned(),
            succeeded,
            ran: outcome != Outcome::Refused,
            result: result.clone(),
            facts,
        };
        control(&to(transfer), ToolEnded(report));
    }

    /// The transfer tool succeeded.
    pub(super) fn transfer_called(&mut self, input: Value, ctx: &mut Context<Self>) {
        if self.transferred {
            return;
        }
        if let Some(transfer) = &self.transfer {
            let here = self.walk.here();
            let step =
                here.map(|(flow, node)| format!("{}, at {} ({})", flow.id, node.id, node.label));
            return control(&to(transfer), TransferCalled { input, step });
        }
        // Without a detector there is no story, but the caller is handed over all the same.
        let reason =
            input.get("reason").and_then(Value::as_str).unwrap_or("The caller asked for it");
        let request = TransferRequested {
            reason: reason.to_owned(),
            summary: String::new(),
            attributes: Map::new(),
        };
        self.begin_handover(request, ctx);
    }

    pub(super) fn turn_ended_for_transfer(&mut self, interrupted: bool) {
        if let Some(handover) = &mut self.handover {
            handover.turn_ended();
        } else if let Some(transfer) = self.transfer.as_ref().filter(|_| !interrupted) {
            control(&to(transfer), Moment::TurnEnded);
        }
    }

    /// The caller has heard all there is.
    pub(super) fn heard_all(&mut self, ctx: &mut Context<Self>) {
        let now = self.now();
        if let Some(handover) = &mut self.handover {
            handover.heard(now);
            return self.drive_handover(ctx);
        }
        let quiet = !self.exchange.caller_speaks()
            && self.pending_tools.is_empty()
            && self.farewell.is_none();
        if let Some(transfer) = self.transfer.as_ref().filter(|_| quiet) {
            control(&to(transfer), Moment::Quiet);
        }
    }

    pub(super) fn audio_during_handover(&mut self, ctx: &mut Context<Self>) {
        if let Some(handover) = &mut self.handover {
            handover.audio();
            self.drive_handover(ctx);
        }
    }

    // The hand-over.

    fn begin_handover(&mut self, request: TransferRequested, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.transferred, true) || self.is_ending() {
            return;
        }
        tracing::info!("transfer to an agent");
        let now = self.now();
        let mut handover = Handover::new(request, &self.config().transfer, now);
        if self.streams.serving().is_none() {
            // Nothing more is said.
            handover.turn_ended();
            if !self.hearing {
                handover.heard(now);
            }
        }
        // What the model does besides is of no account any more.
        self.farewell = None;
        self.handover = Some(handover);
        self.settle(ctx);
        self.drive_handover(ctx);
    }

    fn drive_handover(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.handover_timer.take() {
            ctx.cancel_future(timer);
        }
        let now = self.now();
        let Some(handover) = &mut self.handover else { return };
        let step = handover.poll(now);
        let next = handover.next();
        match step {
            Some(Step::Tell(TransferRequested { reason, summary, attributes })) => {
                self.note(Event::Transfer {
                    reason: reason.clone(),
                    summary: summary.clone(),
                    attributes: attributes.clone(),
                });
                self.tell(ServerMessage::TransferToAgent { reason, summary, attributes });
            }
            Some(Step::End) => return self.end(EndReason::Transferred, ctx),
            None => {}
        }
        if let Some(at) = next {
            let pause = self.clock().wait(at.saturating_duration_since(now));
            self.handover_timer = Some(ctx.run_later(pause, |call, ctx| {
                call.handover_timer = None;
                call.drive_handover(ctx);
            }));
        }
    }

    /// A client that hangs up after it was told of a hand-over has confirmed it.
    pub(super) fn reason_of_hang_up(&self) -> EndReason {
        match &self.handover {
            Some(handover) if handover.is_told() => EndReason::Transferred,
            _ => EndReason::HungUp,
        }
    }

    /// Has the model offer a human, if it can call one.
    fn offer_transfer(&mut self, cause: Cause) {
        let transfers = |name: &str| {
            let tool = self.catalog.tool(name);
            tool.and_then(|tool| tool.builtin()) == Some(Builtin::TransferToAgent)
        };
        let can = self.settings.session.tools.iter().any(|tool| transfers(&tool.name));
        let speaks = self.hearing || self.exchange.caller_speaks() || self.farewell.is_some();
        if !can || speaks || self.transferred || !self.config().model.has_text_trigger() {
            return;
        }
        tracing::info!(cause = cause.as_str(), "offering a human agent");
        self.send_text(cause.cue(), false);
    }
}

impl Handler<Detected> for CallActor {
    type Result = ();

    fn handle(&mut self, detected: Detected, ctx: &mut Self::Context) {
        match detected {
            Detected::Requested(request) => self.begin_handover(request, ctx),
            Detected::OfferDue(cause) if !self.is_ending() => self.offer_transfer(cause),
            Detected::OfferDue(_) => {}
        }
    }
}
