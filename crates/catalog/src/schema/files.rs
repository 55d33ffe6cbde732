//! The formats of our files, as types from which the JSON Schemas are made.
//!
//! Nothing is ever read into these: a file with ten mistakes shall be read as far as it goes,
//! which `tool/read.rs`, `workflow/read.rs` and `prompt.rs` do by hand. The doc comments here are
//! what an editor shows beside a key and what `check` gives as remedy, so they are written for
//! the authors of files. Unknown keys are allowed everywhere (`contract.md` §4).

#![allow(dead_code, reason = "these types are only ever looked at by schemars")]

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};

/// A tool that the assistant may call: `tools/*.json`.
// A tool of an MCP server may leave its description to the server.
#[derive(JsonSchema)]
#[schemars(
    title = "Tool",
    extend(
        "if" = {
            "properties": {"execute": {"properties": {"kind": {"const": "mcp"}}, "required": ["kind"]}},
            "required": ["execute"]
        },
        "else" = {"required": ["description"]}
    )
)]
pub(super) struct ToolFile {
    /// What the model calls: letters, digits, `_` and `-`. Unique; it may differ from the file
    /// name.
    #[schemars(length(min = 1), regex(pattern = "^[a-zA-Z0-9_-]+$"))]
    name: String,
    /// What the tool does. The model chooses by it.
    #[schemars(length(min = 1))]
    description: Option<String>,
    /// JSON Schema of the arguments; an object at its root.
    input_schema: Option<Map<String, Value>>,
    /// Another spelling of `input_schema`.
    #[schemars(rename = "inputSchema")]
    camel_schema: Option<Map<String, Value>>,
    /// Another spelling of `input_schema`.
    parameters: Option<Map<String, Value>>,
    /// How to use the tool. Appended to the description.
    instruction: Option<String>,
    /// A group for display, such as `accounts`.
    category: Option<String>,
    /// Accepted for older files, without effect.
    #[schemars(rename = "agentPrompt")]
    agent_prompt: Option<String>,
    /// Accepted for older files, without effect.
    #[schemars(rename = "gatewayTarget")]
    gateway_target: Option<String>,
    /// How the tool is executed. Without it only the built-in tools run.
    execute: Option<Execute>,
}

/// How a tool is executed. Each kind has keys of its own: see `tools/README.md`.
#[derive(JsonSchema)]
struct Execute {
    /// Who executes it.
    kind: ExecuteKind,
    /// Longest time until there is an answer, in milliseconds, all attempts together; 8000 when
    /// absent.
    timeout_ms: Option<u64>,
    /// Whether running it twice does no more than running it once.
    idempotent: Option<bool>,
    /// Further attempts after a failure that may pass; for idempotent tools only.
    retries: Option<u64>,
    /// How long a good answer is given again for the same arguments, in seconds.
    cache_ttl_s: Option<u64>,
    /// Longest result, in bytes of JSON; 8192 when absent. A longer one is cut.
    max_result_bytes: Option<u64>,
    /// How often it may run at the same time in one process.
    concurrency: Option<u64>,
    /// Fields of arguments and result that logs do not show.
    redact: Option<Value>,
    /// How long the caller waits in silence before the filler, in milliseconds.
    announce_after_ms: Option<u64>,
    /// The filler.
    announce: Option<String>,
    /// `builtin`: which one; the tool's name when absent.
    name: Option<String>,
    /// `static`: the answers and what they match.
    rows: Option<Vec<Map<String, Value>>>,
    /// `static`: the answer when no row matches.
    default: Option<Map<String, Value>>,
    /// `static`: the answer. Otherwise: JSON pointer to the part of the answer that counts.
    result: Option<Value>,
    /// `static`: the tool fails with this text.
    fail: Option<String>,
    /// `static`: JSON pointers into the result, and the argument that says how much of the list
    /// there is taken.
    take: Option<Map<String, Value>>,
    /// `static`: milliseconds before the answer.
    delay_ms: Option<u64>,
    /// `http`: the method; GET when absent.
    method: Option<String>,
    /// `http`: where the request goes; `{argument}` is filled in.
    url: Option<String>,
    /// `http`: headers; `${env:NAME}` is a secret of the environment.
    headers: Option<Map<String, Value>>,
    /// `http`: the JSON that is sent; `{argument}` is filled in.
    body: Option<Value>,
    /// `http`: a form that is sent instead of JSON.
    form: Option<Map<String, Value>>,
    /// `lambda`: name or ARN of the function.
    function: Option<String>,
    /// `lambda`: version or alias.
    qualifier: Option<String>,
    /// `lambda`: what is sent; the arguments when absent.
    payload: Option<Value>,
    /// `mcp`: the server's name in the program's list.
    server: Option<String>,
    /// `mcp`: the tool's name there; this tool's own when absent.
    tool: Option<String>,
    /// `knowledge_base`: its id.
    knowledge_base_id: Option<String>,
    /// `knowledge_base`: what is searched for; `{argument}` is filled in.
    query: Option<String>,
    /// `knowledge_base`: how many passages, at most.
    results: Option<u64>,
    /// `knowledge_base`: how well a passage has to fit, 0 to 1.
    min_score: Option<f64>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename_all = "snake_case")]
enum ExecuteKind {
    /// The program itself.
    Builtin,
    /// A table in this file.
    Static,
    /// An HTTP service.
    Http,
    /// An AWS Lambda function.
    Lambda,
    /// A tool of an MCP server.
    Mcp,
    /// An Amazon Bedrock knowledge base.
    KnowledgeBase,
}

/// A graph of steps for a call: `workflows/workflow-<id>.json`.
#[derive(JsonSchema)]
#[schemars(title = "Workflow", rename_all = "camelCase")]
pub(super) struct WorkflowFile {
    /// What calls name it by; the part of the file name after `workflow-` when absent.
    id: Option<Id>,
    /// What people are shown.
    name: Option<String>,
    /// Another spelling of `name`.
    title: Option<String>,
    /// The steps. Exactly one is the start, and every other one can be reached from it.
    nodes: Vec<WorkflowNode>,
    /// The ways from step to step.
    edges: Vec<WorkflowEdge>,
    /// The tools that the workflow uses besides those at its steps.
    tools: Option<Vec<ToolName>>,
    /// `enforce` refuses a tool that the present step does not permit; `advise` only warns.
    gating: Option<GatingWord>,
    /// The system prompt of the workflow's own test calls.
    system_prompt: Option<String>,
    /// The persona that the workflow was made for.
    persona_id: Option<String>,
    /// The voice that the workflow was made for.
    voice_id: Option<String>,
}

/// A step.
#[derive(JsonSchema)]
struct WorkflowNode {
    /// The step's name in this file; unique.
    id: Id,
    /// What happens there, in words.
    label: Option<String>,
    /// What sort of step it is; `process` when absent.
    #[schemars(rename = "type")]
    kind: Option<NodeWord>,
    /// The tool of a `tool` step.
    #[schemars(rename = "toolName")]
    tool_name: Option<String>,
    /// The workflow of a `workflow` step.
    #[schemars(rename = "workflowId")]
    workflow_id: Option<String>,
    /// How the workflow ends at an `end` step.
    outcome: Option<String>,
    /// What must be known before the step may be entered: a name or a list of names.
    required_context: Option<Names>,
    /// What the assistant says at a `message` step.
    message: Option<String>,
}

/// A way from one step to another.
#[derive(JsonSchema)]
struct WorkflowEdge {
    /// The id of the step it leaves.
    from: Id,
    /// The id of the step it leads to.
    to: Id,
    /// When this way is taken, in words.
    label: Option<String>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename_all = "lowercase")]
enum NodeWord {
    /// Where the workflow begins.
    Start,
    /// Where it ends.
    End,
    /// Something the assistant does.
    Process,
    /// A fork: the labels of the edges are the conditions.
    Decision,
    /// A tool is called.
    Tool,
    /// Another workflow is entered, and left again.
    Workflow,
    /// Something is said.
    Message,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename_all = "lowercase")]
enum GatingWord {
    /// A tool that the step does not permit is refused.
    Enforce,
    /// It runs, with a warning.
    Advise,
}

/// The name of a tool, or an object with its `name`.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum ToolName {
    Name(String),
    Object { name: String },
}

/// The settings below the line `---` of a prompt: `prompts/*.txt`.
#[derive(JsonSchema)]
#[schemars(title = "Prompt settings", rename_all = "camelCase")]
pub(super) struct PromptConfig {
    /// What people are shown.
    name: Option<String>,
    /// Whether it is the persona of a call that names none.
    default: Option<bool>,
    /// The voice, such as `tiffany`.
    voice_id: Option<String>,
    /// The language, as a BCP 47 tag such as `en-GB`.
    language: Option<String>,
    /// How soon the assistant takes a pause for the end of a turn: HIGH, MEDIUM or LOW.
    endpointing_sensitivity: Option<SensitivityWord>,
    /// The tools the persona limits itself to; all when absent.
    tools: Option<Vec<String>>,
    /// The workflows that are linked to its calls, by id.
    workflows: Option<Vec<String>>,
    /// Whether its calls are recorded; as the server is configured when absent.
    recording: Option<bool>,
    /// Whose words Amazon Transcribe hears as well; as the server is configured when absent.
    transcription: Option<ChannelsWord>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename_all = "lowercase")]
enum ChannelsWord {
    /// Nobody's.
    Off,
    /// The caller's.
    Caller,
    /// The caller's and the assistant's.
    Both,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename_all = "UPPERCASE")]
enum SensitivityWord {
    /// After about 1.5 s.
    High,
    /// After about 1.75 s.
    Medium,
    /// After about 2 s.
    Low,
}

/// A text, or a number taken as one: some editors number the nodes.
struct Id;

impl JsonSchema for Id {
    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number"]})
    }
}

/// A name or a list of names.
struct Names;

impl JsonSchema for Names {
    fn schema_name() -> Cow<'static, str> {
        "Names".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "array"], "items": {"type": "string"}})
    }
}
