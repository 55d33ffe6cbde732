//! The settings of the audio bridge.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use voice_access::signature::RequestKey;
use voice_aws::{
    Credentials, KinesisConfig, PollyConfig, S3Config, S3Encryption, polly::MAX_CHARACTERS,
};
use voice_bridge::{
    APOLOGY, BridgeConfig, CutConfig, DuringPrompt, LineLimits, ServerKey, fragments::Encoding,
};

use super::{BadSetting, archive::Switch, seconds};
use crate::telemetry::LogFormat;

/// Calls that a core is asked to hold unless it is told otherwise.
const CALLS_PER_CORE: usize = 200;

/// The settings of `bridge`. Field names are the variables' names in lower case.
#[derive(Debug, Clone, Args)]
pub struct BridgeArgs {
    /// Address to listen on.
    #[arg(long, env, default_value = "127.0.0.1")]
    pub bridge_host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, env, default_value_t = 8081)]
    pub bridge_port: u16,
    /// Where the Lambdas reach this very task, such as http://10.0.1.7:8081; absent: the address
    /// it listens on, or, when that is every one, the one from which it reaches the server.
    #[arg(long, env)]
    pub bridge_advertise: Option<String>,
    /// Key that requests of the Lambdas are signed with, 16 characters or more; `openssl rand -hex
    /// 32` makes one.
    #[arg(long, env, hide_env_values = true)]
    pub bridge_key: Option<String>,
    /// Let unsigned requests in, for tests; BRIDGE_KEY is not needed then.
    #[arg(long, env, value_enum, default_value = "off")]
    pub bridge_unsigned: Switch,
    /// WebSocket of the voice server.
    #[arg(long, env, default_value = "ws://127.0.0.1:8080/sonic")]
    pub bridge_server: String,
    /// API key of the voice server, where it asks its clients who they are; `voice-s2s key` makes one.
    #[arg(long, env, hide_env_values = true)]
    pub bridge_server_key: Option<String>,
    /// AWS region of the Connect instance, its streams and its prompts.
    #[arg(long, env, default_value = "us-east-1")]
    pub bridge_region: String,
    /// Where prompts are written, for Connect to play: `s3://BUCKET[/PREFIX]`.
    #[arg(long, env)]
    pub prompt_bucket: String,
    /// Who speaks: `nova` (Nova Sonic's own voice) or `polly`.
    #[arg(long, env, value_enum, default_value = "nova")]
    pub voice_out: VoiceOut,
    /// Voice of Amazon Polly.
    #[arg(long, env, default_value = "Joanna")]
    pub polly_voice: String,
    /// Engine of Amazon Polly: `standard`, `neural`, `long-form` or `generative`.
    #[arg(long, env, default_value = "neural")]
    pub polly_engine: String,
    /// How a caller's voice is read when its stream does not say.
    #[arg(long, env, value_enum, default_value = "pcm16")]
    pub stream_encoding: StreamEncoding,
    /// What becomes of what a caller says while a prompt is played: `keep` (it is answered next)
    /// or `drop` (where the prompt comes back as an echo).
    #[arg(long, env, value_enum, default_value = "keep")]
    pub during_prompt: PromptSpeech,
    /// Send the caller's voice to the model only while somebody speaks.
    #[arg(long, env, value_enum, default_value = "off")]
    pub voice_gate: Switch,
    /// Seconds that a question of the flow waits for an answer; Connect allows 8 with everything.
    #[arg(long, env, default_value = "6.5", value_parser = seconds)]
    pub turn_wait: Duration,
    /// Seconds without a byte after which a stream is opened anew.
    #[arg(long, env, default_value = "15", value_parser = seconds)]
    pub stream_stall: Duration,
    /// Seconds without anything heard, through all attempts, after which a line has failed.
    #[arg(long, env, default_value = "120", value_parser = seconds)]
    pub stream_give_up: Duration,
    /// Settings of every call, as in `sessionConfig` (JSON), such as {"personaId": "banker"}.
    #[arg(long, env, default_value = "{}")]
    pub session_settings: String,
    /// What a caller is told when the assistant cannot go on.
    #[arg(long, env, default_value = APOLOGY)]
    pub bridge_apology: String,
    /// Most calls at a time; absent = 200 per core.
    #[arg(long, env)]
    pub bridge_max_calls: Option<usize>,
    /// Seconds that calls get to end after SIGTERM.
    #[arg(long, env, default_value = "110", value_parser = seconds)]
    pub shutdown_grace: Duration,
    /// Endpoint of Kinesis Video Streams instead of the region's own.
    #[arg(long, env)]
    pub aws_endpoint_url_kinesis_video: Option<String>,
    /// Endpoint of S3 instead of the region's own, addressed by path.
    #[arg(long, env)]
    pub aws_endpoint_url_s3: Option<String>,
    /// Endpoint of Polly instead of the region's own.
    #[arg(long, env)]
    pub aws_endpoint_url_polly: Option<String>,
    /// Log format.
    #[arg(long, env, value_enum, default_value = "auto")]
    pub log: LogFormat,
    /// Which log lines.
    #[arg(long, env, default_value = "info")]
    pub rust_log: String,
}

/// Who speaks on the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VoiceOut {
    /// Nova Sonic.
    Nova,
    /// Amazon Polly.
    Polly,
}

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StreamEncoding {
    /// 16 bits, little-endian.
    Pcm16,
    /// G.711 µ-law.
    Mulaw,
}

/// What is said during a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PromptSpeech {
    /// It is heard.
    Keep,
    /// It is not.
    Drop,
}

impl BridgeArgs {
    /// The typed settings.
    ///
    /// # Errors
    /// [`BadSetting`] names the variable that is wrong.
    pub fn into_config(self) -> Result<BridgeConfig, BadSetting> {
        let key = match (self.bridge_key.as_deref(), self.bridge_unsigned) {
            (Some(key), _) => {
                let what = "must have 16 characters or more";
                let key =
                    RequestKey::new(key).ok_or_else(|| BadSetting::new("BRIDGE_KEY", what))?;
                Some(key)
            }
            (None, Switch::On) => None,
            (None, Switch::Off) => {
                let what = "is needed, unless BRIDGE_UNSIGNED=on lets everybody in";
                return Err(BadSetting::new("BRIDGE_KEY", what));
            }
        };
        if !["ws://", "wss://"].iter().any(|scheme| self.bridge_server.starts_with(scheme)) {
            let what = "expected ws://HOST[:PORT]/sonic or wss://HOST[:PORT]/sonic";
            return Err(BadSetting::new("BRIDGE_SERVER", what));
        }
        let expected = "expected s3://BUCKET[/PREFIX]";
        let bucket = self.prompt_bucket.strip_prefix("s3://").filter(|rest| !rest.is_empty());
        let bucket = bucket.ok_or_else(|| BadSetting::new("PROMPT_BUCKET", expected))?;
        let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
        // The address of a prompt is given away as it stands.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        if !prefix.chars().all(is_plain) {
            let what = "a prefix has letters, digits, dots, dashes, underscores and slashes alone";
            return Err(BadSetting::new("PROMPT_BUCKET", what));
        }
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let session: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&self.session_settings).map_err(|error| {
                BadSetting::new("SESSION_SETTINGS", format!("expected a JSON object: {error}"))
            })?;
        if self.bridge_apology.is_empty() || self.bridge_apology.len() > MAX_CHARACTERS {
            let what = format!("must have 1 to {MAX_CHARACTERS} bytes: nobody is left in silence");
            return Err(BadSetting::new("BRIDGE_APOLOGY", what));
        }
        if self.turn_wait > Duration::from_secs(8) || self.turn_wait.is_zero() {
            let what = "must be more than 0 and at most 8: Connect waits no longer";
            return Err(BadSetting::new("TURN_WAIT", what));
        }
        let region = self.bridge_region;
        let credentials = Credentials::DefaultChain;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let server_key = self.bridge_server_key.as_deref().map(|key| {
            let what = "must be what a header can carry, and not empty";
            ServerKey::new(key).ok_or_else(|| BadSetting::new("BRIDGE_SERVER_KEY", what))
        });
        let server_key = server_key.transpose()?;
        Ok(BridgeConfig {
            listen: SocketAddr::new(self.bridge_host, self.bridge_port),
            advertise: self.bridge_advertise,
            key,
            server: self.bridge_server,
            server_key,
            kinesis: KinesisConfig {
                region: region.clone(),
                endpoint: self.aws_endpoint_url_kinesis_video,
                credentials: credentials.clone(),
            },
            prompts: S3Config {
                bucket: bucket.to_owned(),
                prefix,
                region: region.clone(),
                endpoint: self.aws_endpoint_url_s3,
                credentials: credentials.clone(),
                encryption: S3Encryption::Bucket,
            },
            polly: (self.voice_out == VoiceOut::Polly).then_some(PollyConfig {
                region,
                endpoint: self.aws_endpoint_url_polly,
                credentials,
                voice: self.polly_voice,
                engine: self.polly_engine,
            }),
            encoding: match self.stream_encoding {
                StreamEncoding::Pcm16 => Encoding::Pcm16,
                StreamEncoding::Mulaw => Encoding::Mulaw,
            },
            during_prompt: match self.during_prompt {
                PromptSpeech::Keep => DuringPrompt::Keep,
                PromptSpeech::Drop => DuringPrompt::Drop,
            },
            gate: self.voice_gate == Switch::On,
            cut: CutConfig::default(),
            line: LineLimits { stall: self.stream_stall, give_up: self.stream_give_up },
            longest_wait: self.turn_wait,
            session,
            apology: self.bridge_apology,
            max_calls: self.bridge_max_calls.unwrap_or(CALLS_PER_CORE * cores),
        })
    }
}

/// One recording as the call of a caller at the stand-in for Kinesis Video: `STREAM=FILE.wav`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFile {
    /// Name of the stream.
    pub stream: String,
    /// The file.
    pub path: PathBuf,
}

impl std::str::FromStr for MediaFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts =
            text.split_once('=').filter(|(stream, path)| !stream.is_empty() && !path.is_empty());
        let (stream, path) = parts.ok_or("expected STREAM=FILE.wav")?;
        Ok(Self { stream: stream.to_owned(), path: path.into() })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{
        super::{Cli, Command},
        *,
    };

    fn config(flags: &[&str]) -> Result<BridgeConfig, BadSetting> {
        let args = ["voice-s2s", "bridge"].into_iter().chain(flags.iter().copied());
        match Cli::try_parse_from(args).expect("well-formed").command {
            Some(Command::Bridge(args)) => args.into_config(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bridge_needs_a_bucket_and_a_key() {
        let bucket = "--prompt-bucket=s3://prompts/phone/";
        let config_ok = config(&[bucket, "--bridge-key=0123456789abcdef"]).expect("valid");
        assert_eq!(
            (config_ok.prompts.bucket.as_str(), config_ok.prompts.prefix.as_str()),
            ("prompts", "phone/")
        );
        assert!(config_ok.key.is_some() && config_ok.polly.is_none());
        assert!(!format!("{config_ok:?}").contains("0123456789abcdef"), "the key does not show");
        assert!(config(&[bucket, "--bridge-unsigned=on"]).expect("valid").key.is_none());
        let wrong = |flags: &[&str]| config(flags).expect_err("a mistake").variable;
        assert_eq!(wrong(&[bucket]), "BRIDGE_KEY");
        assert_eq!(wrong(&[bucket, "--bridge-key=short"]), "BRIDGE_KEY");
        let with = |flag: &'static str| wrong(&["--bridge-unsigned=on", bucket, flag]);
        assert_eq!(with("--bridge-server=http://x"), "BRIDGE_SERVER");
        assert_eq!(with("--session-settings=[]"), "SESSION_SETTINGS");
        assert_eq!(with("--turn-wait=9"), "TURN_WAIT");
        assert_eq!(with("--bridge-apology="), "BRIDGE_APOLOGY");
        assert_eq!(wrong(&["--bridge-unsigned=on", "--prompt-bucket=prompts"]), "PROMPT_BUCKET");
    }

    #[test]
    fn a_media_file_is_a_stream_and_a_path() {
        let file: MediaFile = "line=calls/one.wav".parse().expect("valid");
        assert_eq!((file.stream.as_str(), file.path.to_str()), ("line", Some("calls/one.wav")));
        assert!("line".parse::<MediaFile>().is_err() && "=x".parse::<MediaFile>().is_err());
    }
}
