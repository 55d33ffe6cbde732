//! Secrets that lie or travel in somebody else's hands, sealed for one call: AES-256-GCM, bound to
//! whom they are for.
//!
//! Used for the states of calls in the session store (`src/store.rs`), and by the audio bridge: what
//! another task needs to go on with a call passes through the contact flow, whose log is not ours.
//! Pure.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    error::Unspecified,
    hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::signature::RequestKey;

/// So that what is sealed is no signature, and the other way round.
const PURPOSE: &[u8] = b"voice-s2s seal, version 1";

/// The key of a seal, in bytes.
pub const KEY_LEN: usize = 32;

/// Seals and opens. Not printable.
pub struct Seal(RandomizedNonceKey);

impl Seal {
    /// With this key.
    ///
    /// # Errors
    /// If there is no AES, and there is.
    pub fn new(key: &[u8; KEY_LEN]) -> Result<Self, Unspecified> {
        RandomizedNonceKey::new(&AES_256_GCM, key).map(Self)
    }

    /// Of everybody who has this key of requests: with a key of its own that is made of it.
    ///
    /// # Errors
    /// As for [`Seal::new`].
    pub fn of(key: &RequestKey) -> Result<Self, Unspecified> {
        let derived = hmac::sign(key.hmac(), PURPOSE);
        RandomizedNonceKey::new(&AES_256_GCM, derived.as_ref()).map(Self)
    }

    /// Seals for `whom`: the nonce, what was sealed, and its tag.
    ///
    /// # Errors
    /// If no random nonce can be had.
    pub fn close(&self, whom: &str, mut plain: Vec<u8>) -> Result<Vec<u8>, Unspecified> {
        let nonce = self.0.seal_in_place_append_tag(Aad::from(whom), &mut plain)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut plain);
        Ok(sealed)
    }

    /// Opens what was sealed for `whom`; `None` for what was sealed with another key or for somebody
    /// else, or was tampered with.
    pub fn open(&self, whom: &str, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.0.open_in_place(nonce, Aad::from(whom), sealed).ok()?;
        Some(plain.to_vec())
    }

    /// The same as [`Seal::close`], as letters, digits, dashes and underscores.
    ///
    /// # Errors
    /// As for [`Seal::close`].
    pub fn close_as_text(&self, whom: &str, plain: Vec<u8>) -> Result<String, Unspecified> {
        Ok(URL_SAFE_NO_PAD.encode(self.close(whom, plain)?))
    }

    /// Opens what [`Seal::close_as_text`] has made.
    pub fn open_text(&self, whom: &str, sealed: &str) -> Option<Vec<u8>> {
        self.open(whom, URL_SAFE_NO_PAD.decode(sealed).ok()?)
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
        let sealed = ours.close_as_text("c-1", b"a token".to_vec()).expect("sealed");
        assert!(!sealed.contains("token") && sealed.len() < 60, "{sealed}");
        assert_eq!(ours.open_text("c-1", &sealed).as_deref(), Some(&b"a token"[..]));
        assert_eq!(seal("a key of the bridge").open_text("c-1", &sealed).map(|t| t.len()), Some(7));
        assert_eq!(ours.open_text("c-2", &sealed), None, "another call's");
        assert_eq!(seal("the key of another").open_text("c-1", &sealed), None);
        for other in ["", "x", "AAAA", "not base 64", &sealed[1..], &sealed[..20]] {
            assert_eq!(ours.open_text("c-1", other), None, "{other}");
        }
        let again = ours.close_as_text("c-1", b"a token".to_vec());
        assert_ne!(again.expect("sealed"), sealed, "no two are alike");
    }
}
