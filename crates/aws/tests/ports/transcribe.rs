//! Amazon Transcribe Streaming: the clock of 15 seconds, the limits, the credentials.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use voice_aws::{Credentials, PersonalData, TranscribeConfig, TranscribePort};
use voice_call::transcription::{
    Channels, Language, TranscriptionFaultKind as Kind, TranscriptionPort, TranscriptionRequest,
    TranscriptionStream,
};
use voice_emulator::{Emulator, EmulatorConfig};

const DEADLINE: Duration = Duration::from_secs(30);

fn emulator(change: impl FnOnce(&mut EmulatorConfig)) -> Emulator {
    let mut config = EmulatorConfig::default();
    config.clocks.scale = 10.0;
    change(&mut config);
    Emulator::start(config).unwrap()
}

async fn port(emulator: &Emulator, secret: &str) -> TranscribePort {
    let config = TranscribeConfig {
        region: "eu-west-1".into(),
        endpoint: Some(emulator.endpoint()),
        credentials: Credentials::Keys {
            access_key_id: voice_emulator::ACCESS_KEY_ID.into(),
            secret_access_key: secret.into(),
            session_token: None,
        },
        stability: Some("high".into()),
        vocabulary: Some("bank".into()),
        filter: Some(("rude".into(), "mask".into())),
        personal_data: PersonalData::Identify,
        entity_types: Some("PIN".into()),
    };
    TranscribePort::new(config).await.unwrap()
}

fn request() -> TranscriptionRequest {
    TranscriptionRequest {
        rate: 16_000,
        channels: Channels::Caller,
        language: Language::Known("en-GB".into()),
    }
}

async fn open(emulator: &Emulator) -> Result<TranscriptionStream, Kind> {
    let port = port(emulator, voice_emulator::SECRET_ACCESS_KEY).await;
    port.open(request()).await.map_err(|fault| fault.kind)
}

/// How a stream ends by itself: with a fault, or in order.
async fn end(stream: &mut TranscriptionStream) -> Option<Kind> {
    let ended = async {
        while let Some(item) = stream.receiver.next().await {
            if let Err(fault) = item {
                assert!(stream.receiver.next().await.is_none(), "nothing follows a fault");
                return Some(fault.kind);
            }
        }
        None
    };
    tokio::time::timeout(DEADLINE, ended).await.expect("an end")
}

#[tokio::test]
async fn fifteen_seconds_without_audio_end_a_stream() {
    let emulator = emulator(|_| ());
    let mut stream = open(&emulator).await.unwrap();
    stream.sender.send(Bytes::from(vec![0; 3_200])).unwrap();
    assert_eq!(end(&mut stream).await, Some(Kind::Expired));
}

#[tokio::test]
async fn four_hours_end_a_stream_that_is_fed() {
    let emulator = emulator(|config| config.transcribe.longest = Duration::from_secs(5));
    let mut stream = open(&emulator).await.unwrap();
    let (mut sender, quiet) = (stream.sender, Bytes::from(vec![0; 3_200]));
    stream.sender = Box::new(Nobody);
    let feeding = tokio::spawn(async move {
        while sender.send(quiet.clone()).is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(end(&mut stream).await, Some(Kind::Expired));
    feeding.await.unwrap();
}

struct Nobody;

impl voice_call::transcription::AudioSender for Nobody {
    fn send(&mut self, _: Bytes) -> Result<(), voice_call::port::SendRefused> {
        Err(voice_call::port::SendRefused::Closed)
    }
}

#[tokio::test]
async fn the_end_of_the_audio_ends_the_stream_in_order() {
    let emulator = emulator(|config| config.transcribe.idle = Duration::from_secs(600));
    let mut stream = open(&emulator).await.unwrap();
    stream.sender.send(Bytes::from(vec![0; 3_200])).unwrap();
    stream.sender = Box::new(Nobody);
    assert_eq!(end(&mut stream).await, None);
    assert_eq!(emulator.observer().transcriptions().heard_bytes(), 3_200);
}

#[tokio::test]
async fn more_streams_than_the_account_has_are_refused() {
    let emulator = emulator(|config| {
        config.transcribe.streams = 1;
        config.transcribe.idle = Duration::from_secs(600);
    });
    let first = open(&emulator).await.unwrap();
    assert_eq!(open(&emulator).await.err(), Some(Kind::Limit));
    drop(first);
    let opened = tokio::time::timeout(DEADLINE, async {
        while open(&emulator).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    opened.await.expect("there is room again");
}

#[tokio::test]
async fn wrong_keys_are_denied_and_not_tried_again() {
    let emulator = emulator(|_| ());
    let fault = port(&emulator, "wrong").await.open(request()).await.err().expect("a refusal");
    assert_eq!(fault.kind, Kind::Denied, "{fault}");
    assert!(!fault.kind.passes());
}

#[tokio::test]
async fn a_frame_too_big_is_a_wrong_request() {
    let emulator = emulator(|_| ());
    let mut stream = open(&emulator).await.unwrap();
    stream.sender.send(Bytes::from(vec![0; 80_000])).unwrap();
    assert_eq!(end(&mut stream).await, Some(Kind::Invalid));
}

#[tokio::test]
async fn nobody_there_is_a_matter_of_transport() {
    let emulator = emulator(|_| ());
    let port = port(&emulator, voice_emulator::SECRET_ACCESS_KEY).await;
    emulator.shutdown();
    let fault = port.open(request()).await.err().expect("nobody");
    assert_eq!(fault.kind, Kind::Transport, "{fault}");
    assert!(fault.to_string().contains("refused"), "{fault}");
}
