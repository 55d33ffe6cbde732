//! A process's own place on the local disk, and what a process that died left in its.
//!
//! ```text
//! DATA_DIR/instances/<id>/lock          held while the process lives
//!                        /journal/*.jsonl   one per call in progress
//!                        /spool/*.json      finished logs that wait for the store
//!                        /parts/…           recordings that wait for the store
//! ```
//!
//! Two processes may share the disk: whose lock can be taken is dead.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// The place. Dropping it releases the lock; what is in it stays for the next process.
#[derive(Debug)]
pub(crate) struct Instance {
    dir: PathBuf,
    /// Held for its lock.
    _lock: File,
}

impl Instance {
    /// A new place under `root`.
    pub(crate) fn create(root: &Path) -> io::Result<Self> {
        let dir = root.join("instances").join(uuid::Uuid::new_v4().simple().to_string());
        for folder in ["journal", "spool", "parts"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        let lock = File::create(dir.join("lock"))?;
        lock.try_lock().map_err(io::Error::from)?;
        Ok(Self { dir, _lock: lock })
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.dir.join("spool")
    }

    pub(crate) fn parts(&self) -> PathBuf {
        self.dir.join("parts")
    }

    /// The places of processes that died, locked by us. Others that live are left alone.
    pub(crate) fn orphans(&self, root: &Path) -> Vec<Self> {
        all(root)
            .filter(|dir| *dir != self.dir)
            .filter_map(|dir| match lock(&dir) {
                Ok(Some(lock)) => Some(Self { dir, _lock: lock }),
                Ok(None) => None,
                Err(error) => {
                    tracing::warn!(%error, dir = %dir.display(), "a dead process's place");
                    None
                }
            })
            .collect()
    }

    /// Removes the place, when nothing in it is of use any more. What is left keeps it.
    pub(crate) fn remove(&self) {
        for folder in ["journal", "spool", "parts"] {
            let _ = fs::remove_dir(self.dir.join(folder));
        }
        if !["journal", "spool", "parts"].iter().any(|folder| self.dir.join(folder).exists()) {
            let _ = fs::remove_file(self.dir.join("lock"));
            let _ = fs::remove_dir(&self.dir);
        }
    }

    /// Files of every place under `root`, with whether their process lives.
    pub(crate) fn files(root: &Path) -> Vec<(PathBuf, bool)> {
        let mut files = Vec::new();
        for dir in all(root) {
            let lives = matches!(lock(&dir), Ok(None));
            for folder in ["journal", "spool", "parts"] {
                files.extend(entries(&dir.join(folder)).map(|file| (file, lives)));
            }
        }
        files
    }
}

fn all(root: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    entries(&root.join("instances")).filter(|dir| dir.is_dir())
}

/// What is directly in a folder, sorted.
pub(crate) fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found.into_iter()
}

/// Takes the lock of a dead process. `None`: it lives.
fn lock(dir: &Path) -> io::Result<Option<File>> {
    let lock = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_are_left_alone_and_the_dead_are_found_once() {
        let root = tempfile::tempdir().expect("a folder");
        let first = Instance::create(root.path()).expect("a place");
        let second = Instance::create(root.path()).expect("another");
        assert!(second.orphans(root.path()).is_empty());
        fs::write(first.spool().join("a.json"), "{}").expect("a file");
        let dir = first.dir.clone();
        drop(first);
        let orphans = second.orphans(root.path());
        assert_eq!(orphans.len(), 1);
        assert!(second.orphans(root.path()).is_empty(), "it is being seen to");
        orphans.iter().for_each(Instance::remove);
        assert!(dir.exists(), "something is still in it");
        drop(orphans);
        fs::remove_file(dir.join("spool/a.json")).expect("removed");
        second.orphans(root.path()).iter().for_each(Instance::remove);
        assert!(!dir.exists());
    }
}
