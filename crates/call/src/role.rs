//! The five children that every call has.

use std::fmt;

/// The role of a child actor within its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The caller's side: protocol, playout queue, liveness.
    Client,
    /// The stream to Nova Sonic.
    Sonic,
    /// The transcript.
    Transcriber,
    /// Tool execution.
    Tools,
    /// Transfer detection.
    Transfer,
}

impl Role {
    /// All roles, in the order in which a call starts them.
    pub const ALL: [Self; 5] =
        [Self::Client, Self::Sonic, Self::Transcriber, Self::Tools, Self::Transfer];

    /// The name used in logs, metrics and error codes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Sonic => "sonic",
            Self::Transcriber => "transcriber",
            Self::Tools => "tools",
            Self::Transfer => "transfer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
