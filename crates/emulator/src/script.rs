//! Scenarios: what the model hears and does.

/// A scenario. The default is the embedded one.
#[derive(Debug, Clone, Default)]
pub struct Scenario {}
