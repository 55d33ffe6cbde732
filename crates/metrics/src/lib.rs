//! What a process tells CloudWatch about itself: which figures, under which names, when, and what
//! becomes of them while CloudWatch does not answer.
//!
//! Floor 1: no tokio, no clock, no I/O, no SDK. [`table`] names every metric once, with where in
//! `/metrics` it is found; a [`Reading`] is what `/metrics` says now; [`Publisher`] makes data of
//! readings and keeps them until they are taken; [`emf`] writes distributions as lines of the log.
//! `src/metrics.rs` feeds them, `voice-aws` sends.

mod datum;
pub mod emf;
mod publisher;
mod reading;
pub mod table;

pub use datum::{Datum, Figure, Unit};
pub use publisher::{Failed, Publisher, Scope};
pub use reading::Reading;
