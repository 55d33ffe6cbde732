//! Why a call ended, and what its client is told with the WebSocket close frame.

use crate::{fault::FaultKind, role::Role};

/// The cause of a call's end. Every call has exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// The caller hung up: the client closed, or its connection was lost.
    HungUp,
    /// Nobody spoke for too long, in spite of being asked.
    Inactivity,
    /// The call reached its longest duration.
    TimeLimit,
    /// The user has used up what a day allows.
    BudgetSpent,
    /// The caller was handed over to a human.
    Transferred,
    /// The assistant said goodbye and ended the call.
    Completed,
    /// An operator ended the call.
    Operator,
    /// The process is shutting down.
    Draining,
    /// The client broke the protocol beyond repair.
    ClientProtocol(String),
    /// The client stopped reading and was cut off.
    ClientStalled,
    /// Nova Sonic could not be reached, or was lost and did not come back.
    SonicLost(FaultKind),
    /// A part of our own broke more often than its budget allows.
    ChildFailed(Role),
    /// The supervisor itself broke.
    SupervisorFailed,
}

/// A WebSocket close code (RFC 6455 §7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseCode(pub u16);

impl EndReason {
    /// A word for logs and metrics; of bounded variety.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::HungUp => "hung_up",
            Self::Inactivity => "inactivity",
            Self::TimeLimit => "time_limit",
            Self::BudgetSpent => "budget_spent",
            Self::Transferred => "transferred",
            Self::Completed => "completed",
            Self::Operator => "operator",
            Self::Draining => "draining",
            Self::ClientProtocol(_) => "client_protocol",
            Self::ClientStalled => "client_stalled",
            Self::SonicLost(_) => "sonic_lost",
            Self::ChildFailed(_) => "child_failed",
            Self::SupervisorFailed => "supervisor_failed",
        }
    }

    /// The close code and the text that the client sees.
    pub fn close(&self) -> (CloseCode, &str) {
        match self {
            Self::HungUp => (CloseCode(1000), "Goodbye"),
            // The wording is part of the contract (`contract.md` §1, Behaviour).
            Self::Inactivity => (CloseCode(1000), "Inactivity timeout"),
            Self::TimeLimit => (CloseCode(1000), "Time limit"),
            Self::BudgetSpent => (CloseCode(1008), "The budget is used up"),
            Self::Transferred => (CloseCode(1000), "Transferred to an agent"),
            Self::Completed => (CloseCode(1000), "Call completed"),
            Self::Operator => (CloseCode(1000), "Ended by an operator"),
            Self::Draining => (CloseCode(1012), "The server is restarting"),
            Self::ClientProtocol(why) => (CloseCode(1008), why),
            Self::ClientStalled => (CloseCode(1008), "The client stopped reading"),
            Self::SonicLost(_) => (CloseCode(1011), "The voice service is not available"),
            Self::ChildFailed(_) | Self::SupervisorFailed => (CloseCode(1011), "Internal error"),
        }
    }
}

impl std::fmt::Display for EndReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ClientProtocol(why) => write!(f, "client_protocol: {why}"),
            Self::SonicLost(kind) => write!(f, "sonic_lost: {kind}"),
            Self::ChildFailed(role) => write!(f, "child_failed: {role}"),
            other => f.write_str(other.as_str()),
        }
    }
}
