//! What the stand-in for Amazon Transcribe hears, and the faults that it can be told to have
//! (`nova-sonic.md` §6).

use std::time::Duration;

use super::FaultScope;

/// How the stand-in for Amazon Transcribe behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct TranscribeConfig {
    /// What is said on each channel, utterance by utterance over all streams. Speech beyond that
    /// is heard and not understood: it has no results.
    pub utterances: [Vec<Utterance>; 2],
    /// Begin with the first utterance again after the last.
    pub endless: bool,
    /// Longest time without audio.
    pub idle: Duration,
    /// Longest life of a stream.
    pub longest: Duration,
    /// Streams that may be open at a time.
    pub streams: usize,
    /// Silence that ends an utterance.
    pub pause: Duration,
    /// Faults to inject.
    pub faults: Vec<TranscribeFault>,
}

/// One utterance, as it is understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Utterance {
    /// The words.
    pub text: String,
    /// The words when personal data is to be redacted; `text` when absent.
    pub redacted: Option<String>,
}

impl From<&str> for Utterance {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), redacted: None }
    }
}

/// One fault of a transcription.
#[derive(Debug, Clone, PartialEq)]
pub struct TranscribeFault {
    /// After so much audio; `None`: in place of the stream.
    pub after: Option<Duration>,
    /// What happens then.
    pub kind: TranscribeFaultKind,
    /// Which streams it strikes, counted from 1.
    pub scope: FaultScope,
}

/// What a fault of a transcription does.
#[derive(Debug, Clone, PartialEq)]
pub enum TranscribeFaultKind {
    /// An exception; at the opening it is an error status.
    Exception(TranscribeException),
    /// The stream is reset.
    Reset,
    /// The TCP connection is cut.
    Cut,
    /// The stream ends in order though its audio goes on.
    SilentEnd,
    /// Nothing more is said, and for a minute nothing is read; then the stream ends.
    Hang,
}

/// The exceptions of a transcription (`nova-sonic.md` §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TranscribeException {
    /// 400.
    BadRequest,
    /// 429.
    LimitExceeded,
    /// 500.
    InternalFailure,
    /// 409.
    Conflict,
    /// 503.
    ServiceUnavailable,
}

impl TranscribeException {
    /// Name on the wire, status, and a text.
    pub(crate) fn parts(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::BadRequest => ("BadRequestException", 400, "One or more arguments are invalid."),
            Self::LimitExceeded => (
                "LimitExceededException",
                429,
                "You have reached your limit of concurrent streams, 5. Try again later.",
            ),
            Self::InternalFailure => {
                ("InternalFailureException", 500, "A problem occurred. Try again later.")
            }
            Self::Conflict => (
                "ConflictException",
                409,
                "Another stream is in progress with the same session ID. End that stream or use a \
                 different session ID.",
            ),
            Self::ServiceUnavailable => {
                ("ServiceUnavailableException", 503, "The service is unavailable. Try again later.")
            }
        }
    }
}

impl Default for TranscribeConfig {
    fn default() -> Self {
        Self {
            utterances: Default::default(),
            endless: false,
            idle: Duration::from_secs(15),
            longest: Duration::from_secs(4 * 3600),
            streams: 25,
            pause: Duration::from_millis(500),
            faults: Vec::new(),
        }
    }
}
