//! A call whose connection is lost waits for its client.
//!
//! The stream to the model goes on with silence meanwhile. Whoever has the token gets the call
//! back, also before the loss was noticed; a token is good for one return.

use actix::{AsyncContext, Context, Handler, Message, MessageResult, Recipient, SpawnHandle};
use prometheus_client::metrics::gauge::Gauge;
use voice_archive::entry::Event;
use voice_call::ResumeToken;
use voice_wire::ServerMessage;

use super::{CallActor, to};
use crate::{
    client::{Connection, FromSocket, Seen, SocketSide, connection::Reattach},
    mailbox::{Queued, control},
};

/// Asks for a call back.
#[derive(Message, Debug)]
#[rtype(result = "Option<Claimed>")]
pub(crate) struct Claim {
    pub(crate) token: String,
}

/// The call is the claimant's, as soon as it has a socket.
pub(crate) struct Claimed {
    pub(crate) connection: Connection,
    /// Where the socket's frames go.
    pub(crate) frames: Recipient<Queued<FromSocket>>,
    pub(crate) call: Recipient<Return>,
}

/// The client is back.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Return {
    pub(crate) connection: Connection,
    pub(crate) socket: SocketSide,
    pub(crate) seen: Seen,
}

/// The wait of one call.
pub(super) struct Parked {
    timer: SpawnHandle,
    gauge: Gauge,
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

impl CallActor {
    /// A fresh token, if clients may come back.
    pub(super) fn issue_token(&mut self) -> Option<String> {
        self.config().resume_window?;
        self.resume_token = Some(ResumeToken::random());
        self.resume_token.as_ref().map(|token| token.reveal().to_owned())
    }

    /// The connection is gone without a word.
    pub(super) fn connection_lost(&mut self, ctx: &mut Context<Self>) {
        let window = self.config().resume_window.filter(|_| !self.is_ending());
        let Some(window) = window else {
            return self.end(self.reason_of_hang_up(), ctx);
        };
        // A client that is merely slow notices, and comes back.
        self.socket.cut();
        self.note(Event::Connection { state: "lost".into() });
        tracing::info!(?window, "the connection is lost; the call waits for its client");
        let timer = ctx.run_later(window, |call, ctx| {
            tracing::info!("nobody came back");
            call.parked = None;
            call.end(call.reason_of_hang_up(), ctx);
        });
        let gauge = self.engine.meters().parked_calls.clone();
        gauge.inc();
        self.parked = Some(Parked { timer, gauge });
        self.watch_idle(ctx);
    }

    /// What a client is told that has come, for the first time or again.
    pub(super) fn hello(&mut self, resumed: bool) -> ServerMessage {
        let resume_token = self.issue_token();
        let identity = &self.engine.shared.identity;
        ServerMessage::Connected {
            session_id: self.id.to_string(),
            message: if resumed { "Welcome back" } else { "Connected" }.into(),
            version: identity.version.clone(),
            has_credentials: identity.has_credentials,
            backend: identity.backend,
            resume_token,
            resumed,
        }
    }
}

impl Handler<Claim> for CallActor {
    type Result = MessageResult<Claim>;

    fn handle(&mut self, Claim { token }: Claim, ctx: &mut Self::Context) -> Self::Result {
        let valid = self.resume_token.as_ref().is_some_and(|ours| ours.matches(&token));
        if !valid || self.is_ending() {
            return MessageResult(None);
        }
        let used = self.resume_token.take();
        self.forget_checkpoint(used);
        self.connections += 1;
        MessageResult(Some(Claimed {
            connection: Connection(self.connections),
            frames: to(&self.client),
            call: to(&ctx.address()),
        }))
    }
}

impl Handler<Return> for CallActor {
    type Result = ();

    fn handle(&mut self, back: Return, ctx: &mut Self::Context) {
        let Return { connection, socket, seen } = back;
        if self.is_ending() {
            return (socket.cut)();
        }
        if let Some(parked) = self.parked.take() {
            ctx.cancel_future(parked.timer);
        }
        self.note(Event::Connection { state: "back".into() });
        let hello = self.hello(true);
        let out = socket.out.clone();
        // The old socket may still be there, if the client noticed the loss first.
        let old = self.socket.replace(socket);
        (old.cut)();
        control(&to(&self.client), Reattach { connection, socket: out, seen, hello });
        self.caller_active(ctx);
        self.checkpoint(ctx);
    }
}
