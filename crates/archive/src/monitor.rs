//! The live view: what every call does now, for operators who watch (`contract.md` §2).
//!
//! A call tells its [`Watched`] what it tells its journal; neither ever waits. One thread per
//! process takes personal data out, keeps the [`board`] and hands each update to whoever watches,
//! through a bounded channel: a watcher that is slow misses updates, is told so, and takes a fresh
//! snapshot. It works without a store, and knows nothing of sockets: `src/http/monitor.rs` does.

pub mod board;
pub mod update;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use tokio::sync::broadcast;
use voice_call::Meters;

use self::board::{Board, CallView};
use self::update::Update;
use crate::{
    entry::{Began, Entry, Event},
    journal::clean,
    redact::Redactor,
};

/// Events of all calls that may wait for the thread.
const QUEUE: usize = 4 * 1024;

/// Updates that a watcher may lag behind before it misses some.
const LAG: usize = 512;

/// The live view of a process. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Monitor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    jobs: SyncSender<Job>,
    /// Ends that found no room: a call that is over must not stay on the board.
    ended: Mutex<Vec<(Arc<str>, Entry)>>,
    board: Mutex<Board>,
    updates: broadcast::Sender<Arc<str>>,
    meters: Meters,
}

/// Something happened in a call.
#[derive(Debug)]
struct Job {
    call: Arc<str>,
    entry: Entry,
}

/// One call, as it tells the live view about itself.
#[derive(Debug, Clone)]
pub struct Watched {
    monitor: Monitor,
    call: Arc<str>,
}

/// What a new watcher gets: how things are, and what changes from then on.
#[derive(Debug)]
pub struct Watch {
    /// The message `sbc_snapshot`.
    pub snapshot: String,
    /// Each one message, in order. `Lagged` when some were missed.
    pub updates: broadcast::Receiver<Arc<str>>,
}

impl Monitor {
    /// Starts the thread. It ends when nobody can tell it anything any more.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(redactor: Redactor, meters: Meters) -> std::io::Result<Self> {
        let (jobs, receiver) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            jobs,
            ended: Mutex::default(),
            board: Mutex::default(),
            updates: broadcast::Sender::new(LAG),
            meters,
        });
        let weak = Arc::downgrade(&shared);
        thread::Builder::new().name("monitor".into()).spawn(move || {
            work(&receiver, &redactor, || weak.upgrade());
        })?;
        Ok(Self(shared))
    }

    /// A call begins.
    pub fn call(&self, session_id: &str) -> Watched {
        let watched = Watched { monitor: self.clone(), call: Arc::from(session_id) };
        let session_id = session_id.to_owned();
        watched.note(&Event::Began(Box::new(Began { session_id, ..Began::default() })));
        watched
    }

    /// How things are now, and what changes from then on; nothing is missed between the two.
    pub fn watch(&self) -> Watch {
        let board = self.0.board();
        Watch { snapshot: board.snapshot().to_json(), updates: self.0.updates.subscribe() }
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.0.updates.receiver_count()
    }

    /// The calls, without what was said in them, oldest first.
    pub fn calls(&self) -> Vec<CallView> {
        self.0.board().calls().map(CallView::without_lines).collect()
    }
}

impl Watched {
    /// Something happened.
    pub fn note(&self, event: &Event) {
        let shared = &self.monitor.0;
        // Half a sentence is of interest to whoever reads along, and to nobody later.
        let fleeting = matches!(event, Event::Line(line) if !line.is_final);
        if fleeting && shared.updates.receiver_count() == 0 {
            return;
        }
        shared.offer(Job { call: self.call.clone(), entry: Entry::now(event.clone()) });
    }

    /// The call ended.
    pub fn end(&self, cause: &str) {
        let event = Event::Ended { cause: cause.to_owned(), detail: String::new() };
        self.monitor.0.offer(Job { call: self.call.clone(), entry: Entry::now(event) });
    }
}

impl Shared {
    fn offer(&self, job: Job) {
        let Err(TrySendError::Full(job)) = self.jobs.try_send(job) else { return };
        self.meters.monitor_lost.inc();
        if matches!(job.entry.event, Event::Ended { .. }) {
            lock(&self.ended).push((job.call, job.entry));
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    fn apply(&self, call: &str, entry: &Entry) {
        // Sent under the lock, so that a snapshot and what follows it fit together.
        let mut board = self.board();
        for update in board.apply(call, entry) {
            // The one failure is that nobody watches.
            let _ = self.updates.send(update.to_json().into());
        }
    }
}

fn work(jobs: &Receiver<Job>, redactor: &Redactor, shared: impl Fn() -> Option<Arc<Shared>>) {
    while let Ok(first) = jobs.recv() {
        let Some(shared) = shared() else { return };
        for Job { call, mut entry } in std::iter::once(first).chain(jobs.try_iter()) {
            clean(redactor, &mut entry.event);
            shared.apply(&call, &entry);
        }
        // Only now: the beginning of such a call may have stood in the queue.
        let ended = std::mem::take(&mut *lock(&shared.ended));
        for (call, entry) in ended {
            shared.apply(&call, &entry);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Update {
    /// The message as the text of one frame.
    pub fn to_json(&self) -> String {
        // Serialising cannot fail: every key is a string and every value is plain data.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::entry::{Line, Speaker};

    fn monitor() -> (Monitor, Meters) {
        let meters = Meters::default();
        (Monitor::start(Redactor::default(), meters.clone()).expect("a thread"), meters)
    }

    fn said(id: &str, text: &str) -> Event {
        let role = Speaker::User;
        let (id, text) = (id.to_owned(), text.to_owned());
        Event::Line(Line { id, role, text, is_final: true, interrupted: false, heard: None })
    }

    async fn next(watch: &mut Watch) -> Value {
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), watch.updates.recv());
        let text = next.await.expect("an update").expect("none missed");
        serde_json::from_str(&text).expect("JSON")
    }

    #[tokio::test]
    async fn personal_data_reaches_no_watcher() {
        let (monitor, _) = monitor();
        let mut watch = monitor.watch();
        let call = monitor.call("a");
        call.note(&said("u1", "my card is 4111 1111 1111 1111"));
        let line = loop {
            let update = next(&mut watch).await;
            if update["type"] == "sbc_transcript" {
                break update;
            }
        };
        let text = line["text"].as_str().expect("a text");
        assert!(text.starts_with("my card is") && !text.contains("4111"), "{text}");
    }

    #[tokio::test]
    async fn a_slow_watcher_misses_updates_and_holds_nobody_up() {
        let (monitor, meters) = monitor();
        let mut slow = monitor.watch();
        let mut quick = monitor.watch();
        let call = monitor.call("a");
        for number in 0..LAG + 10 {
            let id = format!("u{number}");
            call.note(&said(&id, "hello"));
            // The quick one reads in step, and has all of them.
            while next(&mut quick).await["id"] != id.as_str() {}
        }
        assert_eq!(meters.monitor_lost.get(), 0);
        let missed = slow.updates.recv().await;
        assert!(matches!(missed, Err(broadcast::error::RecvError::Lagged(_))), "{missed:?}");
        let again = monitor.watch();
        assert!(again.snapshot.contains("\"callId\":\"a\""), "{}", again.snapshot);
    }

    #[tokio::test]
    async fn the_end_of_a_call_is_never_lost() {
        let (monitor, meters) = monitor();
        let call = monitor.call("a");
        let other = monitor.call("b");
        {
            // The thread cannot get on.
            let _held = monitor.0.board();
            while meters.monitor_lost.get() == 0 {
                other.note(&said("u", "hello"));
            }
            call.end("hung_up");
        }
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let calls: Vec<_> = monitor.calls().into_iter().map(|call| call.call_id).collect();
            if calls == ["b"] {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{calls:?}");
            tokio::task::yield_now().await;
        }
    }
}
