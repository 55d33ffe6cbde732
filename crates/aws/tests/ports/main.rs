//! The ports on the real SDKs, against the emulator on a real socket.

mod bedrock;
mod cloudwatch;
mod transcribe;
