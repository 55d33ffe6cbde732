//! Half an ear: it hears that the caller speaks and when the turn is over, and no words.
//!
//! Not a recogniser. The session feeds it every `audioInput` of a connection and turns its events
//! into `userSpeechStart` and `userSpeechEnd` (nova-sonic.md §3.2). All times are audio time:
//! milliseconds of input received, never the wall clock.

use std::time::Duration;

/// Speech shorter than this in total is a cough or a click, not a turn (local-voice.md §7c).
pub const MIN_TURN_MS: u64 = 300;

/// What the ear heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarEvent {
    /// The caller began to speak.
    SpeechStarted {
        /// Where speech began, in milliseconds of input audio.
        offset_ms: u64,
    },
    /// The caller has been silent for the endpointing time. Sent after every `SpeechStarted`,
    /// also when the speech was too short to be a turn: see [`EarEvent::is_turn`].
    SpeechEnded {
        /// The end of the last voiced frame, in milliseconds of input audio.
        offset_ms: u64,
        /// Where the ear was sure of it: about `offset_ms` plus the endpointing time.
        detected_ms: u64,
        /// Voiced time between start and end, pauses not counted.
        speech_ms: u64,
    },
}

impl EarEvent {
    /// Whether this ends something long enough to be answered ([`MIN_TURN_MS`]).
    pub fn is_turn(&self) -> bool {
        matches!(self, Self::SpeechEnded { speech_ms, .. } if *speech_ms >= MIN_TURN_MS)
    }
}

/// The ear of one connection.
#[derive(Debug)]
pub struct Ear {}

impl Ear {
    /// An ear for mono input at `rate_hz` (8, 16 or 24 kHz) that calls a turn over after
    /// `endpointing` of silence.
    pub fn new(_rate_hz: u32, _endpointing: Duration) -> Self {
        Self {}
    }

    /// Hears the next piece of PCM16 little-endian mono, of any length, odd ones too.
    pub fn push(&mut self, _pcm_le: &[u8]) -> Vec<EarEvent> {
        Vec::new()
    }
}
