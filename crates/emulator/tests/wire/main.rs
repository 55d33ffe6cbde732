//! The emulator from outside: the unmodified AWS SDK over real sockets.
//!
//! Behaviour of the model (turns, barge-in, tools) is the session's and is tested there; here is
//! what lies on the wire.

mod conversation;
mod doors;
mod faults;
mod heads;
mod support;
mod tampering;
