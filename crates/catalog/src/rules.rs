//! What a catalog has to keep to besides its formats: sizes, and the voices there are.
//!
//! The numbers are the operator's to change; the defaults stand here with their reasons. Checked
//! by `snapshot/budget.rs` and `snapshot/references.rs`.

/// What the files are checked against. The default checks sizes and no voices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// The sizes.
    pub limits: Limits,
    /// The voices of the configured model. Empty: voices are not checked.
    pub voices: Vec<String>,
    /// Voices of other models: naming one of these is a warning, naming any other an error.
    pub other_voices: Vec<String>,
}

/// How large the parts of a call's opening may be, in bytes of UTF-8 unless said otherwise.
///
/// Nova Sonic documents no limits of the system prompt and of the tools (`nova-sonic.md` §4.2);
/// it says that the use of tools gets worse from about 50,000 tokens of context on. A token is
/// about four bytes of English. Both parts are sent, and paid for, with every turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Letters of a tool's name. 64 is what `ToolSpecification` of the Bedrock API allows.
    pub tool_name: usize,
    /// Description, instruction and schema of one tool.
    pub tool: usize,
    /// How many tools one call offers.
    pub tools: usize,
    /// All tools of one call: half of the context that the model handles well.
    pub tools_total: usize,
    /// The whole system prompt of one call: persona, speech, guardrails and workflows.
    pub system_prompt: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tool_name: 64,
            tool: 16 * 1024,
            tools: 128,
            tools_total: 100 * 1024,
            system_prompt: 64 * 1024,
        }
    }
}
