//! The session machine: one conversation on one stream (`nova-sonic.md` §2, §3).
//!
//! It turns intentions (audio, text, tool results, the end) into events that the service accepts
//! in that order, and the service's events into what happened in the conversation. It has no
//! clock, no randomness after [`Session::new`], and does no I/O: whoever drives it calls a method
//! and then drains [`Session::poll_transmit`] and [`Session::poll_event`].
//!
//! Not here: opening the connection, its deadlines, renewal, playback.

mod contents;
mod conversation;
mod receiving;
mod sending;

use std::collections::VecDeque;

use uuid::Uuid;
use voice_call::{AudioChunk, SampleRate};

use crate::{
    HistoryMessage, PushRefused, SessionEvent, SessionSettings, Transmit, history::HistoryLimits,
    input::AudioEncoder, model::ModelFamily, order::Order, transcript::Transcript,
    usage::TokenCounts,
};
use contents::Contents;
use conversation::Conversation;

pub use conversation::Turn;

/// Where the session stands.
///
/// ```text
///              stream_opened             finish               completionEnd
///   Opening ------------------> Live ------------> Finishing ---------------> Ended
///      |  \                      ^                                            ^
///      |   \ stream_opened       | begin                                      |
///      |    +------------> Standby -------------------- finish -------------->+
///      +---------------------------------------------- finish --------------->+
/// ```
/// A session made by [`Session::new`] has begun from the start and never stands by; one made by
/// [`Session::standby`] does so until [`Session::begin`], if the service answers before that.
///
/// The service may never send the `completionEnd` (§3.3), and a stream may break at any moment:
/// the end of the connection ends a session in every phase, and whoever sees it drops the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The opening is queued or on its way; the service has not answered.
    Opening,
    /// The service has answered; neither history nor audio was sent.
    Standby,
    /// The audio content is open.
    Live,
    /// The end is queued; the last texts and counts may still come.
    Finishing,
    /// Nothing more is expected.
    Ended,
}

/// What only tests and unusual operators change.
#[derive(Debug, Clone, Copy)]
pub struct SessionOptions {
    /// The prompt's name; the names of contents are derived from it. Random by default.
    pub prompt_name: Uuid,
    /// How much history is told.
    pub history: HistoryLimits,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { prompt_name: Uuid::new_v4(), history: HistoryLimits::default() }
    }
}

/// A conversation with Nova Sonic on one stream.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    /// Whether history was told, so that audio may follow.
    begun: bool,
    history_limits: HistoryLimits,
    family: ModelFamily,
    input_rate: SampleRate,
    output_rate: SampleRate,

    // Towards the service.
    names: Names,
    order: Order,
    queue: VecDeque<Queued>,
    greeting: Option<String>,
    audio: Option<OpenAudio>,

    // From the service.
    events: VecDeque<SessionEvent>,
    contents: Contents,
    conversation: Conversation,
    transcript: Transcript,
    tool_calls: Vec<String>,
    /// Typed texts that the service may tell back as the user's.
    echoes: Vec<String>,
    tokens: TokenCounts,
}

#[derive(Debug)]
struct Queued {
    transmit: Transmit,
    /// Part of the greeting's text block, which can be taken back while none of it was sent.
    greeting: bool,
}

/// The audio content of the call.
#[derive(Debug)]
struct OpenAudio {
    name: String,
    encoder: AudioEncoder,
    /// Bytes of PCM sent into it.
    bytes: u64,
}

/// UUIDs, one after the other, that no two sessions share.
#[derive(Debug)]
struct Names {
    prompt: Uuid,
    prompt_name: String,
    made: u128,
}

impl Names {
    fn new(prompt: Uuid) -> Self {
        Self { prompt, prompt_name: prompt.to_string(), made: 0 }
    }

    fn next_content(&mut self) -> String {
        self.made += 1;
        Uuid::from_u128(self.prompt.as_u128() ^ self.made).to_string()
    }
}

impl Session {
    /// Makes a session and queues its opening: session, prompt, instruction, history.
    ///
    /// All of it may be sent before the service answers, and must be (§1.7). Settings that the
    /// service would refuse are put right (see [`SessionSettings::sanitise`]).
    pub fn new(settings: SessionSettings) -> Self {
        Self::with_options(settings, SessionOptions::default())
    }

    /// The same with a given name and other limits.
    pub fn with_options(settings: SessionSettings, options: SessionOptions) -> Self {
        let history = settings.history.clone();
        let mut session = Self::standby_with_options(settings, options);
        session.begin(&history);
        session
    }

    /// Makes a session that is opened ahead of its time, to take a conversation over from another
    /// one: its opening is queued as far as it does not depend on what is still being said. The
    /// history of the settings is not told; [`Session::begin`] brings the one of its moment.
    pub fn standby(settings: SessionSettings) -> Self {
        Self::standby_with_options(settings, SessionOptions::default())
    }

    fn standby_with_options(mut settings: SessionSettings, options: SessionOptions) -> Self {
        settings.sanitise();
        let mut session = Self {
            phase: Phase::Opening,
            begun: false,
            history_limits: options.history,
            family: settings.model,
            input_rate: settings.input_rate,
            output_rate: settings.output_rate,
            names: Names::new(options.prompt_name),
            order: Order::default(),
            queue: VecDeque::new(),
            greeting: settings.greeting.take().filter(|_| settings.model.has_text_trigger()),
            audio: None,
            events: VecDeque::new(),
            contents: Contents::default(),
            conversation: Conversation::default(),
            transcript: Transcript::default(),
            tool_calls: Vec::new(),
            echoes: Vec::new(),
            tokens: TokenCounts::default(),
        };
        session.send_opening(&settings);
        session
    }

    /// The response head has arrived: opens the audio content and sends the greeting, if any. A
    /// session on standby waits for [`Session::begin`].
    ///
    /// Audio before the response head can be refused as misplaced history (§1.7). Calling it
    /// again, or after [`Session::finish`], does nothing.
    pub fn stream_opened(&mut self) {
        if self.phase == Phase::Opening {
            self.phase = Phase::Standby;
            self.go_live();
        }
    }

    /// Takes the conversation over: tells what was said so far, then opens the audio content, as
    /// soon as the service has answered. Only the first call has an effect.
    pub fn begin(&mut self, history: &[HistoryMessage]) {
        let waits = matches!(self.phase, Phase::Opening | Phase::Standby);
        if waits && !std::mem::replace(&mut self.begun, true) {
            self.send_history(history);
            self.go_live();
        }
    }

    fn go_live(&mut self) {
        if self.begun && self.phase == Phase::Standby {
            self.phase = Phase::Live;
            self.open_audio();
            self.send_greeting();
        }
    }

    /// Sends audio of the caller.
    ///
    /// The service wants it in real time and without a pause: feed silence when there is nothing
    /// else (§4.1). Chunks of 32 ms are advised; one of more than 100 ms is sent in parts.
    pub fn push_audio(&mut self, chunk: &AudioChunk) -> Result<(), PushRefused> {
        self.check_live()?;
        if chunk.rate() != self.input_rate {
            return Err(PushRefused::WrongRate { expected: self.input_rate, actual: chunk.rate() });
        }
        self.send_audio(chunk);
        Ok(())
    }

    /// Sends text as the user's; the assistant answers to it.
    ///
    /// The silence that the service demands before it (§2.7) is sent along. If the service tells
    /// the text back, that is not shown as a line: whoever typed it knows it.
    pub fn push_text(&mut self, text: &str) -> Result<(), PushRefused> {
        self.check_live()?;
        if !self.family.has_text_trigger() {
            return Err(PushRefused::Unsupported);
        }
        if text.trim().is_empty() {
            return Err(PushRefused::Empty);
        }
        self.send_interactive_text(text, false);
        Ok(())
    }

    /// Answers a tool call. Every call wants exactly one result, in any order (§2.9).
    ///
    /// What is not an object is wrapped as `{"result": …}`.
    pub fn push_tool_result(
        &mut self,
        tool_use_id: &str,
        result: &serde_json::Value,
    ) -> Result<(), PushRefused> {
        self.check_live()?;
        let Some(at) = self.tool_calls.iter().position(|open| open == tool_use_id) else {
            return Err(PushRefused::UnknownToolUse(tool_use_id.to_owned()));
        };
        self.tool_calls.remove(at);
        self.send_tool_result(tool_use_id, result);
        Ok(())
    }

    /// Drops the greeting, if none of its text was handed out by [`Session::poll_transmit`] yet:
    /// the caller has spoken first.
    pub fn cancel_greeting(&mut self) {
        let unsent = self.greeting.take().is_some() || self.unqueue_greeting();
        if unsent && self.phase == Phase::Live {
            self.conversation.withdraw_question();
            self.echoes.pop();
        }
    }

    /// Ends the session in order: audio content, prompt, session, then [`Transmit::Close`].
    ///
    /// Before the audio content was opened the service accepts no orderly end (a prompt must have
    /// had audio, §2.5), so what was not sent yet is dropped and the input just closes. Calling it
    /// again does nothing.
    pub fn finish(&mut self) {
        match self.phase {
            Phase::Opening | Phase::Standby => {
                self.greeting = None;
                self.queue.clear();
                self.close_input();
                self.phase = Phase::Ended;
            }
            Phase::Live => {
                self.send_end();
                self.phase = Phase::Finishing;
            }
            Phase::Finishing | Phase::Ended => {}
        }
    }

    /// The engine has decided that the user has taken the turn: as if the service had said so.
    ///
    /// One variant of barge-in is only visible in time (§3.5): `userSpeechStart`, contents that
    /// end as PARTIAL_TURN, and no marker. Whoever has a clock decides it thus: after
    /// [`SessionEvent::UserSpeechStarted`], with assistant audio not yet played, no
    /// [`SessionEvent::Audio`] has come for a short grace, and [`Session::user_is_speaking`] still
    /// holds. Gives [`SessionEvent::Interrupted`] unless this barge-in was reported before; a
    /// marker that comes late is then ignored.
    pub fn declare_interruption(&mut self) {
        self.interrupt();
    }

    /// The stream is lost, or is to be heard no more: what the assistant has begun to say ends
    /// here. Its line becomes final as far as it came; nothing else is reported, for the audio
    /// that was received may still be played.
    pub fn cut_off(&mut self) {
        if self.conversation.assistant_is_speaking() {
            self.conversation.assistant_ended();
            let line = self.transcript.interrupt();
            self.emit_line(line);
        }
    }

    /// Takes one event of the service, as JSON. Never fails: what cannot be understood becomes
    /// [`SessionEvent::Unknown`] or [`SessionEvent::Malformed`], and the session goes on.
    pub fn receive(&mut self, payload: &[u8]) {
        if let Some(audio) = crate::output::audio(payload) {
            return self.handle_audio(audio.content_id, audio.role, audio.pcm);
        }
        match crate::output::parse(payload) {
            Ok(event) => self.handle(event),
            Err(problem) => {
                self.events.push_back(SessionEvent::Malformed { reason: problem.to_string() });
            }
        }
    }

    /// What to send next.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.queue.pop_front().map(|queued| queued.transmit)
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Turn {
        self.conversation.turn()
    }

    /// Whether the user is making sound, also while it is the assistant's turn. Always `false`
    /// for families that do not report it.
    pub fn user_is_speaking(&self) -> bool {
        self.conversation.user_is_speaking()
    }

    /// The ids of the tool calls that wait for their result, oldest first.
    pub fn open_tool_calls(&self) -> impl Iterator<Item = &str> {
        self.tool_calls.iter().map(String::as_str)
    }

    /// Where the session stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How much input audio was queued so far, in samples: what the offsets of
    /// [`SessionEvent::UserSpeechStarted`] count in milliseconds. The machine's own silence is
    /// included.
    pub fn input_position(&self) -> u64 {
        self.audio.as_ref().map_or(0, |audio| audio.bytes / 2)
    }

    fn check_live(&self) -> Result<(), PushRefused> {
        match self.phase {
            Phase::Opening | Phase::Standby => Err(PushRefused::NotOpen),
            Phase::Live => Ok(()),
            Phase::Finishing | Phase::Ended => Err(PushRefused::Finished),
        }
    }
}

#[cfg(test)]
mod tests;
