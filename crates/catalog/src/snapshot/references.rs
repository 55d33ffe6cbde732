//! Names in one file that must exist in another: tools of workflows, sub-workflows, and what
//! personas are linked to. Called once per snapshot, after every file was read.

use serde_json::Value;

use super::{Snapshot, inspect};
use crate::{
    finding::Findings,
    name::fold,
    position::Position,
    problem::Problem,
    prompt::{Prompt, PromptKind},
    source::{SourceFile, Sources},
    workflow::Workflow,
};

/// What is defined in files that have errors of their own: one mistake is reported once, not
/// again by everyone who refers to it.
#[derive(Debug, Default)]
pub(super) struct Broken {
    tools: Vec<String>,
    workflows: Vec<String>,
}

impl Broken {
    /// A tool file with errors; its name is guessed from the file when it cannot be read.
    pub(super) fn add_tool(&mut self, file: &SourceFile) {
        let stem = file.name.rsplit_once('.').map_or(file.name.as_str(), |(stem, _)| stem);
        self.tools.push(fold(stem));
        self.tools.extend(text_of(file, "name").map(|name| fold(&name)));
    }

    /// A workflow file with errors.
    pub(super) fn add_workflow(&mut self, file: &SourceFile, id: &str) {
        self.workflows.push(fold(id));
        self.workflows.extend(text_of(file, "id").map(|id| fold(&id)));
    }
}

fn text_of(file: &SourceFile, key: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(&file.bytes).ok()?;
    value.get(key)?.as_str().map(str::to_owned)
}

/// Checks every reference and adds what dangles to `problems`.
pub(super) fn check(
    snapshot: &Snapshot,
    broken: &Broken,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) {
    let known = Known { snapshot, broken };
    for workflow in &snapshot.workflows {
        if let Some(file) = sources.workflows.iter().find(|file| file.name == workflow.filename) {
            inspect("workflows", file, problems, |_, findings| known.check(workflow, findings));
        }
    }
    let mut default: Option<&Prompt> = None;
    for file in &sources.prompts {
        let stem = file.name.rsplit_once('.').map_or(file.name.as_str(), |(stem, _)| stem);
        let Some(prompt) = snapshot.prompt(stem) else { continue };
        inspect("prompts", file, problems, |text, findings| {
            let tail = text.rfind("\n---").map_or(0, |newline| newline + 1);
            let place = Position::of_offset(text, tail);
            known.check_prompt(prompt, place, findings);
            if prompt.kind == PromptKind::Persona && prompt.is_default() {
                if let Some(first) = default {
                    let what = format!("`{}` is the default persona already", first.id);
                    findings.error_at(place, what, "Keep `default` in one persona.");
                }
                default = default.or(Some(prompt));
            }
        });
    }
}

/// What may be referred to.
struct Known<'a> {
    snapshot: &'a Snapshot,
    broken: &'a Broken,
}

impl Known<'_> {
    fn has_tool(&self, name: &str) -> bool {
        self.snapshot.tool(name).is_some() || self.broken.tools.contains(&fold(name))
    }

    fn has_workflow(&self, id: &str) -> bool {
        self.snapshot.workflow(id).is_some() || self.broken.workflows.contains(&fold(id))
    }

    fn check(&self, workflow: &Workflow, findings: &mut Findings<'_>) {
        let mut check_tool = |name: &str, pointer: String| {
            if !self.has_tool(name) {
                let what = format!("there is no tool `{name}`");
                findings.error(&pointer, what, "Correct the name, or add the tool.");
            }
        };
        for (index, name) in workflow.tools.iter().enumerate() {
            check_tool(name, format!("/tools/{index}"));
        }
        // The raw list, since nodes with errors of their own are missing in the other.
        let nodes = workflow.raw().get("nodes").and_then(Value::as_array);
        let nodes = || nodes.into_iter().flatten().enumerate();
        let text = |node: &Value, key: &str| node.get(key)?.as_str().map(str::to_owned);
        for (index, node) in nodes() {
            if let Some(name) = text(node, "toolName").filter(|name| !name.trim().is_empty()) {
                check_tool(&name, format!("/nodes/{index}/toolName"));
            }
        }
        for (index, node) in nodes() {
            let id = text(node, "workflowId").filter(|id| !id.trim().is_empty());
            if let Some(id) = id.filter(|id| !self.has_workflow(id)) {
                let what = format!("there is no workflow `{id}`");
                let pointer = format!("/nodes/{index}/workflowId");
                findings.error(&pointer, what, "Correct the id, or add the workflow.");
            }
        }
    }

    fn check_prompt(&self, prompt: &Prompt, place: Position, findings: &mut Findings<'_>) {
        for name in prompt.tools().unwrap_or_default() {
            if !self.has_tool(&name) {
                let what = format!("`tools` names `{name}`, which is not a tool");
                findings.error_at(place, what, "Correct the name, or add the tool.");
            }
        }
        for id in prompt.workflows().unwrap_or_default() {
            if !self.has_workflow(&id) {
                let what = format!("`workflows` names `{id}`, which is not a workflow");
                findings.error_at(place, what, "Correct the id, or add the workflow.");
            }
        }
    }
}
