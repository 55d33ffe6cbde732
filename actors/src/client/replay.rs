//! What a client that comes back has missed: the latest messages by number, and the audio that was
//! on its way when the connection was lost.
//!
//! A machine: no actix, no clock.

use std::{collections::VecDeque, time::Duration};

use voice_call::AudioChunk;

use super::stored::Stored;

/// Messages that are kept.
const MESSAGES: usize = 512;
/// Bytes of messages that are kept.
const MESSAGE_BYTES: usize = 512 * 1024;
/// Audio that is kept after it was sent, besides what is sent ahead: what the network and the client
/// may hold of it.
const AUDIO: Duration = Duration::from_secs(5);

/// What is kept of one call.
#[derive(Debug, Default)]
pub struct Replay {
    /// The number of the latest message; the first one has 1.
    last: u64,
    messages: VecDeque<String>,
    message_bytes: usize,
    /// Bytes of audio that were sent in all.
    sent: u64,
    /// Hardly any of it is ever sent again.
    audio: VecDeque<Stored>,
    kept: Duration,
    /// How far ahead of real time audio is sent.
    lead: Duration,
}

impl Replay {
    /// Goes on counting where another task was.
    pub fn after(last: u64, sent: u64) -> Self {
        Self { last, sent, ..Self::default() }
    }

    /// Audio is sent so far ahead from now on.
    pub fn set_lead(&mut self, lead: Duration) {
        self.lead = lead;
    }

    /// Numbers a message, which is a JSON object, and keeps it. Returns it with its number.
    pub fn message(&mut self, json: &str) -> String {
        self.last += 1;
        let members = json.strip_prefix('{').unwrap_or(json);
        let numbered = format!(r#"{{"seq":{},{members}"#, self.last);
        self.message_bytes += numbered.len();
        self.messages.push_back(numbered.clone());
        while self.messages.len() > MESSAGES || self.message_bytes > MESSAGE_BYTES {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.message_bytes -= oldest.len();
        }
        numbered
    }

    /// The messages after number `seen`, and whether some of those are lost.
    pub fn since(&self, seen: u64) -> (impl Iterator<Item = &String>, bool) {
        let first = self.last - self.messages.len() as u64;
        let skip = usize::try_from(seen.saturating_sub(first)).unwrap_or(usize::MAX);
        (self.messages.iter().skip(skip), seen < first)
    }

    /// This audio was sent.
    pub fn audio(&mut self, frame: &AudioChunk) {
        self.sent += frame.bytes().len() as u64;
        self.kept += frame.duration();
        self.audio.push_back(Stored::of(frame));
        while self.kept > AUDIO + self.lead {
            let Some(oldest) = self.audio.pop_front() else { break };
            self.kept = self.kept.saturating_sub(oldest.duration());
        }
    }

    /// The audio that was sent belongs to the past: it is not sent again.
    pub fn forget_audio(&mut self) {
        self.audio.clear();
        self.kept = Duration::ZERO;
    }

    /// Takes back the audio that a client, which has got `heard` bytes in all, has not got. It
    /// counts as not sent.
    pub fn take_unheard(&mut self, heard: u64) -> Vec<AudioChunk> {
        let mut from = self.sent;
        let mut unheard = Vec::new();
        while from > heard {
            let Some(sent) = self.audio.pop_back() else { break };
            let Some(mut frame) = sent.chunk() else { break };
            let bytes = frame.bytes().len() as u64;
            // A frame of which the beginning was heard.
            if from - bytes < heard {
                let _ = frame.split_to((heard + bytes - from) as usize);
            }
            from -= frame.bytes().len() as u64;
            unheard.push(frame);
        }
        // Whatever became of the rest, both sides count from here.
        self.sent = self.sent.min(heard);
        self.forget_audio();
        unheard.reverse();
        unheard
    }
}

#[cfg(test)]
mod tests {
    use voice_call::SampleRate;

    use super::*;

    fn frame(ms: u32) -> AudioChunk {
        AudioChunk::silence(SampleRate::Hz24000, ms)
    }

    fn bytes(frames: &[AudioChunk]) -> usize {
        frames.iter().map(|frame| frame.bytes().len()).sum()
    }

    #[test]
    fn messages_are_numbered_and_told_again_from_where_the_client_is() {
        let mut replay = Replay::default();
        assert_eq!(replay.message(r#"{"type":"pong"}"#), r#"{"seq":1,"type":"pong"}"#);
        (2..=5).for_each(|n| drop(replay.message(&format!(r#"{{"n":{n}}}"#))));
        let (missed, lost) = replay.since(3);
        assert_eq!(missed.collect::<Vec<_>>(), [r#"{"seq":4,"n":4}"#, r#"{"seq":5,"n":5}"#]);
        assert!(!lost);
        for seen in [5, 6, u64::MAX] {
            assert_eq!(replay.since(seen).0.count(), 0, "{seen}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_a_gap_is_noticed() {
        let mut replay = Replay::default();
        (0..2_000).for_each(|_| drop(replay.message("{}")));
        assert!(!replay.since(2_000 - 512).1);
        let (missed, lost) = replay.since(10);
        assert_eq!((missed.count(), lost), (512, true));
        let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(100_000));
        (0..10).for_each(|_| drop(replay.message(&long)));
        assert!(replay.message_bytes <= MESSAGE_BYTES);
    }

    #[test]
    fn what_is_sent_further_ahead_is_kept_for_longer() {
        for (lead, kept) in [(0, 5_000), (10, 15_000)] {
            let mut replay = Replay::default();
            replay.set_lead(Duration::from_secs(lead));
            (0..1_000).for_each(|_| replay.audio(&frame(40)));
            assert_eq!(bytes(&replay.take_unheard(0)), kept * 48);
        }
    }

    #[test]
    fn audio_on_its_way_is_taken_back_to_the_byte() {
        let mut replay = Replay::default();
        (0..10).for_each(|_| replay.audio(&frame(40)));
        // 400 ms are 19,200 bytes; the client got 250 ms.
        let unheard = replay.take_unheard(12_000);
        assert_eq!(bytes(&unheard), 7_200);
        assert_eq!(replay.take_unheard(12_000).len(), 0, "it counts as not sent");
        replay.audio(&frame(40));
        assert_eq!(bytes(&replay.take_unheard(12_000)), 1_920);
        // A client that claims more than it was sent.
        assert_eq!(replay.take_unheard(u64::MAX).len(), 0);
        replay.audio(&frame(40));
        replay.forget_audio();
        assert_eq!(replay.take_unheard(13_920).len(), 0, "it was flushed");
        replay.audio(&frame(40));
        assert_eq!(bytes(&replay.take_unheard(13_920)), 1_920, "the counts agree again");
    }
}
