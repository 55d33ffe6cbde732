//! The catalog of a running server: the present [`Snapshot`], and how another takes its place.
//!
//! A call asks once, when it starts, and keeps what it got; changed files concern later calls
//! only. Files with errors change nothing: the old snapshot stays, and [`Current::refused`] says
//! why. The server decides how often to [`Catalog::poll`].

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    problem::{Problem, Problems},
    rules::Rules,
    snapshot::Snapshot,
    source::{self, Dirs},
    watch::{Look, Watcher},
};

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

#[derive(Debug)]
struct Files {
    dirs: Dirs,
    rules: Rules,
    /// Held for a whole reload, so that two of them never cross.
    watcher: Mutex<Watcher>,
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
        let files = Files { dirs, rules, watcher: Mutex::new(Watcher::new(look)) };
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
    /// Blocks on the disk.
    pub fn poll(&self) -> Reload {
        self.look_and(Watcher::see)
    }

    /// Judges the files as they are now, if they are not those that were judged last. Blocks on
    /// the disk.
    pub fn reload(&self) -> Reload {
        self.look_and(Watcher::judge)
    }

    fn look_and(
        &self,
        decide: impl for<'a> FnOnce(&'a mut Watcher, Look) -> Option<&'a Look>,
    ) -> Reload {
        let Some(files) = &self.inner.files else { return Reload::Unchanged };
        // A watcher is sound between any two of its steps, so a panic elsewhere spoils nothing.
        let mut watcher = files.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(look) = decide(&mut watcher, look(&files.dirs)) else {
            return Reload::Unchanged;
        };
        match Snapshot::assemble(&look.sources, look.problems.clone(), &files.rules) {
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
