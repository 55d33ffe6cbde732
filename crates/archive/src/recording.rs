//! The recording of a call: a stereo WAV file that grows in parts, on the local disk first.
//!
//! One thread per process writes the parts; `upload.rs` brings each finished part to the store
//! while the call goes on, so that little is left to do when it ends, and little disk is needed.
//! The first part holds the header, which knows the length at the end only: it goes last. What a
//! dead process left is finished by the next one.
//!
//! ```text
//! parts/<name>.<n>.open   being written        parts/<name>.end      how many parts there are
//! parts/<name>.<n>.part   ready to be brought  parts/<name>.upload   what the store has already
//! ```

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender},
    },
};

use voice_call::Meters;

use crate::{instance::entries, name::LogName};

/// Bytes of a part: S3 wants 5 MiB at least, of all but the last.
pub(crate) const PART: u64 = 8 * 1024 * 1024;

/// Blocks of all calls that may wait for the thread: about a fifth of a second of 1,000 calls.
pub(crate) const QUEUE: usize = 2048;

/// Bytes that are written at once.
const BUFFER: usize = 16 * 1024;

/// Bytes of the header.
const HEADER: u64 = 44;

/// What the thread is told.
pub(crate) enum Job {
    /// A recording begins.
    Begin {
        call: u64,
        name: LogName,
        rate: u32,
        broken: Arc<AtomicBool>,
    },
    /// Pairs of samples, left and right.
    Samples {
        call: u64,
        pairs: Vec<i16>,
    },
    /// It is over.
    End {
        call: u64,
    },
    Close,
}

/// The recording of one call. Dropping it ends it.
#[derive(Debug)]
pub struct Recorder {
    call: u64,
    jobs: SyncSender<Job>,
    /// Whether it has broken off: what comes later would be in the wrong place.
    broken: Arc<AtomicBool>,
    meters: Meters,
}

impl Recorder {
    pub(crate) fn begin(
        call: u64,
        jobs: SyncSender<Job>,
        meters: Meters,
        name: LogName,
        rate: u32,
    ) -> Self {
        let broken = Arc::new(AtomicBool::new(false));
        let begin = Job::Begin { call, name, rate, broken: broken.clone() };
        if jobs.try_send(begin).is_err() {
            broken.store(true, Ordering::Relaxed);
        }
        Self { call, jobs, broken, meters }
    }

    /// Takes pairs of samples, left and right. Never waits; `false` when the recording has broken
    /// off because the disk does not take it.
    pub fn write(&self, pairs: Vec<i16>) -> bool {
        if self.broken.load(Ordering::Relaxed) {
            return false;
        }
        if self.jobs.try_send(Job::Samples { call: self.call, pairs }).is_err() {
            self.broken.store(true, Ordering::Relaxed);
            self.meters.recording_errors.inc();
            tracing::error!("a recording is broken off: the disk does not keep up");
            return false;
        }
        true
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Without room its parts stay, and are finished by the next process.
        let _ = self.jobs.try_send(Job::End { call: self.call });
    }
}

/// The thread's side.
pub(crate) struct Writer {
    pub(crate) parts: PathBuf,
    /// Bytes of finished parts that may wait for the store.
    pub(crate) limit: u64,
    pub(crate) meters: Meters,
    pub(crate) calls: HashMap<u64, Open>,
    /// Called when a part is ready, or a recording has ended.
    pub(crate) ready: Arc<dyn Fn() + Send + Sync>,
}

/// A recording in progress.
pub(crate) struct Open {
    stem: String,
    /// The number of the part that is being written.
    part: u32,
    file: File,
    /// Bytes of it that are written.
    written: u64,
    buffer: Vec<u8>,
    /// Tells whoever records that there is no point in it any more.
    broken: Arc<AtomicBool>,
}

impl Writer {
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Begin { call, name, rate, broken } => match self.begin(&name, rate, &broken) {
                    Ok(open) => _ = self.calls.insert(call, open),
                    Err(error) => {
                        broken.store(true, Ordering::Relaxed);
                        self.broken(&error);
                    }
                },
                Job::Samples { call, pairs } => {
                    let Some(open) = self.calls.get_mut(&call) else { continue };
                    let at = open.buffer.len();
                    open.buffer.resize(at + pairs.len() * 2, 0);
                    let bytes = open.buffer[at..].as_chunks_mut().0;
                    for (bytes, sample) in bytes.iter_mut().zip(pairs) {
                        *bytes = sample.to_le_bytes();
                    }
                    if open.buffer.len() >= BUFFER
                        && let Err(error) = self.flush(call)
                    {
                        self.broken(&error);
                        if let Some(open) = self.calls.get(&call) {
                            open.broken.store(true, Ordering::Relaxed);
                        }
                        // What is there is still a recording.
                        self.end(call);
                    }
                }
                Job::End { call } => self.end(call),
                Job::Close => break,
            }
        }
        for call in self.calls.keys().copied().collect::<Vec<_>>() {
            self.end(call);
        }
    }

    fn begin(&self, name: &LogName, rate: u32, broken: &Arc<AtomicBool>) -> io::Result<Open> {
        let stem = name.stem().to_owned();
        let file = File::create(self.open_part(&stem, 1))?;
        let (buffer, broken) = (header(rate, 0).to_vec(), broken.clone());
        Ok(Open { stem, part: 1, file, written: 0, buffer, broken })
    }

    fn open_part(&self, stem: &str, part: u32) -> PathBuf {
        self.parts.join(format!("{stem}.{part}.open"))
    }

    /// Writes the buffer, and goes on with another part when one is full.
    fn flush(&mut self, call: u64) -> io::Result<()> {
        let parts = self.parts.clone();
        let Some(open) = self.calls.get_mut(&call) else { return Ok(()) };
        let mut buffer = std::mem::take(&mut open.buffer);
        let mut rest = &buffer[..];
        while !rest.is_empty() {
            if open.written == PART {
                if waiting_bytes(&parts) > self.limit {
                    let what = "too many parts wait for the store";
                    return Err(io::Error::new(io::ErrorKind::QuotaExceeded, what));
                }
                if open.part > 1 {
                    finish_part(&parts, &open.stem, open.part)?;
                    (self.ready)();
                }
                open.part += 1;
                open.file = File::create(parts.join(format!("{}.{}.open", open.stem, open.part)))?;
                open.written = 0;
            }
            let room = usize::try_from(PART - open.written).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(room.min(rest.len()));
            open.file.write_all(now)?;
            open.written += now.len() as u64;
            rest = later;
        }
        buffer.clear();
        open.buffer = buffer;
        Ok(())
    }

    fn end(&mut self, call: u64) {
        let flushed = self.flush(call);
        let Some(open) = self.calls.remove(&call) else { return };
        if let Err(error) = flushed.and_then(|()| finish(&self.parts, &open.stem)) {
            self.broken(&error);
        }
        (self.ready)();
    }

    fn broken(&self, error: &io::Error) {
        self.meters.recording_errors.inc();
        tracing::error!(%error, "a recording cannot be written");
    }
}

/// Bytes of the parts that wait for the store. Those that still grow are bounded by their number.
pub(crate) fn waiting_bytes(parts: &Path) -> u64 {
    let ready = entries(parts).filter(|file| file.extension().is_some_and(|end| end == "part"));
    ready.filter_map(|file| fs::metadata(file).ok()).map(|meta| meta.len()).sum()
}

/// Finishes the recordings that a dead process left in `from`, as parts in `to`.
pub(crate) fn adopt(from: &Path, to: &Path) -> io::Result<()> {
    let names: Vec<String> = entries(from)
        .filter_map(|file| file.file_name().and_then(|name| name.to_str()).map(str::to_owned))
        .collect();
    for name in &names {
        fs::rename(from.join(name), to.join(name))?;
    }
    for stem in names.iter().filter_map(|name| name.strip_suffix(".1.open")) {
        tracing::info!(recording = stem, "a recording whose process died is finished");
        finish(to, stem)?;
    }
    Ok(())
}

/// The last part is complete, and with it the length that the header has to say.
fn finish(parts: &Path, stem: &str) -> io::Result<()> {
    let number = |file: &Path| {
        let name = file.file_name()?.to_str()?.strip_prefix(stem)?.strip_prefix('.')?;
        name.strip_suffix(".open")?.parse::<u32>().ok()
    };
    let open: Vec<u32> = entries(parts).filter_map(|file| number(&file)).collect();
    let last = open.iter().copied().max().unwrap_or(1);
    let path = |part: u32| parts.join(format!("{stem}.{part}.open"));
    let length = fs::metadata(path(last))?.len();
    let data =
        (u64::from(last) - 1) * PART + length - if last == 1 { HEADER.min(length) } else { HEADER };
    let mut first = File::options().read(true).write(true).open(path(1))?;
    let mut old = [0; HEADER as usize];
    io::Read::read_exact(&mut first, &mut old)?;
    let rate = u32::from_le_bytes([old[24], old[25], old[26], old[27]]);
    first.seek(SeekFrom::Start(0))?;
    first.write_all(&header(rate, data))?;
    drop(first);
    if last > 1 {
        finish_part(parts, stem, last)?;
    }
    finish_part(parts, stem, 1)?;
    let beside = parts.join(format!("{stem}.end.partial"));
    fs::write(&beside, last.to_string())?;
    fs::rename(beside, parts.join(format!("{stem}.end")))
}

fn finish_part(parts: &Path, stem: &str, part: u32) -> io::Result<()> {
    let name = |state: &str| parts.join(format!("{stem}.{part}.{state}"));
    fs::rename(name("open"), name("part"))
}

/// The header of a WAV file (RIFF, PCM): two channels of 16 bits, with so many bytes of samples.
fn header(rate: u32, data: u64) -> [u8; HEADER as usize] {
    // A file that is too long for the format says the most that it can.
    let data = u32::try_from(data).unwrap_or(u32::MAX - HEADER as u32);
    let mut header = [0; HEADER as usize];
    let fields: [(usize, &[u8]); 13] = [
        (0, b"RIFF"),
        (4, &(data + HEADER as u32 - 8).to_le_bytes()),
        (8, b"WAVE"),
        (12, b"fmt "),
        (16, &16_u32.to_le_bytes()),
        (20, &1_u16.to_le_bytes()),
        (22, &2_u16.to_le_bytes()),
        (24, &rate.to_le_bytes()),
        (28, &(rate * 4).to_le_bytes()),
        (32, &4_u16.to_le_bytes()),
        (34, &16_u16.to_le_bytes()),
        (36, b"data"),
        (40, &data.to_le_bytes()),
    ];
    for (at, bytes) in fields {
        header[at..at + bytes.len()].copy_from_slice(bytes);
    }
    header
}

#[cfg(test)]
mod tests;
