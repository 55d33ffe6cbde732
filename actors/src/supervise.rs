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
//!
//! A child can also hang: alive, and deaf. So every child is asked for a sign of life now and then
//! ([`ChildSet::probe`]); one that has not answered when the next question is due is cut.

use std::{
    any::Any,
    cell::Cell,
    future::Future,
    panic::AssertUnwindSafe,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, Recipient};
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
    /// It gave no sign of life, and was cut.
    Hung,
}

impl Exit {
    /// A word for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Panicked(_) => "panicked",
            Self::Aborted => "aborted",
            Self::Hung => "hung",
        }
    }
}

/// Which child of a call: no two have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChildId(u32);

/// A child of a call ended.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub struct ChildExited {
    /// What it was.
    pub role: Role,
    /// Which one: an end that its owner brought about is old news.
    pub id: ChildId,
    /// How.
    pub exit: Exit,
}

/// Give a sign of life.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub struct Probe(Arc<AtomicBool>);

impl Probe {
    /// What every actor answers with, as soon as it gets to it.
    pub fn answer(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Questions for signs of life, one after the other.
pub struct Pulse {
    recipient: Recipient<Probe>,
    asked: Option<Arc<AtomicBool>>,
}

impl Pulse {
    /// Of this actor, which was not asked yet.
    pub fn new(recipient: Recipient<Probe>) -> Self {
        Self { recipient, asked: None }
    }

    /// Whether the last question was answered; asks the next one.
    pub fn beats(&mut self) -> bool {
        let beats = self.asked.take().is_none_or(|answered| answered.load(Ordering::Relaxed));
        let answered = Arc::new(AtomicBool::new(false));
        control(&self.recipient, Probe(answered.clone()));
        self.asked = Some(answered);
        beats
    }
}

/// Makes actors answer [`Probe`]s.
macro_rules! answer_probes {
    ($($actor:ty),*) => {$(
        impl actix::Handler<$crate::supervise::Probe> for $actor {
            type Result = ();

            fn handle(&mut self, probe: $crate::supervise::Probe, _: &mut Self::Context) {
                probe.answer();
            }
        }
    )*};
}
pub(crate) use answer_probes;

/// The children of one call. Dropping the set aborts them all.
#[derive(Default)]
pub struct ChildSet {
    children: Vec<Child>,
    born: u32,
}

struct Child {
    role: Role,
    id: ChildId,
    abort: AbortHandle,
    pulse: Pulse,
    /// Set before it is aborted for giving no sign of life.
    hung: Rc<Cell<bool>>,
}

impl ChildSet {
    /// Starts `actor` as a child.
    pub fn spawn<A>(
        &mut self,
        role: Role,
        mailbox: usize,
        parent: &Recipient<ChildExited>,
        meters: &Meters,
        actor: A,
    ) -> (Addr<A>, ChildId)
    where
        A: Actor<Context = Context<A>> + Handler<Probe>,
    {
        self.born += 1;
        let id = ChildId(self.born);
        let mut ctx = Context::new();
        ctx.set_mailbox_capacity(mailbox);
        let address = ctx.address();
        let (parent, exits) = (parent.clone(), meters.child_exits.clone());
        let live = meters.live_children.clone();
        live.inc();
        let hung = Rc::new(Cell::new(false));
        let found_hung = hung.clone();
        let abort = spawn_watched(ctx.into_future(actor), move |exit| {
            live.dec();
            let exit = if found_hung.get() { Exit::Hung } else { exit };
            exits.get_or_create(&ChildLabel { role: role.as_str(), exit: exit.as_str() }).inc();
            control(&parent, ChildExited { role, id, exit });
        });
        let pulse = Pulse::new(address.clone().recipient());
        self.children.push(Child { role, id, abort, pulse, hung });
        (address, id)
    }

    /// Takes note of an end. Returns whether it was news.
    pub fn note_exit(&mut self, exited: &ChildExited) -> bool {
        let before = self.children.len();
        self.children.retain(|child| child.id != exited.id);
        self.children.len() < before
    }

    /// Aborts a child; its end is no news.
    pub fn abort(&mut self, id: ChildId) {
        for child in self.children.extract_if(.., |child| child.id == id) {
            child.abort.abort();
        }
    }

    /// Asks every child for a sign of life. Those that have not given one since they were asked
    /// before are aborted and returned.
    pub fn probe(&mut self) -> Vec<ChildExited> {
        let dead = self.children.extract_if(.., |child| !child.pulse.beats());
        dead.map(|child| {
            child.hung.set(true);
            child.abort.abort();
            ChildExited { role: child.role, id: child.id, exit: Exit::Hung }
        })
        .collect()
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

/// Runs a root actor's future: one that has no parent but the process. It ends by itself, or by
/// the handle if somebody keeps it.
pub fn spawn_root<F, E>(future: F, ended: E) -> AbortHandle
where
    F: Future<Output = ()> + 'static,
    E: FnOnce(Exit) + 'static,
{
    spawn_watched(future, ended)
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".into())
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[derive(Message)]
    #[rtype(result = "()")]
    enum Do {
        Stop,
        Panic,
        Hang,
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
                Do::Hang => ctx.wait(actix::fut::wrap_future(std::future::pending())),
            }
        }
    }

    answer_probes!(Fragile);

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
            let (child, id) = set.spawn(Role::Tools, 4, &parent, &meters, Fragile);
            match action {
                Some(action) => control(&child.recipient(), action),
                None => set.abort(id),
            }
            let exited = exits.recv().await.expect("an exit");
            assert_eq!((exited.id, &exited.exit), (id, &expected));
            assert_eq!(set.note_exit(&exited), expected != Exit::Aborted);
            assert!(set.is_empty());
        }
        assert_eq!(meters.live_children.get(), 0);
    }

    #[actix::test]
    async fn a_child_that_hangs_is_found_and_cut() {
        let (parent, mut exits) = parent();
        let meters = Meters::default();
        let mut set = ChildSet::default();
        let (_well, _) = set.spawn(Role::Transfer, 4, &parent, &meters, Fragile);
        let (ill, id) = set.spawn(Role::Tools, 4, &parent, &meters, Fragile);
        for _ in 0..3 {
            assert!(set.probe().is_empty());
            settle().await;
        }
        control(&ill.recipient(), Do::Hang);
        settle().await;
        assert!(set.probe().is_empty(), "it is asked");
        settle().await;
        let dead = set.probe();
        assert_eq!(dead.iter().map(|d| (d.id, &d.exit)).collect::<Vec<_>>(), [(id, &Exit::Hung)]);
        let exited = exits.recv().await.expect("an exit");
        assert_eq!((exited.id, set.note_exit(&exited)), (id, false), "told already");
    }

    /// Lets everything that can run do so.
    async fn settle() {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
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
}
