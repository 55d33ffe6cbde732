//! How sound comes from a client and goes to it: a property of the channel.
//!
//! A browser sends its microphone frame by frame and plays what it gets at once. The audio bridge of
//! a phone call does neither: the caller's voice reaches it in fragments of a second
//! (connect-kvs.md §1.1), and it collects whole sentences before anything is played. So a call on the
//! phone gets its audio further ahead, and its gaps are no silence.
//!
//! **What was heard** is for a browser what was released, less the lead. On the phone the bridge
//! knows better: what it has given to the contact flow is heard, because Connect plays a prompt to its
//! end, and the rest it throws away when it is told `interruption`. So a barge-in still takes back
//! all that was not heard: what waits here by the playout queue, what was released by the bridge. The
//! time at which a sentence *has been* heard is reckoned here as for a browser, as if playing had
//! begun with the first frame; the caller's line is behind that by the way of a prompt.
//!
//! Plain values; made by `call/settings.rs`, used by the client's and the stream's actors.

use std::time::Duration;

use actix::Message;

use crate::engine::EngineConfig;

/// The pace of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Pace {
    /// How far ahead of real time audio is sent to the client.
    pub lead: Duration,
    /// A gap in the caller's audio that is not filled with silence: what comes late closes it.
    pub gap: Duration,
}

impl Pace {
    /// Of a client in a browser, or of whoever does not say.
    pub fn web(config: &EngineConfig) -> Self {
        Self { lead: config.playout_lead, gap: config.caller_gap }
    }

    /// Of a call on the phone.
    pub fn phone(config: &EngineConfig) -> Self {
        Self { lead: config.phone_lead, gap: config.phone_gap }
    }
}
