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
    journal::{Job, Journal, QUEUE, Writer},
    price::Prices,
    recording::{self, Recorder},
    redact::Redactor,
    spool::{Pauses, Spool},
    store::ObjectStore,
};

/// How an archive works.
#[derive(Debug, Clone)]
pub struct ArchiveConfig {
    /// Folder on the local disk for what is not finished.
    pub dir: PathBuf,
    /// Where finished logs and recordings are kept.
    pub store: Arc<dyn ObjectStore>,
    /// Rules for what must not be kept.
    pub redactor: Redactor,
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
    recordings: SyncSender<recording::Job>,
    calls: AtomicU64,
    meters: Meters,
    /// Taken when the archive is closed.
    working: Mutex<Option<Working>>,
    spool: Arc<Spool>,
    /// Its lock says that we live.
    instance: Instance,
}

/// What works for the archive.
#[derive(Debug)]
struct Working {
    writer: thread::JoinHandle<()>,
    recording: thread::JoinHandle<()>,
    spooling: JoinHandle<()>,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("store", &self.spool.store.describe())
            .finish_non_exhaustive()
    }
}

impl Archive {
    /// Takes its place on the disk, takes over what dead processes left, and begins to work. Must
    /// be called inside a tokio runtime.
    pub fn open(config: ArchiveConfig, meters: Meters) -> io::Result<Self> {
        let instance = Instance::create(&config.dir)?;
        let wake = Arc::new(Notify::new());
        let (jobs, receiver) = sync_channel(QUEUE);
        let (recordings, samples) = sync_channel(recording::QUEUE);
        let mut writer = Writer {
            journal: instance.journal(),
            spool: instance.spool(),
            prices: config.prices,
            redactor: config.redactor,
            limit: config.spool_limit,
            meters: meters.clone(),
            spooled: {
                let wake = wake.clone();
                Box::new(move || wake.notify_one())
            },
            calls: HashMap::new(),
            unfinished: Vec::new(),
        };
        let ready = {
            let wake = wake.clone();
            Arc::new(move || wake.notify_one())
        };
        let limit = config.spool_limit;
        let (parts, meters_too) = (instance.parts(), meters.clone());
        let recording =
            recording::Writer { parts, limit, meters: meters_too, calls: HashMap::new(), ready };
        let recording = thread::Builder::new()
            .name("recording".into())
            .spawn(move || recording.run(&samples))?;
        let orphans = instance.orphans(&config.dir);
        let parts = instance.parts();
        let writer = thread::Builder::new().name("journal".into()).spawn(move || {
            for orphan in orphans {
                if let Err(error) = recording::adopt(&orphan.parts(), &parts) {
                    tracing::error!(%error, "the recordings of a dead process");
                }
                writer.adopt(&orphan);
                orphan.remove();
            }
            writer.run(&receiver);
        })?;
        let spool = Arc::new(Spool {
            dir: instance.spool(),
            parts: instance.parts(),
            store: config.store,
            pauses: config.pauses,
            meters: meters.clone(),
            wake,
        });
        let bringing = spool.clone();
        let spooling = tokio::spawn(async move { bringing.run().await });
        let calls = AtomicU64::new(0);
        let working = Mutex::new(Some(Working { writer, recording, spooling }));
        Ok(Self { jobs, recordings, calls, meters, working, spool, instance })
    }

    /// The journal of a call that begins.
    pub fn journal(&self, began: Began) -> Journal {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        Journal::begin(call, self.jobs.clone(), self.meters.clone(), began)
    }

    /// Begins the recording of a call at `rate`, in pairs of samples.
    pub fn recorder(&self, journal: &Journal, rate: u32) -> Option<Recorder> {
        let name = journal.name()?.clone();
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let (jobs, meters) = (self.recordings.clone(), self.meters.clone());
        Some(Recorder::begin(call, jobs, meters, name, rate))
    }

    /// Writes everything and brings what can be brought within `deadline`. What is left waits on
    /// the disk for the next process. Answers how many logs that are.
    pub async fn close(&self, deadline: Duration) -> usize {
        let working = self.working.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Working { writer, recording, spooling }) = working else { return 0 };
        let (jobs, recordings, spool) = (self.jobs.clone(), self.recordings.clone(), &self.spool);
        let written = tokio::task::spawn_blocking(move || {
            // The queue may be full for a moment; the thread empties it.
            let _ = jobs.send(Job::Close);
            let _ = recordings.send(recording::Job::Close);
            let _ = writer.join();
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
