//! `/sonic`: the upgrade, and the WebSocket actor, which only copies bytes.
//!
//! The framework does not run this actor while its client does not read, timers included. So it
//! decides nothing: liveness and pacing belong to the engine's client actor, and a stalled
//! socket is shut down from outside through the handle that [`keep_handle`] keeps.
//!
//! ```text
//! Waiting ──ticket──▶ Talking ──client's close──▶ stopped
//!    └──no ticket──▶ ┐    └──our close / oversized / garbled──▶ ┐
//!                    Closing ──client's close, end, or 2 s──▶ stopped
//! ```

use std::{
    any::Any,
    sync::{Arc, Weak},
    time::Duration,
};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Handler, StreamHandler, WrapFuture,
};
use actix_web::{
    HttpRequest, HttpResponse,
    dev::Extensions,
    error::PayloadError,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    rt::net::TcpStream,
    web::{Data, Payload},
};
use actix_web_actors::ws::{self, HandshakeError, ProtocolError, WebsocketContext};
use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;
use tokio::task::AbortHandle;
use voice_actors::mailbox::Offered;
use voice_actors::{
    Connection, Engine, FromSocket, Outbox, Queued, SocketSide, ToSocket, continue_call, start_call,
};
use voice_call::{CloseCode, meters::ReasonLabel};
use voice_wire::{ClientMessage, Frame, ServerMessage};

use super::{
    State,
    door::{self, Arrival, Entry, Visitor},
    error::Refused,
    frames::{Gate, Inbound, MAX_MESSAGE, Messages, answer_to_close},
    guard,
};

/// Frames that may wait for the socket: more than 200 ms of playout and a burst of messages.
const MAILBOX: usize = 64;

/// How soon a message that found no room is tried again.
const RETRY: Duration = Duration::from_millis(10);

/// What the kernel may hold for a client, in bytes (Linux doubles it): about a second of audio. A
/// barge-in cannot take back what is in there, and a client that does not read is noticed when it
/// is full.
const SEND_BUFFER: usize = 32 * 1024;

/// How long a client may take to answer our close frame.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// Longest reason of a close frame (RFC 6455 §5.5).
const MAX_REASON: usize = 123;

/// The TCP socket of a connection, to be shut down from outside.
struct TcpHandle(Arc<socket2::Socket>);

/// Keeps a handle of each connection's TCP socket beside the connection.
pub(crate) fn keep_handle(connection: &dyn Any, extensions: &mut Extensions) {
    let Some(tcp) = connection.downcast_ref::<TcpStream>() else { return };
    let socket = socket2::SockRef::from(tcp);
    // A voice frame must not wait for the acknowledgement of the one before it.
    let kept = tcp
        .set_nodelay(true)
        .and_then(|()| socket.set_send_buffer_size(SEND_BUFFER))
        .and_then(|()| socket.try_clone());
    match kept {
        Ok(socket) => drop(extensions.insert(TcpHandle(Arc::new(socket)))),
        Err(error) => tracing::warn!(%error, "a stalled client could not be cut off"),
    }
}

/// `GET /sonic?sessionId=<id>`: upgrades, or says why not.
pub(super) async fn upgrade(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let meters = state.meters.clone();
    accept(state, &request, payload).await.inspect_err(|refused| {
        // The registry counts its own refusals.
        let counted = ["session_live", "draining", "full", "too_many_calls", "budget_spent"];
        if !counted.contains(&refused.code()) {
            let reason = ReasonLabel { reason: refused.code() };
            meters.calls_refused.get_or_create(&reason).inc();
        }
    })
}

async fn accept(
    state: Data<State>,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let mut response =
        ws::handshake_with_protocols(request, &[door::PROTOCOL]).map_err(refuse_handshake)?;
    let entry = door::open(&state, request).await?;
    let socket = Socket::new(state, entry, payload, Cut::of(request));
    // The context insists on a stream of its own decoding; ours is added in `started`.
    let unused = futures::stream::pending::<Result<Bytes, PayloadError>>();
    Ok(response.streaming(WebsocketContext::create(socket, unused)))
}

pub(super) fn refuse_handshake(error: HandshakeError) -> Refused {
    let value = HeaderValue::from_static;
    match error {
        HandshakeError::GetMethodRequired => Refused::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "/sonic is opened with GET",
        )
        .with_header(header::ALLOW, value("GET")),
        HandshakeError::BadWebsocketKey => {
            Refused::new(StatusCode::BAD_REQUEST, "bad_handshake", error)
        }
        HandshakeError::NoVersionHeader | HandshakeError::UnsupportedVersion => {
            Refused::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", error)
                .with_header(header::SEC_WEBSOCKET_VERSION, value("13"))
        }
        HandshakeError::NoWebsocketUpgrade | HandshakeError::NoConnectionUpgrade => Refused::new(
            StatusCode::UPGRADE_REQUIRED,
            "upgrade_required",
            "/sonic speaks WebSocket: expected a request with Upgrade: websocket",
        )
        .with_header(header::UPGRADE, value("websocket")),
    }
}

/// Shuts the TCP socket down, if it is still there. Weak, so that a call which outlives its
/// connection does not keep the descriptor.
#[derive(Clone, Default)]
pub(super) struct Cut(Weak<socket2::Socket>);

impl Cut {
    /// Of the connection that a request came over.
    pub(super) fn of(request: &HttpRequest) -> Self {
        let tcp = request.conn_data::<TcpHandle>().map(|handle| Arc::downgrade(&handle.0));
        Self(tcp.unwrap_or_default())
    }

    pub(super) fn now(&self) {
        if let Some(socket) = self.0.upgrade() {
            // The one failure is a connection that is gone already.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// What must happen once, in whatever way the socket ends.
struct Line {
    to_call: Outbox<FromSocket>,
    connection: Connection,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.to_call.control(FromSocket::Closed(self.connection));
    }
}

/// Waits to cut a client that does not answer our close frame; no longer than the socket lives.
struct Linger(AbortHandle);

impl Drop for Linger {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts a socket in a gauge for as long as it lives.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A visitor who has to bring a ticket, counted while it waits.
struct Waiting {
    visitor: Visitor,
    _counted: Counted,
}

/// The WebSocket actor.
struct Socket {
    state: Data<State>,
    cut: Cut,
    /// Taken when the actor starts.
    entry: Option<(Entry, Payload)>,
    /// Whoever has to bring a ticket first.
    waiting: Option<Waiting>,
    line: Option<Line>,
    /// A message for which the call had no room.
    held: Option<FromSocket>,
    /// Shut while one is held.
    gate: Gate,
    closing: bool,
    linger: Option<Linger>,
    _open: Counted,
}

impl Socket {
    fn new(state: Data<State>, entry: Entry, payload: Payload, cut: Cut) -> Self {
        let open = Counted::new(&state.meters.open_sockets);
        Self {
            state,
            cut,
            entry: Some((entry, payload)),
            waiting: None,
            line: None,
            held: None,
            gate: Gate::default(),
            closing: false,
            linger: None,
            _open: open,
        }
    }

    fn engine(&self) -> &Engine {
        &self.state.engine
    }

    // Before a call.

    /// Waits for the first message, which has to bring a ticket.
    fn wait(&mut self, visitor: Visitor, ctx: &mut WebsocketContext<Self>) {
        let _counted = Counted::new(&self.state.meters.waiting_sockets);
        self.waiting = Some(Waiting { visitor, _counted });
        ctx.run_later(door::FIRST_MESSAGE, |socket, ctx| {
            if socket.waiting.take().is_some() {
                socket.turn_away(&guard::unknown(), ctx);
            }
        });
    }

    /// The first message of whoever waits.
    fn on_first(&mut self, bytes: &[u8], ctx: &mut WebsocketContext<Self>) {
        let Some(Waiting { visitor, .. }) = self.waiting.take() else { return };
        let ticket = match Frame::from_text(bytes) {
            Ok(Frame::Message(ClientMessage::Authenticate(ticket))) => ticket,
            _ => return self.turn_away(&guard::unknown(), ctx),
        };
        let state = self.state.clone();
        let asked = async move { door::let_in(&state, visitor, ticket.reveal()).await };
        // Nothing more is read until it is known.
        ctx.wait(asked.into_actor(self).map(|answer, socket, ctx| match answer {
            Ok(arrival) => socket.begin(arrival, ctx),
            Err(refused) => socket.turn_away(&refused, ctx),
        }));
    }

    /// Says why there is no call, and closes.
    fn turn_away(&mut self, refused: &Refused, ctx: &mut WebsocketContext<Self>) {
        let (message, code) = door::in_words(refused);
        ctx.text(message.to_json());
        self.close(code, &refused.to_string(), ctx);
    }

    /// The call that the socket belongs to is known.
    fn begin(&mut self, arrival: Arrival, ctx: &mut WebsocketContext<Self>) {
        let cut = self.cut.clone();
        let socket =
            SocketSide { out: ctx.address().recipient(), cut: Arc::new(move || cut.now()) };
        let engine = self.engine();
        let (to_call, connection) = match arrival {
            Arrival::New(lease) => (start_call(engine, lease, socket), Connection::FIRST),
            Arrival::NewInstead(lease, why) => {
                let (code, message) = ("resume_failed", why.to_string());
                let error = ServerMessage::Error { message, code, fatal: false };
                ctx.text(error.to_json());
                (start_call(engine, lease, socket), Connection::FIRST)
            }
            Arrival::Back(claim, seen) => claim.attach(socket, seen),
            Arrival::Recalled(lease, recalled, seen) => {
                let call = continue_call(engine, lease, socket, (recalled, seen));
                (call, Connection::FIRST)
            }
        };
        self.line = Some(Line { to_call, connection });
    }

    // With a call.

    /// Passes audio or a sign of life on to the call; dropped and counted when there is no room,
    /// since late audio is worth nothing.
    fn pass(&self, message: FromSocket) {
        if let Some(line) = &self.line {
            line.to_call.offer(message);
        }
    }

    /// Passes a message on to the call. When there is no room the client has to wait: a message
    /// is never lost in silence.
    fn pass_in_order(&mut self, message: FromSocket, ctx: &mut WebsocketContext<Self>) {
        let Some(line) = &self.line else { return };
        if let Offered::Full(message) = line.to_call.try_offer(message) {
            self.held = Some(message);
            self.gate.shut();
            ctx.run_later(RETRY, |socket, ctx| {
                socket.gate.open();
                if let Some(message) = socket.held.take() {
                    socket.pass_in_order(message, ctx);
                }
            });
        }
    }

    /// Sends a close frame and waits for the client's, but not for long.
    fn close(&mut self, code: CloseCode, reason: &str, ctx: &mut WebsocketContext<Self>) {
        if std::mem::replace(&mut self.closing, true) {
            return;
        }
        let description = truncated(reason, MAX_REASON).to_owned();
        ctx.close(Some(ws::CloseReason { code: code.0.into(), description: Some(description) }));
        let cut = self.cut.clone();
        // Not a timer of this actor: it would not fire while the client does not read.
        let linger = tokio::task::spawn_local(async move {
            tokio::time::sleep(CLOSE_GRACE).await;
            cut.now();
        });
        self.linger = Some(Linger(linger.abort_handle()));
    }
}

/// The longest beginning of `text` with at most `limit` bytes.
fn truncated(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

impl Actor for Socket {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some((entry, payload)) = self.entry.take() else { return };
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.add_stream(Messages::new(payload, self.gate.clone()));
        match entry {
            Entry::Call(arrival) => self.begin(*arrival, ctx),
            Entry::Wait(visitor) => self.wait(visitor, ctx),
            Entry::Turned(refused) => self.turn_away(&refused, ctx),
        }
    }
}

impl StreamHandler<Inbound> for Socket {
    fn handle(&mut self, inbound: Inbound, ctx: &mut Self::Context) {
        match inbound {
            // A client that we have sent off is not listened to any more.
            Inbound::Text(_) | Inbound::Binary(_) if self.closing => {}
            Inbound::Text(bytes) | Inbound::Binary(bytes) if self.waiting.is_some() => {
                self.on_first(&bytes, ctx);
            }
            Inbound::Text(bytes) => self.pass_in_order(FromSocket::Text(bytes), ctx),
            Inbound::Binary(bytes) => self.pass(FromSocket::Binary(bytes)),
            Inbound::Ping(bytes) => {
                ctx.pong(&bytes);
                self.pass(FromSocket::Pong);
            }
            Inbound::Pong => self.pass(FromSocket::Pong),
            Inbound::Close(code) => {
                if !self.closing {
                    if let Some(line) = &self.line {
                        line.to_call.control(FromSocket::HungUp(line.connection));
                    }
                    ctx.close(code.map(answer_to_close));
                }
                ctx.stop();
            }
            Inbound::TooLarge => {
                if let Some(line) = &self.line {
                    line.to_call.control(FromSocket::TooLarge);
                }
                let reason = format!("a message has at most {MAX_MESSAGE} bytes");
                self.close(CloseCode(1009), &reason, ctx);
            }
            Inbound::Garbled(why) => {
                let reason = ReasonLabel { reason: "garbled_frames" };
                self.engine().meters().client_errors.get_or_create(&reason).inc();
                self.close(CloseCode(1002), &why, ctx);
            }
        }
    }
    // The end of the stream is the end of the connection: the default `finished` stops the actor.
}

impl Handler<Queued<ToSocket>> for Socket {
    type Result = ();

    fn handle(&mut self, message: Queued<ToSocket>, ctx: &mut Self::Context) {
        if self.closing {
            return;
        }
        match message.take() {
            Some(ToSocket::Text(text)) => ctx.text(text),
            Some(ToSocket::Audio(bytes)) => ctx.binary(bytes),
            Some(ToSocket::Ping) => ctx.ping(b""),
            Some(ToSocket::Close { code, reason }) => self.close(code, &reason, ctx),
            None => {}
        }
    }
}

/// Demanded by the context, for the decoding that is not used.
impl StreamHandler<Result<ws::Message, ProtocolError>> for Socket {
    fn handle(&mut self, _: Result<ws::Message, ProtocolError>, _: &mut Self::Context) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_reason_is_cut_between_characters() {
        assert_eq!(truncated("short", MAX_REASON), "short");
        let long = "ü".repeat(100);
        assert_eq!(truncated(&long, MAX_REASON).len(), 122);
    }
}
