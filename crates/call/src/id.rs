//! The name of a call: what the client, the logs and the registry call it by.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest call id in bytes (`contract.md` §1).
pub const MAX_LEN: usize = 128;

/// A call id: 1 to 128 characters of `[A-Za-z0-9._:-]`.
///
/// Cheap to clone. It never holds a path separator, but `..` is a valid id:
/// whoever makes a file name of it adds a prefix.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallId(Arc<str>);

/// Why a text is not a call id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCallId {
    /// Nothing was given.
    #[error("a session id must not be empty")]
    Empty,
    /// More than [`MAX_LEN`] bytes.
    #[error("a session id has at most {MAX_LEN} characters, this one has {0}")]
    TooLong(usize),
    /// A character outside `[A-Za-z0-9._:-]`.
    #[error("a session id is made of A-Z a-z 0-9 . _ : - only, but character {at} is {found:?}")]
    Character {
        /// Position, counted from 1.
        at: usize,
        /// What stands there.
        found: char,
    },
}

impl CallId {
    /// A fresh random id (UUID version 4).
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for CallId {
    type Err = InvalidCallId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(InvalidCallId::Empty);
        }
        let stray = text
            .chars()
            .enumerate()
            .find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-')));
        if let Some((index, found)) = stray {
            return Err(InvalidCallId::Character { at: index + 1, found });
        }
        if text.len() > MAX_LEN {
            return Err(InvalidCallId::TooLong(text.len()));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for CallId {
    type Error = InvalidCallId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CallId> for String {
    fn from(id: CallId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_paths_and_says_where() {
        let error = "a/../b".parse::<CallId>();
        assert_eq!(error, Err(InvalidCallId::Character { at: 2, found: '/' }));
        assert_eq!("".parse::<CallId>(), Err(InvalidCallId::Empty));
        assert_eq!("x".repeat(129).parse::<CallId>(), Err(InvalidCallId::TooLong(129)));
    }

    proptest! {
        #[test]
        fn what_is_accepted_comes_back_unchanged(text in "[A-Za-z0-9._:-]{1,128}") {
            prop_assert_eq!(text.parse::<CallId>().map(String::from), Ok(text));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".*") {
            let _ = text.parse::<CallId>();
        }
    }
}
