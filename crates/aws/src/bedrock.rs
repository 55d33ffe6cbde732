//! The port to Nova Sonic on `aws-sdk-bedrockruntime`.
//!
//! Opening, sending, receiving, cancelling and the sorting of faults; not what is said on the
//! stream (that is `crates/sonic`) and not when to renew it (the engine). Built by
//! `src/wiring.rs`.

mod downlink;
mod expiry;
mod fault;
mod unsent;
mod uplink;

use std::{sync::Arc, time::Duration};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_bedrockruntime::{
    Client,
    config::{
        Builder, IdentityCache, StalledStreamProtectionConfig, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
};
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use bytes::Bytes;
use futures::future::BoxFuture;
use voice_call::{FaultKind, SonicPort, SonicStream, StreamFault};

use crate::config::{BedrockConfig, shared_config};
pub use crate::trust::TrustError;
use crate::{link, trust::Trust};
use expiry::Expiry;
use uplink::Uplink;

/// Longest wait for the answer to "are there credentials?".
const PROBE_DEADLINE: Duration = Duration::from_secs(5);

/// How long credentials are good for at least when a stream is opened with them. The engine renews
/// a stream three minutes before its credentials expire.
const FRESH_FOR: Duration = Duration::from_secs(300);

/// Opens streams to Nova Sonic on Bedrock, or on whatever answers at the configured endpoint.
///
/// Cheap to clone; clones share the cache of credentials and the trusted certificates, and no
/// connection.
#[derive(Clone)]
pub struct BedrockPort {
    shared: Arc<Shared>,
}

struct Shared {
    config: BedrockConfig,
    /// All that the streams have in common; each adds its own HTTP client.
    base: Builder,
    credentials: Option<SharedCredentialsProvider>,
    expiry: Expiry,
    trust: Arc<Trust>,
}

/// Why the port could not be built.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A certificate problem.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl BedrockPort {
    /// Builds the port. Reads the SDK's shared configuration and the extra CA file; asks nobody
    /// on the network yet.
    pub async fn new(config: BedrockConfig) -> Result<Self, SetupError> {
        let trust = Arc::new(Trust::new(config.extra_ca.as_deref())?);
        let sdk = shared_config(&config.region, &config.credentials).await;
        let expiry = Expiry::default();
        let credentials = sdk
            .credentials_provider()
            .map(|provider| SharedCredentialsProvider::new(expiry.watch(provider)));
        let mut base = Builder::from(&sdk)
            // One cache for all streams: otherwise each would ask the task role anew. Old ones are
            // replaced so early that a stream which is renewed before they expire gets new ones.
            .identity_cache(IdentityCache::lazy().buffer_time(FRESH_FOR).build())
            // The body is live audio: a replay is impossible.
            .retry_config(RetryConfig::disabled())
            // A stream lives for minutes and may be silent; `open` has a deadline of its own.
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // Bearer keys are refused on this operation (`nova-sonic.md` §1.1), so a stray
            // AWS_BEARER_TOKEN_BEDROCK must not win.
            .auth_scheme_preference([AuthSchemeId::from("sigv4")]);
        if let Some(endpoint) = &config.endpoint {
            base = base.endpoint_url(endpoint);
        }
        base.set_credentials_provider(credentials.clone());
        Ok(Self { shared: Arc::new(Shared { config, base, credentials, expiry, trust }) })
    }

    /// Whether credentials can be had; otherwise why not. Asks the default chain, so it may take
    /// seconds where nothing answers; bounded at 5 s.
    pub async fn probe_credentials(&self) -> Result<(), String> {
        let Some(provider) = &self.shared.credentials else {
            return Err("no credentials are configured".to_owned());
        };
        match tokio::time::timeout(PROBE_DEADLINE, provider.provide_credentials()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                Err(aws_sdk_bedrockruntime::error::DisplayErrorContext(error).to_string())
            }
            Err(_) => Err(format!("no credentials within {} s", PROBE_DEADLINE.as_secs())),
        }
    }

    /// Whether credentials can be had.
    pub async fn has_credentials(&self) -> bool {
        self.probe_credentials().await.is_ok()
    }
}

impl SonicPort for BedrockPort {
    fn open(&self, opening: Vec<Bytes>) -> BoxFuture<'static, Result<SonicStream, StreamFault>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let deadline = shared.config.open_deadline;
            // Dropping the future in `timeout` drops its link, which closes the connection.
            match tokio::time::timeout(deadline, shared.open(opening)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(StreamFault::new(
                    FaultKind::OpenTimeout,
                    format!("no response head within {} ms", deadline.as_millis()),
                )),
            }
        })
    }
}

impl Shared {
    async fn open(&self, opening: Vec<Bytes>) -> Result<SonicStream, StreamFault> {
        let (http, link) = link::dedicated(self.trust.clone());
        let client = Client::from_conf(self.base.clone().http_client(http).build());
        // The service withholds the response head until it has read the opening
        // (`nova-sonic.md` §1.7), so it is queued before the request starts.
        let uplink = Uplink::new(opening, self.config.max_unsent_age);
        let answer = client
            .invoke_model_with_bidirectional_stream()
            .model_id(&self.config.model_id)
            .body(uplink.body().into())
            .send()
            .await
            .map_err(|error| fault::of_open(&error))?;
        Ok(SonicStream {
            sender: Box::new(uplink.into_sender(link.clone())),
            receiver: downlink::receive(answer, link),
            valid_until: self.expiry.latest(),
        })
    }
}
