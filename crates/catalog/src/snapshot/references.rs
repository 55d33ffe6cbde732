//! Names in one file that must exist in another: tools of workflows, sub-workflows, and what
//! personas are linked to. Called once per snapshot, after every file was read.

use serde_json::Value;

use super::{Snapshot, inspect};
use crate::{
    finding::Findings,
    name::fold,
    problem::Problem,
    prompt::{self, Prompt, PromptKind},
    rules::Rules,
    source::{SourceFile, Sources},
    workflow::Workflow,
};

/// What is defined in files that have errors of their own: one mistake is reported once, not
/// again by everyone who refers to it.
#[derive(Debug, Default)]
pub(super) struct Broken {
    tools: Vec<String>,
    workflows: Vec<String>,
    /// Whether the folders themselves could not be read: then anything may be in them.
    all_tools: bool,
    all_workflows: bool,
}

impl Broken {
    /// What is missing already when files are looked at first.
    pub(super) fn new(problems: &[Problem]) -> Self {
        let is_missing = |folder: &str| problems.iter().any(|problem| problem.file == folder);
        Self {
            all_tools: is_missing("tools"),
            all_workflows: is_missing("workflows"),
            ..Self::default()
        }
    }

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
    rules: &Rules,
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
            findings.set_json_from(prompt::split_tail(text).map_or(text.len(), |(_, at)| at));
            known.check_prompt(prompt, findings);
            check_voice(prompt, rules, findings);
            if prompt.kind == PromptKind::Persona && prompt.is_default() {
                if let Some(first) = default {
                    let what = format!("`{}` is the default persona already", first.id);
                    findings.error("/default", what, "Keep `default` in one persona.");
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
        self.broken.all_tools
            || self.snapshot.tool(name).is_some()
            || self.broken.tools.contains(&fold(name))
    }

    fn has_workflow(&self, id: &str) -> bool {
        self.broken.all_workflows
            || self.snapshot.workflow(id).is_some()
            || self.broken.workflows.contains(&fold(id))
    }

    /// Whether the workflow `from` is `to`, or has it inside, however deep.
    fn leads_to(&self, from: &str, to: &str) -> bool {
        let (mut open, mut seen) = (vec![from.to_owned()], Vec::new());
        while let Some(id) = open.pop() {
            let Some(workflow) = self.snapshot.workflow(&id) else { continue };
            if workflow.id == to {
                return true;
            }
            if !seen.contains(&workflow.id) {
                seen.push(workflow.id.clone());
                open.extend(workflow.nodes.iter().filter_map(|node| node.workflow_id.clone()));
            }
        }
        false
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
            let Some(id) = id else { continue };
            let pointer = format!("/nodes/{index}/workflowId");
            if !self.has_workflow(&id) {
                let what = format!("there is no workflow `{id}`");
                findings.error(&pointer, what, "Correct the id, or add the workflow.");
            } else if self.leads_to(&id, &workflow.id) {
                let what = format!("`{id}` leads back into this workflow");
                let remedy = "Make sure that a caller can leave the circle.";
                findings.warn(&pointer, what, remedy);
            }
        }
    }

    fn check_prompt(&self, prompt: &Prompt, findings: &mut Findings<'_>) {
        for (index, name) in prompt.tools().unwrap_or_default().iter().enumerate() {
            if !self.has_tool(name) {
                let what = format!("`tools` names `{name}`, which is not a tool");
                let pointer = format!("/tools/{index}");
                findings.error(&pointer, what, "Correct the name, or add the tool.");
            }
        }
        for (index, id) in prompt.workflows().unwrap_or_default().iter().enumerate() {
            if !self.has_workflow(id) {
                let what = format!("`workflows` names `{id}`, which is not a workflow");
                let pointer = format!("/workflows/{index}");
                findings.error(&pointer, what, "Correct the id, or add the workflow.");
            }
        }
    }
}

fn check_voice(prompt: &Prompt, rules: &Rules, findings: &mut Findings<'_>) {
    let Some(voice) = prompt.voice_id() else { return };
    if rules.voices.is_empty() || rules.voices.iter().any(|known| known == voice) {
        return;
    }
    if rules.other_voices.iter().any(|known| known == voice) {
        let what = format!("the configured model has no voice `{voice}`");
        findings.warn("/voiceId", what, "Calls with this persona get the default voice.");
    } else {
        let what = format!("there is no voice `{voice}`");
        findings.error("/voiceId", what, &format!("Use one of {}.", rules.voices.join(", ")));
    }
}
