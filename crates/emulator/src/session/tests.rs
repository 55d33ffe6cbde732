//! `run` as the front sees it: events into one channel, frames out of the other.
//!
//! Where nobody speaks the clock is paused and jumps; where Pico speaks it is real, and nothing
//! is waited for but the next message.

mod spoken;

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::config::{Clocks, EmulatorConfig};
use crate::observe::Observer;

/// The client's end of a stream.
struct Client {
    events: Option<mpsc::Sender<Inbound>>,
    out: mpsc::Receiver<Outbound>,
    observer: Observer,
}

impl Client {
    fn connect(config: EmulatorConfig) -> Self {
        Self::connect_to(Generation::V2, config)
    }

    fn connect_to(model: Generation, config: EmulatorConfig) -> Self {
        let observer = Observer::new(config.record);
        let record = observer.open(1, "rid".into(), "model".into(), http::Version::HTTP_2);
        let world = Arc::new(World::new(config, observer.clone()).unwrap());
        let (events, inbound) = mpsc::channel(16);
        let (outbound, out) = mpsc::channel(4);
        tokio::spawn(run(model, inbound, outbound, world, record));
        Self { events: Some(events), out, observer }
    }

    /// Sends an event; `false` if the service no longer reads.
    async fn send(&self, event: Value) -> bool {
        let json = json!({"event": event}).to_string();
        match &self.events {
            Some(events) => events.send(Inbound::Event(json.into())).await.is_ok(),
            None => false,
        }
    }

    /// Up to the open audio content.
    async fn open(&self, output_hz: u32) {
        self.send(json!({"sessionStart": {}})).await;
        self.send(json!({"promptStart": {
            "promptName": "p", "audioOutputConfiguration": {
                "mediaType": "audio/lpcm", "sampleRateHertz": output_hz, "voiceId": "amy"},
        }}))
        .await;
        self.send(json!({"contentStart": {
            "promptName": "p", "contentName": "s", "type": "TEXT", "role": "SYSTEM",
            "textInputConfiguration": {"mediaType": "text/plain"},
        }}))
        .await;
        self.send(json!({"textInput": {
            "promptName": "p", "contentName": "s", "content": "Be kind."}}))
            .await;
        self.send(json!({"contentEnd": {"promptName": "p", "contentName": "s"}})).await;
        self.send(json!({"contentStart": {
            "promptName": "p", "contentName": "a", "type": "AUDIO", "interactive": true,
            "role": "USER", "audioInputConfiguration": {
                "mediaType": "audio/lpcm", "sampleRateHertz": 16_000},
        }}))
        .await;
    }

    /// PCM16 at 16 kHz, in one event.
    async fn audio(&self, pcm: &[u8]) -> bool {
        let content = STANDARD.encode(pcm);
        self.send(json!({"audioInput": {
            "promptName": "p", "contentName": "a", "content": content}}))
            .await
    }

    async fn silence(&self, ms: usize) -> bool {
        self.audio(&vec![0; ms * 32]).await
    }

    async fn end(&mut self) {
        self.send(json!({"contentEnd": {"promptName": "p", "contentName": "a"}})).await;
        self.send(json!({"promptEnd": {"promptName": "p"}})).await;
        self.send(json!({"sessionEnd": {}})).await;
        if let Some(events) = self.events.take() {
            // A service that has ended already reads no more.
            let _ = events.send(Inbound::End).await;
        }
    }

    /// The next message, which must come.
    async fn next(&mut self) -> Option<Outbound> {
        tokio::time::timeout(Duration::from_secs(3_600), self.out.recv()).await.unwrap()
    }

    /// Everything until the stream ends.
    async fn rest(&mut self) -> VecDeque<Outbound> {
        let mut rest = VecDeque::new();
        while let Some(outbound) = self.next().await {
            rest.push_back(outbound);
        }
        rest
    }

    /// The exception the stream ends with.
    async fn exception(&mut self) -> Exception {
        let mut rest = self.rest().await;
        assert!(matches!(rest.pop_back(), Some(Outbound::End)), "{rest:?}");
        match rest.pop_back() {
            Some(Outbound::Exception(exception)) => exception,
            other => panic!("{other:?}"),
        }
    }

    fn reason(&self) -> String {
        self.observer.sessions()[0].end.clone().unwrap_or_default()
    }
}

fn echo() -> EmulatorConfig {
    EmulatorConfig { echo: true, ..EmulatorConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_is_told_after_55_seconds() {
    let mut client = Client::connect(EmulatorConfig::default());
    let start = Instant::now();
    client.open(24_000).await;
    let exception = client.exception().await;
    assert_eq!(start.elapsed().as_secs(), 55);
    assert_eq!(exception.kind, ExceptionKind::Validation);
    let words = "RequestId=rid : InternalErrorCode=532::Timed out waiting for audio bytes or";
    assert!(exception.message.starts_with(words), "{}", exception.message);
}

#[tokio::test(start_paused = true)]
async fn silence_keeps_the_stream_until_the_connection_is_too_old() {
    let mut client = Client::connect(EmulatorConfig::default());
    let start = Instant::now();
    client.open(24_000).await;
    while client.silence(32).await {
        tokio::time::sleep(Duration::from_secs(50)).await;
    }
    let exception = client.exception().await;
    assert_eq!(exception.kind, ExceptionKind::ModelTimeout);
    assert!(start.elapsed() >= Duration::from_secs(480));
    assert!(client.reason().starts_with("modelTimeoutException"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_caller_is_dropped_where_that_rule_is_on() {
    let clocks = Clocks { silent_user: Some(Duration::from_secs(175)), ..Clocks::default() };
    let mut client = Client::connect(EmulatorConfig { clocks, ..EmulatorConfig::default() });
    client.open(24_000).await;
    while client.silence(32).await {
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let exception = client.exception().await;
    assert!(exception.message.contains("InternalErrorCode=531::"), "{}", exception.message);
}

#[tokio::test(start_paused = true)]
async fn the_clocks_run_while_a_client_does_not_read() {
    let mut client = Client::connect(echo());
    client.open(16_000).await;
    // Nothing is read: the queues fill, the service stops reading in its turn, and calls the
    // stream idle. It waits a little for a reader of its last words, and is gone.
    let start = Instant::now();
    while client.silence(32).await {}
    assert_eq!(start.elapsed(), Duration::from_secs(55) + LAST_WORDS);
    assert!(client.reason().contains("InternalErrorCode=532::"), "{}", client.reason());
    assert!(client.rest().await.len() <= 4);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_waits_for_the_end_of_input_and_not_for_ever() {
    let mut client = Client::connect(echo());
    client.open(16_000).await;
    client.silence(32).await;
    client.end().await;
    assert!(matches!(client.rest().await.back(), Some(Outbound::End)));
    assert_eq!(client.reason(), "ended in order");

    let mut client = Client::connect(echo());
    client.open(16_000).await;
    client.silence(32).await;
    client.send(json!({"contentEnd": {"promptName": "p", "contentName": "a"}})).await;
    client.send(json!({"promptEnd": {"promptName": "p"}})).await;
    client.send(json!({"sessionEnd": {}})).await;
    let start = Instant::now();
    assert!(matches!(client.rest().await.back(), Some(Outbound::End)));
    assert_eq!(start.elapsed().as_secs(), 1);
    assert_eq!(client.reason(), "ended in order; the client kept its input open");
}

#[tokio::test(start_paused = true)]
async fn input_that_ends_early_ends_the_stream() {
    let mut client = Client::connect(EmulatorConfig::default());
    client.open(16_000).await;
    client.events = None;
    assert!(matches!(client.rest().await.back(), Some(Outbound::End)));
    assert_eq!(client.reason(), "the client ended its input without sessionEnd");
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_none_is_refused_in_its_own_words() {
    let mut client = Client::connect(EmulatorConfig::default());
    let events = client.events.take().unwrap();
    events.send(Inbound::Malformed("bad signature".into())).await.unwrap();
    let exception = client.exception().await;
    assert_eq!(exception, Exception::validation("RequestId=rid : bad signature"));
}

#[tokio::test(start_paused = true)]
async fn the_session_ends_when_its_front_is_gone() {
    let client = Client::connect(echo());
    client.open(16_000).await;
    drop(client.out);
    let events = client.events.unwrap();
    tokio::time::timeout(Duration::from_secs(1), events.closed()).await.unwrap();
}
