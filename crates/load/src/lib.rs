//! Paced callers against a voice server that speaks the contract of `/sonic`: what delay it adds,
//! what is lost, what CPU and memory a call takes, how many calls a core holds.
//!
//! Not a test of behaviour, and no part of a server: it needs nothing of the engine and can measure
//! any server of the same contract. Called by `voice-s2s load` and by a system test.
//!
//! Delay counts from the moment a frame was due, not from when it was sent, so a generator or a
//! server that stalls is seen in every frame that had to wait (no coordinated omission).

mod alarm;
mod caller;
pub mod html;
pub mod ledger;
pub mod marker;
pub mod pace;
pub mod persona;
pub mod plan;
pub mod report;
mod run;
pub mod usage;
pub mod verdict;
mod worker;

pub use plan::{Plan, Scenario};
pub use report::{Capacity, Report};
pub use run::{held, run, search};
pub use verdict::{Limits, Refusal};
