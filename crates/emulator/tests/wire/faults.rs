//! What breaks on purpose, as the SDK sees it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::types::error::InvokeModelWithBidirectionalStreamOutputError as OutputError;
use voice_emulator::{
    Emulator, EmulatorConfig, ExceptionKind, Fault, FaultKind, FaultMoment, FaultScope,
    ResponseHead,
};

use crate::support::*;

/// An emulator with one fault at the opening, and a client for each transport.
fn start_with(kind: FaultKind) -> (Emulator, [Client; 2]) {
    let emulator = start(EmulatorConfig {
        faults: vec![Fault::at_open(kind)],
        tls_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        ..EmulatorConfig::default()
    });
    let plain = plain_client(&emulator);
    let http = trusting(emulator.ca_pem());
    let tls = client(emulator.tls_endpoint().unwrap(), known_credentials(), Some(http));
    (emulator, [plain, tls])
}

#[tokio::test]
async fn an_exception_keeps_its_type_and_text() {
    let (emulator, clients) = start_with(FaultKind::Exception {
        kind: ExceptionKind::ModelTimeout,
        message: "Model has timed out in processing the request. Try your request again.".into(),
    });
    for client in &clients {
        let (_sender, mut opened) = open(client).await.unwrap();
        let error = receive(&mut opened).await.unwrap_err().into_service_error();
        let OutputError::ModelTimeoutException(exception) = error else {
            panic!("another error: {error:?}");
        };
        assert!(exception.message().unwrap().starts_with("Model has timed out"));
        assert_eq!(receive(&mut opened).await.unwrap(), None);
    }
    emulator.observer().wait_until_idle(DEADLINE).await.unwrap();
    for session in emulator.observer().sessions() {
        assert_eq!(session.sent("modelTimeoutException"), 1);
        assert!(session.end.unwrap().starts_with("modelTimeoutException: Model has timed out"));
    }
}

#[tokio::test]
async fn a_reset_stream_and_a_cut_connection_are_errors_without_an_answer() {
    for kind in [FaultKind::ResetStream, FaultKind::CutConnection] {
        let (emulator, clients) = start_with(kind);
        for client in &clients {
            let error = open(client).await.err().expect("there was a head");
            assert!(error.raw_response().is_none(), "{error:?}");
        }
        emulator.observer().wait_until_idle(DEADLINE).await.unwrap();
    }
}

#[tokio::test]
async fn garbage_is_an_error_of_the_stream() {
    let (_emulator, clients) = start_with(FaultKind::Garbage(vec![0x2a; 64]));
    for client in &clients {
        let (_sender, mut opened) = open(client).await.unwrap();
        receive(&mut opened).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_silent_end_is_an_end() {
    let (_emulator, clients) = start_with(FaultKind::SilentEnd);
    for client in &clients {
        let (_sender, mut opened) = open(client).await.unwrap();
        assert_eq!(receive(&mut opened).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_unknown_event_comes_through_and_the_stream_goes_on() {
    let (emulator, clients) = start_with(FaultKind::UnknownEvent);
    for client in &clients {
        let (_sender, mut opened) = open(client).await.unwrap();
        let event = receive(&mut opened).await.unwrap().unwrap();
        assert!(event["event"]["unheardOf"].is_object());
        assert_eq!(emulator.observer().open_streams(), 1);
        drop((_sender, opened));
        emulator.observer().wait_until_idle(DEADLINE).await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_stops_reading_holds_its_client_back_and_lets_go_with_it() {
    let deaf = Fault {
        moment: FaultMoment::AfterEvents(3),
        kind: FaultKind::Deaf(Duration::from_secs(3)),
        scope: FaultScope::Every,
    };
    let emulator = start(EmulatorConfig { faults: vec![deaf], ..EmulatorConfig::default() });
    let (sender, opened) = open(&plain_client(&emulator)).await.unwrap();
    let [begin, microphone, ..] = &silence()[..] else { panic!("no audio") };
    sender.send(begin.clone()).await;
    let flood = async {
        // Far more than the buffers on the way can hold.
        for _ in 0..20_000 {
            sender.send(microphone.clone()).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), flood).await.expect_err("all was taken");
    assert_eq!(emulator.observer().sessions()[0].heard_bytes, 0);
    drop((sender, opened));
    emulator.observer().wait_until_idle(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed() {
    let emulator =
        start(EmulatorConfig { head: ResponseHead::Immediately, ..EmulatorConfig::default() });
    let (sender, opened) = open(&plain_client(&emulator)).await.unwrap();
    assert_eq!(emulator.observer().open_streams(), 1);
    drop((sender, opened));
    emulator.observer().wait_until_idle(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn fifty_streams_at_once_leave_nothing_behind() {
    let emulator = start(EmulatorConfig {
        tls_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        ..EmulatorConfig::default()
    });
    let http = trusting(emulator.ca_pem());
    let clients = [
        plain_client(&emulator),
        client(emulator.tls_endpoint().unwrap(), known_credentials(), Some(http)),
    ];
    let streams = futures::future::join_all((0..50).map(|number| open(&clients[number % 2]))).await;
    assert!(streams.iter().all(Result::is_ok));
    assert_eq!(emulator.observer().open_streams(), 50);
    drop(streams);
    emulator.observer().wait_until_idle(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_open_streams_and_closes_their_records() {
    let emulator = start(EmulatorConfig::default());
    let observer = emulator.observer().clone();
    let (_sender, mut opened) = open(&plain_client(&emulator)).await.unwrap();
    assert_eq!(observer.open_streams(), 1);
    tokio::task::spawn_blocking(|| emulator.shutdown()).await.unwrap();
    assert_eq!(observer.open_streams(), 0);
    // Whatever the client sees, it sees an end.
    while let Ok(Some(_)) = receive(&mut opened).await {}
}

#[test]
fn an_emulator_starts_and_stops_outside_any_runtime() {
    let emulator = start(EmulatorConfig::default());
    assert!(emulator.endpoint().starts_with("http://127.0.0.1:"));
    assert_eq!(emulator.tls_endpoint(), None);
    emulator.shutdown();
}

#[test]
fn a_taken_port_is_said_by_name() {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listen = taken.local_addr().unwrap();
    let error = Emulator::start(EmulatorConfig { listen, ..EmulatorConfig::default() });
    assert!(error.unwrap_err().to_string().contains(&listen.to_string()));
}
