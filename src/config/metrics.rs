//! The settings of metrics: CloudWatch, and distributions in the log.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{BadSetting, archive::Switch};

/// How often everything is told. The contract says: every 60 s.
const INTERVAL: Duration = Duration::from_secs(60);

/// How often what is for scaling is told at high resolution.
const FAST: Duration = Duration::from_secs(10);

/// What of [`super::ServeArgs`] is about metrics.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Metrics")]
pub struct MetricsArgs {
    /// Whether CloudWatch is told: `on`, `off`, or `auto`: in a task of ECS, and with the built-in
    /// emulator, which takes the metrics itself.
    #[arg(long, env, value_enum, default_value = "auto")]
    pub cloudwatch_metrics: WhenToTell,
    /// Where in CloudWatch.
    #[arg(long, env, default_value = "VoiceS2S")]
    pub cloudwatch_namespace: String,
    /// Region of CloudWatch; absent: the region of Nova Sonic.
    #[arg(long, env)]
    pub cloudwatch_region: Option<String>,
    /// Endpoint of CloudWatch instead of the region's own; AWS_ENDPOINT_URL works as well.
    #[arg(long, env)]
    pub aws_endpoint_url_cloudwatch: Option<String>,
    /// A dimension of all metrics, `Environment`, such as `production`.
    #[arg(long, env)]
    pub metrics_environment: Option<String>,
    /// A dimension of all metrics, `Service`, such as `voice-s2s`.
    #[arg(long, env)]
    pub metrics_service: Option<String>,
    /// Tell `CapacityUsed` every 10 s at high resolution, for alarms that are quicker than a minute:
    /// six times the requests.
    #[arg(long, env, value_enum, default_value = "off")]
    pub metrics_high_resolution: Switch,
    /// Write the waits of callers to stdout in CloudWatch's embedded metric format, instead of
    /// putting them.
    #[arg(long, env, value_enum, default_value = "off")]
    pub emf: Switch,
    /// Set by ECS in its tasks; `auto` looks at it.
    #[arg(long, env)]
    pub ecs_container_metadata_uri_v4: Option<String>,
}

/// When CloudWatch is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhenToTell {
    /// Where it is expected.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// What is told, to whom, how often.
#[derive(Debug, Clone)]
pub struct MetricsSettings {
    /// Whether CloudWatch is told.
    pub cloudwatch: bool,
    /// Where in CloudWatch.
    pub namespace: String,
    /// The region, where it is another one than Nova Sonic's.
    pub region: Option<String>,
    /// The endpoint, where it is another one.
    pub endpoint: Option<String>,
    /// Dimensions of all metrics.
    pub dimensions: Vec<(&'static str, String)>,
    /// How often everything is told.
    pub interval: Duration,
    /// How often what is for scaling is told; `None`: with everything else.
    pub fast: Option<Duration>,
    /// Whether waits are written to stdout.
    pub emf: bool,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            cloudwatch: true,
            namespace: "VoiceS2S".into(),
            region: None,
            endpoint: None,
            dimensions: Vec::new(),
            interval: INTERVAL,
            fast: None,
            emf: false,
        }
    }
}

impl MetricsArgs {
    /// The typed settings.
    pub(super) fn settings(self, with_emulator: bool) -> Result<MetricsSettings, BadSetting> {
        // A laptop that talks to Bedrock must not mix its zeros into the numbers by which a fleet in
        // the same account grows and shrinks.
        let in_ecs = self.ecs_container_metadata_uri_v4.is_some_and(|uri| !uri.is_empty());
        let cloudwatch = match self.cloudwatch_metrics {
            WhenToTell::On => true,
            WhenToTell::Off => false,
            WhenToTell::Auto => in_ecs || with_emulator,
        };
        let namespace = self.cloudwatch_namespace;
        let is_namespace = (1..=255).contains(&namespace.len())
            && !namespace.starts_with([':', ' '])
            && !namespace.starts_with("AWS/")
            && namespace.chars().all(|c| c.is_ascii_alphanumeric() || ".-_/#: ".contains(c));
        if !is_namespace {
            let what = format!(
                "{namespace:?} is no namespace: expected letters, digits and . - _ / # :, at most \
                 255, and not AWS/… at the beginning"
            );
            return Err(BadSetting::new("CLOUDWATCH_NAMESPACE", what));
        }
        let given = [
            ("METRICS_ENVIRONMENT", "Environment", self.metrics_environment),
            ("METRICS_SERVICE", "Service", self.metrics_service),
        ];
        let mut dimensions = Vec::new();
        for (variable, name, value) in given {
            let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
            let fits = value.len() <= 1024
                && !value.trim().is_empty()
                && value.chars().all(|c| c.is_ascii() && !c.is_ascii_control());
            if !fits {
                let what = "expected at most 1024 printable ASCII characters, not all blank";
                return Err(BadSetting::new(variable, what));
            }
            dimensions.push((name, value));
        }
        Ok(MetricsSettings {
            cloudwatch,
            namespace,
            region: self.cloudwatch_region,
            endpoint: self.aws_endpoint_url_cloudwatch,
            dimensions,
            interval: INTERVAL,
            fast: (self.metrics_high_resolution == Switch::On).then_some(FAST),
            emf: self.emf == Switch::On,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::Cli, *};

    fn settings(flags: &[&str]) -> Result<MetricsSettings, BadSetting> {
        let args = std::iter::once("voice-s2s").chain(flags.iter().copied());
        let serve = Cli::try_parse_from(args).expect("well-formed").serve;
        let with_emulator = serve.sonic_backend == crate::config::SonicBackend::Emulator;
        serve.metrics.settings(with_emulator)
    }

    #[test]
    fn everything_is_told_each_minute() {
        let told = settings(&[]).expect("valid");
        assert_eq!((told.interval, told.fast), (Duration::from_secs(60), None));
        assert_eq!((told.namespace.as_str(), told.dimensions.len()), ("VoiceS2S", 0));
        let fast = settings(&["--metrics-high-resolution=on"]).expect("valid").fast;
        assert_eq!(fast, Some(Duration::from_secs(10)));
    }

    #[test]
    fn a_laptop_at_bedrock_tells_nothing_unless_it_is_asked_to() {
        let tells = |flags: &[&str]| settings(flags).expect("valid").cloudwatch;
        assert!(tells(&[]), "the emulator takes them");
        assert!(!tells(&["--sonic-backend=bedrock"]));
        let in_ecs = "--ecs-container-metadata-uri-v4=http://169.254.170.2/v4/x";
        assert!(tells(&["--sonic-backend=bedrock", in_ecs]));
        assert!(tells(&["--sonic-backend=bedrock", "--cloudwatch-metrics=on"]));
        assert!(!tells(&[in_ecs, "--cloudwatch-metrics=off"]));
    }

    #[test]
    fn dimensions_and_namespace_are_those_that_the_service_takes() {
        let flags = ["--metrics-environment=test", "--metrics-service=voice"];
        let dimensions = settings(&flags).expect("valid").dimensions;
        assert_eq!(dimensions, [("Environment", "test".into()), ("Service", "voice".into())]);
        assert!(settings(&["--metrics-service="]).expect("none").dimensions.is_empty());
        for (flag, variable) in [
            ("--cloudwatch-namespace=", "CLOUDWATCH_NAMESPACE"),
            ("--cloudwatch-namespace=AWS/ECS", "CLOUDWATCH_NAMESPACE"),
            ("--cloudwatch-namespace=a&b", "CLOUDWATCH_NAMESPACE"),
            ("--metrics-environment= ", "METRICS_ENVIRONMENT"),
            ("--metrics-service=größe", "METRICS_SERVICE"),
        ] {
            assert_eq!(settings(&[flag]).expect_err(flag).variable, variable);
        }
    }
}
