//! The call engine: one supervisor actor per call with five children, and a registry.
//!
//! Floor 3. It knows actix, the vocabulary of a call, the Sonic machine, the wire and the
//! catalog; it knows neither the AWS SDK nor actix-web. The outside reaches it through
//! [`Registry::admit`] and [`start_call`]; it reaches the outside through the ports it was
//! given in [`Ports`].
//!
//! ```text
//!   socket ──Outbox──▶ Client ──Outbox──▶ SonicStream ──▶ port     one audio frame in
//!   socket ◀──Outbox── Client ◀──Outbox── SonicStream ◀── port     one audio frame out
//!                        │ ▲                 │ ▲
//!                        ▼ │  rare events    ▼ │
//!                        Call (supervisor, hub of everything but audio)
//!                        │        │          │
//!                  Transcriber  ToolRunner  TransferDetector
//! ```

pub mod call;
pub mod client;
pub mod clock;
pub mod drain;
pub mod engine;
pub mod loudness;
pub mod mailbox;
pub mod pace;
pub mod policy;
pub mod registry;
pub mod sonic;
pub mod supervise;
pub mod tools;
pub mod transcript;
pub mod transfer;

pub use call::{continue_call, start_call};
pub use client::{Connection, FromSocket, Seen, SocketSide, ToSocket};
pub use clock::Clock;
pub use engine::{Engine, EngineConfig, Identity, Ports, Recalled};
pub use mailbox::{Outbox, Queued};
#[cfg(feature = "chaos")]
pub use registry::chaos::Mishap;
pub use registry::{
    CallLease, Claim, DrainReport, DrainState, NoSuchCall, Party, PartyLimits, PartyRefusal,
    Refusal, Registry,
};
pub use transfer::TransferConfig;
