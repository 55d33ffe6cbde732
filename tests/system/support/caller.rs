//! A caller: a WebSocket client that nobody here wrote, with a log of all it saw.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, SinkExt, StreamExt, stream::SplitSink};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{Mutex, mpsc},
    task::JoinHandle,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use super::{DEADLINE, line::Line};

pub(super) type Sink = SplitSink<WebSocketStream<MaybeTlsStream<TcpStream>>, Message>;

/// Something that reached the caller.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// A JSON message.
    Message(Value),
    /// Assistant audio: PCM16 at 24 kHz.
    Audio(Vec<u8>),
    /// The close frame's code (0: the connection ended without one) and reason.
    Closed(u16, String),
}

/// A connected client.
pub(crate) struct Caller {
    sink: Arc<Mutex<Sink>>,
    incoming: mpsc::UnboundedReceiver<Seen>,
    reader: JoinHandle<()>,
    /// The subprotocol that the server chose.
    pub(crate) protocol: Option<String>,
    /// All that was seen so far.
    pub(crate) log: Vec<Seen>,
}

/// A frame of 32 ms at 16 kHz.
pub(crate) const FRAME: usize = 1024;
/// Callers in tests speak four times as fast as real time.
const PACE: Duration = Duration::from_millis(8);

impl Caller {
    /// Connects, or panics with the refusal.
    pub(crate) async fn connect(url: &str) -> Self {
        Self::try_connect(url).await.expect("the upgrade")
    }

    /// Connects, or returns the refusal.
    pub(crate) async fn try_connect(url: &str) -> Result<Self, Box<tungstenite::Error>> {
        Self::try_connect_with(url).await
    }

    /// Connects with headers of its own, or returns the refusal.
    pub(crate) async fn try_connect_with(
        request: impl IntoClientRequest + Unpin,
    ) -> Result<Self, Box<tungstenite::Error>> {
        let (socket, answer) = connect_async(request).await.map_err(Box::new)?;
        let protocol = answer.headers().get("sec-websocket-protocol");
        let protocol = protocol.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (sink, mut stream) = socket.split();
        let (seen, incoming) = mpsc::unbounded_channel();
        let reader = tokio::spawn(async move {
            let mut closed = Seen::Closed(0, "the connection ended".into());
            while let Some(Ok(message)) = stream.next().await {
                let item = match message {
                    Message::Text(text) => {
                        Seen::Message(serde_json::from_str(&text).expect("the server sends JSON"))
                    }
                    Message::Binary(bytes) => Seen::Audio(bytes.to_vec()),
                    Message::Close(frame) => {
                        closed = frame.map_or(Seen::Closed(1005, String::new()), |frame| {
                            Seen::Closed(frame.code.into(), frame.reason.to_string())
                        });
                        continue;
                    }
                    _ => continue,
                };
                if seen.send(item).is_err() {
                    return;
                }
            }
            let _ = seen.send(closed);
        });
        Ok(Self { sink: Arc::new(Mutex::new(sink)), incoming, reader, protocol, log: Vec::new() })
    }

    /// The status and body of a refused upgrade.
    pub(crate) async fn refusal(url: &str) -> (u16, Value) {
        match Self::try_connect(url).await.map_err(|error| *error) {
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                (response.status().as_u16(), serde_json::from_slice(&body).unwrap_or_default())
            }
            Err(other) => panic!("not refused over HTTP: {other}"),
            Ok(_) => panic!("not refused"),
        }
    }

    // What the caller does.

    pub(crate) async fn send(&mut self, message: Value) {
        self.send_raw(Message::text(message.to_string())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        // A server that has closed in the meantime is what some tests are about.
        let _ = self.sink.lock().await.send(message).await;
    }

    pub(crate) async fn configure(&mut self, config: Value) {
        self.send(json!({"type": "sessionConfig", "config": config})).await;
    }

    pub(crate) async fn type_text(&mut self, text: &str) {
        self.send(json!({"type": "textInput", "text": text})).await;
    }

    /// Speaks: PCM16 at 16 kHz, in frames of 32 ms.
    pub(crate) async fn speak(&mut self, pcm: &[u8]) {
        let mut pace = tokio::time::interval(PACE);
        for frame in pcm.chunks(FRAME) {
            pace.tick().await;
            self.send_raw(Message::binary(frame.to_vec())).await;
        }
    }

    /// Opens a microphone that never stops, on a clock that runs so much faster.
    pub(crate) fn open_line(&self, rate: f64) -> Line {
        let sink = self.sink.clone();
        let send = move |frame| {
            let sink = sink.clone();
            let sent = async move { sink.lock().await.send(Message::binary(frame)).await.is_ok() };
            sent.boxed()
        };
        Line::open(send, rate)
    }

    /// What this connection sends on.
    pub(super) fn sink(&self) -> Arc<Mutex<Sink>> {
        self.sink.clone()
    }

    /// Hangs up in order.
    pub(crate) async fn hang_up(self) {
        let _ = self.sink.lock().await.send(Message::Close(None)).await;
        let _ = tokio::time::timeout(DEADLINE, self.reader).await.expect("the server closes too");
    }

    /// Vanishes: the connection is cut without a word.
    pub(crate) fn vanish(self) {
        self.reader.abort();
    }

    // What the caller sees.

    /// The next thing, whatever it is.
    pub(crate) async fn next(&mut self) -> Seen {
        let seen = self.next_within(DEADLINE).await;
        seen.unwrap_or_else(|| panic!("nothing came; seen so far:\n{}", self.story()))
    }

    /// The next thing, if it comes in time.
    pub(crate) async fn next_within(&mut self, deadline: Duration) -> Option<Seen> {
        let seen = tokio::time::timeout(deadline, self.incoming.recv()).await.ok()?;
        let seen = seen.unwrap_or(Seen::Closed(0, "the connection ended before".into()));
        self.log.push(seen.clone());
        Some(seen)
    }

    /// Reads on until a message fits; other things are logged.
    pub(crate) async fn until(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.next().await {
                Seen::Message(message) if fits(&message) => return message,
                Seen::Closed(code, reason) => {
                    panic!("closed with {code} {reason:?} before {what}:\n{}", self.story())
                }
                _ => {}
            }
        }
    }

    /// Reads on until a message of this type.
    pub(crate) async fn message(&mut self, kind: &str) -> Value {
        self.until(kind, |message| message["type"] == kind).await
    }

    /// Reads on until an error of this code.
    pub(crate) async fn error(&mut self, code: &str) -> Value {
        self.until(code, |m| m["type"] == "error" && m["code"] == code).await
    }

    /// Reads on until a final line of this speaker that was not cut; returns its text.
    pub(crate) async fn final_line(&mut self, role: &str) -> String {
        let what = format!("a final line of the {role}");
        let is_final = |m: &Value| {
            m["type"] == "transcript" && m["isFinal"] == true && m["interrupted"] != true
        };
        let line = self.until(&what, |m| is_final(m) && m["role"] == role).await;
        line["text"].as_str().unwrap_or_default().to_owned()
    }

    /// Reads on until audio comes.
    pub(crate) async fn audio(&mut self) -> Vec<u8> {
        loop {
            match self.next().await {
                Seen::Audio(bytes) => return bytes,
                Seen::Closed(code, reason) => panic!("closed with {code} {reason:?} before audio"),
                Seen::Message(_) => {}
            }
        }
    }

    /// Reads on to the end of the call.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Seen::Closed(code, reason) = self.next().await {
                return (code, reason);
            }
        }
    }

    /// All assistant audio so far, as samples.
    pub(crate) fn heard(&self) -> Vec<i16> {
        let bytes = self.log.iter().filter_map(|seen| match seen {
            Seen::Audio(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        bytes.flat_map(|b| b.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]]))).collect()
    }

    /// All messages so far.
    pub(crate) fn all_messages(&self) -> impl Iterator<Item = &Value> {
        self.log.iter().filter_map(|seen| match seen {
            Seen::Message(message) => Some(message),
            _ => None,
        })
    }

    /// All messages of a type so far.
    pub(crate) fn messages(&self, kind: &str) -> Vec<&Value> {
        self.all_messages().filter(|message| message["type"] == kind).collect()
    }

    /// What happened, in brief, for a failing test.
    pub(crate) fn story(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        let mut audio = 0;
        for seen in &self.log {
            match seen {
                Seen::Audio(bytes) => audio += bytes.len(),
                other => {
                    if audio > 0 {
                        lines.push(format!("  ({} ms of audio)", std::mem::take(&mut audio) / 48));
                    }
                    lines.push(format!("  {other:?}"));
                }
            }
        }
        lines.push(format!("  ({} ms of audio)", audio / 48));
        lines.join("\n")
    }
}
