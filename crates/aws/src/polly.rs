//! Amazon Polly: a sentence in, telephone audio out.
//!
//! One voice, one engine, µ-law at 8 kHz; where the engine does not offer that, PCM that is encoded
//! here. Cutting text into pieces that Polly takes is the audio bridge's business. Source:
//! connect-kvs.md §8.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_polly::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::ProvideErrorMetadata,
    types::{Engine, OutputFormat, TextType, VoiceId},
};
use bytes::Bytes;
use voice_audio::{g711, pcm};

use crate::{
    config::{Credentials, shared_config},
    words::words_of,
};

/// Most characters that one request may have.
pub const MAX_CHARACTERS: usize = 3_000;

/// Telephone audio; Polly takes rates as text.
const RATE: &str = "8000";
/// Longest wait for a connection, and for one sentence: as long as a flow waits. After that Connect
/// says it, in another voice.
const CONNECT: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(8);

/// How to reach Polly, and who speaks.
#[derive(Debug, Clone)]
pub struct PollyConfig {
    /// AWS region.
    pub region: String,
    /// Where to connect instead of the region's endpoint.
    pub endpoint: Option<String>,
    /// Who signs.
    pub credentials: Credentials,
    /// The voice, such as `Joanna`.
    pub voice: String,
    /// `standard`, `neural`, `long-form` or `generative`.
    pub engine: String,
}

/// Speaks by Polly. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PollyPort {
    client: Client,
    voice: VoiceId,
    engine: Engine,
    /// Whether the engine was found to have no µ-law.
    linear_only: Arc<AtomicBool>,
}

/// Why Polly did not speak.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Amazon Polly: {0}")]
pub struct SpeechFault(pub String);

impl PollyPort {
    /// Builds the client; nobody on the network is asked yet.
    pub async fn new(config: PollyConfig) -> Self {
        let sdk = shared_config(&config.region, &config.credentials).await;
        let mut builder = aws_sdk_polly::config::Builder::from(&sdk)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_attempt_timeout(DEADLINE)
                    .build(),
            );
        if let Some(endpoint) = &config.endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        Self {
            client: Client::from_conf(builder.build()),
            voice: VoiceId::from(config.voice.as_str()),
            engine: Engine::from(config.engine.as_str()),
            linear_only: Arc::default(),
        }
    }

    /// The µ-law codes of a text of at most [`MAX_CHARACTERS`], mono at 8 kHz.
    ///
    /// # Errors
    /// [`SpeechFault`] when Polly refuses the text or cannot be reached.
    pub async fn speak(&self, text: &str) -> Result<Bytes, SpeechFault> {
        if !self.linear_only.load(Ordering::Relaxed) {
            match self.request(text, OutputFormat::Mulaw).await? {
                Some(codes) => return Ok(codes),
                // Whether every engine has it in every region is not documented.
                None => self.linear_only.store(true, Ordering::Relaxed),
            }
        }
        let linear = self.request(text, OutputFormat::Pcm).await?;
        let linear = linear.ok_or_else(|| SpeechFault("the engine has no PCM".to_owned()))?;
        Ok(pcm::samples(&linear).into_iter().map(g711::mulaw_encode).collect())
    }

    /// `None` when the engine does not have this format.
    async fn request(
        &self,
        text: &str,
        format: OutputFormat,
    ) -> Result<Option<Bytes>, SpeechFault> {
        let request = self
            .client
            .synthesize_speech()
            .engine(self.engine.clone())
            .voice_id(self.voice.clone())
            .output_format(format)
            .sample_rate(RATE)
            .text_type(TextType::Text)
            .text(text);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("EngineNotSupportedException") => return Ok(None),
            Err(error) => return Err(SpeechFault(words_of(&error))),
        };
        // The attempt is over with its head; the audio has a deadline of its own.
        match tokio::time::timeout(DEADLINE, answer.audio_stream.collect()).await {
            Ok(Ok(audio)) => Ok(Some(audio.into_bytes())),
            Ok(Err(error)) => Err(SpeechFault(error.to_string())),
            Err(_) => Err(SpeechFault(format!("no audio within {} s", DEADLINE.as_secs()))),
        }
    }
}
