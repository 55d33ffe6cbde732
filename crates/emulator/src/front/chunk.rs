//! Event-stream frames of the bidirectional operation: taking in what clients sign, writing what
//! the service sends.
//!
//! Pure: bytes in, bytes out. The frame format itself is `aws-smithy-eventstream`'s; what the
//! headers and the JSON inside mean is here. Sources: nova-sonic.md §1.2 to §1.5.

use aws_smithy_eventstream::frame::{
    DecodedFrame, MessageFrameDecoder, read_message_from, write_message_to,
};
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use base64_simd::STANDARD;
use bytes::{Buf, Bytes, BytesMut};

use super::signature::{FrameChain, FrameFault};
use crate::session::Exception;

/// Longest frame that is read. Nova's own limits are far below; this only bounds memory.
const LONGEST_FRAME: usize = 16 * 1024 * 1024;
/// What a client is told about input that cannot be read (nova-sonic.md §4.3).
const UNREADABLE: &str =
    "Unable to parse input chunk. Please check input format contains correct format.";

/// Cuts the request body into events and checks the chain of signatures.
///
/// ```text
///   signed frame ──► Event      empty frame ──► End      anything else ──► Malformed
///                                                                      (reading stops for good)
/// ```
pub(crate) struct ChunkReader {
    decoder: MessageFrameDecoder,
    buffer: BytesMut,
    /// `None` when signatures are not checked.
    chain: Option<FrameChain>,
    dialect: Dialect,
    /// Whether the decoder holds the prelude of a frame whose rest is still to come.
    within_frame: bool,
}

/// What the events of a service look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// JSON in base64 in JSON.
    Bedrock,
    /// The bytes of audio as they are (nova-sonic.md §6.2).
    Transcribe,
}

impl Dialect {
    fn event(self, message: &Message) -> Option<Chunk> {
        match self {
            Self::Bedrock => event(message),
            Self::Transcribe => {
                let is_audio = text(message, ":message-type")? == "event"
                    && text(message, ":event-type")? == "AudioEvent";
                is_audio.then(|| Chunk::Event(message.payload().clone()))
            }
        }
    }
}

/// What one frame held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// JSON of one event, or its audio.
    Event(Bytes),
    /// The empty frame that ends the input.
    End,
}

impl ChunkReader {
    pub(crate) fn new(chain: Option<FrameChain>) -> Self {
        Self {
            decoder: MessageFrameDecoder::new(),
            buffer: BytesMut::new(),
            chain,
            dialect: Dialect::Bedrock,
            within_frame: false,
        }
    }

    /// The same for frames of another service.
    pub(crate) fn speaking(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Adds bytes of the body.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next chunk, if a whole one is there. An `Err` is the text for the client; the
    /// stream cannot be read any further after it.
    pub(crate) fn next(&mut self) -> Result<Option<Chunk>, String> {
        if !self.within_frame && self.buffer.len() >= 12 {
            let length = self.buffer.as_ref().get_u32() as usize;
            if length > LONGEST_FRAME {
                return Err(UNREADABLE.to_owned());
            }
            self.within_frame = true;
        }
        match self.decoder.decode_frame(&mut self.buffer) {
            Ok(DecodedFrame::Incomplete) => Ok(None),
            Ok(DecodedFrame::Complete(message)) => {
                self.within_frame = false;
                self.open(&message).map(Some)
            }
            Err(error) => {
                tracing::debug!(%error, "a frame could not be read");
                Err(UNREADABLE.to_owned())
            }
        }
    }

    /// Whether the body may end here: no frame is half read.
    pub(crate) fn at_boundary(&self) -> bool {
        !self.within_frame && self.buffer.is_empty()
    }

    fn open(&mut self, outer: &Message) -> Result<Chunk, String> {
        if let Some(chain) = &mut self.chain {
            verify(chain, outer).map_err(|fault| fault.to_string())?;
        } else if text(outer, ":event-type").is_some() {
            // Unchecked streams may be unsigned, and then there is one level only.
            return self.dialect.event(outer).ok_or_else(|| UNREADABLE.to_owned());
        }
        if outer.payload().is_empty() {
            return Ok(Chunk::End);
        }
        let inner =
            read_message_from(&mut outer.payload().clone()).map_err(|_| UNREADABLE.to_owned())?;
        self.dialect.event(&inner).ok_or_else(|| UNREADABLE.to_owned())
    }
}

fn verify(chain: &mut FrameChain, outer: &Message) -> Result<(), FrameFault> {
    let value = |name| {
        let header = outer.headers().iter().find(|header| header.name().as_str() == name);
        header.map(Header::value).ok_or(FrameFault::Unsigned)
    };
    let date = value(":date")?.as_timestamp().map_err(|_| FrameFault::Unsigned)?;
    let signature = value(":chunk-signature")?.as_byte_array().map_err(|_| FrameFault::Unsigned)?;
    chain.verify(date.to_millis().map_err(|_| FrameFault::Date)?, signature, outer.payload())
}

/// The JSON inside a message `:message-type` event, `:event-type` chunk.
fn event(message: &Message) -> Option<Chunk> {
    #[derive(serde::Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        bytes: std::borrow::Cow<'a, str>,
    }
    if text(message, ":message-type")? != "event" || text(message, ":event-type")? != "chunk" {
        return None;
    }
    // Audio is nearly all there is, and every SDK writes it like this. base64 needs no escapes.
    let usual = message.payload().strip_prefix(br#"{"bytes":""#);
    if let Some(base64) = usual.and_then(|rest| rest.strip_suffix(br#""}"#))
        && let Ok(event) = STANDARD.decode_to_vec(base64)
    {
        return Some(Chunk::Event(event.into()));
    }
    let payload: Payload<'_> = serde_json::from_slice(message.payload()).ok()?;
    Some(Chunk::Event(STANDARD.decode_to_vec(payload.bytes.as_bytes()).ok()?.into()))
}

fn text<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
    Some(header.value().as_string().ok()?.as_str())
}

/// Writes the service's frames.
pub(crate) struct ChunkWriter {
    padding: bool,
    written: usize,
}

impl ChunkWriter {
    pub(crate) fn new(padding: bool) -> Self {
        Self { padding, written: 0 }
    }

    /// A chunk that carries the JSON of one event.
    pub(crate) fn event(&mut self, json: &[u8]) -> Bytes {
        // The same text the service pads with: a run of the alphabet, its length ever changing.
        const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let mut payload = String::with_capacity(json.len() / 3 * 4 + 96);
        payload.push_str(r#"{"bytes":""#);
        STANDARD.encode_append(json, &mut payload);
        if self.padding {
            self.written = self.written.wrapping_add(1);
            payload.push_str(r#"","p":""#);
            payload.push_str(&PADDING[..self.written.wrapping_mul(17) % PADDING.len() + 1]);
        }
        payload.push_str(r#""}"#);
        frame([":event-type", "chunk", ":message-type", "event"], payload)
    }
}

/// An exception frame.
pub(crate) fn exception(exception: &Exception) -> Bytes {
    let mut body = serde_json::json!({ "message": exception.message });
    if let (Some((status, message)), Some(body)) = (&exception.original, body.as_object_mut()) {
        body.insert("originalStatusCode".to_owned(), (*status).into());
        body.insert("originalMessage".to_owned(), message.as_str().into());
    }
    frame(
        [":exception-type", exception.kind.wire_name(), ":message-type", "exception"],
        body.to_string(),
    )
}

/// An event whose payload is JSON as it is.
pub(crate) fn json_frame(name: &'static str, json: &serde_json::Value) -> Bytes {
    frame([":event-type", name, ":message-type", "event"], json.to_string())
}

/// An exception whose payload is JSON as it is.
pub(crate) fn exception_frame(name: &'static str, json: &serde_json::Value) -> Bytes {
    frame([":exception-type", name, ":message-type", "exception"], json.to_string())
}

fn frame([kind, value, message, role]: [&'static str; 4], payload: String) -> Bytes {
    let header = |name: &'static str, value: &'static str| {
        Header::new(name, HeaderValue::String(value.into()))
    };
    let message = Message::new(payload)
        .add_header(header(kind, value))
        .add_header(header(":content-type", "application/json"))
        .add_header(header(message, role));
    let mut encoded = BytesMut::with_capacity(message.payload().len() + 128);
    if let Err(error) = write_message_to(&message, &mut encoded) {
        // Only a payload of more than 4 GiB or a header of 32 KiB gets here.
        tracing::error!(%error, "a frame could not be written");
        encoded.clear();
    }
    encoded.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::ExceptionKind;

    fn client_frame(json: &str) -> Bytes {
        let payload = format!(r#"{{"bytes":"{}"}}"#, STANDARD.encode_to_string(json));
        let inner = frame([":event-type", "chunk", ":message-type", "event"], payload);
        let mut outer = BytesMut::new();
        write_message_to(&Message::new(inner), &mut outer).unwrap();
        outer.freeze()
    }

    #[test]
    fn events_come_out_whole_however_the_bytes_are_cut() {
        let wire = [client_frame("{\"a\":1}"), client_frame("{}")].concat();
        for size in [1, 7, 64, wire.len()] {
            let mut reader = ChunkReader::new(None);
            let mut chunks = Vec::new();
            for piece in wire.chunks(size) {
                reader.feed(piece);
                while let Some(chunk) = reader.next().unwrap() {
                    chunks.push(chunk);
                }
            }
            assert!(reader.at_boundary());
            let expected = ["{\"a\":1}", "{}"].map(|json| Chunk::Event(json.into()));
            assert_eq!(chunks, expected);
        }
    }

    #[test]
    fn an_empty_payload_ends_the_input() {
        let mut reader = ChunkReader::new(None);
        let mut wire = BytesMut::new();
        write_message_to(&Message::new(Bytes::new()), &mut wire).unwrap();
        reader.feed(&wire);
        assert_eq!(reader.next(), Ok(Some(Chunk::End)));
    }

    #[test]
    fn half_a_frame_is_not_a_boundary() {
        let mut reader = ChunkReader::new(None);
        reader.feed(&client_frame("{}")[..40]);
        assert_eq!(reader.next(), Ok(None));
        assert!(!reader.at_boundary());
    }

    #[test]
    fn a_frame_too_long_is_refused_before_it_is_buffered() {
        let mut reader = ChunkReader::new(None);
        reader.feed(&[0x7f; 12]);
        assert_eq!(reader.next(), Err(UNREADABLE.to_owned()));
    }

    #[test]
    fn a_model_stream_error_carries_its_origin() {
        let bytes = exception(&Exception {
            kind: ExceptionKind::ModelStreamError,
            message: "m".into(),
            original: Some((500, "o".into())),
        });
        let message = read_message_from(&mut bytes.clone()).unwrap();
        assert_eq!(text(&message, ":exception-type"), Some("modelStreamErrorException"));
        let json: serde_json::Value = serde_json::from_slice(message.payload()).unwrap();
        assert_eq!(json["originalStatusCode"], 500);
        assert_eq!(json["originalMessage"], "o");
    }

    #[test]
    fn padding_is_added_only_when_asked_for() {
        let read = |bytes: Bytes| {
            let message = read_message_from(&mut bytes.clone()).unwrap();
            serde_json::from_slice::<serde_json::Value>(message.payload()).unwrap()
        };
        assert!(read(ChunkWriter::new(false).event(b"{}"))["p"].is_null());
        let padded = read(ChunkWriter::new(true).event(b"{}"));
        assert!(padded["p"].is_string());
        assert_eq!(padded["bytes"], "e30=");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let mut reader = ChunkReader::new(None);
            reader.feed(&bytes);
            for _ in 0..64 {
                if !matches!(reader.next(), Ok(Some(_))) {
                    break;
                }
            }
        }
    }
}
