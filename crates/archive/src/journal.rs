//! The journal: what happens in a call, on the local disk before a second has passed.
//!
//! A call tells its [`Journal`], which never waits. One thread per process cleans the texts, and
//! appends them to a file per call; when a call ends it makes the session log of that file and
//! puts it into the spool. A process that is killed loses what it had not written for at most
//! [`FLUSH_EVERY`]; the next one finishes what it left.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    time::{Duration, Instant},
};

use voice_call::Meters;

use crate::{
    document::SessionLog,
    entry::{Began, Entry, Event, Line},
    instance::{Instance, entries},
    name::LogName,
    price::Prices,
    redact::Redactor,
    spool::bytes_of,
};

/// How often a log that found no room is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(5);

/// How long an entry may wait for the disk.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// Bytes of a call's entries that are written at once.
const BUFFER: usize = 16 * 1024;

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
    /// The name of the log that comes of it.
    name: LogName,
    jobs: SyncSender<Job>,
    /// Entries that found no room and are not yet confessed to.
    lost: AtomicU64,
    ended: AtomicBool,
    meters: Meters,
}

impl Journal {
    /// A journal that keeps nothing.
    pub fn none() -> Self {
        Self { shared: None }
    }

    pub(crate) fn begin(call: u64, jobs: SyncSender<Job>, meters: Meters, began: Began) -> Self {
        let session_id = began.session_id.clone();
        let first = Entry::now(Event::Began(Box::new(began)));
        let shared = Shared {
            call,
            name: LogName::new(first.at, &session_id),
            jobs,
            lost: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            meters,
        };
        shared.offer(first);
        Self { shared: Some(Arc::new(shared)) }
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
    pub(crate) journal: PathBuf,
    pub(crate) spool: PathBuf,
    pub(crate) prices: Arc<Prices>,
    pub(crate) redactor: Redactor,
    /// Bytes that the spool may have.
    pub(crate) limit: u64,
    pub(crate) meters: Meters,
    /// Called when something is in the spool.
    pub(crate) spooled: Box<dyn Fn() + Send>,
    pub(crate) calls: HashMap<u64, Open>,
    /// Journals of ended calls whose logs found no room yet.
    pub(crate) unfinished: Vec<PathBuf>,
}

/// A call in progress.
pub(crate) struct Open {
    path: PathBuf,
    /// Absent when it could not be opened: then the call has no journal.
    file: Option<File>,
    buffer: Vec<u8>,
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
                self.flush();
                self.finish_the_rest();
                flush_at = (!self.unfinished.is_empty()).then(|| Instant::now() + RETRY_EVERY);
            }
        }
        self.flush();
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Entry { call, entry } => self.append(call, entry),
            Job::End { call, entry } => {
                self.append(call, entry);
                self.end(call);
            }
            Job::Close => {}
        }
    }

    fn append(&mut self, call: u64, mut entry: Entry) {
        if let Event::Began(began) = &entry.event {
            let open = self.open(entry.at, &began.session_id);
            self.calls.insert(call, open);
        }
        clean(&self.redactor, &mut entry.event);
        let Some(open) = self.calls.get_mut(&call) else { return };
        if serde_json::to_writer(&mut open.buffer, &entry).is_err() {
            self.meters.journal_errors.inc();
            return;
        }
        open.buffer.push(b'\n');
        if open.buffer.len() >= BUFFER {
            open.flush(&self.meters);
        }
    }

    fn open(&self, at: u64, session_id: &str) -> Open {
        let name = LogName::new(at, session_id);
        let path = self.journal.join(format!("{}.jsonl", name.stem()));
        let file = File::options().create(true).append(true).open(&path);
        let file = file.inspect_err(|error| self.broken(error, &path)).ok();
        Open { path, file, buffer: Vec::new() }
    }

    fn flush(&mut self) {
        for open in self.calls.values_mut() {
            open.flush(&self.meters);
        }
    }

    fn end(&mut self, call: u64) {
        let Some(mut open) = self.calls.remove(&call) else { return };
        open.flush(&self.meters);
        self.finish(&open.path);
    }

    /// Makes the session log of a journal, and puts it into the spool, now or later.
    fn finish(&mut self, journal: &Path) {
        if let Err(error) = self.try_finish(journal) {
            self.broken(&error, journal);
            self.unfinished.push(journal.to_owned());
        }
    }

    fn finish_the_rest(&mut self) {
        for journal in std::mem::take(&mut self.unfinished) {
            // Somebody may have erased it.
            if journal.exists() && self.try_finish(&journal).is_err() {
                self.unfinished.push(journal);
            }
        }
    }

    fn try_finish(&self, journal: &Path) -> io::Result<()> {
        let entries = read(journal)?;
        let Some((name, log)) = SessionLog::of(&entries, &self.prices, &self.redactor) else {
            tracing::warn!(journal = %journal.display(), "a journal without a beginning is dropped");
            return fs::remove_file(journal);
        };
        let document = serde_json::to_vec(&log)?;
        if bytes_of(&self.spool) + document.len() as u64 > self.limit {
            let what = "the spool is full; the session log stays in its journal";
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, what));
        }
        let beside = self.spool.join(format!("{name}.partial"));
        fs::write(&beside, &document)?;
        fs::rename(&beside, self.spool.join(name.as_str()))?;
        self.meters.spool_files.inc();
        (self.spooled)();
        fs::remove_file(journal)
    }

    /// Takes over what a dead process left.
    pub(crate) fn adopt(&mut self, orphan: &Instance) {
        for journal in entries(&orphan.journal()) {
            tracing::info!(journal = %journal.display(), "a call whose process died gets its log");
            self.finish(&journal);
        }
        for log in entries(&orphan.spool()) {
            let Some(name) = log.file_name().filter(|_| !is_partial(&log)) else { continue };
            match fs::rename(&log, self.spool.join(name)) {
                Ok(()) => _ = self.meters.spool_files.inc(),
                Err(error) => self.broken(&error, &log),
            }
        }
        (self.spooled)();
    }

    fn broken(&self, error: &io::Error, path: &Path) {
        self.meters.journal_errors.inc();
        tracing::error!(%error, path = %path.display(), "the journal of a call");
    }
}

impl Open {
    fn flush(&mut self, meters: &Meters) {
        if self.buffer.is_empty() {
            return;
        }
        let written = match &mut self.file {
            Some(file) => file.write_all(&self.buffer),
            None => Ok(()),
        };
        self.buffer.clear();
        if let Err(error) = written {
            meters.journal_errors.inc();
            tracing::error!(%error, path = %self.path.display(), "the journal of a call");
        }
    }
}

/// Whether a file is one that was being written.
pub(crate) fn is_partial(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "partial")
}

/// All entries of a journal. A last line that was cut off, or one that is none, is left out.
fn read(journal: &Path) -> io::Result<Vec<Entry>> {
    let text = fs::read(journal)?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
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
        Event::Feedback { comment: Some(comment), .. } => text(comment),
        Event::Ended { detail, .. } => text(detail),
        Event::Began(_)
        | Event::Settings(_)
        | Event::BargeIn
        | Event::Step { .. }
        | Event::Turn(_)
        | Event::Usage(_)
        | Event::Before(_)
        | Event::Stream { .. }
        | Event::Connection { .. }
        | Event::Feedback { .. }
        | Event::Transcribed { .. }
        | Event::Recording { .. }
        | Event::Gap { .. } => {}
    }
}
