//! All tools, workflows and prompts of one moment, checked and immutable.
//!
//! A call holds the snapshot it started with (behind an `Arc`); changing a file never changes
//! a call. Made by the server at start; the files are read by `source`, each format by its own
//! module, and what concerns two files is checked in `snapshot/references.rs`.

mod budget;
mod references;

use crate::{
    finding::Findings,
    name::{find, fold},
    position::Position,
    problem::{Problem, Problems},
    prompt::{self, Prompt, PromptKind},
    rules::Rules,
    schema::{self, Format},
    source::{self, Dirs, SourceFile, Sources},
    tool::{self, Tool},
    workflow::{self, Workflow},
};
use references::Broken;

/// The catalog. Build it with [`Snapshot::load`] or, without a disk, [`Snapshot::build`].
#[derive(Debug, Default)]
pub struct Snapshot {
    tools: Vec<Tool>,
    workflows: Vec<Workflow>,
    prompts: Vec<Prompt>,
    /// Of all files.
    hash: String,
    /// Not a file: offered when workflows are linked.
    start_workflow: Option<Tool>,
}

impl Snapshot {
    /// Reads the three folders and checks them against the default rules.
    ///
    /// On success the warnings come along. When anything is an error, every error and every
    /// warning comes back, sorted by file and line.
    pub fn load(dirs: &Dirs) -> Result<(Self, Vec<Problem>), Problems> {
        Self::load_by(dirs, &Rules::default())
    }

    /// [`Snapshot::load`] with rules of the operator's.
    pub fn load_by(dirs: &Dirs, rules: &Rules) -> Result<(Self, Vec<Problem>), Problems> {
        let (sources, problems) = source::read(dirs);
        Self::assemble(&sources, problems, rules)
    }

    /// Checks files that are already in memory; otherwise as [`Snapshot::load`].
    pub fn build(sources: &Sources) -> Result<(Self, Vec<Problem>), Problems> {
        Self::build_by(sources, &Rules::default())
    }

    /// [`Snapshot::build`] with rules of the operator's.
    pub fn build_by(sources: &Sources, rules: &Rules) -> Result<(Self, Vec<Problem>), Problems> {
        Self::assemble(sources, Vec::new(), rules)
    }

    /// Makes a snapshot of files of which some may have `problems` already.
    pub(crate) fn assemble(
        sources: &Sources,
        mut problems: Vec<Problem>,
        rules: &Rules,
    ) -> Result<(Self, Vec<Problem>), Problems> {
        let mut broken = Broken::new(&problems);
        let (hash, start_workflow) = (sources.hash(), Tool::start_workflow());
        let mut snapshot = Self { hash, start_workflow, ..Self::default() };
        for file in &sources.tools {
            inspect("tools", file, &mut problems, |text, findings| {
                match tool::read(&file.name, findings) {
                    Some(tool) => {
                        check_unique_tool(&tool, &snapshot.tools, findings);
                        snapshot.tools.push(tool);
                    }
                    None => broken.add_tool(file),
                }
                check_format(Format::Tool, text, findings);
            });
        }
        for file in &sources.workflows {
            inspect("workflows", file, &mut problems, |text, findings| {
                let Some(id) = workflow::id_of_file(&file.name) else {
                    let remedy = "Name it workflow-<id>.json, or take it out of the folder.";
                    findings.warn("", "the file is ignored: it is not named as a workflow", remedy);
                    return;
                };
                match workflow::read(&file.name, id, findings) {
                    Some(workflow) => {
                        check_unique_workflow(&workflow, &snapshot.workflows, findings);
                        snapshot.workflows.push(workflow);
                    }
                    None => broken.add_workflow(file, id),
                }
                check_format(Format::Workflow, text, findings);
            });
        }
        for file in &sources.prompts {
            inspect("prompts", file, &mut problems, |text, findings| {
                let read = prompt::read(&file.name, text, findings);
                let origin = file.origin;
                snapshot.prompts.extend(read.map(|prompt| Prompt { origin, ..prompt }));
            });
        }
        // The default persona stands first, the others keep the order of their files.
        let is_default =
            |prompt: &Prompt| prompt.kind == PromptKind::Persona && prompt.is_default();
        snapshot.prompts.sort_by_key(|prompt| !is_default(prompt));
        references::check(&snapshot, &broken, rules, sources, &mut problems);
        budget::check(&snapshot, &rules.limits, sources, &mut problems);
        problems.sort_by(|a, b| {
            (&a.file, a.line, a.column, a.severity).cmp(&(&b.file, b.line, b.column, b.severity))
        });
        if problems.iter().any(Problem::is_error) {
            Err(Problems(problems))
        } else {
            Ok((snapshot, problems))
        }
    }

    /// A hash of all files: two snapshots with the same one are the same.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The tools, in the order of their files.
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// A tool by its exact name, else by a folded one (case, `-`, `_` and blanks do not count).
    /// `start_workflow` is found though no file holds it.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        let synthetic = self.start_workflow.as_ref();
        find(&self.tools, name, |tool| &tool.name)
            .or_else(|| synthetic.filter(|tool| fold(&tool.name) == fold(name)))
    }

    /// The workflows, in the order of their files.
    pub fn workflows(&self) -> &[Workflow] {
        &self.workflows
    }

    /// A workflow by its id, by the id its file name says, or by either folded.
    pub fn workflow(&self, id: &str) -> Option<&Workflow> {
        let of_file = |workflow: &'_ Workflow| workflow::id_of_file(&workflow.filename) == Some(id);
        self.workflows
            .iter()
            .find(|workflow| workflow.id == id)
            .or_else(|| self.workflows.iter().find(|workflow| of_file(workflow)))
            .or_else(|| find(&self.workflows, id, |workflow| &workflow.id))
    }

    /// All prompts, hidden ones included; the default persona first.
    pub fn prompts(&self) -> &[Prompt] {
        &self.prompts
    }

    /// The personas; the first is the one of a call that names none.
    pub fn personas(&self) -> impl Iterator<Item = &Prompt> {
        self.prompts.iter().filter(|prompt| prompt.kind == PromptKind::Persona)
    }

    /// A persona by its id (`persona-banking`) or without the prefix (`banking`).
    pub fn persona(&self, id: &str) -> Option<&Prompt> {
        self.personas().find(|persona| persona.id == id || persona.short_id() == id)
    }

    /// The prompt with that id.
    pub fn prompt(&self, id: &str) -> Option<&Prompt> {
        self.prompts.iter().find(|prompt| prompt.id == id)
    }
}

/// Holds a file of JSON against its published schema.
fn check_format(format: Format, text: &str, findings: &mut Findings<'_>) {
    if let Ok(object) = serde_json::from_str(text) {
        schema::check(format, &object, findings);
    }
}

fn check_unique_tool(tool: &Tool, others: &[Tool], findings: &mut Findings<'_>) {
    if let Some(first) = others.iter().find(|other| other.name == tool.name) {
        let what = format!("the name `{}` is taken by {}", tool.name, first.file);
        findings.error("/name", what, "Give every tool a name of its own.");
    } else if let Some(first) = others.iter().find(|other| fold(&other.name) == fold(&tool.name)) {
        let what = format!("`{}` is almost the name of `{}`", tool.name, first.name);
        findings.warn("/name", what, "A model that writes it a third way will find neither.");
    }
}

fn check_unique_workflow(workflow: &Workflow, others: &[Workflow], findings: &mut Findings<'_>) {
    if let Some(first) = others.iter().find(|other| other.id == workflow.id) {
        let what = format!("the workflow id `{}` is taken by {}", workflow.id, first.filename);
        findings.error("/id", what, "Give every workflow an id of its own.");
    }
}

/// Runs `body` on a file's text and keeps what it finds. A byte order mark is not text.
fn inspect(
    folder: &str,
    file: &SourceFile,
    problems: &mut Vec<Problem>,
    body: impl FnOnce(&str, &mut Findings<'_>),
) {
    let label = file.label(folder);
    let bytes = file.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file.bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let mut findings = Findings::new(label, text);
            body(text, &mut findings);
            problems.extend(findings.into_problems());
        }
        Err(error) => {
            let (sound, _) = bytes.split_at(error.valid_up_to());
            let sound = std::str::from_utf8(sound).unwrap_or_default();
            let mut findings = Findings::new(label, sound);
            let place = Position::of_offset(sound, sound.len());
            findings.error_at(place, "this is not UTF-8", "Save the file as UTF-8.");
            problems.extend(findings.into_problems());
        }
    }
}
