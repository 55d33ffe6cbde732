//! The names of attributes, all in one place: they change more often than what they mean.
//!
//! What Langfuse makes of them is in its `packages/shared/src/server/otel/attributes.ts` and
//! `OtelIngestionProcessor.ts` (`ops.md` §4.2). Two of the OpenTelemetry conventions are left out
//! on purpose: `gen_ai.usage.*`, which would be counted besides the usage that is given, and
//! `gen_ai.tool.name`, which would take the place of a span's name.

/// The call, on every span: Langfuse, and the OpenTelemetry conventions.
pub(crate) const SESSION: [&str; 2] = ["langfuse.session.id", "session.id"];
pub(crate) const TRACE_NAME: &str = "langfuse.trace.name";
pub(crate) const TRACE_TAGS: &str = "langfuse.trace.tags";
/// Of the program.
pub(crate) const VERSION: &str = "langfuse.version";

pub(crate) const TYPE: &str = "langfuse.observation.type";
/// `DEFAULT`, `WARNING`, `ERROR`.
pub(crate) const LEVEL: &str = "langfuse.observation.level";
pub(crate) const STATUS_MESSAGE: &str = "langfuse.observation.status_message";
pub(crate) const INPUT: &str = "langfuse.observation.input";
pub(crate) const OUTPUT: &str = "langfuse.observation.output";
/// The model: Langfuse, and the OpenTelemetry conventions.
pub(crate) const MODEL: [&str; 2] = ["langfuse.observation.model.name", "gen_ai.request.model"];
/// ISO 8601: the first audio byte.
pub(crate) const COMPLETION_START: &str = "langfuse.observation.completion_start_time";
pub(crate) const PROMPT_NAME: &str = "langfuse.observation.prompt.name";
pub(crate) const PROMPT_VERSION: &str = "langfuse.observation.prompt.version";
/// JSON, in buckets that have nothing in common.
pub(crate) const USAGE: &str = "langfuse.observation.usage_details";
/// JSON, in the buckets of the usage, in US dollars.
pub(crate) const COST: &str = "langfuse.observation.cost_details";
/// What a key of metadata begins with.
pub(crate) const METADATA: &str = "langfuse.observation.metadata.";
