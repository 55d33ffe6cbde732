//! The registry: knows every active call of the process.
//!
//! It admits calls, counts them for the metrics, and leads the graceful shutdown. A call holds
//! a [`CallLease`]; dropping it, in whatever way the call ended, takes it off the list. So the
//! count always comes back to zero.

mod draining;
mod parties;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use actix::{
    Actor, Addr, AsyncContext, Context, Handler, Message, MessageResult, Recipient, SpawnHandle,
};
use tokio::{sync::watch, task::AbortHandle};
use voice_call::{
    CallId, EndReason, Meters,
    meters::{Queue, ReasonLabel},
};

pub use self::draining::{DrainReport, DrainState};
use self::parties::Parties;
pub(crate) use self::parties::Tab;
pub use self::parties::{Party, PartyLimits, PartyRefusal};
use crate::{
    call::parking,
    client::{Connection, FromSocket, Seen, SocketSide},
    drain::{Drain, Notice},
    mailbox::{Outbox, control},
    supervise::{self, Pulse},
};

/// A handle of the registry. Cheap to clone, usable from every worker.
#[derive(Clone)]
pub struct Registry {
    actor: Addr<RegistryActor>,
    active: Arc<watch::Sender<usize>>,
    drain: Arc<watch::Sender<DrainState>>,
    probe_interval: Duration,
    /// Most calls at a time; 0: no limit.
    max_calls: usize,
    meters: Meters,
}

/// The right to hold one call. Dropping it takes the call off the list.
pub struct CallLease {
    id: CallId,
    registry: Registry,
    tab: Tab,
}

/// Why a call was not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is a live call of this id already.
    #[error("session {0} is live already; choose another id or wait until it has ended")]
    AlreadyLive(CallId),
    /// The process holds as many calls as it may.
    #[error("the server holds as many calls as it can; try again in a moment")]
    Full,
    /// Its user, key or address may have no more.
    #[error(transparent)]
    Party(#[from] PartyRefusal),
    /// The process takes no more calls.
    #[error("this server takes no new calls any more; try again")]
    Draining,
    /// The registry is gone: the process cannot take calls any more.
    #[error("the server cannot take calls; try again")]
    Unavailable,
}

/// There is no call to come back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the earlier call is over, or the token was used or is not its own; this is a new call")]
pub struct NoSuchCall;

/// A call that its client has claimed back.
pub struct Claim(parking::Claimed, Meters);

impl Claim {
    /// Gives the call its new socket. What the socket receives goes into the returned outbox.
    pub fn attach(self, socket: SocketSide, seen: Seen) -> (Outbox<FromSocket>, Connection) {
        let parking::Claimed { connection, frames, call } = self.0;
        control(&call, parking::Return { connection, socket, seen });
        (Outbox::new(frames, Queue::FromSocket, &self.1), connection)
    }
}

/// Asks a call to end, for a cause.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub(crate) struct EndCall(pub(crate) EndReason);

impl Registry {
    /// Starts the registry on the current arbiter. It asks the supervisors of the calls for a sign
    /// of life every `probe_interval`, and holds at most `max_calls` (0: no limit).
    pub fn start(
        meters: Meters,
        probe_interval: Duration,
        max_calls: usize,
        limits: PartyLimits,
    ) -> Self {
        let active = Arc::new(watch::Sender::new(0));
        let drain = Arc::new(watch::Sender::new(DrainState::default()));
        let ctx = Context::<RegistryActor>::new();
        meters.max_calls.set(i64::try_from(max_calls).unwrap_or(i64::MAX));
        let actor = ctx.address();
        let registry = Self { actor, active, drain, probe_interval, max_calls, meters };
        supervise::spawn_root(
            ctx.into_future(RegistryActor::new(registry.clone(), limits)),
            |exit| {
                tracing::error!(?exit, "the registry ended: no more calls can be taken");
            },
        );
        registry
    }

    /// Admits a call of `party` under `id`, or under a fresh id.
    pub async fn admit(&self, id: Option<CallId>, party: Party) -> Result<CallLease, Refusal> {
        let id = id.unwrap_or_else(CallId::random);
        self.ask(Admit { id, party, returning: false }).await
    }

    /// Admits a call that another task held: it has its place, also where there is none.
    pub async fn admit_returning(&self, id: CallId, party: Party) -> Result<CallLease, Refusal> {
        self.ask(Admit { id, party, returning: true }).await
    }

    async fn ask(&self, admit: Admit) -> Result<CallLease, Refusal> {
        let admitted = self.actor.send(admit).await;
        let result = admitted.unwrap_or(Err(Refusal::Unavailable));
        if let Err(refusal) = &result {
            let reason = match refusal {
                Refusal::AlreadyLive(_) => "already_live",
                Refusal::Full => "full",
                Refusal::Party(PartyRefusal::TooMany(_)) => "too_many_calls",
                Refusal::Party(PartyRefusal::BudgetSpent) => "budget_spent",
                Refusal::Draining => "draining",
                Refusal::Unavailable => "unavailable",
            };
            self.meters.calls_refused.get_or_create(&ReasonLabel { reason }).inc();
        }
        result
    }

    /// Claims a call back for a client that has lost its connection. The claim has to be followed
    /// by [`Claim::attach`].
    ///
    /// # Errors
    /// [`NoSuchCall`] when there is no such call here, or it is not this client's.
    pub async fn claim(&self, id: CallId, token: String) -> Result<Claim, NoSuchCall> {
        let seat = self.actor.send(Find(id)).await.ok().flatten();
        let claimed = match seat {
            Some(call) => call.send(parking::Claim { token }).await.ok().flatten(),
            None => None,
        };
        if claimed.is_some() {
            self.meters.resumes.get_or_create(&ReasonLabel { reason: "resumed" }).inc();
        }
        claimed.map(|claimed| Claim(claimed, self.meters.clone())).ok_or(NoSuchCall)
    }

    /// Asks one call to end, as an operator wants it. Answers whether there is such a call.
    pub async fn hang_up(&self, id: CallId) -> bool {
        self.actor.send(HangUp(id)).await.unwrap_or(false)
    }

    /// Takes note where a call can be reached.
    pub(crate) fn enrol(&self, id: CallId, seat: Seat) {
        control(&self.actor.clone().recipient(), Enrol(id, seat));
    }

    /// How many calls are active now.
    pub fn active(&self) -> usize {
        *self.active.borrow()
    }

    /// Most calls at a time; `None`: no limit.
    pub fn max_calls(&self) -> Option<usize> {
        Some(self.max_calls).filter(|max| *max > 0)
    }

    /// Whether there is no place for another call.
    pub fn is_full(&self) -> bool {
        self.max_calls().is_some_and(|max| self.active() >= max)
    }

    /// Resolves when no call is active.
    pub async fn empty(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.active.subscribe().wait_for(|active| *active == 0).await;
    }

    /// A receiver of the number of active calls, for whoever follows it.
    pub fn watch_active(&self) -> watch::Receiver<usize> {
        self.active.subscribe()
    }

    /// Makes one actor of a call panic, hang or stop; `None` is the supervisor itself.
    #[cfg(feature = "chaos")]
    pub async fn inject(
        &self,
        id: &CallId,
        role: Option<voice_call::Role>,
        mishap: chaos::Mishap,
    ) -> bool {
        self.actor.send(chaos::Inject(id.clone(), role, mishap)).await.unwrap_or(false)
    }
}

impl CallLease {
    /// The call's id.
    pub fn id(&self) -> &CallId {
        &self.id
    }

    /// The registry that granted it.
    pub(crate) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Where the call notes what it costs.
    pub(crate) fn tab(&self) -> Tab {
        self.tab.clone()
    }
}

impl Drop for CallLease {
    fn drop(&mut self) {
        control(&self.registry.actor.clone().recipient(), Release(self.id.clone()));
    }
}

/// Where a call can be reached.
pub(crate) struct Seat {
    /// Ends it, for a cause.
    pub(crate) end: Recipient<EndCall>,
    /// Tells it of a drain.
    pub(crate) notice: Recipient<Notice>,
    /// Gives the call back to its client.
    pub(crate) claim: Recipient<parking::Claim>,
    /// The supervisor's sign of life.
    pub(crate) pulse: Pulse,
    /// Cuts a supervisor that gives none; whoever watches it does the rest.
    pub(crate) abort: AbortHandle,
    #[cfg(feature = "chaos")]
    pub(crate) mishap: Recipient<chaos::MishapIn>,
}

/// The actor behind the handle. The count is changed here alone, so it is exact.
struct RegistryActor {
    calls: HashMap<CallId, Option<Seat>>,
    parties: Parties,
    drain: Drain,
    /// Wakes the drain when its next moment has come.
    alarm: Option<SpawnHandle>,
    handle: Registry,
}

impl RegistryActor {
    fn new(handle: Registry, limits: PartyLimits) -> Self {
        Self {
            calls: HashMap::new(),
            parties: Parties::new(limits),
            drain: Drain::default(),
            alarm: None,
            handle,
        }
    }

    /// Ends the calls of users who have used up their budget.
    fn settle(&mut self) {
        for id in self.parties.overdrawn(seconds()) {
            if let Some(Some(seat)) = self.calls.get(&id) {
                control(&seat.end, EndCall(EndReason::BudgetSpent));
            }
        }
    }

    /// Looks for supervisors that hang.
    fn probe(&mut self) {
        for (id, seat) in &mut self.calls {
            if let Some(seat) = seat.as_mut()
                && !seat.pulse.beats()
            {
                tracing::error!(call = %id, "the supervisor of the call gives no sign of life");
                seat.abort.abort();
            }
        }
    }

    fn publish(&mut self) {
        let active = self.calls.len();
        self.handle.active.send_replace(active);
        self.handle.meters.active_calls.set(active as i64);
        self.drain.count(active);
        self.publish_drain();
    }
}

impl Actor for RegistryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.handle.probe_interval, |registry, _| {
            registry.probe();
            registry.settle();
        });
    }
}

/// Since 1970: a budget is one of a day.
fn seconds() -> u64 {
    UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

#[derive(Message)]
#[rtype(result = "Result<CallLease, Refusal>")]
struct Admit {
    id: CallId,
    party: Party,
    /// Whether it is a call of another task, which is in progress.
    returning: bool,
}

impl Handler<Admit> for RegistryActor {
    type Result = Result<CallLease, Refusal>;

    fn handle(&mut self, admit: Admit, _: &mut Self::Context) -> Self::Result {
        let Admit { id, party, returning } = admit;
        if self.drain.is_closed() {
            return Err(Refusal::Draining);
        }
        // Every admission passes through here, one after the other: the limit is exact.
        if !returning && self.handle.max_calls().is_some_and(|max| self.calls.len() >= max) {
            return Err(Refusal::Full);
        }
        if self.calls.contains_key(&id) {
            return Err(Refusal::AlreadyLive(id));
        }
        let (now, tab) = (seconds(), Tab::default());
        if !returning {
            self.parties.judge(&party, now)?;
        }
        self.parties.begin(&id, party, tab.clone(), now);
        self.calls.insert(id.clone(), None);
        self.publish();
        Ok(CallLease { id, registry: self.handle.clone(), tab })
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Enrol(CallId, Seat);

impl Handler<Enrol> for RegistryActor {
    type Result = ();

    fn handle(&mut self, Enrol(id, seat): Enrol, _: &mut Self::Context) {
        // A call that was admitted before a drain and comes in after it is told as well.
        if let Some(notice) = self.drain.announce(Instant::now()) {
            control(&seat.notice, notice);
        }
        if let Some(entry) = self.calls.get_mut(&id) {
            *entry = Some(seat);
        }
    }
}

#[derive(Message)]
#[rtype(result = "Option<Recipient<parking::Claim>>")]
struct Find(CallId);

impl Handler<Find> for RegistryActor {
    type Result = MessageResult<Find>;

    fn handle(&mut self, Find(id): Find, _: &mut Self::Context) -> Self::Result {
        let seat = self.calls.get(&id).and_then(Option::as_ref);
        MessageResult(seat.map(|seat| seat.claim.clone()))
    }
}

#[derive(Message)]
#[rtype(result = "bool")]
struct HangUp(CallId);

impl Handler<HangUp> for RegistryActor {
    type Result = MessageResult<HangUp>;

    fn handle(&mut self, HangUp(id): HangUp, _: &mut Self::Context) -> Self::Result {
        let seat = self.calls.get(&id).and_then(Option::as_ref);
        if let Some(seat) = seat {
            control(&seat.end, EndCall(EndReason::Operator));
        }
        MessageResult(seat.is_some())
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Release(CallId);

impl Handler<Release> for RegistryActor {
    type Result = ();

    fn handle(&mut self, Release(id): Release, _: &mut Self::Context) {
        self.calls.remove(&id);
        self.parties.end(&id, seconds());
        self.publish();
    }
}

/// Deliberate mishaps, for the crash tests.
#[cfg(feature = "chaos")]
pub mod chaos {
    use actix::{Context, Handler, Message, MessageResult};
    use voice_call::{CallId, Role};

    use super::RegistryActor;
    use crate::mailbox::control;

    /// What happens to an actor.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Mishap {
        /// It panics.
        Panic,
        /// It goes on living and handles no message any more.
        Hang,
        /// It stops without having been asked to.
        Stop,
    }

    /// Tells a call which of its actors has a mishap.
    #[derive(Message, Debug, Clone, Copy)]
    #[rtype(result = "()")]
    pub(crate) struct MishapIn(pub(crate) Option<Role>, pub(crate) Mishap);

    #[derive(Message)]
    #[rtype(result = "bool")]
    pub(super) struct Inject(pub(super) CallId, pub(super) Option<Role>, pub(super) Mishap);

    impl Handler<Inject> for RegistryActor {
        type Result = MessageResult<Inject>;

        fn handle(&mut self, message: Inject, _: &mut Context<Self>) -> Self::Result {
            let seat = self.calls.get(&message.0).and_then(Option::as_ref);
            if let Some(seat) = seat {
                control(&seat.mishap, MishapIn(message.1, message.2));
            }
            MessageResult(seat.is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn an_id_is_free_again_when_its_lease_is_dropped() {
        let registry =
            Registry::start(Meters::default(), Duration::from_secs(10), 0, PartyLimits::default());
        let id: CallId = "c-1".parse().expect("an id");
        let lease = registry.admit(Some(id.clone()), Party::default()).await.expect("admitted");
        assert_eq!(registry.active(), 1);
        let again = registry.admit(Some(id.clone()), Party::default()).await.map(|_| ());
        assert_eq!(again, Err(Refusal::AlreadyLive(id.clone())));
        drop(lease);
        registry.empty().await;
        assert!(registry.admit(Some(id), Party::default()).await.is_ok());
    }

    #[actix::test]
    async fn the_limit_is_exact_and_spares_calls_in_progress() {
        let meters = Meters::default();
        let registry =
            Registry::start(meters.clone(), Duration::from_secs(10), 3, PartyLimits::default());
        let asked =
            futures::future::join_all((0..20).map(|_| registry.admit(None, Party::default())))
                .await;
        let mut leases: Vec<_> = asked.into_iter().filter_map(Result::ok).collect();
        assert_eq!((leases.len(), registry.is_full()), (3, true));
        assert_eq!(registry.admit(None, Party::default()).await.map(|_| ()), Err(Refusal::Full));
        let returning =
            registry.admit_returning(CallId::random(), Party::default()).await.expect("a place");
        leases.clear();
        drop(returning);
        registry.empty().await;
        assert!(registry.admit(None, Party::default()).await.is_ok());
        let refused = meters.calls_refused.get_or_create(&ReasonLabel { reason: "full" });
        assert_eq!(refused.get(), 18);
    }

    #[actix::test]
    async fn a_drain_refuses_new_calls_and_reports_what_is_left() {
        let registry =
            Registry::start(Meters::default(), Duration::from_secs(10), 0, PartyLimits::default());
        let _lease = registry.admit(None, Party::default()).await.expect("admitted");
        let report = registry.drain(Duration::ZERO).await;
        assert_eq!(report, DrainReport { active: 1, left: 1 });
        assert_eq!(
            registry.admit(None, Party::default()).await.map(|_| ()),
            Err(Refusal::Draining)
        );
    }
}
