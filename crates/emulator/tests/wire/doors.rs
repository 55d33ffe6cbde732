//! Who gets in: signatures, models, paths, and refusals on purpose.

use aws_sdk_bedrockruntime::config::Credentials;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use voice_emulator::{ACCESS_KEY_ID, EmulatorConfig, Fault, FaultKind, Refusal, SECRET_ACCESS_KEY};

use crate::support::*;

async fn refused_with(config: EmulatorConfig, credentials: Credentials) -> (u16, String) {
    let emulator = start(config);
    let client = client(emulator.endpoint(), credentials, None);
    let error = open(&client).await.err().expect("the stream was opened");
    assert_eq!(emulator.observer().opened(), 0);
    assert_eq!(emulator.observer().refused().len(), 1);
    refusal(&error)
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    let credentials = Credentials::new(ACCESS_KEY_ID, "wrong", None, None, "test");
    assert_eq!(
        refused_with(EmulatorConfig::default(), credentials).await,
        (403, "InvalidSignatureException".to_owned())
    );
}

#[tokio::test]
async fn an_unknown_key_is_refused() {
    let credentials = Credentials::new("AKIAOTHER", SECRET_ACCESS_KEY, None, None, "test");
    assert_eq!(
        refused_with(EmulatorConfig::default(), credentials).await,
        (403, "UnrecognizedClientException".to_owned())
    );
}

#[tokio::test]
async fn a_session_token_is_tolerated() {
    let emulator = start(EmulatorConfig::default());
    let token = Some("token".to_owned());
    let credentials = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, token, None, "test");
    let client = client(emulator.endpoint(), credentials, None);
    open(&client).await.unwrap();
}

#[tokio::test]
async fn nothing_is_checked_when_checking_is_off() {
    let emulator = start(EmulatorConfig { verify_signatures: false, ..EmulatorConfig::default() });
    let credentials = Credentials::new("AKIAOTHER", "wrong", None, None, "test");
    let client = client(emulator.endpoint(), credentials, None);
    open(&client).await.unwrap();
}

#[tokio::test]
async fn an_unknown_model_is_not_found() {
    let emulator = start(EmulatorConfig::default());
    let (sender, head) = begin(&plain_client(&emulator), "amazon.nova-9-sonic-v1:0");
    sender.send(session_start()).await;
    let error = within(head).await.unwrap().unwrap_err();
    assert_eq!(refusal(&error), (404, "ResourceNotFoundException".to_owned()));
}

#[tokio::test]
async fn another_path_is_answered_with_json() {
    let emulator = start(EmulatorConfig::default());
    let address = emulator.endpoint().replace("http://", "");
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = "GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(socket.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.contains("x-amzn-errortype: UnknownOperationException"), "{answer}");
    assert!(answer.contains("x-amzn-requestid: "), "{answer}");
    assert!(answer.ends_with("}"), "{answer}");
}

#[tokio::test]
async fn refusals_strike_as_often_as_told() {
    let fault = Fault::at_open(FaultKind::Refuse(Refusal::Throttling)).first(1);
    let emulator = start(EmulatorConfig { faults: vec![fault], ..EmulatorConfig::default() });
    let client = plain_client(&emulator);
    let error = open(&client).await.err().unwrap();
    assert_eq!(refusal(&error), (429, "ThrottlingException".to_owned()));
    open(&client).await.unwrap();
}

#[tokio::test]
async fn access_can_be_denied() {
    let fault = Fault::at_open(FaultKind::Refuse(Refusal::AccessDenied));
    let config = EmulatorConfig { faults: vec![fault], ..EmulatorConfig::default() };
    assert_eq!(
        refused_with(config, known_credentials()).await,
        (403, "AccessDeniedException".to_owned())
    );
}
