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
mod rating;
mod recording;
pub mod redact;
mod spool;
pub mod store;
mod upload;
mod witness;

pub use archive::{Archive, ArchiveConfig, Keeping};
pub use journal::{Journal, clean};
pub use monitor::{Monitor, Watched};
pub use rating::Rated;
pub use recording::Recorder;
pub use spool::Pauses;
pub use witness::Witness;
