//! Langfuse, as far as a call needs it: its prompts, and the traces and scores that are told to it.
//! Traces go to any other collector as well.
//!
//! Nothing here is asked or told while a caller waits. Built by the server when it is configured.

mod client;
mod closing;
mod export;
mod prompts;
mod score;
mod scores;
mod target;
mod trace;
mod traces;

pub use client::{LangfuseConfig, SecretKey, SetupError};
pub use export::ExportOptions;
pub use prompts::{PromptOptions, Prompts, Refreshed};
pub use score::Score;
pub use target::{BadTarget, OtlpTarget};
pub use trace::{Finished, Trace, TraceRules, ids::trace_id_of};
pub use traces::{Traces, TracesConfig};
