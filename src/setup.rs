//! What is configured and what is missing, for the setup page: each part with the variables that
//! decide about it. Values of secrets are never in it, only whether they are set.
//!
//! A pure function of the configuration; `http/setup.rs` adds what only a running server knows.

use serde::Serialize;
use voice_aws::Credentials;
use voice_call::transcription::Channels;

use crate::{
    config::{Backend, Door, Encryption, Keep, ServerConfig},
    store::Shelf,
};

/// How a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// In use.
    On,
    /// Usable, and something should be known about it.
    Note,
    /// Not in use.
    Off,
}

/// A part of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Part {
    /// A stable word.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) standing: Standing,
    /// What that means, and what to do to change it.
    pub(crate) says: String,
    pub(crate) settings: Vec<Setting>,
}

/// A variable and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    /// The variable's name.
    pub(crate) name: &'static str,
    /// Absent when it is not set.
    pub(crate) value: Option<String>,
    /// Whether it holds a secret; the value says `set` then.
    pub(crate) secret: bool,
}

fn set(name: &'static str, value: impl Into<String>) -> Setting {
    Setting { name, value: Some(value.into()).filter(|value| !value.is_empty()), secret: false }
}

fn maybe(name: &'static str, value: Option<String>) -> Setting {
    Setting { name, value, secret: false }
}

fn secret(name: &'static str, is_set: bool) -> Setting {
    Setting { name, value: is_set.then(|| "set".to_owned()), secret: true }
}

/// All parts, in the order in which one asks about them.
pub(crate) fn parts(config: &ServerConfig) -> Vec<Part> {
    vec![
        model(config),
        access(config),
        calls(config),
        session_log(config),
        recording(config),
        transcription(config),
        langfuse(config),
        traces(config),
        cloudwatch(config),
        session_store(config),
        task_protection(config),
        tools(config),
    ]
}

fn model(config: &ServerConfig) -> Part {
    let (standing, backend, says) = match &config.backend {
        Backend::Emulator(_) => (
            Standing::Note,
            "emulator",
            "The built-in emulator answers: a script with a synthetic voice, not Amazon Nova \
             Sonic. SONIC_BACKEND=bedrock and AWS credentials bring the model.",
        ),
        Backend::Bedrock { .. } => {
            (Standing::On, "bedrock", "Amazon Nova Sonic on Amazon Bedrock answers.")
        }
    };
    let keys = matches!(config.credentials, Credentials::Keys { .. });
    let endpoint = match &config.backend {
        Backend::Bedrock { endpoint, .. } => endpoint.clone(),
        Backend::Emulator(_) => None,
    };
    Part {
        id: "model",
        title: "Voice model",
        standing,
        says: says.into(),
        settings: vec![
            set("SONIC_BACKEND", backend),
            set("NOVA_AWS_REGION", &config.region),
            set("NOVA_SONIC_MODEL_ID", &config.model_id),
            secret("NOVA_AWS_ACCESS_KEY_ID", keys),
            secret("NOVA_AWS_SECRET_ACCESS_KEY", keys),
            maybe("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", endpoint),
            set("DEFAULT_VOICE", &config.engine.default_voice),
            maybe("DEFAULT_PERSONA", config.engine.default_persona.clone()),
        ],
    }
}

fn access(config: &ServerConfig) -> Part {
    let (standing, says, keys, issuer) = match &config.access.door {
        Door::Open => (
            Standing::Note,
            "Nobody is asked who they are, since only this machine can come. API_KEYS or \
             JWT_ISSUER changes that; elsewhere one of them is needed.",
            false,
            None,
        ),
        Door::Guarded { keys, issuer } => (
            Standing::On,
            "Everybody is asked who they are.",
            !keys.is_empty(),
            issuer.as_ref().map(|(rules, _)| rules.issuer.clone()),
        ),
    };
    Part {
        id: "access",
        title: "Who may come in",
        standing,
        says: says.into(),
        settings: vec![
            secret("API_KEYS", keys),
            maybe("JWT_ISSUER", issuer),
            secret("TICKET_SECRET", config.access.ticket_key.is_some()),
            set("ALLOWED_ORIGINS", config.access.origins.to_string()),
            set("TRUSTED_PROXIES", config.access.proxies.to_string()),
        ],
    }
}

fn calls(config: &ServerConfig) -> Part {
    let limit = match config.max_calls {
        0 => "no limit".to_owned(),
        max => max.to_string(),
    };
    let longest = config.engine.call_limit;
    let longest = longest.map_or("off".into(), |limit| format!("{} s", limit.as_secs()));
    Part {
        id: "calls",
        title: "Calls",
        standing: Standing::On,
        says: "More calls than these are refused; longer ones are said goodbye to.".into(),
        settings: vec![set("MAX_CALLS", limit), set("CALL_LIMIT", longest)],
    }
}

fn session_log(config: &ServerConfig) -> Part {
    let dir = config.data_dir.display().to_string();
    let (standing, keep, says, region) = match &config.archive.keep {
        Keep::Off => (
            Standing::Off,
            "off".to_owned(),
            "Nothing is kept of calls, and History stays empty. SESSION_LOG=local or \
             SESSION_LOG=s3://BUCKET changes that."
                .to_owned(),
            None,
        ),
        Keep::Local => (
            Standing::Note,
            "local".to_owned(),
            "Session logs are kept on this machine. SESSION_LOG=s3://BUCKET keeps them beyond it."
                .to_owned(),
            None,
        ),
        Keep::S3(bucket) => {
            let encryption = match &bucket.encryption {
                Encryption::Bucket => "as the bucket encrypts by itself",
                Encryption::S3 => "with SSE-S3",
                Encryption::Kms(_) => "with SSE-KMS",
            };
            let says = format!("Session logs go to Amazon S3, {encryption}.");
            let url = format!("s3://{}/{}", bucket.name, bucket.prefix);
            (Standing::On, url, says, bucket.region.clone())
        }
    };
    Part {
        id: "session_log",
        title: "Session logs",
        standing,
        says,
        settings: vec![
            set("SESSION_LOG", keep),
            maybe("SESSION_LOG_REGION", region),
            set("DATA_DIR", dir),
        ],
    }
}

fn recording(config: &ServerConfig) -> Part {
    let archive = &config.archive;
    let kept = archive.keep != Keep::Off;
    let (standing, says) = match (archive.record, kept) {
        (true, true) => (Standing::On, "Every call is recorded unless its persona says no."),
        (true, false) => (Standing::Note, "RECORDING is on, but SESSION_LOG keeps nothing."),
        (false, _) => {
            (Standing::Off, "Only calls whose persona says so. RECORDING=on records all.")
        }
    };
    Part {
        id: "recording",
        title: "Recording",
        standing,
        says: says.into(),
        settings: vec![
            set("RECORDING", if archive.record { "on" } else { "off" }),
            set("RECORDING_RATE", archive.record_rate.to_string()),
        ],
    }
}

fn transcription(config: &ServerConfig) -> Part {
    let settings = &config.transcription;
    let (standing, channels, says) = match settings.channels {
        Channels::Off => (
            Standing::Off,
            "off",
            "Amazon Transcribe is asked only where a persona says so. TRANSCRIBE=caller or \
             TRANSCRIBE=both hears every call.",
        ),
        Channels::Caller => (Standing::On, "caller", "Amazon Transcribe hears the caller."),
        Channels::Both => (Standing::On, "both", "Amazon Transcribe hears both sides."),
    };
    Part {
        id: "transcribe",
        title: "Amazon Transcribe",
        standing,
        says: says.into(),
        settings: vec![
            set("TRANSCRIBE", channels),
            maybe("TRANSCRIBE_REGION", settings.region.clone()),
            maybe("TRANSCRIBE_VOCABULARY", settings.vocabulary.clone()),
        ],
    }
}

fn langfuse(config: &ServerConfig) -> Part {
    let langfuse = config.langfuse.as_ref();
    let (standing, says) = match langfuse {
        Some(_) => (Standing::On, "Prompts come from Langfuse, with the local files behind them."),
        None => (
            Standing::Off,
            "Not used. It needs LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY of a project.",
        ),
    };
    let label = langfuse.and_then(|langfuse| langfuse.prompts.as_ref());
    Part {
        id: "langfuse",
        title: "Langfuse",
        standing,
        says: says.into(),
        settings: vec![
            secret("LANGFUSE_PUBLIC_KEY", langfuse.is_some()),
            secret("LANGFUSE_SECRET_KEY", langfuse.is_some()),
            maybe("LANGFUSE_HOST", langfuse.map(|langfuse| langfuse.project.host.clone())),
            maybe("LANGFUSE_PROMPT_LABEL", label.map(|prompts| prompts.label.clone())),
        ],
    }
}

fn traces(config: &ServerConfig) -> Part {
    let target = config.traces.as_ref().map(|traces| traces.target.to_string());
    let (standing, says) = match &target {
        Some(target) => (Standing::On, format!("Calls are traced: {target}.")),
        None => (
            Standing::Off,
            "Calls are not traced. Langfuse's keys or OTEL_EXPORTER_OTLP_ENDPOINT change that."
                .to_owned(),
        ),
    };
    Part {
        id: "traces",
        title: "Traces",
        standing,
        says,
        settings: vec![maybe("OTEL_EXPORTER_OTLP_ENDPOINT", target)],
    }
}

fn cloudwatch(config: &ServerConfig) -> Part {
    let metrics = &config.metrics;
    let (standing, says) = match metrics.cloudwatch {
        true => (Standing::On, "Metrics go to Amazon CloudWatch, or to the built-in emulator."),
        false => (
            Standing::Off,
            "CloudWatch is told nothing; /metrics has everything. CLOUDWATCH_METRICS=on changes \
             that.",
        ),
    };
    let named = |name: &str| {
        let found = metrics.dimensions.iter().find(|(dimension, _)| *dimension == name);
        found.map(|(_, value)| value.clone())
    };
    Part {
        id: "cloudwatch",
        title: "Amazon CloudWatch",
        standing,
        says: says.into(),
        settings: vec![
            set("CLOUDWATCH_METRICS", if metrics.cloudwatch { "on" } else { "off" }),
            set("CLOUDWATCH_NAMESPACE", &metrics.namespace),
            maybe("METRICS_ENVIRONMENT", named("Environment")),
            maybe("METRICS_SERVICE", named("Service")),
        ],
    }
}

fn task_protection(config: &ServerConfig) -> Part {
    let protected = config.operations.protection.is_some();
    let (standing, says) = match protected {
        true => (Standing::On, "Amazon ECS is asked not to end this task while it has calls."),
        false => (
            Standing::Off,
            "This is no task of Amazon ECS, or it is not to be protected. TASK_PROTECTION=auto \
             protects it where ECS gives an ECS_AGENT_URI.",
        ),
    };
    Part {
        id: "task_protection",
        title: "Scale-in protection",
        standing,
        says: says.into(),
        settings: vec![set("TASK_PROTECTION", if protected { "auto" } else { "off" })],
    }
}

fn session_store(config: &ServerConfig) -> Part {
    let (standing, store, says) = match &config.store.shelf {
        Shelf::Memory(_) => (
            Standing::Note,
            "memory",
            "A call survives its connection, but not its task. SESSION_STORE=redis://… and \
             SESSION_STORE_KEY keep it beyond that.",
        ),
        Shelf::Redis(_) => (Standing::On, "redis", "A call goes on at another task."),
    };
    Part {
        id: "session_store",
        title: "Session store",
        standing,
        says: says.into(),
        // The address may hold a password.
        settings: vec![
            set("SESSION_STORE", store),
            secret("SESSION_STORE_KEY", standing == Standing::On),
        ],
    }
}

fn tools(config: &ServerConfig) -> Part {
    let (http, mcp) = (&config.tools.http, &config.tools.mcp.0);
    let count = |number: usize, what: &str| match number {
        0 => String::new(),
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    let reach = !http.hosts.is_empty() || !http.private_hosts.is_empty() || !mcp.is_empty();
    let (standing, says) = match reach {
        true => (Standing::On, "Tools may reach what is listed, and nothing else."),
        false => (
            Standing::Off,
            "Tools reach nothing outside this process. TOOL_HTTP_HOSTS, TOOL_HTTP_PRIVATE_HOSTS \
             and MCP_SERVERS list what they may.",
        ),
    };
    Part {
        id: "tools",
        title: "What tools may reach",
        standing,
        says: says.into(),
        settings: vec![
            set("TOOL_HTTP_HOSTS", count(http.hosts.len(), "host")),
            set("TOOL_HTTP_PRIVATE_HOSTS", count(http.private_hosts.len(), "host")),
            set("MCP_SERVERS", count(mcp.len(), "server")),
        ],
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Cli;

    fn parts_of(flags: &[&str]) -> Vec<Part> {
        let args = std::iter::once("voice-s2s").chain(flags.iter().copied());
        let cli = Cli::try_parse_from(args).expect("well-formed");
        parts(&cli.serve.into_config().expect("valid"))
    }

    fn standing(parts: &[Part], id: &str) -> Standing {
        parts.iter().find(|part| part.id == id).expect("the part").standing
    }

    #[test]
    fn what_is_missing_is_said_with_the_variable_that_brings_it() {
        let parts = parts_of(&[]);
        for (id, variable) in [
            ("model", "SONIC_BACKEND"),
            ("access", "API_KEYS"),
            ("traces", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("task_protection", "TASK_PROTECTION"),
            ("session_log", "SESSION_LOG"),
            ("recording", "RECORDING"),
            ("transcribe", "TRANSCRIBE"),
            ("langfuse", "LANGFUSE_PUBLIC_KEY"),
            ("session_store", "SESSION_STORE"),
            ("tools", "TOOL_HTTP_HOSTS"),
        ] {
            let part = parts.iter().find(|part| part.id == id).expect("the part");
            assert_ne!(part.standing, Standing::On, "{id}");
            assert!(part.says.contains(variable), "{id}: {}", part.says);
            assert!(part.settings.iter().any(|setting| setting.name == variable), "{id}");
        }
    }

    #[test]
    fn what_is_set_is_on_and_secrets_are_not_in_it() {
        let parts = parts_of(&[
            "--sonic-backend=bedrock",
            "--nova-aws-access-key-id=canary-id",
            "--nova-aws-secret-access-key=canary-secret",
            "--session-log=s3://logs/calls",
            "--recording=on",
            "--transcribe=both",
            "--langfuse-public-key=canary-public",
            "--langfuse-secret-key=canary-langfuse",
            "--session-store=redis://:canary-password@127.0.0.1/",
            "--session-store-key=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "--tool-http-hosts=api.bank.example",
            "--api-keys=ops:operator:abababababababababababababababababababababababababababababababab",
            "--allowed-origins=https://bank.example",
            "--trusted-proxies=10.0.0.0/16",
            "--cloudwatch-metrics=on",
            "--ecs-agent-uri=http://127.0.0.1:9/agent",
        ]);
        assert!(parts.iter().all(|part| part.standing == Standing::On), "{parts:?}");
        let text = serde_json::to_string(&parts).expect("JSON");
        assert!(!text.contains("canary") && !text.contains("0123456789abcdef"), "{text}");
        for shown in ["s3://logs/calls", "https://bank.example", "10.0.0.0/16"] {
            assert!(text.contains(shown), "{shown}: {text}");
        }
        assert!(!text.contains("abababab"), "not even the hash of a key: {text}");
        assert_eq!(standing(&parts, "langfuse"), Standing::On);
    }
}
