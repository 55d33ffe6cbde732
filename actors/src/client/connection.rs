//! The connection of a call: what goes over it, how it is lost, and how the client comes back.
//!
//! ```text
//!              lost                 the client comes back
//!   Attached ────────▶ Parked ───────────────────────────▶ Attached
//!      │  hangs up        │ nobody comes                     ▲ │ comes back before the
//!      ▼                  ▼                                  └─┘ loss was noticed
//!    (gone)             (gone)
//! ```
//!
//! While a call is parked nothing is played, and what is said to the client is kept.

use std::{sync::Arc, time::Instant};

use actix::{Handler, Message, Recipient};
use bytes::Bytes;
use voice_call::{CloseCode, meters::Queue};
use voice_wire::ServerMessage;

use super::{ClientActor, ClientEvent, limits::MessageLimit};
use crate::mailbox::{Outbox, Queued};

/// What goes to the socket. The socket writes it as one frame and does nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToSocket {
    /// A text frame: one JSON message.
    Text(String),
    /// A binary frame: PCM16 little-endian mono at 24 kHz.
    Audio(Bytes),
    /// A ping frame.
    Ping,
    /// The close frame; afterwards the socket stops.
    Close {
        /// RFC 6455 close code.
        code: CloseCode,
        /// The text beside it, at most 123 bytes.
        reason: String,
    },
}

/// What comes from the socket, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromSocket {
    /// The bytes of a text frame; not checked to be UTF-8.
    Text(Bytes),
    /// The bytes of a binary frame.
    Binary(Bytes),
    /// A pong, or any other sign of life.
    Pong,
    /// A frame above the codec's limit; the socket closes with 1009 by itself.
    TooLarge,
    /// The client closed this connection in order: it hangs up.
    HungUp(Connection),
    /// This connection is gone.
    Closed(Connection),
}

/// Which of a call's connections, counted from 1. News of an earlier one are old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection(pub(crate) u32);

impl Connection {
    /// The one that a call begins with.
    pub const FIRST: Self = Self(1);
}

/// The socket's side of a call.
pub struct SocketSide {
    /// Where frames for the client go. The mailbox of the receiver is bounded.
    pub out: Recipient<Queued<ToSocket>>,
    /// Shuts the TCP socket down from outside, for a client that does not read. It may be
    /// called at any time, from the worker's thread, and more than once.
    pub cut: Arc<dyn Fn() + Send + Sync>,
}

/// How far a client got that comes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// The number of the last message that it has seen; 0 for none.
    pub last_seq: u64,
    /// How many bytes of audio it has got in all, if it says so.
    pub heard_bytes: Option<u64>,
}

/// The client is back, over another socket.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Reattach {
    pub(crate) connection: Connection,
    pub(crate) socket: Recipient<Queued<ToSocket>>,
    pub(crate) seen: Seen,
    /// What it is told first.
    pub(crate) hello: ServerMessage,
}

impl ClientActor {
    /// A connection is gone without a word.
    pub(super) fn lose(&mut self, connection: Connection) {
        // A connection that was given up is closed later as well.
        if self.parked || connection != self.connection {
            return;
        }
        self.parked = true;
        self.outgoing.clear();
        self.blocked_since = None;
        // The timer of the playout has nothing to do.
        self.alarm.set(None);
        self.report(ClientEvent::Lost);
    }
}

impl Handler<Reattach> for ClientActor {
    type Result = ();

    fn handle(&mut self, back: Reattach, _: &mut Self::Context) {
        let Reattach { connection, socket, seen, hello } = back;
        self.connection = connection;
        self.socket = Outbox::new(socket, Queue::ToSocket, &self.meters);
        self.parked = false;
        self.blocked_since = None;
        self.limit = MessageLimit::new(Instant::now());
        self.last_sign = Instant::now();
        let (missed, lost) = self.replay.since(seen.last_seq);
        let missed = missed.cloned().map(ToSocket::Text);
        // What waited for the old socket is among what was missed.
        self.outgoing = std::iter::once(ToSocket::Text(hello.to_json())).chain(missed).collect();
        if let Some(heard) = seen.heard_bytes {
            self.playout.rewind(self.replay.take_unheard(heard));
        }
        tracing::info!(messages = self.outgoing.len() - 1, lost, "the client is back");
        if lost {
            let message = "some messages since the connection was lost are no longer known";
            self.complain("resume_gap", message.to_owned());
        }
        self.pump();
    }
}
