//! What can go wrong with a stream to Nova Sonic, and what follows from it.
//!
//! The service reports several unrelated conditions as `validationException`, so the message
//! text decides where the type is not enough (`nova-sonic.md` §4.1, §4.3).

use std::fmt;

/// A failure of the stream, as the port that saw it reports it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct StreamFault {
    /// Which failure.
    pub kind: FaultKind,
    /// What the service or the transport said, for the log. It may quote ids, never audio.
    pub message: String,
}

/// The failures of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The eight minutes of the connection are over (`modelTimeoutException`).
    ModelTimeout,
    /// No audio or text for too long (internal code 532, or older wordings).
    Idle,
    /// The caller was silent for too long (internal code 531).
    SilentCaller,
    /// `System instability detected`, `unexpected error`, `internalServerException`,
    /// `modelStreamErrorException`, `ModelErrorException`, `ModelNotReadyException`.
    Service,
    /// `serviceUnavailableException`.
    Unavailable,
    /// `throttlingException` or an exhausted quota.
    Throttled,
    /// `This request has been blocked by our content filters.`
    ContentFilter,
    /// Any other `validationException`: we sent something wrong.
    Invalid,
    /// The credentials have expired; the next attempt signs with fresh ones, if there are any.
    ExpiredCredentials,
    /// Credentials missing, wrong or without permission.
    AccessDenied,
    /// No such model in this region.
    NotFound,
    /// Name resolution, connect, TLS, reset, unexpected end of the bytes.
    Transport,
    /// The bytes that arrived are not an event stream.
    Undecodable,
    /// The stream did not open within its deadline.
    OpenTimeout,
    /// The service stopped reading: unsent audio grew too old.
    Stalled,
    /// The service owes an answer and has said nothing at all for too long.
    Hung,
    /// The service ended the stream without an error.
    Closed,
}

/// What follows from a fault. In every case but the last another stream is opened: the first time
/// at once, if it happens again and again after pauses that grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// It is the service's way, or passes by itself: the client hears of it only if it takes long.
    Renew,
    /// The same, but the first attempt waits as well: the service asks for less.
    RenewAfterBackOff,
    /// Something was cut off: the client is told at once.
    TellAndRenew,
    /// Opening another stream would fail in the same way: end the call with this cause.
    GiveUp,
}

impl StreamFault {
    /// A fault of a given kind.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Sorts a `validationException` by its text.
    pub fn from_validation(message: impl Into<String>) -> Self {
        let message = message.into();
        let says = |needle: &str| message.contains(needle);
        let kind = if says("InternalErrorCode=532") || says("Timed out waiting for") {
            FaultKind::Idle
        } else if says("InternalErrorCode=531") {
            FaultKind::SilentCaller
        } else if says("System instability") || says("unexpected error during processing") {
            FaultKind::Service
        } else if says("blocked by our content filters") {
            FaultKind::ContentFilter
        } else {
            FaultKind::Invalid
        };
        Self { kind, message }
    }

    /// What follows.
    pub fn remedy(&self) -> Remedy {
        self.kind.remedy()
    }
}

impl FaultKind {
    /// What follows from a fault of this kind (`nova-sonic.md` §4.3, last paragraph).
    pub fn remedy(self) -> Remedy {
        match self {
            Self::ModelTimeout
            | Self::Idle
            | Self::SilentCaller
            | Self::Service
            | Self::Undecodable
            | Self::Closed => Remedy::Renew,
            Self::Unavailable | Self::Throttled | Self::OpenTimeout | Self::ExpiredCredentials => {
                Remedy::RenewAfterBackOff
            }
            Self::Transport | Self::Stalled | Self::Hung | Self::ContentFilter => {
                Remedy::TellAndRenew
            }
            Self::Invalid | Self::AccessDenied | Self::NotFound => Remedy::GiveUp,
        }
    }

    /// A word for logs, metrics and error codes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ModelTimeout => "model_timeout",
            Self::Idle => "idle",
            Self::SilentCaller => "silent_caller",
            Self::Service => "service",
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::ContentFilter => "content_filter",
            Self::Invalid => "invalid",
            Self::ExpiredCredentials => "expired_credentials",
            Self::AccessDenied => "access_denied",
            Self::NotFound => "not_found",
            Self::Transport => "transport",
            Self::Undecodable => "undecodable",
            Self::OpenTimeout => "open_timeout",
            Self::Stalled => "stalled",
            Self::Hung => "hung",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_texts_are_sorted_by_what_they_say() {
        let cases = [
            ("InternalErrorCode=532::Timed out waiting for audio bytes", FaultKind::Idle),
            ("Timed out waiting for input events", FaultKind::Idle),
            ("InternalErrorCode=531::RST_STREAM closed stream.", FaultKind::SilentCaller),
            ("System instability detected. Please retry your request.", FaultKind::Service),
            ("This request has been blocked by our content filters.", FaultKind::ContentFilter),
            ("Duplicate prompt name: p", FaultKind::Invalid),
        ];
        for (text, kind) in cases {
            assert_eq!(StreamFault::from_validation(text).kind, kind, "{text}");
        }
    }

    #[test]
    fn our_own_mistakes_are_not_repeated() {
        assert_eq!(FaultKind::Invalid.remedy(), Remedy::GiveUp);
        assert_eq!(FaultKind::ModelTimeout.remedy(), Remedy::Renew);
        assert_eq!(FaultKind::Throttled.remedy(), Remedy::RenewAfterBackOff);
        assert_eq!(FaultKind::Transport.remedy(), Remedy::TellAndRenew);
    }
}
