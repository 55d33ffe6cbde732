//! The request body on its way to the session: bytes to events.
//!
//! It judges frames and signatures, not events. Runs as one task per stream, started by
//! `bidirectional`; ends when the session or the client is through.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot};

use super::chunk::{Chunk, ChunkReader};
use crate::session::Inbound;

/// How long input is still read after the answer has ended.
const DRAIN: Duration = Duration::from_secs(10);

/// Forwards the body to the session. The channel stays open as long as the client is there, also
/// after the end of its input; it closes when `gone` does (the response was dropped) or when the
/// body breaks off.
pub(crate) async fn pump(
    mut body: Incoming,
    reader: ChunkReader,
    events: mpsc::Sender<Inbound>,
    gone: oneshot::Receiver<Infallible>,
) {
    tokio::select! {
        () = forward(&mut body, reader, &events) => {}
        _ = gone => {}
    }
    drop(events);
    drain(body).await;
}

async fn forward(body: &mut Incoming, mut reader: ChunkReader, events: &mpsc::Sender<Inbound>) {
    let mut ended = false;
    while let Some(frame) = body.frame().await {
        // A body that breaks off is a client that went away.
        let Ok(frame) = frame else { return };
        let Some(data) = frame.data_ref() else { continue };
        if ended {
            continue;
        }
        reader.feed(data);
        loop {
            let (inbound, last) = match reader.next() {
                Ok(None) => break,
                Ok(Some(Chunk::Event(json))) => (Inbound::Event(json), false),
                Ok(Some(Chunk::End)) => (Inbound::End, true),
                Err(text) => (Inbound::Malformed(text), true),
            };
            if events.send(inbound).await.is_err() {
                return;
            }
            if last {
                ended = true;
                break;
            }
        }
    }
    if !ended {
        let end = if reader.at_boundary() {
            Inbound::End
        } else {
            Inbound::Malformed("The input ended in the middle of a message.".to_owned())
        };
        if events.send(end).await.is_err() {
            return;
        }
    }
    events.closed().await;
}

/// Reads what is left of a body, so that a client in the middle of sending still gets to the
/// answer. Bounded in time.
pub(crate) async fn drain(mut body: Incoming) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(DRAIN, rest).await;
}

/// Reads a body until its client breaks off, and waits for ever after an orderly end: the other
/// half of a head that never comes.
pub(crate) async fn swallow(mut body: Incoming) {
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return;
        }
    }
    // Hyper drops the whole request when the client leaves now.
    std::future::pending().await
}
