//! Kinesis Video Streams on the wire: the SDK finds the door, and reads what Connect would write.

use std::time::Duration;

use aws_sdk_kinesisvideo::types::ApiName;
use aws_sdk_kinesisvideomedia::config::StalledStreamProtectionConfig;
use aws_sdk_kinesisvideomedia::operation::get_media::GetMediaOutput;
use aws_sdk_kinesisvideomedia::types::{StartSelector, StartSelectorType};
use voice_emulator::{
    Emulator, EmulatorConfig, FaultScope, MediaConfig, MediaFault, MediaFaultKind, MediaShape,
    MediaSource,
};

use crate::support::*;

const STREAM: &str = "bank-connect-demo-contact-1";

/// A call in which somebody counts for three seconds.
fn spoken(change: impl FnOnce(&mut MediaConfig)) -> Emulator {
    let samples = (0..24_000).map(|n| (n % 1_000) as i16).collect();
    let mut media = MediaConfig {
        sources: vec![MediaSource {
            name: STREAM.to_owned(),
            contact_id: "contact-1".to_owned(),
            samples,
            shape: MediaShape::default(),
        }],
        ..MediaConfig::default()
    };
    change(&mut media);
    // Half a minute of a call passes in a second.
    let clocks = voice_emulator::Clocks { scale: 30.0, ..Default::default() };
    start(EmulatorConfig { media, clocks, ..EmulatorConfig::default() })
}

fn control(emulator: &Emulator) -> aws_sdk_kinesisvideo::Client {
    let config = aws_sdk_kinesisvideo::Config::builder()
        .behavior_version(aws_sdk_kinesisvideo::config::BehaviorVersion::latest())
        .region(aws_sdk_kinesisvideo::config::Region::new("us-east-1"))
        .credentials_provider(known_credentials())
        .retry_config(aws_sdk_kinesisvideo::config::retry::RetryConfig::disabled())
        .endpoint_url(emulator.endpoint());
    aws_sdk_kinesisvideo::Client::from_conf(config.build())
}

async fn media(emulator: &Emulator) -> aws_sdk_kinesisvideomedia::Client {
    let request = control(emulator).get_data_endpoint().stream_name(STREAM);
    let answer = within(request.api_name(ApiName::GetMedia).send()).await.unwrap();
    let config = aws_sdk_kinesisvideomedia::Config::builder()
        .behavior_version(aws_sdk_kinesisvideomedia::config::BehaviorVersion::latest())
        .region(aws_sdk_kinesisvideomedia::config::Region::new("us-east-1"))
        .credentials_provider(known_credentials())
        .retry_config(aws_sdk_kinesisvideomedia::config::retry::RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .endpoint_url(answer.data_endpoint.unwrap());
    aws_sdk_kinesisvideomedia::Client::from_conf(config.build())
}

fn from(kind: StartSelectorType) -> StartSelector {
    StartSelector::builder().start_selector_type(kind).build().unwrap()
}

async fn open(
    client: &aws_sdk_kinesisvideomedia::Client,
    selector: StartSelector,
) -> Result<GetMediaOutput, String> {
    let request = client.get_media().stream_name(STREAM).start_selector(selector);
    within(request.send()).await.map_err(|error| {
        use aws_sdk_kinesisvideomedia::error::ProvideErrorMetadata;
        error.code().unwrap_or("no code").to_owned()
    })
}

async fn to_the_end(mut output: GetMediaOutput) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    while let Some(bytes) = within(output.payload.try_next()).await.map_err(|e| e.to_string())? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

fn count(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).filter(|window| *window == what).count()
}

#[tokio::test]
async fn a_call_is_read_in_fragments_until_it_is_over() {
    let emulator = spoken(|_| ());
    let client = media(&emulator).await;
    let output = open(&client, from(StartSelectorType::Earliest)).await.unwrap();
    let body = to_the_end(output).await.unwrap();
    // 24,000 samples are two fragments of 8704 and a rest.
    assert_eq!(count(&body, b"\x1a\x45\xdf\xa3"), 3);
    assert_eq!(count(&body, b"contact-1"), 3);
    assert_eq!(count(&body, b"AWS_KINESISVIDEO_CONTINUATION_TOKEN"), 3);
    assert!((48_000..52_000).contains(&body.len()), "{}", body.len());
    assert_eq!(emulator.observer().media().open_connections(), 0);
}

#[tokio::test]
async fn a_token_goes_on_where_it_was_given() {
    let emulator = spoken(|_| ());
    let client = media(&emulator).await;
    let body = open(&client, from(StartSelectorType::Earliest)).await.unwrap();
    let body = to_the_end(body).await.unwrap();
    // The token of the first fragment ends the first document.
    let second = body.windows(4).enumerate().filter(|(_, w)| *w == b"\x1a\x45\xdf\xa3").nth(1);
    let first = &body[..second.unwrap().0];
    let token = String::from_utf8_lossy(&first[first.len() - 47..]).into_owned();
    let selector = StartSelector::builder()
        .start_selector_type(StartSelectorType::ContinuationToken)
        .continuation_token(token)
        .build()
        .unwrap();
    let rest = to_the_end(open(&client, selector).await.unwrap()).await.unwrap();
    assert_eq!(count(&rest, b"\x1a\x45\xdf\xa3"), 2);
}

#[tokio::test]
async fn a_fourth_connection_and_a_sixth_call_in_a_second_are_refused() {
    // Real time, so that a second is one.
    let emulator = start(EmulatorConfig::default());
    let streams = emulator.observer().media();
    let arn = streams.create(STREAM, MediaShape::default());
    let line = streams.begin_call(&arn, "contact-1").unwrap();
    let client = media(&emulator).await;
    let mut open_ones = Vec::new();
    for _ in 0..3 {
        open_ones.push(open(&client, from(StartSelectorType::Now)).await.unwrap());
    }
    let fourth = open(&client, from(StartSelectorType::Now)).await.unwrap_err();
    assert_eq!(fourth, "ConnectionLimitExceededException");
    let mut codes = Vec::new();
    for _ in 0..2 {
        codes.push(open(&client, from(StartSelectorType::Now)).await.unwrap_err());
    }
    assert_eq!(codes, ["ConnectionLimitExceededException", "ClientLimitExceededException"]);
    line.hang_up();
}

#[tokio::test]
async fn what_is_not_there_and_who_is_not_known_is_refused() {
    let emulator = spoken(|_| ());
    let request = control(&emulator).get_data_endpoint().stream_name("another");
    let error = within(request.api_name(ApiName::GetMedia).send()).await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
    let client = media(&emulator).await;
    let config = client.config().to_builder().credentials_provider(
        aws_sdk_bedrockruntime::config::Credentials::new("AKIAOTHER", "x", None, None, "test"),
    );
    let stranger = aws_sdk_kinesisvideomedia::Client::from_conf(config.build());
    let error = open(&stranger, from(StartSelectorType::Now)).await.unwrap_err();
    assert_eq!(error, "UnrecognizedClientException");
    // A fragment that never was is an error inside the stream.
    let selector = StartSelector::builder()
        .start_selector_type(StartSelectorType::FragmentNumber)
        .after_fragment_number("42")
        .build()
        .unwrap();
    let body = to_the_end(open(&client, selector).await.unwrap()).await.unwrap();
    assert_eq!(count(&body, b"AWS_KINESISVIDEO_ERROR_CODE"), 1);
}

#[tokio::test]
async fn a_stream_can_end_break_off_and_stall() {
    let fault = |ms, kind, nth| MediaFault {
        after: Duration::from_millis(ms),
        kind,
        scope: FaultScope::Nth(nth),
    };
    let emulator = spoken(|media| {
        media.faults = vec![
            fault(300, MediaFaultKind::End, 1),
            fault(300, MediaFaultKind::Cut, 2),
            fault(100, MediaFaultKind::Error(5_000), 3),
        ];
    });
    let client = media(&emulator).await;
    let ended = to_the_end(open(&client, from(StartSelectorType::Earliest)).await.unwrap()).await;
    assert!(count(&ended.unwrap(), b"\x1a\x45\xdf\xa3") < 3, "the end comes too early");
    let cut = to_the_end(open(&client, from(StartSelectorType::Earliest)).await.unwrap()).await;
    assert!(cut.is_err(), "the connection was cut");
    let told = to_the_end(open(&client, from(StartSelectorType::Earliest)).await.unwrap()).await;
    let told = told.unwrap();
    assert_eq!((count(&told, b"AWS_KINESISVIDEO_ERROR_CODE"), count(&told, b"5000")), (1, 1));
}
