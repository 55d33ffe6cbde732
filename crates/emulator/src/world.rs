//! What all sessions of one emulator share.
//!
//! Made once by the front at start, handed to every session. Data and factories only; no state
//! of a session lives here.

use std::sync::Arc;

use voice_ears::ModelError;

use crate::agent::TaskAgent;
use crate::config::EmulatorConfig;
use crate::ears::Ears;
use crate::kinesis::MediaStreams;
use crate::observe::Observer;
use crate::observe::metrics::Metrics;
pub(crate) use crate::observe::transcriptions::Transcription;
use crate::observe::transcriptions::Transcriptions;
use crate::session::Repertoire;

/// Shared by all sessions, behind an `Arc`.
#[derive(Debug)]
pub(crate) struct World {
    /// Clocks, scenario, echo, faults, models.
    pub(crate) config: EmulatorConfig,
    /// Who understands what is said, if anybody does.
    pub(crate) ears: Option<Arc<Ears>>,
    /// Where records are opened.
    pub(crate) observer: Observer,
    /// The streams to Transcribe.
    pub(crate) transcriptions: Transcriptions,
    /// What was put to CloudWatch.
    pub(crate) metrics: Metrics,
    /// The ECS agent.
    pub(crate) agent: TaskAgent,
    /// The streams of Kinesis Video.
    pub(crate) media: MediaStreams,
    /// Speech that was synthesised before.
    pub(crate) repertoire: Arc<Repertoire>,
}

impl World {
    /// A world in which nothing has happened yet.
    pub(crate) fn new(config: EmulatorConfig, observer: Observer) -> Result<Self, ModelError> {
        let ears = match &config.ears {
            Some(folder) => Ears::load(folder, &config.scenario)?
                .map(|ears| Arc::new(ears.with_denoise(config.denoise))),
            None => None,
        };
        let (transcriptions, metrics) = (observer.transcriptions(), observer.metrics());
        let media = observer.media();
        media.configure(&config);
        Ok(Self {
            config,
            ears,
            observer,
            transcriptions,
            metrics,
            media,
            agent: TaskAgent::default(),
            repertoire: Arc::default(),
        })
    }
}
