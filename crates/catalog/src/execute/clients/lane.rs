//! The threads the clients live on.

use std::{future::Future, io};

use tokio::{
    runtime::{Builder, Runtime},
    task::AbortHandle,
};

use super::super::Fault;

/// Threads: the clients wait more than they work.
const THREADS: usize = 2;

/// A runtime of its own, let go without waiting when it is dropped.
pub(super) struct Lane {
    runtime: Option<Runtime>,
}

impl Lane {
    pub(super) fn new() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("tool-clients")
            .enable_all()
            .build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs `work` here. Dropping the future that is returned cancels the work; a panic in it is
    /// a fault.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> impl Future<Output = Result<T, Fault>> + Send + 'static {
        let task = self.runtime.as_ref().map(|runtime| runtime.spawn(work));
        // From here on, so that a run that is never polled does not go on either.
        let guard = task.as_ref().map(|task| AbortOnDrop(task.abort_handle()));
        async move {
            let _guard = guard;
            let broken = |detail: String| Fault::lasting("The tool broke.", detail);
            match task {
                None => Err(broken("the clients are shut down".to_owned())),
                Some(task) => match task.await {
                    Ok(done) => done,
                    Err(error) => Err(broken(error.to_string())),
                },
            }
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
