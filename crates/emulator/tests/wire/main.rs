//! The emulator from outside: the unmodified AWS SDK over real sockets.
//!
//! Behaviour of the model (turns, barge-in, tools) is the session's and is tested there; here is
//! what lies on the wire.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

mod conversation;
mod doors;
mod faults;
mod heads;
mod media;
mod metrics;
mod speech;
mod support;
mod tampering;
