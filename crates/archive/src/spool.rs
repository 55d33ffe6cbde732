//! Brings finished logs from the local disk to the store, however long that takes.
//!
//! What cannot be brought now is tried again, after a pause that grows and is never the same for
//! two processes. A file leaves the disk when the store has it, not before.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use tokio::{sync::Notify, time::timeout};
use voice_call::{Meters, meters::ReasonLabel};

use crate::{
    instance::entries,
    journal::is_partial,
    name::LogName,
    recording,
    store::{FaultKind, ObjectStore, StoreFault},
};

/// Logs that are on their way at a time.
const AT_ONCE: usize = 4;

/// How long one log may be on its way.
const PUT_DEADLINE: Duration = Duration::from_secs(60);

/// How often the process log says that the store does not work.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// The content type of a session log.
const JSON: &str = "application/json";

/// How long to wait after a failure.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// After the first.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(60) }
    }
}

impl Pauses {
    /// After so many failures in a row: twice as long each time, half of it by chance.
    pub fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        pause.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// The way from a folder to a store.
pub(crate) struct Spool {
    pub(crate) dir: PathBuf,
    /// Where the parts of recordings are.
    pub(crate) parts: PathBuf,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) pauses: Pauses,
    pub(crate) meters: Meters,
    pub(crate) wake: Arc<Notify>,
}

impl Spool {
    /// Brings what is there, and what comes, until it is dropped.
    pub(crate) async fn run(&self) {
        let mut failures = 0_u32;
        let mut said: Option<Instant> = None;
        loop {
            let failed = self.round().await;
            let store = self.store.describe();
            let Some(fault) = failed.first() else {
                if said.take().is_some() {
                    tracing::info!(store, "the store works again; nothing waits for it");
                }
                failures = 0;
                self.wake.notified().await;
                continue;
            };
            if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
                said = Some(Instant::now());
                let waiting = failed.len();
                tracing::error!(store, %fault, waiting, "session logs or recordings wait on the local disk");
            }
            failures = failures.saturating_add(1);
            tokio::time::sleep(self.pauses.after(failures)).await;
        }
    }

    /// Tries everything once. Answers why what is left has failed.
    pub(crate) async fn round(&self) -> Vec<StoreFault> {
        let waiting: Vec<PathBuf> = entries(&self.dir).filter(|file| !is_partial(file)).collect();
        let bringing = waiting.into_iter().map(|file| async move { self.bring(&file).await.err() });
        let brought = stream::iter(bringing).buffer_unordered(AT_ONCE);
        let mut failed: Vec<StoreFault> = brought.filter_map(std::future::ready).collect().await;
        failed.extend(self.round_of_parts().await);
        let bytes = bytes_of(&self.dir) + recording::waiting_bytes(&self.parts);
        self.meters.spool_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        failed
    }

    async fn bring(&self, file: &Path) -> Result<(), StoreFault> {
        let name = file.file_name().and_then(|name| name.to_str()).and_then(LogName::parse);
        let Some(name) = name else {
            tracing::warn!(file = %file.display(), "this is no session log; it stays in the spool");
            return Ok(());
        };
        let put = self.store.put(name.key(), JSON, file.to_owned());
        let put = timeout(PUT_DEADLINE, put).await.unwrap_or_else(|_| {
            let what = format!("no answer within {} s", PUT_DEADLINE.as_secs());
            Err(StoreFault::new(FaultKind::Unavailable, what))
        });
        let reason = put.as_ref().map_or_else(|fault| fault.kind.as_str(), |()| "ok");
        self.meters.uploads.get_or_create(&ReasonLabel { reason }).inc();
        put?;
        if let Err(error) = std::fs::remove_file(file) {
            tracing::warn!(%error, file = %file.display(), "a log that is kept stays in the spool");
        }
        self.meters.spool_files.dec();
        Ok(())
    }
}

/// Bytes of the files in a folder.
pub(crate) fn bytes_of(dir: &Path) -> u64 {
    entries(dir).filter_map(|file| std::fs::metadata(file).ok()).map(|meta| meta.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        let pauses = Pauses::default();
        for (failures, longest) in [(1, 1), (2, 2), (5, 16), (9, 60), (4_000_000_000, 60)] {
            let pause = pauses.after(failures);
            let longest = Duration::from_secs(longest);
            assert!(pause <= longest && pause >= longest / 2, "{failures}: {pause:?}");
        }
    }
}
