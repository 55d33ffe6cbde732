//! Media of Kinesis Video Streams: what callers of Amazon Connect say, as bytes.
//!
//! Finding the door (`GetDataEndpoint`, kept per stream), opening (`GetMedia`), and the sorting of
//! faults. What is in the bytes, and when to open again, is the audio bridge's business. Source:
//! connect-kvs.md §2.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_kinesisvideo::types::ApiName;
use aws_sdk_kinesisvideomedia::{
    config::{Builder, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
    primitives::ByteStream,
    types::{StartSelector, StartSelectorType},
};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::{DateTime, error::metadata::ProvideErrorMetadata};
use bytes::Bytes;

use crate::{
    config::{Credentials, shared_config},
    words::words_of,
};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest wait for an answer, or for the head of one.
const DEADLINE: Duration = Duration::from_secs(10);
/// Doors that are kept in mind: far more than there are calls. When full, all are asked for anew.
const MAX_ENDPOINTS: usize = 4_096;

/// How to reach Kinesis Video Streams.
#[derive(Debug, Clone)]
pub struct KinesisConfig {
    /// AWS region: that of the Connect instance.
    pub region: String,
    /// Where to ask for endpoints instead of the region's own.
    pub endpoint: Option<String>,
    /// Who signs.
    pub credentials: Credentials,
}

/// Where in a stream to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaStart {
    /// With what comes from now on.
    Now,
    /// With the first fragment that the service had at this moment, milliseconds since 1970. Used
    /// for a call's beginning: whether FRAGMENT_NUMBER starts with its fragment or after it is not
    /// settled (connect-kvs.md §2.1).
    At(u64),
    /// After this fragment.
    AfterFragment(String),
    /// Where a connection left off.
    Token(String),
}

/// Opens media of streams. Cheap to clone.
#[derive(Debug, Clone)]
pub struct KinesisPort {
    control: aws_sdk_kinesisvideo::Client,
    media: Builder,
    endpoints: Arc<Mutex<HashMap<String, String>>>,
}

/// The bytes of one connection. Dropping it closes the connection, and has to happen before the
/// next one is opened: a stream has three.
#[derive(Debug)]
pub struct Media {
    payload: ByteStream,
}

/// Why there are no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Kinesis Video Streams: {words}")]
pub struct MediaFault {
    /// What kind of fault.
    pub kind: MediaFaultKind,
    /// What the service or the network said.
    pub words: String,
}

/// What a fault means for whoever wants the media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaFaultKind {
    /// Too many calls or connections: wait longer than usual.
    Throttled,
    /// There is no such stream, or nobody may read it: trying again does not help.
    Refused,
    /// Anything that may pass: network, server, an endpoint that moved.
    Passing,
}

impl KinesisPort {
    /// Builds the clients; nobody on the network is asked yet.
    pub async fn new(config: KinesisConfig) -> Self {
        let sdk = shared_config(&config.region, &config.credentials).await;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(DEADLINE)
            .build();
        let mut control = aws_sdk_kinesisvideo::config::Builder::from(&sdk)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(endpoint) = &config.endpoint {
            control = control.endpoint_url(endpoint);
        }
        // A caller on hold sends nothing for a while: the SDK's own protection would end the
        // stream after six seconds (connect-kvs.md §2.4). Whoever reads has a timer.
        let media = Builder::from(&sdk)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Self {
            control: aws_sdk_kinesisvideo::Client::from_conf(control.build()),
            media,
            endpoints: Arc::default(),
        }
    }

    /// Opens a stream's media.
    ///
    /// # Errors
    /// [`MediaFault`]; the door is asked for again next time, since it may have moved.
    pub async fn open(&self, stream_arn: &str, start: &MediaStart) -> Result<Media, MediaFault> {
        let opened = self.try_open(stream_arn, start).await;
        if opened.is_err() {
            self.endpoints().remove(stream_arn);
        }
        opened
    }

    /// Forgets where the media of a stream is: its call is over.
    pub fn forget(&self, stream_arn: &str) {
        self.endpoints().remove(stream_arn);
    }

    async fn try_open(&self, stream_arn: &str, start: &MediaStart) -> Result<Media, MediaFault> {
        let endpoint = self.endpoint(stream_arn).await?;
        let config = self.media.clone().endpoint_url(endpoint).build();
        let client = aws_sdk_kinesisvideomedia::Client::from_conf(config);
        let request =
            client.get_media().stream_arn(stream_arn).start_selector(start.selector()?).send();
        // The SDK's own deadlines would count the body as well.
        match tokio::time::timeout(DEADLINE, request).await {
            Ok(Ok(output)) => Ok(Media { payload: output.payload }),
            Ok(Err(error)) => Err(fault(&error)),
            Err(_) => Err(passing(format!("no answer within {} s", DEADLINE.as_secs()))),
        }
    }

    async fn endpoint(&self, stream_arn: &str) -> Result<String, MediaFault> {
        if let Some(known) = self.endpoints().get(stream_arn) {
            return Ok(known.clone());
        }
        let request = self.control.get_data_endpoint().stream_arn(stream_arn);
        let answer =
            request.api_name(ApiName::GetMedia).send().await.map_err(|error| fault(&error))?;
        let endpoint =
            answer.data_endpoint.ok_or_else(|| passing("an answer without an endpoint".into()))?;
        let mut endpoints = self.endpoints();
        if endpoints.len() >= MAX_ENDPOINTS {
            endpoints.clear();
        }
        endpoints.insert(stream_arn.to_owned(), endpoint.clone());
        Ok(endpoint)
    }

    fn endpoints(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Media {
    /// The next bytes; `None` at the end of the body. May wait for as long as nobody says
    /// anything.
    ///
    /// # Errors
    /// [`MediaFault`] when the connection broke off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, MediaFault> {
        self.payload.try_next().await.map_err(|error| passing(error.to_string()))
    }
}

impl MediaStart {
    fn selector(&self) -> Result<StartSelector, MediaFault> {
        let selector = StartSelector::builder();
        let selector = match self {
            Self::Now => selector.start_selector_type(StartSelectorType::Now),
            Self::At(ms) => selector
                .start_selector_type(StartSelectorType::ServerTimestamp)
                .start_timestamp(DateTime::from_millis(i64::try_from(*ms).unwrap_or(i64::MAX))),
            Self::AfterFragment(number) => selector
                .start_selector_type(StartSelectorType::FragmentNumber)
                .after_fragment_number(number),
            Self::Token(token) => selector
                .start_selector_type(StartSelectorType::ContinuationToken)
                .continuation_token(token),
        };
        selector.build().map_err(|error| passing(error.to_string()))
    }
}

fn passing(words: String) -> MediaFault {
    MediaFault { kind: MediaFaultKind::Passing, words }
}

fn fault<E, R>(error: &SdkError<E, R>) -> MediaFault
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
{
    let kind = match error.code() {
        Some("ClientLimitExceededException" | "ConnectionLimitExceededException") => {
            MediaFaultKind::Throttled
        }
        Some(
            "ResourceNotFoundException"
            | "NotAuthorizedException"
            | "AccessDeniedException"
            | "InvalidArgumentException"
            | "UnrecognizedClientException",
        ) => MediaFaultKind::Refused,
        _ => MediaFaultKind::Passing,
    };
    MediaFault { kind, words: words_of(error) }
}
