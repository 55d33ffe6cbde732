//! The settings of what is kept of a call, and of what it costs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, ValueEnum};
use voice_archive::{
    Pauses,
    price::Prices,
    redact::{CustomRule, Redactor},
};

use super::{BadSetting, seconds};

/// What of [`super::ServeArgs`] is about what is kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What is kept of a call")]
pub struct ArchiveArgs {
    /// Where session logs and recordings are kept: `local` (in DATA_DIR), `s3://BUCKET[/PREFIX]`,
    /// or `off`.
    #[arg(long, env, default_value = "local")]
    pub session_log: String,
    /// Encryption in the bucket: `bucket` (as the bucket does by itself), `s3`, or the id or ARN
    /// of a KMS key.
    #[arg(long, env, default_value = "bucket")]
    pub session_log_encryption: String,
    /// Region of the bucket; absent: the region of Nova Sonic.
    #[arg(long, env)]
    pub session_log_region: Option<String>,
    /// Endpoint of S3 instead of the region's own, addressed by path; AWS_ENDPOINT_URL works as
    /// well.
    #[arg(long, env)]
    pub aws_endpoint_url_s3: Option<String>,
    /// Whether calls are recorded whose persona does not say; `recording` in a persona's settings
    /// prevails.
    #[arg(long, env, value_enum, default_value = "off")]
    pub recording: Switch,
    /// Samples a second of a recording: 16000, or 8000 for half the bytes and a little more work.
    #[arg(long, env, default_value_t = 16_000)]
    pub recording_rate: u32,
    /// Mebibytes that may wait on the local disk while the store does not answer.
    #[arg(long, env, default_value_t = 1024)]
    pub spool_limit: u64,
    /// First pause, in seconds, after the store has failed; it doubles, up to a minute.
    #[arg(long, env, default_value = "1", value_parser = seconds)]
    pub spool_retry: Duration,
    /// What is taken out of logs, journals and traces: card and account numbers, e-mail addresses,
    /// phone numbers, written or spoken.
    #[arg(long, env, value_enum, default_value = "on")]
    pub redaction: Switch,
    /// Patterns that are taken out as well: a JSON object of names and regular expressions, or the
    /// path of a file with one.
    #[arg(long, env)]
    pub redaction_patterns: Option<String>,
    /// File with a table of prices (JSON). Absent: a built-in one, as of 2026-10.
    #[arg(long, env)]
    pub prices_file: Option<PathBuf>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// What is kept, where, and what is left out.
#[derive(Debug, Clone)]
pub struct ArchiveSettings {
    /// Where.
    pub keep: Keep,
    /// Bytes that may wait on the local disk.
    pub spool_limit: u64,
    /// Pauses after a failure of the store.
    pub pauses: Pauses,
    /// What is taken out.
    pub redactor: Redactor,
    /// What things cost.
    pub prices: Arc<Prices>,
    /// Whether calls are recorded whose persona does not say.
    pub record: bool,
    /// Samples a second of a recording.
    pub record_rate: u32,
}

/// Where session logs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// Nowhere.
    Off,
    /// In `DATA_DIR/sessions`.
    Local,
    /// In a bucket.
    S3(Bucket),
}

/// A bucket, and how to use it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What keys begin with; empty or with a `/` at its end.
    pub prefix: String,
    /// Its region; absent: that of Nova Sonic.
    pub region: Option<String>,
    /// Where S3 is, instead of the region's endpoint.
    pub endpoint: Option<String>,
    /// Encryption.
    pub encryption: Encryption,
}

/// Server-side encryption.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket does by itself.
    #[default]
    Bucket,
    /// SSE-S3.
    S3,
    /// SSE-KMS with this key.
    Kms(String),
}

impl Default for ArchiveSettings {
    fn default() -> Self {
        Self {
            keep: Keep::Local,
            spool_limit: 1024 * 1024 * 1024,
            pauses: Pauses::default(),
            redactor: Redactor::default(),
            prices: Arc::default(),
            record: false,
            record_rate: 16_000,
        }
    }
}

impl ArchiveArgs {
    /// The typed settings.
    pub(super) fn settings(self) -> Result<ArchiveSettings, BadSetting> {
        let keep = match self.session_log.as_str() {
            "off" => Keep::Off,
            "local" => Keep::Local,
            url => {
                let rest = url.strip_prefix("s3://").filter(|rest| !rest.is_empty());
                let expected = "expected `local`, `off`, or s3://BUCKET[/PREFIX]";
                let rest = rest.ok_or_else(|| BadSetting::new("SESSION_LOG", expected))?;
                let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let is_bucket = (3..=63).contains(&name.len())
                    && name
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c));
                if !is_bucket {
                    let what = format!("{name:?} is no name of a bucket; {expected}");
                    return Err(BadSetting::new("SESSION_LOG", what));
                }
                let prefix = prefix.trim_matches('/');
                let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
                let encryption = match self.session_log_encryption.as_str() {
                    "bucket" => Encryption::Bucket,
                    "s3" => Encryption::S3,
                    "" => {
                        let what = "expected `bucket`, `s3`, or a KMS key";
                        return Err(BadSetting::new("SESSION_LOG_ENCRYPTION", what));
                    }
                    key => Encryption::Kms(key.to_owned()),
                };
                Keep::S3(Bucket {
                    name: name.to_owned(),
                    prefix,
                    region: self.session_log_region,
                    endpoint: self.aws_endpoint_url_s3,
                    encryption,
                })
            }
        };
        let redactor = match self.redaction {
            Switch::Off => Redactor::off(),
            Switch::On => Redactor::new(read_patterns(self.redaction_patterns.as_deref())?),
        };
        let prices = match &self.prices_file {
            None => Prices::default(),
            Some(path) => {
                let bad = |why: String| {
                    BadSetting::new("PRICES_FILE", format!("{}: {why}", path.display()))
                };
                let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
                Prices::parse(&text).map_err(|error| bad(error.to_string()))?
            }
        };
        if !matches!(self.recording_rate, 8_000 | 16_000) {
            return Err(BadSetting::new("RECORDING_RATE", "expected 8000 or 16000"));
        }
        let record = self.recording == Switch::On;
        if record && keep == Keep::Off {
            let what = "on, but SESSION_LOG is off: there is nowhere to keep recordings";
            return Err(BadSetting::new("RECORDING", what));
        }
        let pauses = Pauses { first: self.spool_retry, ..Pauses::default() };
        let spool_limit = self.spool_limit.saturating_mul(1024 * 1024);
        Ok(ArchiveSettings {
            keep,
            spool_limit,
            pauses,
            redactor,
            prices: Arc::new(prices),
            record,
            record_rate: self.recording_rate,
        })
    }
}

fn read_patterns(given: Option<&str>) -> Result<Vec<CustomRule>, BadSetting> {
    let bad = |why: String| BadSetting::new("REDACTION_PATTERNS", why);
    let Some(given) = given.map(str::trim).filter(|given| !given.is_empty()) else {
        return Ok(Vec::new());
    };
    let text = match given.starts_with('{') {
        true => given.to_owned(),
        false => {
            std::fs::read_to_string(given).map_err(|error| bad(format!("{given}: {error}")))?
        }
    };
    let patterns: std::collections::BTreeMap<String, String> = serde_json::from_str(&text)
        .map_err(|error| bad(format!("expected an object of names and patterns: {error}")))?;
    let rule = |(name, pattern): (&String, &String)| CustomRule::new(name, pattern);
    patterns.iter().map(rule).collect::<Result<_, _>>().map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::Cli, *};

    fn settings(flags: &[&str]) -> Result<ArchiveSettings, BadSetting> {
        let args = std::iter::once("voice-s2s").chain(flags.iter().copied());
        Cli::try_parse_from(args).expect("well-formed").serve.archive.settings()
    }

    #[test]
    fn a_bucket_is_named_by_its_url() {
        let keep = |flags: &[&str]| settings(flags).expect("valid").keep;
        assert_eq!(keep(&[]), Keep::Local);
        assert_eq!(keep(&["--session-log=off"]), Keep::Off);
        let bucket = Bucket { name: "my-logs".into(), ..Bucket::default() };
        assert_eq!(keep(&["--session-log=s3://my-logs"]), Keep::S3(bucket.clone()));
        let flags = ["--session-log=s3://my-logs/a/b/", "--session-log-encryption=alias/k"];
        let encryption = Encryption::Kms("alias/k".into());
        assert_eq!(keep(&flags), Keep::S3(Bucket { prefix: "a/b/".into(), encryption, ..bucket }));
        for wrong in ["s3://", "s3://My_Logs", "/var/log", "s3://x"] {
            let error = settings(&[&format!("--session-log={wrong}")]).expect_err(wrong);
            assert_eq!(error.variable, "SESSION_LOG");
        }
    }

    #[test]
    fn patterns_and_prices_are_checked() {
        let own = settings(&[r#"--redaction-patterns={"policy": "POL-\\d+"}"#]).expect("valid");
        assert_eq!(own.redactor.text("POL-77"), "[policy]");
        let error = settings(&[r#"--redaction-patterns={"x": "("}"#]).expect_err("no pattern");
        assert_eq!(error.variable, "REDACTION_PATTERNS");
        let off = settings(&["--redaction=off"]).expect("valid");
        assert_eq!(off.redactor.text("4111111111111111"), "4111111111111111");
        let error = settings(&["--prices-file=/no/such"]).expect_err("no file");
        assert_eq!(error.variable, "PRICES_FILE");
    }
}
