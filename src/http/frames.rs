//! From the bytes of an upgraded connection to whole WebSocket messages.
//!
//! The framework's own stream refuses a text frame that is not UTF-8 as if the connection had
//! failed, and buffers all that has arrived before it decodes. Here text stays bytes (the engine
//! answers with a typed error), one frame is decoded at a time, and fragments are joined up to
//! the same limit that a frame has. Used by `socket`.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use actix_http::ws::{CloseCode, CloseReason, Codec, Frame, Item, ProtocolError};
use actix_web::{error::PayloadError, web::BytesMut};
use bytes::Bytes;
use futures::Stream;

/// Largest frame, and largest message made of fragments, in bytes.
pub(super) const MAX_MESSAGE: usize = 256 * 1024;

/// What arrives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inbound {
    /// A text message; not checked to be UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A ping, to be answered with the same bytes.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// The client's close frame, with its code.
    Close(Option<u16>),
    /// A message above [`MAX_MESSAGE`]. Nothing more is understood after it.
    TooLarge,
    /// Bytes that are no WebSocket frames. Nothing more is understood after them.
    Garbled(String),
}

/// Joins fragments. A machine: frames in, messages out.
#[derive(Debug, Default)]
struct Assembler {
    /// The fragments so far, and whether they are text.
    partial: Option<(BytesMut, bool)>,
}

impl Assembler {
    fn take(&mut self, frame: Frame) -> Option<Inbound> {
        match frame {
            Frame::Text(bytes) => Some(Inbound::Text(bytes)),
            Frame::Binary(bytes) => Some(Inbound::Binary(bytes)),
            Frame::Ping(bytes) => Some(Inbound::Ping(bytes)),
            Frame::Pong(_) => Some(Inbound::Pong),
            Frame::Close(reason) => Some(Inbound::Close(reason.map(|r| r.code.into()))),
            Frame::Continuation(Item::FirstText(bytes)) => {
                self.partial = Some((BytesMut::from(&bytes[..]), true));
                None
            }
            Frame::Continuation(Item::FirstBinary(bytes)) => {
                self.partial = Some((BytesMut::from(&bytes[..]), false));
                None
            }
            Frame::Continuation(Item::Continue(bytes)) => self.append(&bytes),
            Frame::Continuation(Item::Last(bytes)) => {
                if let Some(fault) = self.append(&bytes) {
                    return Some(fault);
                }
                let (whole, text) = self.partial.take()?;
                let whole = whole.freeze();
                Some(if text { Inbound::Text(whole) } else { Inbound::Binary(whole) })
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Option<Inbound> {
        let (whole, _) = self.partial.as_mut()?;
        if whole.len() + bytes.len() > MAX_MESSAGE {
            self.partial = None;
            return Some(Inbound::TooLarge);
        }
        whole.extend_from_slice(bytes);
        None
    }
}

/// Holds back a connection's messages while there is no room for them: what the client sends
/// then waits in its own TCP buffers.
#[derive(Clone, Default)]
pub(super) struct Gate(Rc<GateState>);

#[derive(Default)]
struct GateState {
    shut: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Gate {
    pub(super) fn shut(&self) {
        self.0.shut.set(true);
    }

    pub(super) fn open(&self) {
        self.0.shut.set(false);
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }

    fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.0.shut.get() {
            return Poll::Ready(());
        }
        self.0.waker.replace(Some(cx.waker().clone()));
        Poll::Pending
    }
}

/// The messages of one connection. It ends when the connection does.
pub(super) struct Messages<S> {
    gate: Gate,
    payload: S,
    codec: Codec,
    buffer: BytesMut,
    assembler: Assembler,
    /// After a fault bytes are read and thrown away, so that the client comes to read our close
    /// frame instead of finding its connection reset.
    discarding: bool,
}

impl<S> Messages<S> {
    pub(super) fn new(payload: S, gate: Gate) -> Self {
        Self {
            gate,
            payload,
            codec: Codec::new().max_size(MAX_MESSAGE),
            buffer: BytesMut::new(),
            assembler: Assembler::default(),
            discarding: false,
        }
    }

    /// The next message among the bytes that are here.
    fn decode(&mut self) -> Option<Inbound> {
        use actix_codec::Decoder;
        while !self.discarding {
            let message = match self.codec.decode(&mut self.buffer) {
                Ok(None) => return None,
                Ok(Some(frame)) => match self.assembler.take(frame) {
                    Some(message) => message,
                    None => continue,
                },
                Err(ProtocolError::Overflow) => Inbound::TooLarge,
                Err(error) => Inbound::Garbled(error.to_string()),
            };
            if matches!(message, Inbound::TooLarge | Inbound::Garbled(_)) {
                self.discarding = true;
            }
            return Some(message);
        }
        self.buffer.clear();
        None
    }
}

impl<S> Stream for Messages<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Inbound;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        std::task::ready!(self.gate.poll_open(cx));
        loop {
            if let Some(message) = self.decode() {
                return Poll::Ready(Some(message));
            }
            match Pin::new(&mut self.payload).poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => self.buffer.extend_from_slice(&bytes),
                // A lost connection and a closed one are the same here: nothing comes any more.
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// The client's own code comes back, unless no close frame may carry it (RFC 6455 §7.4).
pub(super) fn answer_to_close(code: u16) -> CloseReason {
    let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    CloseCode::from(if allowed { code } else { 1002 }).into()
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt, stream};

    use super::*;

    /// One masked frame of a client; the mask is zero.
    fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first_byte];
        match payload.len() {
            n @ 0..126 => bytes.push(0x80 | n as u8),
            n @ 126..65_536 => {
                bytes.push(0x80 | 126);
                bytes.extend((n as u16).to_be_bytes());
            }
            n => {
                bytes.push(0x80 | 127);
                bytes.extend((n as u64).to_be_bytes());
            }
        }
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes
    }

    /// What comes out when the bytes arrive in pieces of `piece`.
    fn read(bytes: &[u8], piece: usize) -> Vec<Inbound> {
        let pieces: Vec<_> =
            bytes.chunks(piece).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        // The bytes are all there, so nothing is ever waited for.
        Messages::new(stream::iter(pieces), Gate::default())
            .collect()
            .now_or_never()
            .expect("no waiting")
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let bytes = [frame(0x81, b"hello"), frame(0x82, &[1, 2]), frame(0x8A, b"")].concat();
        let expected = [
            Inbound::Text(Bytes::from_static(b"hello")),
            Inbound::Binary(Bytes::from_static(&[1, 2])),
            Inbound::Pong,
        ];
        for piece in [1, 3, 1000] {
            assert_eq!(read(&bytes, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn fragments_are_joined_and_a_ping_may_come_between() {
        let bytes =
            [frame(0x02, &[1, 2]), frame(0x89, b"?"), frame(0x00, &[3, 4]), frame(0x80, &[5, 6])]
                .concat();
        let expected = [
            Inbound::Ping(Bytes::from_static(b"?")),
            Inbound::Binary(Bytes::from_static(&[1, 2, 3, 4, 5, 6])),
        ];
        assert_eq!(read(&bytes, 7), expected);
    }

    #[test]
    fn a_shut_gate_holds_messages_back_and_loses_none() {
        let bytes = Ok(Bytes::from([frame(0x81, b"a"), frame(0x81, b"b")].concat()));
        let gate = Gate::default();
        let mut messages = Messages::new(stream::iter([bytes]), gate.clone());
        let text = |text| Some(Some(Inbound::Text(Bytes::from_static(text))));
        assert_eq!(messages.next().now_or_never(), text(b"a"));
        gate.shut();
        assert_eq!(messages.next().now_or_never(), None);
        gate.open();
        assert_eq!(messages.next().now_or_never(), text(b"b"));
        assert_eq!(messages.next().now_or_never(), Some(None));
    }

    #[test]
    fn text_that_is_not_utf8_stays_bytes() {
        assert_eq!(
            read(&frame(0x81, &[0xff, 0xfe]), 100),
            [Inbound::Text(Bytes::from_static(&[0xff, 0xfe]))]
        );
    }

    #[test]
    fn an_oversized_frame_is_one_fault_and_the_rest_is_thrown_away() {
        let bytes = [frame(0x82, &vec![7; 10_000_000]), frame(0x81, b"after")].concat();
        assert_eq!(read(&bytes, 65_536), [Inbound::TooLarge]);
    }

    #[test]
    fn fragments_do_not_get_around_the_limit() {
        let piece = vec![0; MAX_MESSAGE / 2];
        let bytes = [frame(0x02, &piece), frame(0x00, &piece), frame(0x80, &[1, 2])].concat();
        assert_eq!(read(&bytes, 65_536), [Inbound::TooLarge]);
    }

    #[test]
    fn what_is_no_frame_is_garbled() {
        let read = read(b"GET / HTTP/1.1\r\n\r\n", 100);
        assert!(matches!(read[..], [Inbound::Garbled(_)]), "{read:?}");
    }
}
