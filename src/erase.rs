//! `voice-s2s erase --session ID`: takes away everything that is kept of one session.
//!
//! Logs, recordings and journals; in the store of the configuration and on the local disk. For
//! people who have the right to be forgotten, and for whoever has to see to it.

use std::{io::Write, process::ExitCode};

use anyhow::{Context, bail};
use voice_archive::history::History;
use voice_call::CallId;

use crate::{config::EraseArgs, wiring};

/// Carries out the command; the report goes to `out`. Exit code 1 when a call is in progress.
pub fn run(args: EraseArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let session: CallId = args.session.parse().context("--session")?;
    let config = args.serve.into_config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let erased = runtime.block_on(async {
        let Some(store) = wiring::object_store(&config).await else {
            bail!("SESSION_LOG is off: there is no store to look in");
        };
        Ok(History::new(store).erase(session.as_str(), &config.data_dir).await?)
    })?;
    erased.gone.iter().try_for_each(|key| writeln!(out, "erased: {key}"))?;
    let in_progress = &erased.in_progress;
    in_progress.iter().try_for_each(|name| {
        writeln!(out, "in progress: {name}; erase it again when the call has ended")
    })?;
    writeln!(out, "{} erased, {} in progress", erased.gone.len(), in_progress.len())?;
    Ok(if in_progress.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
