//! The half of the session that listens to the service: events become a conversation.
//!
//! The rules are those that projects have observed on the real service (`nova-sonic.md` §3.3);
//! the documentation says less, and in parts otherwise.

use bytes::Bytes;
use voice_call::AudioChunk;

use super::{Phase, Session, contents::Content};
use crate::{
    Line, SessionEvent,
    input::ContentKind,
    output::{
        CompletionEnd, ContentEnd, OutputEvent, OutputRole, StopReason, TextOutput, ToolUse,
        UsageReport,
    },
    tool,
    usage::{TokenCounts, Usage},
};

impl Session {
    pub(super) fn handle(&mut self, event: OutputEvent) {
        match event {
            OutputEvent::CompletionStart(_) => {}
            OutputEvent::ContentStart(start) => {
                self.contents.start(&start, self.conversation.is_superseded());
            }
            OutputEvent::TextOutput(text) => self.handle_text(text),
            OutputEvent::AudioOutput(audio) => {
                self.handle_audio(&audio.content_id, audio.role, audio.pcm);
            }
            OutputEvent::ToolUse(call) => self.handle_tool_use(call),
            OutputEvent::ContentEnd(end) => self.handle_content_end(&end),
            OutputEvent::CompletionEnd(end) => self.handle_completion_end(&end),
            OutputEvent::Usage(report) => self.handle_usage(&report),
            OutputEvent::UserSpeechStart(start) => {
                self.conversation.user_speech_started();
                self.transcript.end_utterance();
                self.echoes.clear();
                self.emit(SessionEvent::UserSpeechStarted {
                    offset_ms: start.input_audio_offset_ms,
                });
            }
            OutputEvent::UserSpeechEnd(end) => {
                self.conversation.user_speech_ended();
                self.emit(SessionEvent::UserSpeechEnded {
                    offset_ms: end.input_audio_offset_ms,
                    detected_ms: end.input_audio_detection_offset_ms,
                });
            }
            OutputEvent::Unknown { name } => self.emit(SessionEvent::Unknown { name }),
        }
    }

    fn handle_text(&mut self, text: TextOutput) {
        let marker = text.interruption_marker();
        let content = self.contents.find(&text.content_id, ContentKind::Text, text.role);
        match (marker, content.role) {
            (Some(true), _) => {
                content.marked = true;
                self.interrupt();
            }
            // It denies an interruption; JSON is not for the transcript in any case.
            (Some(false), _) => {}
            (None, Some(OutputRole::User)) => self.handle_user_text(&text),
            (None, _) if !content.speculative => content.text.push_str(&text.content),
            (None, _) => {
                let (stale, after_user) = (content.stale, content.after_user);
                let blank = text.content.trim().is_empty();
                if stale || (blank && !self.conversation.assistant_is_speaking()) {
                    return;
                }
                self.open_turn(after_user);
                let line = self.transcript.add_speculative(&text.content_id, &text.content);
                self.emit_line(line);
            }
        }
    }

    fn handle_user_text(&mut self, text: &TextOutput) {
        if let Some(at) = self.echoes.iter().position(|echo| echo == text.content.trim()) {
            self.echoes.remove(at);
            return;
        }
        let line = self.transcript.add_user(&text.content_id, &text.content);
        if line.is_some() {
            self.conversation.user_said_something();
        }
        self.emit_line(line);
    }

    pub(super) fn handle_audio(&mut self, content_id: &str, role: Option<OutputRole>, pcm: Bytes) {
        let content = self.contents.find(content_id, ContentKind::Audio, role);
        if content.stale || pcm.is_empty() {
            return;
        }
        let pcm = whole_samples(&mut content.half_sample, pcm);
        let after_user = content.after_user;
        self.open_turn(after_user);
        if let Ok(chunk) = AudioChunk::new(pcm, self.output_rate)
            && !chunk.is_empty()
        {
            self.emit(SessionEvent::Audio(chunk));
        }
    }

    fn handle_tool_use(&mut self, call: ToolUse) {
        if call.tool_use_id.is_empty() {
            let reason = format!("`toolUse` of `{}` has no toolUseId", call.tool_name);
            return self.emit(SessionEvent::Malformed { reason });
        }
        // The same open call twice wants one result, so it is one call.
        if self.tool_calls.contains(&call.tool_use_id) {
            return;
        }
        self.tool_calls.push(call.tool_use_id.clone());
        self.conversation.tool_progressed();
        self.emit(SessionEvent::ToolCall {
            input: tool::decode_input(&call.content),
            tool_use_id: call.tool_use_id,
            name: call.tool_name,
        });
    }

    fn handle_content_end(&mut self, end: &ContentEnd) {
        let content = self.contents.end(&end.content_id);
        let known = content.as_ref().map(|content| content.kind);
        let stale = content.as_ref().is_some_and(|content| content.stale);
        let marked = content.as_ref().is_some_and(|content| content.marked);
        if end.stop_reason == StopReason::Interrupted && !marked && !stale {
            self.interrupt();
        }
        if let Some(content) = content {
            self.complete_text(&content);
        }
        let audio = end.kind.or(known) == Some(ContentKind::Audio);
        if audio && !stale && end.stop_reason == StopReason::EndTurn {
            self.close_turn();
        }
    }

    fn handle_completion_end(&mut self, end: &CompletionEnd) {
        for content in self.contents.end_all() {
            self.complete_text(&content);
        }
        if end.stop_reason == StopReason::Interrupted {
            self.interrupt();
        }
        self.close_turn();
        if self.phase == Phase::Finishing {
            self.phase = Phase::Ended;
        }
        self.emit(SessionEvent::Completed);
    }

    fn handle_usage(&mut self, report: &UsageReport) {
        let before = self.tokens;
        // Without details there is no split; what is not known to be speech counts as text.
        let plain = TokenCounts {
            input_text: report.total_input_tokens.saturating_sub(before.input_speech),
            output_text: report.total_output_tokens.saturating_sub(before.output_speech),
            ..before
        };
        let total = report.total.unwrap_or_else(|| report.delta.map_or(plain, |d| before + d));
        self.tokens = total;
        let delta = report.delta.unwrap_or_else(|| total.since(&before));
        self.emit(SessionEvent::Usage(Usage { delta, total }));
    }

    /// The first text or audio of a turn opens it.
    fn open_turn(&mut self, after_user: bool) {
        if after_user && self.conversation.is_superseded() {
            self.close_turn();
        }
        if !self.conversation.assistant_is_speaking() {
            self.conversation.assistant_began();
            self.transcript.begin_turn();
            self.emit(SessionEvent::AssistantTurnStarted);
        }
    }

    fn close_turn(&mut self) {
        if self.conversation.assistant_is_speaking() {
            self.conversation.assistant_ended();
            self.echoes.clear();
            let line = self.transcript.end_turn();
            self.emit_line(line);
            self.emit(SessionEvent::AssistantTurnEnded { interrupted: false });
        }
    }

    /// A barge-in, however it was reported.
    pub(super) fn interrupt(&mut self) {
        let Some(was_open) = self.conversation.interrupted() else { return };
        self.contents.cut_off();
        self.emit(SessionEvent::Interrupted);
        let line = self.transcript.interrupt();
        self.emit_line(line);
        if was_open {
            self.emit(SessionEvent::AssistantTurnEnded { interrupted: true });
        }
    }

    fn complete_text(&mut self, content: &Content) {
        if !content.text.is_empty() {
            let line = self.transcript.add_spoken(&content.text);
            self.emit_line(line);
        }
    }

    pub(super) fn emit_line(&mut self, line: Option<Line>) {
        self.events.extend(line.map(SessionEvent::Line));
    }

    fn emit(&mut self, event: SessionEvent) {
        self.events.push_back(event);
    }
}

/// Joins the half sample of the event before, and keeps the one that is left over.
fn whole_samples(half: &mut Option<u8>, pcm: Bytes) -> Bytes {
    let mut pcm = match half.take() {
        Some(first) => {
            let mut joined = Vec::with_capacity(pcm.len() + 1);
            joined.push(first);
            joined.extend_from_slice(&pcm);
            joined.into()
        }
        None => pcm,
    };
    if pcm.len() % 2 == 1 {
        *half = pcm.last().copied();
        pcm.truncate(pcm.len() - 1);
    }
    pcm
}
