//! The mouth of one stream: it speaks through a [`Voice`], and remembers for all streams what it
//! has spoken, so that a sentence is synthesised once.
//!
//! Nothing is paced here: audio comes as fast as it is asked for. `run` owns a mouth.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::voice::Voice;

/// Bytes of speech that are remembered: a few minutes. What was spoken first is forgotten first.
const REMEMBERED: usize = 16 << 20;

/// A sentence at a rate.
type Key = (String, u32);

/// Speech of all streams.
#[derive(Debug, Default)]
pub(crate) struct Repertoire {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    speech: HashMap<Key, Arc<[Bytes]>>,
    /// In the order of learning.
    order: VecDeque<Key>,
    bytes: usize,
}

impl Repertoire {
    fn recall(&self, key: &Key) -> Option<Arc<[Bytes]>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).speech.get(key).cloned()
    }

    fn learn(&self, key: Key, speech: Vec<Bytes>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut *known;
        known.bytes += size(&speech);
        known.order.push_back(key.clone());
        if let Some(before) = known.speech.insert(key.clone(), speech.into()) {
            // Two streams learned it at the same time.
            known.bytes -= size(&before);
            known.order.pop_back();
        }
        while known.bytes > REMEMBERED {
            let Some(oldest) = known.order.pop_front() else { break };
            known.bytes -= known.speech.remove(&oldest).map_or(0, |speech| size(&speech));
        }
    }
}

fn size(speech: &[Bytes]) -> usize {
    speech.iter().map(Bytes::len).sum()
}

/// Where the audio of the sentence at hand comes from.
#[derive(Debug)]
enum Speech {
    Remembered { chunks: Arc<[Bytes]>, next: usize },
    Fresh { chunks: mpsc::Receiver<Bytes>, key: Key, spoken: Vec<Bytes> },
}

/// The voice of one stream, made when it is first needed, and what it is saying.
#[derive(Debug)]
pub(crate) struct Mouth {
    repertoire: Arc<Repertoire>,
    voice: Option<Voice>,
    speech: Option<Speech>,
}

impl Mouth {
    /// A mouth that has not spoken yet.
    pub(crate) fn new(repertoire: Arc<Repertoire>) -> Self {
        Self { repertoire, voice: None, speech: None }
    }

    /// Begins a sentence.
    pub(crate) fn say(&mut self, text: String, rate_hz: u32) {
        let key = (text, rate_hz);
        if let Some(chunks) = self.repertoire.recall(&key) {
            self.speech = Some(Speech::Remembered { chunks, next: 0 });
            return;
        }
        if self.voice.is_none() {
            match Voice::start(rate_hz) {
                Ok(voice) => self.voice = Some(voice),
                Err(error) => tracing::error!(%error, "the emulator has no voice"),
            }
        }
        let chunks = match &self.voice {
            Some(voice) => voice.say(&key.0),
            // An empty speech: the turn ends all the same.
            None => mpsc::channel(1).1,
        };
        self.speech = Some(Speech::Fresh { chunks, key, spoken: Vec::new() });
    }

    /// Breaks the sentence off.
    pub(crate) fn hush(&mut self) {
        self.speech = None;
        if let Some(voice) = &self.voice {
            voice.cancel();
        }
    }

    /// Whether a sentence is being said.
    pub(crate) fn is_speaking(&self) -> bool {
        self.speech.is_some()
    }

    /// The next audio; `None`, once, at the end of the text.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        let chunk = match &mut self.speech {
            Some(Speech::Remembered { chunks, next }) => {
                let chunk = chunks.get(*next).cloned();
                *next += 1;
                chunk
            }
            Some(Speech::Fresh { chunks, spoken, .. }) => {
                let chunk = chunks.recv().await;
                spoken.extend(chunk.clone());
                chunk
            }
            None => None,
        };
        if chunk.is_none()
            && let Some(Speech::Fresh { key, spoken, .. }) = self.speech.take()
            && !spoken.is_empty()
        {
            self.repertoire.learn(key, spoken);
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn hear(mouth: &mut Mouth) -> Vec<Bytes> {
        let mut heard = Vec::new();
        while let Some(chunk) = mouth.next().await {
            heard.push(chunk);
        }
        heard
    }

    #[tokio::test]
    async fn a_sentence_is_synthesised_once_for_all_streams() {
        let repertoire = Arc::new(Repertoire::default());
        let mut first = Mouth::new(repertoire.clone());
        first.say("Good morning.".into(), 16_000);
        let fresh = hear(&mut first).await;
        assert!(size(&fresh) > 10_000);
        let mut second = Mouth::new(repertoire);
        second.say("Good morning.".into(), 16_000);
        assert_eq!(hear(&mut second).await, fresh);
        assert!(second.voice.is_none(), "nothing was synthesised");
        assert!(!second.is_speaking());
    }

    #[tokio::test]
    async fn what_was_broken_off_is_not_remembered() {
        let repertoire = Arc::new(Repertoire::default());
        let mut mouth = Mouth::new(repertoire.clone());
        mouth.say("Good morning to you.".into(), 16_000);
        mouth.next().await;
        mouth.hush();
        assert!(mouth.next().await.is_none());
        assert!(repertoire.recall(&("Good morning to you.".into(), 16_000)).is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let repertoire = Repertoire::default();
        let megabyte = Bytes::from(vec![0; 1 << 20]);
        for rate in 0..40 {
            repertoire.learn(("one".into(), rate), vec![megabyte.clone()]);
            repertoire.learn(("one".into(), rate), vec![megabyte.clone()]);
        }
        let known = repertoire.known.lock().unwrap();
        assert_eq!((known.bytes, known.speech.len(), known.order.len()), (REMEMBERED, 16, 16));
        assert!(known.speech.contains_key(&("one".into(), 39)));
    }
}
