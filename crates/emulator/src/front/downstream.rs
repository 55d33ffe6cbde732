//! The response body on its way from the session: events to frames.
//!
//! A hyper body that pulls from the session's channel, so back-pressure of the client reaches
//! the session. Made by `bidirectional`; its drop is how the rest learns that the stream is over.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::{mpsc, oneshot};

use super::chunk::{self, ChunkWriter};
use super::connection::Cut;
use crate::observe::SessionRecord;
use crate::session::Outbound;

/// The body of an open stream.
pub(crate) struct EventStream {
    /// Output that came before the body existed.
    pub(crate) first: VecDeque<Outbound>,
    pub(crate) out: mpsc::Receiver<Outbound>,
    pub(crate) writer: ChunkWriter,
    pub(crate) cut: Cut,
    pub(crate) record: SessionRecord,
    /// Closes with this body; `upstream` watches the other end.
    pub(crate) _gone: oneshot::Sender<Infallible>,
    /// Set once the last byte has been handed over.
    pub(crate) done: bool,
    /// Set once the connection is being cut under this body.
    pub(crate) severed: bool,
}

impl EventStream {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Outbound>> {
        match self.first.pop_front() {
            Some(outbound) => Poll::Ready(Some(outbound)),
            None => self.out.poll_recv(context),
        }
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.done {
            return Poll::Ready(None);
        }
        if self.severed {
            // Nothing follows a cut, least of all the end of an orderly body.
            return Poll::Pending;
        }
        loop {
            let Poll::Ready(next) = self.poll_next(context) else { return Poll::Pending };
            let bytes = match next {
                Some(Outbound::Head) => continue,
                Some(Outbound::Event(event)) => {
                    self.record.sent(name_of(&event));
                    if let Some(usage) = event["event"].get("usageEvent") {
                        self.record.usage(usage);
                    }
                    self.writer.event(event.to_string().as_bytes())
                }
                Some(Outbound::Json(json)) => {
                    self.record.sent(name_in(&json));
                    self.writer.event(&json)
                }
                Some(Outbound::Exception(exception)) => {
                    self.record.sent(exception.kind.wire_name());
                    self.record.end(format!(
                        "{}: {}",
                        exception.kind.wire_name(),
                        exception.message
                    ));
                    chunk::exception(&exception)
                }
                Some(Outbound::Raw(bytes)) => bytes,
                Some(Outbound::Reset) => {
                    self.done = true;
                    self.record.end("the stream was reset by the emulator");
                    return Poll::Ready(Some(Err(reset())));
                }
                Some(Outbound::Cut) => {
                    self.severed = true;
                    self.record.end("the connection was cut by the emulator");
                    self.cut.pull();
                    return Poll::Pending;
                }
                Some(Outbound::End) | None => {
                    self.done = true;
                    self.record.end("ended in order");
                    return Poll::Ready(None);
                }
            };
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if !self.done && !self.severed {
            self.record.end("the client went away");
        }
    }
}

/// The error that hyper turns into RST_STREAM, or into the end of an HTTP/1.1 connection.
pub(crate) fn reset() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the emulator resets the stream")
}

fn name_of(event: &serde_json::Value) -> &str {
    let names = event.get("event").and_then(serde_json::Value::as_object);
    names.and_then(|names| names.keys().next()).map_or("unknown", String::as_str)
}

/// The name in `{"event":{"<name>":`, without parsing the audio that follows.
fn name_in(json: &[u8]) -> &str {
    let name = json.split(|&byte| byte == b'"').nth(3);
    name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_both_forms() {
        let json = r#"{"event":{"audioOutput":{"content":"AAAA"}}}"#;
        assert_eq!(name_in(json.as_bytes()), "audioOutput");
        assert_eq!(name_of(&serde_json::from_str(json).unwrap()), "audioOutput");
        assert_eq!(name_in(b"{}"), "unknown");
        assert_eq!(name_of(&serde_json::json!({})), "unknown");
    }
}
