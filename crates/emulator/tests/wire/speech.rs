//! Polly on the wire: the SDK asks for telephone audio and gets it.

use aws_sdk_polly::config::retry::RetryConfig;
use aws_sdk_polly::config::{BehaviorVersion, Region};
use aws_sdk_polly::error::ProvideErrorMetadata;
use aws_sdk_polly::types::{Engine, OutputFormat, TextType, VoiceId};
use voice_audio::{g711, pcm};
use voice_emulator::voice::{Accent, synthesize};
use voice_emulator::{Emulator, EmulatorConfig, PollyConfig};

use crate::support::*;

fn polly(emulator: &Emulator) -> aws_sdk_polly::Client {
    let config = aws_sdk_polly::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(known_credentials())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(emulator.endpoint());
    aws_sdk_polly::Client::from_conf(config.build())
}

/// What is spoken, or the code of the refusal.
async fn speak(
    client: &aws_sdk_polly::Client,
    format: OutputFormat,
    rate: &str,
    text: &str,
) -> Result<Vec<u8>, String> {
    let is_ssml = text.starts_with("<speak>");
    let request = client
        .synthesize_speech()
        .engine(Engine::Neural)
        .voice_id(VoiceId::Amy)
        .output_format(format)
        .sample_rate(rate)
        .text_type(if is_ssml { TextType::Ssml } else { TextType::Text })
        .text(text);
    let answer = within(request.send()).await;
    let answer = answer.map_err(|error| error.code().unwrap_or_default().to_owned())?;
    Ok(within(answer.audio_stream.collect()).await.unwrap().to_vec())
}

#[tokio::test]
async fn a_sentence_is_spoken_in_the_format_of_the_telephone() {
    let emulator = start(EmulatorConfig::default());
    let client = polly(&emulator);
    let expected = synthesize("Good morning.", 8_000, Accent::British).unwrap();
    let linear = speak(&client, OutputFormat::Pcm, "8000", "Good morning.").await.unwrap();
    assert_eq!(pcm::samples(&linear), expected);
    let codes: Vec<u8> = expected.iter().map(|sample| g711::mulaw_encode(*sample)).collect();
    let ssml = "<speak>Good <break time=\"5s\"/>morning.</speak>";
    let telephone = speak(&client, OutputFormat::Mulaw, "8000", ssml).await.unwrap();
    assert_eq!(telephone, codes);
    assert_eq!(emulator.observer().media().syntheses(), 2);
}

#[tokio::test]
async fn what_polly_would_refuse_is_refused() {
    let polly_config = PollyConfig { without_g711: vec!["neural".to_owned()], failing: 1 };
    let emulator = start(EmulatorConfig { polly: polly_config, ..EmulatorConfig::default() });
    let client = polly(&emulator);
    let code =
        async |format, rate, text: &str| speak(&client, format, rate, text).await.unwrap_err();
    let hello = "Hello.";
    assert_eq!(code(OutputFormat::Pcm, "8000", hello).await, "ServiceFailureException");
    assert_eq!(code(OutputFormat::Mulaw, "8000", hello).await, "EngineNotSupportedException");
    assert_eq!(code(OutputFormat::Pcm, "44100", hello).await, "InvalidSampleRateException");
    let long = "word ".repeat(700);
    assert_eq!(code(OutputFormat::Pcm, "8000", &long).await, "TextLengthExceededException");
    assert_eq!(code(OutputFormat::Pcm, "8000", "<speak>Hello.").await, "InvalidSsmlException");
    assert!(speak(&client, OutputFormat::Pcm, "16000", hello).await.is_ok());
}
