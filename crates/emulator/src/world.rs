//! What all sessions of one emulator share.
//!
//! Made once by the front at start, handed to every session. Data and factories only; no state
//! of a session lives here.

use crate::config::EmulatorConfig;
use crate::observe::Observer;

/// Shared by all sessions, behind an `Arc`.
#[derive(Debug)]
pub(crate) struct World {
    /// Clocks, scenario, echo, faults, models.
    pub(crate) config: EmulatorConfig,
    /// Where records are opened.
    pub(crate) observer: Observer,
}
