//! What is asked of Amazon ECS: that it does not end a task full of calls when it scales in.
//!
//! [`Agent`] speaks with the agent's task protection endpoint; [`Protection`] decides when. The
//! task between them is the server's (`src/protection.rs`). Nothing here is asked in a call.

mod agent;
mod protection;

pub use agent::{Agent, AgentError, Answer, SetupError};
pub use protection::{Protection, ProtectionTimes, Request, Step};
