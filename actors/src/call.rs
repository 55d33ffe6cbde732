//! The supervisor of one call: owns the five children, and is the hub of all but the audio.
//!
//! What happens in a call is in the files beside this one: `lifecycle` (start, children, end),
//! `streams` (renewal and recovery), `conversation` (what the stream and the caller report),
//! `tooling` (tool calls), `transferring` (the way to a human), and the machines that decide:
//! `settings`, `ledger`, `exchange`, `idle`, `latency`, `farewell`, `workflow`.

pub mod exchange;
pub mod farewell;
pub mod idle;
pub mod latency;
pub mod ledger;
pub mod settings;
pub mod workflow;

#[cfg(feature = "chaos")]
mod chaos;
pub(crate) mod checkpoint;
mod chronicle;
mod conversation;
mod leaving;
mod lifecycle;
pub(crate) mod parking;
mod recording;
mod streams;
mod tooling;
mod transcribing;
mod transferring;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use actix::{Actor, Addr, AsyncContext, Context, Recipient, SpawnHandle};
use voice_archive::{Journal, Watched, entry::Event};
use voice_call::{CallId, EndReason, ResumeToken, Role, meters::Queue, meters::ReasonLabel};
use voice_catalog::Snapshot;
use voice_sonic::Renewal;
use voice_wire::{ServerMessage, SessionConfig};

use self::{
    checkpoint::Checkpoint,
    exchange::{Exchange, SentText},
    farewell::Farewell,
    idle::Idle,
    latency::Latency,
    ledger::Ledger,
    parking::Parked,
    recording::Recording,
    settings::CallSettings,
    streams::Streams,
    tooling::PendingTool,
    transcribing::Transcribing,
    workflow::Walk,
};
use crate::{
    client::{ClientActor, FromSocket, Seen, SocketSide, Tell, ToSocket},
    clock::Clock,
    engine::{Engine, EngineConfig, Recalled},
    mailbox::{Outbox, Queued, control},
    policy::Policy,
    registry::{CallLease, EndCall, Seat, Tab},
    supervise::{self, ChildSet, Exit, Pulse, answer_probes},
    tools::ToolRunner,
    transcript::Transcriber,
    transfer::{TransferDetector, handover::Handover},
};

/// Frames from the socket that may wait for the client actor.
const CLIENT_MAILBOX: usize = 256;
/// Audio and control that may wait for the stream actor: more than the kept caller audio.
const SONIC_MAILBOX: usize = 512;
/// Rare messages only.
const SMALL_MAILBOX: usize = 64;
/// How long the socket of a broken call has for its close frame.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How far a call is.
///
/// ```text
///   Configuring ──sessionConfig, or 300 ms──▶ Opening ──stream up──▶ Live ──┐
///                                               ▲                     │ ▲   │ renewal:
///                                               └──── stream lost ────┘ └───┘ it stays live
///   any ──end()──▶ Ending ──all children gone, or deadline──▶ (stopped)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Configuring,
    Opening,
    Live,
    Ending,
}

/// The supervisor actor.
pub(crate) struct CallActor {
    id: CallId,
    engine: Engine,
    /// The tools, workflows and prompts of the moment it started; files that change later are
    /// none of its business.
    catalog: Arc<Snapshot>,
    phase: Phase,
    /// What is kept of it.
    journal: Journal,
    /// What operators see of it.
    watched: Watched,
    recording: Recording,
    transcribing: Transcribing,
    /// Why the call ends; the watcher in [`start_call`] counts it.
    end_reason: Arc<std::sync::OnceLock<EndReason>>,
    children: ChildSet,
    policy: Policy,

    client: Addr<ClientActor>,
    streams: Streams,
    transcriber: Option<Addr<Transcriber>>,
    tools: Option<Addr<ToolRunner>>,
    transfer: Option<Addr<TransferDetector>>,
    /// The socket of the moment, shared with whoever watches the call.
    socket: SocketCell,
    /// How many sockets there were.
    connections: u32,
    /// What another task knew of this call; taken when it begins.
    before: Option<Checkpoint>,
    /// The right to come back, while it is not used.
    resume_token: Option<ResumeToken>,
    parked: Option<Parked>,

    /// What the client asked for, and what that came to.
    wish: SessionConfig,
    settings: CallSettings,
    renewal: Renewal,
    renewal_timer: Option<SpawnHandle>,
    /// When the service was last suspected not to hear the caller.
    suspected_at: Option<Instant>,
    transcribers: u32,
    /// Whether the client was told that the model is up.
    announced: bool,
    /// Whether the client was told that the stream was lost.
    reconnecting: bool,
    /// Whether the assistant was asked to speak first.
    greeted: bool,
    /// Whether the caller spoke or typed already.
    caller_began: bool,
    /// Whether the caller was or is being handed over; once per call.
    transferred: bool,
    handover: Option<Handover>,
    handover_timer: Option<SpawnHandle>,
    /// Where the linked workflows stand.
    walk: Walk,
    exchange: Exchange,
    /// Texts that wait for a stream, oldest first.
    unsent: Vec<SentText>,
    /// Whether the caller said something aloud that a stream left unanswered.
    unanswered_speech: bool,
    /// Whether a stream was lost in the middle of its answer.
    answer_cut_off: bool,
    pending_tools: Vec<PendingTool>,
    ledger: Ledger,
    /// What it costs, for the budget of its user.
    tab: Tab,
    latency: Latency,
    idle: Idle,
    idle_timer: Option<SpawnHandle>,
    farewell: Option<Farewell>,
    hearing: bool,
    /// Whether the task stops, and the client is to go to another one.
    leaving: bool,
    usage_told: Option<Instant>,
    /// Whether a turn ended whose tokens the client has not heard of.
    usage_due: bool,
}

/// The socket of a call, which changes when the client comes back.
#[derive(Clone)]
struct SocketCell(Arc<Mutex<SocketSide>>);

impl SocketCell {
    fn new(socket: SocketSide) -> Self {
        Self(Arc::new(Mutex::new(socket)))
    }

    fn replace(&self, socket: SocketSide) -> SocketSide {
        std::mem::replace(&mut self.lock(), socket)
    }

    fn cut(&self) {
        let cut = self.lock().cut.clone();
        cut();
    }

    fn out(&self) -> Recipient<Queued<ToSocket>> {
        self.lock().out.clone()
    }

    fn lock(&self) -> MutexGuard<'_, SocketSide> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a call on the worker that accepted its socket. What the socket receives goes into the
/// returned outbox.
pub fn start_call(engine: &Engine, lease: CallLease, socket: SocketSide) -> Outbox<FromSocket> {
    start(engine, lease, socket, None)
}

/// Goes on with a call whose task is gone; its client got as far as `seen`.
pub fn continue_call(
    engine: &Engine,
    lease: CallLease,
    socket: SocketSide,
    (recalled, seen): (Recalled, Seen),
) -> Outbox<FromSocket> {
    start(engine, lease, socket, Some((recalled, seen)))
}

fn start(
    engine: &Engine,
    lease: CallLease,
    socket: SocketSide,
    before: Option<(Recalled, Seen)>,
) -> Outbox<FromSocket> {
    let meters = engine.meters().clone();
    let config = &engine.shared.config;
    let id = lease.id().clone();
    let end_reason = Arc::new(std::sync::OnceLock::new());
    let span = tracing::info_span!("call", call = %id);
    let _within = span.clone().entered();

    let mut ctx = Context::<CallActor>::new();
    let me = ctx.address();
    ctx.set_mailbox_capacity(SMALL_MAILBOX);
    let mut children = ChildSet::default();
    let (recalled, seen) = before.unzip();
    let to_call = me.clone().recipient();
    let client =
        ClientActor::new(config, socket.out.clone(), &meters, to_call, seen.unwrap_or_default());
    let (client, _) =
        children.spawn(Role::Client, CLIENT_MAILBOX, &me.clone().recipient(), &meters, client);
    let outbox = Outbox::new(client.clone().recipient(), Queue::FromSocket, &meters);

    let socket = SocketCell::new(socket);
    let mut call =
        CallActor::new(engine.clone(), id, children, client, socket.clone(), end_reason.clone());
    call.before = recalled.map(|recalled| *recalled.0);
    call.journal = engine.journal(&call.id, &call.catalog, call.before.is_some());
    call.tab = lease.tab();
    let (journal, watched) = (call.journal.clone(), call.watched.clone());
    meters.calls_started.inc();
    let (enrol, registry) = (lease.id().clone(), lease.registry());
    let abort = supervise::spawn_root(ctx.into_future(call), move |exit| {
        let _entered = span.entered();
        let reason = match (&exit, end_reason.get()) {
            (Exit::Stopped, Some(reason)) => reason.clone(),
            _ => EndReason::SupervisorFailed,
        };
        meters.calls_ended.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
        journal.end(reason.as_str(), &reason.to_string());
        watched.end(reason.as_str());
        if reason == EndReason::SupervisorFailed {
            tracing::error!(?exit, "the supervisor of the call broke");
            let (code, text) = reason.close();
            let last_words = Outbox::new(socket.out(), Queue::ToSocket, &meters);
            last_words.control(ToSocket::Close { code, reason: text.to_owned() });
            supervise::spawn_root(
                async move {
                    tokio::time::sleep(LAST_WORDS).await;
                    socket.cut();
                    drop(lease);
                },
                |_| (),
            );
            return;
        }
        tracing::info!(%reason, "call ended");
        socket.cut();
        // The call and all its children are gone: only now is its place free.
        drop(lease);
    });
    registry.enrol(
        enrol,
        Seat {
            end: me.clone().recipient(),
            notice: me.clone().recipient(),
            pulse: Pulse::new(me.clone().recipient()),
            claim: me.clone().recipient(),
            abort,
            #[cfg(feature = "chaos")]
            mishap: me.recipient(),
        },
    );
    outbox
}

impl CallActor {
    fn new(
        engine: Engine,
        id: CallId,
        children: ChildSet,
        client: Addr<ClientActor>,
        socket: SocketCell,
        end_reason: Arc<std::sync::OnceLock<EndReason>>,
    ) -> Self {
        let wish = SessionConfig::default();
        let catalog = engine.shared.ports.catalog.snapshot();
        let (settings, _) =
            settings::resolve(&wish, &engine.shared.config, &catalog, jiff::Timestamp::now());
        let idle = Idle::new(None, 0, engine.shared.config.clock.now());
        let renewal = Renewal::new(engine.shared.config.renewal);
        let walk = Walk::new(catalog.clone(), &settings.workflows);
        let watched = engine.shared.ports.monitor.call(id.as_str());
        Self {
            id,
            engine,
            catalog,
            journal: Journal::none(),
            watched,
            recording: Recording::default(),
            transcribing: Transcribing::default(),
            phase: Phase::Configuring,
            end_reason,
            children,
            policy: Policy::default(),
            client,
            streams: Streams::default(),
            transcriber: None,
            tools: None,
            transfer: None,
            socket,
            connections: 1,
            before: None,
            resume_token: None,
            parked: None,
            wish,
            settings,
            renewal,
            renewal_timer: None,
            suspected_at: None,
            transcribers: 0,
            announced: false,
            reconnecting: false,
            greeted: false,
            caller_began: false,
            transferred: false,
            handover: None,
            handover_timer: None,
            walk,
            exchange: Exchange::default(),
            unsent: Vec::new(),
            unanswered_speech: false,
            answer_cut_off: false,
            pending_tools: Vec::new(),
            ledger: Ledger::default(),
            tab: Tab::default(),
            latency: Latency::default(),
            idle,
            idle_timer: None,
            farewell: None,
            hearing: false,
            leaving: false,
            usage_told: None,
            usage_due: false,
        }
    }

    fn config(&self) -> &EngineConfig {
        &self.engine.shared.config
    }

    fn clock(&self) -> Clock {
        self.config().clock
    }

    /// The time of the conversation.
    fn now(&self) -> Instant {
        self.clock().now()
    }

    /// Tells the client.
    fn tell(&self, message: ServerMessage) {
        control(&self.client.clone().recipient(), Tell(message));
    }

    /// Tells the client that something is wrong, in words and by a stable code.
    fn complain(&self, code: &'static str, message: impl Into<String>, fatal: bool) {
        let message = message.into();
        self.note(Event::Error { code: code.to_owned(), message: message.clone() });
        self.tell(ServerMessage::Error { message, code, fatal });
    }

    /// Whether the call is on its way out.
    fn is_ending(&self) -> bool {
        self.phase == Phase::Ending
    }
}

impl Actor for CallActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.begin(ctx);
    }
}

answer_probes!(CallActor);

impl actix::Handler<EndCall> for CallActor {
    type Result = ();

    fn handle(&mut self, EndCall(reason): EndCall, ctx: &mut Self::Context) {
        match reason {
            EndReason::BudgetSpent => self.end_for_budget(ctx),
            reason => self.end(reason, ctx),
        }
    }
}

/// The address of a child as a recipient of one message.
fn to<A, M>(child: &Addr<A>) -> Recipient<M>
where
    A: Actor + actix::Handler<M>,
    A::Context: actix::dev::ToEnvelope<A, M>,
    M: actix::Message + Send + 'static,
    M::Result: Send,
{
    child.clone().recipient()
}
