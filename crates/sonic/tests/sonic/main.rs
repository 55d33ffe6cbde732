//! What a session does as its users see it: golden traces, and properties under any input.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod order_checker;
mod properties;
mod traces;
