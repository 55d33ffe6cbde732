//! Tools, workflows and prompts, read from files and handed over as one immutable [`Snapshot`].
//!
//! What it is not: it does not know Nova Sonic, WebSockets or actors. The engine offers the
//! tools of a snapshot to the model and runs them through [`execute`]; the server lists what a
//! snapshot holds; `voice-s2s check` prints the [`Problem`]s.
//!
//! Two floors live here. The model (everything but `source` and `execute`) is pure: text in,
//! values and problems out. `source` reads folders; `execute` is async and runs tools.
//!
//! ```text
//! folders --source--> Sources --tool/workflow/prompt--> parts --snapshot--> Snapshot
//!                                                                            |
//!                                   system_prompt, offered_tools <--assembly-+--> execute::run
//! ```

pub mod assembly;
mod catalog;
pub mod execute;
mod finding;
pub mod name;
mod overlay;
mod position;
pub mod problem;
pub mod prompt;
pub mod rules;
pub mod schema;
pub mod snapshot;
pub mod source;
pub mod tool;
mod watch;
pub mod workflow;

pub use assembly::{ADVANCE_WORKFLOW, NameKind, Offer, PromptRequest, UnknownName};
pub use catalog::{Catalog, Complete, Current, Refused, Reload};
pub use problem::{Problem, Problems, Severity};
pub use prompt::{Prompt, PromptKind, Variables};
pub use rules::{Limits, Rules};
pub use snapshot::Snapshot;
pub use source::{Dirs, Origin, SourceFile, Sources};
pub use tool::{Builtin, Executor, Tool};
pub use workflow::{Edge, Node, NodeKind, Workflow};
