//! `PutMetricData`, on `aws-sdk-cloudwatch`.
//!
//! The current SDK speaks Smithy's RPC protocol with CBOR bodies, gzipped above 10 KiB. Here are the
//! translation, the deadline and the sorting of faults; what is sent when, and when it is tried
//! again, is `voice_metrics::Publisher`'s business, so the SDK makes one attempt. Each request has a
//! connection of its own: one a minute would only ever find a kept one closed by the other side,
//! and then nobody knows whether the request was taken. Built by `src/wiring.rs`.
//!
//! The limits of the API (`ops.md` §1.8) hold by construction, except for what a configuration
//! could break, and `src/config/metrics.rs` judges that: a publisher sends at most a thousand data,
//! a spectrum has at most 150 values, and what is no number is left out below.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_cloudwatch::{
    Client,
    config::{
        Builder, IdentityCache, StalledStreamProtectionConfig, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    primitives::DateTime,
    types::{Dimension, MetricDatum, StandardUnit},
};
use voice_metrics::{Datum, Failed, Figure};

use crate::{
    config::{Credentials, shared_config},
    link,
    trust::{Trust, TrustError},
    words::words_of,
};

/// Longest wait for an answer, credentials and connecting included.
const DEADLINE: Duration = Duration::from_secs(10);

/// How to reach CloudWatch.
#[derive(Debug, Clone)]
pub struct CloudWatchConfig {
    /// AWS region.
    pub region: String,
    /// Where to connect instead of the region's endpoint.
    pub endpoint: Option<String>,
    /// Who signs.
    pub credentials: Credentials,
    /// Where the metrics are put.
    pub namespace: String,
}

/// Puts metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    base: Builder,
    trust: Arc<Trust>,
    namespace: String,
}

/// Why metrics were not put.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct CloudWatchFault {
    /// What kind of fault.
    pub kind: CloudWatchFaultKind,
    /// In words.
    pub message: String,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudWatchFaultKind {
    /// Too many requests.
    Throttled,
    /// No credentials, wrong ones, or not allowed.
    Denied,
    /// There was no connection to send it on.
    Unreachable,
    /// It was sent, and no answer came: nobody knows whether it was taken.
    Unanswered,
    /// The service is in trouble.
    Unavailable,
    /// The service will not take these data.
    Invalid,
}

impl CloudWatchFaultKind {
    /// A word for labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Unreachable => "unreachable",
            Self::Unanswered => "unanswered",
            Self::Unavailable => "unavailable",
            Self::Invalid => "invalid",
        }
    }

    /// What it means for the data.
    pub fn outcome(self) -> Failed {
        match self {
            Self::Invalid => Failed::Never,
            _ => Failed::Later,
        }
    }
}

impl fmt::Display for CloudWatchFaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl CloudWatch {
    /// Builds the client; nobody on the network is asked yet.
    ///
    /// # Errors
    /// [`TrustError`] when TLS cannot be set up.
    pub async fn new(config: CloudWatchConfig) -> Result<Self, TrustError> {
        let trust = Arc::new(Trust::new(None)?);
        let sdk = shared_config(&config.region, &config.credentials).await;
        let mut base = Builder::from(&sdk)
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(config.region))
            .identity_cache(IdentityCache::lazy().build())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(endpoint) = &config.endpoint {
            base = base.endpoint_url(endpoint);
        }
        Ok(Self { base, trust, namespace: config.namespace })
    }

    /// Puts data, all or none. One attempt, within ten seconds.
    ///
    /// # Errors
    /// [`CloudWatchFault`]; its kind says whether to try again.
    pub async fn put(&self, data: &[Datum]) -> Result<(), CloudWatchFault> {
        let (http, _link) = link::dedicated(self.trust.clone());
        let client = Client::from_conf(self.base.clone().http_client(http).build());
        let data = data.iter().filter_map(metric_datum).collect();
        let request =
            client.put_metric_data().namespace(&self.namespace).set_metric_data(Some(data));
        match tokio::time::timeout(DEADLINE, request.send()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                Err(CloudWatchFault { kind: kind(&error), message: words_of(&error) })
            }
            Err(_) => Err(CloudWatchFault {
                kind: CloudWatchFaultKind::Unanswered,
                message: format!("no answer within {} s", DEADLINE.as_secs()),
            }),
        }
    }
}

/// One datum in the SDK's words; `None` for a figure that is no number.
fn metric_datum(datum: &Datum) -> Option<MetricDatum> {
    let dimensions = datum.dimensions.iter();
    let dimensions = dimensions
        .map(|(name, value)| Dimension::builder().name(*name).value(value).build())
        .collect();
    let builder = MetricDatum::builder()
        .metric_name(datum.name)
        .set_dimensions(Some(dimensions).filter(|all: &Vec<_>| !all.is_empty()))
        .timestamp(DateTime::from(datum.at))
        .unit(StandardUnit::from(datum.unit.as_str()))
        .set_storage_resolution(datum.high_resolution.then_some(1));
    let builder = match &datum.figure {
        Figure::Gauge(value) | Figure::Added(value) if value.is_finite() => builder.value(*value),
        Figure::Gauge(_) | Figure::Added(_) => return None,
        Figure::Waits(waits) => {
            let (values, counts) = waits.values().map(|(value, n)| (value, n as f64)).unzip();
            builder.set_values(Some(values)).set_counts(Some(counts))
        }
    };
    Some(builder.build())
}

fn kind<E>(error: &SdkError<E>) -> CloudWatchFaultKind
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let says = |words: &[&str]| {
        error.code().is_some_and(|code| words.iter().any(|word| code.contains(word)))
    };
    match (error, status) {
        (SdkError::DispatchFailure(failure), _) => match failure.as_connector_error() {
            Some(error) if link::was_never_sent(error) => CloudWatchFaultKind::Unreachable,
            Some(error) if error.is_user() => CloudWatchFaultKind::Unreachable,
            // Credentials that cannot be had come as an error of nobody's.
            Some(error) if error.is_other() => CloudWatchFaultKind::Denied,
            _ => CloudWatchFaultKind::Unanswered,
        },
        (SdkError::ConstructionFailure(_), _) => CloudWatchFaultKind::Denied,
        (SdkError::TimeoutError(_) | SdkError::ResponseError(_), _) => {
            CloudWatchFaultKind::Unanswered
        }
        // The older protocols have throttling as 400; the codes are the same in all of them.
        (_, Some(429)) => CloudWatchFaultKind::Throttled,
        _ if says(&["Throttl", "LimitExceeded", "TooManyRequests"]) => {
            CloudWatchFaultKind::Throttled
        }
        (_, Some(401 | 403)) => CloudWatchFaultKind::Denied,
        (_, Some(413)) => CloudWatchFaultKind::Invalid,
        _ if says(&["InvalidParameter", "MissingParameter", "Validation", "Serialization"]) => {
            CloudWatchFaultKind::Invalid
        }
        // Clock skew, an expired request, trouble of the service's: all of that can pass.
        _ => CloudWatchFaultKind::Unavailable,
    }
}
