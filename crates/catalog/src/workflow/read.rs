//! Reads a workflow file and checks the graph in it.
//!
//! What needs the rest of the catalog (do the tools and sub-workflows exist?) is checked by
//! `snapshot`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Edge, Node, NodeKind, Workflow};
use crate::finding::{Findings, child, kind_of};

/// What a workflow file's name says its id is; `None` for other JSON files.
pub(crate) fn id_of_file(file: &str) -> Option<&str> {
    let stem = file.get(..file.len().checked_sub(".json".len())?)?;
    let id = stem.strip_prefix("workflow-").or_else(|| stem.strip_prefix("workflow_"))?;
    (!id.is_empty()).then_some(id)
}

/// Reads one workflow; `None` when the file is not a JSON object.
///
/// A workflow with errors comes back as far as it could be read, so that what it refers to can
/// be checked as well; no snapshot is made of it.
pub(crate) fn read(file: &str, file_id: &str, findings: &mut Findings<'_>) -> Option<Workflow> {
    let object = findings.read_object()?;
    let id = text_or_number(&object, "", "id", findings).unwrap_or_else(|| file_id.to_owned());
    if id.chars().any(char::is_control) {
        findings.error("/id", "the id holds control characters", "Use letters, digits, `_`, `-`.");
    }
    let mut name = None;
    for key in ["name", "title"] {
        name = name.or(findings.text_at(&object, "", key).filter(|name| !name.trim().is_empty()));
    }
    let nodes = read_nodes(&object, findings);
    let edges = read_edges(&object, &nodes, findings);
    let tools = read_tools(&object, findings);
    let workflow = Workflow {
        name: name.unwrap_or_else(|| id.clone()),
        id,
        filename: file.to_owned(),
        nodes,
        edges,
        tools,
        raw: Value::Object(object),
    };
    // With edges or the start missing, everything would seem to be out of reach.
    if !findings.has_error() {
        check_ways(&workflow, findings);
    }
    Some(workflow)
}

/// Every step is reached, every step but the ends leads on, and no way is there twice.
fn check_ways(workflow: &Workflow, findings: &mut Findings<'_>) {
    let reachable = workflow.reachable();
    for (index, node) in workflow.nodes.iter().enumerate() {
        let place = format!("/nodes/{index}");
        if !reachable.contains(node.id.as_str()) {
            let what = format!("no way leads from the start to `{}`", node.id);
            findings.error(&place, what, "Add an edge to it, or remove it.");
            continue;
        }
        let leads_on = workflow.edges_from(&node.id).next().is_some();
        if node.kind == NodeKind::End && leads_on {
            let what = format!("`{}` is an end, but an edge leaves it", node.id);
            findings.warn(&place, what, "Remove the edge, or give the step another type.");
        } else if node.kind != NodeKind::End && !leads_on && workflow.nodes.len() > 1 {
            let what = format!("nothing comes after `{}`, which is not an end", node.id);
            findings.warn(&place, what, "Add an edge from it, or make it \"type\": \"end\".");
        }
    }
    for (index, edge) in workflow.edges.iter().enumerate() {
        if let Some(first) = workflow.edges[..index].iter().position(|other| other == edge) {
            let what = format!("this edge stands at /edges/{first} already");
            findings.warn(&format!("/edges/{index}"), what, "Keep one of them.");
        }
    }
}

/// The objects of a list that must be there; what is not an object is reported.
fn objects<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    findings: &mut Findings<'_>,
) -> Vec<(String, &'a Map<String, Value>)> {
    let pointer = child("", key);
    let items = match object.get(key) {
        Some(Value::Array(items)) => items,
        None => {
            findings.error("", format!("`{key}` is missing"), "Add it; it is a list of objects.");
            return Vec::new();
        }
        Some(other) => {
            let what = format!("`{key}` must be a list, not {}", kind_of(other));
            findings.error(&pointer, what, "Write a list of objects.");
            return Vec::new();
        }
    };
    let mut found = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let place = format!("{pointer}/{index}");
        match item {
            Value::Object(item) => found.push((place, item)),
            other => {
                let what = format!("an item of `{key}` must be an object, not {}", kind_of(other));
                findings.error(&place, what, "Write it between { and }.");
            }
        }
    }
    found
}

/// A text, or a number taken as one: some editors number the nodes.
fn text_or_number(
    object: &Map<String, Value>,
    parent: &str,
    key: &str,
    findings: &mut Findings<'_>,
) -> Option<String> {
    match object.get(key) {
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => findings.text_at(object, parent, key).filter(|text| !text.trim().is_empty()),
    }
}

fn read_nodes(object: &Map<String, Value>, findings: &mut Findings<'_>) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut seen: HashMap<String, String> = HashMap::new();
    let mut starts = Vec::new();
    for (place, item) in objects(object, "nodes", findings) {
        let Some(id) = text_or_number(item, &place, "id", findings) else {
            findings.error(&place, "the node has no id", "Give it an `id` of its own.");
            continue;
        };
        if let Some(first) = seen.insert(id.clone(), place.clone()) {
            let what = format!("the node id `{id}` is taken by {first}");
            findings.error(&child(&place, "id"), what, "Give every node an id of its own.");
        }
        let node = read_node(item, id, &place, findings);
        if node.kind == NodeKind::Start {
            starts.push(place);
        }
        nodes.push(node);
    }
    match starts.as_slice() {
        [_] => {}
        [] => findings.error(
            if object.contains_key("nodes") { "/nodes" } else { "" },
            "no node is the start",
            "Give exactly one node \"type\": \"start\".",
        ),
        [first, more @ ..] => {
            for place in more {
                let what = format!("there is a second start; the first is {first}");
                findings.error(place, what, "Give exactly one node \"type\": \"start\".");
            }
        }
    }
    nodes
}

fn read_node(
    item: &Map<String, Value>,
    id: String,
    place: &str,
    findings: &mut Findings<'_>,
) -> Node {
    let kind = match findings.text_at(item, place, "type") {
        None => NodeKind::Process,
        Some(word) => NodeKind::from_name(&word).unwrap_or_else(|| {
            let known: Vec<&str> = NodeKind::ALL.into_iter().map(NodeKind::as_str).collect();
            let remedy = format!("Use one of {}.", known.join(", "));
            let what = format!("`{word}` is not a type of node");
            findings.error(&child(place, "type"), what, &remedy);
            NodeKind::Process
        }),
    };
    let mut text =
        |key: &str| findings.text_at(item, place, key).filter(|text| !text.trim().is_empty());
    let label = text("label").unwrap_or_else(|| id.clone());
    let (tool_name, workflow_id) = (text("toolName"), text("workflowId"));
    let (outcome, message) = (text("outcome"), text("message"));
    let required_context = read_context(item, place, findings);
    if kind == NodeKind::Tool && tool_name.is_none() {
        findings.error(place, "a tool step names no tool", "Add `toolName`.");
    }
    if kind == NodeKind::Workflow && workflow_id.is_none() {
        findings.error(place, "a workflow step names no workflow", "Add `workflowId`.");
    }
    Node { id, label, kind, tool_name, workflow_id, outcome, required_context, message }
}

/// One name or a list of names.
fn read_context(
    item: &Map<String, Value>,
    place: &str,
    findings: &mut Findings<'_>,
) -> Vec<String> {
    match item.get("required_context") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(_) => {
            let what = "`required_context` must be a list of names";
            findings.error(&child(place, "required_context"), what, "Write [\"accountId\"].");
            Vec::new()
        }
    }
}

fn read_edges(
    object: &Map<String, Value>,
    nodes: &[Node],
    findings: &mut Findings<'_>,
) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (place, item) in objects(object, "edges", findings) {
        let mut end = |key: &str| match text_or_number(item, &place, key, findings) {
            Some(id) if nodes.iter().any(|node| node.id == id) => Some(id),
            Some(id) => {
                let what = format!("there is no node `{id}`");
                findings.error(&child(&place, key), what, "Name the id of a node.");
                None
            }
            None => {
                let what = format!("the edge has no `{key}`");
                findings.error(&place, what, "Give it `from` and `to`, both ids of nodes.");
                None
            }
        };
        let (from, to) = (end("from"), end("to"));
        let label = findings.text_at(item, &place, "label").filter(|text| !text.trim().is_empty());
        if let (Some(from), Some(to)) = (from, to) {
            edges.push(Edge { from, to, label });
        }
    }
    edges
}

/// Names, or objects with a `name`.
fn read_tools(object: &Map<String, Value>, findings: &mut Findings<'_>) -> Vec<String> {
    let items = match object.get("tools") {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(other) => {
            let what = format!("`tools` must be a list, not {}", kind_of(other));
            findings.error("/tools", what, "Write a list of tool names.");
            return Vec::new();
        }
    };
    let mut tools = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item.as_str().or_else(|| item.get("name")?.as_str()) {
            Some(name) => tools.push(name.to_owned()),
            None => {
                let what = "this is not the name of a tool";
                findings.error(&format!("/tools/{index}"), what, "Write a list of tool names.");
            }
        }
    }
    tools
}
