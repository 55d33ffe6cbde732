//! `/sonic`: the upgrade, and the WebSocket actor, which only copies bytes.
//!
//! The framework does not run this actor while its client does not read, timers included. So it
//! decides nothing: liveness and pacing belong to the engine's client actor, and a stalled
//! socket is shut down from outside through the handle that [`keep_handle`] keeps.
//!
//! ```text
//! Talking ──client's close──────────────────────▶ stopped
//!    └─────our close / oversized / garbled──▶ Closing ──client's close, end, or 2 s──▶ stopped
//! ```

use std::{
    any::Any,
    sync::{Arc, Weak},
    time::Duration,
};

use actix::{Actor, ActorContext, AsyncContext, Handler, StreamHandler};
use actix_web::{
    HttpRequest, HttpResponse,
    dev::Extensions,
    error::PayloadError,
    http::{StatusCode, header},
    rt::net::TcpStream,
    web::{Data, Payload, Query},
};
use actix_web_actors::ws::{self, HandshakeError, ProtocolError, WebsocketContext};
use bytes::Bytes;
use serde::Deserialize;
use tokio::task::AbortHandle;
use voice_actors::mailbox::Offered;
use voice_actors::{
    CallLease, Claim, Connection, Engine, FromSocket, NoSuchCall, Outbox, Queued, Recalled,
    Refusal, Seen, SocketSide, ToSocket, continue_call, start_call,
};
use voice_call::{CallId, CloseCode, Meters, meters::ReasonLabel};
use voice_wire::ServerMessage;

use super::{
    State,
    error::Refused,
    frames::{Gate, Inbound, MAX_MESSAGE, Messages},
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

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SonicQuery {
    session_id: Option<String>,
    /// With it a client comes back to the call `sessionId`.
    resume_token: Option<String>,
    /// The `seq` of the last message that it has seen.
    last_seq: Option<u64>,
    /// How many bytes of audio it has got, over all connections of the call.
    heard_bytes: Option<u64>,
}

/// What a client asks for when it connects.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    id: Option<CallId>,
    back: Option<(String, Seen)>,
}

/// The call that a new socket belongs to.
enum Arrival {
    /// A fresh one.
    New(CallLease),
    /// A fresh one, although the client wanted to come back to another.
    NewInstead(CallLease, NoSuchCall),
    /// One that was there.
    Back(Claim, Seen),
    /// One whose task is gone.
    Recalled(CallLease, Recalled, Seen),
}

/// `GET /sonic?sessionId=<id>`: upgrades, or says why not.
pub(super) async fn upgrade(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    accept(&state, &request, payload).await.inspect_err(|refused| {
        // The registry counts its own refusals.
        if !matches!(refused.code(), "session_live" | "draining" | "full") {
            let reason = ReasonLabel { reason: refused.code() };
            state.meters.calls_refused.get_or_create(&reason).inc();
        }
    })
}

async fn accept(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let wish = wish(request.query_string())?;
    let mut response = ws::handshake(request).map_err(refuse_handshake)?;
    let arrival = arrive(state, wish).await.map_err(refuse_call)?;
    let tcp = request.conn_data::<TcpHandle>().map(|handle| Arc::downgrade(&handle.0));
    let socket = Socket::new(state.engine.clone(), arrival, payload, Cut(tcp.unwrap_or_default()));
    // The context insists on a stream of its own decoding; ours is added in `started`.
    let unused = futures::stream::pending::<Result<Bytes, PayloadError>>();
    Ok(response.streaming(WebsocketContext::create(socket, unused)))
}

/// The call that a client comes to.
async fn arrive(state: &State, Wish { id, back }: Wish) -> Result<Arrival, Refusal> {
    let registry = &state.registry;
    match (id, back) {
        (Some(id), Some((token, seen))) => match registry.claim(id.clone(), token.clone()).await {
            Ok(claim) => Ok(Arrival::Back(claim, seen)),
            Err(none) => recall(state, id, token, seen, none).await,
        },
        (id, _) => registry.admit(id).await.map(Arrival::New),
    }
}

/// Another task may have had the call. The place comes first: whoever is refused one must keep a
/// token that is good, since the next task may have a place.
async fn recall(
    state: &State,
    id: CallId,
    token: String,
    seen: Seen,
    none: NoSuchCall,
) -> Result<Arrival, Refusal> {
    let count = |reason| state.meters.resumes.get_or_create(&ReasonLabel { reason }).inc();
    match state.registry.admit_returning(id.clone()).await {
        Ok(lease) => {
            if let Some(recalled) = state.engine.recall(&id, &token).await {
                count("recalled");
                return Ok(Arrival::Recalled(lease, recalled, seen));
            }
        }
        Err(Refusal::AlreadyLive(_)) => {}
        Err(refusal) => return Err(refusal),
    }
    count("refused");
    // Not under the old id: it may be somebody else's.
    Ok(Arrival::NewInstead(state.registry.admit(None).await?, none))
}

/// What the query says.
fn wish(query: &str) -> Result<Wish, Refused> {
    let bad = |code, why: String| Err(Refused::new(StatusCode::BAD_REQUEST, code, why));
    let query = match Query::<SonicQuery>::from_query(query) {
        Ok(query) => query.into_inner(),
        Err(error) => return bad("bad_query", error.to_string()),
    };
    let id = match query.session_id.map(|id| id.parse::<CallId>()).transpose() {
        Ok(id) => id,
        Err(error) => return bad("bad_session_id", format!("sessionId: {error}")),
    };
    let seen = Seen { last_seq: query.last_seq.unwrap_or(0), heard_bytes: query.heard_bytes };
    let back = query.resume_token.map(|token| (token, seen));
    if back.is_some() && id.is_none() {
        return bad("bad_session_id", "resumeToken needs the sessionId of its call".into());
    }
    Ok(Wish { id, back })
}

fn refuse_handshake(error: HandshakeError) -> Refused {
    match error {
        HandshakeError::GetMethodRequired => Refused::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "/sonic is opened with GET",
        )
        .with_header(header::ALLOW, "GET"),
        HandshakeError::BadWebsocketKey => {
            Refused::new(StatusCode::BAD_REQUEST, "bad_handshake", error)
        }
        HandshakeError::NoVersionHeader | HandshakeError::UnsupportedVersion => {
            Refused::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", error)
                .with_header(header::SEC_WEBSOCKET_VERSION, "13")
        }
        HandshakeError::NoWebsocketUpgrade | HandshakeError::NoConnectionUpgrade => Refused::new(
            StatusCode::UPGRADE_REQUIRED,
            "upgrade_required",
            "/sonic speaks WebSocket: expected a request with Upgrade: websocket",
        )
        .with_header(header::UPGRADE, "websocket"),
    }
}

fn refuse_call(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::AlreadyLive(_) => Refused::new(StatusCode::CONFLICT, "session_live", refusal),
        Refusal::Full => Refused::new(StatusCode::SERVICE_UNAVAILABLE, "full", refusal)
            .with_header(header::RETRY_AFTER, "5"),
        Refusal::Draining | Refusal::Unavailable => {
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, "draining", refusal)
                .with_header(header::RETRY_AFTER, "1")
        }
    }
}

/// Shuts the TCP socket down, if it is still there. Weak, so that a call which outlives its
/// connection does not keep the descriptor.
#[derive(Clone, Default)]
struct Cut(Weak<socket2::Socket>);

impl Cut {
    fn now(&self) {
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
    linger: Option<AbortHandle>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.to_call.control(FromSocket::Closed(self.connection));
        if let Some(linger) = &self.linger {
            linger.abort();
        }
    }
}

/// Counts an open socket for as long as it lives.
struct OpenSocket(Meters);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.open_sockets.dec();
    }
}

/// The WebSocket actor.
struct Socket {
    engine: Engine,
    cut: Cut,
    /// Taken when the actor starts.
    arrival: Option<(Arrival, Payload)>,
    line: Option<Line>,
    /// A message for which the call had no room.
    held: Option<FromSocket>,
    /// Shut while one is held.
    gate: Gate,
    closing: bool,
    _open: OpenSocket,
}

impl Socket {
    fn new(engine: Engine, arrival: Arrival, payload: Payload, cut: Cut) -> Self {
        let open = OpenSocket(engine.meters().clone());
        open.0.open_sockets.inc();
        let arrival = Some((arrival, payload));
        Self {
            engine,
            cut,
            arrival,
            line: None,
            held: None,
            gate: Gate::default(),
            closing: false,
            _open: open,
        }
    }

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
        match &mut self.line {
            Some(line) => line.linger = Some(linger.abort_handle()),
            None => linger.abort(),
        }
    }
}

/// The client's own code comes back, unless no close frame may carry it (RFC 6455 §7.4).
fn answer_to_close(code: u16) -> ws::CloseReason {
    let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    ws::CloseCode::from(if allowed { code } else { 1002 }).into()
}

/// The longest beginning of `text` with at most `limit` bytes.
fn truncated(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

impl Actor for Socket {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some((arrival, payload)) = self.arrival.take() else { return };
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.add_stream(Messages::new(payload, self.gate.clone()));
        let cut = self.cut.clone();
        let socket =
            SocketSide { out: ctx.address().recipient(), cut: Arc::new(move || cut.now()) };
        let (to_call, connection) = match arrival {
            Arrival::New(lease) => (start_call(&self.engine, lease, socket), Connection::FIRST),
            Arrival::NewInstead(lease, why) => {
                let (code, message) = ("resume_failed", why.to_string());
                let error = ServerMessage::Error { message, code, fatal: false };
                ctx.text(error.to_json());
                (start_call(&self.engine, lease, socket), Connection::FIRST)
            }
            Arrival::Back(claim, seen) => claim.attach(socket, seen),
            Arrival::Recalled(lease, recalled, seen) => {
                let call = continue_call(&self.engine, lease, socket, (recalled, seen));
                (call, Connection::FIRST)
            }
        };
        self.line = Some(Line { to_call, connection, linger: None });
    }
}

impl StreamHandler<Inbound> for Socket {
    fn handle(&mut self, inbound: Inbound, ctx: &mut Self::Context) {
        match inbound {
            // A client that we have sent off is not listened to any more.
            Inbound::Text(_) | Inbound::Binary(_) if self.closing => {}
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
                self.engine.meters().client_errors.get_or_create(&reason).inc();
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
    fn a_session_id_is_optional_but_never_odd() {
        let wished = |query| wish(query).map_err(|error| error.code());
        let nothing = Wish { id: None, back: None };
        assert_eq!(wished(""), Ok(Wish { id: None, back: None }));
        assert_eq!(wished("x=1&lastSeq=7"), Ok(nothing));
        let id = wished("sessionId=a.b%3Ac").expect("valid").id;
        assert_eq!(id.map(String::from).as_deref(), Some("a.b:c"));
        for bad in
            ["sessionId=", "sessionId=..%2Fx", "sessionId=a%20b", "sessionId=%ff", "resumeToken=x"]
        {
            assert_eq!(wished(bad), Err("bad_session_id"), "{bad}");
        }
        for bad in ["lastSeq=-1", "heardBytes=much"] {
            assert_eq!(wished(bad), Err("bad_query"), "{bad}");
        }
        let back = wished("sessionId=a&resumeToken=t&lastSeq=7&heardBytes=9").expect("valid").back;
        assert_eq!(back, Some(("t".into(), Seen { last_seq: 7, heard_bytes: Some(9) })));
    }

    #[test]
    fn a_close_reason_is_cut_between_characters() {
        assert_eq!(truncated("short", MAX_REASON), "short");
        let long = "ü".repeat(100);
        assert_eq!(truncated(&long, MAX_REASON).len(), 122);
    }
}
