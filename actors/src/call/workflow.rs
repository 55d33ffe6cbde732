//! Walks the graphs of the workflows that are linked to a call.
//!
//! A machine: no actix, no clock. It says where the call stands, which tool calls that step
//! permits, and which way leads on. The model moves it by `advance_workflow`, by the success of
//! a tool step, or by an old `[STEP: id]` tag. `call/guide.rs` feeds it and tells the client.
//!
//! What it holds to:
//! - it moves along edges that exist, and enters a step only when the step's required context is
//!   known from tools (`workflow/facts.rs`);
//! - a step with one way on may be passed without a word; at a fork the model chooses, by
//!   `advance_workflow` or by calling a tool right behind it; a tool step is left when its tool
//!   has succeeded; behind an identity check that said no, the way labelled "yes" is closed;
//! - a tool that some step names is refused at all other steps. Tools that no step names, the
//!   hand-over and the end of the call are always free;
//! - `"gating": "advise"` in the file turns refusals into warnings. Edges must exist all the same.

mod facts;
mod moving;
mod refusal;
mod saved;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use voice_catalog::{
    ADVANCE_WORKFLOW, Builtin, Edge, Node, NodeKind, Snapshot, Workflow, name::fold,
};

use self::facts::Facts;
pub use self::refusal::{Refusal, Why};
pub use self::saved::SavedWalk;

/// The tool by which the model moves on.
pub const ADVANCE: &str = ADVANCE_WORKFLOW;
/// Workflows that may be nested in one another.
const DEPTH: usize = 8;
/// Moves that wait to be told.
const UNTOLD: usize = 256;

/// What is done at the present step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Work {
    /// The tool or the sub-workflow of the step has still to succeed.
    Todo,
    /// The tool was called and failed.
    Failed,
    /// The tool is a check, and it said no; also the fork behind such a step.
    Denied,
    /// It succeeded.
    Done,
}

/// A step of a workflow, by position in the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    flow: usize,
    node: usize,
    work: Work,
}

/// How a step was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// A workflow began, by itself or within another.
    Start,
    /// Along an edge.
    Edge,
    /// A sub-workflow ended; the step that had entered it goes on.
    Return,
}

/// One move, for the client and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Id of the workflow that the step belongs to.
    pub workflow: String,
    /// The step before; none when it began.
    pub from: Option<String>,
    /// The step that was reached.
    pub step: String,
    /// How.
    pub via: Via,
}

/// Whether a tool may run now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Granted,
    /// It may, though the workflow would not have it: the file only advises.
    Advised(Box<Refusal>),
    /// It may not.
    Refused(Box<Refusal>),
}

/// A way that is tried out before it is taken.
#[derive(Debug, Clone, Default)]
struct Path {
    stack: Vec<Place>,
    moves: Vec<Move>,
    hops: usize,
}

/// The machine.
///
/// ```text
///             start_workflow, or the first step's tool
///   Idle ───────────────────────────────────────────▶ Walking ◀──┐ an edge: advance_workflow,
///    ▲                                                 │  │  └───┘ a tool's success, a tag
///    │                                          end of │  │ step of type workflow
///    │                                  a sub-workflow │  ▼
///    │                                                 └─ one deeper
///    └──── unlinked ────  Over ◀── end step of the outermost workflow
///                          └── start_workflow, or the first step's tool ──▶ Walking
/// ```
#[derive(Debug)]
pub struct Walk {
    catalog: Arc<Snapshot>,
    /// Positions of the linked workflows.
    linked: Vec<usize>,
    /// Those and all that they lead into.
    scope: Vec<usize>,
    /// Where the call stands, the innermost workflow last.
    stack: Vec<Place>,
    facts: Facts,
    untold: Vec<Move>,
}

impl Walk {
    /// A walk through the workflows of these ids; unknown ids are left out.
    pub fn new(catalog: Arc<Snapshot>, linked: &[String]) -> Self {
        let mut walk = Self {
            catalog,
            linked: Vec::new(),
            scope: Vec::new(),
            stack: Vec::new(),
            facts: Facts::default(),
            untold: Vec::new(),
        };
        walk.link(linked);
        walk
    }

    /// The settings changed: other workflows may be linked. A walk goes on if it still may.
    pub fn link(&mut self, ids: &[String]) {
        let linked: Vec<usize> = ids.iter().filter_map(|id| self.position(id)).collect();
        let mut scope: Vec<usize> = Vec::new();
        let mut open = linked.clone();
        while let Some(flow) = open.pop() {
            if !scope.contains(&flow) {
                scope.push(flow);
                let nested = self.flow(flow).nodes.iter().filter_map(|n| n.workflow_id.as_deref());
                open.extend(nested.filter_map(|id| self.position(id)));
            }
        }
        scope.sort_unstable();
        if self.stack.first().is_some_and(|root| !linked.contains(&root.flow)) {
            self.stack.clear();
        }
        (self.linked, self.scope) = (linked, scope);
    }

    // What there is to know.

    /// Whether any workflow is linked.
    pub fn is_linked(&self) -> bool {
        !self.linked.is_empty()
    }

    /// The workflow and the step where the call stands.
    pub fn here(&self) -> Option<(&Workflow, &Node)> {
        let place = *self.stack.last()?;
        Some((self.flow(place.flow), self.node(place)))
    }

    /// The moves since this was asked before.
    pub fn take_moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.untold)
    }

    /// What the present workflow needs to know, and whether it does.
    pub fn checks(&self) -> BTreeMap<String, bool> {
        let nodes = self.here().map(|(flow, _)| flow.nodes.as_slice()).unwrap_or_default();
        let names = nodes.iter().flat_map(|node| &node.required_context);
        names.map(|name| (name.clone(), self.facts.has(name))).collect()
    }

    /// Where the call stands, in the words of a tool result.
    pub fn briefing(&self) -> Value {
        let Some((flow, node)) = self.here() else { return json!({"status": "no workflow runs"}) };
        let mut brief = json!({
            "workflowId": flow.id,
            "currentStep": node.id,
            "task": node.label,
        });
        if let Some(message) = &node.message {
            brief["say"] = json!(message);
        }
        if let Some(tool) = &node.tool_name {
            brief["tool"] = json!(tool);
        }
        let ways = self.ways();
        if !ways.is_empty() {
            brief["ways"] = ways.into();
        }
        brief["next"] = match (node.kind, self.stack.last().map(|place| place.work)) {
            (NodeKind::End, _) => "The workflow is over. Finish as the task says.".into(),
            (NodeKind::Tool, Some(Work::Todo)) => "Call the tool of this step.".into(),
            _ => "Do the task, then call advance_workflow with the edge that fits.".into(),
        };
        brief
    }

    /// Where the call stands, for the prompt of a stream that replaces another.
    pub fn reminder(&self) -> Option<String> {
        let (flow, node) = self.here()?;
        Some(format!(
            "WHERE THE CALL STANDS\nThe workflow {} has begun and stands at the step {} ({}). Go \
             on from there.",
            flow.id, node.id, node.label
        ))
    }

    // What moves it.

    /// `start_workflow`: begins a linked workflow, or begins it again.
    pub fn start(&mut self, id: &str) -> Result<(), Box<Refusal>> {
        let flow = self.position(id).filter(|flow| self.linked.contains(flow));
        let Some(flow) = flow else {
            let known = self.linked.iter().map(|flow| self.flow(*flow).id.clone()).collect();
            return Err(self.refuse(Why::NoSuchWorkflow { id: id.to_owned(), known }));
        };
        let path = self.begin(flow, Path::default())?;
        self.commit(path);
        Ok(())
    }

    /// `advance_workflow`: takes the edge of that target or label. Steps with one way on may be
    /// passed on the way to it.
    pub fn advance(&mut self, edge: &str) -> Result<(), Box<Refusal>> {
        if self.stack.is_empty() {
            return Err(self.refuse(Why::NothingRuns));
        }
        let path = self.seek(edge, true).map_err(|why| self.refuse(why))?;
        self.commit(path);
        Ok(())
    }

    /// A `[STEP: id]` tag in the model's words. Answers whether it moved anything; a tag that
    /// names a step without a way to it is ignored.
    pub fn follow_tag(&mut self, step: &str) -> bool {
        if self.is_walking() {
            return match self.seek(step, false) {
                Ok(path) => {
                    let moved = !path.moves.is_empty();
                    self.commit(path);
                    moved
                }
                Err(_) => false,
            };
        }
        let begun = self.linked.iter().find_map(|&flow| {
            let mut path = self.begin(flow, Path::default()).ok()?;
            let is_start = self.flow(flow).start().is_some_and(|node| node.id == step);
            while !is_start && self.node_of(&path)?.id != step {
                self.glide(&mut path).ok()?;
            }
            Some(path)
        });
        begun.map(|path| self.commit(path)).is_some()
    }

    /// The model wants to call a tool. A permitted call moves the walk to the step of the tool.
    pub fn permit(&mut self, tool: &str, input: &Value) -> Permit {
        let builtin = self.catalog.tool(tool).and_then(|tool| tool.builtin());
        let always = matches!(builtin, Some(Builtin::TransferToAgent | Builtin::EndCall));
        if !self.gates(tool) {
            return Permit::Granted;
        }
        match self.find_step_of(tool, input) {
            Ok(path) => self.commit(path),
            Err(_) if always => {}
            Err(why) => {
                let advises = self.advises(tool);
                let refusal = self.refuse_tool(tool, why);
                let permit = if advises { Permit::Advised } else { Permit::Refused };
                return permit(refusal);
            }
        }
        Permit::Granted
    }

    /// A tool call ended; `succeeded` says that it gave a result and no error.
    pub fn tool_ended(&mut self, tool: &str, input: &Value, result: &Value, succeeded: bool) {
        if succeeded {
            self.facts.learn(self.catalog.tool(tool), input, result);
        }
        let mut path = self.path();
        let Some(top) = path.stack.last_mut() else { return };
        let node = self.node(*top);
        if node.kind != NodeKind::Tool || !names(node, tool) {
            return;
        }
        top.work = match facts::verdict(result) {
            _ if !succeeded => Work::Failed,
            None => Work::Done,
            Some(work) => work,
        };
        let from = *top;
        if !succeeded {
            // It may be tried again, or the way for a failure be taken.
        } else if from.work == Work::Done {
            let _ = self.glide(&mut path);
        } else if let [edge] = self.edges(from).as_slice()
            && self.leads_to_fork(from, edge)
        {
            // A no leads to the fork behind the step, and nowhere else.
            let _ = self.take(&mut path, edge);
        }
        self.commit(path);
    }

    // The graph.

    fn position(&self, id: &str) -> Option<usize> {
        let found = self.catalog.workflow(id)?;
        self.catalog.workflows().iter().position(|flow| flow.id == found.id)
    }

    fn flow(&self, flow: usize) -> &Workflow {
        &self.catalog.workflows()[flow]
    }

    fn node(&self, place: Place) -> &Node {
        &self.flow(place.flow).nodes[place.node]
    }

    fn node_of(&self, path: &Path) -> Option<&Node> {
        path.stack.last().map(|place| self.node(*place))
    }

    fn edges(&self, place: Place) -> Vec<&Edge> {
        let flow = self.flow(place.flow);
        flow.edges_from(&self.node(place).id).collect()
    }

    /// Whether an outermost workflow runs that is not over.
    fn is_walking(&self) -> bool {
        self.here().is_some_and(|(_, node)| node.kind != NodeKind::End)
    }

    fn is_advisory(&self, flow: usize) -> bool {
        self.flow(flow).raw().get("gating").and_then(Value::as_str) == Some("advise")
    }

    /// Whether some step of a linked workflow names the tool.
    fn gates(&self, tool: &str) -> bool {
        let mut nodes = self.scope.iter().flat_map(|flow| &self.flow(*flow).nodes);
        nodes.any(|node| names(node, tool))
    }

    /// Whether every workflow that has a say only advises.
    fn advises(&self, tool: &str) -> bool {
        if self.is_walking() {
            return self.stack.iter().all(|place| self.is_advisory(place.flow));
        }
        let concerned = |flow: &&usize| self.flow(**flow).nodes.iter().any(|n| names(n, tool));
        self.scope.iter().filter(concerned).all(|flow| self.is_advisory(*flow))
    }

    /// Whether a step may be left along this edge as far as its own work goes.
    fn is_open(&self, place: Place, edge: &Edge) -> bool {
        let node = self.node(place);
        match (node.kind, place.work) {
            (NodeKind::End, _) => false,
            (NodeKind::Tool | NodeKind::Workflow, _) if self.is_advisory(place.flow) => true,
            (NodeKind::Tool | NodeKind::Workflow, Work::Todo) => false,
            (NodeKind::Tool, Work::Failed | Work::Denied) => {
                edge.label.as_deref().is_some_and(facts::is_negative)
            }
            (NodeKind::Decision, Work::Denied) => {
                !edge.label.as_deref().is_some_and(facts::is_affirmative)
            }
            _ => true,
        }
    }

    fn leads_to_fork(&self, place: Place, edge: &Edge) -> bool {
        let target = self.flow(place.flow).node(&edge.to);
        target.is_some_and(|node| node.kind == NodeKind::Decision)
    }

    // Words.

    /// The edges that leave the present step.
    fn ways(&self) -> Vec<Value> {
        let Some(here) = self.stack.last() else { return Vec::new() };
        let way = |edge: &Edge| match &edge.label {
            Some(label) => json!({"edge": edge.to, "if": label}),
            None => json!({"edge": edge.to}),
        };
        self.edges(*here).into_iter().map(way).collect()
    }

    fn refuse(&self, why: Why) -> Box<Refusal> {
        let step = self.here().map(|(_, node)| (node.id.clone(), node.label.clone()));
        let ways = self.ways();
        let (permitted_at, workflows) = (Vec::new(), Vec::new());
        Box::new(Refusal { why, tool: None, step, ways, permitted_at, workflows })
    }

    fn refuse_tool(&self, tool: &str, why: Why) -> Box<Refusal> {
        let mut refusal = self.refuse(why);
        refusal.tool = Some(tool.to_owned());
        for flow in self.scope.iter().map(|flow| self.flow(*flow)) {
            let steps = flow.nodes.iter().filter(|node| names(node, tool));
            let steps: Vec<String> = steps.map(|node| node.id.clone()).collect();
            if !steps.is_empty() {
                refusal.workflows.push(flow.id.clone());
                refusal.permitted_at.extend(steps);
            }
        }
        refusal
    }
}

/// Whether a step is the step of this tool.
fn names(node: &Node, tool: &str) -> bool {
    node.tool_name.as_deref().is_some_and(|name| name == tool || fold(name) == fold(tool))
}

#[cfg(test)]
mod tests;
