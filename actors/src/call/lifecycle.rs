//! Start, streams, supervision and end of a call.

use std::time::{Duration, Instant};

use actix::{ActorContext, AsyncContext, Context, Handler};
use voice_call::{EndReason, FaultKind, Role, StreamFault, meters::Queue, meters::ReasonLabel};
use voice_wire::{ServerMessage, SessionConfig};

use super::{CallActor, Phase, SMALL_MAILBOX, SONIC_MAILBOX, settings, to};
use crate::{
    client::{AttachStream, DetachStream, FinishClient},
    mailbox::{Outbox, control},
    policy::Reaction,
    sonic::{FinishStream, SonicActor},
    supervise::{ChildExited, Exit},
    tools::{FinishTools, ToolRunner},
    transcript::{FinishTranscript, Transcriber},
    transfer::{FinishDetector, TransferDetector},
};

impl CallActor {
    /// The call is accepted: greet the client and wait a moment for its settings.
    pub(super) fn begin(&mut self, ctx: &mut Context<Self>) {
        let identity = &self.engine.shared.identity;
        tracing::info!(backend = identity.backend, "call started");
        self.tell(ServerMessage::Connected {
            session_id: self.id.to_string(),
            message: "Connected".into(),
            version: identity.version.clone(),
            has_credentials: identity.has_credentials,
            backend: identity.backend,
        });
        for role in [Role::Transcriber, Role::Tools, Role::Transfer] {
            self.spawn_helper(role, ctx);
        }
        let window = self.config().config_window;
        ctx.run_later(window, |call, ctx| call.open_first_stream(ctx));
    }

    /// Starts one of the children that need nothing but the call.
    fn spawn_helper(&mut self, role: Role, ctx: &mut Context<Self>) {
        let (me, meters) = (ctx.address(), self.engine.meters().clone());
        let parent = to(&me);
        let set = &mut self.children;
        match role {
            Role::Transcriber => {
                self.transcribers += 1;
                let actor = Transcriber::new(self.transcribers, to(&me));
                self.transcriber = Some(set.spawn(role, SMALL_MAILBOX, &parent, &meters, actor));
            }
            Role::Tools => {
                let catalog = self.catalog.clone();
                let deadline = self.engine.shared.config.tool_deadline;
                let executors = self.engine.shared.ports.executors.clone();
                let actor = ToolRunner::new(catalog, executors, deadline, meters.clone(), to(&me));
                self.tools = Some(set.spawn(role, SMALL_MAILBOX, &parent, &meters, actor));
            }
            Role::Transfer => {
                let config = self.engine.shared.config.transfer.clone();
                let actor = TransferDetector::new(config, self.transferred, to(&me));
                self.transfer = Some(set.spawn(role, SMALL_MAILBOX, &parent, &meters, actor));
            }
            Role::Client | Role::Sonic => {}
        }
    }

    // Settings.

    /// The client's settings arrived, for the first time or anew.
    pub(super) fn configure(&mut self, wish: SessionConfig, ctx: &mut Context<Self>) {
        if self.is_ending() {
            return;
        }
        let shared = self.engine.shared.clone();
        let now = jiff::Timestamp::now();
        let (settings, problems) = settings::resolve(&wish, &shared.config, &self.catalog, now);
        for problem in problems {
            self.complain(problem.code, problem.message, false);
        }
        let changes_stream = settings.session != self.settings.session;
        self.settings = settings;
        self.walk.link(&self.settings.workflows);
        self.idle.configure(self.settings.idle_timeout, self.settings.idle_checks);
        self.watch_idle(ctx);
        match self.phase {
            Phase::Configuring => self.open_first_stream(ctx),
            Phase::Opening | Phase::Live if changes_stream => {
                tracing::info!("settings changed: opening another stream");
                self.replace_stream(Duration::ZERO, ctx);
            }
            Phase::Opening | Phase::Live | Phase::Ending => {}
        }
    }

    // Streams.

    pub(super) fn open_first_stream(&mut self, ctx: &mut Context<Self>) {
        if self.phase == Phase::Configuring {
            self.idle.configure(self.settings.idle_timeout, self.settings.idle_checks);
            self.open_stream(ctx);
        }
    }

    /// Opens a stream with the present settings and all that was said so far.
    fn open_stream(&mut self, ctx: &mut Context<Self>) {
        self.phase = Phase::Opening;
        self.stream += 1;
        let shared = self.engine.shared.clone();
        let mut session = self.settings.session.clone();
        session.history = self.ledger.history();
        if let Some(reminder) = self.walk.reminder() {
            session.system_prompt = format!("{}\n\n{reminder}", session.system_prompt);
        }
        let me = ctx.address();
        let actor = SonicActor::new(
            self.stream,
            session,
            shared.ports.sonic.clone(),
            Outbox::new(to(&self.client), Queue::AssistantAudio, &shared.meters),
            to(&me),
            shared.meters.clone(),
        );
        let sonic =
            self.children.spawn(Role::Sonic, SONIC_MAILBOX, &to(&me), &shared.meters, actor);
        self.sonic = Some(sonic);
    }

    /// The present stream is up.
    pub(super) fn stream_opened(&mut self, ctx: &mut Context<Self>) {
        let Some(sonic) = self.sonic.clone() else { return };
        self.phase = Phase::Live;
        let outbox = Outbox::new(to(&sonic), Queue::CallerAudio, self.engine.meters());
        control(&to(&self.client), AttachStream(outbox));
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
        for (text, by_caller) in std::mem::take(&mut self.unsent) {
            self.send_text(text, by_caller);
        }
        self.idle.caller_active(Instant::now());
        self.watch_idle(ctx);
    }

    /// Closes the present stream and opens another one after `pause`.
    fn replace_stream(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        self.phase = Phase::Opening;
        self.ledger.stream_ended();
        self.sonic = None;
        self.children.abort(Role::Sonic);
        control(&to(&self.client), DetachStream);
        // The next stream knows nothing of calls that the last one made.
        self.pending_tools.clear();
        self.caller_speaks = false;
        self.set_busy(ctx);
        if pause.is_zero() {
            return self.open_stream(ctx);
        }
        ctx.run_later(pause, |call, ctx| {
            if call.phase == Phase::Opening && call.sonic.is_none() {
                call.open_stream(ctx);
            }
        });
    }

    /// The present stream is over.
    pub(super) fn stream_ended(&mut self, fault: Option<StreamFault>, ctx: &mut Context<Self>) {
        if self.is_ending() {
            return;
        }
        let fault =
            fault.unwrap_or_else(|| StreamFault::new(FaultKind::Closed, "the stream was finished"));
        let reason = fault.kind.as_str();
        self.engine.meters().stream_faults.get_or_create(&ReasonLabel { reason }).inc();
        tracing::warn!(%fault, stream = self.stream, "the stream was lost");
        match self.policy.on_fault(fault.kind, Instant::now()) {
            Reaction::Restart(pause) => self.reconnect(pause, ctx),
            Reaction::End(reason) => self.end_with_apology(reason, fault.kind, ctx),
            Reaction::Degrade => {}
        }
    }

    fn reconnect(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        self.engine.meters().stream_restarts.inc();
        if self.announced && !std::mem::replace(&mut self.reconnecting, true) {
            let message = "The voice service was lost; connecting again".into();
            self.tell(ServerMessage::Reconnecting { message });
        }
        self.replace_stream(pause, ctx);
    }

    fn end_with_apology(&mut self, reason: EndReason, kind: FaultKind, ctx: &mut Context<Self>) {
        let message = match kind {
            FaultKind::AccessDenied => {
                "The server may not use the voice service. Its credentials or permissions are wrong."
            }
            FaultKind::NotFound => "The configured voice model does not exist in this region.",
            _ => "The voice service is not available. Please call again later.",
        };
        self.complain(kind.as_str(), message, true);
        self.end(reason, ctx);
    }

    // The end.

    /// Ends the call: first every child is asked to finish, then whoever is left is stopped.
    pub(super) fn end(&mut self, reason: EndReason, ctx: &mut Context<Self>) {
        if self.is_ending() {
            return;
        }
        tracing::info!(%reason, "ending the call");
        self.phase = Phase::Ending;
        self.farewell = None;
        self.handover = None;
        let (code, text) = reason.close();
        let finish = FinishClient { code, reason: text.chars().take(120).collect() };
        control(&to(&self.client), finish);
        // A client that does not read would not read the close frame either.
        if reason == EndReason::ClientStalled {
            (self.cut)();
        }
        if let Some(sonic) = &self.sonic {
            control(&to(sonic), FinishStream);
        }
        if let Some(transcriber) = &self.transcriber {
            control(&to(transcriber), FinishTranscript);
        }
        if let Some(tools) = &self.tools {
            control(&to(tools), FinishTools);
        }
        if let Some(transfer) = &self.transfer {
            control(&to(transfer), FinishDetector);
        }
        // The first cause is the cause.
        let _ = self.end_reason.set(reason);
        ctx.run_later(self.config().end_deadline, |_, ctx| ctx.stop());
        self.stop_when_alone(ctx);
    }

    fn stop_when_alone(&self, ctx: &mut Context<Self>) {
        if self.children.is_empty() {
            ctx.stop();
        }
    }

    /// A child ended without having been asked to.
    fn child_lost(&mut self, exited: &ChildExited, ctx: &mut Context<Self>) {
        let ChildExited { role, exit, .. } = exited;
        tracing::error!(%role, ?exit, "a child of the call broke");
        match self.policy.on_exit(*role, exit, Instant::now()) {
            Reaction::Restart(pause) if *role == Role::Sonic => self.reconnect(pause, ctx),
            Reaction::Restart(_) => {
                if *role == Role::Tools {
                    self.answer_orphans();
                }
                self.spawn_helper(*role, ctx);
            }
            Reaction::Degrade => {
                match role {
                    Role::Transcriber => self.transcriber = None,
                    Role::Tools => {
                        self.tools = None;
                        self.answer_orphans();
                    }
                    Role::Transfer => self.transfer = None,
                    Role::Client | Role::Sonic => {}
                }
                let (code, what) = match role {
                    Role::Transcriber => ("transcript_unavailable", "The transcript"),
                    Role::Tools => ("tools_unavailable", "Looking things up"),
                    _ => ("transfer_unavailable", "The hand-over to a human"),
                };
                self.complain(code, format!("{what} is not available any more"), false);
            }
            Reaction::End(reason) => {
                if reason != EndReason::HungUp {
                    self.complain("internal_error", "Something broke on our side", true);
                }
                self.end(reason, ctx);
            }
        }
    }
}

impl Handler<ChildExited> for CallActor {
    type Result = ();

    fn handle(&mut self, exited: ChildExited, ctx: &mut Self::Context) {
        // The end of an earlier incarnation is old news; an abort is our own doing.
        if !self.children.note_exit(&exited) {
            return;
        }
        if exited.role == Role::Sonic {
            self.sonic = None;
        }
        if self.is_ending() {
            return self.stop_when_alone(ctx);
        }
        // A stream that ends by itself has said why before (`StreamNews::Ended`).
        if exited.role == Role::Sonic && exited.exit == Exit::Stopped {
            return;
        }
        self.child_lost(&exited, ctx);
    }
}

#[cfg(feature = "chaos")]
mod chaos {
    //! Deliberate panics, for the crash tests.

    use actix::{Actor, Addr, Context, Handler, Message};
    use voice_call::Role;

    use super::super::{CallActor, to};
    use crate::{
        client::ClientActor, mailbox::control, registry::chaos::PanicIn, sonic::SonicActor,
        tools::ToolRunner, transcript::Transcriber, transfer::TransferDetector,
    };

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Panic;

    impl Handler<PanicIn> for CallActor {
        type Result = ();

        fn handle(&mut self, PanicIn(role): PanicIn, _: &mut Context<Self>) {
            fn hit<A>(child: Option<&Addr<A>>)
            where
                A: Actor<Context = Context<A>> + Handler<Panic>,
            {
                if let Some(child) = child {
                    control(&to(child), Panic);
                }
            }
            match role {
                None => panic!("chaos in the supervisor"),
                Some(Role::Client) => hit(Some(&self.client)),
                Some(Role::Sonic) => hit(self.sonic.as_ref()),
                Some(Role::Transcriber) => hit(self.transcriber.as_ref()),
                Some(Role::Tools) => hit(self.tools.as_ref()),
                Some(Role::Transfer) => hit(self.transfer.as_ref()),
            }
        }
    }

    macro_rules! panics {
        ($($actor:ty),*) => {$(
            impl Handler<Panic> for $actor {
                type Result = ();

                fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
                    panic!("chaos in a child");
                }
            }
        )*};
    }
    panics!(ClientActor, SonicActor, Transcriber, ToolRunner, TransferDetector);
}
