//! The public keys of an identity provider, and when to ask for them.
//!
//! A machine: no clock, no I/O. A key that is not known is a reason to ask, but not more often
//! than once in [`PAUSE`]: anybody can send tokens that name any key.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse},
};

/// Shortest time between two questions.
const PAUSE: Duration = Duration::from_secs(30);
/// Keys are asked for anew when they are older.
const FRESH: Duration = Duration::from_secs(3_600);
/// Keys are good for so long when the provider does not answer.
const STALE: Duration = Duration::from_secs(86_400);
/// Keys of one provider; there are two or three.
const MAX_KEYS: usize = 64;

/// The keys.
#[derive(Default)]
pub(crate) struct KeyRing {
    keys: HashMap<String, DecodingKey>,
    /// When they came.
    at: Option<Instant>,
    /// When they were asked for.
    asked: Option<Instant>,
}

/// What to do about a token.
pub(crate) enum Lookup {
    /// This is its key.
    Known(DecodingKey),
    /// Ask the provider, then look again.
    Ask,
    /// There is no such key.
    Unknown,
    /// There are no keys, and it is too early to ask again.
    Nothing,
}

impl KeyRing {
    /// The key of this id. A token that names none is looked up where there is one key only.
    pub(crate) fn look(&self, id: Option<&str>, now: Instant) -> Lookup {
        let age = self.at.map(|at| now.saturating_duration_since(at));
        let known = match id {
            Some(id) => self.keys.get(id),
            None if self.keys.len() == 1 => self.keys.values().next(),
            None => None,
        };
        let may_ask = self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= PAUSE);
        match (known, age) {
            (Some(key), Some(age)) if age < FRESH || (age < STALE && !may_ask) => {
                Lookup::Known(key.clone())
            }
            _ if may_ask => Lookup::Ask,
            (None, Some(age)) if age < STALE => Lookup::Unknown,
            _ => Lookup::Nothing,
        }
    }

    /// The provider is asked now.
    pub(crate) fn asking(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// The provider has answered.
    pub(crate) fn answered(&mut self, set: &JwkSet, now: Instant) {
        let keys = set.keys.iter().filter(|key| may_sign(key)).take(MAX_KEYS);
        let named = keys.filter_map(|key| {
            let id = key.common.key_id.clone().unwrap_or_default();
            DecodingKey::from_jwk(key).ok().map(|key| (id, key))
        });
        self.keys = named.collect();
        self.at = Some(now);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// A key for signatures that anybody may check. A shared secret is none.
fn may_sign(key: &Jwk) -> bool {
    let asymmetric = matches!(
        key.algorithm,
        AlgorithmParameters::RSA(_) | AlgorithmParameters::EllipticCurve(_)
    );
    let purpose = key.common.public_key_use.as_ref();
    asymmetric && purpose.is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7517 §A.1, shortened to what is needed.
    fn set(ids: &[&str]) -> JwkSet {
        let key = |id: &&str| {
            serde_json::json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig",
                "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})
        };
        let mut keys: Vec<_> = ids.iter().map(key).collect();
        keys.push(serde_json::json!({"kty": "oct", "kid": "shared", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMko"}));
        let mut for_encryption = keys[0].clone();
        for_encryption["kid"] = "enc".into();
        for_encryption["use"] = "enc".into();
        keys.push(for_encryption);
        serde_json::from_value(serde_json::json!({ "keys": keys })).expect("a key set")
    }

    fn word(lookup: &Lookup) -> &'static str {
        match lookup {
            Lookup::Known(_) => "known",
            Lookup::Ask => "ask",
            Lookup::Unknown => "unknown",
            Lookup::Nothing => "nothing",
        }
    }

    #[test]
    fn unknown_keys_are_asked_for_but_not_all_the_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ring = KeyRing::default();
        let look = |ring: &KeyRing, id: &str, seconds| word(&ring.look(Some(id), at(seconds)));
        assert_eq!(look(&ring, "a", 0), "ask");
        ring.asking(at(0));
        assert_eq!(look(&ring, "a", 1), "nothing", "no answer yet");
        ring.answered(&set(&["a"]), at(1));
        assert_eq!((look(&ring, "a", 2), look(&ring, "b", 2)), ("known", "unknown"));
        assert_eq!(look(&ring, "b", 31), "ask", "it may be a new one");
        ring.asking(at(31));
        ring.answered(&set(&["a", "b"]), at(31));
        assert_eq!((look(&ring, "b", 32), look(&ring, "c", 32)), ("known", "unknown"));
    }

    #[test]
    fn old_keys_serve_while_the_provider_is_away_but_not_for_ever() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ring = KeyRing::default();
        ring.asking(at(0));
        ring.answered(&set(&["a"]), at(0));
        assert_eq!(word(&ring.look(Some("a"), at(3_700))), "ask");
        ring.asking(at(3_700));
        assert_eq!(
            word(&ring.look(Some("a"), at(3_701))),
            "known",
            "no answer, but it is good still"
        );
        ring.asking(at(90_000));
        assert_eq!(word(&ring.look(Some("a"), at(90_001))), "nothing");
    }

    #[test]
    fn only_keys_for_signatures_count_and_a_single_one_needs_no_name() {
        let now = Instant::now();
        let mut ring = KeyRing::default();
        ring.asking(now);
        ring.answered(&set(&["a"]), now);
        assert_eq!(ring.len(), 1);
        assert_eq!(word(&ring.look(Some("shared"), now)), "unknown");
        assert_eq!(word(&ring.look(None, now)), "known");
        ring.answered(&set(&["a", "b"]), now);
        assert_eq!(word(&ring.look(None, now)), "unknown");
    }
}
