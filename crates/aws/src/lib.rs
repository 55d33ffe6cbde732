//! The engine's ports on the AWS SDKs. Floor 3: no actix here, and nothing of the engine.
//!
//! [`BedrockPort`] opens streams to Nova Sonic, [`TranscribePort`] to Transcribe; [`S3Store`] keeps
//! what was said, and [`CloudWatch`] is told the figures. [`KinesisPort`] and [`PollyPort`] are the
//! telephone's: the audio bridge hears and speaks through them. `src/wiring.rs` builds the others;
//! the engine sees only [`voice_call::SonicPort`], and the archive its own `ObjectStore`. The
//! built-in emulator is reached through the very same ports.

pub mod bedrock;
pub mod cloudwatch;
pub mod config;
pub mod kinesis;
mod link;
pub mod polly;
pub mod s3;
pub mod transcribe;
mod trust;
mod words;

pub use bedrock::{BedrockPort, SetupError};
pub use cloudwatch::{CloudWatch, CloudWatchConfig, CloudWatchFault, CloudWatchFaultKind};
pub use config::{BedrockConfig, Credentials};
pub use kinesis::{KinesisConfig, KinesisPort, Media, MediaFault, MediaFaultKind, MediaStart};
pub use polly::{PollyConfig, PollyPort, SpeechFault};
pub use s3::{S3Config, S3Encryption, S3Store};
pub use transcribe::{PersonalData, TranscribeConfig, TranscribePort};
