//! Assistant audio that is not needed for a while, in less memory.
//!
//! A machine: no actix, no clock.

use std::time::Duration;

use voice_audio::Packed;
use voice_call::{AudioChunk, SampleRate};

/// A chunk that was put away.
#[derive(Debug)]
pub struct Stored {
    audio: Packed,
    rate: SampleRate,
    duration: Duration,
}

impl Stored {
    /// Puts a chunk away.
    pub fn of(chunk: &AudioChunk) -> Self {
        Self { audio: Packed::of(chunk.bytes()), rate: chunk.rate(), duration: chunk.duration() }
    }

    /// The chunk as it was; `None` never happens, because packed are whole samples.
    pub fn chunk(&self) -> Option<AudioChunk> {
        AudioChunk::new(self.audio.unpack(), self.rate).ok()
    }

    /// How long it is.
    pub fn duration(&self) -> Duration {
        self.duration
    }
}
