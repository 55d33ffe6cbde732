//! The port to Nova Sonic: how the engine opens a stream without knowing the SDK.
//!
//! What crosses it is one event's JSON per item, in both directions; the wire below (framing,
//! signing, HTTP/2) belongs to whoever implements [`SonicPort`]. `crates/aws` does so on the
//! AWS SDK, and nothing else does: tests put the emulator behind the same SDK instead.

use std::time::Instant;

use bytes::Bytes;
use futures::{future::BoxFuture, stream::BoxStream};

use crate::{CallId, ResumeToken, fault::StreamFault};

/// Opens streams to Nova Sonic.
pub trait SonicPort: Send + Sync + 'static {
    /// Opens one stream.
    ///
    /// `opening` holds the events that must be on their way before the service answers
    /// (`nova-sonic.md` §1.7): session start, prompt start, system prompt, history. The future
    /// resolves when the response head has arrived; it carries its own deadline. Dropping the
    /// future, or both halves of the stream, cancels the request.
    fn open(&self, opening: Vec<Bytes>) -> BoxFuture<'static, Result<SonicStream, StreamFault>>;
}

/// An open stream. Drop both halves to cancel it.
pub struct SonicStream {
    /// Events to the service.
    pub sender: Box<dyn SonicSender>,
    /// Events from the service.
    pub receiver: SonicReceiver,
    /// When the credentials that signed it expire, if they do; the service closes it then.
    pub valid_until: Option<Instant>,
}

/// Events from the service, as JSON. It ends after the first fault, or without one when the
/// service closed in order.
pub type SonicReceiver = BoxStream<'static, Result<Bytes, StreamFault>>;

/// The sending half. Dropping it closes the input in order (the signed empty frame).
pub trait SonicSender: Send {
    /// Hands one event to the transport; never waits.
    fn send(&mut self, event: Bytes) -> Result<(), SendRefused>;
}

/// Why an event was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendRefused {
    /// The transport holds more unsent audio than its age limit allows.
    #[error("the service reads too slowly: unsent audio is older than the limit")]
    Stalled,
    /// The stream is over; the receiver says why.
    #[error("the stream is closed")]
    Closed,
}

/// Keeps what a call must not forget when its task dies, for the client that comes back to
/// another one.
pub trait SessionStore: Send + Sync + 'static {
    /// Keeps the state of a call under its token, in place of what was there.
    fn keep(
        &self,
        call: &CallId,
        token: &ResumeToken,
        state: Vec<u8>,
    ) -> BoxFuture<'static, Result<(), StoreError>>;

    /// Takes out the state of a call, if the token is its own: that is good for one return.
    fn take(
        &self,
        call: &CallId,
        token: &str,
    ) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>>;

    /// Forgets what is kept under a token.
    fn forget(&self, token: &ResumeToken) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// The store does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the session store: {0}")]
pub struct StoreError(pub String);
