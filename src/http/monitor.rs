//! `/monitor`: the WebSocket over which operators see calls live (`contract.md` §2).
//!
//! It only copies: what is sent is decided by `voice_archive::monitor`. While a watcher does not
//! read, the framework does not run its actor; the updates it misses meanwhile are dropped there,
//! and it gets a fresh snapshot when it reads on. One that stays away is cut off from outside.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::{Data, Payload},
};
use actix_web_actors::ws::{self, ProtocolError, WebsocketContext, WsResponseBuilder};
use futures::{Stream, stream};
use tokio::{sync::broadcast::error::RecvError, task::AbortHandle};
use voice_access::Role;
use voice_archive::Monitor;
use voice_call::Meters;

use super::{
    State,
    door::{self, PROTOCOL},
    error::Refused,
    socket::{Cut, refuse_handshake},
};

/// Watchers at a time.
const MOST: usize = 32;

/// Largest frame of a watcher, which has nothing to say.
const MAX_FRAME: usize = 4 * 1024;

/// How often a watcher is pinged.
const PING_EVERY: Duration = Duration::from_secs(20);

/// A watcher that gives no sign of life for so long is gone.
const DEAD_AFTER: Duration = Duration::from_secs(60);

/// `GET /monitor`: upgrades, or says why not.
pub(super) async fn upgrade(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    door::require(&state, &request, Role::Operator).await?;
    if state.monitor.watchers() >= MOST {
        let message = format!("{MOST} watch already; close one of them");
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "monitors_full", message)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("5")));
    }
    let watcher = Watcher {
        monitor: state.monitor.clone(),
        meters: state.meters.clone(),
        cut: Cut::of(&request),
        seen: Rc::new(Cell::new(Instant::now())),
        guard: None,
    };
    // Checked before, for an error of the usual shape; the builder says it in its own words.
    ws::handshake(&request).map_err(refuse_handshake)?;
    let answer = WsResponseBuilder::new(watcher, &request, payload)
        .protocols(&[PROTOCOL])
        .frame_size(MAX_FRAME)
        .start();
    answer.map_err(|error| Refused::new(StatusCode::BAD_REQUEST, "bad_handshake", error))
}

/// The actor of one watcher.
struct Watcher {
    monitor: Monitor,
    meters: Meters,
    cut: Cut,
    /// When it last gave a sign of life.
    seen: Rc<Cell<Instant>>,
    /// Looks whether it does.
    guard: Option<AbortHandle>,
}

/// A message for a watcher.
struct News(String);

/// The snapshot, the updates, and a fresh snapshot whenever some were missed.
fn news(monitor: Monitor, meters: Meters) -> impl Stream<Item = News> {
    let watch = monitor.watch();
    let first = stream::iter([News(watch.snapshot)]);
    let rest = stream::unfold((monitor, watch.updates), move |(monitor, mut updates)| {
        let meters = meters.clone();
        async move {
            match updates.recv().await {
                Ok(update) => Some((News(update.to_string()), (monitor, updates))),
                Err(RecvError::Lagged(_)) => {
                    meters.monitor_lags.inc();
                    let again = monitor.watch();
                    Some((News(again.snapshot), (monitor, again.updates)))
                }
                Err(RecvError::Closed) => None,
            }
        }
    });
    futures::StreamExt::chain(first, rest)
}

impl Actor for Watcher {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.meters.monitors.inc();
        ctx.add_stream(news(self.monitor.clone(), self.meters.clone()));
        ctx.run_interval(PING_EVERY, |_, ctx| ctx.ping(b""));
        let (seen, cut) = (self.seen.clone(), self.cut.clone());
        // Not a timer of this actor: it would not fire while the watcher does not read.
        let guard = tokio::task::spawn_local(async move {
            while seen.get().elapsed() < DEAD_AFTER {
                tokio::time::sleep(PING_EVERY).await;
            }
            cut.now();
        });
        self.guard = Some(guard.abort_handle());
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(guard) = &self.guard {
            guard.abort();
            self.meters.monitors.dec();
        }
    }
}

impl StreamHandler<News> for Watcher {
    fn handle(&mut self, News(text): News, ctx: &mut Self::Context) {
        ctx.text(text);
    }
}

impl StreamHandler<Result<ws::Message, ProtocolError>> for Watcher {
    fn handle(&mut self, message: Result<ws::Message, ProtocolError>, ctx: &mut Self::Context) {
        self.seen.set(Instant::now());
        match message {
            Ok(ws::Message::Ping(bytes)) => ctx.pong(&bytes),
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            // It may say what it likes; nobody listens.
            Ok(_) => {}
            Err(_) => ctx.stop(),
        }
    }
}
