//! The front: listeners, HTTP, TLS, signatures and frames. The session behind it sees JSON only.
//!
//! ```text
//!   TCP ─► connection (h1 | h2c | TLS) ─► route ─► signature ─► bidirectional
//!                                            │                     │  body ─► upstream ─► Inbound
//!                                            └─► refusal           └─ body ◄─ downstream ◄─ Outbound
//! ```
//! Transcriptions and metrics have doors of their own beside `bidirectional`.
//! It decides nothing about turns or order; `session` does. Called by `emulator`.

mod agent;
mod bidirectional;
mod chunk;
mod connection;
mod downstream;
mod media;
mod metrics;
mod plain;
mod refusal;
mod route;
mod signature;
mod speech;
pub(crate) mod tls;
mod transcription;
mod upstream;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use self::connection::Cut;
use self::refusal::ErrorAnswer;
use self::route::{Operation, Route};
use crate::observe::RefusedRequest;
use crate::world::World;

pub(crate) use self::agent::BASE as AGENT_BASE;

/// Body of every response.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after a failed `accept`, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound listener and, when it is the TLS one, what its connections begin with.
pub(crate) struct Listener {
    pub(crate) tcp: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
}

/// Serves the listeners until `stop` resolves. Connections live on as tasks of the runtime; they
/// end with it.
pub(crate) async fn serve(
    listeners: Vec<Listener>,
    world: Arc<World>,
    stop: oneshot::Receiver<()>,
) {
    for listener in listeners {
        tokio::spawn(accept(listener, Arc::clone(&world)));
    }
    // An error means that the handle is gone without a word: stop as well.
    let _ = stop.await;
}

async fn accept(listener: Listener, world: Arc<World>) {
    loop {
        match listener.tcp.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connect(stream, listener.tls.clone(), Arc::clone(&world)));
            }
            Err(error) => {
                tracing::warn!(%error, "the emulator could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connect(stream: TcpStream, tls: Option<TlsAcceptor>, world: Arc<World>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let cut = Cut::default();
    let stream = connection::Cuttable::new(stream, cut.clone());
    match tls {
        None => connection::serve(stream, world, cut).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => connection::serve(stream, world, cut).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

/// Answers one request. An `Err` resets its stream (HTTP/2) or closes its connection (HTTP/1.1).
async fn answer(
    request: Request<Incoming>,
    world: Arc<World>,
    cut: Cut,
) -> Result<Response<Body>, io::Error> {
    let request_id = uuid::Uuid::new_v4().to_string();
    let (parts, body) = request.into_parts();
    if agent::is_state(parts.uri.path()) {
        return agent::answer(&parts.method, body, &world.agent).await;
    }
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let route = route::resolve(&parts.method, parts.uri.path(), target);
    if let Some(operation) = route.as_ref().map(|route| route.operation)
        && operation.is_plain()
    {
        return match plain::answer(operation, &parts, body, &world, cut).await {
            Ok(response) => response,
            Err(refused) => Ok(refuse(refused, &parts, &world, &request_id)),
        };
    }
    let opened = match admit(route, &parts, &world) {
        Ok(Admitted::Sonic(admitted)) => {
            bidirectional::open(admitted, body, &world, cut, &request_id).await
        }
        Ok(Admitted::Transcription(chain)) => {
            transcription::open(&parts.headers, chain, body, &world, cut, &request_id)
        }
        Ok(Admitted::Metrics) => {
            return metrics::answer(&parts, body, &world, cut, &request_id).await;
        }
        Err(refused) => Err((refused, body)),
    };
    match opened {
        Ok(response) => response,
        Err((refused, body)) => {
            // Unread input would make the close of an HTTP/1.1 connection swallow the answer.
            tokio::spawn(upstream::drain(body));
            Ok(refuse(refused, &parts, &world, &request_id))
        }
    }
}

fn refuse(
    refused: ErrorAnswer,
    parts: &http::request::Parts,
    world: &World,
    request_id: &str,
) -> Response<Body> {
    tracing::debug!(path = parts.uri.path(), ?refused, "the emulator refuses a request");
    world.observer.refuse(RefusedRequest {
        path: parts.uri.path().to_owned(),
        status: refused.status.as_u16(),
        error_type: refused.kind.to_owned(),
        message: refused.message.clone(),
    });
    refused.into_response(request_id)
}

/// A request that may go on.
enum Admitted {
    /// To Nova Sonic.
    Sonic(AdmittedSonic),
    /// To Transcribe, with the chain its frames continue.
    Transcription(Option<signature::FrameChain>),
    /// To CloudWatch. Its signature covers the body, which has to be read before.
    Metrics,
}

/// A request that may open a stream to Nova Sonic.
struct AdmittedSonic {
    model: crate::config::ModelEntry,
    protocol: http::Version,
    /// The chain its frames continue; `None` when signatures are not checked.
    chain: Option<signature::FrameChain>,
}

fn admit(
    route: Option<Route>,
    parts: &http::request::Parts,
    world: &World,
) -> Result<Admitted, ErrorAnswer> {
    let Route { operation, labels } = route.ok_or_else(ErrorAnswer::unknown_operation)?;
    let config = &world.config;
    let chain = || -> Result<Option<signature::FrameChain>, ErrorAnswer> {
        if !config.verify_signatures {
            return Ok(None);
        }
        let (keys, service) = (&config.credentials, operation.signing_name());
        Ok(Some(signature::verify_request(parts, keys, service, signature::Payload::Frames)?))
    };
    match operation {
        Operation::BidirectionalStream => {
            let chain = chain()?;
            let id = labels.first().map_or("", String::as_str);
            let model = bidirectional::find_model(&config.models, id)?;
            Ok(Admitted::Sonic(AdmittedSonic { model, protocol: parts.version, chain }))
        }
        Operation::Transcription => Ok(Admitted::Transcription(chain()?)),
        Operation::PutMetricData => Ok(Admitted::Metrics),
        Operation::DataEndpoint | Operation::Media | Operation::Speech => {
            Err(ErrorAnswer::unknown_operation())
        }
    }
}
