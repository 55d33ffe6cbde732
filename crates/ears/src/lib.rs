//! A small speech recogniser: one domain, phrases that somebody wrote, American-like English.
//!
//! It reads a CMU Sphinx acoustic model from disk and makes a language model of phrases. What it
//! is not: dictation, a voice activity detector, a telephone recogniser. It has no clock, no
//! threads and no I/O but [`Model::load`]. The emulator's ears and its stand-in for Amazon
//! Transcribe call it.
//!
//! ```text
//!   Model::load ----------------+                     once per process
//!   Phrase ... -> Domain -------+                     once per place of a conversation
//!                               v
//!   samples -> features -> score -> search -> Heard   Recogniser, one per caller
//! ```

mod domain;
mod features;
mod language;
mod model;
mod network;
mod recogniser;
mod score;
mod search;
pub mod slots;

pub use domain::Domain;
pub use features::{FRAME_SAMPLES, RATE_HZ};
pub use language::{Phrase, PhraseError};
pub use model::{DEBIAN, Model, ModelError};
pub use recogniser::{Heard, Recogniser, Word};
pub use slots::Slot;
