//! A stand-in for the AWS services Voice S2S talks to, on the real wire.
//!
//! It speaks the protocols themselves (HTTP/1.1, h2c, TLS with HTTP/2, SigV4, event-stream
//! frames), so the genuine AWS SDK of any language connects to it. It is the embedded default of
//! the server, the subcommand `voice-s2s emulator`, and the far side in tests. It is not the
//! model: it follows a script. With [`Ears`] it recognises the phrases of that script, and nothing
//! else; it never claims to understand.
//!
//! [`Emulator::start`] runs it on a thread of its own; [`Observer`] tells what it heard.

mod agent;
mod cloudwatch;
mod config;
mod denoise;
pub mod ear;
mod ears;
mod emulator;
mod front;
mod kinesis;
mod listener;
mod observe;
pub mod script;
mod session;
mod transcribe;
pub mod voice;
mod world;

pub use agent::{AgentFault, AgentRequest, TaskAgent};
pub use cloudwatch::TakenDatum;
pub use config::{
    ACCESS_KEY_ID, BadChaos, Chaos, Clocks, CloudWatchConfig, CloudWatchFault, CloudWatchFaultKind,
    EmulatorConfig, EndpointingPauses, ExceptionKind, Fault, FaultKind, FaultMoment, FaultScope,
    Generation, MediaConfig, MediaFault, MediaFaultKind, MediaShape, MediaSource, ModelEntry,
    PollyConfig, RecordLimits, Refusal, ResponseHead, SECRET_ACCESS_KEY, TestCredentials,
    TranscribeConfig, TranscribeException, TranscribeFault, TranscribeFaultKind, Untagged,
    Utterance,
};
pub use denoise::{BadDenoise, Denoise};
pub use ears::Ears;
pub use emulator::{Emulator, StartError};
pub use kinesis::{Line, MediaStreams};
pub use observe::metrics::{Metrics, PutRequest};
pub use observe::transcriptions::Transcriptions;
pub use observe::{Observer, RefusedRequest, SessionSnapshot, WaitTimeout};
