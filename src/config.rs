//! The command line and the environment, parsed once into typed values.
//!
//! Every setting is a variable and a flag of the same name. A wrong value names its variable,
//! and the process exits with 64. Nothing else in this crate reads a variable.

mod access;
mod archive;
mod bridge;
mod commands;
mod emulator;
mod langfuse;
mod load;
mod metrics;
mod operations;
mod server;
mod store;
mod survival;
mod tools;
mod traces;
mod transcription;
mod transfer;

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use voice_actors::EngineConfig;
use voice_aws::Credentials;
use voice_catalog::{Dirs, Limits, Rules, Snapshot};
use voice_sonic::{ModelFamily, voices::voices};

pub use self::access::{AccessArgs, AccessSettings, Door, RateSettings};
pub use self::archive::{ArchiveArgs, ArchiveSettings, Bucket, Encryption, Keep};
pub use self::bridge::{BridgeArgs, MediaFile, PromptSpeech, StreamEncoding, VoiceOut};
pub use self::commands::{CheckArgs, EraseArgs, HealthcheckArgs, KeyArgs};
pub use self::emulator::{EarsSetting, EmbeddedArgs, EmulatorArgs};
pub use self::langfuse::{LangfuseArgs, LangfuseSettings};
pub use self::load::LoadArgs;
pub use self::metrics::{MetricsArgs, MetricsSettings};
pub use self::operations::{
    OperationsArgs, OperationsSettings, ProtectionSettings, TaskProtection,
};
pub use self::server::{Backend, ServerConfig};
pub use self::store::StoreArgs;
use self::survival::SurvivalArgs;
pub use self::tools::ToolArgs;
pub use self::traces::TracesArgs;
pub use self::transcription::{TranscriptionArgs, TranscriptionSettings};
pub use self::transfer::TransferArgs;
use crate::telemetry::LogFormat;

/// Exit code of a wrong command line, environment or input file (`EX_USAGE` of sysexits).
pub const EXIT_USAGE: u8 = 64;

/// Longest duration that a setting may have: a day.
const MAX_SECONDS: f64 = 86_400.0;

/// Voice S2S: spoken conversations with Amazon Nova Sonic, in the browser and on the phone.
///
/// Without a subcommand it serves. Every option can also be given as the environment variable
/// that stands beside it.
#[derive(Debug, Parser)]
#[command(name = "voice-s2s", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `serve` when absent.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of `serve`.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: page, API and the /sonic WebSocket.
    Serve(Box<ServeArgs>),
    /// Check tools, workflows, prompts and settings; exit 64 when a server would not start.
    Check(Box<CheckArgs>),
    /// Run the audio bridge: callers of Amazon Connect talk to a server.
    Bridge(Box<BridgeArgs>),
    /// Take away everything that is kept of one session: logs, recordings, journals.
    Erase(Box<EraseArgs>),
    /// Make an API key, and the entry of API_KEYS that lets it in.
    Key(KeyArgs),
    /// Run the stand-in for Amazon Bedrock on its own, for any AWS SDK.
    Emulator(EmulatorArgs),
    /// Load a server with paced callers: added delay, CPU and memory per call, calls per core.
    Load(LoadArgs),
    /// Ask the local server for its health; exit 0 when it answers. For containers.
    Healthcheck(HealthcheckArgs),
}

/// Who answers the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SonicBackend {
    /// The built-in stand-in: it follows a script, and recognises the phrases of that script at best.
    Emulator,
    /// Amazon Nova Sonic.
    Bedrock,
}

/// The settings of `serve`. Field names are the variables' names in lower case, so that clap
/// names the variable in its messages.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Address to listen on.
    #[arg(long, env, default_value = "127.0.0.1")]
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, env, default_value_t = 8080)]
    pub port: u16,
    /// Who answers the calls.
    #[arg(long, env, value_enum, default_value = "emulator")]
    pub sonic_backend: SonicBackend,
    /// Folder for what the server writes.
    #[arg(long, env, default_value = "data")]
    pub data_dir: PathBuf,
    /// Folder of the tool files.
    #[arg(long, env, default_value = "tools")]
    pub tools_dir: PathBuf,
    /// Folder of the workflow files.
    #[arg(long, env, default_value = "workflows")]
    pub workflows_dir: PathBuf,
    /// Folder of the prompt files.
    #[arg(long, env, default_value = "prompts")]
    pub prompts_dir: PathBuf,
    /// How often, in seconds, to look for changed tool, workflow and prompt files, or `off`. New
    /// calls get what changed; files with errors change nothing.
    #[arg(long, env, default_value = "1")]
    pub catalog_reload: Interval,
    /// Most bytes that the system prompt of a call may have: persona, speech, guardrails and
    /// workflows together.
    #[arg(long, env, default_value_t = Limits::default().system_prompt)]
    pub max_prompt_bytes: usize,
    /// Most bytes that the tools of a call may have together.
    #[arg(long, env, default_value_t = Limits::default().tools_total)]
    pub max_tools_bytes: usize,
    /// Folder of the page.
    #[arg(long, env, default_value = "static")]
    pub static_dir: PathBuf,
    /// AWS region of Nova Sonic.
    #[arg(long, env, default_value = "us-east-1")]
    pub nova_aws_region: String,
    /// Model id.
    #[arg(long, env, default_value = "amazon.nova-2-sonic-v1:0")]
    pub nova_sonic_model_id: String,
    /// Access key, for local use only: on ECS the task role signs. Absent = the AWS SDK's default
    /// chain, which reads the usual AWS_* variables.
    #[arg(long, env, hide_env_values = true, requires = "nova_aws_secret_access_key")]
    pub nova_aws_access_key_id: Option<String>,
    /// Secret of the access key.
    #[arg(long, env, hide_env_values = true, requires = "nova_aws_access_key_id")]
    pub nova_aws_secret_access_key: Option<String>,
    /// Session token of temporary credentials.
    #[arg(long, env, hide_env_values = true)]
    pub nova_aws_session_token: Option<String>,
    /// Endpoint of Bedrock instead of the region's own; AWS_ENDPOINT_URL works as well.
    #[arg(long, env)]
    pub aws_endpoint_url_bedrock_runtime: Option<String>,
    /// The built-in emulator.
    #[command(flatten)]
    pub emulator: EmbeddedArgs,
    /// Longest wait for Nova Sonic to open a stream, in seconds.
    #[arg(long, env, default_value = "20", value_parser = seconds)]
    pub sonic_open_deadline: Duration,
    /// Oldest that unsent caller audio may get before the stream counts as stalled, in seconds.
    #[arg(long, env, default_value = "3", value_parser = seconds)]
    pub sonic_max_unsent: Duration,
    /// Threads that serve sockets; 0 = one per core.
    #[arg(long, env, default_value_t = 0)]
    pub workers: usize,
    /// Most calls at a time; more are refused with 503. 0 = no limit; absent = 200 per core.
    #[arg(long, env)]
    pub max_calls: Option<usize>,
    /// Who may come in.
    #[command(flatten)]
    pub access: AccessArgs,
    /// Voice when neither client nor persona names one.
    #[arg(long, env)]
    pub default_voice: Option<String>,
    /// Voices that the model has and this program does not know of, separated by commas.
    #[arg(long, env, value_delimiter = ',')]
    pub extra_voices: Vec<String>,
    /// Persona when the client names none.
    #[arg(long, env)]
    pub default_persona: Option<String>,
    /// Seconds until the assistant speaks first, or `off`.
    #[arg(long, env, default_value = "1")]
    pub greeting_delay: Interval,
    /// Seconds of silence from both sides before the caller is asked after, or `off`.
    #[arg(long, env, default_value = "45")]
    pub idle_timeout: Interval,
    /// How often the caller is asked after before goodbye.
    #[arg(long, env, default_value_t = 3)]
    pub idle_checks: u32,
    /// Deadline of one tool call, in seconds.
    #[arg(long, env, default_value = "8", value_parser = seconds)]
    pub tool_deadline: Duration,
    /// What keeps a call alive.
    #[command(flatten)]
    pub survival: SurvivalArgs,
    /// What tools may reach.
    #[command(flatten)]
    pub tools: ToolArgs,
    /// The way to a human.
    #[command(flatten)]
    pub transfer: TransferArgs,
    /// What outlives a task.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Transcription.
    #[command(flatten)]
    pub transcription: TranscriptionArgs,
    /// What is kept of a call.
    #[command(flatten)]
    pub archive: ArchiveArgs,
    /// Langfuse.
    #[command(flatten)]
    pub langfuse: LangfuseArgs,
    /// Traces.
    #[command(flatten)]
    pub traces: TracesArgs,
    /// Metrics.
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// What surrounds the process.
    #[command(flatten)]
    pub operations: OperationsArgs,
    /// Log format: `json`, `text`, or `auto` (text on a terminal, JSON otherwise).
    #[arg(long, env, value_enum, default_value = "auto")]
    pub log: LogFormat,
    /// Which log lines: the syntax of tracing's EnvFilter, such as `info,voice_actors=debug`.
    #[arg(long, env, default_value = "info,actix_server=warn")]
    pub rust_log: String,
}

/// A duration in seconds, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval(pub Option<Duration>);

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self(None)),
            _ => seconds(text).map(Some).map(Self).map_err(|why| format!("{why}, or `off`")),
        }
    }
}

/// Calls that a core is asked to hold unless it is told otherwise: as measured they take two thirds
/// to four fifths of it (docs/PERFORMANCE.md), so that a burst of work delays nobody.
const CALLS_PER_CORE: usize = 200;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=MAX_SECONDS).contains(&number) => Ok(Duration::from_secs_f64(number)),
        _ => Err(format!("expected seconds from 0 to {MAX_SECONDS}")),
    }
}

/// A setting whose text is well-formed but cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {what}")]
pub struct BadSetting {
    /// The variable's name.
    pub variable: &'static str,
    /// What is wrong, and what is expected.
    pub what: String,
}

impl BadSetting {
    pub(crate) fn new(variable: &'static str, what: impl std::fmt::Display) -> Self {
        Self { variable, what: what.to_string() }
    }
}

fn rules(model: ModelFamily, limits: Limits, extra_voices: &[String]) -> Rules {
    let names = |family| voices(family).iter().map(|voice| voice.id.to_owned());
    Rules {
        limits,
        voices: names(model).chain(extra_voices.iter().cloned()).collect(),
        other_voices: [ModelFamily::Sonic1, ModelFamily::Sonic2]
            .into_iter()
            .flat_map(names)
            .collect(),
    }
}

/// Settings that are well-formed, but do not go with the files they name. Without a snapshot,
/// what would need one is not checked.
pub fn contradictions(config: &ServerConfig, catalog: Option<&Snapshot>) -> Vec<BadSetting> {
    let mut bad = Vec::new();
    if !config.static_dir.is_dir() {
        let what = format!(
            "{} is no folder; start in the repository or name the folder of the page",
            config.static_dir.display()
        );
        bad.push(BadSetting::new("STATIC_DIR", what));
    }
    if config.data_dir.exists() && !config.data_dir.is_dir() {
        let what = format!("{} is no folder", config.data_dir.display());
        bad.push(BadSetting::new("DATA_DIR", what));
    }
    let voice = &config.engine.default_voice;
    let rules = config.rules();
    if !rules.voices.contains(voice) {
        let known = rules.voices.join(", ");
        let what = format!(
            "the model has no voice {voice:?}; use one of {known}, or add it to EXTRA_VOICES"
        );
        bad.push(BadSetting::new("DEFAULT_VOICE", what));
    }
    if let (Some(id), Some(catalog)) = (&config.engine.default_persona, catalog)
        && catalog.persona(id).is_none()
    {
        let known: Vec<&str> = catalog.personas().map(|persona| persona.id.as_str()).collect();
        let what = format!("there is no persona {id:?}; there is {}", known.join(", "));
        bad.push(BadSetting::new("DEFAULT_PERSONA", what));
    }
    bad
}

impl ServeArgs {
    /// Folders of tools, workflows and prompts.
    pub fn dirs(&self) -> Dirs {
        Dirs {
            tools: self.tools_dir.clone(),
            workflows: self.workflows_dir.clone(),
            prompts: self.prompts_dir.clone(),
        }
    }

    /// What the files there are checked against.
    pub fn rules(&self) -> Rules {
        let model = ModelFamily::from_model_id(&self.nova_sonic_model_id);
        rules(model, self.limits(), &self.extra_voices)
    }

    fn limits(&self) -> Limits {
        Limits {
            system_prompt: self.max_prompt_bytes,
            tools_total: self.max_tools_bytes,
            ..Limits::default()
        }
    }

    /// The typed configuration.
    pub fn into_config(self) -> Result<ServerConfig, BadSetting> {
        let non_empty = |variable, value: &str| match value.is_empty() {
            true => Err(BadSetting::new(variable, "must not be empty")),
            false => Ok(()),
        };
        let (dirs, limits) = (self.dirs(), self.limits());
        non_empty("NOVA_AWS_REGION", &self.nova_aws_region)?;
        non_empty("NOVA_SONIC_MODEL_ID", &self.nova_sonic_model_id)?;
        let keys = self.nova_aws_access_key_id.zip(self.nova_aws_secret_access_key);
        let credentials = match keys {
            Some((access_key_id, secret_access_key)) => Credentials::Keys {
                access_key_id,
                secret_access_key,
                session_token: self.nova_aws_session_token,
            },
            None => Credentials::DefaultChain,
        };
        let backend = match self.sonic_backend {
            SonicBackend::Emulator => Backend::Emulator(Box::new(self.emulator.config()?)),
            SonicBackend::Bedrock => Backend::Bedrock {
                credentials: credentials.clone(),
                endpoint: self.aws_endpoint_url_bedrock_runtime,
                extra_ca: None,
            },
        };
        let defaults = EngineConfig::default();
        let mut engine = EngineConfig {
            model: ModelFamily::from_model_id(&self.nova_sonic_model_id),
            default_voice: self.default_voice.unwrap_or(defaults.default_voice),
            default_persona: self.default_persona.or(defaults.default_persona),
            greeting_delay: self.greeting_delay.0,
            idle_timeout: self.idle_timeout.0,
            idle_checks: self.idle_checks,
            tool_deadline: self.tool_deadline,
            transfer: self.transfer.config(),
            ..EngineConfig::default()
        };
        self.survival.apply(&mut engine)?;
        let store_key = self.store.session_store_key.as_deref();
        let access = self.access.settings(&self.host, store_key)?;
        let store = self.store.config()?;
        let tools = self.tools.options()?;
        let langfuse = self.langfuse.settings()?;
        let traces = self.traces.settings(langfuse.as_ref())?;
        let archive = self.archive.settings()?;
        let transcription = self.transcription.settings()?;
        let with_emulator = self.sonic_backend == SonicBackend::Emulator;
        let metrics = self.metrics.settings(with_emulator)?;
        (engine.transcribe, engine.transcribe_rate) = (transcription.channels, transcription.rate);
        engine.transcribe_language.clone_from(&transcription.language);
        engine.prices = archive.prices.clone();
        (engine.record, engine.record_rate) = (archive.record, archive.record_rate);
        engine.model_id.clone_from(&self.nova_sonic_model_id);
        Ok(ServerConfig {
            host: self.host,
            port: self.port,
            workers: self.workers,
            max_calls: self.max_calls.unwrap_or_else(|| CALLS_PER_CORE * cores()),
            access,
            backend,
            region: self.nova_aws_region,
            model_id: self.nova_sonic_model_id,
            dirs,
            catalog_reload: self.catalog_reload.0,
            limits,
            extra_voices: self.extra_voices,
            static_dir: self.static_dir,
            data_dir: self.data_dir,
            sonic_open_deadline: self.sonic_open_deadline,
            sonic_max_unsent: self.sonic_max_unsent,
            engine,
            shutdown_grace: self.operations.shutdown_grace,
            operations: self.operations.settings()?,
            store,
            tools,
            langfuse,
            traces,
            transcription,
            archive,
            metrics,
            credentials,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("voice-s2s").chain(args.iter().copied()))
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_value_names_its_variable() {
        let cases = [
            ("--port=eighty", "PORT"),
            ("--sonic-backend=gpt", "SONIC_BACKEND"),
            ("--shutdown-grace=-1", "SHUTDOWN_GRACE"),
            ("--greeting-delay=soon", "GREETING_DELAY"),
            ("--idle-checks=x", "IDLE_CHECKS"),
            ("--log=xml", "LOG"),
            ("--ears-denoise=loud", "EARS_DENOISE"),
        ];
        for (flag, variable) in cases {
            for args in [vec![flag], vec!["serve", flag]] {
                let error = parse(&args).expect_err("a wrong value").to_string();
                assert!(error.contains(variable), "{variable} is not named in: {error}");
            }
        }
    }

    #[test]
    fn help_lists_every_variable() {
        let help = Cli::command().render_long_help().to_string();
        let command = Cli::command();
        // Other names of a variable are named in its text.
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            if let Some(variable) = argument.get_env().and_then(|name| name.to_str()) {
                assert!(help.contains(&format!("[env: {variable}")), "{variable}");
            }
        }
        assert!(help.contains("NOVA_SONIC_MODEL_ID"));
    }

    #[test]
    fn a_key_without_its_secret_is_refused() {
        let error = parse(&["--nova-aws-access-key-id", "AKID"]).expect_err("half a key");
        assert!(error.to_string().contains("NOVA_AWS_SECRET_ACCESS_KEY"), "{error}");
    }

    #[test]
    fn off_switches_greeting_and_idle_off() {
        let cli = parse(&["--greeting-delay", "off", "--idle-timeout", "0.5"]).expect("valid");
        let config = cli.serve.into_config().expect("valid");
        assert_eq!(config.engine.greeting_delay, None);
        assert_eq!(config.engine.idle_timeout, Some(Duration::from_millis(500)));
    }

    #[test]
    fn an_empty_region_is_refused_by_name() {
        let cli = parse(&["--nova-aws-region", ""]).expect("well-formed");
        let error = cli.serve.into_config().expect_err("empty");
        assert_eq!(error.variable, "NOVA_AWS_REGION");
    }
}
