//! The one place that chooses implementations: who stands behind the engine's ports.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::Mutex;
use voice_archive::{
    Archive, ArchiveConfig, Keeping, Witness, folder::Folder, history::History, store::ObjectStore,
};
use voice_aws::{
    BedrockPort, CloudWatch, CloudWatchConfig, Credentials, S3Config, S3Encryption, S3Store,
    TranscribeConfig, TranscribePort,
};
use voice_call::{Meters, SonicPort, transcription::TranscriptionPort};
use voice_emulator::Emulator;
use voice_langfuse::{TraceRules, Traces};

use crate::{
    BuildError,
    config::{Backend, Encryption, Keep, ServerConfig},
};

/// How long an answer about credentials is good for: the question may go to the network.
const STATUS_AGE: Duration = Duration::from_secs(15);

/// What was chosen.
pub(crate) struct Wiring {
    pub(crate) sonic: Arc<dyn SonicPort>,
    pub(crate) transcription: Arc<dyn TranscriptionPort>,
    /// Absent when it is not told.
    pub(crate) cloudwatch: Option<CloudWatch>,
    pub(crate) backend: &'static str,
    pub(crate) has_credentials: bool,
    pub(crate) status: AwsStatus,
    /// Dropping it stops the emulator.
    pub(crate) emulator: Option<Emulator>,
}

/// Chooses and builds, as the configuration says.
pub(crate) async fn wire(config: &ServerConfig) -> Result<Wiring, BuildError> {
    match &config.backend {
        Backend::Emulator(emulator) => {
            let keys = Credentials::Keys {
                access_key_id: emulator.credentials.access_key_id.clone(),
                secret_access_key: emulator.credentials.secret_access_key.clone(),
                session_token: None,
            };
            let emulator = Emulator::start((**emulator).clone())?;
            let endpoint = emulator.endpoint();
            announce(&emulator, &endpoint);
            let transcription = transcription(config, keys.clone(), Some(endpoint.clone())).await?;
            let cloudwatch = cloudwatch(config, keys.clone(), Some(endpoint.clone())).await?;
            let port = BedrockPort::new(config.bedrock(keys, Some(endpoint))).await?;
            Ok(Wiring {
                sonic: Arc::new(port),
                transcription,
                cloudwatch,
                backend: "emulator",
                has_credentials: true,
                status: AwsStatus::emulator(&config.region, emulator.ears().is_some()),
                emulator: Some(emulator),
            })
        }
        Backend::Bedrock { credentials, endpoint, extra_ca } => {
            let mut bedrock = config.bedrock(credentials.clone(), endpoint.clone());
            bedrock.extra_ca.clone_from(extra_ca);
            let port = BedrockPort::new(bedrock).await?;
            let status = AwsStatus::bedrock(&config.region, port.clone());
            let probe = status.probe().await;
            if let Err(error) = &probe {
                tracing::warn!(error, "no AWS credentials yet: calls will fail until there are");
            }
            tracing::info!(
                region = config.region,
                model = config.model_id,
                endpoint,
                "Amazon Nova Sonic answers"
            );
            Ok(Wiring {
                sonic: Arc::new(port),
                transcription: transcription(config, credentials.clone(), None).await?,
                cloudwatch: cloudwatch(config, credentials.clone(), None).await?,
                backend: "bedrock",
                has_credentials: probe.is_ok(),
                status,
                emulator: None,
            })
        }
    }
}

/// Says who answers, and how much of speech it understands.
fn announce(emulator: &Emulator, endpoint: &str) {
    let Some(ears) = emulator.ears() else {
        tracing::warn!(
            endpoint,
            "the embedded emulator answers: scripted replies, no AWS. It notices speech and understands \
             typed text only: the package pocketsphinx-en-us lets it understand speech. \
             SONIC_BACKEND=bedrock talks to Amazon Nova Sonic"
        );
        return;
    };
    tracing::warn!(
        endpoint,
        words = ears.words(),
        "the embedded emulator answers: scripted replies, no AWS. It recognises the phrases of its \
         script. SONIC_BACKEND=bedrock talks to Amazon Nova Sonic"
    );
    if !ears.missing().is_empty() {
        let words = ears.missing().join(", ");
        tracing::warn!(
            words,
            "words of the script that no dictionary has are never recognised; see `sounds`"
        );
    }
}

/// The port to Transcribe: at the emulator unless an endpoint of its own is configured.
async fn transcription(
    config: &ServerConfig,
    credentials: Credentials,
    emulator: Option<String>,
) -> Result<Arc<dyn TranscriptionPort>, BuildError> {
    let settings = &config.transcription;
    let own = settings.endpoint.clone();
    let port = TranscribePort::new(TranscribeConfig {
        region: settings.region.clone().unwrap_or_else(|| config.region.clone()),
        credentials: if own.is_some() { config.credentials.clone() } else { credentials },
        endpoint: own.or(emulator),
        stability: settings.stability.clone(),
        vocabulary: settings.vocabulary.clone(),
        filter: settings.filter.clone(),
        personal_data: settings.personal_data,
        entity_types: settings.entity_types.clone(),
    });
    let port = port.await.map_err(voice_aws::SetupError::from)?;
    Ok(Arc::new(port))
}

/// The way to CloudWatch: to the emulator unless an endpoint of its own is configured.
async fn cloudwatch(
    config: &ServerConfig,
    credentials: Credentials,
    emulator: Option<String>,
) -> Result<Option<CloudWatch>, BuildError> {
    let settings = &config.metrics;
    if !settings.cloudwatch {
        return Ok(None);
    }
    let own = settings.endpoint.clone();
    let built = CloudWatch::new(CloudWatchConfig {
        region: settings.region.clone().unwrap_or_else(|| config.region.clone()),
        credentials: if own.is_some() { config.credentials.clone() } else { credentials },
        endpoint: own.or(emulator),
        namespace: settings.namespace.clone(),
    });
    Ok(Some(built.await.map_err(voice_aws::SetupError::from)?))
}

/// What is kept of calls.
pub(crate) struct Kept {
    pub(crate) archive: Arc<Archive>,
    /// Absent when nobody but the witnesses hears.
    pub(crate) history: Option<History>,
}

/// The store of session logs; `None` when nothing is kept.
pub(crate) async fn object_store(config: &ServerConfig) -> Option<Arc<dyn ObjectStore>> {
    match &config.archive.keep {
        Keep::Off => None,
        Keep::Local => Some(Arc::new(Folder::new(config.data_dir.join("sessions")))),
        Keep::S3(bucket) => {
            let config = S3Config {
                bucket: bucket.name.clone(),
                prefix: bucket.prefix.clone(),
                region: bucket.region.clone().unwrap_or_else(|| config.region.clone()),
                endpoint: bucket.endpoint.clone(),
                credentials: config.credentials.clone(),
                encryption: match &bucket.encryption {
                    Encryption::Bucket => S3Encryption::Bucket,
                    Encryption::S3 => S3Encryption::S3,
                    Encryption::Kms(key) => S3Encryption::Kms(key.clone()),
                },
            };
            Some(Arc::new(S3Store::new(config).await))
        }
    }
}

/// Opens the archive, as the configuration says. `None` when nobody wants to hear anything.
pub(crate) async fn archive(
    config: &ServerConfig,
    meters: &Meters,
    witnesses: Vec<Arc<dyn Witness>>,
) -> Result<Option<Kept>, BuildError> {
    let settings = &config.archive;
    let store = object_store(config).await;
    if store.is_none() && witnesses.is_empty() {
        return Ok(None);
    }
    if let Some(store) = &store {
        tracing::info!(store = store.describe(), "session logs are kept");
    }
    let keep = store.clone().map(|store| Keeping {
        dir: config.data_dir.clone(),
        store,
        prices: settings.prices.clone(),
        spool_limit: settings.spool_limit,
        pauses: settings.pauses,
    });
    let archive = ArchiveConfig { redactor: settings.redactor.clone(), witnesses, keep };
    let archive = Archive::open(archive, meters.clone()).map_err(|source| BuildError::Archive {
        dir: config.data_dir.display().to_string(),
        source,
    })?;
    Ok(Some(Kept { archive: Arc::new(archive), history: store.map(History::new) }))
}

/// How calls are traced.
#[derive(Default)]
pub(crate) struct Traced {
    /// Absent when they are not.
    pub(crate) traces: Option<Arc<Traces>>,
    /// Who hears for them.
    pub(crate) witnesses: Vec<Arc<dyn Witness>>,
}

/// Starts the traces, as the configuration says.
pub(crate) fn traces(config: &ServerConfig, meters: &Meters) -> Result<Traced, BuildError> {
    let Some(settings) = config.traces.clone() else { return Ok(Traced::default()) };
    let scores = settings.scores.is_some();
    tracing::info!(target = %settings.target, scores, "calls are traced");
    let rules = TraceRules {
        prices: config.archive.prices.clone(),
        redactor: config.archive.redactor.clone(),
    };
    let (traces, ears) = Traces::start(settings, rules, meters.clone())?;
    Ok(Traced { traces: Some(Arc::new(traces)), witnesses: vec![Arc::new(ears)] })
}

/// What `/api/system/status` says about the far side.
pub(crate) struct AwsStatus {
    region: String,
    /// What the emulator makes of speech: `words`, or `speech` if it notices only that there is some.
    hears: &'static str,
    /// Absent with the emulator, which needs none.
    bedrock: Option<BedrockPort>,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl AwsStatus {
    pub(crate) fn emulator(region: &str, has_ears: bool) -> Self {
        let hears = if has_ears { "words" } else { "speech" };
        Self { region: region.to_owned(), hears, bedrock: None, last: Mutex::default() }
    }

    fn bedrock(region: &str, port: BedrockPort) -> Self {
        Self {
            region: region.to_owned(),
            hears: "words",
            bedrock: Some(port),
            last: Mutex::default(),
        }
    }

    /// The answer of the API (`contract.md` §3).
    pub(crate) async fn to_json(&self) -> Value {
        if self.bedrock.is_none() {
            return json!({"aws": "emulator", "region": self.region, "hears": self.hears});
        }
        match self.probe().await {
            Ok(()) => json!({"aws": "connected", "region": self.region}),
            Err(error) => json!({"aws": "error", "error": error}),
        }
    }

    /// Whether the far side could be asked at all.
    pub(crate) async fn has_credentials(&self) -> bool {
        self.probe().await.is_ok()
    }

    /// Whether credentials can be had. Askers wait for one question instead of asking in parallel.
    async fn probe(&self) -> Result<(), String> {
        let Some(port) = &self.bedrock else { return Ok(()) };
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < STATUS_AGE
        {
            return answer.clone();
        }
        let answer = port.probe_credentials().await;
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}
