//! The two functions between a contact flow of Amazon Connect and the audio bridge.
//!
//! `StartBotSession` begins a call at the bridge, `ProcessBotTurn` asks it what comes next. Both are
//! one signed request and its retries within the eight seconds that a flow waits, and both always
//! answer: what cannot be done is answered with words and a human ([`reply::apology`]), because an
//! error of a function leaves the caller in silence until the flow has noticed. Their state is in
//! the flow: what an answer says of session, owner and turn comes back with the next event.
//!
//! | machines | shell |
//! |---|---|
//! | [`event`]: what Connect sends | [`serve`]: Lambda's runtime, and HTTP to the bridge |
//! | [`plan`]: whom to ask, how long, what follows from a failure | |
//! | [`reply`]: what Connect takes | |

pub mod event;
pub mod plan;
pub mod reply;
mod serve;
pub mod settings;

pub use serve::serve;

/// Which of the two functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Begins a call.
    StartBotSession,
    /// Asks what comes next.
    ProcessBotTurn,
}
