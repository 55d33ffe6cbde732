//! The settings of traces: the standard variables of OpenTelemetry, or the keys of Langfuse.
//!
//! Names and meanings: OpenTelemetry specification, "Environment Variable Specification" and "OTLP
//! Exporter". A variable that is empty counts as absent there, and so it does here.

use std::{str::FromStr, time::Duration};

use clap::{ArgAction, Args};
use percent_encoding::percent_decode_str;
use voice_langfuse::{ExportOptions, OtlpTarget, TracesConfig};

use super::{BadSetting, LangfuseSettings};

/// Who we are, unless somebody says otherwise.
const SERVICE: &str = "voice-s2s";

/// What of [`super::ServeArgs`] is about traces.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Traces")]
pub struct TracesArgs {
    /// A collector that speaks OTLP over HTTP, such as `http://localhost:4318`; `/v1/traces` is
    /// added. Absent: traces go to Langfuse when its keys are given, and nowhere otherwise.
    #[arg(long, env)]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// The whole URL for traces; prevails over OTEL_EXPORTER_OTLP_ENDPOINT.
    #[arg(long, env)]
    pub otel_exporter_otlp_traces_endpoint: Option<String>,
    /// Headers for the collector: `name=value,name=value`, values percent-encoded.
    #[arg(long, env, hide_env_values = true)]
    pub otel_exporter_otlp_headers: Option<String>,
    /// The same for traces alone; one of the same name prevails.
    #[arg(long, env, hide_env_values = true)]
    pub otel_exporter_otlp_traces_headers: Option<String>,
    /// Only `http/protobuf` is spoken.
    #[arg(long, env)]
    pub otel_exporter_otlp_protocol: Option<String>,
    /// The same for traces alone.
    #[arg(long, env)]
    pub otel_exporter_otlp_traces_protocol: Option<String>,
    /// Longest wait for an answer to a batch, in milliseconds. Absent: 10000.
    #[arg(long, env)]
    pub otel_exporter_otlp_timeout: Option<String>,
    /// The same for traces alone.
    #[arg(long, env)]
    pub otel_exporter_otlp_traces_timeout: Option<String>,
    /// How long a span waits for others to go with it, in milliseconds. Absent: 2000.
    #[arg(long, env)]
    pub otel_bsp_schedule_delay: Option<String>,
    /// The name of this service. Absent: the one in OTEL_RESOURCE_ATTRIBUTES, or `voice-s2s`.
    #[arg(long, env)]
    pub otel_service_name: Option<String>,
    /// More of who we are: `name=value,name=value`, values percent-encoded, such as
    /// `deployment.environment.name=staging`.
    #[arg(long, env)]
    pub otel_resource_attributes: Option<String>,
    /// `otlp`, or `none`: no traces at all.
    #[arg(long, env)]
    pub otel_traces_exporter: Option<String>,
    /// `true`: no traces at all.
    #[arg(long, env, action = ArgAction::Set)]
    pub otel_sdk_disabled: Option<String>,
    /// `false`: Langfuse's keys are for prompts alone; neither traces nor scores go there.
    #[arg(long, env, action = ArgAction::Set)]
    pub langfuse_tracing_enabled: Option<String>,
}

impl TracesArgs {
    /// How calls are traced; `None` when they are not.
    pub(super) fn settings(
        self,
        langfuse: Option<&LangfuseSettings>,
    ) -> Result<Option<TracesConfig>, BadSetting> {
        let is_off = truth("OTEL_SDK_DISABLED", self.otel_sdk_disabled, false)?
            || match given(self.otel_traces_exporter).as_deref() {
                None | Some("otlp") => false,
                Some("none") => true,
                Some(_) => {
                    return Err(BadSetting::new(
                        "OTEL_TRACES_EXPORTER",
                        "expected `otlp` or `none`",
                    ));
                }
            };
        let tells = truth("LANGFUSE_TRACING_ENABLED", self.langfuse_tracing_enabled, true)?;
        let project = langfuse.filter(|_| tells).map(|langfuse| langfuse.project.clone());

        let endpoint = match given(self.otel_exporter_otlp_traces_endpoint) {
            Some(whole) => Some(("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", whole)),
            None => given(self.otel_exporter_otlp_endpoint).map(|base| {
                let url = format!("{}/v1/traces", base.trim_end_matches('/'));
                ("OTEL_EXPORTER_OTLP_ENDPOINT", url)
            }),
        };
        let headers = [
            ("OTEL_EXPORTER_OTLP_HEADERS", self.otel_exporter_otlp_headers),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", self.otel_exporter_otlp_traces_headers),
        ];
        let mut pairs = Vec::new();
        for (variable, list) in headers {
            let list = pairs_of(variable, list)?;
            // A name that no header can have is told by the variable that has it.
            let probe = list.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            OtlpTarget::collector("http://localhost", probe)
                .map_err(|error| BadSetting::new(variable, error))?;
            pairs.extend(list);
        }
        let target = match (endpoint, &project) {
            (Some((variable, url)), _) => {
                let headers = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let target = OtlpTarget::collector(&url, headers);
                Some(target.map_err(|error| BadSetting::new(variable, error))?)
            }
            (None, Some(project)) => {
                let target = OtlpTarget::langfuse(project);
                Some(target.map_err(|error| BadSetting::new("LANGFUSE_HOST", error))?)
            }
            (None, None) => None,
        };
        let protocols = [
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", self.otel_exporter_otlp_traces_protocol),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", self.otel_exporter_otlp_protocol),
        ];
        for (variable, protocol) in protocols {
            if given(protocol).is_some_and(|protocol| protocol != "http/protobuf") {
                return Err(BadSetting::new(variable, "only http/protobuf is spoken"));
            }
        }

        let mut options = ExportOptions::default();
        let of_all = milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT", self.otel_exporter_otlp_timeout)?;
        let of_traces = milliseconds(
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
            self.otel_exporter_otlp_traces_timeout,
        )?;
        options.deadline = of_traces.or(of_all).unwrap_or(options.deadline);
        let delay = milliseconds("OTEL_BSP_SCHEDULE_DELAY", self.otel_bsp_schedule_delay)?;
        options.interval = delay.unwrap_or(options.interval);

        let mut resource = vec![
            ("service.name".to_owned(), SERVICE.to_owned()),
            ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let attributes = pairs_of("OTEL_RESOURCE_ATTRIBUTES", self.otel_resource_attributes)?;
        let name = given(self.otel_service_name).map(|name| ("service.name".to_owned(), name));
        for (key, value) in attributes.into_iter().chain(name) {
            resource.retain(|(known, _)| *known != key);
            resource.push((key, value));
        }
        let target = target.filter(|_| !is_off);
        Ok(target.map(|target| TracesConfig { target, scores: project, resource, options }))
    }
}

/// A value, unless it is empty.
fn given(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.trim().is_empty())
}

fn truth(
    variable: &'static str,
    value: Option<String>,
    otherwise: bool,
) -> Result<bool, BadSetting> {
    match given(value).map(|value| value.to_ascii_lowercase()).as_deref() {
        None => Ok(otherwise),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(BadSetting::new(variable, "expected `true` or `false`")),
    }
}

fn milliseconds(
    variable: &'static str,
    value: Option<String>,
) -> Result<Option<Duration>, BadSetting> {
    let expected = || BadSetting::new(variable, "expected milliseconds from 1 to 600000");
    let parse = |value: String| u64::from_str(value.trim()).ok();
    let Some(value) = given(value) else { return Ok(None) };
    let ms = parse(value).filter(|ms| (1..=600_000).contains(ms)).ok_or_else(expected)?;
    Ok(Some(Duration::from_millis(ms)))
}

/// `name=value,name=value`. The values may be secrets, so an error names the place alone.
fn pairs_of(
    variable: &'static str,
    list: Option<String>,
) -> Result<Vec<(String, String)>, BadSetting> {
    let list = given(list).unwrap_or_default();
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let pair = |(index, entry): (usize, &str)| {
        let bad = |what: &str| BadSetting::new(variable, format!("entry {}: {what}", index + 1));
        let (name, value) = entry.split_once('=').ok_or_else(|| bad("expected name=value"))?;
        let value = percent_decode_str(value.trim()).decode_utf8();
        let value = value.map_err(|_| bad("the value is no UTF-8"))?.into_owned();
        match name.trim() {
            "" => Err(bad("it has no name")),
            name => Ok((name.to_owned(), value)),
        }
    };
    entries.enumerate().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::Cli, *};

    fn settings(flags: &[&str]) -> Result<Option<TracesConfig>, &'static str> {
        let args = std::iter::once("voice-s2s").chain(flags.iter().copied());
        let serve = Cli::try_parse_from(args).expect("well-formed").serve;
        let langfuse = serve.langfuse.settings().expect("sound");
        serve.traces.settings(langfuse.as_ref()).map_err(|error| error.variable)
    }

    const KEYS: [&str; 3] = [
        "--langfuse-public-key=pk",
        "--langfuse-secret-key=sk-canary",
        "--langfuse-host=http://lf:3000",
    ];

    fn target(flags: &[&str]) -> Option<String> {
        settings(flags).expect("valid").map(|config| config.target.to_string())
    }

    #[test]
    fn traces_go_to_the_collector_or_to_langfuse_or_nowhere() {
        let collector = "--otel-exporter-otlp-endpoint=http://c:4318/";
        let with = |more: &[&'static str]| target(&[&KEYS[..], more].concat());
        let langfuse = Some("http://lf:3000/api/public/otel/v1/traces".to_owned());
        assert_eq!(target(&[]), None);
        assert_eq!(with(&[]), langfuse);
        assert_eq!(target(&[collector]).as_deref(), Some("http://c:4318/v1/traces"));
        assert_eq!(with(&[collector]).as_deref(), Some("http://c:4318/v1/traces"));
        let whole = "--otel-exporter-otlp-traces-endpoint=http://t/x";
        assert_eq!(target(&[collector, whole]).as_deref(), Some("http://t/x"));
        assert_eq!(with(&["--otel-exporter-otlp-endpoint="]), langfuse, "empty is absent");
        assert_eq!(with(&["--langfuse-tracing-enabled=false"]), None);
        assert_eq!(with(&["--otel-sdk-disabled=true"]), None);
        assert_eq!(target(&[collector, "--otel-traces-exporter=none"]), None);

        let scores = |flags: &[&'static str]| {
            let config = settings(&[&KEYS[..], flags].concat()).expect("valid");
            config.and_then(|config| config.scores).is_some()
        };
        assert!(scores(&[]) && scores(&[collector]));
        assert!(!scores(&[collector, "--langfuse-tracing-enabled=false"]));
    }

    #[test]
    fn who_we_are_and_headers_are_lists_of_pairs() {
        let flags = [
            "--otel-exporter-otlp-endpoint=http://c",
            "--otel-exporter-otlp-headers=x-key=canary%201, x-other = 2",
            "--otel-exporter-otlp-traces-headers=x-other=3",
            "--otel-resource-attributes=service.name=a,deployment.environment.name=staging",
            "--otel-service-name=b",
            "--otel-exporter-otlp-timeout=500",
            "--otel-bsp-schedule-delay=20",
        ];
        let config = settings(&flags).expect("valid").expect("traces");
        assert!(!format!("{config:?}").contains("canary"), "{config:?}");
        let of = |key: &str| {
            let found = config.resource.iter().filter(|(known, _)| known == key);
            found.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of("service.name"), ["b"]);
        assert_eq!(of("deployment.environment.name"), ["staging"]);
        assert_eq!(config.options.deadline, Duration::from_millis(500));
        assert_eq!(config.options.interval, Duration::from_millis(20));
    }

    #[test]
    fn a_wrong_value_names_its_variable() {
        let cases = [
            ("--otel-exporter-otlp-endpoint=c:4318", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("--otel-exporter-otlp-traces-endpoint=x", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
            ("--otel-exporter-otlp-headers=canary", "OTEL_EXPORTER_OTLP_HEADERS"),
            ("--otel-exporter-otlp-traces-headers=a b=c", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
            ("--otel-exporter-otlp-protocol=grpc", "OTEL_EXPORTER_OTLP_PROTOCOL"),
            ("--otel-exporter-otlp-timeout=soon", "OTEL_EXPORTER_OTLP_TIMEOUT"),
            ("--otel-bsp-schedule-delay=0", "OTEL_BSP_SCHEDULE_DELAY"),
            ("--otel-resource-attributes==x", "OTEL_RESOURCE_ATTRIBUTES"),
            ("--otel-traces-exporter=jaeger", "OTEL_TRACES_EXPORTER"),
            ("--otel-sdk-disabled=maybe", "OTEL_SDK_DISABLED"),
            ("--langfuse-tracing-enabled=1", "LANGFUSE_TRACING_ENABLED"),
        ];
        for (flag, variable) in cases {
            assert_eq!(settings(&[flag]).err(), Some(variable), "{flag}");
        }
    }
}
