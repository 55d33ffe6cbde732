//! The archive of a process: journals, spool and store together.

use std::{
    collections::HashMap,
    fmt, io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use voice_call::Meters;

use crate::{
    entry::Began,
    instance::Instance,
    journal::{Files, Job, Journal, Live, QUEUE, Writer},
    price::Prices,
    recording::{self, Recorder},
    redact::Redactor,
    spool::{Pauses, Spool},
    store::ObjectStore,
    witness::Witness,
};

/// How an archive works.
#[derive(Debug, Clone, Default)]
pub struct ArchiveConfig {
    /// Rules for what must not be kept, and not be told either.
    pub redactor: Redactor,
    /// Who hears what happens besides.
    pub witnesses: Vec<Arc<dyn Witness>>,
    /// What is kept; absent: the witnesses hear, and nothing is.
    pub keep: Option<Keeping>,
}

/// How calls are kept.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// Folder on the local disk for what is not finished.
    pub dir: PathBuf,
    /// Where finished logs and recordings are kept.
    pub store: Arc<dyn ObjectStore>,
    /// What things cost.
    pub prices: Arc<Prices>,
    /// Bytes that may wait on the local disk for the store.
    pub spool_limit: u64,
    /// How long to wait after a failure of the store.
    pub pauses: Pauses,
}

/// The archive.
pub struct Archive {
    jobs: SyncSender<Job>,
    calls: AtomicU64,
    /// The journals of the calls in progress.
    pub(crate) live: Live,
    pub(crate) redactor: Redactor,
    meters: Meters,
    /// Taken when the archive is closed.
    writing: Mutex<Option<thread::JoinHandle<()>>>,
    /// Absent when nothing is kept.
    pub(crate) kept: Option<Kept>,
}

/// The part of the archive that keeps something.
pub(crate) struct Kept {
    recordings: SyncSender<recording::Job>,
    /// Taken when the archive is closed.
    working: Mutex<Option<Working>>,
    spool: Arc<Spool>,
    /// Its lock says that we live.
    instance: Instance,
}

/// What works for the part that keeps.
#[derive(Debug)]
struct Working {
    recording: thread::JoinHandle<()>,
    spooling: JoinHandle<()>,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("store", &self.kept.as_ref().map(|kept| kept.spool.store.describe()))
            .finish_non_exhaustive()
    }
}

impl Archive {
    /// Takes its place on the disk, takes over what dead processes left, and begins to work. Must
    /// be called inside a tokio runtime.
    pub fn open(config: ArchiveConfig, meters: Meters) -> io::Result<Self> {
        let ArchiveConfig { redactor, witnesses, keep } = config;
        let (jobs, receiver) = sync_channel(QUEUE);
        let (mut kept, mut files, mut orphans) = (None, None, Vec::new());
        if let Some(keeping) = keep {
            let opened = Kept::open(keeping, redactor.clone(), &meters)?;
            (kept, files, orphans) = (Some(opened.0), Some(opened.1), opened.2);
        }
        let parts = kept.as_ref().map(|kept: &Kept| kept.instance.parts());
        let mut writer =
            Writer { redactor: redactor.clone(), witnesses, files, meters: meters.clone() };
        let writing = thread::Builder::new().name("journal".into()).spawn(move || {
            for orphan in orphans {
                if let Some(parts) = &parts
                    && let Err(error) = recording::adopt(&orphan.parts(), parts)
                {
                    tracing::error!(%error, "the recordings of a dead process");
                }
                writer.adopt(&orphan);
                orphan.remove();
            }
            writer.run(&receiver);
        })?;
        let (calls, writing) = (AtomicU64::new(0), Mutex::new(Some(writing)));
        Ok(Self { jobs, calls, live: Live::default(), redactor, meters, writing, kept })
    }

    /// The journal of a call that begins.
    pub fn journal(&self, began: Began) -> Journal {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        Journal::begin(call, self.jobs.clone(), self.live.clone(), self.meters.clone(), began)
    }

    /// The journal of a call in progress.
    pub fn journal_of(&self, session_id: &str) -> Option<Journal> {
        self.live.get(session_id)
    }

    /// Begins the recording of a call at `rate`, in pairs of samples.
    pub fn recorder(&self, journal: &Journal, rate: u32) -> Option<Recorder> {
        let (kept, name) = (self.kept.as_ref()?, journal.name()?.clone());
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let (jobs, meters) = (kept.recordings.clone(), self.meters.clone());
        Some(Recorder::begin(call, jobs, meters, name, rate))
    }

    /// Writes everything and brings what can be brought within `deadline`. What is left waits on
    /// the disk for the next process. Answers how many logs that are.
    pub async fn close(&self, deadline: Duration) -> usize {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writing) = writing else { return 0 };
        let jobs = self.jobs.clone();
        let written = tokio::task::spawn_blocking(move || {
            // The queue may be full for a moment; the thread empties it.
            let _ = jobs.send(Job::Close);
            let _ = writing.join();
        });
        let _ = written.await;
        match &self.kept {
            Some(kept) => kept.close(deadline).await,
            None => 0,
        }
    }
}

impl Kept {
    /// Also answers what the journal's thread works with, and what it has to take over first.
    fn open(
        keeping: Keeping,
        redactor: Redactor,
        meters: &Meters,
    ) -> io::Result<(Self, Files, Vec<Instance>)> {
        let Keeping { dir, store, prices, spool_limit: limit, pauses } = keeping;
        let instance = Instance::create(&dir)?;
        let wake = Arc::new(Notify::new());
        let (recordings, samples) = sync_channel(recording::QUEUE);
        let (spooled, ready) = (wake.clone(), wake.clone());
        let files = Files {
            journal: instance.journal(),
            spool: instance.spool(),
            prices,
            redactor,
            limit,
            meters: meters.clone(),
            spooled: Box::new(move || spooled.notify_one()),
            calls: HashMap::new(),
            unfinished: Vec::new(),
        };
        let recording = recording::Writer {
            parts: instance.parts(),
            limit,
            meters: meters.clone(),
            calls: HashMap::new(),
            ready: Arc::new(move || ready.notify_one()),
        };
        let recording = thread::Builder::new()
            .name("recording".into())
            .spawn(move || recording.run(&samples))?;
        let orphans = instance.orphans(&dir);
        let spool = Arc::new(Spool {
            dir: instance.spool(),
            parts: instance.parts(),
            store,
            pauses,
            meters: meters.clone(),
            wake,
        });
        let bringing = spool.clone();
        let spooling = tokio::spawn(async move { bringing.run().await });
        let working = Mutex::new(Some(Working { recording, spooling }));
        Ok((Self { recordings, working, spool, instance }, files, orphans))
    }

    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        self.spool.store.clone()
    }

    /// The path of a file that lives for a moment.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.spool.dir.join(name)
    }

    async fn close(&self, deadline: Duration) -> usize {
        let working = self.working.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Working { recording, spooling }) = working else { return 0 };
        let (recordings, spool) = (self.recordings.clone(), &self.spool);
        let written = tokio::task::spawn_blocking(move || {
            let _ = recordings.send(recording::Job::Close);
            let _ = recording.join();
        });
        let _ = written.await;
        spooling.abort();
        let _ = spooling.await;
        let left = match timeout(deadline, spool.round()).await {
            Ok(failed) => failed.len(),
            Err(_) => usize::try_from(spool.meters.spool_files.get()).unwrap_or(0),
        };
        self.instance.remove();
        left
    }
}
