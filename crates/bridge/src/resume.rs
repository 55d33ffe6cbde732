//! Where another task goes on with a call when its own is gone: at the same conversation, with what
//! the caller has not heard yet.
//!
//! The state of a call is in the memory of one task; all that another one needs is the server's resume
//! token and how far the caller got. That is sealed and goes along with every answer: the flow
//! keeps it and brings it back with the next question. The server is asked again for what comes
//! after it. A machine; made by the call, read by [`crate::http`].

use serde::{Deserialize, Serialize};
use voice_access::{seal::Seal, signature::RequestKey};

/// Where a conversation is gone on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// The conversation's id at the server.
    #[serde(rename = "i")]
    pub(crate) id: String,
    /// The resume token.
    #[serde(rename = "t")]
    pub(crate) token: String,
    /// The number of the last message of which nothing is left to be done.
    #[serde(rename = "s")]
    pub(crate) seq: u64,
    /// Bytes of the assistant's audio that were played, or are not wanted any more.
    #[serde(rename = "b")]
    pub(crate) bytes: u64,
}

impl Point {
    /// As text, for the call of this name; `None` without a key.
    pub(crate) fn seal(&self, key: Option<&RequestKey>, session_id: &str) -> Option<String> {
        let text = serde_json::to_vec(self).ok()?;
        Seal::of(key?).ok()?.close_as_text(session_id, text).ok()
    }

    /// Reads it; `None` for what this key has not sealed for this call.
    pub(crate) fn open(key: Option<&RequestKey>, session_id: &str, sealed: &str) -> Option<Self> {
        let text = Seal::of(key?).ok()?.open_text(session_id, sealed)?;
        serde_json::from_slice(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_comes_back_to_the_call_it_is_of() {
        let key = RequestKey::new("a key of the bridge").expect("a key");
        let point = Point { id: "connect-1-2".into(), token: "t".into(), seq: 7, bytes: 1_920 };
        let sealed = point.seal(Some(&key), "connect-1").expect("sealed");
        assert_eq!(Point::open(Some(&key), "connect-1", &sealed), Some(point.clone()));
        assert_eq!(Point::open(Some(&key), "connect-2", &sealed), None);
        assert_eq!(point.seal(None, "connect-1"), None);
    }
}
