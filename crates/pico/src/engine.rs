//! One Pico engine: memory, voice, text in, samples out. All the foreign calls are here.
//!
//! Facts about the C code, all read in the sources of `ttspico-sys` 0.1.5 (`build/pico/lib`):
//! - All its state lives in the arena given to `pico_initialize`, so several systems can run side
//!   by side in one process, each with its arena. The one mutable static (`nFrame` in `picosig.c`)
//!   counts frames for a debug message and is never read otherwise.
//! - Apart from open files nothing of it lives anywhere else, so a copy of the arena is a copy of
//!   the engine's state.
//! - Memory from the arena is used before it is written; zeroed, the audio is the same bit for bit
//!   on every run (local-voice.md §2).
//! - A file name is copied into 512 bytes without a check (`LOpen`, `picoos.c`).
//! - `pico_getData` treats more than 255 bytes in one call as an error (`picoctrl.c`).
//! - `pico_terminate` leaves the voice's files open; only `pico_unloadResource` closes them.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{CStr, CString, c_char, c_void};
use std::io;
use std::path::Path;
use std::ptr::{self, NonNull};

use ttspico_sys as sys;

use crate::resources::{Accent, VoiceFiles};

/// Bytes of memory per engine, as much as Pico's own programs give it.
const ARENA_BYTES: usize = 2_500_000;

/// Samples fetched per call: fewer than 255 bytes, and a divisor of Pico's block.
const FETCH_SAMPLES: usize = 64;

/// The longest file name handed to Pico, its terminating zero included.
const MAX_PATH: usize = 512;

/// A name for the voice definition; any will do.
const VOICE_NAME: &CStr = c"voice";

/// Why Pico does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PicoError {
    /// There is no memory for an engine.
    #[error("no memory for a Pico engine ({ARENA_BYTES} bytes)")]
    Memory,
    /// The voice could not be put where Pico loads it from.
    #[error("cannot write the voice to a temporary folder")]
    Files(#[source] io::Error),
    /// The temporary folder's name cannot be handed to Pico.
    #[error("the temporary folder's path is too long for Pico or holds a zero: {0}")]
    Path(String),
    /// Pico itself refused.
    #[error("Pico failed to {doing}: {message} (status {status})")]
    Engine {
        /// What was tried.
        doing: &'static str,
        /// Pico's status code, as in `picodefs.h`.
        status: i32,
        /// Pico's own words for it.
        message: String,
    },
}

/// What one call of [`Engine::take`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// This many samples were written; there may be none yet.
    Busy(usize),
    /// This many samples were written, and all text is spoken.
    Idle(usize),
}

/// A Pico engine with one voice. It belongs to the thread that made it (it is not `Send`).
#[derive(Debug)]
pub struct Engine {
    engine: sys::pico_Engine,
    /// The arena as it was when the engine was new.
    fresh: Box<[u8]>,
    system: System,
}

impl Engine {
    /// Loads a voice and makes an engine of it: a few milliseconds and some megabytes.
    pub fn new(accent: Accent) -> Result<Self, PicoError> {
        let mut system = System::new()?;
        let files = VoiceFiles::write(accent).map_err(PicoError::Files)?;
        // SAFETY: the system is alive and the name a terminated string of fewer than 32 bytes.
        let status = unsafe { sys::pico_createVoiceDefinition(system.handle, voice_name()) };
        system.check("define a voice", status)?;
        for path in files.paths() {
            system.load(&path)?;
        }
        let mut engine = ptr::null_mut();
        // SAFETY: the system is alive, the name terminated, and `engine` a place for the result.
        let status = unsafe { sys::pico_newEngine(system.handle, voice_name(), &mut engine) };
        system.check("make an engine", status)?;
        let fresh = system.arena.snapshot();
        Ok(Self { engine, fresh, system })
    }

    /// Puts text (UTF-8, with Pico's mark-up) into the engine's buffer and says how many bytes
    /// fitted, about 260 when it is empty. A zero byte ends the text.
    pub fn put(&mut self, text: &[u8]) -> Result<usize, PicoError> {
        let offered = i16::try_from(text.len()).unwrap_or(i16::MAX);
        let mut put = 0;
        // SAFETY: the engine is alive, and `text` holds at least the `offered` bytes.
        let status =
            unsafe { sys::pico_putTextUtf8(self.engine, text.as_ptr(), offered, &mut put) };
        self.check("take text", status)?;
        Ok(usize::try_from(put).unwrap_or(0).min(text.len()))
    }

    /// Lets the engine do a little work and appends the samples it gave, at most 64.
    pub fn take(&mut self, samples: &mut Vec<i16>) -> Result<Step, PicoError> {
        let mut fetched = [0_i16; FETCH_SAMPLES];
        let (mut bytes, mut kind) = (0, 0);
        // SAFETY: the engine is alive, and the buffer holds as many bytes as are asked for, aligned
        // for 16-bit samples; Pico writes no more than that.
        let status = unsafe {
            sys::pico_getData(
                self.engine,
                fetched.as_mut_ptr().cast::<c_void>(),
                (FETCH_SAMPLES * 2) as i16,
                &mut bytes,
                &mut kind,
            )
        };
        // Pico gives whole samples: its blocks have an even number of bytes.
        let given = (usize::try_from(bytes).unwrap_or(0) / 2).min(FETCH_SAMPLES);
        samples.extend_from_slice(&fetched[..given]);
        match status {
            sys::PICO_STEP_BUSY => Ok(Step::Busy(given)),
            sys::PICO_STEP_IDLE => Ok(Step::Idle(given)),
            _ => Err(self.system.error("speak", status)),
        }
    }

    /// Forgets all text and sound that waits, and all that was said before: after it the same text
    /// gives the same samples again. Takes some tenths of a millisecond.
    ///
    /// Pico's own resets leave traces in the sound that follows, the full one too.
    pub fn reset(&mut self) {
        self.system.arena.restore(&self.fresh);
    }

    fn check(&self, doing: &'static str, status: sys::pico_Status) -> Result<(), PicoError> {
        self.system.check(doing, status)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: the engine is alive and belongs to this system; the system is dropped after it.
        unsafe { sys::pico_disposeEngine(self.system.handle, &mut self.engine) };
    }
}

/// A Pico system: the arena, and the resources loaded into it.
#[derive(Debug)]
struct System {
    handle: sys::pico_System,
    resources: Vec<sys::pico_Resource>,
    /// Declared last: everything above points into it.
    arena: Arena,
}

impl System {
    fn new() -> Result<Self, PicoError> {
        let arena = Arena::new().ok_or(PicoError::Memory)?;
        let mut handle = ptr::null_mut();
        // SAFETY: the arena is `ARENA_BYTES` long, aligned, ours alone, and outlives the system,
        // which owns it; its address does not change when the owner moves.
        let status = unsafe {
            sys::pico_initialize(arena.start.as_ptr().cast(), ARENA_BYTES as u32, &mut handle)
        };
        if status != sys::PICO_OK || handle.is_null() {
            let message = "the arena was refused".to_owned();
            return Err(PicoError::Engine { doing: "start", status, message });
        }
        Ok(Self { handle, resources: Vec::new(), arena })
    }

    /// Loads a resource file and adds it to the voice.
    fn load(&mut self, path: &Path) -> Result<(), PicoError> {
        let refused = || PicoError::Path(path.display().to_string());
        let name = CString::new(path.to_str().ok_or_else(refused)?).map_err(|_| refused())?;
        if name.count_bytes() >= MAX_PATH {
            return Err(refused());
        }
        let mut resource = ptr::null_mut();
        // SAFETY: the system is alive, and the name is terminated and fits Pico's 512 bytes.
        let status =
            unsafe { sys::pico_loadResource(self.handle, name.as_ptr().cast(), &mut resource) };
        self.check("load a voice file", status)?;
        self.resources.push(resource);

        let mut name = [0_u8; sys::PICO_RETSTRINGSIZE];
        // SAFETY: the resource is loaded, and the buffer as long as Pico's longest answer.
        let status = unsafe {
            sys::pico_getResourceName(self.handle, resource, name.as_mut_ptr().cast::<c_char>())
        };
        self.check("name a voice file", status)?;
        // SAFETY: both names are terminated: the second by Pico, in a buffer that began as zeros.
        let status = unsafe {
            sys::pico_addResourceToVoiceDefinition(self.handle, voice_name(), name.as_ptr())
        };
        self.check("add a voice file", status)
    }

    fn check(&self, doing: &'static str, status: sys::pico_Status) -> Result<(), PicoError> {
        match status {
            sys::PICO_OK => Ok(()),
            _ => Err(self.error(doing, status)),
        }
    }

    fn error(&self, doing: &'static str, status: sys::pico_Status) -> PicoError {
        let mut text = [0_u8; sys::PICO_RETSTRINGSIZE];
        // SAFETY: the system is alive, and the buffer as long as Pico's longest answer.
        unsafe {
            sys::pico_getSystemStatusMessage(self.handle, status, text.as_mut_ptr().cast());
        }
        let message = CStr::from_bytes_until_nul(&text).unwrap_or_default();
        PicoError::Engine { doing, status, message: message.to_string_lossy().into_owned() }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        for mut resource in self.resources.drain(..) {
            // SAFETY: the resource was loaded by this system, once, and no engine uses it any more.
            unsafe { sys::pico_unloadResource(self.handle, &mut resource) };
        }
        // SAFETY: the system is alive, has no engine, and is not used again.
        unsafe { sys::pico_terminate(&mut self.handle) };
    }
}

/// Zeroed memory for one system, aligned for more than the C code asks for.
#[derive(Debug)]
struct Arena {
    start: NonNull<u8>,
}

#[repr(align(64))]
struct Memory(#[expect(dead_code, reason = "only its layout is used")] [u8; ARENA_BYTES]);

impl Arena {
    const LAYOUT: Layout = Layout::new::<Memory>();

    fn new() -> Option<Self> {
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(Self::LAYOUT) };
        NonNull::new(start).map(|start| Self { start })
    }

    /// A copy of the whole arena.
    fn snapshot(&self) -> Box<[u8]> {
        // SAFETY: the arena is `ARENA_BYTES` long and began as zeros, so every byte is initialised;
        // nothing writes to it while it is being copied: the system is not shared.
        let arena = unsafe { std::slice::from_raw_parts(self.start.as_ptr(), ARENA_BYTES) };
        arena.into()
    }

    /// Puts a copy back. All of Pico's state is in the arena and all its pointers point into it (or
    /// to files that stay open as long as it lives), so this takes Pico back in time.
    fn restore(&mut self, snapshot: &[u8]) {
        let length = snapshot.len().min(ARENA_BYTES);
        // SAFETY: both are at least `length` long and cannot overlap: the snapshot is owned by Rust.
        unsafe { ptr::copy_nonoverlapping(snapshot.as_ptr(), self.start.as_ptr(), length) };
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the memory came from `alloc_zeroed` with this layout.
        unsafe { dealloc(self.start.as_ptr(), Self::LAYOUT) };
    }
}

/// The voice's name as the C functions want it.
fn voice_name() -> *const u8 {
    VOICE_NAME.as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Speaks a text of fewer than 260 bytes to its end.
    fn speak(engine: &mut Engine, text: &str) -> Vec<i16> {
        let text = [text.as_bytes(), b"\0"].concat();
        assert_eq!(engine.put(&text).unwrap(), text.len());
        let mut samples = Vec::new();
        while let Step::Busy(_) = engine.take(&mut samples).unwrap() {}
        samples
    }

    #[test]
    fn both_voices_speak_and_differ() {
        let spoken = [Accent::American, Accent::British]
            .map(|accent| speak(&mut Engine::new(accent).unwrap(), "Good morning."));
        for samples in &spoken {
            assert!((8_000..40_000).contains(&samples.len()), "{} samples", samples.len());
            assert!(samples.iter().any(|s| s.unsigned_abs() > 3_000));
        }
        assert_ne!(spoken[0], spoken[1]);
    }

    #[test]
    fn every_engine_gives_the_same_samples_on_any_thread() {
        let say = || speak(&mut Engine::new(Accent::American).unwrap(), "One, two, three.");
        let first = say();
        let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(move || [say(), say()])).collect();
        for thread in threads {
            for samples in thread.join().unwrap() {
                assert!(samples == first, "the audio differs from run to run");
            }
        }
    }

    #[test]
    fn a_reset_engine_forgets_what_it_was_saying() {
        let mut engine = Engine::new(Accent::American).unwrap();
        engine.put(b"This is a long sentence that nobody will ever hear the end of.\0").unwrap();
        let mut samples = Vec::new();
        while samples.len() < 4_000 {
            engine.take(&mut samples).unwrap();
        }
        engine.reset();
        let after = speak(&mut engine, "Yes.");
        let fresh = speak(&mut Engine::new(Accent::American).unwrap(), "Yes.");
        assert!(after == fresh, "something of the old text is left");
    }

    #[test]
    fn a_full_buffer_takes_only_a_part() {
        let mut engine = Engine::new(Accent::American).unwrap();
        let put = engine.put(&[b'a'; 5_000]).unwrap();
        assert!((1..5_000).contains(&put), "{put} bytes");
        assert_eq!(engine.put(b"more").unwrap(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_dropped_engine_leaves_no_file_open() {
        // Counts only this crate's files: other tests open theirs at the same time, but every
        // path is unique to its engine, so what counts is that the number does not grow.
        let open = || {
            let fds = std::fs::read_dir("/proc/self/fd").unwrap();
            fds.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
                .filter(|target| target.to_string_lossy().contains("voice-pico-"))
                .count()
        };
        for _ in 0..40 {
            drop(Engine::new(Accent::British).unwrap());
        }
        assert!(open() < 20, "{} voice files are open", open());
    }
}
