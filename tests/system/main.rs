//! System tests: the real server on a free port, the real AWS SDK, the emulator behind it on a
//! real socket, and callers over real WebSockets. One file per behaviour.

#![expect(clippy::print_stdout, reason = "figures for whoever runs a test with --nocapture")]
#![expect(clippy::expect_used, reason = "what a test stands on must hold, or the test has failed")]

mod support;

mod abuse;
mod access;
mod admission;
mod bad_input;
mod bad_line;
mod barge_in;
mod chaos;
mod check;
mod cloudwatch;
mod conversation;
mod crash;
mod dispute;
mod drain;
mod endings;
mod failover;
mod faults;
mod langfuse;
mod load;
mod log;
mod many_calls;
mod monitor;
mod pages;
mod phone;
mod phone_endurance;
mod phone_flow;
mod protection;
mod recording;
mod reload;
mod remote_tools;
mod renewal;
mod resume;
mod rolling_deploy;
mod secrets;
mod session_log;
mod session_store;
mod settings;
mod shutdown;
mod slow_client;
mod stream_faults;
mod tools;
mod traces;
mod transcription;
mod transfer;
mod workflows;
