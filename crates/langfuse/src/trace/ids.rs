//! The ids of traces and spans, all made of what they name.
//!
//! So a client can be told its trace before a span exists, every task of a call writes to the same
//! trace, and what is sent twice is the same thing twice.

use opentelemetry::trace::{SpanId, TraceId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The trace of a session. A session id that is a UUID (as the server's own are) is the trace id,
/// without the dashes; of any other, it is the beginning of a SHA-256. The exact id is on every
/// span besides.
pub(crate) fn trace_id(session_id: &str) -> TraceId {
    let uuid = Uuid::try_parse(session_id).ok().filter(|uuid| !uuid.is_nil());
    // Another spelling of a UUID is another session.
    if let Some(uuid) = uuid.filter(|uuid| uuid.to_string() == session_id) {
        return TraceId::from_bytes(uuid.into_bytes());
    }
    TraceId::from_bytes(digest(&[session_id]))
}

/// The trace id as clients and Langfuse have it: 32 hexadecimal digits.
pub fn trace_id_of(session_id: &str) -> String {
    trace_id(session_id).to_string()
}

/// The span that holds a session.
pub(crate) fn root_id(session_id: &str) -> SpanId {
    SpanId::from_bytes(digest(&[session_id, "root"]))
}

/// A span of one task's part of a session, which began at `began`.
pub(crate) fn span_id(session_id: &str, began: u64, kind: &str, key: &str) -> SpanId {
    SpanId::from_bytes(digest(&[session_id, &began.to_string(), kind, key]))
}

/// The id of a score: whoever gives it again replaces it.
pub(crate) fn score_id(subject: &str, name: &str) -> String {
    Uuid::from_bytes(digest(&["score", subject, name])).to_string()
}

/// The beginning of a hash of these texts, whose bounds count. Never all zeros, which OpenTelemetry
/// takes for no id.
fn digest<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; N];
    bytes.iter_mut().zip(hash.finalize()).for_each(|(byte, hashed)| *byte = hashed);
    if bytes.iter().all(|byte| *byte == 0) {
        bytes.fill(1);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_its_trace_and_anything_else_has_one() {
        let uuid = "6e0f2c1a-9b1c-4d2e-8a77-1f0c5b8d9e21";
        assert_eq!(trace_id_of(uuid), uuid.replace('-', ""));
        let shouted = trace_id_of(&uuid.to_uppercase());
        assert_ne!(shouted, trace_id_of(uuid), "another session");
        for odd in ["call-1", "", "00000000-0000-0000-0000-000000000000", &"x".repeat(128)] {
            let trace = trace_id(odd);
            assert_ne!(trace, TraceId::INVALID);
            assert_eq!(trace, trace_id(odd), "stable");
        }
        // The same in every version: tasks of two versions may have parts of one call.
        assert_eq!(trace_id_of("call-1"), "71b295ab573dea929a997118b7377244");
        assert_ne!(trace_id("call-1"), trace_id("call-2"));
    }

    #[test]
    fn bounds_between_the_parts_count() {
        assert_ne!(span_id("a", 1, "b", "c"), span_id("a", 1, "bc", ""));
        assert_ne!(score_id("a", "bc"), score_id("ab", "c"));
    }
}
