//! Brings finished logs from the local disk to the store, however long that takes.
//!
//! What cannot be brought now is tried again, after a pause that grows and is never the same for
//! two processes. A file leaves the disk when the store has it, not before.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::{sync::Notify, time::timeout};
use voice_call::{Meters, meters::ReasonLabel};

use crate::{instance::entries, journal::is_partial, name::LogName, store::ObjectStore};

/// Logs that are on their way at a time.
const AT_ONCE: usize = 4;

/// How long one log may be on its way.
const PUT_DEADLINE: Duration = Duration::from_secs(60);

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
    fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        pause.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// The way from a folder to a store.
pub(crate) struct Spool {
    pub(crate) dir: PathBuf,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) pauses: Pauses,
    pub(crate) meters: Meters,
    pub(crate) wake: Arc<Notify>,
}

impl Spool {
    /// Brings what is there, and what comes, until it is dropped.
    pub(crate) async fn run(&self) {
        let mut failures = 0_u32;
        loop {
            let failed = self.round().await;
            if failed == 0 {
                failures = 0;
                self.wake.notified().await;
            } else {
                failures = failures.saturating_add(1);
                tokio::time::sleep(self.pauses.after(failures)).await;
            }
        }
    }

    /// Tries everything once. Answers how much is left because it failed.
    pub(crate) async fn round(&self) -> usize {
        let waiting: Vec<PathBuf> = entries(&self.dir).filter(|file| !is_partial(file)).collect();
        let bringing = waiting.into_iter().map(|file| async move { self.bring(&file).await });
        let brought = stream::iter(bringing).buffer_unordered(AT_ONCE);
        brought.filter(|brought| std::future::ready(!brought)).count().await
    }

    async fn bring(&self, file: &Path) -> bool {
        let name = file.file_name().and_then(|name| name.to_str()).and_then(LogName::parse);
        let Some(name) = name else {
            tracing::warn!(file = %file.display(), "this is no session log; it stays in the spool");
            return true;
        };
        let put = self.store.put(name.key(), JSON, file.to_owned());
        let outcome = match timeout(PUT_DEADLINE, put).await {
            Ok(Ok(())) => "ok",
            Ok(Err(fault)) => {
                tracing::error!(store = self.store.describe(), %fault, %name, "a log is not kept yet");
                fault.kind.as_str()
            }
            Err(_) => {
                tracing::error!(store = self.store.describe(), %name, "a log is not kept yet: no answer");
                "unavailable"
            }
        };
        self.meters.uploads.get_or_create(&ReasonLabel { reason: outcome }).inc();
        if outcome != "ok" {
            return false;
        }
        if let Err(error) = std::fs::remove_file(file) {
            tracing::warn!(%error, file = %file.display(), "a log that is kept stays in the spool");
        }
        self.meters.spool_files.dec();
        true
    }
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
