//! The one timer of the client actor, which every frame moves.
//!
//! A timer of actix is made, boxed and cancelled each time. This one is kept: moving it away, which
//! is what audio does that keeps coming, is one store, and does not wake the actor.

use std::{
    pin::Pin,
    task::{Context as Poller, Poll},
    time::{Duration, Instant},
};

use actix::{AsyncContext, Context, fut::ActorFuture};
use tokio::time::Sleep;

use super::ClientActor;

/// The timer.
#[derive(Default)]
pub(super) struct Alarm {
    /// Absent until the actor runs.
    sleep: Option<Pin<Box<Sleep>>>,
    set: bool,
}

impl Alarm {
    /// Makes it, within the runtime of the actor, and lets it ring there.
    pub(super) fn install(&mut self, ctx: &mut Context<ClientActor>) {
        self.sleep = Some(Box::pin(tokio::time::sleep(Duration::ZERO)));
        ctx.spawn(Ringing);
    }

    /// Lets it ring at `at` and not before, or never.
    pub(super) fn set(&mut self, at: Option<Instant>) {
        self.set = at.is_some();
        if let (Some(at), Some(sleep)) = (at, &mut self.sleep) {
            let at = tokio::time::Instant::from_std(at);
            if sleep.deadline() != at {
                sleep.as_mut().reset(at);
            }
        }
    }

    fn poll(&mut self, poller: &mut Poller<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) if self.set => sleep.as_mut().poll(poller),
            _ => Poll::Pending,
        }
    }
}

/// Lives as long as the actor. The context polls it after every message, so that a timer which was
/// set in one is heard.
struct Ringing;

impl ActorFuture<ClientActor> for Ringing {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut ClientActor,
        _: &mut Context<ClientActor>,
        poller: &mut Poller<'_>,
    ) -> Poll<()> {
        while actor.alarm.poll(poller).is_ready() {
            actor.alarm.set = false;
            // It may set the alarm again.
            actor.pump();
        }
        Poll::Pending
    }
}
