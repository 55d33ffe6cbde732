//! `voice-s2s load`: runs the callers, writes the report, and says when there is none.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use voice_load::{Refusal, html, run, search};

use crate::config::LoadArgs;

/// The exit code when figures would not have been worth telling: try again when it is quiet.
pub const EXIT_REFUSED: u8 = 75;

/// Runs it.
pub fn load(args: &LoadArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let plan = args.plan()?;
    let outcome = match args.search {
        true => measure_capacity(args, &plan, out),
        false => measure(args, plan, out),
    };
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is::<Refusal>() => {
            writeln!(io::stderr(), "voice-s2s load: {error}")?;
            Ok(ExitCode::from(EXIT_REFUSED))
        }
        Err(error) => Err(error),
    }
}

fn measure(args: &LoadArgs, plan: voice_load::Plan, out: &mut impl Write) -> anyhow::Result<()> {
    let report = run(plan)?;
    if let Some(path) = &args.html {
        std::fs::write(path, html::page(&report)?)
            .with_context(|| format!("--html: cannot write {}", path.display()))?;
    }
    match args.json {
        true => writeln!(out, "{}", report.to_json())?,
        false => write!(out, "{}", report.to_table())?,
    }
    Ok(())
}

fn measure_capacity(
    args: &LoadArgs,
    plan: &voice_load::Plan,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let capacity = search(plan, args.most, |tried| {
        // Progress for whoever waits; the result is what counts.
        let p99 = tried.p99_ms.unwrap_or_default();
        let _ = writeln!(io::stderr(), "{} calls: p99 {p99:.1} ms", tried.calls);
    })?;
    match args.json {
        true => writeln!(out, "{}", capacity.to_json())?,
        false => write!(out, "{}", capacity.to_table())?,
    }
    Ok(())
}
