//! Whether what a call opens with is small enough for the model. Called once per snapshot.

use super::{Snapshot, inspect};
use crate::{
    assembly::{Offer, PromptRequest},
    finding::Findings,
    position::Position,
    problem::Problem,
    prompt::Prompt,
    rules::Limits,
    source::Sources,
};

/// Checks every tool, and the opening of a call with each persona.
pub(super) fn check(
    snapshot: &Snapshot,
    limits: &Limits,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) {
    for offer in snapshot.offered_tools(None, &[]) {
        let tool = snapshot.tools.iter().find(|tool| tool.name == offer.name);
        let file = tool.and_then(|tool| sources.tools.iter().find(|file| file.name == tool.file));
        if let Some(file) = file {
            inspect("tools", file, problems, |_, findings| check_tool(&offer, limits, findings));
        }
    }
    for file in &sources.prompts {
        let stem = file.name.rsplit_once('.').map_or(file.name.as_str(), |(stem, _)| stem);
        if let Some(persona) = snapshot.personas().find(|persona| persona.id == stem) {
            inspect("prompts", file, problems, |_, findings| {
                check_persona(snapshot, persona, limits, findings);
            });
        }
    }
}

fn check_tool(offer: &Offer, limits: &Limits, findings: &mut Findings<'_>) {
    if offer.name.len() > limits.tool_name {
        let what = format!("the name has {} letters", offer.name.len());
        findings.error("/name", what, &format!("The model takes at most {}.", limits.tool_name));
    }
    let size = size_of(offer);
    if size > limits.tool {
        let what = format!(
            "description, instruction and schema have {size} bytes, at most {} are allowed",
            limits.tool
        );
        findings.error("", what, "Shorten them: they are sent with every turn.");
    }
}

fn check_persona(
    snapshot: &Snapshot,
    persona: &Prompt,
    limits: &Limits,
    findings: &mut Findings<'_>,
) {
    let start = Position { line: 1, column: 1 };
    let workflows = persona.workflows().unwrap_or_default();
    let request = PromptRequest {
        persona: Some(&persona.id),
        guardrails: true,
        workflows: &workflows,
        ..PromptRequest::default()
    };
    // A name that does not exist is reported as such by `references`.
    if let Ok(prompt) = snapshot.system_prompt(&request)
        && prompt.len() > limits.system_prompt
    {
        let what = format!(
            "with speech, guardrails and workflows the system prompt of this persona has {} \
             bytes, at most {} are allowed",
            prompt.len(),
            limits.system_prompt
        );
        let remedy = "Shorten it, link fewer workflows, or raise MAX_PROMPT_BYTES.";
        findings.error_at(start, what, remedy);
    }
    let offers = snapshot.offered_tools(persona.tools().as_deref(), &workflows);
    if offers.len() > limits.tools {
        let what = format!(
            "this persona offers {} tools, at most {} are allowed",
            offers.len(),
            limits.tools
        );
        findings.error_at(start, what, "Name those it needs in `tools`.");
    }
    let size: usize = offers.iter().map(size_of).sum();
    if size > limits.tools_total {
        let what = format!(
            "the tools of this persona have {size} bytes, at most {} are allowed",
            limits.tools_total
        );
        let remedy = "Name those it needs in `tools`, shorten them, or raise MAX_TOOLS_BYTES.";
        findings.error_at(start, what, remedy);
    }
}

/// Bytes that a tool adds to the opening of a call.
fn size_of(offer: &Offer) -> usize {
    offer.name.len() + offer.description.len() + offer.input_schema.to_string().len()
}
