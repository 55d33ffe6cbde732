//! The order rules for what we send (`nova-sonic.md` §2.5): a gate that every event passes.
//!
//! A violation ends the stream at the service, and the call with it, so it must not leave this
//! crate. The session is written so that the gate never closes; if a mistake of ours made it
//! close, one event is withheld and reported instead of a call lost. The rules are those of the
//! service; the texts of the violations are its texts (§4.3) where they are known.
//!
//! Not here: what the events look like ([`crate::input`]), and when they are due
//! ([`crate::session`]).

use crate::input::{ContentKind, ContentStart, InputEvent, InputRole};

/// How far the input has come.
///
/// ```text
///   Fresh --sessionStart--> Started --promptStart--> Prompted --promptEnd--> PromptOver
///                              |                                                 |
///                              |                                             sessionEnd
///                              |                                                 v
///                              +------ (sessionEnd: no prompts, refused)        Over
/// ```
/// Within `Prompted`: SYSTEM text, then history, then the audio content, which stays open while
/// interactive text and tool results come and go beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Fresh,
    Started,
    Prompted,
    PromptOver,
    Over,
}

/// Why an event must not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderViolation {
    /// `sessionStart` or `promptStart` twice, or anything outside of its stage.
    #[error("{0} is out of place")]
    OutOfPlace(&'static str),
    /// Another prompt than the open one.
    #[error("No open prompt found for prompt name: {0}")]
    NoOpenPrompt(String),
    /// The SYSTEM text has to come first.
    #[error("First content must have SYSTEM role")]
    SystemNotFirst,
    /// There is one SYSTEM text.
    #[error("Duplicate SYSTEM content. SYSTEM content can only be provided once per prompt.")]
    DuplicateSystem,
    /// History has to begin with the user.
    #[error("First message in chat history should not be Assistant.")]
    AssistantFirst,
    /// History, or audio within a text block, after audio has begun.
    #[error("Chat history should be sent completely before streaming audio.")]
    HistoryAfterAudio,
    /// Interactive text or a tool result before audio has begun.
    #[error("interactive content needs an open audio content")]
    NoAudioContent,
    /// Two audio contents, or a name used twice.
    #[error("content {0} is opened a second time")]
    DuplicateContent(String),
    /// Data for, or the end of, a content that is not open, or is of another kind.
    #[error("No open content found for content name: {0}")]
    NoOpenContent(String),
    /// A content must not end empty.
    #[error("Cannot end content [{0}] as no content data was received")]
    NoContentData(String),
    /// A prompt must not end with open contents.
    #[error("All contents must be closed before ending prompt")]
    OpenContents,
    /// A prompt must have had audio.
    #[error("a prompt must have at least one audio content")]
    PromptWithoutAudio,
    /// A session must have had a prompt.
    #[error("No prompts were received in the sequence")]
    NoPrompt,
}

#[derive(Debug)]
struct OpenContent {
    name: String,
    kind: ContentKind,
    has_data: bool,
}

/// The gate. Feed it every event in the order in which they are sent.
#[derive(Debug)]
pub struct Order {
    stage: Stage,
    prompt: String,
    open: Vec<OpenContent>,
    had_system: bool,
    had_history: bool,
    had_audio: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            stage: Stage::Fresh,
            prompt: String::new(),
            open: Vec::new(),
            had_system: false,
            had_history: false,
            had_audio: false,
        }
    }
}

impl Order {
    /// Whether `event` may be sent now. If so, it counts as sent; if not, nothing has changed.
    pub fn admit(&mut self, event: &InputEvent<'_>) -> Result<(), OrderViolation> {
        match event {
            InputEvent::SessionStart(_) => self.step("sessionStart", Stage::Fresh, Stage::Started),
            InputEvent::PromptStart(start) => {
                self.step("promptStart", Stage::Started, Stage::Prompted)?;
                start.prompt_name.as_ref().clone_into(&mut self.prompt);
                Ok(())
            }
            InputEvent::ContentStart(start) => self.open(start),
            InputEvent::TextInput(p) => {
                self.data(&p.prompt_name, &p.content_name, ContentKind::Text)
            }
            InputEvent::AudioInput(p) => self.audio(&p.prompt_name, &p.content_name),
            InputEvent::ToolResult(p) => {
                self.data(&p.prompt_name, &p.content_name, ContentKind::Tool)
            }
            InputEvent::ContentEnd(end) => self.close(&end.prompt_name, &end.content_name),
            InputEvent::PromptEnd(end) => {
                self.in_prompt("promptEnd", &end.prompt_name)?;
                if !self.open.is_empty() {
                    return Err(OrderViolation::OpenContents);
                }
                if !self.had_audio {
                    return Err(OrderViolation::PromptWithoutAudio);
                }
                self.stage = Stage::PromptOver;
                Ok(())
            }
            InputEvent::SessionEnd(_) if self.stage == Stage::Started => {
                Err(OrderViolation::NoPrompt)
            }
            InputEvent::SessionEnd(_) => self.step("sessionEnd", Stage::PromptOver, Stage::Over),
        }
    }

    /// The same for an `audioInput` whose payload is still raw samples.
    pub fn audio(&mut self, prompt: &str, content: &str) -> Result<(), OrderViolation> {
        if self.open.iter().any(|open| open.kind == ContentKind::Text) {
            return Err(OrderViolation::HistoryAfterAudio);
        }
        self.data(prompt, content, ContentKind::Audio)
    }

    fn step(&mut self, what: &'static str, from: Stage, to: Stage) -> Result<(), OrderViolation> {
        if self.stage != from {
            return Err(OrderViolation::OutOfPlace(what));
        }
        self.stage = to;
        Ok(())
    }

    fn in_prompt(&self, what: &'static str, prompt: &str) -> Result<(), OrderViolation> {
        if self.stage != Stage::Prompted {
            return Err(OrderViolation::OutOfPlace(what));
        }
        if self.prompt != prompt {
            return Err(OrderViolation::NoOpenPrompt(prompt.to_owned()));
        }
        Ok(())
    }

    fn open(&mut self, start: &ContentStart<'_>) -> Result<(), OrderViolation> {
        self.in_prompt("contentStart", &start.prompt_name)?;
        let name = start.content_name.as_ref();
        let audio_is_open = self.open.iter().any(|open| open.kind == ContentKind::Audio);
        if self.open.iter().any(|open| open.name == name) {
            return Err(OrderViolation::DuplicateContent(name.to_owned()));
        }
        // Only the audio content has others beside it, one at a time.
        if self.open.iter().any(|open| open.kind != ContentKind::Audio) {
            return Err(OrderViolation::OutOfPlace("contentStart"));
        }
        let system = start.kind == ContentKind::Text && start.role == InputRole::System;
        match (start.kind, system, start.interactive) {
            (_, true, _) if self.had_system => return Err(OrderViolation::DuplicateSystem),
            (_, true, true) => return Err(OrderViolation::OutOfPlace("interactive SYSTEM text")),
            (_, false, _) if !self.had_system => return Err(OrderViolation::SystemNotFirst),
            (ContentKind::Audio, ..) if self.had_audio => {
                return Err(OrderViolation::DuplicateContent(name.to_owned()));
            }
            (ContentKind::Tool, ..) | (ContentKind::Text, false, true) if !audio_is_open => {
                return Err(OrderViolation::NoAudioContent);
            }
            (ContentKind::Text, _, false) if self.had_audio => {
                return Err(OrderViolation::HistoryAfterAudio);
            }
            (ContentKind::Text, false, false)
                if start.role == InputRole::Assistant && !self.had_history =>
            {
                return Err(OrderViolation::AssistantFirst);
            }
            _ => {}
        }
        self.had_system |= system;
        self.had_audio |= start.kind == ContentKind::Audio;
        self.had_history |= start.kind == ContentKind::Text && start.role == InputRole::User;
        self.open.push(OpenContent { name: name.to_owned(), kind: start.kind, has_data: false });
        Ok(())
    }

    fn data(&mut self, prompt: &str, name: &str, kind: ContentKind) -> Result<(), OrderViolation> {
        self.in_prompt("content data", prompt)?;
        match self.open.iter_mut().find(|open| open.name == name && open.kind == kind) {
            Some(open) => {
                open.has_data = true;
                Ok(())
            }
            None => Err(OrderViolation::NoOpenContent(name.to_owned())),
        }
    }

    fn close(&mut self, prompt: &str, name: &str) -> Result<(), OrderViolation> {
        self.in_prompt("contentEnd", prompt)?;
        let Some(at) = self.open.iter().position(|open| open.name == name) else {
            return Err(OrderViolation::NoOpenContent(name.to_owned()));
        };
        if !self.open[at].has_data {
            return Err(OrderViolation::NoContentData(name.to_owned()));
        }
        self.open.remove(at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use voice_call::SampleRate;

    use super::*;
    use crate::input::*;

    fn prompted() -> Order {
        let mut order = Order::default();
        let start = InputEvent::SessionStart(SessionStart {
            inference_configuration: InferenceConfiguration {
                max_tokens: 1,
                top_p: 0.0,
                temperature: 0.0,
            },
            turn_detection_configuration: None,
        });
        order.admit(&start).unwrap();
        let prompt = InputEvent::PromptStart(PromptStart {
            prompt_name: "p".into(),
            text_output_configuration: MediaConfiguration::TEXT,
            audio_output_configuration: AudioOutputConfiguration {
                format: AudioFormat::at(SampleRate::Hz8000),
                voice_id: "amy".into(),
            },
            tool_use_output_configuration: None,
            tool_configuration: None,
        });
        order.admit(&prompt).unwrap();
        assert_eq!(order.admit(&prompt), Err(OrderViolation::OutOfPlace("promptStart")));
        order
    }

    fn text(name: &str, role: InputRole, interactive: bool) -> InputEvent<'_> {
        InputEvent::ContentStart(ContentStart::text("p", name, role, interactive))
    }

    fn audio(name: &str) -> InputEvent<'_> {
        InputEvent::ContentStart(ContentStart::audio("p", name, SampleRate::Hz8000))
    }

    fn payload(name: &str) -> Payload<'_> {
        Payload { prompt_name: "p".into(), content_name: name.into(), content: "x".into() }
    }

    fn end(name: &str) -> InputEvent<'_> {
        InputEvent::ContentEnd(ContentEnd { prompt_name: "p".into(), content_name: name.into() })
    }

    fn whole_text(order: &mut Order, name: &str, role: InputRole) -> Result<(), OrderViolation> {
        order.admit(&text(name, role, false))?;
        order.admit(&InputEvent::TextInput(payload(name)))?;
        order.admit(&end(name))
    }

    const PROMPT_END: InputEvent<'static> =
        InputEvent::PromptEnd(PromptEnd { prompt_name: std::borrow::Cow::Borrowed("p") });

    #[test]
    fn the_documented_order_is_admitted() {
        let mut order = prompted();
        whole_text(&mut order, "s", InputRole::System).unwrap();
        whole_text(&mut order, "u", InputRole::User).unwrap();
        whole_text(&mut order, "b", InputRole::Assistant).unwrap();
        order.admit(&audio("a")).unwrap();
        order.admit(&InputEvent::AudioInput(payload("a"))).unwrap();
        order.admit(&text("t", InputRole::User, true)).unwrap();
        order.admit(&InputEvent::TextInput(payload("t"))).unwrap();
        order.admit(&end("t")).unwrap();
        order.admit(&end("a")).unwrap();
        order.admit(&PROMPT_END).unwrap();
        order.admit(&InputEvent::SessionEnd(SessionEnd {})).unwrap();
    }

    #[test]
    fn the_instruction_comes_first_and_once() {
        let mut order = prompted();
        let user = whole_text(&mut order, "u", InputRole::User);
        assert_eq!(user, Err(OrderViolation::SystemNotFirst));
        assert_eq!(order.admit(&audio("a")), Err(OrderViolation::SystemNotFirst));
        whole_text(&mut order, "s", InputRole::System).unwrap();
        let again = whole_text(&mut order, "s2", InputRole::System);
        assert_eq!(again, Err(OrderViolation::DuplicateSystem));
        let assistant = whole_text(&mut order, "b", InputRole::Assistant);
        assert_eq!(assistant, Err(OrderViolation::AssistantFirst));
    }

    #[test]
    fn history_is_complete_before_audio_and_audio_keeps_out_of_text() {
        let mut order = prompted();
        whole_text(&mut order, "s", InputRole::System).unwrap();
        let early = order.admit(&text("t", InputRole::User, true));
        assert_eq!(early, Err(OrderViolation::NoAudioContent));
        order.admit(&audio("a")).unwrap();
        let late = whole_text(&mut order, "u", InputRole::User);
        assert_eq!(late, Err(OrderViolation::HistoryAfterAudio));
        order.admit(&text("t", InputRole::User, true)).unwrap();
        assert_eq!(order.audio("p", "a"), Err(OrderViolation::HistoryAfterAudio));
    }

    #[test]
    fn nothing_ends_empty_or_open() {
        let mut order = prompted();
        whole_text(&mut order, "s", InputRole::System).unwrap();
        assert_eq!(order.admit(&PROMPT_END), Err(OrderViolation::PromptWithoutAudio));
        order.admit(&audio("a")).unwrap();
        assert_eq!(order.admit(&PROMPT_END), Err(OrderViolation::OpenContents));
        assert_eq!(order.admit(&end("a")), Err(OrderViolation::NoContentData("a".into())));
        assert_eq!(order.admit(&end("x")), Err(OrderViolation::NoOpenContent("x".into())));
        let session_end = InputEvent::SessionEnd(SessionEnd {});
        assert_eq!(order.admit(&session_end), Err(OrderViolation::OutOfPlace("sessionEnd")));
    }
}
