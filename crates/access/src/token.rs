//! What a token of an identity provider (a JWT, RFC 7519) must say to be good.
//!
//! RS256 and ES256 only (RFC 8725 §3.1), the issuer and the audience are checked, and so is the
//! time. Amazon Cognito's access tokens carry the audience as `client_id`.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, Validation, decode, decode_header,
    errors::{Error, ErrorKind},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Principal, Role, Roles};

/// Seconds by which the clocks may differ.
const LEEWAY: u64 = 30;
/// Longest token that is looked at.
const MAX_LENGTH: usize = 8 * 1024;

/// The rules.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// Who issues: the claim `iss`.
    pub issuer: String,
    /// For whom: one of these is in `aud`, or is `client_id`.
    pub audiences: Vec<String>,
    /// The claim that lists the roles; for Cognito `cognito:groups`.
    pub roles_claim: String,
    /// The roles of a token without that claim.
    pub default_roles: Roles,
}

/// Why a token is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no JWT.
    #[error("this is no token")]
    Malformed,
    /// It is signed in another way.
    #[error("the token must be signed with RS256 or ES256")]
    Algorithm,
    /// Nobody knows the key.
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the signature of the token is wrong")]
    Signature,
    /// It is too old.
    #[error("the token has expired")]
    Expired,
    /// It is for later.
    #[error("the token is not valid yet")]
    NotYet,
    /// Somebody else issued it.
    #[error("the token comes from another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// A claim is missing or odd.
    #[error("the claim {0} is missing or malformed")]
    Claim(String),
    /// The issuer's keys cannot be had.
    #[error("the keys of the issuer cannot be had at the moment")]
    Unavailable,
}

impl TokenError {
    /// Whether the fault is not the client's.
    pub fn is_ours(&self) -> bool {
        *self == Self::Unavailable
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    aud: Value,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// The id of the key that signed `token`.
///
/// # Errors
/// When it is none, or is signed in a way that is not allowed.
pub(crate) fn key_id(token: &str) -> Result<Option<String>, TokenError> {
    if token.len() > MAX_LENGTH {
        return Err(TokenError::Malformed);
    }
    let header = decode_header(token).map_err(|error| TokenError::from(&error))?;
    match header.alg {
        Algorithm::RS256 | Algorithm::ES256 => Ok(header.kid),
        _ => Err(TokenError::Algorithm),
    }
}

impl TokenRules {
    /// Whose token it is, if `key` signed it and it is good now.
    ///
    /// # Errors
    /// Why it is not.
    pub fn verify(&self, token: &str, key: &DecodingKey) -> Result<Principal, TokenError> {
        let mut rules = Validation::new(match key.family() {
            AlgorithmFamily::Rsa => Algorithm::RS256,
            AlgorithmFamily::Ec => Algorithm::ES256,
            _ => return Err(TokenError::UnknownKey),
        });
        rules.leeway = LEEWAY;
        rules.validate_nbf = true;
        rules.set_issuer(&[&self.issuer]);
        rules.set_required_spec_claims(&["exp", "iss", "sub"]);
        // Checked below: the library does not know of `client_id`.
        rules.validate_aud = false;
        let claims =
            decode::<Claims>(token, key, &rules).map_err(|error| TokenError::from(&error))?.claims;
        if !self.is_audience(&claims) {
            return Err(TokenError::Audience);
        }
        let roles = self.roles(&claims.more);
        Ok(Principal { user: Some(claims.sub), key: None, roles })
    }

    fn is_audience(&self, claims: &Claims) -> bool {
        let ours = |name: &str| self.audiences.iter().any(|audience| audience == name);
        match &claims.aud {
            Value::String(one) => ours(one),
            Value::Array(many) => many.iter().filter_map(Value::as_str).any(ours),
            Value::Null => claims.client_id.as_deref().is_some_and(ours),
            _ => false,
        }
    }

    /// Words that are no roles of ours mean something to others.
    fn roles(&self, claims: &Map<String, Value>) -> Roles {
        let role = |word: &str| word.parse::<Role>().ok();
        match claims.get(&self.roles_claim) {
            Some(Value::Array(words)) => {
                words.iter().filter_map(Value::as_str).filter_map(role).collect()
            }
            Some(Value::String(words)) => words.split([' ', ',']).filter_map(role).collect(),
            _ => self.default_roles,
        }
    }
}

impl From<&Error> for TokenError {
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::NotYet,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAlgorithm => Self::Algorithm,
            // The key is one of another kind.
            ErrorKind::InvalidKeyFormat
            | ErrorKind::InvalidRsaKey(_)
            | ErrorKind::InvalidEcdsaKey => Self::UnknownKey,
            ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
                Self::Claim(claim.clone())
            }
            _ => Self::Malformed,
        }
    }
}
