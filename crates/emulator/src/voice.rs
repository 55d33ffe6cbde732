//! The emulator's voice: text in, PCM16 out, by SVOX Pico.
//!
//! Not a queue of audio: a slow reader blocks the voice, not the memory. The session owns one
//! [`Voice`]; system tests make their callers' speech with [`synthesize`].

use bytes::Bytes;
use tokio::sync::mpsc;

/// Which of the two English voices speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accent {
    /// en-US: the agent's voice.
    #[default]
    American,
    /// en-GB: the caller's voice in tests, so that caller and agent differ.
    British,
}

/// Why the voice cannot speak.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VoiceError {
    /// The output rate is none that Nova Sonic offers.
    #[error("the voice cannot speak at {0} Hz: expected 8000, 16000 or 24000")]
    Rate(u32),
}

/// The voice of one session.
#[derive(Debug)]
pub struct Voice {}

impl Voice {
    /// A voice that speaks at `rate_hz` (8000, 16000 or 24000), in American English. The engine
    /// and its thread start with the first [`Voice::say`] and end when the voice is dropped.
    pub fn start(rate_hz: u32) -> Result<Self, VoiceError> {
        Self::start_with(rate_hz, Accent::American)
    }

    /// The same with a choice of accent.
    pub fn start_with(_rate_hz: u32, _accent: Accent) -> Result<Self, VoiceError> {
        Ok(Self {})
    }

    /// Speaks `text` after what was asked before. Chunks of about 64 ms of PCM16 little-endian
    /// mono come out of the receiver, which closes at the end of the text, on [`Voice::cancel`]
    /// and when the engine fails (the log says why).
    pub fn say(&self, _text: &str) -> mpsc::Receiver<Bytes> {
        mpsc::channel(1).1
    }

    /// Stops all that was asked so far, at the latest after the chunk in the making.
    pub fn cancel(&self) {}
}

/// Speaks `text` in one go: mono samples at `rate_hz`. The same text gives the same samples.
pub fn synthesize(_text: &str, _rate_hz: u32, _accent: Accent) -> Result<Vec<i16>, VoiceError> {
    Ok(Vec::new())
}
