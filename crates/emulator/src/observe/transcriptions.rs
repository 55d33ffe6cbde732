//! The streams to the stand-in for Transcribe: how many there are, whose session ids they have,
//! and what was heard in all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::config::{TranscribeConfig, Utterance};

/// All streams of one emulator. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Transcriptions(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Streams opened since the start.
    opened: u64,
    open: usize,
    /// Bytes of audio heard.
    heard: u64,
    /// Utterances that were said, by channel.
    said: [usize; 2],
    /// The open stream of each session id, by its number.
    sessions: HashMap<String, (u64, oneshot::Sender<()>)>,
}

/// One open stream. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Transcription {
    all: Transcriptions,
    session_id: String,
    pub(crate) number: u64,
    superseded: oneshot::Receiver<()>,
}

impl Transcriptions {
    /// Streams that are open now.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.lock().open
    }

    /// Streams opened since the start.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.lock().opened
    }

    /// Bytes of audio heard since the start.
    #[must_use]
    pub fn heard_bytes(&self) -> u64 {
        self.lock().heard
    }

    /// Opens a stream, unless there are `most` already. An open one of the same session ends.
    pub(crate) fn open(&self, session_id: &str, most: usize) -> Option<Transcription> {
        let mut state = self.lock();
        let taken = state.sessions.contains_key(session_id);
        if state.open >= most && !taken {
            return None;
        }
        state.opened += 1;
        state.open += 1;
        let number = state.opened;
        let (end, superseded) = oneshot::channel();
        // The older one hears of it by the drop of its sender.
        state.sessions.insert(session_id.to_owned(), (number, end));
        let session_id = session_id.to_owned();
        Some(Transcription { all: self.clone(), session_id, number, superseded })
    }

    /// What is said next on a channel.
    pub(crate) fn next(&self, config: &TranscribeConfig, channel: usize) -> Option<Utterance> {
        let mut state = self.lock();
        let said = state.said.get_mut(channel)?;
        let all = config.utterances.get(channel)?;
        let next = if config.endless { *said % all.len().max(1) } else { *said };
        *said += 1;
        all.get(next).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transcription {
    pub(crate) fn heard(&self, bytes: usize) {
        self.all.lock().heard += bytes as u64;
    }

    /// Resolves when another stream of the same session has been opened.
    pub(crate) async fn superseded(&mut self) {
        let _ = (&mut self.superseded).await;
    }
}

impl Drop for Transcription {
    fn drop(&mut self) {
        let mut state = self.all.lock();
        state.open -= 1;
        if state.sessions.get(&self.session_id).is_some_and(|(number, _)| *number == self.number) {
            state.sessions.remove(&self.session_id);
        }
    }
}
