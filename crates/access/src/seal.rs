//! Small secrets that travel through somebody else's hands, sealed with a key of requests.
//!
//! AES-256-GCM under a key of its own, made of the request key. Used by the audio bridge: what another
//! task needs to go on with a call passes through the contact flow, whose log is not ours. Pure.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::signature::RequestKey;

/// So that what is sealed is no signature, and the other way round.
const PURPOSE: &[u8] = b"voice-s2s seal, version 1";

/// Seals and opens. Not printable.
pub struct Seal(RandomizedNonceKey);

impl Seal {
    /// Of everybody who has this key. `None` if there is no AES, and there is.
    pub fn of(key: &RequestKey) -> Option<Self> {
        let derived = hmac::sign(key.hmac(), PURPOSE);
        RandomizedNonceKey::new(&AES_256_GCM, derived.as_ref()).ok().map(Self)
    }

    /// Seals a text for `whom`; letters, digits, dashes and underscores.
    pub fn close(&self, whom: &str, text: &[u8]) -> Option<String> {
        let mut sealed = text.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(whom), &mut sealed).ok()?;
        let mut all = nonce.as_ref().to_vec();
        all.append(&mut sealed);
        Some(URL_SAFE_NO_PAD.encode(all))
    }

    /// Opens what was sealed for `whom` with the same key.
    pub fn open(&self, whom: &str, sealed: &str) -> Option<Vec<u8>> {
        let mut all = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = all.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.0.open_in_place(nonce, Aad::from(whom), sealed).ok()?;
        Some(text.to_vec())
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(key: &str) -> Seal {
        Seal::of(&RequestKey::new(key).expect("long enough")).expect("AES")
    }

    #[test]
    fn what_is_sealed_is_opened_by_whoever_has_the_key_and_for_whom_it_is() {
        let ours = seal("a key of the bridge");
        let sealed = ours.close("c-1", b"a token").expect("sealed");
        assert!(!sealed.contains("token") && sealed.len() < 60, "{sealed}");
        assert_eq!(ours.open("c-1", &sealed).as_deref(), Some(&b"a token"[..]));
        assert_eq!(seal("a key of the bridge").open("c-1", &sealed).map(|t| t.len()), Some(7));
        assert_eq!(ours.open("c-2", &sealed), None, "another call's");
        assert_eq!(seal("the key of another").open("c-1", &sealed), None);
        for other in ["", "x", "AAAA", "not base 64", &sealed[1..], &sealed[..20]] {
            assert_eq!(ours.open("c-1", other), None, "{other}");
        }
        assert_ne!(ours.close("c-1", b"a token"), Some(sealed), "no two are alike");
    }
}
