//! The calls of the session and what they send. What the service says is in the golden traces.
