//! `voice-s2s check`: tools, workflows, prompts and settings, held to what the server demands.
//!
//! It finds what would keep a server from starting, with the same code, and takes no calls. For
//! people, for CI, and for editors (`--json`, `--schemas`).

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use serde::Serialize;
use voice_catalog::{Problem, Problems, Severity, Snapshot, schema::Format};

use crate::{
    config::{self, BadSetting, CheckArgs, EXIT_USAGE, ServeArgs},
    sources::{OpenError, Sources},
};

/// The "file" of settings: they come from the command line and the environment.
const CONFIGURATION: &str = "configuration";

/// How long Langfuse gets for its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether a server would start.
    pub ok: bool,
    /// How many problems are errors.
    pub errors: usize,
    /// How many are not.
    pub warnings: usize,
    /// How much there is; absent when there are errors in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog: Option<Counts>,
    /// All problems: those of the configuration first, then by file and line.
    pub problems: Vec<Problem>,
}

/// What a sound catalog holds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Counts {
    /// Tool files.
    pub tools: usize,
    /// Workflow files.
    pub workflows: usize,
    /// Prompt files.
    pub prompts: usize,
}

/// Carries out the command; the report goes to `out`.
pub fn run(args: CheckArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &args.schemas {
        for path in write_schemas(folder)? {
            // Who reads JSON wants nothing else.
            if !args.json {
                writeln!(out, "written: {}", path.display())?;
            }
        }
    }
    let report = examine(args.serve);
    report.write(args.json, out)?;
    Ok(report.exit_code())
}

/// Checks everything, and stops at nothing.
pub fn examine(args: ServeArgs) -> Report {
    let files = Sources { dirs: args.dirs(), rules: args.rules(), ..Sources::default() };
    let mut problems = Vec::new();
    let config = args.into_config().map_err(|error| problems.push(of_setting(&error))).ok();
    let mut sources = config.as_ref().map_or(files, Sources::from);
    if let Some(prompts) = sources.langfuse.as_mut().and_then(|langfuse| langfuse.prompts.as_mut())
    {
        // No caller waits for this one.
        prompts.first_wait = PATIENCE;
    }
    let (snapshot, found) = match load(sources) {
        Ok((snapshot, warnings)) => (Some(snapshot), warnings),
        Err(Problems(found)) => (None, found),
    };
    if let Some(config) = &config {
        let bad = config::contradictions(config, snapshot.as_deref());
        problems.extend(bad.iter().map(of_setting));
    }
    problems.extend(found);
    let catalog = snapshot.map(|snapshot| Counts {
        tools: snapshot.tools().len(),
        workflows: snapshot.workflows().len(),
        prompts: snapshot.prompts().len(),
    });
    Report::new(problems, catalog)
}

/// What a server would load; it asks the MCP servers and the Langfuse of the configuration, as a
/// server does.
fn load(sources: Sources) -> Result<(Arc<Snapshot>, Vec<Problem>), Problems> {
    let failed = |what: String| {
        let remedy = "Free some memory and threads, then check again.";
        Problems(vec![of_configuration(what, remedy.to_owned())])
    };
    // On a thread of its own, so that it can be called from within a runtime.
    let loading = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        match runtime.block_on(sources.open()) {
            Ok(opened) => Ok((opened.catalog.snapshot(), opened.warnings)),
            Err(OpenError::Files(problems)) => Err(problems),
            Err(error) => Err(failed(error.to_string())),
        }
    });
    loading.join().unwrap_or_else(|_| {
        Err(Problems(vec![of_configuration(
            "the check itself broke".to_owned(),
            "Report this, please.".to_owned(),
        )]))
    })
}

fn of_setting(error: &BadSetting) -> Problem {
    of_configuration(error.to_string(), format!("Change {}; see --help.", error.variable))
}

fn of_configuration(what: String, remedy: String) -> Problem {
    Problem::of_file(Severity::Error, CONFIGURATION, what, remedy)
}

impl Report {
    fn new(problems: Vec<Problem>, catalog: Option<Counts>) -> Self {
        let errors = problems.iter().filter(|problem| problem.is_error()).count();
        Self { ok: errors == 0, errors, warnings: problems.len() - errors, catalog, problems }
    }

    /// The report on a command line or an environment that could not even be read.
    pub fn of_usage(message: &str) -> Self {
        let what = message.lines().next().unwrap_or_default();
        let what = what.strip_prefix("error: ").unwrap_or(what).to_owned();
        Self::new(vec![of_configuration(what, "Change it; see --help.".to_owned())], None)
    }

    /// 0 when a server would start, else [`EXIT_USAGE`].
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.ok { 0 } else { EXIT_USAGE })
    }

    /// Writes it: one JSON object, or one line per problem and a last one with the totals.
    pub fn write(&self, json: bool, out: &mut impl Write) -> io::Result<()> {
        if json {
            serde_json::to_writer_pretty(&mut *out, self)?;
            return writeln!(out);
        }
        self.problems.iter().try_for_each(|problem| writeln!(out, "{problem}"))?;
        if let Some(Counts { tools, workflows, prompts }) = self.catalog {
            write!(out, "{tools} tool(s), {workflows} workflow(s), {prompts} prompt(s): ")?;
        }
        writeln!(out, "{} error(s), {} warning(s)", self.errors, self.warnings)
    }
}

/// Writes the JSON Schemas of our file formats, for editors; returns the files.
fn write_schemas(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Format::ALL
        .into_iter()
        .map(|format| {
            let path = folder.join(format.file_name());
            std::fs::write(&path, format.to_text())
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path)
        })
        .collect()
}
