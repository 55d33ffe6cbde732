//! What comes from the socket: a frame is read, judged by how much a client may send, and handled.
//!
//! Called by the handlers of the client actor; `limits.rs` decides, this carries it out.

use std::time::Instant;

use actix::{AsyncContext, Context};
use voice_archive::redact::Redactor;
use voice_call::{
    AudioChunk,
    meters::{Queue, ReasonLabel},
};
use voice_wire::{ClientMessage, Frame, FrameError, ServerMessage};

use super::{ClientActor, ClientEvent, ToSocket, limits::Verdict};
use crate::sonic::CallerAudio;

/// Something of which a client may send so much and no more.
struct Limit {
    /// What it hears when it sends too much, and the word for programs.
    message: &'static str,
    code: &'static str,
    /// Why its connection is closed when it does not stop.
    broken: &'static str,
}

const MESSAGES: Limit = Limit {
    message: "too many messages at once; some were dropped, at most 20 a second",
    code: "rate_limited",
    broken: "Too many messages",
};

const AUDIO: Limit = Limit {
    message: "audio comes faster than it can be spoken; some was dropped, at most twice real time \
              is taken",
    code: "audio_too_fast",
    broken: "Too much audio",
};

impl ClientActor {
    pub(super) fn on_text(&mut self, bytes: &[u8]) {
        let verdict = self.limit.judge(Instant::now());
        if self.obeys(verdict, &MESSAGES) {
            self.on_frame(Frame::from_text(bytes));
        }
    }

    pub(super) fn on_frame(&mut self, frame: Result<Frame, FrameError>) {
        match frame {
            Ok(Frame::Audio(chunk)) => {
                self.heard_from = true;
                let verdict = self.audio_limit.judge(chunk.duration(), self.clock.now());
                if self.obeys(verdict, &AUDIO) {
                    self.on_caller_audio(chunk);
                }
            }
            Ok(Frame::Message(message)) => self.on_message(message),
            Err(error) => {
                let code = error.code();
                self.complain(code, error.to_string());
            }
        }
    }

    fn on_caller_audio(&mut self, chunk: AudioChunk) {
        self.meters.caller_frames.inc();
        self.tap_caller(&chunk);
        let (position, lost) = self.tail.push(chunk.clone());
        if lost > 0 {
            self.gauges.caller_audio_drops.inc_by(lost as u64);
        }
        if let Some(stream) = &self.stream {
            stream.audio.offer(CallerAudio { position, chunk });
        }
    }

    fn on_message(&mut self, message: ClientMessage) {
        self.heard_from |= !matches!(message, ClientMessage::Ping);
        match message {
            // Not numbered: nobody misses an old pong.
            ClientMessage::Ping => self.send(ToSocket::Text(ServerMessage::Pong.to_json())),
            ClientMessage::SessionConfig(config) => self.report(ClientEvent::Configured(config)),
            ClientMessage::TextInput(text) => self.report(ClientEvent::Typed(text)),
            ClientMessage::SessionFeedback(feedback) => self.report(ClientEvent::Rated(feedback)),
            // Whoever has a call has been let in already.
            ClientMessage::Authenticate(_) => {}
        }
    }

    /// Whether what came may be handled. Otherwise it is dropped, and the client hears of it.
    fn obeys(&mut self, verdict: Verdict, limit: &Limit) -> bool {
        match verdict {
            Verdict::Accept => return true,
            Verdict::RefuseQuietly => {}
            Verdict::Refuse => self.complain(limit.code, limit.message.to_owned()),
            Verdict::Close => self.report(ClientEvent::Broken(limit.broken.into())),
        }
        self.meters.drops(Queue::FromSocket).inc();
        false
    }

    /// A client from which nothing comes at all holds a place that somebody needs.
    pub(super) fn watch_first_word(&mut self, ctx: &mut Context<Self>) {
        let Some(deadline) = self.first_word else { return };
        ctx.run_later(deadline, |actor, _| {
            if !actor.heard_from {
                actor.report(ClientEvent::Broken("Neither audio nor a message came".into()));
            }
        });
    }

    /// Tells the client what it did wrong; the call goes on.
    pub(super) fn complain(&mut self, code: &'static str, message: String) {
        self.meters.client_errors.get_or_create(&ReasonLabel { reason: code }).inc();
        tracing::info!(code, "the client made a mistake");
        // It may quote what was said.
        tracing::debug!(message = &*Redactor::default().text(&message), "the client's mistake");
        self.tell(&ServerMessage::Error { message, code, fatal: false });
    }
}
