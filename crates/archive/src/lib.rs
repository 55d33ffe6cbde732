//! What was said: journal, session log, recording, redaction, price.

mod archive;
pub mod document;
pub mod entry;
pub mod folder;
pub mod history;
mod instance;
mod journal;
pub mod monitor;
pub mod name;
pub mod price;
mod recording;
pub mod redact;
mod spool;
pub mod store;
mod upload;

pub use archive::{Archive, ArchiveConfig};
pub use journal::{Journal, clean};
pub use monitor::{Monitor, Watched};
pub use recording::Recorder;
pub use spool::Pauses;
