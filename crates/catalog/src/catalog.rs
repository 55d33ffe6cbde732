//! The catalog of a running server: the present [`Snapshot`], and how another takes its place.
//!
//! A call asks once, when it starts, and keeps what it got; changed files concern later calls
//! only. Files with errors change nothing: the old snapshot stays, and [`Current::refused`] says
//! why. The server decides how often to [`Catalog::poll`].

use std::{fmt, pin::Pin, sync::Arc};

use jiff::Timestamp;
use tokio::sync::{Mutex, watch};

use crate::{
    overlay,
    problem::{Problem, Problems, Severity},
    rules::Rules,
    snapshot::Snapshot,
    source::{self, Dirs, Sources},
    watch::{Look, Watcher},
};

/// Adds to the files what others know: the schemas of tools of MCP servers, the prompts of
/// Langfuse. Asked when files are about to be judged.
pub trait Complete: Send + Sync {
    /// Completes the files; what could not be found out becomes a problem.
    fn complete<'a>(
        &'a self,
        sources: &'a mut Sources,
    ) -> Pin<Box<dyn Future<Output = Vec<Problem>> + Send + 'a>>;
}

#[cfg(feature = "clients")]
impl Complete for crate::execute::Clients {
    fn complete<'a>(
        &'a self,
        sources: &'a mut Sources,
    ) -> Pin<Box<dyn Future<Output = Vec<Problem>> + Send + 'a>> {
        Box::pin(Self::complete(self, sources))
    }
}

/// The catalog. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Absent: the snapshot was made by hand and stays.
    files: Option<Files>,
    current: watch::Sender<Current>,
}

struct Files {
    dirs: Dirs,
    rules: Rules,
    completers: Vec<Arc<dyn Complete>>,
    /// Held for a whole reload, so that two of them never cross.
    watcher: Mutex<Watcher>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("dirs", &self.dirs).finish_non_exhaustive()
    }
}

/// What a catalog holds at one moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Current {
    /// What new calls get.
    pub snapshot: Arc<Snapshot>,
    /// 1 for the snapshot of the start; one more for each that took its place.
    pub generation: u64,
    /// When the snapshot was made.
    pub loaded_at: Timestamp,
    /// The files on disk, when they are newer than the snapshot and have errors.
    pub refused: Option<Arc<Refused>>,
}

/// Changed files that were not taken.
#[derive(Debug, Clone)]
pub struct Refused {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub problems: Problems,
}

/// What a look at the files led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    /// Nothing changed, or the change does not stand still yet.
    Unchanged,
    /// New calls get a new snapshot.
    Swapped {
        /// What to look at in it.
        warnings: Vec<Problem>,
    },
    /// The files have errors; the old snapshot stays.
    Refused(Problems),
}

impl Catalog {
    /// Reads and checks the folders; otherwise as [`Snapshot::load_by`].
    pub fn open(dirs: Dirs, rules: Rules) -> Result<(Self, Vec<Problem>), Problems> {
        let look = look(&dirs);
        let (snapshot, warnings) =
            Snapshot::assemble(&look.sources, look.problems.clone(), &rules)?;
        let files =
            Files { dirs, rules, completers: Vec::new(), watcher: Mutex::new(Watcher::new(look)) };
        Ok((Self::new(Some(files), Arc::new(snapshot)), warnings))
    }

    /// [`Catalog::open`] for files that `completers` have something to add to, one after the
    /// other, now and whenever they change.
    pub async fn open_completed(
        dirs: Dirs,
        rules: Rules,
        completers: Vec<Arc<dyn Complete>>,
    ) -> Result<(Self, Vec<Problem>), Problems> {
        let look = look_aside(&dirs).await;
        let (snapshot, warnings) = judge(&look, &rules, &completers).await?;
        let watcher = Mutex::new(Watcher::new(look));
        let files = Files { dirs, rules, completers, watcher };
        Ok((Self::new(Some(files), Arc::new(snapshot)), warnings))
    }

    fn new(files: Option<Files>, snapshot: Arc<Snapshot>) -> Self {
        let loaded_at = Timestamp::now();
        let current = Current { snapshot, generation: 1, loaded_at, refused: None };
        Self { inner: Arc::new(Inner { files, current: watch::Sender::new(current) }) }
    }

    /// What a call that starts now is to keep.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.current.borrow().snapshot.clone()
    }

    /// The present state.
    pub fn current(&self) -> Current {
        self.inner.current.borrow().clone()
    }

    /// Hears of every change of the state.
    pub fn subscribe(&self) -> watch::Receiver<Current> {
        self.inner.current.subscribe()
    }

    /// Looks at the files; a change is judged when two looks in a row have found the same.
    pub async fn poll(&self) -> Reload {
        self.look_and(Watcher::see).await
    }

    /// Judges the files as they are now, if they are not those that were judged last.
    pub async fn reload(&self) -> Reload {
        self.look_and(Watcher::judge).await
    }

    /// Judges the files though they may be the same: who completes them knows something new.
    pub async fn judge_again(&self) -> Reload {
        self.look_and(|watcher, look| Some(watcher.judge_again(look))).await
    }

    async fn look_and(
        &self,
        decide: impl for<'a> FnOnce(&'a mut Watcher, Look) -> Option<&'a Look>,
    ) -> Reload {
        let Some(files) = &self.inner.files else { return Reload::Unchanged };
        let mut watcher = files.watcher.lock().await;
        let Some(look) = decide(&mut watcher, look_aside(&files.dirs).await) else {
            return Reload::Unchanged;
        };
        match judge(look, &files.rules, &files.completers).await {
            Ok((snapshot, warnings)) => {
                self.inner.current.send_modify(|current| {
                    *current = Current {
                        snapshot: Arc::new(snapshot),
                        generation: current.generation + 1,
                        loaded_at: Timestamp::now(),
                        refused: None,
                    };
                });
                Reload::Swapped { warnings }
            }
            Err(problems) => {
                let refused = Refused { at: Timestamp::now(), problems: problems.clone() };
                self.inner.current.send_modify(|current| current.refused = Some(Arc::new(refused)));
                Reload::Refused(problems)
            }
        }
    }
}

/// A catalog that has no files and never changes, for tests and for servers without folders.
impl From<Snapshot> for Catalog {
    fn from(snapshot: Snapshot) -> Self {
        Self::new(None, Arc::new(snapshot))
    }
}

fn look(dirs: &Dirs) -> Look {
    let (sources, problems) = source::read(dirs);
    Look { sources, problems }
}

/// Looks where the disk may take its time: a thread that serves calls has none to spare.
async fn look_aside(dirs: &Dirs) -> Look {
    let dirs = dirs.clone();
    tokio::task::spawn_blocking(move || look(&dirs)).await.unwrap_or_else(|error| {
        let broken = Problem::of_file(
            Severity::Error,
            "tools, workflows, prompts",
            format!("looking at the files broke: {error}"),
            "This is a mistake of the program, not of the files.",
        );
        Look { sources: Sources::default(), problems: vec![broken] }
    })
}

async fn judge(
    look: &Look,
    rules: &Rules,
    completers: &[Arc<dyn Complete>],
) -> Result<(Snapshot, Vec<Problem>), Problems> {
    let (mut sources, mut problems) = (look.sources.clone(), look.problems.clone());
    for completer in completers {
        problems.extend(completer.complete(&mut sources).await);
    }
    let mut refused = match Snapshot::assemble(&sources, problems.clone(), rules) {
        Ok(taken) => return Ok(taken),
        Err(refused) => refused,
    };
    let mut local = look.sources.clone();
    local.tools.clone_from(&sources.tools);
    // Ends, because every round takes at least one prompt from elsewhere back.
    while let Some(fewer) = sources.without_faulty(&local, &refused.0) {
        sources = fewer;
        problems.extend(overlay::as_warnings(refused.0, &sources));
        refused = match Snapshot::assemble(&sources, problems.clone(), rules) {
            Ok(taken) => return Ok(taken),
            Err(refused) => refused,
        };
    }
    Err(refused)
}
