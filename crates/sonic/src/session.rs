//! The session machine (skeleton; the behaviour follows).

use std::collections::VecDeque;

use bytes::Bytes;
use voice_call::AudioChunk;

use crate::{PushRefused, SessionEvent, SessionSettings, Transmit};

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The opening is being sent; the service has not answered.
    Opening,
    /// Audio flows.
    Live,
    /// The end was sent; last events may come.
    Finishing,
    /// Nothing more is expected.
    Ended,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// Nobody's.
    Idle,
    /// The user speaks.
    UserSpeaking,
    /// The user has spoken; the assistant has not begun.
    AwaitingAssistant,
    /// The assistant's turn is being received.
    AssistantSpeaking,
}

/// A conversation with Nova Sonic.
#[derive(Debug)]
pub struct Session {
    queue: VecDeque<Bytes>,
    events: VecDeque<SessionEvent>,
}

impl Session {
    /// Opens a session.
    pub fn new(_settings: SessionSettings) -> Self {
        Self { queue: VecDeque::new(), events: VecDeque::new() }
    }

    /// The response head has arrived.
    pub fn stream_opened(&mut self) {}

    /// Audio of the caller.
    pub fn push_audio(&mut self, _chunk: &AudioChunk) -> Result<(), PushRefused> {
        Ok(())
    }

    /// Text of the caller.
    pub fn push_text(&mut self, _text: &str) -> Result<(), PushRefused> {
        Ok(())
    }

    /// The result of a tool call.
    pub fn push_tool_result(
        &mut self,
        _tool_use_id: &str,
        _result: &serde_json::Value,
    ) -> Result<(), PushRefused> {
        Ok(())
    }

    /// Drops the greeting if it was not sent yet.
    pub fn cancel_greeting(&mut self) {}

    /// Ends the session in order.
    pub fn finish(&mut self) {}

    /// One event of the service.
    pub fn receive(&mut self, _payload: &[u8]) {}

    /// What to send next.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.queue.pop_front().map(Transmit::Event)
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Turn {
        Turn::Idle
    }

    /// Tool calls without a result.
    pub fn open_tool_calls(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    /// Where the session stands.
    pub fn phase(&self) -> Phase {
        Phase::Opening
    }
}
