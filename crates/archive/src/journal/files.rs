//! The files of the journal: one per call, and the session log that is made of it at its end.
//!
//! Called by the journal's thread alone. What it is told is clean already.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use voice_call::Meters;

use crate::{
    document::SessionLog,
    entry::{Entry, Event},
    instance::{Instance, entries},
    name::LogName,
    price::Prices,
    redact::Redactor,
    spool::bytes_of,
};

/// Bytes of a call's entries that are written at once.
const BUFFER: usize = 16 * 1024;

/// The journals of all calls.
pub(crate) struct Files {
    pub(crate) journal: PathBuf,
    pub(crate) spool: PathBuf,
    pub(crate) prices: Arc<Prices>,
    /// For numbers that reach over several lines.
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

impl Files {
    /// Keeps an entry. It is written with others, a moment later.
    pub(crate) fn append(&mut self, call: u64, entry: &Entry) {
        if let Event::Began(began) = &entry.event {
            let open = self.open(entry.at, &began.session_id);
            self.calls.insert(call, open);
        }
        let Some(open) = self.calls.get_mut(&call) else { return };
        if serde_json::to_writer(&mut open.buffer, entry).is_err() {
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

    pub(crate) fn flush(&mut self) {
        for open in self.calls.values_mut() {
            open.flush(&self.meters);
        }
    }

    /// Writes what waits, and tries again what found no room. Answers whether something is left.
    pub(crate) fn settle(&mut self) -> bool {
        self.flush();
        for journal in std::mem::take(&mut self.unfinished) {
            // Somebody may have erased it.
            if journal.exists() && self.try_finish(&journal).is_err() {
                self.unfinished.push(journal);
            }
        }
        !self.unfinished.is_empty()
    }

    /// The call ended: its log is made.
    pub(crate) fn end(&mut self, call: u64) {
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

    /// Takes over what a dead process left. `each` hears the entries of every call in it.
    pub(crate) fn adopt(&mut self, orphan: &Instance, mut each: impl FnMut(&[Entry])) {
        for journal in entries(&orphan.journal()) {
            tracing::info!(journal = %journal.display(), "a call whose process died gets its log");
            match read(&journal) {
                Ok(entries) => each(&entries),
                Err(error) => self.broken(&error, &journal),
            }
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
