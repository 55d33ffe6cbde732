//! What the service says when a client breaks a rule, word for word.
//!
//! Source: `nova-sonic.md` §2.2–§2.6 and §4.3. Where the service's wording was never captured in
//! full, or not at all, the variant says so; clients must not depend on those words.

/// A broken rule. Its `Display` is the text of the `validationException`, without the
/// `RequestId=` prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    /// No JSON, an unknown event, a missing member or one of the wrong type.
    #[error("Unable to parse input chunk. Please check input format contains correct format.")]
    Unparsable,
    /// Well-formed, but a member or a value that is not allowed here; also events out of order
    /// for which no text of its own was captured.
    #[error("Invalid input request, please fix your input and try again.")]
    InvalidRequest,
    /// The first content of a prompt is not the SYSTEM block.
    #[error("First content must have SYSTEM role")]
    FirstContentNotSystem,
    /// A second SYSTEM block.
    #[error("Duplicate SYSTEM content. SYSTEM content can only be provided once per prompt.")]
    DuplicateSystem,
    /// A second `promptStart` while the first prompt is open.
    #[error("Duplicate prompt name: {0}")]
    DuplicatePrompt(String),
    /// Data or an end for a content that is not open.
    #[error("No open content found for content name: {0}")]
    NoOpenContent(String),
    /// An event names a prompt that is not open. Only the first four words were captured.
    #[error("No open prompt found for prompt name: {0}")]
    NoOpenPrompt(String),
    /// A content ends before any data.
    #[error("Cannot end content [{0}] as no content data was received")]
    EmptyContent(String),
    /// The prompt ends before its contents.
    #[error("All contents must be closed before ending prompt")]
    OpenContents,
    /// A prompt without audio. The beginning of the text was not captured.
    #[error("Prompt [{0}] must have at least one audio content")]
    NoAudioContent(String),
    /// The session ends without a prompt.
    #[error("No prompts were received in the sequence")]
    NoPrompts,
    /// Conversation history beyond the limits.
    #[error("Chat history is over max limit. Trim chat history and try again.")]
    HistoryTooLong,
    /// The history begins with the assistant.
    #[error("First message in chat history should not be Assistant.")]
    HistoryStartsWithAssistant,
    /// History after audio began, or audio inside an open text block.
    #[error("Chat history should be sent completely before streaming audio.")]
    HistoryAfterAudio,
    /// A tool result that is not JSON.
    #[error("Tool Response parsing error")]
    ToolResultNotJson,
    /// A tool result of another media type than `text/plain`.
    #[error("Tool result media type must be one of: [text/plain]")]
    ToolResultMediaType,
    /// A tool result for a call that was not made or already has its result. The service refuses
    /// it with a `validationException` whose words were not captured; these are ours.
    #[error("No open tool use found for toolUseId: {0}")]
    UnknownToolUse(String),
    /// A tool name outside the pattern, which the service quotes; the words around it are those
    /// of the AWS front ends in general.
    #[error(
        "1 validation error detected: Value '{name}' at 'toolConfiguration.tools.{nth}.member.\
         toolSpec.name' failed to satisfy constraint: Member must satisfy regular expression \
         pattern: ^[a-zA-Z0-9_-]+$"
    )]
    ToolName {
        /// The refused name.
        name: String,
        /// Its place in the list, from 1.
        nth: usize,
    },
    /// No voice, or an empty one.
    #[error("Received invalid voiceId: value must not be empty")]
    EmptyVoice,
}
