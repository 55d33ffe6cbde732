//! Ends that are known beforehand: the task stops, or the call has reached its longest duration.
//!
//! A caller is not cut off in the middle of a sentence for either. When the task stops the client
//! is told, and goes on at another one once the assistant has been heard; a call that is too long
//! is warned, and then said goodbye to.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use voice_call::EndReason;
use voice_sonic::Lull;
use voice_wire::ServerMessage;

use super::{CallActor, to};
use crate::{client::AskUnheard, drain::Notice, mailbox::control};

/// How often it is looked whether a call can go.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Handler<Notice> for CallActor {
    type Result = ();

    fn handle(&mut self, notice: Notice, ctx: &mut Self::Context) {
        if self.is_ending() || self.leaving {
            return;
        }
        match notice {
            Notice::Draining(left) => {
                let deadline_ms = left.map(|left| left.as_millis() as u64);
                self.tell(ServerMessage::Draining { deadline_ms });
            }
            Notice::Cancelled => self.tell(ServerMessage::DrainCancelled),
            Notice::Leave(within) => self.leave(within, ctx),
        }
    }
}

impl CallActor {
    /// The client goes to another task as soon as the assistant has been heard.
    fn leave(&mut self, within: Duration, ctx: &mut Context<Self>) {
        self.leaving = true;
        let config = self.config();
        let patience = config.drain_patience.min(within.saturating_sub(config.end_deadline));
        self.tell(ServerMessage::Draining { deadline_ms: Some(patience.as_millis() as u64) });
        let deadline = self.clock().wait(patience);
        ctx.run_later(deadline, |call, ctx| call.end(EndReason::Draining, ctx));
        ctx.run_interval(self.clock().wait(LOOK_EVERY), |call, _| call.leave_when_quiet());
        self.leave_when_quiet();
    }

    /// Goes when nobody is saying, looking up or owing anything. The model notices speech late, so the
    /// client's side is asked whether the caller has just begun.
    fn leave_when_quiet(&mut self) {
        if self.lull(self.now()) == Lull::Quiet {
            control(&to(&self.client), AskUnheard);
        }
    }

    /// What it answers.
    pub(super) fn leave_unless_unheard(&mut self, unheard: bool, ctx: &mut Context<Self>) {
        if self.leaving && !unheard && self.lull(self.now()) == Lull::Quiet {
            self.end(EndReason::Draining, ctx);
        }
    }

    /// No call is longer than a load balancer waits for it (`ops.md` §1.6).
    pub(super) fn limit_length(&self, ctx: &mut Context<Self>) {
        let Some(limit) = self.config().call_limit else { return };
        let warning = self.config().call_warning.min(limit);
        ctx.run_later(self.clock().wait(limit - warning), move |call, _| {
            call.announce_limit(warning);
        });
        ctx.run_later(self.clock().wait(limit), |call, ctx| {
            tracing::info!("the call has reached its longest duration");
            let cue = "[The call has reached its longest duration. Say goodbye in one short \
                       sentence; the call ends now.]";
            call.send_text(cue.into(), false);
            call.say_farewell(EndReason::TimeLimit, ctx);
        });
    }

    /// The user has used up the budget of the day.
    pub(super) fn end_for_budget(&mut self, ctx: &mut Context<Self>) {
        if self.is_ending() || self.farewell.is_some() {
            return;
        }
        tracing::info!("the budget of the user is used up");
        let cue = "[The caller has no time left for today. Say so and goodbye in one short \
                   sentence; the call ends now.]";
        self.send_text(cue.into(), false);
        self.say_farewell(EndReason::BudgetSpent, ctx);
    }

    fn announce_limit(&mut self, left: Duration) {
        if left.is_zero() || self.is_ending() || !self.config().model.has_text_trigger() {
            return;
        }
        let minutes = left.as_secs().div_ceil(60);
        let cue = format!(
            "[The call ends in {minutes} minute(s) because it has its longest duration then. Tell \
             the caller so in one short sentence.]"
        );
        self.send_text(cue, false);
    }
}
