//! Tells the tasks of traces that the process ends: then nobody waits for company or for better
//! times.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

/// Longest pause after a failure while the process ends.
const LAST_PAUSE: Duration = Duration::from_millis(250);

/// A task's side. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Closing(watch::Receiver<bool>);

/// The side of whoever ends them.
#[derive(Debug)]
pub(crate) struct Close(watch::Sender<bool>);

/// Both sides.
pub(crate) fn closing() -> (Close, Closing) {
    let (sender, receiver) = watch::channel(false);
    (Close(sender), Closing(receiver))
}

impl Close {
    pub(crate) fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Closing {
    pub(crate) fn is_now(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when it begins.
    pub(crate) async fn begun(&self) {
        // Whoever is gone without a word ends as well.
        let _ = self.0.clone().wait_for(|now| *now).await;
    }

    /// Waits, but not long once the process ends.
    pub(crate) async fn pause(&self, pause: Duration) {
        if self.is_now() || timeout(pause, self.begun()).await.is_ok() {
            tokio::time::sleep(pause.min(LAST_PAUSE)).await;
        }
    }
}
