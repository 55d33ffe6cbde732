//! When the head of the response leaves, over both transports.

use std::net::{Ipv4Addr, SocketAddr};

use aws_sdk_bedrockruntime::Client;
use serde_json::Value;
use voice_emulator::{Emulator, EmulatorConfig, Fault, FaultKind, ResponseHead};

use crate::support::*;

fn start_with(head: ResponseHead) -> (Emulator, [Client; 2]) {
    let emulator = start(EmulatorConfig {
        head,
        tls_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        ..EmulatorConfig::default()
    });
    let plain = plain_client(&emulator);
    let http = trusting(emulator.ca_pem());
    let tls = client(emulator.tls_endpoint().unwrap(), known_credentials(), Some(http));
    (emulator, [plain, tls])
}

/// Sends `held` one by one; the head must not come before `releasing` was sent.
async fn head_waits_for(head: ResponseHead, held: &[Value], releasing: Value) {
    let (emulator, clients) = start_with(head);
    for (client, protocol) in clients.iter().zip(["HTTP/1.1", "HTTP/2.0"]) {
        let (sender, opened) = begin(client, MODEL);
        for event in held {
            sender.send(event.clone()).await;
        }
        let all_read = |sessions: &[voice_emulator::SessionSnapshot]| {
            let read = |session: &voice_emulator::SessionSnapshot| {
                session.received.values().sum::<u64>() == held.len() as u64
            };
            sessions.last().is_some_and(|session| session.protocol == protocol && read(session))
        };
        emulator.observer().wait_for(all_read, DEADLINE).await.unwrap();
        assert!(!opened.is_finished());
        sender.send(releasing.clone()).await;
        within(opened).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn by_default_the_head_waits_for_the_prompt() {
    head_waits_for(ResponseHead::AfterPromptStart, &[session_start()], prompt_start()).await;
}

#[tokio::test]
async fn the_head_can_wait_for_the_first_content() {
    let mut events = opening();
    let last = events.pop().unwrap();
    head_waits_for(ResponseHead::AfterFirstContentEnd, &events, last).await;
}

#[tokio::test]
async fn the_head_can_come_at_once() {
    let (_emulator, clients) = start_with(ResponseHead::Immediately);
    for client in &clients {
        let (_sender, opened) = begin(client, MODEL);
        within(opened).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_head_can_be_held_back_for_good() {
    let emulator = start(EmulatorConfig {
        faults: vec![Fault::at_open(FaultKind::HangHead)],
        ..EmulatorConfig::default()
    });
    let (sender, opened) = begin(&plain_client(&emulator), MODEL);
    for event in opening() {
        sender.send(event).await;
    }
    emulator.observer().wait_for(|sessions| sessions.len() == 1, DEADLINE).await.unwrap();
    assert!(!opened.is_finished());
    // Giving up is noticed by the emulator.
    opened.abort();
    drop(sender);
    emulator.observer().wait_until_idle(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_know_the_authority_is_refused_by_itself() {
    let (emulator, _) = start_with(ResponseHead::Immediately);
    let stranger = start(EmulatorConfig {
        tls_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        ..EmulatorConfig::default()
    });
    let http = trusting(stranger.ca_pem());
    let client = client(emulator.tls_endpoint().unwrap(), known_credentials(), Some(http));
    let (_sender, opened) = begin(&client, MODEL);
    let error = within(opened).await.unwrap().unwrap_err();
    assert!(format!("{error:?}").contains("InvalidCertificate"), "{error:?}");
}

#[tokio::test]
async fn a_stream_beyond_the_limit_waits_for_a_free_place() {
    let emulator = start(EmulatorConfig {
        head: ResponseHead::Immediately,
        tls_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        max_concurrent_streams: Some(1),
        ..EmulatorConfig::default()
    });
    let http = trusting(emulator.ca_pem());
    let client = client(emulator.tls_endpoint().unwrap(), known_credentials(), Some(http));
    let first = open(&client).await.unwrap();
    let (_sender, second) = begin(&client, MODEL);
    assert_eq!(emulator.observer().opened(), 1);
    drop(first);
    within(second).await.unwrap().unwrap();
    assert_eq!(emulator.observer().opened(), 2);
}
