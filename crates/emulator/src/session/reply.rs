//! Output events in the shapes of `nova-sonic.md` §3.1. No decisions: `conversation` and `echo`
//! say what is sent when.

use base64_simd::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::usage::{Report, Tokens};

/// Why a content ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    PartialTurn,
    EndTurn,
    Interrupted,
    ToolUse,
}

impl StopReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::PartialTurn => "PARTIAL_TURN",
            Self::EndTurn => "END_TURN",
            Self::Interrupted => "INTERRUPTED",
            Self::ToolUse => "TOOL_USE",
        }
    }
}

/// Whose text, and how final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextKind {
    /// What the caller said.
    User,
    /// What the assistant is about to say.
    Speculative,
    /// What the assistant said.
    Final,
}

/// Makes the events of one session; holds the ids they share.
#[derive(Debug)]
pub(crate) struct Reply {
    session_id: String,
    prompt_name: String,
    completion_id: String,
    /// Rate of the audio that is sent.
    pub(crate) rate_hz: u32,
}

impl Reply {
    /// Events for a prompt whose audio goes out at `rate_hz`.
    pub(crate) fn new(prompt_name: String, rate_hz: u32) -> Self {
        Self { session_id: id(), prompt_name, completion_id: id(), rate_hz }
    }

    /// `{"event":{name: body}}` with the ids every output event carries.
    fn event(&self, name: &str, mut body: Value) -> Value {
        body["sessionId"] = json!(self.session_id);
        body["promptName"] = json!(self.prompt_name);
        body["completionId"] = json!(self.completion_id);
        json!({"event": {name: body}})
    }

    pub(crate) fn completion_start(&self) -> Value {
        self.event("completionStart", json!({}))
    }

    pub(crate) fn completion_end(&self) -> Value {
        self.event("completionEnd", json!({"stopReason": StopReason::EndTurn.as_str()}))
    }

    /// The caller began to speak. Before the completion the event has no completion id (§3.2).
    pub(crate) fn user_speech_start(&self, offset_ms: u64, in_completion: bool) -> Value {
        let mut event = self.event("userSpeechStart", json!({"inputAudioOffsetMs": offset_ms}));
        if !in_completion && let Some(body) = event["event"]["userSpeechStart"].as_object_mut() {
            body.remove("completionId");
        }
        event
    }

    pub(crate) fn user_speech_end(&self, offset_ms: u64, detected_ms: u64) -> Value {
        self.event(
            "userSpeechEnd",
            json!({"inputAudioOffsetMs": offset_ms, "inputAudioDetectionOffsetMs": detected_ms}),
        )
    }

    /// A whole TEXT block: start, one `textOutput`, end.
    pub(crate) fn text(&self, kind: TextKind, text: &str, stop: StopReason) -> [Value; 3] {
        let (role, stage) = match kind {
            TextKind::User => ("USER", r#"{"generationStage":"FINAL"}"#),
            TextKind::Speculative => ("ASSISTANT", r#"{"generationStage":"SPECULATIVE"}"#),
            TextKind::Final => ("ASSISTANT", r#"{"generationStage":"FINAL"}"#),
        };
        let content_id = id();
        [
            self.event(
                "contentStart",
                json!({
                    "contentId": content_id, "type": "TEXT", "role": role,
                    "additionalModelFields": stage,
                    "textOutputConfiguration": {"mediaType": "text/plain"},
                }),
            ),
            self.event(
                "textOutput",
                json!({"contentId": content_id, "role": role, "content": text}),
            ),
            self.content_end(&content_id, "TEXT", stop),
        ]
    }

    /// The text block that tells of an interruption, with the blanks the service writes (§3.5).
    pub(crate) fn interruption(&self) -> [Value; 3] {
        self.text(TextKind::Final, r#"{ "interrupted" : true }"#, StopReason::Interrupted)
    }

    /// A whole TOOL block.
    pub(crate) fn tool_use(&self, tool: &str, tool_use_id: &str, input: &str) -> [Value; 3] {
        let content_id = id();
        [
            self.event(
                "contentStart",
                json!({
                    "contentId": content_id, "type": "TOOL", "role": "TOOL",
                    "toolUseOutputConfiguration": {"mediaType": "application/json"},
                }),
            ),
            self.event(
                "toolUse",
                json!({
                    "contentId": content_id, "role": "TOOL", "content": input,
                    "toolName": tool, "toolUseId": tool_use_id,
                }),
            ),
            self.content_end(&content_id, "TOOL", StopReason::ToolUse),
        ]
    }

    /// Opens an AUDIO block: its start, and the block to fill and to close.
    pub(crate) fn audio(&self) -> (Value, AudioBlock) {
        let content_id = id();
        let start = self.event(
            "contentStart",
            json!({
                "contentId": content_id, "type": "AUDIO", "role": "ASSISTANT",
                "audioOutputConfiguration": {
                    "mediaType": "audio/lpcm", "sampleRateHertz": self.rate_hz,
                    "sampleSizeBits": 16, "encoding": "base64", "channelCount": 1,
                },
            }),
        );
        (start, AudioBlock::new(self, content_id))
    }

    /// Closes an AUDIO block.
    pub(crate) fn audio_end(&self, block: &AudioBlock, stop: StopReason) -> Value {
        self.content_end(&block.content_id, "AUDIO", stop)
    }

    pub(crate) fn usage(&self, report: &Report) -> Value {
        let split = |tokens: &Tokens| {
            json!({
                "input": {"speechTokens": tokens.speech_in, "textTokens": tokens.text_in},
                "output": {"speechTokens": tokens.speech_out, "textTokens": tokens.text_out},
            })
        };
        let total = &report.total;
        let (input, output) = (total.speech_in + total.text_in, total.speech_out + total.text_out);
        self.event(
            "usageEvent",
            json!({
                "totalInputTokens": input, "totalOutputTokens": output,
                "totalTokens": input + output,
                "details": {"delta": split(&report.delta), "total": split(total)},
            }),
        )
    }

    fn content_end(&self, content_id: &str, kind: &str, stop: StopReason) -> Value {
        self.event(
            "contentEnd",
            json!({"contentId": content_id, "type": kind, "stopReason": stop.as_str()}),
        )
    }
}

/// An open AUDIO block. Its `audioOutput` events are written as text, one allocation each: they
/// are nearly all there is on the wire.
#[derive(Debug)]
pub(crate) struct AudioBlock {
    content_id: String,
    /// The event up to the audio.
    head: String,
    /// The event after the audio.
    tail: String,
}

impl AudioBlock {
    fn new(reply: &Reply, content_id: String) -> Self {
        // Names from the client need JSON escapes; `Value` writes them.
        let prompt = json!(reply.prompt_name);
        let head = format!(
            r#"{{"event":{{"audioOutput":{{"completionId":"{}","content":""#,
            reply.completion_id
        );
        let tail = format!(
            r#"","contentId":"{content_id}","promptName":{prompt},"role":"ASSISTANT","sessionId":"{}"}}}}}}"#,
            reply.session_id
        );
        Self { content_id, head, tail }
    }

    /// An `audioOutput` with PCM16.
    pub(crate) fn pcm(&self, pcm: &[u8]) -> Bytes {
        let base64 = pcm.len().div_ceil(3) * 4;
        let mut event = String::with_capacity(self.head.len() + base64 + self.tail.len());
        event.push_str(&self.head);
        STANDARD.encode_append(pcm, &mut event);
        event.push_str(&self.tail);
        Bytes::from(event)
    }

    /// An `audioOutput` with audio that is in base64 already.
    pub(crate) fn base64(&self, audio: &str) -> Bytes {
        let mut event = String::with_capacity(self.head.len() + audio.len() + self.tail.len());
        event.push_str(&self.head);
        event.push_str(audio);
        event.push_str(&self.tail);
        Bytes::from(event)
    }
}

fn id() -> String {
    Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_events_are_json_with_the_ids_of_their_block() {
        let reply = Reply::new("a \"quoted\" name".into(), 24_000);
        let (start, block) = reply.audio();
        let event: Value = serde_json::from_slice(&block.pcm(&[0, 1, 2])).unwrap();
        let audio = &event["event"]["audioOutput"];
        assert_eq!(audio["content"], "AAEC");
        assert_eq!(audio["promptName"], "a \"quoted\" name");
        assert_eq!(audio["contentId"], start["event"]["contentStart"]["contentId"]);
        assert_eq!(block.base64("AAEC"), block.pcm(&[0, 1, 2]));
    }

    #[test]
    fn speech_before_the_completion_has_no_completion_id() {
        let reply = Reply::new("p".into(), 16_000);
        let early = reply.user_speech_start(0, false);
        assert!(early["event"]["userSpeechStart"].get("completionId").is_none());
        let later = reply.user_speech_start(0, true);
        assert!(later["event"]["userSpeechStart"].get("completionId").is_some());
    }
}
