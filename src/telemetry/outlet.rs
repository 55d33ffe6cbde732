//! The way to stdout: a queue and a thread of its own.
//!
//! Whoever takes the log (a container's log driver, a terminal, a pipe) may stop taking it for a
//! while. A worker that waited for it would be silence in every call it serves (`ops.md` §1.8), so
//! nobody writes to stdout but this thread. A line that finds no room is lost, and counted.

use std::{
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

/// Lines that may wait: some megabytes.
const ROOM: usize = 8192;

/// Between looks for room at the very end.
const GLANCE: Duration = Duration::from_millis(5);

/// The one of this process.
static STDOUT: OnceLock<Outlet> = OnceLock::new();

/// A queue of lines, and the thread that writes them.
#[derive(Debug)]
pub struct Outlet {
    /// Absent when the thread could not be started: then lines are written where they come up.
    lines: Option<SyncSender<Item>>,
    lost: AtomicU64,
}

#[derive(Debug)]
enum Item {
    Lines(Vec<u8>),
    /// Everything before this was written.
    Mark(SyncSender<()>),
}

/// The outlet to stdout; its thread is started by the first who asks.
pub fn stdout() -> &'static Outlet {
    STDOUT.get_or_init(|| Outlet::start(io::stdout))
}

/// Lines lost so far, without starting anything.
pub(crate) fn lost() -> u64 {
    STDOUT.get().map_or(0, |outlet| outlet.lost.load(Ordering::Relaxed))
}

/// Waits until what was said has been written, for so long at most. For the end of the process.
pub fn flush(deadline: Duration) {
    if let Some(outlet) = STDOUT.get() {
        outlet.flush(deadline);
    }
}

impl Outlet {
    fn start<W: Write>(open: impl FnOnce() -> W + Send + 'static) -> Self {
        let (lines, waiting) = sync_channel(ROOM);
        let thread = std::thread::Builder::new().name("log".into());
        let started = thread.spawn(move || write(open(), &waiting));
        Self { lines: started.is_ok().then_some(lines), lost: AtomicU64::new(0) }
    }

    /// Says a line, to which the line end is added. Never waits.
    pub fn say(&self, line: impl Into<String>) {
        let mut line = line.into().into_bytes();
        line.push(b'\n');
        self.put(line);
    }

    fn put(&self, lines: Vec<u8>) {
        let Some(queue) = &self.lines else {
            let _ = io::stdout().lock().write_all(&lines);
            return;
        };
        if queue.try_send(Item::Lines(lines)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self, deadline: Duration) {
        let Some(queue) = &self.lines else { return };
        let until = Instant::now() + deadline;
        let (written, told) = sync_channel(1);
        let mut mark = Item::Mark(written);
        while let Err(TrySendError::Full(back)) = queue.try_send(mark) {
            if Instant::now() >= until {
                return;
            }
            mark = back;
            std::thread::sleep(GLANCE);
        }
        let _ = told.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// Writes what comes until nobody can say anything any more. What cannot be written (the reader is
/// gone) is nobody's trouble.
fn write(mut out: impl Write, waiting: &Receiver<Item>) {
    for item in waiting {
        match item {
            Item::Lines(lines) => {
                let _ = out.write_all(&lines);
                let _ = out.flush();
            }
            Item::Mark(written) => drop(written.send(())),
        }
    }
}

/// A pen for the subscriber, which writes each event in one piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen;

impl Write for Pen {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        stdout().put(lines.to_vec());
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        mpsc::{Sender, channel},
    };

    use super::*;

    /// A pipe whose reader takes a line only when it is told to.
    struct Pipe {
        take: Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.take.recv().map_err(io::Error::other)?;
            self.taken.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn blocked() -> (Outlet, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (go, take) = channel();
        let taken: Arc<Mutex<Vec<u8>>> = Arc::default();
        let pipe = Pipe { take, taken: taken.clone() };
        (Outlet::start(move || pipe), go, taken)
    }

    #[test]
    fn a_reader_that_takes_nothing_holds_nobody_up() {
        let (outlet, go, taken) = blocked();
        for number in 0..2 * ROOM {
            outlet.say(format!("line {number}"));
        }
        let lost = outlet.lost.load(Ordering::Relaxed) as usize;
        // The thread holds one more in its hand, if it has come to that.
        assert!((ROOM - 1..=ROOM).contains(&lost), "{lost} lost");
        outlet.flush(Duration::ZERO);

        (0..2 * ROOM).for_each(|_| go.send(()).expect("the thread reads"));
        outlet.flush(Duration::from_secs(30));
        let taken = String::from_utf8(taken.lock().expect("no panic").clone()).expect("text");
        assert_eq!(taken.lines().count(), 2 * ROOM - lost, "what had room is whole");
        assert!(taken.starts_with("line 0\nline 1\n") && taken.ends_with('\n'));
    }

    #[test]
    fn a_reader_that_is_gone_is_nobodys_trouble() {
        let (outlet, go, _) = blocked();
        drop(go);
        outlet.say("x");
        outlet.flush(Duration::from_secs(30));
        assert_eq!(outlet.lost.load(Ordering::Relaxed), 0);
    }
}
