//! A workflow: a graph of steps that a call should follow.
//!
//! This is the model and its text for the prompt; reading the file is `workflow/read.rs`. It
//! does not walk the graph: that is a machine of the engine.

mod read;

use std::{collections::HashSet, fmt::Write};

use serde_json::Value;

pub(crate) use read::{id_of_file, read};

/// One workflow of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    /// `id` of the file, else what its name says: `banking` of `workflow-banking.json`.
    pub id: String,
    /// `name` or `title`, else the id.
    pub name: String,
    /// File name without its folder.
    pub filename: String,
    /// The steps, in the order of the file; ids are unique and exactly one is the start.
    pub nodes: Vec<Node>,
    /// The ways between them; both ends exist.
    pub edges: Vec<Edge>,
    /// The tools the file names in `tools`; nodes may name more.
    pub tools: Vec<String>,
    raw: Value,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id in the file.
    pub id: String,
    /// What happens there, in words; the id when the file says nothing.
    pub label: String,
    /// What sort of step it is.
    pub kind: NodeKind,
    /// The tool of a `tool` step.
    pub tool_name: Option<String>,
    /// The other workflow of a `workflow` step.
    pub workflow_id: Option<String>,
    /// How the workflow ends at an `end` step.
    pub outcome: Option<String>,
    /// What must be known before the step may be entered.
    pub required_context: Vec<String>,
    /// What is to be said at a `message` step.
    pub message: Option<String>,
}

/// What sort of step a node is (`contract.md` §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// Where it begins.
    Start,
    /// Where it ends.
    End,
    /// Something the assistant does.
    Process,
    /// A fork: the edges carry the conditions.
    Decision,
    /// A tool is called.
    Tool,
    /// Another workflow is entered.
    Workflow,
    /// Something is said.
    Message,
}

/// A way from one step to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Node id it leaves.
    pub from: String,
    /// Node id it leads to.
    pub to: String,
    /// The condition, in words.
    pub label: Option<String>,
}

impl NodeKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::End,
        Self::Process,
        Self::Decision,
        Self::Tool,
        Self::Workflow,
        Self::Message,
    ];

    /// The word of the file format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
            Self::Process => "process",
            Self::Decision => "decision",
            Self::Tool => "tool",
            Self::Workflow => "workflow",
            Self::Message => "message",
        }
    }

    /// The kind of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Workflow {
    /// The file as it was written: what `GET /api/workflow/:id` answers.
    pub fn raw(&self) -> &Value {
        &self.raw
    }

    /// The node with that id.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// Where it begins; a workflow of a snapshot always has a start.
    pub fn start(&self) -> Option<&Node> {
        self.nodes.iter().find(|node| node.kind == NodeKind::Start)
    }

    /// The edges that leave a node, in the order of the file.
    pub fn edges_from<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Edge> {
        self.edges.iter().filter(move |edge| edge.from == id)
    }

    /// The nodes that can be reached from the start.
    pub(crate) fn reachable(&self) -> HashSet<&str> {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut open: Vec<&str> = self.start().map(|node| node.id.as_str()).into_iter().collect();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(self.edges_from(id).map(|edge| edge.to.as_str()));
            }
        }
        seen
    }

    /// Every tool the workflow names, in its list or at a step, without repetition.
    pub fn tool_names(&self) -> Vec<&str> {
        let at_nodes = self.nodes.iter().filter_map(|node| node.tool_name.as_deref());
        let mut names = Vec::new();
        for name in self.tools.iter().map(String::as_str).chain(at_nodes) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The workflow in words, for the prompt and for the answer of `start_workflow`.
    pub fn to_text(&self) -> String {
        let mut text = format!("Workflow \"{}\" (id: {})\n", self.name, self.id);
        for node in &self.nodes {
            // Writing to a String cannot fail.
            let _ = write!(text, "- {} [{}]: {}", node.id, node.kind.as_str(), node.label);
            if let Some(message) = &node.message {
                let _ = write!(text, " Say: \"{message}\"");
            }
            if let Some(tool) = &node.tool_name {
                let _ = write!(text, " Call the tool `{tool}`.");
            }
            if let Some(workflow) = &node.workflow_id {
                let _ = write!(text, " Continue with the workflow `{workflow}`.");
            }
            if !node.required_context.is_empty() {
                let _ = write!(text, " Needed first: {}.", node.required_context.join(", "));
            }
            if let Some(outcome) = &node.outcome {
                let _ = write!(text, " Outcome: {outcome}.");
            }
            text.push('\n');
            for edge in self.edges_from(&node.id) {
                let _ = match &edge.label {
                    Some(label) => writeln!(text, "    if {label}: go to {}", edge.to),
                    None => writeln!(text, "    then go to {}", edge.to),
                };
            }
        }
        text
    }
}
