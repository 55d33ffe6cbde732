//! Where a walk stands, in words that another task understands: ids, not positions.

use serde::{Deserialize, Serialize};

use super::{Facts, Place, Walk, Work};

/// A walk that can be gone on with elsewhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SavedWalk {
    stack: Vec<SavedPlace>,
    facts: Facts,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct SavedPlace {
    workflow: String,
    step: String,
    work: Work,
}

impl Walk {
    /// Where it stands, and what it knows.
    pub fn save(&self) -> SavedWalk {
        let place = |place: &Place| SavedPlace {
            workflow: self.flow(place.flow).id.clone(),
            step: self.node(*place).id.clone(),
            work: place.work,
        };
        SavedWalk { stack: self.stack.iter().map(place).collect(), facts: self.facts.clone() }
    }

    /// Goes on where another one stood. If its workflows are others by now, only what it knew
    /// counts.
    pub fn restore(&mut self, saved: SavedWalk) {
        self.facts = saved.facts;
        let place = |saved: &SavedPlace| {
            let flow = self.position(&saved.workflow).filter(|flow| self.scope.contains(flow))?;
            let node = self.flow(flow).nodes.iter().position(|node| node.id == saved.step)?;
            Some(Place { flow, node, work: saved.work })
        };
        self.stack = saved.stack.iter().map(place).collect::<Option<_>>().unwrap_or_default();
    }
}
