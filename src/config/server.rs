//! What a server is built from: the settings as typed values.
//!
//! Made by [`super::ServeArgs`]; tests fill it by hand. Read by `lib.rs` and `wiring.rs`.

use std::{path::PathBuf, time::Duration};

use voice_actors::EngineConfig;
use voice_aws::{BedrockConfig, Credentials};
use voice_catalog::{Dirs, Limits, Rules, execute::ClientOptions};
use voice_emulator::EmulatorConfig;
use voice_langfuse::TracesConfig;

use super::{
    AccessSettings, ArchiveSettings, LangfuseSettings, MetricsSettings, OperationsSettings,
    TranscriptionSettings, rules,
};
use crate::store::StoreConfig;

/// What a server is built from. Tests fill it by hand; the program through `ServeArgs`.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Threads that serve sockets; 0 = one per core.
    pub workers: usize,
    /// Most calls at a time; 0: no limit.
    pub max_calls: usize,
    /// Who may come in.
    pub access: AccessSettings,
    /// Who answers the calls.
    pub backend: Backend,
    /// Region, shown by `/api/system/status` and given to the SDK.
    pub region: String,
    /// Model id.
    pub model_id: String,
    /// Folders of tools, workflows and prompts.
    pub dirs: Dirs,
    /// How often to look for changed files there; `None`: never.
    pub catalog_reload: Option<Duration>,
    /// How large they may be.
    pub limits: Limits,
    /// Voices that the table of the model's voices does not have.
    pub extra_voices: Vec<String>,
    /// Folder of the page.
    pub static_dir: PathBuf,
    /// Folder for what the server writes.
    pub data_dir: PathBuf,
    /// Longest wait for a stream to open.
    pub sonic_open_deadline: Duration,
    /// Oldest that unsent caller audio may get.
    pub sonic_max_unsent: Duration,
    /// The numbers of a call.
    pub engine: EngineConfig,
    /// How long calls get to end at shutdown.
    pub shutdown_grace: Duration,
    /// Where the state of calls is kept.
    pub store: StoreConfig,
    /// What tools may reach outside this process.
    pub tools: ClientOptions,
    /// What is asked of Langfuse.
    pub langfuse: Option<LangfuseSettings>,
    /// How calls are traced; not at all when absent.
    pub traces: Option<TracesConfig>,
    /// How calls are transcribed.
    pub transcription: TranscriptionSettings,
    /// What is kept of a call.
    pub archive: ArchiveSettings,
    /// What CloudWatch is told.
    pub metrics: MetricsSettings,
    /// How the process is taken out of service.
    pub operations: OperationsSettings,
    /// Who signs requests to AWS that the emulator does not answer.
    pub credentials: Credentials,
}

/// Who answers the calls, and what is needed to reach it.
#[derive(Debug, Clone)]
pub enum Backend {
    /// The built-in emulator, started in this process.
    Emulator(Box<EmulatorConfig>),
    /// Amazon Bedrock, or whatever answers at the endpoint.
    Bedrock {
        /// Who signs.
        credentials: Credentials,
        /// Endpoint instead of the region's own.
        endpoint: Option<String>,
        /// PEM file with certificates to trust besides the system's.
        extra_ca: Option<PathBuf>,
    },
}

impl Default for ServerConfig {
    /// What `voice-s2s` without options and variables uses, on a free port.
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 0,
            workers: 0,
            max_calls: 0,
            access: AccessSettings::default(),
            backend: Backend::Emulator(Box::new(EmulatorConfig::embedded())),
            region: "us-east-1".into(),
            model_id: "amazon.nova-2-sonic-v1:0".into(),
            dirs: Dirs {
                tools: "tools".into(),
                workflows: "workflows".into(),
                prompts: "prompts".into(),
            },
            catalog_reload: Some(Duration::from_secs(1)),
            limits: Limits::default(),
            extra_voices: Vec::new(),
            static_dir: "static".into(),
            data_dir: "data".into(),
            sonic_open_deadline: Duration::from_secs(20),
            sonic_max_unsent: Duration::from_secs(3),
            engine: EngineConfig::default(),
            shutdown_grace: Duration::from_secs(110),
            store: StoreConfig::default(),
            tools: ClientOptions::default(),
            langfuse: None,
            traces: None,
            transcription: TranscriptionSettings::default(),
            archive: ArchiveSettings::default(),
            metrics: MetricsSettings::default(),
            operations: OperationsSettings::default(),
            credentials: Credentials::DefaultChain,
        }
    }
}

impl ServerConfig {
    /// What tools, workflows and prompts are checked against.
    pub fn rules(&self) -> Rules {
        rules(self.engine.model, self.limits, &self.extra_voices)
    }

    /// What the port to Bedrock needs, given who signs and where to connect.
    pub fn bedrock(&self, credentials: Credentials, endpoint: Option<String>) -> BedrockConfig {
        BedrockConfig {
            credentials,
            endpoint,
            open_deadline: self.sonic_open_deadline,
            max_unsent_age: self.sonic_max_unsent,
            ..BedrockConfig::new(&self.region, &self.model_id)
        }
    }
}
