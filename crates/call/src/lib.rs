//! The vocabulary of a call, and the ports through which the engine reaches the outside.
//!
//! Floor 0: no tokio, no actix, no clock, no I/O. Everything above speaks these words;
//! nothing here knows who speaks them.

pub mod audio;
pub mod end;
pub mod epoch;
pub mod fault;
pub mod id;
pub mod latencies;
pub mod meters;
pub mod port;
pub mod role;
pub mod spectrum;
pub mod token;
pub mod transcription;

pub use audio::{AudioChunk, SampleRate};
pub use end::{CloseCode, EndReason};
pub use epoch::Epoch;
pub use fault::{FaultKind, Remedy, StreamFault};
pub use id::{CallId, InvalidCallId};
pub use meters::Meters;
pub use port::{SessionStore, SonicPort, SonicReceiver, SonicSender, SonicStream, StoreError};
pub use role::Role;
pub use spectrum::Spectrum;
pub use token::ResumeToken;
