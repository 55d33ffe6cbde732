//! What one call tells the model: its system prompt and the tools it may call.
//!
//! Pure functions of a snapshot. Called by the engine when a call starts and whenever its
//! settings change.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{
    prompt::{
        Prompt, PromptKind,
        variables::{Variables, one_line},
    },
    snapshot::Snapshot,
    tool::{Builtin, Tool},
    workflow::Workflow,
};

/// The persona of a catalog that has none.
const NOBODY: &str = "You are a friendly assistant on the phone. Greet the caller in one short \
                      sentence and ask how you can help.";

/// The tool by which the model moves on in a workflow. It is no file: the engine answers it, and
/// it is offered when workflows are linked.
pub const ADVANCE_WORKFLOW: &str = "advance_workflow";

/// What a call asks for. Everything may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PromptRequest<'a> {
    /// Who the assistant is; the first persona when absent.
    pub persona: Option<&'a str>,
    /// Replaces the persona's text.
    pub system_prompt: Option<&'a str>,
    /// How to speak; replaces the prompt `core-speech`.
    pub speech_prompt: Option<&'a str>,
    /// Whether the prompt `core-guardrails` is part of it.
    pub guardrails: bool,
    /// The workflows that are linked, by id.
    pub workflows: &'a [String],
    /// Where the caller is, in words.
    pub location: Option<&'a str>,
    /// The caller's time zone, an IANA name.
    pub timezone: Option<&'a str>,
    /// Today where the caller is, in words.
    pub date: Option<&'a str>,
    /// What is known of the call besides, such as contact attributes.
    pub attributes: Option<&'a BTreeMap<String, String>>,
}

/// A tool as the model gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The name to call it by.
    pub name: String,
    /// Description and instruction (`contract.md` §1, Behaviour).
    pub description: String,
    /// JSON Schema of the arguments, as a value; on the wire it becomes a string.
    pub input_schema: Arc<Value>,
}

/// A name that is not in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} `{name}`; there is: {}", known_list(.known))]
pub struct UnknownName {
    /// What was looked for.
    pub kind: NameKind,
    /// The name that was given.
    pub name: String,
    /// The names there are.
    pub known: Vec<String>,
}

/// What a name was meant to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// A persona.
    Persona,
    /// A workflow.
    Workflow,
}

impl std::fmt::Display for NameKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Persona => "persona",
            Self::Workflow => "workflow",
        })
    }
}

fn known_list(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

impl Snapshot {
    /// The system prompt of a call.
    ///
    /// Order (`contract.md` §1, Behaviour): persona or `system_prompt`, how to speak,
    /// guardrails, workflows, and last what is known of the caller. An empty text counts as
    /// absent. The variables of prompts are filled in (`{{date}}` and its like), in those of the
    /// client as well; workflow text has none. A persona or workflow that does not exist is an error even when `system_prompt`
    /// stands in for the persona: the client believes in something that is not there.
    pub fn system_prompt(&self, request: &PromptRequest<'_>) -> Result<String, UnknownName> {
        let persona = match request.persona {
            Some(id) => Some(self.require_persona(id)?),
            None => self.personas().next(),
        };
        let who = given(request.system_prompt)
            .or(persona.map(|persona| persona.content.as_str()))
            .unwrap_or(NOBODY);
        let mut parts = vec![who.to_owned()];
        let speech = given(request.speech_prompt).or(self.core("core-speech"));
        parts.extend(speech.map(str::to_owned));
        if request.guardrails {
            parts.extend(self.core("core-guardrails").map(str::to_owned));
        }
        let variables = Variables {
            location: request.location,
            timezone: request.timezone,
            date: request.date,
            attributes: request.attributes,
        };
        let mut parts: Vec<String> = parts.iter().map(|part| variables.fill(part)).collect();
        let linked = self.linked_workflows(request.workflows)?;
        if !linked.is_empty() {
            parts.push(workflow_part(&linked));
        }
        parts.extend(caller_part(request));
        Ok(parts.join("\n\n"))
    }

    /// The tools of a call. `selected` absent = all, empty = none; names that do not exist are
    /// left out. `start_workflow` comes along exactly when a linked workflow exists.
    pub fn offered_tools(&self, selected: Option<&[String]>, workflows: &[String]) -> Vec<Offer> {
        let is_start = |tool: &Tool| tool.name == Builtin::StartWorkflow.as_str();
        let chosen: Vec<&Tool> = match selected {
            None => self.tools().iter().collect(),
            Some(names) => {
                let mut chosen: Vec<&Tool> = Vec::new();
                for tool in names.iter().filter_map(|name| self.tool(name)) {
                    if !chosen.iter().any(|other| other.name == tool.name) {
                        chosen.push(tool);
                    }
                }
                chosen
            }
        };
        let mut offers: Vec<Offer> =
            chosen.into_iter().filter(|tool| !is_start(tool)).map(offer).collect();
        let linked: Vec<&Workflow> = workflows.iter().filter_map(|id| self.workflow(id)).collect();
        if !linked.is_empty() {
            let start = self.tool(Builtin::StartWorkflow.as_str());
            offers.extend(start.map(|tool| start_offer(tool, &linked)));
            offers.retain(|offer| offer.name != ADVANCE_WORKFLOW);
            offers.push(advance_offer());
        }
        offers
    }

    /// The workflows of these ids, without repetition.
    pub fn linked_workflows(&self, ids: &[String]) -> Result<Vec<&Workflow>, UnknownName> {
        let mut linked: Vec<&Workflow> = Vec::new();
        for id in ids {
            let workflow = self.workflow(id).ok_or_else(|| UnknownName {
                kind: NameKind::Workflow,
                name: id.clone(),
                known: self.workflows().iter().map(|workflow| workflow.id.clone()).collect(),
            })?;
            if !linked.iter().any(|other| other.id == workflow.id) {
                linked.push(workflow);
            }
        }
        Ok(linked)
    }

    fn require_persona(&self, id: &str) -> Result<&Prompt, UnknownName> {
        self.persona(id).ok_or_else(|| UnknownName {
            kind: NameKind::Persona,
            name: id.to_owned(),
            known: self.personas().map(|persona| persona.id.clone()).collect(),
        })
    }

    fn core(&self, id: &str) -> Option<&str> {
        self.prompt(id)
            .filter(|prompt| prompt.kind == PromptKind::Core)
            .map(|prompt| prompt.content.as_str())
    }
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn workflow_part(linked: &[&Workflow]) -> String {
    let mut part = "WORKFLOWS\nWhen the caller's wish fits one of these, call start_workflow with \
                    its id and follow its steps in order. Where a step has several ways on, call \
                    advance_workflow with the step you go to. The tools of a workflow work at \
                    their steps only. Do not read step names aloud.\n"
        .to_owned();
    for workflow in linked {
        part.push('\n');
        part.push_str(&workflow.to_text());
    }
    part.trim_end().to_owned()
}

fn caller_part(request: &PromptRequest<'_>) -> Option<String> {
    let location = given(request.location).map(|text| format!("Location: {}", one_line(text)));
    let timezone = given(request.timezone).map(|text| format!("Time zone: {}", one_line(text)));
    let known: Vec<String> = location.into_iter().chain(timezone).collect();
    (!known.is_empty()).then(|| format!("THE CALLER\n{}", known.join("\n")))
}

fn offer(tool: &Tool) -> Offer {
    Offer {
        name: tool.name.clone(),
        description: tool.offered_description(),
        input_schema: tool.input_schema.clone(),
    }
}

/// The offer of `start_workflow` names the ids that can be started.
fn start_offer(tool: &Tool, linked: &[&Workflow]) -> Offer {
    let ids: Vec<&str> = linked.iter().map(|workflow| workflow.id.as_str()).collect();
    let names: Vec<String> =
        linked.iter().map(|workflow| format!("{} ({})", workflow.id, workflow.name)).collect();
    Offer {
        name: tool.name.clone(),
        description: tool.offered_description(),
        input_schema: Arc::new(json!({
            "type": "object",
            "properties": {
                "workflowId": {
                    "type": "string",
                    "enum": ids,
                    "description": format!("Which workflow: {}", names.join("; "))
                }
            },
            "required": ["workflowId"]
        })),
    }
}

fn advance_offer() -> Offer {
    Offer {
        name: ADVANCE_WORKFLOW.to_owned(),
        description: "Move on to the next step of the workflow that runs, once what the present \
                      step asks for is done."
            .to_owned(),
        input_schema: Arc::new(json!({
            "type": "object",
            "properties": {
                "edge": {
                    "type": "string",
                    "description": "The id of the step to go to, as the workflow text names it"
                }
            },
            "required": ["edge"]
        })),
    }
}
