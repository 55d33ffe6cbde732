//! The registry leads a drain: it carries out what `drain.rs` decides, and tells whoever asks.
//!
//! It is a part of the registry because admission and drain are decided one after the other.

use std::time::{Duration, Instant};

use actix::{AsyncContext, Context, Handler, Message, MessageResult};

use super::{Refusal, Registry, RegistryActor};
use crate::{
    drain::{CannotCancel, Cause, Course, Leave, Notice, Order, Phase},
    mailbox::control,
};

/// How much longer than its grace a drain is waited for, in case that nobody keeps the time.
const OVERTIME: Duration = Duration::from_secs(1);

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Calls that were active when it began.
    pub active: usize,
    /// Calls that had not ended when the grace period was over.
    pub left: usize,
}

/// Where the process stands between taking calls and having none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DrainState {
    /// How far it is.
    pub phase: Phase,
    /// Why, since when and until when; absent while new calls are welcome.
    pub course: Option<Course>,
}

impl Registry {
    /// Whether new calls are refused, and why.
    pub fn drain_state(&self) -> DrainState {
        *self.drain.borrow()
    }

    /// Whether a drain has begun.
    pub fn is_draining(&self) -> bool {
        self.drain_state().phase != Phase::Open
    }

    /// Takes no new calls from now on, and has those in progress do as `order` says.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when the registry is gone.
    pub async fn begin_drain(&self, order: Order) -> Result<DrainState, Refusal> {
        self.actor.send(Begin(order)).await.map_err(|_| Refusal::Unavailable)
    }

    /// Takes new calls again, if it was an operator who wanted none.
    ///
    /// # Errors
    /// [`CannotCancel`] when the drain has another cause, or has gone too far.
    pub async fn cancel_drain(&self) -> Result<DrainState, CannotCancel> {
        self.actor.send(Cancel).await.unwrap_or(Err(CannotCancel::NotDraining))
    }

    /// Resolves when a drain is over after which the process has to end.
    pub async fn exit_wanted(&self) {
        let mut drain = self.drain.subscribe();
        let wanted = |state: &DrainState| {
            state.phase == Phase::Done && state.course.is_some_and(|course| course.exit)
        };
        // The sender lives in `self`, so waiting cannot fail.
        let _ = drain.wait_for(wanted).await;
    }

    /// The drain of a process that stops: asks every call to leave, and waits for that at most
    /// `grace`.
    pub async fn drain(&self, grace: Duration) -> DrainReport {
        let active = self.active();
        let order = Order { cause: Cause::Signal, leave: Leave::Now(grace), exit: true };
        if self.begin_drain(order).await.is_ok() {
            let mut drain = self.drain.subscribe();
            let done = drain.wait_for(|state| state.phase == Phase::Done);
            // The registry keeps the time itself; this is for one that hangs.
            let _ = tokio::time::timeout(grace + OVERTIME, done).await;
        }
        DrainReport { active, left: self.active() }
    }
}

impl RegistryActor {
    /// Carries out what the drain has decided, and wakes it when its next moment has come.
    pub(super) fn follow_drain(&mut self, notice: Option<Notice>, ctx: &mut Context<Self>) {
        if let Some(notice) = notice {
            for seat in self.calls.values().flatten() {
                control(&seat.notice, notice);
            }
        }
        if let Some(alarm) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        self.alarm = self.drain.next_tick().map(|at| {
            ctx.run_later(at.saturating_duration_since(Instant::now()), |registry, ctx| {
                registry.alarm = None;
                let notice = registry.drain.tick(Instant::now());
                registry.follow_drain(notice, ctx);
            })
        });
        self.publish_drain();
    }

    pub(super) fn publish_drain(&self) {
        let state = self.drain_state();
        self.handle.meters.draining.set(self.drain.is_closed().into());
        let before = self.handle.drain_state();
        if before != state {
            self.handle.drain.send_replace(state);
        }
        if before.phase != state.phase {
            let (phase, active) = (state.phase, self.calls.len());
            tracing::info!(?phase, cause = ?state.course.map(|c| c.cause), active, "drain");
        }
    }

    fn drain_state(&self) -> DrainState {
        DrainState { phase: self.drain.phase(), course: self.drain.course() }
    }
}

#[derive(Message)]
#[rtype(result = "DrainState")]
struct Begin(Order);

impl Handler<Begin> for RegistryActor {
    type Result = MessageResult<Begin>;

    fn handle(&mut self, Begin(order): Begin, ctx: &mut Self::Context) -> Self::Result {
        let notice = self.drain.begin(order, Instant::now());
        self.follow_drain(notice, ctx);
        MessageResult(self.drain_state())
    }
}

#[derive(Message)]
#[rtype(result = "Result<DrainState, CannotCancel>")]
struct Cancel;

impl Handler<Cancel> for RegistryActor {
    type Result = Result<DrainState, CannotCancel>;

    fn handle(&mut self, _: Cancel, ctx: &mut Self::Context) -> Self::Result {
        let notice = self.drain.cancel()?;
        self.follow_drain(Some(notice), ctx);
        Ok(self.drain_state())
    }
}
