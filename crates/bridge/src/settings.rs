//! What a bridge is started with: plain values, parsed by `src/config/bridge.rs`.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Map, Value};
use voice_access::signature::RequestKey;
use voice_aws::{KinesisConfig, PollyConfig, S3Config};

use crate::{
    credential::ServerKey, cutter::CutConfig, floor::DuringPrompt, fragments::Encoding,
    line::LineLimits,
};

/// Everything a bridge is told.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where other tasks and the Lambdas reach this one, such as `http://10.0.1.7:8081`; it is the
    /// owner of its calls under this name. Absent: the address it listens on.
    pub advertise: Option<String>,
    /// Key of the requests; `None`: unsigned ones are let in.
    pub key: Option<RequestKey>,
    /// `ws://HOST:PORT/sonic` of the server.
    pub server: String,
    /// What it asks of its clients; absent where it asks nobody.
    pub server_key: Option<ServerKey>,
    /// Where the callers' voices are.
    pub kinesis: KinesisConfig,
    /// Where prompts are written.
    pub prompts: S3Config,
    /// Who speaks; `None`: Nova Sonic.
    pub polly: Option<PollyConfig>,
    /// How blocks are read when their stream does not say.
    pub encoding: Encoding,
    /// What is said during a prompt.
    pub during_prompt: DuringPrompt,
    /// Send the caller's voice only while somebody speaks.
    pub gate: bool,
    /// Where replies are cut.
    pub cut: CutConfig,
    /// When a connection to Kinesis Video is opened anew.
    pub line: LineLimits,
    /// How long a question waits for an answer: less than the 8 s of a flow by the way of the
    /// Lambda.
    pub longest_wait: Duration,
    /// Settings of every call, as in `sessionConfig`.
    pub session: Map<String, Value>,
    /// What a caller is told when the assistant cannot go on.
    pub apology: String,
    /// Most calls at a time.
    pub max_calls: usize,
}

/// What of it a call needs.
#[derive(Debug, Clone)]
pub(crate) struct CallSettings {
    pub(crate) polly: bool,
    pub(crate) during_prompt: DuringPrompt,
    pub(crate) gate: bool,
    pub(crate) cut: CutConfig,
    pub(crate) apology: String,
}

/// What a caller is told when the assistant cannot go on.
pub const APOLOGY: &str = "I am sorry, I have a technical problem. Please hold the line, I will \
                           connect you to one of my colleagues.";

/// How long a question waits: a flow waits for 8 s, and the Lambda and the way there and back take
/// their part.
pub const LONGEST_WAIT: Duration = Duration::from_millis(6_500);
