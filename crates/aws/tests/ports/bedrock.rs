//! The port to Bedrock against the emulator: the real SDK, real sockets, the real wire.

#![expect(clippy::expect_used, reason = "a test's helpers fail by panicking, as tests do")]

use std::{io::Read, net::TcpListener, path::PathBuf, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};
use voice_aws::{BedrockConfig, BedrockPort, Credentials};
use voice_call::{FaultKind, SonicPort, SonicStream, StreamFault, port::SendRefused};
use voice_emulator::{
    ACCESS_KEY_ID, Clocks, Emulator, EmulatorConfig, ExceptionKind, Fault, FaultKind as Injected,
    FaultMoment, FaultScope, Refusal, ResponseHead, SECRET_ACCESS_KEY,
};

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn keys() -> Credentials {
    Credentials::Keys {
        access_key_id: ACCESS_KEY_ID.into(),
        secret_access_key: SECRET_ACCESS_KEY.into(),
        session_token: None,
    }
}

fn config(endpoint: impl Into<String>) -> BedrockConfig {
    BedrockConfig {
        credentials: keys(),
        endpoint: Some(endpoint.into()),
        ..BedrockConfig::new("us-east-1", "amazon.nova-2-sonic-v1:0")
    }
}

fn emulator(config: EmulatorConfig) -> Emulator {
    Emulator::start(config).expect("the emulator starts")
}

fn with_fault(fault: Fault) -> Emulator {
    emulator(EmulatorConfig { faults: vec![fault], ..EmulatorConfig::default() })
}

async fn port(config: BedrockConfig) -> BedrockPort {
    BedrockPort::new(config).await.expect("a port")
}

fn event(name: &str, fields: Value) -> Bytes {
    json!({"event": {name: fields}}).to_string().into()
}

/// Session start, prompt start, the system prompt, and an open audio container.
fn opening() -> Vec<Bytes> {
    let text = json!({"mediaType": "text/plain"});
    vec![
        event(
            "sessionStart",
            json!({"inferenceConfiguration": {"maxTokens": 1024, "topP": 0.9, "temperature": 0.7}}),
        ),
        event(
            "promptStart",
            json!({"promptName": "p", "textOutputConfiguration": text,
                "audioOutputConfiguration": {"mediaType": "audio/lpcm", "sampleRateHertz": 24000,
                    "sampleSizeBits": 16, "channelCount": 1, "voiceId": "matthew",
                    "encoding": "base64", "audioType": "SPEECH"}}),
        ),
        event(
            "contentStart",
            json!({"promptName": "p", "contentName": "system", "type": "TEXT", "interactive": false,
                "role": "SYSTEM", "textInputConfiguration": text}),
        ),
        event(
            "textInput",
            json!({"promptName": "p", "contentName": "system", "content": "You are helpful."}),
        ),
        event("contentEnd", json!({"promptName": "p", "contentName": "system"})),
        event(
            "contentStart",
            json!({"promptName": "p", "contentName": "audio", "type": "AUDIO", "interactive": true,
                "role": "USER", "audioInputConfiguration": {"mediaType": "audio/lpcm",
                    "sampleRateHertz": 16000, "sampleSizeBits": 16, "channelCount": 1,
                    "audioType": "SPEECH", "encoding": "base64"}}),
        ),
    ]
}

/// `ms` milliseconds of silence as one event; PCM zeros are the letter A in base64.
fn silence(ms: usize) -> Bytes {
    let base64 = "A".repeat((ms * 32).div_ceil(3) * 4);
    event("audioInput", json!({"promptName": "p", "contentName": "audio", "content": base64}))
}

/// The audio that must precede typed text, and the text (`nova-sonic.md` §2.7).
fn typed(text: &str) -> Vec<Bytes> {
    vec![
        // 96 ms: a whole number of base64 groups.
        silence(96),
        event(
            "contentStart",
            json!({"promptName": "p", "contentName": "typed", "type": "TEXT", "interactive": true,
                "role": "USER", "textInputConfiguration": {"mediaType": "text/plain"}}),
        ),
        event("textInput", json!({"promptName": "p", "contentName": "typed", "content": text})),
        event("contentEnd", json!({"promptName": "p", "contentName": "typed"})),
    ]
}

fn name_of(event: &Bytes) -> String {
    let value: Value = serde_json::from_slice(event).expect("JSON");
    let names = value["event"].as_object().expect("an event");
    names.keys().next().expect("a name").clone()
}

/// Reads until an event of that name, a fault or the end.
async fn read_until(stream: &mut SonicStream, name: &str) -> Result<Bytes, Option<StreamFault>> {
    let reading = async {
        loop {
            match stream.receiver.next().await {
                Some(Ok(event)) if name_of(&event) == name => return Ok(event),
                Some(Ok(_)) => {}
                Some(Err(fault)) => return Err(Some(fault)),
                None => return Err(None),
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time")
}

/// The fault that ends a stream whose opening is followed by `events`.
async fn fault_after(emulator: &Emulator, events: Vec<Bytes>) -> Option<StreamFault> {
    let mut stream = match port(config(emulator.endpoint())).await.open(opening()).await {
        Ok(stream) => stream,
        Err(fault) => return Some(fault),
    };
    for event in events {
        // It may be refused: the fault may have come already.
        let _ = stream.sender.send(event);
    }
    let fault = read_until(&mut stream, "no such event").await.expect_err("no such event");
    assert!(stream.receiver.next().await.is_none(), "nothing follows a fault");
    fault
}

async fn answers_typed_text(config: BedrockConfig) {
    let mut stream = port(config).await.open(opening()).await.expect("opened");
    for event in typed("hello") {
        stream.sender.send(event).expect("taken");
    }
    read_until(&mut stream, "audioOutput").await.expect("the assistant speaks");
}

#[tokio::test]
async fn typed_text_is_answered_over_http1() {
    let emulator = emulator(EmulatorConfig::default());
    answers_typed_text(config(emulator.endpoint())).await;
}

#[tokio::test]
async fn typed_text_is_answered_over_tls_and_http2() {
    let listen = Some(([127, 0, 0, 1], 0).into());
    let emulator = emulator(EmulatorConfig { tls_listen: listen, ..EmulatorConfig::default() });
    let ca = TempFile::new("ca.pem", emulator.ca_pem());
    let endpoint = emulator.tls_endpoint().expect("TLS was asked for");
    let trusting = BedrockConfig { extra_ca: Some(ca.0.clone()), ..config(&endpoint) };
    answers_typed_text(trusting).await;
    let fault =
        port(config(endpoint)).await.open(opening()).await.map(drop).expect_err("unknown CA");
    assert_eq!(fault.kind, FaultKind::Transport, "{fault}");
    assert!(fault.message.contains("UnknownIssuer"), "{fault}");
}

#[tokio::test]
async fn the_opening_is_on_its_way_before_the_head_is_awaited() {
    for head in [
        ResponseHead::Immediately,
        ResponseHead::AfterPromptStart,
        ResponseHead::AfterFirstContentEnd,
    ] {
        let emulator = emulator(EmulatorConfig { head, ..EmulatorConfig::default() });
        let opened = port(config(emulator.endpoint())).await.open(opening()).await;
        assert!(opened.is_ok(), "{head:?}: {:?}", opened.err());
    }
}

#[tokio::test]
async fn refusals_at_the_door_are_sorted() {
    let cases = [
        (Refusal::Throttling, FaultKind::Throttled),
        (Refusal::AccessDenied, FaultKind::AccessDenied),
        (Refusal::QuotaExceeded, FaultKind::Throttled),
        (Refusal::ModelNotReady, FaultKind::Service),
        (Refusal::InternalServer, FaultKind::Service),
        (Refusal::ServiceUnavailable, FaultKind::Unavailable),
        (Refusal::ExpiredToken, FaultKind::ExpiredCredentials),
    ];
    for (refusal, kind) in cases {
        let emulator = with_fault(Fault::at_open(Injected::Refuse(refusal)));
        let opened = port(config(emulator.endpoint())).await.open(opening()).await;
        let fault = opened.map(drop).expect_err("refused");
        assert_eq!(fault.kind, kind, "{refusal:?}: {fault}");
        assert_eq!(emulator.observer().refused().len(), 1, "{refusal:?} was retried");
    }
}

#[tokio::test]
async fn exceptions_in_the_stream_are_sorted() {
    let cases = [
        (ExceptionKind::InternalServer, "boom", FaultKind::Service),
        (ExceptionKind::ModelStreamError, "boom", FaultKind::Service),
        (ExceptionKind::Validation, "Duplicate prompt name: p", FaultKind::Invalid),
        (
            ExceptionKind::Validation,
            "RequestId=1 : InternalErrorCode=532::Timed out waiting for audio bytes",
            FaultKind::Idle,
        ),
        (
            ExceptionKind::Validation,
            "This request has been blocked by our content filters.",
            FaultKind::ContentFilter,
        ),
        (ExceptionKind::Throttling, "slow down", FaultKind::Throttled),
        (ExceptionKind::ModelTimeout, "Model has timed out", FaultKind::ModelTimeout),
        (ExceptionKind::ServiceUnavailable, "later", FaultKind::Unavailable),
    ];
    for (kind, message, expected) in cases {
        let emulator = with_fault(Fault {
            moment: FaultMoment::AfterEvents(8),
            kind: Injected::Exception { kind, message: message.into() },
            scope: FaultScope::Every,
        });
        let fault = fault_after(&emulator, vec![silence(96); 4]).await.expect("a fault");
        assert_eq!(fault.kind, expected, "{fault}");
        assert!(fault.message.contains(message), "{fault}");
    }
}

#[tokio::test]
async fn broken_transports_are_sorted() {
    // A frame of 32 bytes by its own account, with checksums that do not hold. (A decoder that is
    // told of gigabytes waits for them, and only a clock can tell that from silence.)
    let garbage = [&[0, 0, 0, 32, 0, 0, 0, 0][..], &[0xAB; 24]].concat();
    let cases = [
        (Injected::CutConnection, Some(FaultKind::Transport)),
        (Injected::ResetStream, Some(FaultKind::Transport)),
        (Injected::Garbage(garbage), Some(FaultKind::Undecodable)),
        (Injected::SilentEnd, None),
    ];
    for (kind, expected) in cases {
        let label = format!("{kind:?}");
        let emulator = with_fault(Fault {
            moment: FaultMoment::AfterEvents(8),
            kind,
            scope: FaultScope::Every,
        });
        let fault = fault_after(&emulator, vec![silence(96); 4]).await;
        let there = emulator.observer().sessions();
        assert_eq!(fault.as_ref().map(|f| f.kind), expected, "{label}: {fault:?} {there:?}");
    }
}

#[tokio::test]
async fn an_unknown_event_does_not_end_the_stream() {
    let emulator = with_fault(Fault {
        moment: FaultMoment::AfterEvents(7),
        kind: Injected::UnknownEvent,
        scope: FaultScope::Every,
    });
    answers_typed_text(config(emulator.endpoint())).await;
}

#[tokio::test]
async fn a_model_that_does_not_exist_is_told_apart() {
    let emulator = emulator(EmulatorConfig::default());
    let config = BedrockConfig { model_id: "amazon.none".into(), ..config(emulator.endpoint()) };
    let fault = port(config).await.open(opening()).await.map(drop).expect_err("no such model");
    assert!(matches!(fault.kind, FaultKind::NotFound | FaultKind::Invalid), "{fault}");
}

#[tokio::test]
async fn wrong_keys_are_an_access_problem() {
    let emulator = emulator(EmulatorConfig::default());
    let credentials = Credentials::Keys {
        access_key_id: ACCESS_KEY_ID.into(),
        secret_access_key: "wrong".into(),
        session_token: None,
    };
    let config = BedrockConfig { credentials, ..config(emulator.endpoint()) };
    let fault = port(config).await.open(opening()).await.map(drop).expect_err("wrong key");
    assert_eq!(fault.kind, FaultKind::AccessDenied, "{fault}");
}

#[tokio::test]
async fn a_head_that_never_comes_is_an_open_timeout_and_leaves_nothing() {
    let emulator = with_fault(Fault::at_open(Injected::HangHead));
    let config =
        BedrockConfig { open_deadline: Duration::from_millis(300), ..config(emulator.endpoint()) };
    let fault = port(config).await.open(opening()).await.map(drop).expect_err("no head");
    assert_eq!(fault.kind, FaultKind::OpenTimeout, "{fault}");
    emulator.observer().wait_until_idle(PATIENCE).await.expect("the request was cancelled");
}

#[tokio::test]
async fn nobody_at_the_endpoint_is_a_transport_fault() {
    let port_number = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let port = port(config(format!("http://127.0.0.1:{port_number}"))).await;
    let fault = port.open(opening()).await.map(drop).expect_err("nobody there");
    assert_eq!(fault.kind, FaultKind::Transport, "{fault}");
}

#[tokio::test]
async fn dropping_both_halves_cancels_the_stream() {
    let emulator = emulator(EmulatorConfig::default());
    let stream = port(config(emulator.endpoint())).await.open(opening()).await.expect("opened");
    let observer = emulator.observer();
    observer.wait_for(|s| s.iter().any(|s| s.open), PATIENCE).await.expect("open there");
    drop(stream);
    observer.wait_until_idle(PATIENCE).await.expect("closed there");
}

#[tokio::test]
async fn dropping_a_request_that_waits_for_its_head_cancels_it() {
    let emulator = with_fault(Fault::at_open(Injected::HangHead));
    let port = port(config(emulator.endpoint())).await;
    let mut opening = Box::pin(port.open(opening()));
    let observer = emulator.observer().clone();
    tokio::select! {
        _ = &mut opening => panic!("there is no head"),
        seen = observer.wait_for(|s| s.iter().any(|s| s.open), PATIENCE) => {
            seen.expect("the request arrives");
        }
    }
    drop(opening);
    observer.wait_until_idle(PATIENCE).await.expect("cancelled there");
}

#[tokio::test]
async fn each_stream_has_its_own_connection_so_a_stream_limit_does_not_hang() {
    let emulator = emulator(EmulatorConfig {
        tls_listen: Some(([127, 0, 0, 1], 0).into()),
        max_concurrent_streams: Some(1),
        ..EmulatorConfig::default()
    });
    let ca = TempFile::new("ca-limit.pem", emulator.ca_pem());
    let endpoint = emulator.tls_endpoint().expect("TLS was asked for");
    let config = BedrockConfig { extra_ca: Some(ca.0.clone()), ..config(endpoint) };
    let port = port(config).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(port.open(opening()).await.expect("opened"));
    }
    assert_eq!(emulator.observer().opened(), 3);
}

#[tokio::test]
async fn closing_the_sender_ends_the_input_in_order() {
    let emulator = emulator(EmulatorConfig {
        clocks: Clocks { idle: PATIENCE, ..Clocks::default() },
        ..EmulatorConfig::default()
    });
    let SonicStream { mut sender, mut receiver, .. } =
        port(config(emulator.endpoint())).await.open(opening()).await.expect("opened");
    for event in [
        silence(96),
        event("contentEnd", json!({"promptName": "p", "contentName": "audio"})),
        event("promptEnd", json!({"promptName": "p"})),
        event("sessionEnd", json!({})),
    ] {
        sender.send(event).expect("taken");
    }
    drop(sender);
    let rest = async { while receiver.next().await.transpose().expect("no fault").is_some() {} };
    tokio::time::timeout(PATIENCE, rest).await.expect("the service ends the stream");
}

#[tokio::test]
async fn a_connection_lost_in_mid_stream_is_a_transport_fault() {
    let (endpoint, service) = deaf_service();
    let mut stream = port(config(endpoint)).await.open(opening()).await.expect("opened");
    drop(service.join().expect("the service answered"));
    let fault = read_until(&mut stream, "no such event").await.expect_err("lost");
    assert_eq!(fault.map(|fault| fault.kind), Some(FaultKind::Transport));
}

/// A service that answers with a head and then stops reading.
fn deaf_service() -> (String, std::thread::JoinHandle<std::net::TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let thread = std::thread::spawn(move || {
        use std::io::Write;
        let (mut peer, _) = listener.accept().expect("a connection");
        let _ = peer.read(&mut [0; 1024]).expect("the request's head");
        peer.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n\
              transfer-encoding: chunked\r\n\r\n",
        )
        .expect("written");
        peer
    });
    (endpoint, thread)
}

#[tokio::test]
async fn a_service_that_stops_reading_stalls_the_stream_and_can_still_be_left() {
    let (endpoint, service) = deaf_service();
    let config = BedrockConfig { max_unsent_age: Duration::from_millis(100), ..config(endpoint) };
    let mut stream = port(config).await.open(opening()).await.expect("opened");
    let mut peer = service.join().expect("the service answered");
    let audio = silence(480);
    let stalled = async {
        loop {
            match stream.sender.send(audio.clone()) {
                Ok(()) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(refused) => return refused,
            }
        }
    };
    let refused = tokio::time::timeout(PATIENCE, stalled).await.expect("it stalls");
    assert_eq!(refused, SendRefused::Stalled);
    assert!(stream.receiver.next().now_or_never().is_none(), "the service said nothing");
    drop(stream);
    // The connection is closed although the service never read: what is buffered ends.
    let drained = tokio::task::spawn_blocking(move || {
        peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut buffer = [0; 65_536];
        loop {
            match peer.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    });
    assert!(drained.await.expect("no panic"), "the connection is closed");
}

#[tokio::test]
async fn given_keys_count_as_credentials() {
    assert!(port(config("http://127.0.0.1:1")).await.has_credentials().await);
}

/// A file that goes away with the test.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("voice-aws-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("a writable temporary folder");
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
