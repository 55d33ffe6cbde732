//! The bridge as a client of `/sonic`: the caller's voice up at 16 kHz, the assistant's down at
//! 24 kHz.
//!
//! A task per call around one machine ([`Comeback`]). A connection that is lost is opened again
//! with the resume token, so that the call goes on, at another server if need be. It knows no
//! turns: what the server says goes to the call as it comes. Source: contract.md §1.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use http::header::{AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, handshake::client::Request},
};
use voice_audio::pcm;

use crate::{credential::ServerKey, meters::Meters, resume::Point, turns::Handover};

/// Frames of the caller's voice that may wait, 64 ms each: what is said while a connection is
/// opened again. When it is full the newest is dropped and counted, by the call.
pub(crate) const UNSENT: usize = 160;
/// Things the server said that may wait for the call; when it is full the socket is not read.
pub(crate) const UNHEARD: usize = 256;

/// Longest wait for a connection, for room in the socket, and for the answer to our goodbye.
const CONNECT: Duration = Duration::from_secs(5);
const SEND: Duration = Duration::from_secs(10);
const GOODBYE: Duration = Duration::from_secs(2);
/// A server keeps a call whose client is gone for 30 s (`RESUME_WINDOW`).
const COME_BACK: Duration = Duration::from_secs(28);
/// How long a call that never began is tried to begin.
const BEGIN: Duration = Duration::from_secs(5);
/// Ids that are tried when one is taken: an earlier bridge may have left its call behind.
const MAX_IDS: u32 = 5;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What the server says.
#[derive(Debug, PartialEq)]
pub(crate) enum FromSonic {
    /// The assistant's voice, 24 kHz.
    Voice(Vec<i16>),
    /// A line of the assistant's, as far as it has come.
    Line { id: String, text: String, is_final: bool },
    /// The caller has talked over the assistant.
    Interrupted,
    /// The assistant has said its turn, all of whose voice the server has by now.
    TurnEnded {
        /// From the end of the caller's speech to the first voice, as the server measured it.
        model: Duration,
    },
    /// A human takes over.
    Transfer(Handover),
    /// Nothing more will come.
    Over(SonicEnd),
}

/// Why the conversation is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SonicEnd {
    /// The server has ended the call in order.
    Ended(String),
    /// It cannot be reached, or not any more.
    Lost(String),
}

/// Where the server is, and what the call wants of it.
#[derive(Debug, Clone)]
pub(crate) struct SonicConfig {
    /// `ws://` or `wss://`, up to `/sonic`.
    pub(crate) url: String,
    /// What the server asks for.
    pub(crate) key: Option<ServerKey>,
    pub(crate) session_id: String,
    /// Where another task has left the conversation.
    pub(crate) point: Option<Point>,
    /// The settings of the call (`sessionConfig`).
    pub(crate) settings: Value,
}

/// Keeps the conversation until it is over, or until the call lets go of `voice`.
pub(crate) async fn converse(
    config: SonicConfig,
    mut voice: mpsc::Receiver<Vec<i16>>,
    out: mpsc::Sender<FromSonic>,
    known: watch::Sender<Known>,
    meters: Meters,
) {
    let mut comeback = match &config.point {
        Some(point) => Comeback::at(point, Instant::now()),
        None => Comeback::new(&config.session_id, Instant::now()),
    };
    let end = loop {
        let request = request(&config, &comeback);
        meters.sonic_connections.inc();
        let connected = async { connect_async(request?).await };
        let left = match timeout(CONNECT, connected).await {
            Ok(Ok((socket, _))) => {
                talk(socket, &config, &mut comeback, &mut voice, &out, &known).await
            }
            Ok(Err(tungstenite::Error::Http(response))) => {
                Left::Refused(response.status().as_u16())
            }
            Ok(Err(error)) => Left::Broken(error.to_string()),
            Err(_) => Left::Broken(format!("no connection within {} s", CONNECT.as_secs())),
        };
        match comeback.next(Instant::now(), left) {
            Next::Gone => return,
            Next::Over(end) => break end,
            Next::Again(after) => {
                tracing::info!(session = config.session_id, ?after, "/sonic is opened again");
                tokio::select! {
                    () = out.closed() => return,
                    () = sleep(after) => {}
                }
            }
        }
    };
    let _ = out.send(FromSonic::Over(end)).await;
}

fn request(config: &SonicConfig, comeback: &Comeback) -> tungstenite::Result<Request> {
    let url = format!("{}?{}", config.url, comeback.query());
    let mut request = url.into_client_request()?;
    if let Some(protocols) = comeback.protocols() {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocols);
    }
    if let Some(key) = &config.key {
        request.headers_mut().insert(AUTHORIZATION, key.header());
    }
    Ok(request)
}

/// How a connection was left.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// It was not accepted, with this HTTP status.
    Refused(u16),
    /// The server closed it.
    Closed(u16, String),
    /// It broke off or could not be opened.
    Broken(String),
    /// Nobody wants to talk any more.
    Gone,
}

/// One connection, to its end.
async fn talk(
    socket: Socket,
    config: &SonicConfig,
    comeback: &mut Comeback,
    voice: &mut mpsc::Receiver<Vec<i16>>,
    out: &mpsc::Sender<FromSonic>,
    known: &watch::Sender<Known>,
) -> Left {
    let (mut sink, mut stream) = socket.split();
    let mut is_settled = comeback.is_back();
    loop {
        // A call that the server has begun anew, instead of the one we come back to, knows nothing.
        if !is_settled || comeback.take_begun_anew() {
            is_settled = true;
            let settings = json!({"type": "sessionConfig", "config": config.settings}).to_string();
            if let Err(error) = sink.send(Message::text(settings)).await {
                return Left::Broken(error.to_string());
            }
        }
        tokio::select! {
            message = stream.next() => {
                let message = match message {
                    Some(Ok(message)) => message,
                    Some(Err(error)) => return Left::Broken(error.to_string()),
                    None => return Left::Broken("the connection ended".to_owned()),
                };
                let said = match message {
                    Message::Binary(bytes) => {
                        comeback.heard(bytes.len());
                        Some(FromSonic::Voice(pcm::samples(&bytes)))
                    }
                    Message::Text(text) => {
                        let said = comeback.read(&text);
                        known.send_replace(comeback.known());
                        said
                    }
                    Message::Close(frame) => {
                        let (code, reason) = frame
                            .map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
                        return Left::Closed(code, reason);
                    }
                    _ => None,
                };
                if let Some(said) = said && out.send(said).await.is_err() {
                    return goodbye(sink, stream).await;
                }
            }
            samples = voice.recv() => {
                let Some(samples) = samples else { return goodbye(sink, stream).await };
                let frame = Message::binary(pcm::bytes(&samples));
                match timeout(SEND, sink.send(frame)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Left::Broken(error.to_string()),
                    Err(_) => return Left::Broken("the server does not read".to_owned()),
                }
            }
        }
    }
}

/// Hangs up in order: the server ends the call at once instead of waiting for us to come back.
async fn goodbye(
    mut sink: futures::stream::SplitSink<Socket, Message>,
    mut stream: futures::stream::SplitStream<Socket>,
) -> Left {
    let _ = timeout(GOODBYE, async {
        let _ = sink.send(Message::Close(None)).await;
        while let Some(Ok(message)) = stream.next().await {
            if matches!(message, Message::Close(_)) {
                break;
            }
        }
    })
    .await;
    Left::Gone
}

/// What another connection to the same conversation has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The conversation's id at the server.
    pub(crate) id: String,
    pub(crate) token: Option<String>,
    /// The number of the last message that came.
    pub(crate) last_seq: u64,
    /// Audio that came before the first byte that this task has heard.
    pub(crate) before: u64,
}

/// How a call is come back to.
#[derive(Debug)]
struct Comeback {
    session_id: String,
    /// Which of our ids this is, from 1.
    ids: u32,
    token: Option<String>,
    last_seq: u64,
    heard_bytes: u64,
    /// Of those, what another task has heard.
    before: u64,
    /// The server did not know the call any more and has begun another.
    begun_anew: bool,
    /// When the connection was good last.
    good: Instant,
    tries: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Again(Duration),
    Over(SonicEnd),
    Gone,
}

/// The first pause; it doubles up to the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

impl Comeback {
    fn new(session_id: &str, now: Instant) -> Self {
        Self {
            session_id: session_id.to_owned(),
            ids: 1,
            token: None,
            last_seq: 0,
            heard_bytes: 0,
            before: 0,
            begun_anew: false,
            good: now,
            tries: 0,
        }
    }

    /// Where another task has left the conversation.
    fn at(point: &Point, now: Instant) -> Self {
        Self {
            token: Some(point.token.clone()),
            last_seq: point.seq,
            heard_bytes: point.bytes,
            before: point.bytes,
            ..Self::new(&point.id, now)
        }
    }

    fn known(&self) -> Known {
        Known {
            id: self.session_id.clone(),
            token: self.token.clone(),
            last_seq: self.last_seq,
            before: self.before,
        }
    }

    fn take_begun_anew(&mut self) -> bool {
        std::mem::take(&mut self.begun_anew)
    }

    fn is_back(&self) -> bool {
        self.token.is_some()
    }

    fn query(&self) -> String {
        let id = &self.session_id;
        let id = if self.ids > 1 { format!("{id}-{}", self.ids) } else { id.clone() };
        match &self.token {
            None => format!("sessionId={id}"),
            Some(_) => {
                let (seq, bytes) = (self.last_seq, self.heard_bytes);
                format!("sessionId={id}&lastSeq={seq}&heardBytes={bytes}")
            }
        }
    }

    /// What a token comes back in: a URL is written to logs on its way, and whoever has the token has
    /// the call. Beside it the name that the server answers with.
    fn protocols(&self) -> Option<HeaderValue> {
        let protocols = format!("voice.v1, resume.{}", self.token.as_deref()?);
        let mut protocols = HeaderValue::from_str(&protocols).ok()?;
        protocols.set_sensitive(true);
        Some(protocols)
    }

    fn heard(&mut self, bytes: usize) {
        self.heard_bytes += bytes as u64;
    }

    /// Reads one message of the server's; what does not matter on the phone is passed over.
    fn read(&mut self, text: &str) -> Option<FromSonic> {
        let message: Value = serde_json::from_str(text).ok()?;
        if let Some(seq) = message["seq"].as_u64() {
            self.last_seq = seq;
        }
        let text_of = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        match message["type"].as_str()? {
            "connected" => {
                if let Some(id) = message["sessionId"].as_str() {
                    (self.session_id, self.ids) = (id.to_owned(), 1);
                }
                if message["resumed"] != true {
                    // Another call: what was counted is the old one's.
                    (self.heard_bytes, self.before) = (0, 0);
                    self.begun_anew = self.token.is_some();
                }
                self.token = message["resumeToken"].as_str().map(str::to_owned);
                (self.good, self.tries) = (Instant::now(), 0);
                None
            }
            "transcript" if message["role"] == "assistant" => Some(FromSonic::Line {
                id: text_of("id"),
                text: text_of("text"),
                is_final: message["isFinal"] == true,
            }),
            "interruption" => Some(FromSonic::Interrupted),
            "latency_update" => message["ttft_ms"]
                .as_u64()
                .map(|ms| FromSonic::TurnEnded { model: Duration::from_millis(ms) }),
            "transferToAgent" => {
                let attributes = message["attributes"].as_object();
                let attributes = attributes.into_iter().flatten().map(|(name, value)| {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    (name.clone(), value)
                });
                Some(FromSonic::Transfer(Handover {
                    reason: text_of("reason"),
                    summary: text_of("summary"),
                    attributes: attributes.collect(),
                }))
            }
            "error" => {
                let code = text_of("code");
                tracing::warn!(session = self.session_id, code, "the server reports an error");
                None
            }
            _ => None,
        }
    }

    fn next(&mut self, now: Instant, left: Left) -> Next {
        let lost = |why: String| Next::Over(SonicEnd::Lost(why));
        let why = match left {
            Left::Gone => return Next::Gone,
            Left::Closed(1000, reason) => return Next::Over(SonicEnd::Ended(reason)),
            // The server stops; another one is there.
            Left::Closed(1012, _) if self.token.is_some() && self.tries == 0 => {
                (self.tries, self.good) = (1, now);
                return Next::Again(Duration::ZERO);
            }
            // Whoever has this id is not asked; the call gets another one.
            Left::Refused(409) if self.ids < MAX_IDS => {
                self.ids += 1;
                return Next::Again(Duration::ZERO);
            }
            Left::Refused(status @ 400..500) => return lost(format!("refused with {status}")),
            Left::Refused(status) => format!("refused with {status}"),
            Left::Closed(code, reason) => format!("closed with {code} {reason}"),
            Left::Broken(why) => why,
        };
        let patience = if self.token.is_some() { COME_BACK } else { BEGIN };
        if self.tries == 0 && self.token.is_some() {
            self.good = now;
        }
        if now.duration_since(self.good) >= patience {
            return lost(why);
        }
        self.tries += 1;
        Next::Again((FIRST * 2_u32.pow(self.tries.min(8) - 1)).min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> Left {
        Left::Broken("reset".to_owned())
    }

    fn connected(comeback: &mut Comeback) {
        let message = r#"{"seq":1,"type":"connected","sessionId":"connect-1","resumeToken":"t"}"#;
        assert_eq!(comeback.read(message), None);
    }

    #[test]
    fn a_lost_connection_is_come_back_to_with_what_was_heard() {
        let now = Instant::now();
        let mut comeback = Comeback::new("connect-1", now);
        assert_eq!(comeback.query(), "sessionId=connect-1");
        assert_eq!(comeback.protocols(), None);
        connected(&mut comeback);
        comeback.heard(1_920);
        comeback.read(r#"{"seq":7,"type":"pong"}"#);
        assert_eq!(comeback.next(now, broken()), Next::Again(FIRST));
        assert_eq!(comeback.query(), "sessionId=connect-1&lastSeq=7&heardBytes=1920");
        let protocols = comeback.protocols().expect("a token");
        assert_eq!(protocols.to_str().expect("text"), "voice.v1, resume.t");
        assert!(protocols.is_sensitive(), "it is not printed");
        // A server that stops sends us on at once.
        connected(&mut comeback);
        let left = Left::Closed(1012, String::new());
        assert_eq!(comeback.next(now, left), Next::Again(Duration::ZERO));
    }

    #[test]
    fn another_task_goes_on_where_the_caller_got_to() {
        let now = Instant::now();
        let point = Point { id: "connect-1-2".into(), token: "t".into(), seq: 9, bytes: 480 };
        let mut comeback = Comeback::at(&point, now);
        assert_eq!(comeback.query(), "sessionId=connect-1-2&lastSeq=9&heardBytes=480");
        let back = r#"{"seq":10,"type":"connected","resumed":true,"sessionId":"connect-1-2",
            "resumeToken":"u"}"#;
        comeback.read(back);
        assert!(!comeback.take_begun_anew());
        let known = comeback.known();
        assert_eq!((known.before, known.token.as_deref()), (480, Some("u")));
        // The server has given the call up: another one begins, and has to be told what it is.
        connected(&mut comeback);
        assert!(comeback.take_begun_anew());
        assert_eq!(comeback.known().before, 0);
    }

    #[test]
    fn it_is_given_up_when_the_server_has_given_up() {
        let begin = Instant::now();
        let mut comeback = Comeback::new("connect-1", begin);
        connected(&mut comeback);
        let mut now = begin + Duration::from_secs(600);
        let lost_at = now;
        let end = loop {
            match comeback.next(now, broken()) {
                Next::Again(after) => now += after,
                other => break other,
            }
        };
        assert_eq!(end, Next::Over(SonicEnd::Lost("reset".to_owned())));
        assert!((COME_BACK..COME_BACK + LONGEST).contains(&(now - lost_at)));
    }

    #[test]
    fn ends_and_refusals_are_told_apart() {
        let now = Instant::now();
        let mut comeback = Comeback::new("connect-1", now);
        let ended = Left::Closed(1000, "Inactivity timeout".to_owned());
        let over = Next::Over(SonicEnd::Ended("Inactivity timeout".to_owned()));
        assert_eq!(comeback.next(now, ended), over);
        assert_eq!(comeback.next(now, Left::Gone), Next::Gone);
        assert!(matches!(comeback.next(now, Left::Refused(400)), Next::Over(SonicEnd::Lost(_))));
        assert_eq!(comeback.next(now, Left::Refused(503)), Next::Again(FIRST));
        assert_eq!(comeback.next(now, Left::Refused(409)), Next::Again(Duration::ZERO));
        assert_eq!(comeback.query(), "sessionId=connect-1-2");
        let late = now + BEGIN;
        assert!(matches!(comeback.next(late, Left::Refused(503)), Next::Over(SonicEnd::Lost(_))));
    }

    #[test]
    fn what_matters_of_the_servers_messages_is_read() {
        let mut comeback = Comeback::new("connect-1", Instant::now());
        let line =
            r#"{"type":"transcript","id":"a","role":"assistant","text":"Hi","isFinal":true}"#;
        assert_eq!(
            comeback.read(line),
            Some(FromSonic::Line { id: "a".into(), text: "Hi".into(), is_final: true })
        );
        let transfer = r#"{"type":"transferToAgent","reason":"r","summary":"s",
            "attributes":{"accountId":"4021","n":3}}"#;
        let attributes = vec![("accountId".into(), "4021".into()), ("n".into(), "3".into())];
        let handover = Handover { reason: "r".into(), summary: "s".into(), attributes };
        assert_eq!(comeback.read(transfer), Some(FromSonic::Transfer(handover)));
        assert_eq!(comeback.read(r#"{"type":"interruption"}"#), Some(FromSonic::Interrupted));
        let ended = FromSonic::TurnEnded { model: Duration::from_millis(640) };
        let latency = r#"{"type":"latency_update","ttft_ms":640,"latency_ms":900}"#;
        assert_eq!(comeback.read(latency), Some(ended));
        for other in [r#"{"type":"transcript","role":"user","text":"x"}"#, "{}", "no json", "[]"] {
            assert_eq!(comeback.read(other), None, "{other}");
        }
    }
}
