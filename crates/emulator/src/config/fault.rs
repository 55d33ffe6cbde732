//! Faults that the emulator can be told to have (`nova-sonic.md` §1.6, §4.3, §9 item 13): data.
//!
//! Those at the opening are carried out by the front, all others by the session.

use std::time::Duration;

use super::ExceptionKind;

/// One fault: what happens, when, and to which sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// When it strikes.
    pub moment: FaultMoment,
    /// What happens then.
    pub kind: FaultKind,
    /// Which sessions it strikes.
    pub scope: FaultScope,
}

impl Fault {
    /// A fault at the opening of every session.
    #[must_use]
    pub fn at_open(kind: FaultKind) -> Self {
        Self { moment: FaultMoment::AtOpen, kind, scope: FaultScope::Every }
    }

    /// The same fault, for the first `n` sessions only.
    #[must_use]
    pub fn first(mut self, n: u32) -> Self {
        self.scope = FaultScope::First(n);
        self
    }
}

/// When a fault strikes. `AtOpen` is the front's; the others are the session's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultMoment {
    /// Before the response head, in place of a session (or of its head).
    AtOpen,
    /// After this many input events were read, audio included; 1 is `sessionStart`.
    AfterEvents(u64),
    /// After so much of the caller's audio was heard.
    AfterAudio(Duration),
    /// In the middle of the model's answer number n, counted from 1.
    MidTurn(u32),
}

/// Which sessions a fault strikes, by the order of the attempts to open one (refused ones count).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultScope {
    /// All of them.
    Every,
    /// The first n.
    First(u32),
    /// Only number n, counted from 1.
    Nth(u32),
}

impl FaultScope {
    /// Whether the session number `ordinal` (from 1) is struck.
    #[must_use]
    pub fn includes(self, ordinal: u64) -> bool {
        match self {
            Self::Every => true,
            Self::First(n) => ordinal <= u64::from(n),
            Self::Nth(n) => ordinal == u64::from(n),
        }
    }
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// Answer the request with an error status and no session. Only `AtOpen`.
    Refuse(Refusal),
    /// Read the request and never send the response head. Only `AtOpen`.
    HangHead,
    /// Send the response head so much later than it is due, in emulated time. Only `AtOpen`.
    SlowHead(Duration),
    /// Send an exception frame and end the stream.
    Exception {
        /// Its type.
        kind: ExceptionKind,
        /// Its text, as the client sees it.
        message: String,
    },
    /// RST_STREAM on HTTP/2; on HTTP/1.1 the connection is closed inside the body.
    ResetStream,
    /// The TCP connection is cut, with everything on it.
    CutConnection,
    /// The beginning of a frame that announces a huge one, and the connection is cut. Not
    /// `AtOpen`, nor are the next two.
    HalfFrame,
    /// The stream stays open; nothing more is said, and what comes is read to no effect.
    Hang,
    /// The stream stays open; nothing more is said, and for so long, in emulated time, nothing is
    /// read.
    Deaf(Duration),
    /// Bytes that are no frame.
    Garbage(Vec<u8>),
    /// A well-formed chunk whose event nobody knows.
    UnknownEvent,
    /// The stream ends in order, with no exception and no `completionEnd`.
    SilentEnd,
}

/// A refusal at the front door (nova-sonic.md §1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 429 ThrottlingException.
    Throttling,
    /// 403 AccessDeniedException.
    AccessDenied,
    /// 400 ServiceQuotaExceededException.
    QuotaExceeded,
    /// 429 ModelNotReadyException.
    ModelNotReady,
    /// 500 InternalServerException.
    InternalServer,
    /// 503 ServiceUnavailableException.
    ServiceUnavailable,
    /// 403 ExpiredTokenException.
    ExpiredToken,
}
