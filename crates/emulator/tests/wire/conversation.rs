//! A typed turn from the opening to the orderly end, over both transports.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use voice_emulator::{Emulator, EmulatorConfig};

use crate::support::*;

/// Names of all output events, with their number, and the audio.
async fn converse(client: &aws_sdk_bedrockruntime::Client) -> (BTreeMap<String, usize>, Vec<u8>) {
    let (sender, mut opened) = open(client).await.unwrap();
    for event in silence().into_iter().chain(text_block("typed", "USER", true, "Hello")) {
        sender.send(event).await;
    }
    let mut sender = Some(sender);
    let (mut names, mut audio) = (BTreeMap::new(), Vec::new());
    while let Some(event) = receive(&mut opened).await.unwrap() {
        let (name, body) = event["event"].as_object().unwrap().iter().next().unwrap();
        *names.entry(name.clone()).or_default() += 1;
        if name == "audioOutput" {
            audio.extend(BASE64_STANDARD.decode(body["content"].as_str().unwrap()).unwrap());
        }
        let spoken = name == "contentEnd" && body["type"] == "AUDIO";
        if spoken
            && body["stopReason"] == "END_TURN"
            && let Some(sender) = sender.take()
        {
            for event in closing() {
                sender.send(event).await;
            }
        }
    }
    (names, audio)
}

async fn is_answered(emulator: &Emulator, client: &aws_sdk_bedrockruntime::Client) {
    let (names, audio) = converse(client).await;
    assert_eq!(names["completionStart"], 1);
    assert_eq!(names["completionEnd"], 1);
    assert!(names["textOutput"] >= 1);
    assert!(audio.len() > 24_000, "{} bytes of audio", audio.len());
    assert!(audio.iter().any(|&byte| byte != 0), "the audio is silence");

    emulator.observer().wait_until_idle(DEADLINE).await.unwrap();
    let session = emulator.observer().sessions().pop().unwrap();
    assert_eq!(session.received("audioInput"), 4);
    assert_eq!(session.heard_bytes, 4096);
    assert_eq!(session.received("sessionEnd"), 1);
    assert_eq!(session.sent("audioOutput") as usize, names["audioOutput"]);
}

#[tokio::test]
async fn a_typed_turn_is_answered_over_http1() {
    let emulator = start(EmulatorConfig::default());
    is_answered(&emulator, &plain_client(&emulator)).await;
}

#[tokio::test]
async fn a_typed_turn_is_answered_over_tls_with_padding() {
    let emulator = start(EmulatorConfig {
        tls_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        padding: true,
        ..EmulatorConfig::default()
    });
    let http = trusting(emulator.ca_pem());
    let client = client(emulator.tls_endpoint().unwrap(), known_credentials(), Some(http));
    is_answered(&emulator, &client).await;
}

#[tokio::test]
async fn in_echo_mode_the_audio_comes_back() {
    let emulator = start(EmulatorConfig { echo: true, ..EmulatorConfig::default() });
    let (sender, mut opened) = open(&plain_client(&emulator)).await.unwrap();
    for event in silence() {
        sender.send(event).await;
    }
    let mut bytes = 0;
    // 128 ms at 24 kHz, less what a resampler keeps.
    while bytes < 4000 {
        let event = receive(&mut opened).await.unwrap().expect("the stream ended");
        if let Some(content) = event["event"]["audioOutput"]["content"].as_str() {
            bytes += BASE64_STANDARD.decode(content).unwrap().len();
        }
    }
}
