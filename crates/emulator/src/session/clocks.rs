//! When the service loses patience (`nova-sonic.md` §4.1). Pure: the time since the stream opened
//! is an argument, like all time in here it is emulated time.
//!
//! `service` reports what was heard and asks what is due; `run` sleeps until [`Patience::deadline`].

use std::time::Duration;

use super::{Exception, ExceptionKind};
use crate::config::Clocks;

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// The connection is as old as it may get.
    Connection,
    /// Neither audio nor interactive text for too long.
    Idle,
    /// Audio, but no speech in it, for too long.
    SilentUser,
}

/// The clocks of one stream.
#[derive(Debug)]
pub(crate) struct Patience {
    connection: Duration,
    idle: Duration,
    silent_user: Option<Duration>,
    last_input: Duration,
    last_speech: Duration,
}

impl Patience {
    /// Clocks that start now, at zero.
    pub(crate) fn new(clocks: &Clocks) -> Self {
        Self {
            connection: clocks.connection,
            idle: clocks.idle,
            silent_user: clocks.silent_user,
            last_input: Duration::ZERO,
            last_speech: Duration::ZERO,
        }
    }

    /// Audio, silence included, or interactive text arrived.
    pub(crate) fn heard_input(&mut self, now: Duration) {
        self.last_input = now;
    }

    /// The caller speaks, or typed.
    pub(crate) fn heard_user(&mut self, now: Duration) {
        self.last_speech = now;
    }

    /// When the next limit is reached, if nothing is heard until then.
    pub(crate) fn deadline(&self) -> Duration {
        let silent_user =
            self.silent_user.map_or(Duration::MAX, |limit| self.last_speech.saturating_add(limit));
        self.connection.min(self.last_input.saturating_add(self.idle)).min(silent_user)
    }

    /// The limit that is reached at `now`, if any.
    pub(crate) fn expired(&self, now: Duration) -> Option<Expiry> {
        if now >= self.connection {
            Some(Expiry::Connection)
        } else if now >= self.last_input.saturating_add(self.idle) {
            Some(Expiry::Idle)
        } else if self.silent_user.is_some_and(|limit| now >= self.last_speech + limit) {
            Some(Expiry::SilentUser)
        } else {
            None
        }
    }

    /// What the client is told.
    pub(crate) fn exception(&self, expiry: Expiry) -> Exception {
        match expiry {
            Expiry::Connection => Exception::new(
                ExceptionKind::ModelTimeout,
                "Model has timed out in processing the request. Try your request again.",
            ),
            Expiry::Idle => Exception::validation(format!(
                "InternalErrorCode=532::Timed out waiting for audio bytes or interactive content. \
                 Please ensure gaps between audio bytes and interactive content are less than {} \
                 seconds",
                self.idle.as_secs()
            )),
            Expiry::SilentUser => Exception::validation(
                "InternalErrorCode=531::RST_STREAM closed stream. HTTP/2 error code: NO_ERROR",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_limits_are_those_of_the_service() {
        let mut patience =
            Patience::new(&Clocks { silent_user: Some(at(175)), ..Clocks::default() });
        assert_eq!(patience.deadline(), at(55));
        assert_eq!(patience.expired(at(54)), None);
        assert_eq!(patience.expired(at(55)), Some(Expiry::Idle));
        patience.heard_input(at(50));
        assert_eq!(patience.deadline(), at(105));
        patience.heard_input(at(170));
        assert_eq!(patience.expired(at(175)), Some(Expiry::SilentUser));
        patience.heard_user(at(174));
        patience.heard_input(at(479));
        patience.heard_user(at(479));
        assert_eq!(patience.deadline(), at(480));
        assert_eq!(patience.expired(at(480)), Some(Expiry::Connection));
    }

    #[test]
    fn a_silent_caller_is_endured_unless_asked_otherwise() {
        let mut patience = Patience::new(&Clocks::default());
        patience.heard_input(at(470));
        assert_eq!(patience.expired(at(479)), None);
    }

    #[test]
    fn the_text_names_the_limit() {
        let patience = Patience::new(&Clocks::default());
        let told = patience.exception(Expiry::Idle);
        assert_eq!(told.kind, ExceptionKind::Validation);
        assert!(told.message.ends_with("are less than 55 seconds"));
        assert!(told.message.starts_with("InternalErrorCode=532::Timed out waiting"));
    }
}
