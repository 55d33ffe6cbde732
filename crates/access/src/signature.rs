//! Requests that prove who sent them: HMAC-SHA-256 over the time, the path and the body.
//!
//! A machine: `now` is an argument. It knows no HTTP. The functions of the phone sign with [`sign`],
//! the audio bridge lets in with [`Gatekeeper`].

use std::collections::HashMap;

use aws_lc_rs::hmac;

/// How far a request's time may be from ours, in seconds.
pub const WINDOW_SECONDS: u64 = 300;

/// Signatures that are remembered, so that none is used twice. Far more than are sent in a window;
/// when it is full nobody new is let in.
const REMEMBERED: usize = 100_000;

/// The header with the seconds since 1970.
pub const TIME_HEADER: &str = "x-voice-time";
/// The header with something that no other request has.
pub const NONCE_HEADER: &str = "x-voice-nonce";
/// The header with the signature, in hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "x-voice-signature";

/// The key of requests. Not printable.
#[derive(Clone)]
pub struct RequestKey(hmac::Key);

impl RequestKey {
    /// From at least 16 bytes.
    pub fn new(key: &str) -> Option<Self> {
        (key.len() >= 16).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())))
    }

    pub(crate) fn hmac(&self) -> &hmac::Key {
        &self.0
    }
}

impl std::fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestKey")
    }
}

/// The signature of a request.
pub fn sign(key: &RequestKey, seconds: u64, nonce: &str, path: &str, body: &[u8]) -> String {
    hex::encode(hmac::sign(&key.0, &signed(seconds, nonce, path, body)))
}

/// What is signed: neither a time, a nonce nor a path has a line feed in it.
fn signed(seconds: u64, nonce: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut all = format!("{seconds}\n{nonce}\n{path}\n").into_bytes();
    all.extend_from_slice(body);
    all
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header is not there, or cannot be read.
    #[error(
        "the request is not signed: x-voice-time, x-voice-nonce and x-voice-signature are expected"
    )]
    Unsigned,
    /// The time is too far from ours.
    #[error("the time of the request is more than {WINDOW_SECONDS} s from ours")]
    Stale,
    /// Another key, or another request.
    #[error("the signature is not that of this request")]
    Wrong,
    /// It was used before.
    #[error("the request was sent before")]
    Replayed,
    /// Too many requests in a window.
    #[error("too many requests at a time")]
    Full,
}

/// What a request says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Of [`TIME_HEADER`].
    pub time: &'a str,
    /// Of [`NONCE_HEADER`].
    pub nonce: &'a str,
    /// Of [`SIGNATURE_HEADER`].
    pub signature: &'a str,
}

/// Lets requests in, each once.
#[derive(Debug)]
pub struct Gatekeeper {
    key: RequestKey,
    /// Signatures of the window, with the second at which they are forgotten.
    seen: HashMap<String, u64>,
    swept: u64,
}

impl Gatekeeper {
    /// With a key.
    pub fn new(key: RequestKey) -> Self {
        Self { key, seen: HashMap::new(), swept: 0 }
    }

    /// Checks a request that came at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// [`Refusal`] says why it is not let in.
    pub fn admit(
        &mut self,
        claim: Claim<'_>,
        path: &str,
        body: &[u8],
        now: u64,
    ) -> Result<(), Refusal> {
        let seconds: u64 = claim.time.parse().map_err(|_| Refusal::Unsigned)?;
        let signature = hex::decode(claim.signature).map_err(|_| Refusal::Unsigned)?;
        if claim.nonce.is_empty() || claim.nonce.len() > 128 {
            return Err(Refusal::Unsigned);
        }
        if seconds.abs_diff(now) > WINDOW_SECONDS {
            return Err(Refusal::Stale);
        }
        // In constant time.
        let said = signed(seconds, claim.nonce, path, body);
        hmac::verify(&self.key.0, &said, &signature).map_err(|_| Refusal::Wrong)?;
        if self.swept != now {
            self.swept = now;
            self.seen.retain(|_, until| *until >= now);
        }
        if self.seen.contains_key(claim.signature) {
            return Err(Refusal::Replayed);
        }
        if self.seen.len() >= REMEMBERED {
            return Err(Refusal::Full);
        }
        self.seen.insert(claim.signature.to_owned(), seconds + WINDOW_SECONDS);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key(text: &str) -> RequestKey {
        RequestKey::new(text).expect("long enough")
    }

    fn gate() -> Gatekeeper {
        Gatekeeper::new(key("a key of the bridge"))
    }

    fn admit(gate: &mut Gatekeeper, seconds: u64, nonce: &str, body: &[u8]) -> Result<(), Refusal> {
        let signature = sign(&key("a key of the bridge"), seconds, nonce, "/turn", b"{}");
        let time = seconds.to_string();
        gate.admit(Claim { time: &time, nonce, signature: &signature }, "/turn", body, NOW)
    }

    #[test]
    fn a_signed_request_is_let_in_once() {
        let mut gate = gate();
        assert_eq!(admit(&mut gate, NOW, "1", b"{}"), Ok(()));
        assert_eq!(admit(&mut gate, NOW, "1", b"{}"), Err(Refusal::Replayed));
        assert_eq!(admit(&mut gate, NOW, "2", b"{}"), Ok(()));
    }

    #[test]
    fn another_body_path_key_or_time_is_refused() {
        let mut gate = gate();
        assert_eq!(admit(&mut gate, NOW, "1", b"{ }"), Err(Refusal::Wrong));
        assert_eq!(admit(&mut gate, NOW - 301, "1", b"{}"), Err(Refusal::Stale));
        assert_eq!(admit(&mut gate, NOW + 301, "1", b"{}"), Err(Refusal::Stale));
        assert_eq!(admit(&mut gate, NOW + 300, "1", b"{}"), Ok(()));
        let time = NOW.to_string();
        let signed = sign(&key("the key of another"), NOW, "9", "/turn", b"{}");
        let claim = Claim { time: &time, nonce: "9", signature: &signed };
        assert_eq!(gate.admit(claim, "/turn", b"{}", NOW), Err(Refusal::Wrong));
        let signed = sign(&key("a key of the bridge"), NOW, "9", "/end", b"{}");
        let claim = Claim { time: &time, nonce: "9", signature: &signed };
        assert_eq!(gate.admit(claim, "/turn", b"{}", NOW), Err(Refusal::Wrong));
        let claim = Claim { time: "now", nonce: "9", signature: &signed };
        assert_eq!(gate.admit(claim, "/end", b"{}", NOW), Err(Refusal::Unsigned));
        let claim = Claim { time: &time, nonce: "9", signature: "zz" };
        assert_eq!(gate.admit(claim, "/end", b"{}", NOW), Err(Refusal::Unsigned));
    }

    #[test]
    fn what_is_too_old_to_be_let_in_is_forgotten() {
        let mut gate = gate();
        assert_eq!(admit(&mut gate, NOW, "1", b"{}"), Ok(()));
        let later = NOW + 301;
        let signature = sign(&key("a key of the bridge"), later, "1", "/turn", b"{}");
        let time = later.to_string();
        let claim = Claim { time: &time, nonce: "1", signature: &signature };
        assert_eq!(gate.admit(claim, "/turn", b"{}", later), Ok(()));
        assert_eq!(gate.seen.len(), 1);
    }

    #[test]
    fn a_key_does_not_show_and_a_short_one_is_none() {
        assert!(RequestKey::new("short").is_none());
        assert_eq!(format!("{:?}", key("a key of the bridge")), "RequestKey");
    }
}
