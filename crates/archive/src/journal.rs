//! The journal: what happens in a call, on the local disk before a second has passed.
//!
//! A call tells its [`Journal`], which never waits. One thread per process cleans the texts, tells
//! the witnesses, and has them written to a file per call (`journal/files.rs`), where something is
//! kept. A process that is killed loses what it had not written for at most [`FLUSH_EVERY`]; the
//! next one finishes what it left.

mod files;

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    time::{Duration, Instant},
};

use voice_call::Meters;

pub(crate) use self::files::{Files, is_partial};
use crate::{
    entry::{Began, Entry, Event, Feedback, Line},
    instance::Instance,
    name::LogName,
    redact::Redactor,
    witness::Witness,
};

/// How often a log that found no room is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(5);

/// How long an entry may wait for the disk.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// Entries of all calls that may wait for the thread.
pub(crate) const QUEUE: usize = 16 * 1024;

/// What the thread is told.
pub(crate) enum Job {
    Entry {
        call: u64,
        entry: Entry,
    },
    /// The last entry of a call, which has a log of it.
    End {
        call: u64,
        entry: Entry,
    },
    /// Write everything, then end.
    Close,
}

/// The journal of one call. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Journal {
    shared: Option<Arc<Shared>>,
}

#[derive(Debug)]
struct Shared {
    call: u64,
    session_id: String,
    /// The name of the log that comes of it.
    name: LogName,
    jobs: SyncSender<Job>,
    /// Entries that found no room and are not yet confessed to.
    lost: AtomicU64,
    ended: AtomicBool,
    live: Live,
    meters: Meters,
}

/// Calls that are remembered after their end.
const ENDED: usize = 1024;

/// The calls in progress and those that ended last, by session id. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    in_progress: HashMap<String, Journal>,
    /// The names of their logs, oldest first.
    ended: VecDeque<(String, LogName)>,
}

impl Live {
    pub(crate) fn get(&self, session_id: &str) -> Option<Journal> {
        self.lock().in_progress.get(session_id).cloned()
    }

    /// The log of a call that ended here a while ago.
    pub(crate) fn ended(&self, session_id: &str) -> Option<LogName> {
        let calls = self.lock();
        let mut latest = calls.ended.iter().rev();
        latest.find(|(id, _)| id == session_id).map(|(_, name)| name.clone())
    }

    fn began(&self, session_id: String, journal: Journal) {
        self.lock().in_progress.insert(session_id, journal);
    }

    /// The call ended. One that took its id since stays.
    fn end(&self, call: &Shared) {
        let mut calls = self.lock();
        let is_it =
            |journal: &Journal| journal.shared.as_ref().is_some_and(|s| s.call == call.call);
        if calls.in_progress.get(&call.session_id).is_some_and(is_it) {
            calls.in_progress.remove(&call.session_id);
        }
        if calls.ended.len() >= ENDED {
            calls.ended.pop_front();
        }
        calls.ended.push_back((call.session_id.clone(), call.name.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    /// A journal that keeps nothing.
    pub fn none() -> Self {
        Self { shared: None }
    }

    pub(crate) fn begin(
        call: u64,
        jobs: SyncSender<Job>,
        live: Live,
        meters: Meters,
        began: Began,
    ) -> Self {
        let session_id = began.session_id.clone();
        let first = Entry::now(Event::Began(Box::new(began)));
        let shared = Shared {
            call,
            session_id: session_id.clone(),
            name: LogName::new(first.at, &session_id),
            jobs,
            lost: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            live: live.clone(),
            meters,
        };
        shared.offer(first);
        let journal = Self { shared: Some(Arc::new(shared)) };
        live.began(session_id, journal.clone());
        journal
    }

    /// Whether anything is kept.
    pub fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// The name of the log that comes of it.
    pub fn name(&self) -> Option<&LogName> {
        self.shared.as_ref().map(|shared| &shared.name)
    }

    /// Something happened.
    pub fn note(&self, event: Event) {
        let Some(shared) = &self.shared else { return };
        let lost = shared.lost.load(Ordering::Relaxed);
        if lost > 0 && shared.offer(Entry::now(Event::Gap { lost })) {
            shared.lost.fetch_sub(lost, Ordering::Relaxed);
        }
        if !shared.offer(Entry::now(event)) {
            shared.lost.fetch_add(1, Ordering::Relaxed);
            shared.meters.journal_lost.inc();
        }
    }

    /// The call ended. What comes later is not kept.
    pub fn end(&self, cause: &str, detail: &str) {
        let Some(shared) = &self.shared else { return };
        if shared.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        shared.live.end(shared);
        let event = Event::Ended { cause: cause.to_owned(), detail: detail.to_owned() };
        let job = Job::End { call: shared.call, entry: Entry::now(event) };
        if shared.jobs.try_send(job).is_err() {
            // Its file stays, and is finished by the next process.
            shared.meters.journal_lost.inc();
            tracing::error!("the end of a call found no room in the journal");
        }
    }
}

impl Shared {
    fn offer(&self, entry: Entry) -> bool {
        if self.ended.load(Ordering::Relaxed) {
            return true;
        }
        let job = Job::Entry { call: self.call, entry };
        !matches!(self.jobs.try_send(job), Err(TrySendError::Full(_)))
    }
}

/// The thread's side.
pub(crate) struct Writer {
    pub(crate) redactor: Redactor,
    /// Who hears besides.
    pub(crate) witnesses: Vec<Arc<dyn Witness>>,
    /// Absent when nothing is kept.
    pub(crate) files: Option<Files>,
    pub(crate) meters: Meters,
}

impl Writer {
    /// Works until it is told to close, or nobody can tell it anything any more.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) {
        let mut flush_at = None;
        loop {
            let job = match flush_at {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => {
                    jobs.recv_timeout(Instant::saturating_duration_since(&at, Instant::now()))
                }
            };
            match job {
                Ok(Job::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(job) => {
                    // One odd text must not end the journals of all calls.
                    if catch_unwind(AssertUnwindSafe(|| self.take(job))).is_err() {
                        self.meters.journal_errors.inc();
                    }
                    let soon = Instant::now() + FLUSH_EVERY;
                    flush_at = Some(flush_at.map_or(soon, |at: Instant| at.min(soon)));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if flush_at.is_some_and(|at| at <= Instant::now()) {
                let unfinished = self.files.as_mut().is_some_and(Files::settle);
                flush_at = unfinished.then(|| Instant::now() + RETRY_EVERY);
            }
        }
        if let Some(files) = &mut self.files {
            files.flush();
        }
    }

    fn take(&mut self, job: Job) {
        let (call, mut entry, is_end) = match job {
            Job::Entry { call, entry } => (call, entry, false),
            Job::End { call, entry } => (call, entry, true),
            Job::Close => return,
        };
        clean(&self.redactor, &mut entry.event);
        if let Some(files) = &mut self.files {
            files.append(call, &entry);
            if is_end {
                files.end(call);
            }
        }
        self.tell(call, &entry);
    }

    fn tell(&self, call: u64, entry: &Entry) {
        self.witnesses.iter().for_each(|witness| witness.saw(call, entry));
    }

    /// Takes over what a dead process left, and tells its calls to the witnesses once more: what
    /// they had not passed on died with it.
    pub(crate) fn adopt(&mut self, orphan: &Instance) {
        let Some(mut files) = self.files.take() else { return };
        // The numbers of our own calls begin at the other end.
        let mut call = u64::MAX;
        files.adopt(orphan, |entries| {
            entries.iter().for_each(|entry| self.tell(call, entry));
            if let Some(Entry { at, event }) = entries.last()
                && !matches!(event, Event::Ended { .. })
            {
                let (cause, detail) = ("task_died".to_owned(), String::new());
                self.tell(call, &Entry { at: *at, event: Event::Ended { cause, detail } });
            }
            call -= 1;
        });
        self.files = Some(files);
    }
}

/// Takes out of an event what must not be kept.
pub fn clean(redactor: &Redactor, event: &mut Event) {
    let text = |text: &mut String| {
        if let std::borrow::Cow::Owned(clean) = redactor.text(text) {
            *text = clean;
        }
    };
    match event {
        Event::Line(Line { text: said, heard, .. }) => {
            text(said);
            if let Some(heard) = heard {
                text(&mut heard.text);
            }
        }
        Event::ToolCalled { input: value, .. } | Event::ToolAnswered { result: value, .. } => {
            redactor.value(value);
        }
        Event::Transfer { reason, summary, attributes } => {
            text(reason);
            text(summary);
            attributes.values_mut().for_each(|value| redactor.value(value));
        }
        Event::Error { message, .. } => text(message),
        Event::Feedback(Feedback { comment: Some(comment), .. }) => text(comment),
        Event::Ended { detail, .. } => text(detail),
        Event::Began(_)
        | Event::Settings(_)
        | Event::BargeIn
        | Event::AnswerBegan
        | Event::AnswerHeard
        | Event::AnswerEnded { .. }
        | Event::Step { .. }
        | Event::Turn(_)
        | Event::Usage(_)
        | Event::Before(_)
        | Event::Stream { .. }
        | Event::Connection { .. }
        | Event::Feedback(_)
        | Event::Transcribed { .. }
        | Event::Recording { .. }
        | Event::Gap { .. } => {}
    }
}
