//! An identity provider: its rules, and the keys that it publishes (RFC 7517).
//!
//! The one part of this crate that goes to the network. Askers wait for one question together.

use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use reqwest::redirect;
use tokio::sync::Mutex;

use crate::{
    Principal, TokenError, TokenRules,
    keyring::{KeyRing, Lookup},
    token,
};

/// Longest wait for the keys.
const DEADLINE: Duration = Duration::from_secs(5);
/// Longest list of keys that is read, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// An identity provider.
pub struct Issuer {
    rules: TokenRules,
    url: String,
    http: reqwest::Client,
    ring: Mutex<KeyRing>,
}

impl Issuer {
    /// A provider that publishes its keys at `url`. Nothing is asked yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(rules: TokenRules, url: String) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(DEADLINE)
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self { rules, url, http, ring: Mutex::default() })
    }

    /// Whose token it is, if it is good.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn verify(&self, token: &str) -> Result<Principal, TokenError> {
        let id = token::key_id(token)?;
        let key = {
            let mut ring = self.ring.lock().await;
            let mut found = ring.look(id.as_deref(), Instant::now());
            if matches!(found, Lookup::Ask) {
                ring.asking(Instant::now());
                match self.fetch().await {
                    Ok(set) => {
                        ring.answered(&set, Instant::now());
                        tracing::info!(keys = ring.len(), "keys of the identity provider");
                    }
                    Err(error) => tracing::warn!(
                        url = self.url,
                        error,
                        "JWT_JWKS_URL: the keys of the identity provider cannot be had"
                    ),
                }
                found = ring.look(id.as_deref(), Instant::now());
            }
            match found {
                Lookup::Known(key) => key,
                Lookup::Unknown => return Err(TokenError::UnknownKey),
                Lookup::Ask | Lookup::Nothing => return Err(TokenError::Unavailable),
            }
        };
        self.rules.verify(token, &key)
    }

    async fn fetch(&self) -> Result<JwkSet, String> {
        let unreachable = |error: reqwest::Error| error.without_url().to_string();
        let mut answer = self.http.get(&self.url).send().await.map_err(unreachable)?;
        if !answer.status().is_success() {
            return Err(format!("it answers {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("its answer is longer than {MAX_ANSWER} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|error| format!("it is no set of keys: {error}"))
    }
}
