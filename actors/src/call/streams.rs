//! The streams of a call: the one that serves, the one that stands by to take over, and those
//! that were replaced and still tell what was said on them.
//!
//! ```text
//!              open_stream                      Retire
//!   (none) ───────────────▶ serving ─────────────────────▶ retiring ──▶ (gone)
//!                              ▲  hand_over
//!   (none) ──OpenStandby──▶ standby ──▶ (dropped, when it stands by too long)
//! ```
//!
//! When is decided by [`voice_sonic::Renewal`] and by the policy table; here it is done. What a
//! stream leaves unanswered is said to the next one: texts by [`super::exchange`], the caller's
//! voice by the client actor's tail, results of tools by `tooling`.

use std::time::{Duration, Instant};

use actix::{Addr, AsyncContext, Context};
use voice_archive::entry::Event;
use voice_call::{
    EndReason, FaultKind, Remedy, Role, StreamFault,
    meters::{Queue, ReasonLabel},
};
use voice_sonic::{Lull, RenewalAction, SessionSettings};
use voice_wire::ServerMessage;

use super::{CallActor, Phase, SONIC_MAILBOX, exchange::SentText, to};
use crate::{
    client::{AttachStream, DetachStream, ForgetCaller},
    mailbox::{Outbox, control},
    policy::Reaction,
    sonic::{Retire, SonicActor, Surroundings, TakeOver},
    supervise::ChildId,
};

/// Said to a stream that follows one which was lost in the middle of an answer.
const CONTINUE_CUE: &str =
    "[Your last answer was cut off by a technical fault. Go on where you stopped.]";

/// How long a suspicion is not followed by another one.
const SUSPICION_REST: Duration = Duration::from_secs(120);

/// One stream.
pub(super) struct Seat {
    number: u32,
    child: ChildId,
    addr: Addr<SonicActor>,
    /// When its credentials expire; known once it is open.
    valid_until: Option<Instant>,
}

/// What a stream is to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Serving,
    Standby,
    Retiring,
}

/// All streams of a call that are there.
#[derive(Default)]
pub(super) struct Streams {
    /// How many were opened; the number of the latest.
    opened: u32,
    serving: Option<Seat>,
    standby: Option<Seat>,
    retiring: Vec<Seat>,
}

impl Streams {
    /// The one that serves.
    pub(super) fn serving(&self) -> Option<&Addr<SonicActor>> {
        self.serving.as_ref().map(|seat| &seat.addr)
    }

    /// The number of the one that serves.
    pub(super) fn serving_number(&self) -> Option<u32> {
        self.serving.as_ref().map(|seat| seat.number)
    }

    /// Every one.
    pub(super) fn all(&self) -> impl Iterator<Item = &Addr<SonicActor>> {
        self.serving.iter().chain(&self.standby).chain(&self.retiring).map(|seat| &seat.addr)
    }

    /// What the stream of this number is; `None` for one that is gone.
    pub(super) fn place(&self, number: u32) -> Option<Place> {
        let is = |seat: &Seat| seat.number == number;
        if self.serving.as_ref().is_some_and(is) {
            Some(Place::Serving)
        } else if self.standby.as_ref().is_some_and(is) {
            Some(Place::Standby)
        } else {
            self.retiring.iter().any(is).then_some(Place::Retiring)
        }
    }

    /// The actor of a stream is gone. Answers whether it was the one that served.
    pub(super) fn note_exit(&mut self, child: ChildId) -> bool {
        let is = |seat: &mut Seat| seat.child == child;
        let served = self.serving.take_if(is).is_some();
        self.standby.take_if(is);
        self.retiring.retain(|seat| seat.child != child);
        served
    }
}

impl CallActor {
    pub(super) fn open_first_stream(&mut self, ctx: &mut Context<Self>) {
        if self.phase == Phase::Configuring {
            self.note_settings();
            self.follow_recording();
            self.follow_transcription();
            self.idle.configure(self.settings.idle_timeout, self.settings.idle_checks);
            self.open_stream(ctx);
        }
    }

    // Opening.

    /// Opens a stream that serves as soon as it is up, with the present settings and all that was
    /// said so far.
    fn open_stream(&mut self, ctx: &mut Context<Self>) {
        self.phase = Phase::Opening;
        let mut session = self.session_settings();
        session.history = self.ledger.history(&self.unsent, self.unanswered_speech);
        self.streams.serving = Some(self.spawn_stream(session, SonicActor::serving, ctx));
    }

    /// Opens a stream that stands by; an earlier one is dropped.
    fn open_standby(&mut self, ctx: &mut Context<Self>) {
        self.drop_standby();
        let session = self.session_settings();
        self.streams.standby = Some(self.spawn_stream(session, SonicActor::standby, ctx));
    }

    fn note_stream(&self, reason: &str) {
        let number = self.streams.serving_number().unwrap_or_default();
        self.note(Event::Stream { number, reason: reason.to_owned() });
    }

    fn session_settings(&self) -> SessionSettings {
        let mut session = self.settings.session.clone();
        if let Some(reminder) = self.walk.reminder() {
            session.system_prompt = format!("{}\n\n{reminder}", session.system_prompt).into();
        }
        session
    }

    fn spawn_stream(
        &mut self,
        session: SessionSettings,
        make: impl FnOnce(u32, SessionSettings, Surroundings) -> SonicActor,
        ctx: &mut Context<Self>,
    ) -> Seat {
        self.streams.opened += 1;
        let number = self.streams.opened;
        let (me, shared) = (ctx.address(), self.engine.shared.clone());
        let around = Surroundings {
            port: shared.ports.sonic.clone(),
            playback: Outbox::new(to(&self.client), Queue::AssistantAudio, &shared.meters),
            ears: to(&self.client),
            call: to(&me),
            meters: shared.meters.clone(),
            clock: shared.config.clock,
            answer_deadline: shared.config.answer_deadline,
            gap: self.settings.pace.gap,
        };
        let actor = make(number, session, around);
        let (addr, child) =
            self.children.spawn(Role::Sonic, SONIC_MAILBOX, &to(&me), &shared.meters, actor);
        Seat { number, child, addr, valid_until: None }
    }

    fn drop_standby(&mut self) {
        if let Some(standby) = self.streams.standby.take() {
            self.children.abort(standby.child);
        }
    }

    /// A stream is up.
    pub(super) fn stream_opened(
        &mut self,
        place: Place,
        valid_until: Option<Instant>,
        ctx: &mut Context<Self>,
    ) {
        match place {
            Place::Serving => self.serving_stream_opened(valid_until, ctx),
            Place::Standby => {
                if let Some(standby) = &mut self.streams.standby {
                    standby.valid_until = valid_until;
                }
                self.renewal.standby_ready(self.now());
                self.settle(ctx);
            }
            Place::Retiring => {}
        }
    }

    fn serving_stream_opened(&mut self, valid_until: Option<Instant>, ctx: &mut Context<Self>) {
        self.phase = Phase::Live;
        self.note_stream(if self.announced { "recovered" } else { "first" });
        self.renewal.stream_up(self.now(), valid_until);
        self.attach_serving();
        if !std::mem::replace(&mut self.announced, true) {
            self.tell(ServerMessage::SessionStart {
                session_id: self.id.to_string(),
                timestamp: super::conversation::timestamp(),
            });
            self.plan_greeting(ctx);
        }
        if std::mem::take(&mut self.reconnecting) {
            self.tell(ServerMessage::Reconnected { message: "The voice service is back".into() });
        }
        self.say_what_is_left();
        self.checkpoint(ctx);
        self.idle.caller_active(self.now());
        self.settle(ctx);
    }

    /// The client's audio goes to the stream that serves: first what nobody has answered.
    fn attach_serving(&self) {
        if let Some(seat) = &self.streams.serving {
            let audio = Outbox::new(to(&seat.addr), Queue::CallerAudio, self.engine.meters());
            control(&to(&self.client), AttachStream { number: seat.number, audio });
        }
    }

    /// Says to the present stream what the one before has left.
    fn say_what_is_left(&mut self) {
        let texts = std::mem::take(&mut self.unsent);
        let spoken = std::mem::take(&mut self.unanswered_speech);
        let cut_off = std::mem::take(&mut self.answer_cut_off);
        let asked = spoken || texts.iter().any(|text| text.by_caller);
        for text in texts {
            self.pass_text(text);
        }
        // Whoever asks something else meanwhile does not want the rest.
        if cut_off && !asked && self.config().model.has_text_trigger() {
            self.pass_text(SentText { text: CONTINUE_CUE.into(), by_caller: false });
        }
    }

    // Renewal: make before break.

    /// Something that is fixed for a stream has changed.
    pub(super) fn settings_changed(&mut self, ctx: &mut Context<Self>) {
        tracing::info!("settings changed: another stream is wanted");
        if self.phase == Phase::Opening {
            // Nobody has heard the one that is being opened.
            self.lose_stream();
            return self.open_stream(ctx);
        }
        self.renewal.request(self.now());
        self.settle(ctx);
    }

    /// Carries out what the renewal wants now, and comes back when it may want something.
    pub(super) fn drive_renewal(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.renewal_timer.take() {
            ctx.cancel_future(timer);
        }
        if self.is_ending() {
            return;
        }
        let now = self.now();
        self.renewal.set_lull(self.lull(now));
        while let Some(action) = self.renewal.poll(now) {
            match action {
                RenewalAction::OpenStandby => self.open_standby(ctx),
                RenewalAction::HandOver => self.hand_over(ctx),
            }
        }
        let rest = self.exchange.rests_at().filter(|at| self.renewal.is_ready() && *at > now);
        let next = [self.renewal.next(), rest].into_iter().flatten().min();
        if let Some(at) = next {
            let pause = self.clock().wait_until(at).max(Duration::from_millis(1));
            self.renewal_timer = Some(ctx.run_later(pause, |call, ctx| {
                call.renewal_timer = None;
                call.drive_renewal(ctx);
            }));
        }
    }

    /// How well it would go unnoticed that the stream is replaced.
    pub(super) fn lull(&self, now: Instant) -> Lull {
        let settled = !self.hearing
            && self.pending_tools.is_empty()
            && self.handover.is_none()
            && self.farewell.is_none();
        if self.exchange.assistant_speaks() {
            Lull::None
        } else if settled && self.exchange.is_at_rest(now) {
            Lull::Quiet
        } else {
            Lull::Between
        }
    }

    /// The standby takes over. The one that served, if it is still there, retires.
    fn hand_over(&mut self, ctx: &mut Context<Self>) {
        let Some(next) = self.streams.standby.take() else { return };
        self.note_what_is_left();
        let history = self.ledger.history(&self.unsent, self.unanswered_speech);
        control(&to(&next.addr), TakeOver { history });
        let (number, valid_until) = (next.number, next.valid_until);
        // The next one is promoted before the old one is closed: the client's audio goes over
        // without a sample between them.
        let old = self.streams.serving.replace(next);
        self.attach_serving();
        self.renewal.stream_up(self.now(), valid_until);
        self.note_stream("renewed");
        self.engine.meters().stream_renewals.inc();
        tracing::info!(stream = number, unheard = !self.hearing, "the next stream has taken over");
        if let Some(old) = old {
            control(&to(&old.addr), Retire);
            let (child, old_number) = (old.child, old.number);
            self.streams.retiring.push(old);
            ctx.run_later(self.config().retire_deadline, move |call, _| {
                if call.streams.place(old_number) == Some(Place::Retiring) {
                    call.streams.note_exit(child);
                    call.children.abort(child);
                    call.ledger.stream_ended(old_number);
                }
            });
        }
        self.say_what_is_left();
    }

    /// The service does not react to a caller who is loud and clear: another stream may.
    pub(super) fn stream_suspicious(&mut self, ctx: &mut Context<Self>) {
        let now = self.now();
        let recently = |at: Instant| now.saturating_duration_since(at) < SUSPICION_REST;
        if self.suspected_at.is_some_and(recently) {
            return;
        }
        self.suspected_at = Some(now);
        tracing::warn!("the service does not react to the caller: another stream is wanted");
        self.renewal.request_at_once(now);
        self.settle(ctx);
    }

    // Loss and recovery.

    /// A stream is over.
    pub(super) fn stream_ended(
        &mut self,
        (number, place): (u32, Place),
        fault: Option<StreamFault>,
        ctx: &mut Context<Self>,
    ) {
        self.ledger.stream_ended(number);
        if self.is_ending() || place == Place::Retiring {
            return;
        }
        let fault =
            fault.unwrap_or_else(|| StreamFault::new(FaultKind::Closed, "the stream was finished"));
        let reason = fault.kind.as_str();
        self.engine.meters().stream_faults.get_or_create(&ReasonLabel { reason }).inc();
        if place == Place::Standby {
            tracing::warn!(%fault, stream = number, "the next stream did not come up");
            self.renewal.standby_lost(self.now());
            return self.settle(ctx);
        }
        tracing::warn!(%fault, stream = number, "the stream was lost");
        if fault.kind == FaultKind::ContentFilter {
            self.drop_filtered();
        }
        match self.policy.on_fault(fault.kind, Instant::now()) {
            Reaction::Restart(pause) => {
                self.reconnect(pause, fault.remedy() == Remedy::TellAndRenew, ctx);
            }
            Reaction::End(reason) => self.end_with_apology(reason, fault.kind, ctx),
            Reaction::Degrade => {}
        }
    }

    /// The actor of a stream that does not serve is gone. A standby that broke without a word
    /// counts as lost.
    pub(super) fn spare_stream_exited(&mut self, ctx: &mut Context<Self>) {
        if self.streams.standby.is_none() {
            self.renewal.standby_lost(self.now());
            self.settle(ctx);
        }
    }

    /// What the filter has refused would be refused again.
    fn drop_filtered(&mut self) {
        let left = self.exchange.stream_gone();
        self.ledger.forget_last_question(left.cut_off);
        control(&to(&self.client), ForgetCaller);
        let message = "What was said last cannot be processed; please put it in another way";
        self.complain("content_filtered", message, false);
    }

    /// The stream is lost: the standby takes over, or another one is opened after `pause`.
    pub(super) fn reconnect(&mut self, pause: Duration, tell: bool, ctx: &mut Context<Self>) {
        self.engine.meters().stream_restarts.inc();
        if self.renewal.is_ready() && self.streams.standby.is_some() {
            if let Some(lost) = self.streams.serving.take() {
                self.children.abort(lost.child);
            }
            tracing::info!("the stream that stands by replaces the lost one");
            return self.hand_over(ctx);
        }
        self.lose_stream();
        self.settle(ctx);
        if tell {
            self.tell_reconnecting();
        } else {
            let notice = self.config().reconnect_notice;
            ctx.run_later(notice, |call, _| {
                if call.phase == Phase::Opening {
                    call.tell_reconnecting();
                }
            });
        }
        if pause.is_zero() {
            return self.open_stream(ctx);
        }
        ctx.run_later(pause, |call, ctx| {
            if call.phase == Phase::Opening && call.streams.serving.is_none() {
                call.open_stream(ctx);
            }
        });
    }

    fn tell_reconnecting(&mut self) {
        if self.announced && !std::mem::replace(&mut self.reconnecting, true) {
            let message = "The voice service was lost; connecting again".into();
            self.tell(ServerMessage::Reconnecting { message });
        }
    }

    /// The call has no stream from here on.
    fn lose_stream(&mut self) {
        self.phase = Phase::Opening;
        self.drop_standby();
        if let Some(lost) = self.streams.serving.take() {
            self.children.abort(lost.child);
            self.ledger.stream_ended(lost.number);
        }
        self.renewal.stream_down();
        control(&to(&self.client), DetachStream);
        self.note_what_is_left();
    }

    /// Takes note of what the stream has not answered.
    fn note_what_is_left(&mut self) {
        let left = self.exchange.stream_gone();
        self.unsent.splice(0..0, left.texts);
        self.unanswered_speech |= left.spoken;
        self.answer_cut_off |= left.cut_off;
    }

    /// Nothing helps any more: in words, or by way of a human.
    fn end_with_apology(&mut self, reason: EndReason, kind: FaultKind, ctx: &mut Context<Self>) {
        let message = match kind {
            FaultKind::AccessDenied => {
                "The server may not use the voice service. Its credentials or permissions are wrong."
            }
            FaultKind::NotFound => "The configured voice model does not exist in this region.",
            _ => "The voice service is not available. Please call again later.",
        };
        if self.settings.phone && !self.transferred {
            // A caller on the phone is not left with an apology.
            self.complain(kind.as_str(), message, false);
            self.lose_stream();
            let input = serde_json::json!({"reason": "The voice service is not available"});
            return self.transfer_called(input, ctx);
        }
        self.complain(kind.as_str(), message, true);
        self.end(reason, ctx);
    }
}
