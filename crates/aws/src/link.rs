//! One connection per stream, owned by the stream.
//!
//! The SDK's stock connector shares one HTTP/2 connection among all streams, which has two traps
//! (`measured-costs.md` §2): at the peer's stream limit the next request waits for ever, and
//! readers that lag stall every other stream. It also offers no way to end a connection whose
//! peer has stopped reading. Here a stream dials its own connection, and when both of its halves
//! are gone the connection is closed, whatever the peer does.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use aws_smithy_runtime_api::client::{
    http::{
        HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use http::{HeaderValue, Uri, header::HOST, uri::Scheme};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
};
use tokio_rustls::TlsConnector;

use crate::trust::Trust;

/// How long a connection may go on after both halves of its stream were dropped, so that the
/// last events and the end of the input still leave.
const LINGER: Duration = Duration::from_millis(500);

/// Unsent bytes that the kernel may hold (it doubles the number): about two seconds of audio
/// on the wire. Left alone it would grow to a minute's worth.
const SEND_BUFFER: usize = 64 * 1024;

/// Unsent bytes that HTTP/2 may hold; the default is 1 MiB, which is 17 s of audio.
const HTTP2_SEND_BUFFER: usize = 32 * 1024;

/// Bytes that HTTP/1.1 may hold; the smallest that hyper takes is 8 KiB.
const HTTP1_BUFFER: usize = 64 * 1024;

/// How long sent bytes may stay unacknowledged before the connection counts as dead.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Keeps a stream's connection alive. Clones share it; with the last one it is closed.
#[derive(Debug, Clone)]
pub(crate) struct Link(#[expect(dead_code, reason = "held for its drop")] Arc<watch::Sender<()>>);

/// An HTTP client that dials anew for each request, and the link that its connections follow.
pub(crate) fn dedicated(trust: Arc<Trust>) -> (SharedHttpClient, Link) {
    let (alive, released) = watch::channel(());
    let connector = SharedHttpConnector::new(Dialer { trust, released });
    (http_client_fn(move |_, _| connector.clone()), Link(Arc::new(alive)))
}

/// Whether a request was not sent because there was no connection to send it on.
pub(crate) fn was_never_sent(error: &ConnectorError) -> bool {
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<DialError>());
    cause.is_some_and(|cause| !matches!(cause, DialError::Http(_)))
}

#[derive(Debug, Clone)]
struct Dialer {
    trust: Arc<Trust>,
    released: watch::Receiver<()>,
}

/// Why a request did not get its response head.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("the endpoint {0} is no http:// or https:// URL with a host")]
    Endpoint(Uri),
    #[error("cannot connect to {0}")]
    Connect(String, #[source] std::io::Error),
    #[error("the TLS handshake with {0} failed")]
    Tls(String, #[source] std::io::Error),
    #[error("no usable TLS trust")]
    Trust(#[from] crate::trust::TrustError),
    #[error("HTTP failed")]
    Http(#[from] hyper::Error),
}

impl DialError {
    fn into_connector_error(self) -> ConnectorError {
        match self {
            Self::Endpoint(_) => ConnectorError::user(self.into()),
            _ => ConnectorError::io(self.into()),
        }
    }
}

impl HttpConnector for Dialer {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let dialer = self.clone();
        HttpConnectorFuture::new(async move {
            let request =
                request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = dialer.dial(request).await.map_err(DialError::into_connector_error)?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

type Request = http::Request<SdkBody>;
type Response = http::Response<hyper::body::Incoming>;

impl Dialer {
    async fn dial(self, request: Request) -> Result<Response, DialError> {
        let uri = request.uri().clone();
        let no_endpoint = || DialError::Endpoint(uri.clone());
        let host = uri.host().ok_or_else(no_endpoint)?.trim_matches(['[', ']']).to_owned();
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(no_endpoint()),
        };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tcp = TcpStream::connect((host.as_str(), port))
            .await
            .and_then(|tcp| tune(&tcp).map(|()| tcp))
            .map_err(|error| DialError::Connect(format!("{host}:{port}"), error))?;
        if !secure {
            return self.over_http1(tcp, request).await;
        }
        let name = ServerName::try_from(host.clone()).map_err(|_| no_endpoint())?;
        let tls = TlsConnector::from(self.trust.client_config()?)
            .connect(name, tcp)
            .await
            .map_err(|error| DialError::Tls(host, error))?;
        match tls.get_ref().1.alpn_protocol() {
            Some(b"h2") => self.over_http2(tls, request).await,
            _ => self.over_http1(tls, request).await,
        }
    }

    async fn over_http1<S>(self, io: S, mut request: Request) -> Result<Response, DialError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (mut sender, connection) =
            http1::Builder::new().max_buf_size(HTTP1_BUFFER).handshake(TokioIo::new(io)).await?;
        self.drive(connection);
        to_origin_form(&mut request);
        Ok(sender.send_request(request).await?)
    }

    async fn over_http2<S>(self, io: S, request: Request) -> Result<Response, DialError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
            .max_send_buf_size(HTTP2_SEND_BUFFER)
            .handshake(TokioIo::new(io))
            .await?;
        self.drive(connection);
        Ok(sender.send_request(request).await?)
    }

    /// Runs the connection until it ends by itself, or a moment after the stream is gone.
    fn drive<C>(&self, connection: C)
    where
        C: Future<Output = hyper::Result<()>> + Send + 'static,
    {
        let mut released = self.released.clone();
        // The task is owned by the link: it ends with the last half, or with the peer.
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => Some(ended),
                // Nothing is ever sent: this is the drop of the link.
                _ = released.changed() => {
                    tokio::time::timeout(LINGER, &mut connection).await.ok()
                }
            };
            match ended {
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::debug!(%error, "a connection to AWS ended"),
                None => tracing::debug!("a connection to AWS was cut: its stream was dropped"),
            }
        });
    }
}

/// HTTP/1.1 wants the path in the request line and the authority in `Host`.
fn to_origin_form(request: &mut Request) {
    let uri = request.uri();
    let host = uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok());
    let path = uri.path_and_query().cloned();
    if let Some(path) = path {
        *request.uri_mut() = Uri::from(path);
    }
    if let Some(host) = host {
        request.headers_mut().entry(HOST).or_insert(host);
    }
}

fn tune(tcp: &TcpStream) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = socket2::SockRef::from(tcp);
    socket.set_send_buffer_size(SEND_BUFFER)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}
