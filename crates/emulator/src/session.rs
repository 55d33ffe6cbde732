//! The service behind the wire: what Nova Sonic does with the events of one stream.
//!
//! One call of [`run`] is one stream: JSON events in, JSON events out, over two bounded channels.
//! `front` calls it and owns everything below that: listeners, TLS, signatures, frames.
//!
//! It is a stand-in, not the model: what it says comes from a scenario, and what it did not
//! recognise it does not pretend to have heard.
//!
//! The decisions are in plain structs without clock or I/O: `order` (what a client may send when),
//! `clocks` (when the service loses patience), `conversation` (who speaks, and what is said).

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::config::Generation;
use crate::observe::SessionRecord;
use crate::world::World;

/// What the session wants sent to the client, in order.
#[derive(Debug)]
pub(crate) enum Outbound {
    /// Send the response head now, if it is still held. Anything else but [`Outbound::Reset`]
    /// also needs the head first; the session sends this before everything else.
    Head,
    /// One event, `{"event":{...}}`.
    Event(serde_json::Value),
    /// The JSON text of one event, already serialised: the audio path, which is hot.
    Json(Bytes),
    /// An exception frame. The session sends [`Outbound::End`] after it.
    Exception(Exception),
    /// Bytes to put on the stream as they are, for the fault "garbage".
    Raw(Bytes),
    /// Break the stream off: `RST_STREAM` on HTTP/2, a cut connection on HTTP/1.1.
    Reset,
    /// Cut the TCP connection under the stream, without any word.
    Cut,
    /// End the response in an orderly way. Nothing follows.
    End,
}

/// What arrived from the client, after signature and framing.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// The JSON of one client event, as it stood inside `bytes`.
    Event(Bytes),
    /// A frame that could not be taken apart or whose signature is wrong; the text goes into the
    /// `validationException`.
    Malformed(String),
    /// The client ended its input, by the empty frame or by the end of the body.
    End,
}

/// An in-stream exception (`nova-sonic.md` §1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exception {
    /// Which one.
    pub(crate) kind: ExceptionKind,
    /// The `message` member.
    pub(crate) message: String,
    /// `originalStatusCode` and `originalMessage`, which only `modelStreamErrorException` has.
    pub(crate) original: Option<(i32, String)>,
}

/// The names an exception frame can carry (`nova-sonic.md` §1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExceptionKind {
    /// `internalServerException`, 500.
    InternalServer,
    /// `modelStreamErrorException`, 424.
    ModelStreamError,
    /// `validationException`, 400.
    Validation,
    /// `throttlingException`, 429.
    Throttling,
    /// `modelTimeoutException`, 408.
    ModelTimeout,
    /// `serviceUnavailableException`, 503.
    ServiceUnavailable,
}

impl ExceptionKind {
    /// The value of the `:exception-type` header.
    pub(crate) const fn wire_name(self) -> &'static str {
        match self {
            Self::InternalServer => "internalServerException",
            Self::ModelStreamError => "modelStreamErrorException",
            Self::Validation => "validationException",
            Self::Throttling => "throttlingException",
            Self::ModelTimeout => "modelTimeoutException",
            Self::ServiceUnavailable => "serviceUnavailableException",
        }
    }
}

impl Exception {
    /// An exception with a message only.
    pub(crate) fn new(kind: ExceptionKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), original: None }
    }

    /// A `validationException`.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(ExceptionKind::Validation, message)
    }
}

/// Serves one stream until it ends. Dropping the future cancels it.
///
/// `events` and `out` are bounded; a full `out` slows the model's voice down, never the clocks.
/// The last message on `out` is [`Outbound::End`], [`Outbound::Reset`] or [`Outbound::Cut`].
pub(crate) async fn run(
    model: Generation,
    events: mpsc::Receiver<Inbound>,
    out: mpsc::Sender<Outbound>,
    world: Arc<World>,
    record: SessionRecord,
) {
    let _ = (model, events, world, record);
    let _ = out.send(Outbound::End).await;
}
