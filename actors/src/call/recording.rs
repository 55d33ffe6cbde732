//! Whether and when a call is recorded. What is recorded is in `client/taps.rs`.

use voice_archive::entry::Event;

use super::{CallActor, to};
use crate::{
    client::taps::{PauseRecording, Record},
    mailbox::control,
};

/// The recording of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Recording {
    /// There is none.
    #[default]
    None,
    On,
    /// A tool, or a persona that is not recorded, has it record silence.
    Paused,
    /// It broke off.
    Failed,
}

impl CallActor {
    /// Begins, pauses or resumes the recording, as the settings say.
    pub(super) fn follow_recording(&mut self) {
        match (self.settings.records, self.recording) {
            (true, Recording::None) => self.begin_recording(),
            (records, Recording::On | Recording::Paused) => self.pause_recording(!records),
            (false, Recording::None) | (_, Recording::Failed) => {}
        }
    }

    fn begin_recording(&mut self) {
        let shared = self.engine.shared.clone();
        let rate = shared.config.record_rate;
        let archive = shared.ports.archive.as_ref();
        let Some(recorder) = archive.and_then(|archive| archive.recorder(&self.journal, rate))
        else {
            return tracing::warn!("the call is not recorded: nothing is kept (SESSION_LOG)");
        };
        control(&to(&self.client), Record { recorder, rate });
        self.recording = Recording::On;
        self.note_recording("on");
    }

    /// Has silence recorded from now on, or what is said.
    pub(super) fn pause_recording(&mut self, pause: bool) {
        let next = if pause { Recording::Paused } else { Recording::On };
        let is_there = matches!(self.recording, Recording::On | Recording::Paused);
        if !is_there || self.recording == next {
            return;
        }
        self.recording = next;
        control(&to(&self.client), PauseRecording(pause));
        self.note_recording(if pause { "paused" } else { "resumed" });
    }

    /// The disk does not take it. The call goes on.
    pub(super) fn recording_failed(&mut self) {
        self.recording = Recording::Failed;
        self.note_recording("failed");
    }

    fn note_recording(&self, state: &str) {
        tracing::info!(state, "recording");
        self.note(Event::Recording { state: state.to_owned() });
    }
}
