//! What the stream and the caller report, and what follows from it. What tools report is in
//! `tooling`, what leads to a human in `transferring`.

use std::time::{Duration, Instant};

use actix::{AsyncContext, Context, Handler};
use voice_archive::entry::{self, Event};
use voice_call::EndReason;
use voice_sonic::{Speaker, Usage};
use voice_wire::{Feedback, Role as Voice, ServerMessage};

use super::{
    CallActor, exchange::SentText, farewell::Farewell, idle::IdleAction, streams::Place, to,
};
use crate::{
    client::{ClientEvent, ReportHeard},
    mailbox::control,
    sonic::{DeclareInterruption, SendText, StreamEvent, StreamNews},
    transcript::{LineHeard, LineUpdated, TextSent},
};

/// The cue that makes the assistant speak first. The wording of the greeting is the prompt's
/// business (`nova-sonic.md` §2.8).
const GREETING_CUE: &str = "hi";
/// Texts that may wait for a stream.
const UNSENT_LIMIT: usize = 32;
/// The client hears of usage at most this often.
const USAGE_EVERY: Duration = Duration::from_secs(1);
/// The longest text that is passed on, in bytes (`nova-sonic.md` §4.2).
const TEXT_LIMIT: usize = 4_000;

/// Now, as ISO 8601.
pub(super) fn timestamp() -> String {
    jiff::Timestamp::now().to_string()
}

impl CallActor {
    // Texts to the model.

    /// Says something to the model in the caller's place. What the caller typed is a line of the
    /// transcript at once.
    pub(super) fn send_text(&mut self, text: String, by_caller: bool) {
        if self.unsent.len() >= UNSENT_LIMIT {
            return self.complain("too_many_texts", "Too many texts wait for the model", false);
        }
        if let Some(transcriber) = &self.transcriber {
            control(&to(transcriber), TextSent { text: text.clone(), by_caller });
        }
        self.pass_text(SentText { text, by_caller });
    }

    /// Passes a text on to the stream that serves; it waits for one if there is none.
    pub(super) fn pass_text(&mut self, text: SentText) {
        let live = self.phase == super::Phase::Live;
        match self.streams.serving().filter(|_| live) {
            Some(sonic) => {
                control(&to(sonic), SendText(text.text.clone()));
                self.exchange.text_sent(text, self.now());
            }
            None => self.unsent.push(text),
        }
    }

    /// The assistant speaks first, unless the caller did.
    pub(super) fn plan_greeting(&mut self, ctx: &mut Context<Self>) {
        let Some(delay) = self.config().greeting_delay.filter(|_| self.settings.greets) else {
            return;
        };
        ctx.run_later(self.clock().wait(delay), |call, _| {
            if !call.is_ending()
                && !call.caller_began
                && !std::mem::replace(&mut call.greeted, true)
            {
                call.send_text(GREETING_CUE.into(), false);
            }
        });
    }

    // Silence.

    /// Sets the timer of the idle watch.
    pub(super) fn watch_idle(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.idle_timer.take() {
            ctx.cancel_future(timer);
        }
        let now = self.now();
        // Nobody is asked who cannot hear.
        let live = self.phase == super::Phase::Live && self.parked.is_none();
        if let Some(at) = self.idle.next(now).filter(|_| live) {
            let pause = self.clock().wait(at.saturating_duration_since(now));
            self.idle_timer = Some(ctx.run_later(pause, |call, ctx| {
                call.idle_timer = None;
                call.on_idle(ctx);
            }));
        }
    }

    fn on_idle(&mut self, ctx: &mut Context<Self>) {
        match self.idle.poll(self.now()) {
            Some(IdleAction::Ask(number)) => {
                tracing::info!(number, "asking whether the caller is still there");
                let cue = "[The caller has been silent for a while. Ask in one short sentence \
                           whether they are still there.]";
                self.send_text(cue.into(), false);
            }
            Some(IdleAction::Goodbye) => {
                let cue = "[The caller has been silent for too long. Say goodbye in one short \
                           sentence; the call ends now.]";
                self.send_text(cue.into(), false);
                self.say_farewell(EndReason::Inactivity, ctx);
            }
            None => {}
        }
        self.watch_idle(ctx);
    }

    /// Something changed between the two who talk: what depends on that follows. Nobody has to
    /// say anything while the assistant speaks or a tool runs, and in a pause the next stream can
    /// take over.
    pub(super) fn settle(&mut self, ctx: &mut Context<Self>) {
        let busy = self.hearing || !self.pending_tools.is_empty() || self.handover.is_some();
        self.idle.set_busy(busy, self.now());
        self.watch_idle(ctx);
        self.drive_renewal(ctx);
    }

    pub(super) fn caller_active(&mut self, ctx: &mut Context<Self>) {
        self.caller_began = true;
        self.idle.caller_active(self.now());
        self.settle(ctx);
    }

    /// Ends the call once the assistant has said goodbye and the caller has heard it.
    pub(super) fn say_farewell(&mut self, reason: EndReason, ctx: &mut Context<Self>) {
        if self.farewell.is_some() || self.handover.is_some() || self.is_ending() {
            return;
        }
        self.farewell = Some(Farewell::new(reason));
        let deadline = self.clock().wait(self.config().farewell_deadline);
        ctx.run_later(deadline, |call, ctx| {
            if let Some(farewell) = &call.farewell {
                let reason = farewell.overdue();
                call.end(reason, ctx);
            }
        });
    }

    // Figures.

    fn on_usage(&mut self, stream: u32, usage: &Usage) {
        let before = self.ledger.usage();
        let total = self.ledger.note_usage(stream, usage.total);
        self.meter_usage(total.since(&before));
        let now = Instant::now();
        if self.usage_told.is_none_or(|at| now.duration_since(at) >= USAGE_EVERY) {
            self.usage_told = Some(now);
            self.note_usage();
            self.tell(ServerMessage::Usage { data: voice_sonic::to_service_json(&total) });
        }
        if std::mem::take(&mut self.usage_due) {
            self.tell_token_usage();
        }
    }

    fn on_turn_ended(&mut self, interrupted: bool) {
        if let Some((turn, complete)) = self.latency.turn_ended(interrupted, self.now()) {
            if complete {
                self.note_turn(turn);
            }
            if !interrupted {
                self.tell(ServerMessage::LatencyUpdate {
                    ttft_ms: turn.first_audio.as_millis() as u64,
                    latency_ms: turn.whole.as_millis() as u64,
                });
            }
        }
        // The model counts the turn a moment after it.
        if std::mem::replace(&mut self.usage_due, true) {
            self.tell_token_usage();
        }
        if let Some(farewell) = &mut self.farewell {
            farewell.turn_ended();
        }
        self.turn_ended_for_transfer(interrupted);
        // The turn's audio is before this question in the client's mailbox.
        control(&to(&self.client), ReportHeard);
    }

    fn tell_token_usage(&self) {
        self.note_usage();
        let usage = self.ledger.usage();
        let cost = self.cost();
        self.tell(ServerMessage::TokenUsage {
            input_tokens: usage.input(),
            output_tokens: usage.output(),
            cost,
            currency: cost.map(|_| self.config().prices.currency.clone()),
        });
    }

    fn on_line(&mut self, stream: u32, line: voice_sonic::Line) {
        if line.speaker == Speaker::User {
            self.exchange.words_understood(self.now());
        }
        if let Some(transcriber) = &self.transcriber {
            control(&to(transcriber), LineHeard { stream, line });
        }
    }

    /// The caller finished saying something at `at`.
    fn caller_finished(&mut self, at: Instant) {
        if let Some(turn) = self.latency.caller_finished(at) {
            self.note_turn(turn);
        }
    }

    fn on_interrupted(&mut self) {
        self.note(Event::BargeIn);
        self.tell(ServerMessage::TranscriptCancelled { role: Voice::Assistant });
    }

    /// Tells the client what a line says now.
    pub(super) fn tell_line(&mut self, line: LineUpdated) {
        let role = match line.speaker {
            Speaker::User => Voice::User,
            Speaker::Assistant => Voice::Assistant,
        };
        self.tell(ServerMessage::Transcript {
            id: line.id,
            role,
            text: line.text,
            is_final: line.is_final,
            is_streaming: !line.is_final,
            interrupted: line.interrupted,
            timestamp: timestamp(),
        });
    }
}

impl Handler<StreamEvent> for CallActor {
    type Result = ();

    fn handle(&mut self, StreamEvent { stream, event }: StreamEvent, ctx: &mut Self::Context) {
        let Some(place) = self.streams.place(stream) else { return };
        match event {
            StreamNews::Opened { .. } if self.is_ending() => {}
            StreamNews::Opened { valid_until } => self.stream_opened(place, valid_until, ctx),
            // These come of a replaced stream as well: it corrects what was said, and has a price.
            StreamNews::Line(line) => self.on_line(stream, line),
            StreamNews::Usage(usage) => self.on_usage(stream, &usage),
            StreamNews::Ended(fault) => self.stream_ended((stream, place), fault, ctx),
            // Late news of a stream that was replaced a moment ago.
            _ if place != Place::Serving => {}
            StreamNews::SpeechStarted => {
                self.exchange.speech_started();
                self.caller_active(ctx);
            }
            StreamNews::SpeechEnded { ago } => {
                let now = self.now();
                self.exchange.speech_ended(now);
                self.caller_finished(now.checked_sub(ago).unwrap_or(now));
                self.caller_active(ctx);
            }
            StreamNews::TurnStarted => {
                self.note(Event::AnswerBegan);
                self.exchange.answer_began(true);
                self.settle(ctx);
            }
            StreamNews::FirstAudio => {
                self.note(Event::AnswerHeard);
                self.latency.audio(self.now());
                self.audio_during_handover(ctx);
            }
            StreamNews::TurnEnded { interrupted } => {
                self.note(Event::AnswerEnded { interrupted });
                self.exchange.answer_ended();
                self.on_turn_ended(interrupted);
                self.settle(ctx);
            }
            StreamNews::Interrupted => self.on_interrupted(),
            StreamNews::ToolCall { tool_use_id, name, input } => {
                self.exchange.answer_began(false);
                self.on_tool_call(tool_use_id, name, input, ctx);
                self.settle(ctx);
            }
            StreamNews::Suspicious => self.stream_suspicious(ctx),
        }
    }
}

impl Handler<ClientEvent> for CallActor {
    type Result = ();

    fn handle(&mut self, event: ClientEvent, ctx: &mut Self::Context) {
        match event {
            ClientEvent::Configured(wish) => self.configure(*wish, ctx),
            ClientEvent::Typed(text) => {
                let text = text.trim();
                if text.is_empty() || text.len() > TEXT_LIMIT {
                    let message = format!(
                        "textInput.text has {} bytes; it is 1 to {TEXT_LIMIT} long",
                        text.len()
                    );
                    return self.complain("invalid_text", message, false);
                }
                self.caller_finished(self.now());
                self.send_text(text.to_owned(), true);
                self.caller_active(ctx);
            }
            ClientEvent::Rated(feedback) => {
                tracing::info!(
                    score = feedback.score,
                    comment = feedback.comment.is_some(),
                    "feedback"
                );
                let Feedback { score, comment } = feedback;
                self.note(Event::Feedback(entry::Feedback { score, comment, name: None }));
            }
            ClientEvent::Hearing(hearing) => {
                self.hearing = hearing;
                if let Some(turn) =
                    Some(self.now()).filter(|_| hearing).and_then(|now| self.latency.written(now))
                {
                    self.note_turn(turn);
                }
                self.settle(ctx);
            }
            ClientEvent::HeardAll => {
                if let Some(reason) = self.farewell.as_ref().and_then(|f| f.heard()) {
                    return self.end(reason, ctx);
                }
                self.heard_all(ctx);
            }
            ClientEvent::Unheard(unheard) => self.leave_unless_unheard(unheard, ctx),
            ClientEvent::FlushedUnmarked => {
                if let Some(sonic) = self.streams.serving() {
                    control(&to(sonic), DeclareInterruption);
                }
            }
            ClientEvent::HungUp => self.end(self.reason_of_hang_up(), ctx),
            ClientEvent::Lost => self.connection_lost(ctx),
            ClientEvent::RecordingFailed => self.recording_failed(),
            ClientEvent::Stalled => self.end(EndReason::ClientStalled, ctx),
            ClientEvent::Broken(why) => {
                self.complain("protocol_violation", why.clone(), true);
                self.end(EndReason::ClientProtocol(why), ctx);
            }
        }
    }
}

impl Handler<LineUpdated> for CallActor {
    type Result = ();

    fn handle(&mut self, line: LineUpdated, ctx: &mut Self::Context) {
        self.follow_tags(&line.steps);
        if line.text.is_empty() {
            return;
        }
        self.note_line(&line);
        self.ledger.note_line(&line.id, line.speaker, &line.text, line.is_final);
        if line.is_final {
            self.line_said(&line);
            self.checkpoint(ctx);
        }
        self.tell_line(line);
    }
}
