//! Start, supervision and end of a call. Its streams to the model are in `streams`.

use std::time::Instant;

use actix::{ActorContext, AsyncContext, Context, Handler};
use voice_call::{EndReason, Role};
use voice_wire::{ServerMessage, SessionConfig, server::Metadata};

use super::{CallActor, Phase, SMALL_MAILBOX, settings, to};
use crate::{
    client::FinishClient,
    mailbox::control,
    policy::Reaction,
    sonic::FinishStream,
    supervise::ChildExited,
    tools::{FinishTools, ToolRunner},
    transcript::{FinishTranscript, LineUpdated, Transcriber},
    transfer::{FinishDetector, TransferDetector},
};

impl CallActor {
    /// The call is accepted: greet the client and wait a moment for its settings.
    pub(super) fn begin(&mut self, ctx: &mut Context<Self>) {
        tracing::info!(backend = self.engine.shared.identity.backend, "call started");
        let before = self.before.take();
        let hello = self.hello(before.is_some());
        self.tell(hello);
        if let Some(trace_id) = self.config().trace_id {
            let trace_id = trace_id(self.id.as_str());
            self.tell(ServerMessage::Metadata { data: Metadata::Trace { trace_id } });
        }
        for role in [Role::Transcriber, Role::Tools, Role::Transfer] {
            self.spawn_helper(role, ctx);
        }
        match before {
            Some(before) => self.restore(before, ctx),
            None => {
                let window = self.config().config_window;
                ctx.run_later(window, |call, ctx| call.open_first_stream(ctx));
            }
        }
        ctx.run_interval(self.config().probe_interval, |call, ctx| call.probe(ctx));
        self.limit_length(ctx);
    }

    /// Looks for children that hang.
    fn probe(&mut self, ctx: &mut Context<Self>) {
        for hung in self.children.probe() {
            self.child_exited(&hung, ctx);
        }
    }

    /// Starts one of the children that need nothing but the call.
    fn spawn_helper(&mut self, role: Role, ctx: &mut Context<Self>) {
        let (me, meters) = (ctx.address(), self.engine.meters().clone());
        let parent = to(&me);
        let set = &mut self.children;
        match role {
            Role::Transcriber => {
                self.transcribers += 1;
                let hearing = self.transcribing.hearing.clone();
                let request = hearing.as_ref().map(|hearing| hearing.request.clone());
                let number = self.transcribers;
                let actor = Transcriber::new(number, to(&me), to(&me), hearing);
                let addr = set.spawn(role, SMALL_MAILBOX, &parent, &meters, actor).0;
                if request.is_some() {
                    self.let_listen(&addr, request.as_ref());
                }
                self.transcriber = Some(addr);
            }
            Role::Tools => {
                let catalog = self.catalog.clone();
                let deadline = self.engine.shared.config.tool_deadline;
                let executors = self.engine.shared.ports.executors.clone();
                let actor = ToolRunner::new(catalog, executors, deadline, meters.clone(), to(&me));
                self.tools = Some(set.spawn(role, SMALL_MAILBOX, &parent, &meters, actor).0);
            }
            Role::Transfer => {
                let config = self.engine.shared.config.transfer.clone();
                let actor = TransferDetector::new(config, self.transferred, to(&me));
                self.transfer = Some(set.spawn(role, SMALL_MAILBOX, &parent, &meters, actor).0);
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
        self.wish = wish;
        let news = settings.about != self.settings.about && self.phase != Phase::Configuring;
        let changes_stream = settings.session != self.settings.session;
        self.settings = settings;
        control(&to(&self.client), self.settings.pace);
        if news {
            self.note_settings();
            self.follow_recording();
            self.follow_transcription();
        }
        self.walk.link(&self.settings.workflows);
        self.idle.configure(self.settings.idle_timeout, self.settings.idle_checks);
        self.watch_idle(ctx);
        match self.phase {
            Phase::Configuring => self.open_first_stream(ctx),
            Phase::Opening | Phase::Live if changes_stream => self.settings_changed(ctx),
            Phase::Opening | Phase::Live | Phase::Ending => {}
        }
    }

    // The end.

    /// Ends the call: first every child is asked to finish, then whoever is left is stopped.
    pub(super) fn end(&mut self, reason: EndReason, ctx: &mut Context<Self>) {
        if self.is_ending() {
            return;
        }
        tracing::info!(%reason, "ending the call");
        self.note_usage();
        self.phase = Phase::Ending;
        self.farewell = None;
        self.handover = None;
        self.parked = None;
        let token = self.resume_token.take();
        // A client that is sent away by a restart comes back to another task.
        self.forget_checkpoint(token.filter(|_| reason != EndReason::Draining));
        let (code, text) = reason.close();
        let finish = FinishClient { code, reason: text.chars().take(120).collect() };
        control(&to(&self.client), finish);
        // A client that does not read would not read the close frame either.
        if reason == EndReason::ClientStalled {
            self.socket.cut();
        }
        for stream in self.streams.all() {
            control(&to(stream), FinishStream);
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

    /// A child is gone, for whatever reason.
    fn child_exited(&mut self, exited: &ChildExited, ctx: &mut Context<Self>) {
        let serving = exited.role != Role::Sonic || self.streams.note_exit(exited.id);
        if self.is_ending() {
            return self.stop_when_alone(ctx);
        }
        // A stream that ends in order says so before (`StreamNews::Ended`) and serves no more.
        if !serving {
            return self.spare_stream_exited(ctx);
        }
        self.child_lost(exited, ctx);
    }

    /// What a lost stream was saying ends where it is.
    fn close_open_lines(&mut self) {
        for line in self.ledger.close_open_lines() {
            let line = LineUpdated {
                id: line.id,
                speaker: line.speaker,
                text: line.text,
                is_final: true,
                interrupted: true,
                steps: Vec::new(),
            };
            self.note_line(&line);
            self.tell_line(line);
        }
    }

    /// A child ended without having been asked to.
    fn child_lost(&mut self, exited: &ChildExited, ctx: &mut Context<Self>) {
        let ChildExited { role, exit, .. } = exited;
        tracing::error!(%role, ?exit, "a child of the call broke");
        match self.policy.on_exit(*role, exit, Instant::now()) {
            Reaction::Restart(pause) if *role == Role::Sonic => {
                // It could not say itself that its last line is over.
                self.close_open_lines();
                self.reconnect(pause, true, ctx);
            }
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
        if self.children.note_exit(&exited) {
            self.child_exited(&exited, ctx);
        }
    }
}
