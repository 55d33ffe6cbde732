//! Supervision: no actor and no task ends unheard.
//!
//! actix 0.13 lets a panic in a handler kill the actor silently, and its own `Supervisor` does
//! not restart after a panic. Here a child's future is caught, watched, and every end becomes
//! [`ChildExited`] for its parent. Two facts shape the code:
//!
//! - dropping an actix context polls it once more, with the mailbox shut. If that happened
//!   while a panic unwinds, a second panic would abort the process; so the panic is caught
//!   first and the context is dropped afterwards.
//! - what a child owns dies with it: [`ChildSet`] aborts what is left when the parent goes.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use actix::{Actor, Addr, AsyncContext, Context, Message, Recipient};
use futures::FutureExt;
use tokio::task::AbortHandle;
use tracing::Instrument;
use voice_call::{Meters, Role, meters::ChildLabel};

use crate::mailbox::control;

/// How an actor or a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It stopped by itself.
    Stopped,
    /// It panicked; with the text, if there was one.
    Panicked(String),
    /// Its owner aborted it.
    Aborted,
}

impl Exit {
    /// A word for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Panicked(_) => "panicked",
            Self::Aborted => "aborted",
        }
    }
}

/// A child of a call ended.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub struct ChildExited {
    /// Which child.
    pub role: Role,
    /// Which incarnation of it: an end of an earlier one is old news.
    pub generation: u32,
    /// How.
    pub exit: Exit,
}

/// The children of one call: at most one per role. Dropping the set aborts them all.
#[derive(Default)]
pub struct ChildSet {
    children: Vec<Child>,
    generations: u32,
}

struct Child {
    role: Role,
    generation: u32,
    abort: AbortHandle,
}

impl ChildSet {
    /// Starts `actor` as the child of this role; an earlier one of the role is aborted.
    pub fn spawn<A>(
        &mut self,
        role: Role,
        mailbox: usize,
        parent: &Recipient<ChildExited>,
        meters: &Meters,
        actor: A,
    ) -> Addr<A>
    where
        A: Actor<Context = Context<A>>,
    {
        self.abort(role);
        self.generations += 1;
        let generation = self.generations;
        let mut ctx = Context::new();
        ctx.set_mailbox_capacity(mailbox);
        let address = ctx.address();
        let (parent, exits) = (parent.clone(), meters.child_exits.clone());
        let live = meters.live_children.clone();
        live.inc();
        let abort = spawn_watched(ctx.into_future(actor), move |exit| {
            live.dec();
            exits.get_or_create(&ChildLabel { role: role.as_str(), exit: exit.as_str() }).inc();
            control(&parent, ChildExited { role, generation, exit });
        });
        self.children.push(Child { role, generation, abort });
        address
    }

    /// Takes note of an end. Returns whether it was the present child of its role.
    pub fn note_exit(&mut self, exited: &ChildExited) -> bool {
        let before = self.children.len();
        self.children.retain(|c| (c.role, c.generation) != (exited.role, exited.generation));
        self.children.len() < before
    }

    /// Aborts the child of a role, if there is one.
    pub fn abort(&mut self, role: Role) {
        for child in self.children.extract_if(.., |c| c.role == role) {
            child.abort.abort();
        }
    }

    /// Whether a child of this role is there.
    pub fn has(&self, role: Role) -> bool {
        self.children.iter().any(|c| c.role == role)
    }

    /// Whether no child is left.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }
}

impl Drop for ChildSet {
    fn drop(&mut self) {
        for child in &self.children {
            child.abort.abort();
        }
    }
}

/// Runs `future` on this thread and tells `ended` how it ended, whatever happens to it.
pub fn spawn_watched<F, E>(future: F, ended: E) -> AbortHandle
where
    F: Future<Output = ()> + 'static,
    E: FnOnce(Exit) + 'static,
{
    // What it logs belongs to the call in whose span it was started.
    let future = future.in_current_span();
    let task = tokio::task::spawn_local(AssertUnwindSafe(future).catch_unwind());
    let abort = task.abort_handle();
    tokio::task::spawn_local(async move {
        ended(match task.await {
            Ok(Ok(())) => Exit::Stopped,
            Ok(Err(panic)) => Exit::Panicked(text_of(&*panic)),
            Err(join) if join.is_panic() => Exit::Panicked(text_of(&*join.into_panic())),
            Err(_) => Exit::Aborted,
        });
    });
    abort
}

/// Runs a root actor's future: one that has no parent but the process.
pub fn spawn_root<F, E>(future: F, ended: E)
where
    F: Future<Output = ()> + 'static,
    E: FnOnce(Exit) + 'static,
{
    // The handle is dropped, not aborted: a root ends by itself.
    drop(spawn_watched(future, ended));
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".into())
}

#[cfg(test)]
mod tests {
    use actix::Handler;
    use tokio::sync::mpsc;

    use super::*;

    #[derive(Message)]
    #[rtype(result = "()")]
    enum Do {
        Stop,
        Panic,
    }

    struct Fragile;

    impl Actor for Fragile {
        type Context = Context<Self>;
    }

    impl Handler<Do> for Fragile {
        type Result = ();

        fn handle(&mut self, what: Do, ctx: &mut Self::Context) {
            match what {
                Do::Stop => actix::ActorContext::stop(ctx),
                Do::Panic => panic!("on purpose"),
            }
        }
    }

    struct Parent(mpsc::UnboundedSender<ChildExited>);

    impl Actor for Parent {
        type Context = Context<Self>;
    }

    impl Handler<ChildExited> for Parent {
        type Result = ();

        fn handle(&mut self, exited: ChildExited, _: &mut Self::Context) {
            let _ = self.0.send(exited);
        }
    }

    fn parent() -> (Recipient<ChildExited>, mpsc::UnboundedReceiver<ChildExited>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let ctx = Context::<Parent>::new();
        let address = ctx.address();
        spawn_root(ctx.into_future(Parent(sender)), |_| ());
        (address.recipient(), receiver)
    }

    #[actix::test]
    async fn every_end_reaches_the_parent() {
        let (parent, mut exits) = parent();
        let meters = Meters::default();
        let mut set = ChildSet::default();
        let cases = [
            (Some(Do::Stop), Exit::Stopped),
            (Some(Do::Panic), Exit::Panicked("on purpose".into())),
            (None, Exit::Aborted),
        ];
        for (action, expected) in cases {
            let child = set.spawn(Role::Tools, 4, &parent, &meters, Fragile);
            match action {
                Some(action) => control(&child.recipient(), action),
                None => set.abort(Role::Tools),
            }
            let exited = exits.recv().await.expect("an exit");
            assert_eq!(exited.exit, expected);
            set.note_exit(&exited);
            assert!(set.is_empty());
        }
        assert_eq!(meters.live_children.get(), 0);
    }

    #[actix::test]
    async fn dropping_the_set_aborts_what_is_left() {
        let (parent, mut exits) = parent();
        let meters = Meters::default();
        let mut set = ChildSet::default();
        set.spawn(Role::Tools, 4, &parent, &meters, Fragile);
        set.spawn(Role::Transfer, 4, &parent, &meters, Fragile);
        drop(set);
        for _ in 0..2 {
            assert_eq!(exits.recv().await.expect("an exit").exit, Exit::Aborted);
        }
    }

    #[actix::test]
    async fn the_end_of_an_earlier_incarnation_is_old_news() {
        let (parent, mut exits) = parent();
        let meters = Meters::default();
        let mut set = ChildSet::default();
        set.spawn(Role::Sonic, 4, &parent, &meters, Fragile);
        set.spawn(Role::Sonic, 4, &parent, &meters, Fragile);
        let exited = exits.recv().await.expect("the first one's end");
        assert!(!set.note_exit(&exited));
        assert!(set.has(Role::Sonic));
    }
}
