//! Logs to stdout: JSON for machines, text for people. Started once by `main.rs`.

pub mod outlet;

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::BadSetting;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

impl LogFormat {
    /// Whether lines are JSON objects, given what stdout is.
    pub fn is_json(self) -> bool {
        match self {
            Self::Auto => !std::io::stdout().is_terminal(),
            Self::Json => true,
            Self::Text => false,
        }
    }
}

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The server's logs.
    Stdout,
    /// For commands whose stdout is their result.
    Stderr,
}

/// Installs the process-wide subscriber.
///
/// # Errors
/// When `filter` (`RUST_LOG`) cannot be parsed.
pub fn start(format: LogFormat, filter: &str, output: Output) -> Result<(), BadSetting> {
    let filter: EnvFilter = filter.parse().map_err(|error| {
        BadSetting::new("RUST_LOG", format!("{error}; expected something like `info`"))
    })?;
    let to_stderr = output == Output::Stderr;
    let writer = move || -> Box<dyn std::io::Write> {
        if to_stderr { Box::new(std::io::stderr()) } else { Box::new(outlet::Pen) }
    };
    let lines = fmt().with_env_filter(filter).with_writer(writer);
    // Fails when a test has installed one already; theirs is as good.
    let _ = if format.is_json() {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        lines.compact().with_target(false).try_init()
    };
    Ok(())
}
