//! Why a workflow does not allow something, and how the model is told so that it can go on.

use serde_json::{Value, json};

/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// No workflow runs, and the tool belongs to one.
    NotStarted,
    /// No workflow runs that could move.
    NothingRuns,
    /// The present step does not permit the tool.
    NotHere,
    /// The step must not be entered before this is known.
    Missing {
        /// The step.
        step: String,
        /// What is not known.
        names: Vec<String>,
    },
    /// The call speaks of something else than what was checked.
    Contradiction {
        /// The argument.
        name: String,
        /// What the workflow knows it to be.
        known: String,
    },
    /// The step is left by its tool's success.
    ToolFirst {
        /// Its tool.
        tool: String,
    },
    /// The check of the step said no.
    Denied,
    /// No such edge leaves the step.
    NoSuchEdge {
        /// What was asked for.
        edge: String,
    },
    /// Several edges have this label.
    Ambiguous {
        /// The label.
        edge: String,
    },
    /// No such workflow is linked.
    NoSuchWorkflow {
        /// What was asked for.
        id: String,
        /// What is linked.
        known: Vec<String>,
    },
    /// Workflows lead into one another without an end.
    TooDeep,
}

/// A refusal with what helps the model to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub why: Why,
    /// The tool that was refused, unless it is about the way itself.
    pub tool: Option<String>,
    /// Id and label of the present step.
    pub step: Option<(String, String)>,
    /// The ways that lead on from it.
    pub ways: Vec<Value>,
    /// The steps that permit the tool.
    pub permitted_at: Vec<String>,
    /// The workflows these steps belong to.
    pub workflows: Vec<String>,
}

impl Refusal {
    /// The reason in one sentence.
    pub fn reason(&self) -> String {
        let tool = self.tool.as_deref().unwrap_or("This");
        match &self.why {
            Why::NotStarted => format!(
                "{tool} belongs to the workflow {}, which has not begun.",
                self.workflows.join(" or ")
            ),
            Why::NothingRuns => "No workflow has begun.".into(),
            Why::NotHere => match &self.step {
                Some((id, label)) => format!("{tool} is not allowed at the step {id} ({label})."),
                None => format!("{tool} is not allowed now."),
            },
            Why::Missing { step, names } => {
                format!("The step {step} needs {} first, from a tool.", names.join(", "))
            }
            Why::Contradiction { name, known } => format!(
                "{name} must be {known}: that is what was checked. For another one the workflow \
                 must begin again."
            ),
            Why::ToolFirst { tool } => format!("{tool} has to succeed first."),
            Why::Denied => "The check before this step said no.".into(),
            Why::NoSuchEdge { edge } => format!("No edge {edge:?} leaves this step."),
            Why::Ambiguous { edge } => {
                format!("Several edges are labelled {edge:?}; name the step to go to.")
            }
            Why::NoSuchWorkflow { id, known } if known.is_empty() => {
                format!("There is no workflow {id:?}; none is linked to this call.")
            }
            Why::NoSuchWorkflow { id, known } => {
                format!("There is no workflow {id:?} here. Use one of: {}.", known.join(", "))
            }
            Why::TooDeep => "The workflows lead into one another too often.".into(),
        }
    }

    /// The result for the model: always an object with `error`.
    pub fn to_result(&self) -> Value {
        let mut result = json!({"error": self.reason()});
        if let Some((id, _)) = &self.step {
            result["currentStep"] = json!(id);
        }
        if !self.ways.is_empty() {
            result["ways"] = json!(self.ways);
        }
        if !self.permitted_at.is_empty() {
            result["permittedAt"] = json!(self.permitted_at);
        }
        result["next"] = json!(self.advice());
        result
    }

    fn advice(&self) -> &'static str {
        match self.why {
            Why::NotStarted => {
                "Call start_workflow and follow its steps, then this tool. Tell the caller what \
                 you need first."
            }
            Why::NothingRuns => "Call start_workflow first.",
            Why::NotHere => {
                "Do what the present step asks for and move on with advance_workflow, until a \
                 step permits the tool. Do not make up its result."
            }
            Why::Missing { .. } => {
                "Ask the caller for what is missing and call the tool that checks it."
            }
            Why::Contradiction { .. } => {
                "Use what was checked, or call start_workflow and check the other one."
            }
            Why::ToolFirst { .. } => "Call this tool. Ask the caller for what it needs.",
            Why::Denied => "Take the way for a failed check. Do not go on as if it had succeeded.",
            Why::NoSuchEdge { .. } | Why::Ambiguous { .. } => "Use one of the ways given here.",
            Why::NoSuchWorkflow { .. } => "Use a workflow that is linked.",
            Why::TooDeep => "Offer the caller a human agent.",
        }
    }
}
