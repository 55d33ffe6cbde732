//! One connection: HTTP/1.1 or HTTP/2 as the client begins it, and the switch that cuts it.
//!
//! It knows no operation; requests go to `front::answer`. Called once per accepted socket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::world::World;

/// How long a client may take to send an HTTP/1.1 head.
const HEAD: Duration = Duration::from_secs(30);
/// Receive window of a connection. Far above that of a stream, so that one session that does not
/// read leaves the others on its connection alone.
const CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;
/// Receive window of a stream.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// Serves the requests of a connection until it ends or is cut.
pub(crate) async fn serve<I>(io: I, world: Arc<World>, cut: Cut)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW);
    if let Some(streams) = world.config.max_concurrent_streams {
        builder.http2().max_concurrent_streams(streams);
    }
    let switch = cut.clone();
    let service =
        service_fn(move |request| super::answer(request, Arc::clone(&world), cut.clone()));
    tokio::select! {
        ended = builder.serve_connection(TokioIo::new(io), service) => {
            // Clients hang up in many ways (GOAWAY, half-close, reset); none is the emulator's
            // trouble.
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            }
        }
        () = switch.pulled() => tracing::debug!("a connection is cut, as the scenario wants it"),
    }
}

/// The switch of one connection. Once pulled, the socket is closed with a TCP reset.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cut {
    switch: Arc<Switch>,
}

#[derive(Debug, Default)]
struct Switch {
    pulled: AtomicBool,
    notify: Notify,
}

impl Cut {
    pub(crate) fn pull(&self) {
        self.switch.pulled.store(true, Ordering::Release);
        // Stores a permit when nobody waits yet, so that it cannot be missed.
        self.switch.notify.notify_one();
    }

    async fn pulled(&self) {
        self.switch.notify.notified().await;
    }
}

/// A TCP stream that is reset, not closed, when its switch was pulled.
#[derive(Debug)]
pub(crate) struct Cuttable {
    tcp: TcpStream,
    cut: Cut,
}

impl Cuttable {
    pub(crate) fn new(tcp: TcpStream, cut: Cut) -> Self {
        Self { tcp, cut }
    }
}

impl Drop for Cuttable {
    fn drop(&mut self) {
        if self.cut.switch.pulled.load(Ordering::Acquire) {
            // Without it the kernel would still deliver what is queued, and then a tidy FIN.
            let _ = self.tcp.set_zero_linger();
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
}
