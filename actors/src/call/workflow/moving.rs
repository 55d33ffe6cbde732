//! How a walk moves: a way is tried out on a copy of the stack and taken as a whole.

use serde_json::Value;
use voice_catalog::{Edge, NodeKind, name::fold};

use super::{DEPTH, Move, Path, Place, Refusal, UNTOLD, Via, Walk, Why, Work, names};

/// Steps that one input may lead through.
const HOPS: usize = 64;

impl Walk {
    pub(super) fn path(&self) -> Path {
        Path { stack: self.stack.clone(), ..Path::default() }
    }

    pub(super) fn commit(&mut self, path: Path) {
        self.stack = path.stack;
        self.untold.extend(path.moves);
        let surplus = self.untold.len().saturating_sub(UNTOLD);
        self.untold.drain(..surplus);
    }

    /// Puts the start of a workflow on top, and passes on to the step behind it.
    pub(super) fn begin(&self, flow: usize, mut path: Path) -> Result<Path, Box<Refusal>> {
        self.push(flow, &mut path).map_err(|why| self.refuse(why))?;
        Ok(path)
    }

    pub(super) fn push(&self, flow: usize, path: &mut Path) -> Result<(), Why> {
        let start = self.flow(flow).nodes.iter().position(|node| node.kind == NodeKind::Start);
        let node = start.ok_or(Why::TooDeep)?;
        if path.stack.len() >= DEPTH {
            return Err(Why::TooDeep);
        }
        let place = Place { flow, node, work: Work::Todo };
        self.note(path, None, place, Via::Start)?;
        path.stack.push(place);
        // The start itself asks for nothing.
        let _ = self.glide(path);
        Ok(())
    }

    pub(super) fn note(
        &self,
        path: &mut Path,
        from: Option<Place>,
        to: Place,
        via: Via,
    ) -> Result<(), Why> {
        path.hops += 1;
        if path.hops > HOPS {
            return Err(Why::TooDeep);
        }
        path.moves.push(Move {
            workflow: self.flow(to.flow).id.clone(),
            from: from.map(|place| self.node(place).id.clone()),
            step: self.node(to).id.clone(),
            via,
        });
        Ok(())
    }

    /// Goes the one way on that a step has.
    pub(super) fn glide(&self, path: &mut Path) -> Result<(), Why> {
        let from = *path.stack.last().ok_or(Why::NothingRuns)?;
        match self.edges(from).as_slice() {
            [edge] if self.is_open(from, edge) => self.take(path, edge),
            _ => Err(Why::NotHere),
        }
    }

    /// Moves along an edge of the present step. On an error nothing has moved.
    pub(super) fn take(&self, path: &mut Path, edge: &Edge) -> Result<(), Why> {
        let from = *path.stack.last().ok_or(Why::NothingRuns)?;
        let flow = self.flow(from.flow);
        let node = flow.nodes.iter().position(|node| node.id == edge.to).ok_or(Why::NotHere)?;
        let mut to = Place { flow: from.flow, node, work: Work::Todo };
        let target = self.node(to);
        if from.work == Work::Denied && target.kind == NodeKind::Decision {
            to.work = Work::Denied;
        }
        let missing: Vec<String> =
            target.required_context.iter().filter(|name| !self.facts.has(name)).cloned().collect();
        if !missing.is_empty() && !self.is_advisory(to.flow) {
            return Err(Why::Missing { step: target.id.clone(), names: missing });
        }
        if target.kind == NodeKind::Workflow && path.stack.len() >= DEPTH {
            return Err(Why::TooDeep);
        }
        self.note(path, Some(from), to, Via::Edge)?;
        if let Some(top) = path.stack.last_mut() {
            *top = to;
        }
        match target.kind {
            NodeKind::Workflow => {
                let nested = target.workflow_id.as_deref().and_then(|id| self.position(id));
                if let Some(nested) = nested {
                    let _ = self.push(nested, path);
                }
            }
            NodeKind::End if path.stack.len() > 1 => {
                path.stack.pop();
                if let Some(top) = path.stack.last_mut() {
                    top.work = Work::Done;
                    let parent = *top;
                    self.note(path, Some(to), parent, Via::Return)?;
                    let _ = self.glide(path);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Finds the edge that `wanted` names: by the step it leads to, or (`by_label`) its label.
    pub(super) fn seek(&self, wanted: &str, by_label: bool) -> Result<Path, Why> {
        let mut path = self.path();
        let mut blocked = None;
        loop {
            let here = *path.stack.last().ok_or(Why::NothingRuns)?;
            let edges = self.edges(here);
            let labelled = |edge: &&&Edge| {
                by_label && edge.label.as_deref().is_some_and(|label| fold(label) == fold(wanted))
            };
            let found: Vec<&Edge> =
                match edges.iter().find(|edge| edge.to == wanted || fold(&edge.to) == fold(wanted))
                {
                    Some(edge) => vec![*edge],
                    None => edges.iter().filter(labelled).copied().collect(),
                };
            match found.as_slice() {
                [edge] if !self.is_open(here, edge) => {
                    let tool = self.node(here).tool_name.clone().unwrap_or_default();
                    return Err(match (self.node(here).kind, here.work) {
                        (_, Work::Denied) => Why::Denied,
                        (NodeKind::Tool, _) => Why::ToolFirst { tool },
                        _ => Why::NotHere,
                    });
                }
                [edge] => {
                    self.take(&mut path, edge)?;
                    return Ok(path);
                }
                [] if self.node(here).id == wanted => return Ok(path),
                [] => {}
                _ => return Err(Why::Ambiguous { edge: wanted.to_owned() }),
            }
            if path.hops >= HOPS {
                break;
            }
            if let Err(why) = self.glide(&mut path) {
                if let Why::Missing { .. } = why {
                    blocked = Some(why);
                }
                break;
            }
        }
        Err(blocked.unwrap_or_else(|| Why::NoSuchEdge { edge: wanted.to_owned() }))
    }

    /// The step of the tool: here, or ahead where there is but one way, or at the beginning of a
    /// linked workflow while none runs.
    pub(super) fn find_step_of(&self, tool: &str, input: &Value) -> Result<Path, Why> {
        if self.is_walking() {
            return self.reach_from(&self.path(), tool, input);
        }
        let mut found = Err(None);
        for &flow in &self.linked {
            let Ok(begun) = self.begin(flow, Path::default()) else { continue };
            match self.reach_from(&begun, tool, input) {
                Ok(path) => return Ok(path),
                Err(why @ Why::Missing { .. }) => found = Err(Some(why)),
                Err(_) => {}
            }
        }
        found.map_err(|why| why.unwrap_or(Why::NotStarted))
    }

    /// A fork is passed only where the call stands: the caller's wish is behind each of them.
    pub(super) fn reach_from(&self, path: &Path, tool: &str, input: &Value) -> Result<Path, Why> {
        let straight = match self.reach(path.clone(), tool, input) {
            Err(Why::NotHere) => Why::NotHere,
            other => return other,
        };
        let here = *path.stack.last().ok_or(Why::NothingRuns)?;
        let mut reason = straight;
        for edge in self.edges(here).into_iter().filter(|edge| self.is_open(here, edge)) {
            let mut path = path.clone();
            let reached = self.take(&mut path, edge).and_then(|()| self.reach(path, tool, input));
            match reached {
                Ok(path) => return Ok(path),
                Err(Why::Missing { step, .. }) if !self.leads_to(here.flow, &step, tool) => {}
                Err(Why::NotHere) => {}
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }

    /// Whether the step is the one of the tool: only then what it misses is what is missing.
    pub(super) fn leads_to(&self, flow: usize, step: &str, tool: &str) -> bool {
        self.flow(flow).node(step).is_some_and(|node| names(node, tool))
    }

    pub(super) fn reach(&self, mut path: Path, tool: &str, input: &Value) -> Result<Path, Why> {
        loop {
            let node = self.node_of(&path).ok_or(Why::NothingRuns)?;
            if names(node, tool) {
                return match self.facts.contradiction(&node.required_context, input) {
                    Some((name, known)) => Err(Why::Contradiction { name, known }),
                    None => Ok(path),
                };
            }
            if path.hops >= HOPS {
                return Err(Why::NotHere);
            }
            self.glide(&mut path)?;
        }
    }
}
