//! What was said: journal, session log, recording, redaction, price.

pub mod redact;
