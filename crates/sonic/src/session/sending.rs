//! The half of the session that speaks to the service. Everything passes the gate of
//! [`crate::order`] on its way into the queue.

use serde_json::Value;
use voice_call::{AudioChunk, SampleRate};

use super::{OpenAudio, Queued, Session};
use crate::{
    HistoryMessage, SessionEvent, SessionSettings, Speaker, Transmit,
    history::{self, MAX_PIECE_BYTES},
    input::{
        AudioEncoder, AudioFormat, AudioOutputConfiguration, ContentEnd, ContentStart,
        InferenceConfiguration, InputEvent, InputRole, InputSchema, MediaConfiguration, Payload,
        PromptEnd, PromptStart, SessionEnd, SessionStart, Tool, ToolConfiguration,
        ToolSpecification, TurnDetectionConfiguration,
    },
    order::OrderViolation,
    tool,
};

/// The silence before an interactive text. The service demands 68 ms of audio; 100 ms is what
/// AWS recommends (`nova-sonic.md` §2.7). It is sent before every text, also when the caller's
/// audio flows: a fresh one is wanted each time, and one rule is better than a guess.
const SILENCE_BEFORE_TEXT_MS: u32 = 100;

/// The longest audio in one event; 10 to 100 ms were seen to work (§4.2).
const MAX_AUDIO_MS: u32 = 100;

impl Session {
    /// What may be sent before the service answers.
    pub(super) fn send_opening(&mut self, settings: &SessionSettings) {
        let inference = settings.inference;
        let turn_detection = settings.sensitivity.filter(|_| settings.model.has_turn_detection());
        self.send(&InputEvent::SessionStart(SessionStart {
            inference_configuration: InferenceConfiguration {
                max_tokens: inference.max_tokens,
                top_p: inference.top_p,
                temperature: inference.temperature,
            },
            turn_detection_configuration: turn_detection.map(|sensitivity| {
                TurnDetectionConfiguration { endpointing_sensitivity: sensitivity.as_str() }
            }),
        }));

        let prompt = self.names.prompt_name.clone();
        let tools = tools_of(settings);
        self.send(&InputEvent::PromptStart(PromptStart {
            prompt_name: prompt.into(),
            text_output_configuration: MediaConfiguration::TEXT,
            audio_output_configuration: AudioOutputConfiguration {
                format: AudioFormat::at(settings.output_rate),
                voice_id: settings.voice_id.as_str().into(),
            },
            tool_use_output_configuration: tools.as_ref().map(|_| MediaConfiguration::JSON),
            tool_configuration: tools,
        }));

        self.send_text_block(InputRole::System, false, &settings.system_prompt);
    }

    /// What was said before this stream.
    pub(super) fn send_history(&mut self, history: &[HistoryMessage]) {
        for message in history::trim(history, self.history_limits) {
            let role = match message.role {
                Speaker::User => InputRole::User,
                Speaker::Assistant => InputRole::Assistant,
            };
            self.send_text_block(role, false, &message.text);
        }
    }

    pub(super) fn open_audio(&mut self) {
        let name = self.names.next_content();
        let prompt = self.names.prompt_name.clone();
        let rate = self.input_rate;
        self.send(&InputEvent::ContentStart(ContentStart::audio(&prompt, &name, rate)));
        let encoder = AudioEncoder::new(&prompt, &name);
        self.audio = Some(OpenAudio { name, encoder, bytes: 0 });
    }

    pub(super) fn send_greeting(&mut self) {
        if let Some(text) = self.greeting.take().filter(|text| !text.trim().is_empty()) {
            self.send_interactive_text(&text, true);
        }
    }

    /// Takes the greeting's text out of the queue, if all of it is still there.
    pub(super) fn unqueue_greeting(&mut self) -> bool {
        // The first of its events is its `contentStart`. Without that the block has begun, and
        // must be completed.
        let whole = self.queue.iter().find(|queued| queued.greeting).is_some_and(|first| {
            matches!(&first.transmit, Transmit::Event(json)
                if json.starts_with(br#"{"event":{"contentStart""#))
        });
        if whole {
            // The gate has admitted the block; to the service it never existed, and a content
            // that was opened and closed leaves no trace in the rules.
            self.queue.retain(|queued| !queued.greeting);
        }
        whole
    }

    pub(super) fn send_interactive_text(&mut self, text: &str, greeting: bool) {
        self.send_silence(SILENCE_BEFORE_TEXT_MS);
        let before = self.queue.len();
        self.send_text_block(InputRole::User, true, text);
        self.queue.iter_mut().skip(before).for_each(|queued| queued.greeting = greeting);
        self.echoes.push(text.trim().to_owned());
        self.conversation.text_sent();
        self.transcript.note_question();
    }

    pub(super) fn send_tool_result(&mut self, tool_use_id: &str, result: &Value) {
        let (prompt, name) = (self.names.prompt_name.clone(), self.names.next_content());
        self.send(&InputEvent::ContentStart(ContentStart::tool_result(
            &prompt,
            &name,
            tool_use_id,
        )));
        self.send(&InputEvent::ToolResult(Payload {
            prompt_name: prompt.as_str().into(),
            content_name: name.as_str().into(),
            content: tool::encode_result(result).into(),
        }));
        self.send(&InputEvent::ContentEnd(ContentEnd {
            prompt_name: prompt.as_str().into(),
            content_name: name.as_str().into(),
        }));
        self.conversation.tool_progressed();
    }

    /// Everything open is closed, from the inside out.
    pub(super) fn send_end(&mut self) {
        // "Cannot end content as no content data was received."
        if self.audio.as_ref().is_some_and(|audio| audio.bytes == 0) {
            self.send_silence(SILENCE_BEFORE_TEXT_MS);
        }
        let prompt = self.names.prompt_name.clone();
        if let Some(audio) = &self.audio {
            let name = audio.name.clone();
            self.send(&InputEvent::ContentEnd(ContentEnd {
                prompt_name: prompt.as_str().into(),
                content_name: name.into(),
            }));
        }
        self.send(&InputEvent::PromptEnd(PromptEnd { prompt_name: prompt.into() }));
        self.send(&InputEvent::SessionEnd(SessionEnd {}));
        self.close_input();
    }

    pub(super) fn close_input(&mut self) {
        self.queue.push_back(Queued { transmit: Transmit::Close, greeting: false });
    }

    pub(super) fn send_audio(&mut self, chunk: &AudioChunk) {
        let Some(audio) = &mut self.audio else { return };
        for pcm in chunk.bytes().chunks(self.input_rate.bytes_in_ms(MAX_AUDIO_MS)) {
            match self.order.audio(&self.names.prompt_name, &audio.name) {
                Ok(()) => {
                    audio.bytes += pcm.len() as u64;
                    let transmit = Transmit::Event(audio.encoder.encode(pcm));
                    self.queue.push_back(Queued { transmit, greeting: false });
                }
                Err(violation) => self.events.push_back(withheld(&violation)),
            }
        }
    }

    fn send_silence(&mut self, ms: u32) {
        let rate: SampleRate = self.input_rate;
        self.send_audio(&AudioChunk::silence(rate, ms));
    }

    /// A TEXT content with all of its text. Nothing comes between its events, no audio either.
    fn send_text_block(&mut self, role: InputRole, interactive: bool, text: &str) {
        let (prompt, name) = (self.names.prompt_name.clone(), self.names.next_content());
        let start = ContentStart::text(&prompt, &name, role, interactive);
        self.send(&InputEvent::ContentStart(start));
        for piece in history::pieces(text, MAX_PIECE_BYTES) {
            self.send(&InputEvent::TextInput(Payload {
                prompt_name: prompt.as_str().into(),
                content_name: name.as_str().into(),
                content: piece.into(),
            }));
        }
        self.send(&InputEvent::ContentEnd(ContentEnd {
            prompt_name: prompt.as_str().into(),
            content_name: name.as_str().into(),
        }));
    }

    fn send(&mut self, event: &InputEvent<'_>) {
        match self.order.admit(event) {
            Ok(()) => {
                let transmit = Transmit::Event(event.to_json());
                self.queue.push_back(Queued { transmit, greeting: false });
            }
            // A mistake of ours. One event less is better than a dead stream.
            Err(violation) => self.events.push_back(withheld(&violation)),
        }
    }
}

fn withheld(violation: &OrderViolation) -> SessionEvent {
    SessionEvent::Malformed { reason: format!("an event of our own was withheld: {violation}") }
}

fn tools_of(settings: &SessionSettings) -> Option<ToolConfiguration<'_>> {
    let tools: Vec<_> = settings
        .tools
        .iter()
        .map(|tool| Tool {
            tool_spec: ToolSpecification {
                name: tool.name.as_str().into(),
                description: tool.description.as_str().into(),
                input_schema: InputSchema { json: tool.input_schema.to_string() },
            },
        })
        .collect();
    (!tools.is_empty()).then_some(ToolConfiguration { tools, tool_choice: None })
}
