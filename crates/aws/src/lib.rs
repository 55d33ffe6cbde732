//! The engine's ports on the AWS SDKs. Floor 3: no actix here, and nothing of the engine.
//!
//! [`BedrockPort`] opens streams to Nova Sonic. `src/wiring.rs` builds it, the engine sees only
//! [`voice_call::SonicPort`]. The built-in emulator is reached through the very same port.

pub mod bedrock;
pub mod config;

pub use bedrock::{BedrockPort, SetupError};
pub use config::{BedrockConfig, Credentials};
