//! Langfuse, as far as a call needs it. For now: its prompts.
//!
//! Nothing here is asked while a caller waits. Built by the server when keys are configured.

mod client;
mod prompts;

pub use client::{LangfuseConfig, SecretKey, SetupError};
pub use prompts::{PromptOptions, Prompts, Refreshed};
