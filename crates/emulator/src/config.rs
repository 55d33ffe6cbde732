//! What an emulator is started with: plain data with defaults that work.
//!
//! Not a parser of flags or files; the command line and the tests fill it. Read by the front
//! (listeners, head, signatures, refusals) and by the session (clocks, scenario, faults).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

mod chaos;
mod cloudwatch;
mod fault;
mod media;
mod transcribe;

pub use self::chaos::{BadChaos, Chaos};
pub use self::cloudwatch::{CloudWatchConfig, CloudWatchFault, CloudWatchFaultKind};
pub use self::fault::{Fault, FaultKind, FaultMoment, FaultScope, Refusal};
pub use self::media::{
    MediaConfig, MediaFault, MediaFaultKind, MediaShape, MediaSource, PollyConfig, Untagged,
};
pub use self::transcribe::{
    TranscribeConfig, TranscribeException, TranscribeFault, TranscribeFaultKind, Utterance,
};
use crate::denoise::Denoise;
use crate::script::Scenario;
pub use crate::session::ExceptionKind;

/// Access key id the emulator accepts unless told otherwise. A test value, no secret.
pub const ACCESS_KEY_ID: &str = "AKIAEMULATOREXAMPLE1";
/// Secret key that belongs to [`ACCESS_KEY_ID`]. A test value, no secret.
pub const SECRET_ACCESS_KEY: &str = "emulator/secret/for/tests/only/0123456789";

/// Everything an emulator can be told. `EmulatorConfig::default()` works as it stands.
#[derive(Debug, Clone)]
pub struct EmulatorConfig {
    /// Plaintext listener: HTTP/1.1 and h2c with prior knowledge. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// TLS listener (ALPN `h2`, `http/1.1`), when wanted. Its CA is made at start.
    pub tls_listen: Option<SocketAddr>,
    /// What the model hears and does.
    pub scenario: Arc<Scenario>,
    /// Folder of the acoustic model with which the scenario's phrases are recognised; without, the
    /// emulator hears that somebody speaks and no words. See [`crate::Ears::folder`].
    pub ears: Option<PathBuf>,
    /// Whether noise is taken away before the phrases are recognised.
    pub denoise: Denoise,
    /// Return the caller's audio instead of playing the scenario.
    pub echo: bool,
    /// Check the request's signature and the chain of frame signatures.
    pub verify_signatures: bool,
    /// The one key pair that is known.
    pub credentials: TestCredentials,
    /// When the response head leaves (nova-sonic.md §1.7).
    pub head: ResponseHead,
    /// Time limits (nova-sonic.md §4.1).
    pub clocks: Clocks,
    /// `SETTINGS_MAX_CONCURRENT_STREAMS` on HTTP/2; `None` leaves hyper's default.
    pub max_concurrent_streams: Option<u32>,
    /// Add a padding member `"p"` to every output chunk (nova-sonic.md §1.4).
    pub padding: bool,
    /// Faults to inject, each at most as often as its scope says.
    pub faults: Vec<Fault>,
    /// Faults by chance, besides those.
    pub chaos: Option<Chaos>,
    /// What the stand-in for Transcribe hears.
    pub transcribe: TranscribeConfig,
    /// How the stand-in for CloudWatch behaves.
    pub cloudwatch: CloudWatchConfig,
    /// The stand-in for Kinesis Video Streams.
    pub media: MediaConfig,
    /// The stand-in for Polly.
    pub polly: PollyConfig,
    /// Models that exist here. An unknown one is refused at the door.
    pub models: Vec<ModelEntry>,
    /// How much the observer keeps.
    pub record: RecordLimits,
}

impl Default for EmulatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls_listen: None,
            scenario: Arc::new(Scenario::default()),
            ears: None,
            denoise: Denoise::default(),
            echo: false,
            verify_signatures: true,
            credentials: TestCredentials::default(),
            head: ResponseHead::default(),
            clocks: Clocks::default(),
            max_concurrent_streams: None,
            padding: false,
            faults: Vec::new(),
            chaos: None,
            transcribe: TranscribeConfig::default(),
            cloudwatch: CloudWatchConfig::default(),
            media: MediaConfig::default(),
            polly: PollyConfig::default(),
            models: ModelEntry::known(),
            record: RecordLimits::default(),
        }
    }
}

/// The key pair requests must be signed with. A session token is tolerated and not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCredentials {
    /// Access key id, as in the `Credential=` part of the `authorization` header.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
}

impl Default for TestCredentials {
    fn default() -> Self {
        Self {
            access_key_id: ACCESS_KEY_ID.to_owned(),
            secret_access_key: SECRET_ACCESS_KEY.to_owned(),
        }
    }
}

/// When the head of the response leaves. Any output of the session releases it earlier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResponseHead {
    /// After `sessionStart` and `promptStart` were read.
    #[default]
    AfterPromptStart,
    /// At once, before any of the body is read.
    Immediately,
    /// After the first `contentEnd` (commonly the SYSTEM block) was read.
    AfterFirstContentEnd,
}

/// Time limits of a session. All its time passes `scale` times faster than the wall clock, the
/// reckoning of what the client has played and the pauses of a scenario included; `pause` is
/// counted in audio and needs no clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Clocks {
    /// Longest life of a connection.
    pub connection: Duration,
    /// Longest gap between input events.
    pub idle: Duration,
    /// Longest time without user speech, when enforced.
    pub silent_user: Option<Duration>,
    /// How many emulated seconds pass per real second. 1.0 is real time; must be positive.
    pub scale: f64,
    /// Silence that ends a user turn, by endpointing sensitivity.
    pub pause: EndpointingPauses,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            connection: Duration::from_secs(480),
            idle: Duration::from_secs(55),
            silent_user: None,
            scale: 1.0,
            pause: EndpointingPauses::default(),
        }
    }
}

impl Clocks {
    /// Emulated time that passes in `real` time.
    #[must_use]
    pub fn emulated(&self, real: Duration) -> Duration {
        real.mul_f64(self.rate())
    }

    /// Real time in which `emulated` time passes.
    #[must_use]
    pub fn real(&self, emulated: Duration) -> Duration {
        // Beyond what a clock can say is for ever.
        Duration::try_from_secs_f64(emulated.as_secs_f64() / self.rate()).unwrap_or(Duration::MAX)
    }

    fn rate(&self) -> f64 {
        if self.scale.is_finite() && self.scale > 0.0 { self.scale } else { 1.0 }
    }
}

/// Pause before the end of a turn (nova-sonic.md §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointingPauses {
    /// `endpointingSensitivity` HIGH.
    pub high: Duration,
    /// `endpointingSensitivity` MEDIUM, also when none is given.
    pub medium: Duration,
    /// `endpointingSensitivity` LOW.
    pub low: Duration,
}

impl Default for EndpointingPauses {
    fn default() -> Self {
        Self {
            high: Duration::from_millis(1500),
            medium: Duration::from_millis(1750),
            low: Duration::from_millis(2000),
        }
    }
}

impl EndpointingPauses {
    /// Shorter than the service's own: a scripted demonstration waits for nobody's train of
    /// thought, so the answer may come sooner.
    pub fn lively() -> Self {
        let ms = Duration::from_millis;
        Self { high: ms(500), medium: ms(700), low: ms(1_000) }
    }
}

impl EmulatorConfig {
    /// What strikes the session number `ordinal`, counted from 1.
    pub(crate) fn faults_of(&self, ordinal: u64) -> Vec<Fault> {
        let mine = self.faults.iter().filter(|fault| fault.scope.includes(ordinal)).cloned();
        mine.chain(self.chaos.and_then(|chaos| chaos.strike(ordinal))).collect()
    }

    /// What the server starts in its own process when no Bedrock is configured.
    pub fn embedded() -> Self {
        let clocks = Clocks { pause: EndpointingPauses::lively(), ..Clocks::default() };
        Self { clocks, ..Self::default() }
    }
}

/// A model that exists in the emulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    /// Full id, as in the request path after decoding.
    pub id: String,
    /// Which rules apply to it.
    pub generation: Generation,
}

impl ModelEntry {
    /// The models of nova-sonic.md §4.4, the retired first one included.
    #[must_use]
    pub fn known() -> Vec<Self> {
        [
            ("amazon.nova-sonic-v1:0", Generation::V1),
            ("amazon.nova-2-sonic-v1:0", Generation::V2),
            ("amazon.nova-2-5-sonic", Generation::V25),
        ]
        .map(|(id, generation)| Self { id: id.to_owned(), generation })
        .into()
    }
}

/// Generation of Nova Sonic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Nova Sonic.
    V1,
    /// Nova 2 Sonic.
    V2,
    /// Nova 2.5 Sonic.
    V25,
}

/// Bounds of what the observer keeps in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordLimits {
    /// Closed sessions kept; the oldest go first. Open ones are always kept.
    pub closed_sessions: usize,
    /// Raw JSON events kept per session, audio not counted; later ones are only counted.
    pub events: usize,
    /// Bytes of heard audio kept per session (32,000 are one second at 16 kHz); the latest stay.
    pub audio_bytes: usize,
    /// Data of metrics kept; the oldest go first.
    pub metric_data: usize,
}

impl RecordLimits {
    /// For a program in which nobody looks at the record: what callers say is not kept.
    pub fn nothing() -> Self {
        Self { closed_sessions: 0, events: 0, audio_bytes: 0, metric_data: 0 }
    }
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self { closed_sessions: 64, events: 256, audio_bytes: 20 * 32_000, metric_data: 10_000 }
    }
}
