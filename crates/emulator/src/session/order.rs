//! What a client may send when: the order rules of `nova-sonic.md` §2.5 with their neighbours
//! (§2.1–§2.7, §4.2), as a machine without clock or I/O.
//!
//! It knows nothing of what the model answers. `service` feeds it every event and acts on what it
//! accepts; a [`Violation`] becomes a `validationException` and the end of the stream.

use std::borrow::Cow;
use std::collections::HashSet;

use super::input::{
    AudioConfiguration, ClientEvent, ContentRole, ContentStart, ContentType, Data, PromptStart,
    SessionStart,
};
use super::violation::Violation;
use crate::config::Generation;

/// How long the service waits for the caller to go on (`nova-sonic.md` §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sensitivity {
    High,
    #[default]
    Medium,
    Low,
}

/// Sizes the service accepts (`nova-sonic.md` §4.2, where the sources disagree).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Bytes of one `textInput`, of any role.
    pub(crate) text_input: usize,
    /// Messages of history.
    pub(crate) history_messages: usize,
    /// Bytes of one message of history.
    pub(crate) history_message: usize,
    /// Bytes of history in all.
    pub(crate) history_total: usize,
}

impl Sizes {
    /// The limits of a generation: those seen on the first, and those the AWS sample keeps to on
    /// the later ones. One `textInput` of about 32 KB was refused.
    pub(crate) const fn of(generation: Generation) -> Self {
        match generation {
            Generation::V1 => Self {
                text_input: 32_000,
                history_messages: 40,
                history_message: 1_024,
                history_total: 40 * 1_024,
            },
            Generation::V2 | Generation::V25 => Self {
                text_input: 32_000,
                history_messages: usize::MAX,
                history_message: 51_200,
                history_total: 204_800,
            },
        }
    }
}

/// What an accepted event means to the model.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Accepted<'a> {
    /// Nothing yet: a block opened, or data went into one.
    Noted,
    /// `sessionStart`.
    SessionStarted(Sensitivity),
    /// `promptStart`.
    PromptStarted(Prompt),
    /// A block of context ended: SYSTEM, or mid-session text without effect.
    ContextEnded {
        /// Bytes of text.
        bytes: usize,
    },
    /// A message of the history ended.
    History {
        /// Whether the caller said it.
        by_caller: bool,
        /// What was said.
        text: String,
    },
    /// The caller's audio begins.
    AudioOpened {
        /// Its rate.
        rate_hz: u32,
    },
    /// A piece of the caller's audio, in base64.
    Audio(Cow<'a, str>),
    /// The caller's audio ends.
    AudioClosed,
    /// An interactive text block ended.
    Text(String),
    /// A tool result ended.
    ToolResult {
        /// Which call it answers.
        id: String,
        /// The result.
        result: serde_json::Value,
    },
    /// `promptEnd`.
    PromptEnded,
    /// A prompt after the prompt: the service closes soon, and says nothing (`nova-sonic.md`
    /// §2.2).
    PromptAfterEnd,
    /// `sessionEnd`.
    SessionEnded,
}

/// What `promptStart` settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// Its name.
    pub(crate) name: String,
    /// Rate of the audio to send.
    pub(crate) rate_hz: u32,
    /// Bytes of tool descriptions and schemas, which count as context.
    pub(crate) tool_bytes: usize,
}

/// Where the stream stands.
///
/// ```text
///       sessionStart    promptStart     promptEnd    sessionEnd
///  New ───────────► Open ─────────► Prompt ───────► Asked ───────► Over
///                     └──────────────── sessionEnd: violation ──────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Open,
    Prompt,
    Asked,
    Over,
}

/// An open content.
#[derive(Debug)]
struct Content {
    name: String,
    kind: Kind,
    /// The text received so far; audio is not kept.
    text: String,
    received: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    System,
    SystemSpeech,
    History {
        by_caller: bool,
    },
    /// Non-interactive text after the conversation began: accepted, without effect (§2.7).
    Ineffective,
    Interactive,
    Audio,
    Tool {
        id: String,
    },
}

impl Kind {
    fn is_text(&self) -> bool {
        !matches!(self, Self::Audio | Self::Tool { .. })
    }
}

/// The rules, and how far one stream has come in them.
#[derive(Debug)]
pub(crate) struct Order {
    generation: Generation,
    sizes: Sizes,
    stage: Stage,
    prompt_name: String,
    open: Vec<Content>,
    has_system: bool,
    history_messages: usize,
    history_bytes: usize,
    had_audio: bool,
    conversing: bool,
    /// Tool calls without a result.
    calls: HashSet<String>,
}

impl Order {
    /// The rules for a model, at the beginning of a stream.
    pub(crate) fn new(generation: Generation) -> Self {
        Self {
            generation,
            sizes: Sizes::of(generation),
            stage: Stage::New,
            prompt_name: String::new(),
            open: Vec::new(),
            has_system: false,
            history_messages: 0,
            history_bytes: 0,
            had_audio: false,
            conversing: false,
            calls: HashSet::new(),
        }
    }

    /// The model called a tool: a result for it is now in order.
    pub(crate) fn tool_called(&mut self, id: &str) {
        self.calls.insert(id.to_owned());
    }

    /// The first turn has begun: from now on non-interactive text is accepted without effect,
    /// and no longer late history.
    pub(crate) fn conversation_began(&mut self) {
        self.conversing = true;
    }

    /// Whether the prompt came with history: then the conversation is not at its beginning.
    pub(crate) fn has_history(&self) -> bool {
        self.history_messages > 0
    }

    /// Takes the next event.
    pub(crate) fn accept<'a>(&mut self, event: ClientEvent<'a>) -> Result<Accepted<'a>, Violation> {
        match event {
            ClientEvent::AudioInput(data) => self.audio(data),
            ClientEvent::TextInput(data) => self.text(&data),
            ClientEvent::ToolResult(data) => self.tool_result(&data),
            ClientEvent::SessionStart(start) => self.session_start(&start),
            ClientEvent::PromptStart(start) => self.prompt_start(start),
            ClientEvent::ContentStart(start) => self.content_start(start),
            ClientEvent::ContentEnd(end) => self.content_end(&end.prompt_name, &end.content_name),
            ClientEvent::PromptEnd(end) => self.prompt_end(&end.prompt_name),
            ClientEvent::SessionEnd(_) => self.session_end(),
        }
    }

    fn session_start(&mut self, start: &SessionStart) -> Result<Accepted<'static>, Violation> {
        let turn_detection = start.turn_detection_configuration.as_ref();
        if self.stage != Stage::New
            || !start.unknown.is_empty()
            || (self.generation == Generation::V1 && turn_detection.is_some())
        {
            return Err(Violation::InvalidRequest);
        }
        if let Some(inference) = &start.inference_configuration {
            let share = |value: Option<f64>| value.is_none_or(|v| (0.0..=1.0).contains(&v));
            let tokens = inference.max_tokens.is_none_or(|tokens| (1..=65_536).contains(&tokens));
            if !tokens || !share(inference.top_p) || !share(inference.temperature) {
                return Err(Violation::InvalidRequest);
            }
        }
        let sensitivity =
            match turn_detection.and_then(|turn| turn.endpointing_sensitivity.as_deref()) {
                None | Some("MEDIUM") => Sensitivity::Medium,
                Some("HIGH") => Sensitivity::High,
                Some("LOW") => Sensitivity::Low,
                Some(_) => return Err(Violation::InvalidRequest),
            };
        self.stage = Stage::Open;
        Ok(Accepted::SessionStarted(sensitivity))
    }

    fn prompt_start(&mut self, start: PromptStart) -> Result<Accepted<'static>, Violation> {
        match self.stage {
            Stage::Open => {}
            Stage::Prompt => return Err(Violation::DuplicatePrompt(start.prompt_name)),
            Stage::Asked => return Ok(Accepted::PromptAfterEnd),
            Stage::New | Stage::Over => return Err(Violation::InvalidRequest),
        }
        let audio = &start.audio_output_configuration;
        if audio.voice_id.as_deref().unwrap_or_default().is_empty() {
            return Err(Violation::EmptyVoice);
        }
        let is = |media: &Option<super::input::Media>, expected: &str| {
            media.as_ref().is_none_or(|media| media.media_type == expected)
        };
        if start.prompt_name.is_empty()
            || !audio.is_supported()
            || !is(&start.text_output_configuration, "text/plain")
            || !is(&start.tool_use_output_configuration, "application/json")
        {
            return Err(Violation::InvalidRequest);
        }
        let rate_hz = audio.sample_rate_hertz;
        let tools = start.tool_configuration.map(|tools| tools.tools).unwrap_or_default();
        let mut tool_bytes = 0;
        for (index, tool) in tools.into_iter().enumerate() {
            let spec = tool.tool_spec;
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if spec.name.is_empty() || !spec.name.chars().all(allowed) {
                return Err(Violation::ToolName { name: spec.name, nth: index + 1 });
            }
            let schema: Result<serde::de::IgnoredAny, _> =
                serde_json::from_str(&spec.input_schema.json);
            if schema.is_err() {
                return Err(Violation::InvalidRequest);
            }
            tool_bytes += spec.name.len() + spec.description.len() + spec.input_schema.json.len();
        }
        self.stage = Stage::Prompt;
        self.prompt_name = start.prompt_name;
        Ok(Accepted::PromptStarted(Prompt { name: self.prompt_name.clone(), rate_hz, tool_bytes }))
    }

    fn content_start(&mut self, start: ContentStart) -> Result<Accepted<'static>, Violation> {
        self.check_prompt(&start.prompt_name)?;
        if start.content_name.is_empty() || self.find(&start.content_name).is_some() {
            return Err(Violation::InvalidRequest);
        }
        if !self.has_system && start.role != ContentRole::System {
            return Err(Violation::FirstContentNotSystem);
        }
        let (kind, accepted) = match start.kind {
            ContentType::Text => (self.text_kind(&start)?, Accepted::Noted),
            ContentType::Audio => {
                let rate_hz = self.audio_rate(&start)?;
                (Kind::Audio, Accepted::AudioOpened { rate_hz })
            }
            ContentType::Tool => (self.tool_kind(&start)?, Accepted::Noted),
        };
        match kind {
            Kind::System => self.has_system = true,
            Kind::History { .. } => self.history_messages += 1,
            Kind::Audio => self.had_audio = true,
            _ => {}
        }
        self.open.push(Content {
            name: start.content_name,
            kind,
            text: String::new(),
            received: false,
        });
        Ok(accepted)
    }

    fn text_kind(&self, start: &ContentStart) -> Result<Kind, Violation> {
        let media = start.text_input_configuration.as_ref();
        if media.is_none_or(|media| media.media_type != "text/plain") {
            return Err(Violation::InvalidRequest);
        }
        match start.role {
            ContentRole::System if self.has_system => Err(Violation::DuplicateSystem),
            // The samples send it both interactive and not.
            ContentRole::System => Ok(Kind::System),
            ContentRole::SystemSpeech if self.generation != Generation::V1 && !self.had_audio => {
                Ok(Kind::SystemSpeech)
            }
            ContentRole::User if start.interactive => Ok(Kind::Interactive),
            ContentRole::User | ContentRole::Assistant if !start.interactive => {
                self.history_kind(start.role)
            }
            _ => Err(Violation::InvalidRequest),
        }
    }

    fn history_kind(&self, role: ContentRole) -> Result<Kind, Violation> {
        if self.had_audio {
            let ineffective = self.conversing && self.generation != Generation::V1;
            return if ineffective {
                Ok(Kind::Ineffective)
            } else {
                Err(Violation::HistoryAfterAudio)
            };
        }
        if self.history_messages == 0 && role == ContentRole::Assistant {
            return Err(Violation::HistoryStartsWithAssistant);
        }
        if self.history_messages >= self.sizes.history_messages {
            return Err(Violation::HistoryTooLong);
        }
        Ok(Kind::History { by_caller: role == ContentRole::User })
    }

    fn audio_rate(&self, start: &ContentStart) -> Result<u32, Violation> {
        let configuration = start.audio_input_configuration.as_ref();
        let rate = configuration
            .filter(|configuration| configuration.is_supported())
            .map(|configuration: &AudioConfiguration| configuration.sample_rate_hertz);
        let second = self.open.iter().any(|content| content.kind == Kind::Audio);
        match rate {
            Some(rate) if start.role == ContentRole::User && !second => {
                self.check_no_open_text()?;
                Ok(rate)
            }
            _ => Err(Violation::InvalidRequest),
        }
    }

    fn tool_kind(&self, start: &ContentStart) -> Result<Kind, Violation> {
        let Some(result) = &start.tool_result_input_configuration else {
            return Err(Violation::InvalidRequest);
        };
        let media = result.text_input_configuration.as_ref();
        if media.is_none_or(|media| media.media_type != "text/plain") {
            return Err(Violation::ToolResultMediaType);
        }
        if start.role != ContentRole::Tool || result.kind != ContentType::Text {
            return Err(Violation::InvalidRequest);
        }
        let id = result.tool_use_id.clone();
        let twice = self.open.iter().any(|content| content.kind == Kind::Tool { id: id.clone() });
        if twice || !self.calls.contains(&id) {
            return Err(Violation::UnknownToolUse(id));
        }
        Ok(Kind::Tool { id })
    }

    fn audio<'a>(&mut self, data: Data<'a>) -> Result<Accepted<'a>, Violation> {
        let at = self.find_for(&data)?;
        if self.open[at].kind != Kind::Audio {
            return Err(Violation::InvalidRequest);
        }
        self.check_no_open_text()?;
        self.open[at].received = true;
        Ok(Accepted::Audio(data.content))
    }

    fn text(&mut self, data: &Data<'_>) -> Result<Accepted<'static>, Violation> {
        let at = self.find_for(data)?;
        let sizes = self.sizes;
        let content = &mut self.open[at];
        if !content.kind.is_text() || data.content.len() > sizes.text_input {
            return Err(Violation::InvalidRequest);
        }
        content.received = true;
        content.text.push_str(&data.content);
        if matches!(content.kind, Kind::History { .. }) {
            let message = content.text.len();
            self.history_bytes += data.content.len();
            if message > sizes.history_message || self.history_bytes > sizes.history_total {
                return Err(Violation::HistoryTooLong);
            }
        }
        Ok(Accepted::Noted)
    }

    fn tool_result(&mut self, data: &Data<'_>) -> Result<Accepted<'static>, Violation> {
        let at = self.find_for(data)?;
        let content = &mut self.open[at];
        if !matches!(content.kind, Kind::Tool { .. }) {
            return Err(Violation::InvalidRequest);
        }
        content.received = true;
        content.text.push_str(&data.content);
        Ok(Accepted::Noted)
    }

    fn content_end(&mut self, prompt: &str, name: &str) -> Result<Accepted<'static>, Violation> {
        self.check_prompt(prompt)?;
        let at = self.find(name).ok_or_else(|| Violation::NoOpenContent(name.to_owned()))?;
        if !self.open[at].received {
            return Err(Violation::EmptyContent(name.to_owned()));
        }
        let content = self.open.remove(at);
        Ok(match content.kind {
            Kind::Audio => Accepted::AudioClosed,
            Kind::Interactive => Accepted::Text(content.text),
            Kind::Tool { id } => {
                let result = serde_json::from_str(&content.text)
                    .map_err(|_| Violation::ToolResultNotJson)?;
                self.calls.remove(&id);
                Accepted::ToolResult { id, result }
            }
            Kind::History { by_caller } => Accepted::History { by_caller, text: content.text },
            Kind::System | Kind::SystemSpeech | Kind::Ineffective => {
                Accepted::ContextEnded { bytes: content.text.len() }
            }
        })
    }

    fn prompt_end(&mut self, name: &str) -> Result<Accepted<'static>, Violation> {
        self.check_prompt(name)?;
        if !self.open.is_empty() {
            return Err(Violation::OpenContents);
        }
        if !self.had_audio {
            return Err(Violation::NoAudioContent(name.to_owned()));
        }
        self.stage = Stage::Asked;
        Ok(Accepted::PromptEnded)
    }

    fn session_end(&mut self) -> Result<Accepted<'static>, Violation> {
        match self.stage {
            Stage::New | Stage::Open => return Err(Violation::NoPrompts),
            // Nothing was captured for a prompt that was left open; its contents decide.
            Stage::Prompt if !self.open.is_empty() => return Err(Violation::OpenContents),
            Stage::Over => return Err(Violation::InvalidRequest),
            Stage::Prompt | Stage::Asked => {}
        }
        self.stage = Stage::Over;
        Ok(Accepted::SessionEnded)
    }

    fn check_prompt(&self, name: &str) -> Result<(), Violation> {
        if self.stage == Stage::Prompt && name == self.prompt_name {
            Ok(())
        } else {
            Err(Violation::NoOpenPrompt(name.to_owned()))
        }
    }

    /// No audio while a text block is open (§2.7): the service may take the text for history.
    fn check_no_open_text(&self) -> Result<(), Violation> {
        if self.open.iter().any(|content| content.kind.is_text()) {
            return Err(Violation::HistoryAfterAudio);
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.open.iter().position(|content| content.name == name)
    }

    fn find_for(&self, data: &Data<'_>) -> Result<usize, Violation> {
        self.check_prompt(&data.prompt_name)?;
        self.find(&data.content_name)
            .ok_or_else(|| Violation::NoOpenContent(data.content_name.clone().into_owned()))
    }
}

#[cfg(test)]
mod tests;
