//! The sound of the telephone path, measured from outside.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]
#![expect(clippy::print_stderr, reason = "a test that proves nothing has to say so")]

mod response;
mod sox;
