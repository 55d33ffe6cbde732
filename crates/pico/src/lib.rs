//! A safe door to SVOX Pico, the speech synthesiser inside the `ttspico-sys` package.
//!
//! The only crate of the project with `unsafe` code; it is small so that all of it can be read.
//! It is not a voice yet: no thread, no mark-up, no resampling. The emulator's `voice` calls it.
//!
//! ```text
//!   put(text) ... put(text, 0)  ->  take() ... take() until Idle      one engine, one thread
//!                    ^                        |
//!                    '------- reset() --------'                       barge-in
//! ```

mod engine;
mod resources;

pub use engine::{Engine, PicoError, Step};
pub use resources::Accent;

/// The rate of Pico's output, in Hz.
pub const RATE_HZ: u32 = 16_000;
