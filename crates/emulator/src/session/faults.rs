//! What goes wrong on request: faults of the configuration and of a scenario, as what they put on
//! the stream (`nova-sonic.md` §1.5, §4.3, §9 item 13). Faults at the opening are the front's.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Exception, ExceptionKind, Outbound};
use crate::config::{Fault, FaultKind, FaultMoment};
use crate::script;

/// Bytes that are no frame: no length, no checksum fits.
const GARBAGE: &[u8] = b"\x00\x01these bytes are not an event stream\xff\xfe\xfd\xfc";
/// The beginning of a frame of 16 MB that never comes.
const HALF_FRAME: &[u8] = &[1, 0, 0, 0, 0, 0, 0];

/// How long a fault of a scenario stops the reading.
const DEAFNESS: Duration = Duration::from_secs(30);

const UNEXPECTED: &str =
    "The system encountered an unexpected error during processing. Try your request again.";

/// What a fault does to the stream.
#[derive(Debug)]
pub(crate) enum Blow {
    /// These go out, and the stream is over.
    Fatal {
        /// What is sent, in order; the end is not among it.
        sent: Vec<Outbound>,
        /// How it ended, for the record.
        end: &'static str,
    },
    /// These bytes go out, and the service goes on as if nothing were.
    Bytes(Bytes),
    /// An event nobody knows goes out, and the session goes on.
    UnknownEvent,
    /// The stream stays open, and is silent from now on.
    Hang {
        /// How long nothing is read.
        deaf: Duration,
    },
}

impl Blow {
    fn exception(exception: Exception) -> Self {
        let end = exception.kind.wire_name();
        Self::Fatal { sent: vec![Outbound::Exception(exception), Outbound::End], end }
    }

    fn reset() -> Self {
        Self::Fatal { sent: vec![Outbound::Reset], end: "fault: reset" }
    }

    fn close() -> Self {
        Self::Fatal { sent: vec![Outbound::End], end: "fault: closed without a word" }
    }

    fn cut_within_a_frame() -> Self {
        let half = Outbound::Raw(Bytes::from_static(HALF_FRAME));
        Self::Fatal { sent: vec![half, Outbound::Cut], end: "fault: cut" }
    }

    /// What a fault of a scenario does.
    pub(crate) fn of_step(step: &script::FaultStep) -> Self {
        use script::FaultKind as Kind;
        let kind = match step.kind {
            Kind::Throttling => ExceptionKind::Throttling,
            Kind::ModelStreamError => ExceptionKind::ModelStreamError,
            Kind::InternalServer => ExceptionKind::InternalServer,
            Kind::ServiceUnavailable => ExceptionKind::ServiceUnavailable,
            Kind::Validation | Kind::ContentFilter => ExceptionKind::Validation,
            Kind::ModelTimeout => ExceptionKind::ModelTimeout,
            Kind::Reset => return Self::reset(),
            Kind::Cut => return Self::cut_within_a_frame(),
            Kind::Hang => return Self::Hang { deaf: Duration::ZERO },
            Kind::Deaf => return Self::Hang { deaf: DEAFNESS },
            Kind::Garbage => return Self::Bytes(Bytes::from_static(GARBAGE)),
            Kind::UnknownEvent => return Self::UnknownEvent,
            Kind::Close => return Self::close(),
        };
        let usual = match step.kind {
            Kind::ContentFilter => "This request has been blocked by our content filters.",
            _ => usual_message(kind),
        };
        Self::exception(exception(kind, step.message.as_deref().unwrap_or(usual)))
    }

    /// What a fault of the configuration does; `None` for those only the front can do.
    pub(crate) fn of_config(kind: &FaultKind) -> Option<Self> {
        Some(match kind {
            FaultKind::Refuse(_) | FaultKind::HangHead | FaultKind::SlowHead(_) => return None,
            FaultKind::Exception { kind, message } => Self::exception(exception(*kind, message)),
            FaultKind::ResetStream => Self::reset(),
            FaultKind::CutConnection => {
                Self::Fatal { sent: vec![Outbound::Cut], end: "fault: cut" }
            }
            FaultKind::HalfFrame => Self::cut_within_a_frame(),
            FaultKind::Hang => Self::Hang { deaf: Duration::ZERO },
            FaultKind::Deaf(deaf) => Self::Hang { deaf: *deaf },
            FaultKind::Garbage(bytes) => Self::Bytes(Bytes::copy_from_slice(bytes)),
            FaultKind::UnknownEvent => Self::UnknownEvent,
            FaultKind::SilentEnd => Self::close(),
        })
    }
}

/// An event nobody has heard of.
pub(crate) fn unknown_event() -> Value {
    json!({"event": {"futureEvent": {"note": "an event of a type you do not know"}}})
}

fn exception(kind: ExceptionKind, message: &str) -> Exception {
    let original = (kind == ExceptionKind::ModelStreamError).then(|| (500, message.to_owned()));
    Exception { kind, message: message.to_owned(), original }
}

fn usual_message(kind: ExceptionKind) -> &'static str {
    match kind {
        ExceptionKind::Throttling => "Too many requests, please wait before trying again.",
        ExceptionKind::ModelTimeout => {
            "Model has timed out in processing the request. Try your request again."
        }
        ExceptionKind::Validation => "Invalid input request, please fix your input and try again.",
        ExceptionKind::InternalServer
        | ExceptionKind::ModelStreamError
        | ExceptionKind::ServiceUnavailable => UNEXPECTED,
    }
}

/// The configured faults of one session that have not struck yet.
#[derive(Debug)]
pub(crate) struct PendingFaults {
    faults: Vec<Fault>,
}

impl PendingFaults {
    /// Those of `faults` that do not strike at the opening.
    pub(crate) fn of(faults: Vec<Fault>) -> Self {
        let mut faults = faults;
        faults.retain(|fault| fault.moment != FaultMoment::AtOpen);
        Self { faults }
    }

    /// What strikes after input event number `events`.
    pub(crate) fn after_events(&mut self, events: u64) -> Option<Blow> {
        self.take(|moment| moment == FaultMoment::AfterEvents(events))
    }

    /// What strikes inside answer number `turn`.
    pub(crate) fn mid_turn(&mut self, turn: u32) -> Option<Blow> {
        self.take(|moment| moment == FaultMoment::MidTurn(turn))
    }

    /// What strikes when so much audio was heard.
    pub(crate) fn after_audio(&mut self, heard: Duration) -> Option<Blow> {
        self.take(|moment| matches!(moment, FaultMoment::AfterAudio(at) if at <= heard))
    }

    fn take(&mut self, strikes: impl Fn(FaultMoment) -> bool) -> Option<Blow> {
        let at = self.faults.iter().position(|fault| strikes(fault.moment))?;
        Blow::of_config(&self.faults.swap_remove(at).kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EmulatorConfig, FaultScope};

    #[test]
    fn a_configured_fault_strikes_once_and_only_its_sessions() {
        let fault =
            |moment| Fault { moment, kind: FaultKind::ResetStream, scope: FaultScope::Nth(2) };
        let after_audio = FaultMoment::AfterAudio(Duration::from_secs(1));
        let faults = [FaultMoment::AfterEvents(3), after_audio].map(fault).into();
        let config = EmulatorConfig { faults, ..EmulatorConfig::default() };
        assert!(PendingFaults::of(config.faults_of(1)).after_events(3).is_none());
        let mut mine = PendingFaults::of(config.faults_of(2));
        assert!(mine.after_audio(Duration::from_millis(999)).is_none());
        assert!(mine.after_audio(Duration::from_millis(1_001)).is_some());
        assert!(mine.after_audio(Duration::from_millis(1_002)).is_none());
        assert!(mine.after_events(2).is_none());
        assert!(mine.after_events(3).is_some());
        assert!(mine.after_events(3).is_none());
    }

    #[test]
    fn a_model_stream_error_tells_its_original() {
        let step = script::FaultStep { kind: script::FaultKind::ModelStreamError, message: None };
        let Blow::Fatal { sent, end } = Blow::of_step(&step) else { panic!("not fatal") };
        assert_eq!(end, "modelStreamErrorException");
        let Some(Outbound::Exception(exception)) = sent.first() else { panic!("no exception") };
        assert_eq!(exception.original, Some((500, UNEXPECTED.to_owned())));
    }
}
