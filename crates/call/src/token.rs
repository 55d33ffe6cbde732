//! The right to come back to a call whose connection was lost.

use std::fmt;

/// A secret that only the client of one call has: good for one return. 244 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct ResumeToken(String);

impl ResumeToken {
    /// A fresh token.
    pub fn random() -> Self {
        let half = || uuid::Uuid::new_v4().simple().to_string();
        Self(half() + &half())
    }

    /// The token as the client gets it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is the token. Takes the same time wherever the difference is.
    pub fn matches(&self, offered: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), offered.as_bytes());
        let difference = ours.iter().zip(theirs).fold(0, |all, (a, b)| all | (a ^ b));
        ours.len() == theirs.len() && std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_matches_and_no_log_shows_it() {
        let token = ResumeToken::random();
        assert!(token.clone().matches(token.reveal()));
        for wrong in ["", &token.reveal()[1..], ResumeToken::random().reveal()] {
            assert!(!token.matches(wrong));
        }
        assert_eq!(token.reveal().len(), 64);
        assert!(!format!("{token:?}").contains(token.reveal()));
    }
}
