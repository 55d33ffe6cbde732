//! Tool calls of the model: gated by the workflow, run by the tool runner, answered once each.

use actix::{AsyncContext, Context, Handler};
use serde_json::{Value, json};
use voice_archive::entry::Event;
use voice_call::{EndReason, meters::ReasonLabel};
use voice_catalog::{Builtin, name::fold};
use voice_wire::{ServerMessage, server::WorkflowStatus};

use super::{
    CallActor, to,
    workflow::{ADVANCE, Permit, Refusal},
};
use crate::{
    mailbox::control,
    sonic::AnswerTool,
    tools::{Outcome, RunTool, ToolFinished},
};

/// A tool call that waits for its answer.
#[derive(Debug, Clone)]
pub(super) struct PendingTool {
    tool_use_id: String,
    name: String,
    /// The stream that asked. Another one does not know the id.
    stream: u32,
}

impl CallActor {
    /// The model calls a tool.
    pub(super) fn on_tool_call(
        &mut self,
        tool_use_id: String,
        name: String,
        input: Value,
        ctx: &mut Context<Self>,
    ) {
        self.tell(ServerMessage::ToolUse {
            tool_name: name.clone(),
            tool_input: input.clone(),
            tool_use_id: tool_use_id.clone(),
        });
        self.note_tool_called(&tool_use_id, &name, &input);
        self.latency.tools_at_work(true, self.now());
        let stream = self.streams.serving_number().unwrap_or_default();
        self.pending_tools.push(PendingTool {
            tool_use_id: tool_use_id.clone(),
            name: name.clone(),
            stream,
        });
        if let Some(answer) = self.guide(&name, &input) {
            let (result, outcome) = match answer {
                Ok(briefing) => (briefing, Outcome::Ok),
                Err(refusal) => (refusal.to_result(), Outcome::Refused),
            };
            let reason = outcome.as_str();
            self.engine.meters().tool_calls.get_or_create(&ReasonLabel { reason }).inc();
            let finished = ToolFinished { tool_use_id, name, input, result, outcome };
            return self.conclude(finished, ctx);
        }
        let Some(tools) = &self.tools else { return self.answer_orphans() };
        let timezone = self.settings.timezone.clone();
        let workflows = self.settings.workflows.clone();
        let run = RunTool { tool_use_id, name, input, timezone, workflows };
        control(&to(tools), run.clone());
        self.plan_filler(&run, ctx);
    }

    /// What the workflow says to a tool call; `None`: let it run.
    fn guide(&mut self, name: &str, input: &Value) -> Option<Result<Value, Box<Refusal>>> {
        if !self.walk.is_linked() {
            return None;
        }
        let is = |wanted: &str| fold(name) == fold(wanted);
        let moved = if is(ADVANCE) {
            self.walk.advance(&text_argument(input, "edge"))
        } else if is(Builtin::StartWorkflow.as_str()) {
            self.walk.start(&text_argument(input, "workflowId"))
        } else {
            let refused = match self.walk.permit(name, input) {
                Permit::Granted => None,
                Permit::Advised(refusal) => {
                    tracing::warn!(tool = name, why = refusal.reason(), "against the workflow");
                    None
                }
                Permit::Refused(refusal) => Some(refusal),
            };
            self.tell_steps();
            let refusal = refused?;
            tracing::info!(tool = name, why = refusal.reason(), "refused by the workflow");
            return Some(Err(refusal));
        };
        self.tell_steps();
        Some(moved.map(|()| self.walk.briefing()))
    }

    /// Tells the client where the workflow went.
    fn tell_steps(&mut self) {
        for step in self.walk.take_moves() {
            tracing::info!(workflow = step.workflow, step = step.step, "workflow step");
            let (workflow, reached) = (step.workflow.clone(), step.step.clone());
            self.note(Event::Step { workflow, step: reached });
            self.tell(ServerMessage::WorkflowUpdate { current_step: step.step.clone() });
            let data = WorkflowStatus {
                active_step_id: step.step,
                workflow_id: step.workflow,
                checks: self.walk.checks(),
            };
            self.tell(ServerMessage::WorkflowStatus { data });
        }
    }

    /// The model named steps in its words, as old prompts have it do.
    pub(super) fn follow_tags(&mut self, steps: &[String]) {
        for step in steps {
            if !self.walk.follow_tag(step) {
                tracing::debug!(step, "a step tag without a way to it");
            }
        }
        self.tell_steps();
    }

    /// Has the caller told that a tool takes long, if its file says what to say.
    fn plan_filler(&self, run: &RunTool, ctx: &mut Context<Self>) {
        let announce = self.catalog.tool(&run.name).and_then(|tool| tool.announce());
        let Some(announce) = announce.filter(|_| self.config().model.has_text_trigger()) else {
            return;
        };
        let (tool_use_id, text) = (run.tool_use_id.clone(), announce.text.clone());
        ctx.run_later(announce.after, move |call, _| {
            let waits = call.pending_tools.iter().any(|tool| tool.tool_use_id == tool_use_id);
            let silent = !call.hearing && !call.exchange.caller_speaks();
            if waits && silent && !call.is_ending() {
                let cue = format!("[A look-up takes a moment. Say this to the caller: {text}]");
                call.send_text(cue, false);
            }
        });
    }

    /// Answers the calls that nobody works on any more: the model waits for each.
    pub(super) fn answer_orphans(&mut self) {
        for pending in std::mem::take(&mut self.pending_tools) {
            let result = json!({"error": "the tool is not available; go on without it"});
            self.note_tool_answered(&pending.tool_use_id, &pending.name, &result, "unavailable");
            self.give_result(pending, result);
        }
        self.latency.tools_at_work(false, self.now());
    }

    /// Gives the model the result that it waits for: natively to the stream that asked, in words
    /// to one that has taken over since (`nova-sonic.md` §5.4).
    fn give_result(&mut self, pending: PendingTool, result: Value) {
        let PendingTool { tool_use_id, name, stream, .. } = pending;
        let in_words = format!("[Result of the tool {name}, called earlier: {result}]");
        let asked = self.streams.serving_number() == Some(stream);
        match self.streams.serving().filter(|_| asked) {
            Some(sonic) => {
                control(&to(sonic), AnswerTool { tool_use_id, result });
                self.exchange.result_sent(in_words, self.now());
            }
            None => {
                tracing::info!(name, "the stream that asked for the tool was replaced");
                self.send_text(in_words, false);
            }
        }
    }

    /// A tool call ended: the client hears of it, the model gets its one answer, and what the
    /// result changes in the call is changed.
    fn conclude(&mut self, finished: ToolFinished, ctx: &mut Context<Self>) {
        let ToolFinished { tool_use_id, name, input, result, outcome } = finished;
        tracing::info!(name, outcome = outcome.as_str(), "tool finished");
        self.tell(ServerMessage::ToolResult {
            tool_name: name.clone(),
            tool_result: result.clone(),
            tool_use_id: tool_use_id.clone(),
        });
        self.note_tool_answered(&tool_use_id, &name, &result, outcome.as_str());
        self.ledger.note_tool(&name, &input, &result);
        let pending = self.pending_tools.iter().position(|tool| tool.tool_use_id == tool_use_id);
        match pending {
            Some(at) => {
                let pending = self.pending_tools.remove(at);
                self.give_result(pending, result.clone());
            }
            None => tracing::info!(name, tool_use_id, "the model was answered already"),
        }
        self.latency.tools_at_work(!self.pending_tools.is_empty(), self.now());
        if outcome != Outcome::Refused {
            self.walk.tool_ended(&name, &input, &result, outcome == Outcome::Ok);
            self.tell_steps();
        }
        let builtin = self.catalog.tool(&name).and_then(|tool| tool.builtin());
        self.report_tool(&name, &input, &result, outcome);
        match builtin.filter(|_| outcome == Outcome::Ok) {
            Some(Builtin::TransferToAgent) => self.transfer_called(input, ctx),
            Some(Builtin::PauseRecording) => self.pause_recording(true),
            Some(Builtin::ResumeRecording) => self.pause_recording(false),
            Some(Builtin::EndCall) => self.say_farewell(EndReason::Completed, ctx),
            _ => {}
        }
        self.checkpoint(ctx);
        self.settle(ctx);
    }
}

/// A text of the arguments, also when they were encoded twice; empty when there is none.
fn text_argument(input: &Value, key: &str) -> String {
    let decoded = input.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let value = decoded.as_ref().unwrap_or(input).get(key);
    value.and_then(Value::as_str).unwrap_or_default().trim().to_owned()
}

impl Handler<ToolFinished> for CallActor {
    type Result = ();

    fn handle(&mut self, finished: ToolFinished, ctx: &mut Self::Context) {
        self.conclude(finished, ctx);
    }
}
