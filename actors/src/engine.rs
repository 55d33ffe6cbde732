//! What all calls of a server share: configuration, ports, catalog, meters.

use std::{sync::Arc, time::Duration};

use voice_archive::{Archive, Journal, Monitor, entry::Began, price::Prices};
use voice_call::{
    CallId, Meters, SessionStore, SonicPort,
    transcription::{Channels, Language, TranscriptionPort},
};
use voice_catalog::{Catalog, Snapshot, execute::Executors};
use voice_sonic::{ModelFamily, RenewalLimits};
use voice_wire::server::Version;

use crate::{call::checkpoint::Checkpoint, clock::Clock, transfer::TransferConfig};

/// Everything a call needs from outside itself. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    pub(crate) ports: Ports,
    pub(crate) meters: Meters,
    pub(crate) identity: Identity,
}

/// The outside, as the engine sees it.
pub struct Ports {
    /// Opens streams to Nova Sonic.
    pub sonic: Arc<dyn SonicPort>,
    /// Tools, workflows and prompts. A call keeps the snapshot it started with.
    pub catalog: Catalog,
    /// Runs the tools of all calls.
    pub executors: Arc<Executors>,
    /// Keeps the state of calls beyond their task.
    pub store: Arc<dyn SessionStore>,
    /// Transcribes calls; none is when absent.
    pub transcription: Option<Arc<dyn TranscriptionPort>>,
    /// Keeps what was said; nothing is kept when absent.
    pub archive: Option<Arc<Archive>>,
    /// Shows operators what calls do.
    pub monitor: Monitor,
}

/// The state of a call whose task is gone.
pub struct Recalled(pub(crate) Box<Checkpoint>);

/// What the server says about itself to clients.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Program name and version.
    pub version: Version,
    /// `emulator` or `bedrock`.
    pub backend: &'static str,
    /// Whether the model can be reached at all.
    pub has_credentials: bool,
}

/// The numbers of a call. The defaults are the contract's.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The model's id, for the log and the price.
    pub model_id: String,
    /// What things cost.
    pub prices: Arc<Prices>,
    /// Whether calls are recorded whose persona does not say.
    pub record: bool,
    /// Samples a second of a recording: 8,000 or 16,000.
    pub record_rate: u32,
    /// Whose words are transcribed when the persona does not say.
    pub transcribe: Channels,
    /// Samples a second of what is transcribed: 8,000 or 16,000.
    pub transcribe_rate: u32,
    /// The language of a persona that names none, or languages to tell apart.
    pub transcribe_language: Option<Language>,
    /// Which generation of Nova Sonic the configured model id belongs to.
    pub model: ModelFamily,
    /// The voice when neither client nor persona names one.
    pub default_voice: String,
    /// The persona when the client names none.
    pub default_persona: Option<String>,
    /// How long a new call waits for its first `sessionConfig`.
    pub config_window: Duration,
    /// How long the assistant waits for the caller before it speaks first; `None`: it does not.
    pub greeting_delay: Option<Duration>,
    /// Silence from both sides before the caller is asked after; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How often the caller is asked after before goodbye.
    pub idle_checks: u32,
    /// How far ahead of real time audio is sent to the client.
    pub playout_lead: Duration,
    /// The same on the phone, where whole sentences are collected before they are played. At most 15
    /// s: the mixer of recordings holds 20.
    pub phone_lead: Duration,
    /// A gap in the caller's audio that is not filled with silence.
    pub caller_gap: Duration,
    /// The same on the phone, whose audio comes in fragments of a second.
    pub phone_gap: Duration,
    /// The size of one playout frame.
    pub playout_frame: Duration,
    /// How much assistant audio may wait in the playout queue.
    pub playout_limit: Duration,
    /// How much audio of a silent caller is kept, for a next stream to hear the onset of speech.
    pub replay_window: Duration,
    /// How much caller audio is kept while it is unanswered, or no stream is up.
    pub caller_audio_limit: Duration,
    /// When a stream is replaced by a fresh one.
    pub renewal: RenewalLimits,
    /// How long a replaced stream may go on telling what was said on it.
    pub retire_deadline: Duration,
    /// How long a service that owes an answer may say nothing at all.
    pub answer_deadline: Duration,
    /// How long a stream may be gone before the client hears of it, when nothing was cut off.
    pub reconnect_notice: Duration,
    /// How often the parts of a call are asked for a sign of life, in real time.
    pub probe_interval: Duration,
    /// How long a client may refuse to read before it is cut off.
    pub stall_limit: Duration,
    /// How long a call whose connection was lost waits for its client; `None`: it ends at once.
    pub resume_window: Option<Duration>,
    /// How often a client is pinged.
    pub ping_interval: Duration,
    /// How long a client may be silent on the socket before it counts as gone.
    pub dead_after: Duration,
    /// How much of the caller's audio may come at once; after that twice real time is taken.
    pub audio_burst: Duration,
    /// How long a client may say nothing at all after it has connected; `None`: as long as it
    /// likes.
    pub first_word_deadline: Option<Duration>,
    /// Deadline of one tool call.
    pub tool_deadline: Duration,
    /// How long an ending call waits for its children.
    pub end_deadline: Duration,
    /// How long a farewell may take before the call ends all the same.
    pub farewell_deadline: Duration,
    /// How long the assistant may go on when the task stops.
    pub drain_patience: Duration,
    /// The longest duration of a call; `None`: as long as anybody likes.
    pub call_limit: Option<Duration>,
    /// How long before that the caller is told.
    pub call_warning: Duration,
    /// When a caller is handed over to a human, and when that is offered.
    pub transfer: TransferConfig,
    /// The trace of a call by its session id, for clients; `None` when there are no traces.
    pub trace_id: Option<fn(&str) -> String>,
    /// The clock of the conversation; it runs faster in some tests.
    pub clock: Clock,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            model_id: "amazon.nova-2-sonic-v1:0".into(),
            prices: Arc::default(),
            record: false,
            transcribe: Channels::Off,
            transcribe_rate: 16_000,
            transcribe_language: None,
            record_rate: 16_000,
            model: ModelFamily::Sonic2,
            default_voice: "matthew".into(),
            default_persona: None,
            config_window: Duration::from_millis(300),
            greeting_delay: Some(Duration::from_secs(1)),
            idle_timeout: Some(Duration::from_secs(45)),
            idle_checks: 3,
            playout_lead: Duration::from_millis(200),
            phone_lead: Duration::from_secs(10),
            caller_gap: Duration::from_millis(300),
            phone_gap: Duration::from_millis(1_500),
            playout_frame: Duration::from_millis(40),
            playout_limit: Duration::from_secs(300),
            replay_window: Duration::from_secs(3),
            caller_audio_limit: Duration::from_secs(30),
            renewal: RenewalLimits::default(),
            retire_deadline: Duration::from_secs(5),
            answer_deadline: Duration::from_secs(15),
            reconnect_notice: Duration::from_secs(1),
            probe_interval: Duration::from_secs(10),
            stall_limit: Duration::from_secs(10),
            resume_window: Some(Duration::from_secs(30)),
            ping_interval: Duration::from_secs(20),
            dead_after: Duration::from_secs(60),
            audio_burst: Duration::from_secs(35),
            first_word_deadline: Some(Duration::from_secs(30)),
            tool_deadline: Duration::from_secs(8),
            end_deadline: Duration::from_secs(3),
            farewell_deadline: Duration::from_secs(15),
            drain_patience: Duration::from_secs(20),
            call_limit: Some(Duration::from_secs(55 * 60)),
            call_warning: Duration::from_secs(5 * 60),
            transfer: TransferConfig::default(),
            trace_id: None,
            clock: Clock::default(),
        }
    }
}

impl Engine {
    /// An engine from its parts.
    pub fn new(config: EngineConfig, ports: Ports, meters: Meters, identity: Identity) -> Self {
        Self { shared: Arc::new(Shared { config, ports, meters, identity }) }
    }

    /// Takes over the state of a call from a task that is gone, if the token is its own.
    pub async fn recall(&self, call: &CallId, token: &str) -> Option<Recalled> {
        match self.shared.ports.store.take(call, token).await {
            Ok(state) => Checkpoint::read(&state?).map(|checkpoint| Recalled(Box::new(checkpoint))),
            Err(error) => {
                self.shared.meters.store_errors.inc();
                tracing::warn!(%error, %call, "the state of the call cannot be read");
                None
            }
        }
    }

    /// The journal of a call that begins.
    pub(crate) fn journal(&self, call: &CallId, catalog: &Snapshot, continued: bool) -> Journal {
        let Some(archive) = &self.shared.ports.archive else { return Journal::none() };
        let Identity { version, backend, .. } = &self.shared.identity;
        archive.journal(Began {
            session_id: call.to_string(),
            program: format!("{} {}", version.name, version.version),
            backend: (*backend).to_owned(),
            model_id: self.shared.config.model_id.clone(),
            catalog: catalog.hash().to_owned(),
            continued,
        })
    }

    /// What it takes a call to leave at most, once it is asked to.
    pub fn time_to_leave(&self) -> Duration {
        self.shared.config.drain_patience + self.shared.config.end_deadline
    }

    /// The meters that its calls count on.
    pub fn meters(&self) -> &Meters {
        &self.shared.meters
    }
}
