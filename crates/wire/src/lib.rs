//! What clients and server say on `/sonic`: one page of protocol.
//!
//! A text frame is one JSON object with a `type`; a binary frame is raw PCM16 little-endian
//! mono, 16 kHz to the server and 24 kHz to the client. Floor 1: shapes and parsing only; the
//! engine decides what follows, the socket moves the bytes.

pub mod client;
pub mod server;

pub use client::{ClientMessage, Feedback, Frame, FrameError, SessionConfig, Ticket};
pub use server::{Role, ServerMessage};
