//! API keys: random, shown once, kept as a hash.
//!
//! A key has 256 random bits, so a fast hash is enough: there is nothing to guess.

use std::{collections::BTreeMap, fmt, str::FromStr};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, SHA256_OUTPUT_LEN, digest},
    rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{Principal, Roles};

/// How a key begins, so that people and secret scanners recognise one.
const PREFIX: &str = "vs2s_";
/// Random bytes of a key.
const KEY_BYTES: usize = 32;
/// Longest name of a key.
const MAX_NAME: usize = 64;

/// The keys that are good.
#[derive(Clone, Default)]
pub struct ApiKeys(BTreeMap<String, Entry>);

#[derive(Clone)]
struct Entry {
    hash: [u8; SHA256_OUTPUT_LEN],
    roles: Roles,
    /// Most calls at a time; 0: no limit of its own.
    max_calls: usize,
}

/// An entry that cannot be read. It never quotes the hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {number}: {what}; expected NAME:ROLE[+ROLE]:SHA256[:CALLS]")]
pub struct BadKey {
    number: usize,
    what: String,
}

/// A key that was just made. Not printable by accident.
pub struct NewKey {
    /// The key itself, for whoever will use it.
    pub key: String,
    /// What goes into the configuration.
    pub entry: String,
}

impl ApiKeys {
    /// Who presents this key.
    pub fn find(&self, key: &str) -> Option<Principal> {
        let hash = digest(&SHA256, key.as_bytes());
        let found = self
            .0
            .iter()
            .find(|(_, entry)| verify_slices_are_equal(&entry.hash, hash.as_ref()).is_ok());
        let (name, entry) = found?;
        let name = || Some(name.clone());
        Some(Principal { user: name(), key: name(), roles: entry.roles })
    }

    /// Most calls at a time under the key of this name; `None`: no limit.
    pub fn max_calls(&self, name: &str) -> Option<usize> {
        self.0.get(name).map(|entry| entry.max_calls).filter(|max| *max > 0)
    }

    /// The roles of the key of this name; `None` when it was taken away.
    pub fn roles(&self, name: &str) -> Option<Roles> {
        self.0.get(name).map(|entry| entry.roles)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes a key.
    ///
    /// # Errors
    /// When the name is not one, or the system has no random numbers.
    pub fn make(name: &str, roles: Roles) -> Result<NewKey, String> {
        check_name(name)?;
        let mut bytes = [0; KEY_BYTES];
        rand::fill(&mut bytes).map_err(|_| "the system gives no random numbers".to_owned())?;
        let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        let hash = hex::encode(digest(&SHA256, key.as_bytes()));
        Ok(NewKey { entry: format!("{name}:{roles}:{hash}"), key })
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
        return Err(format!("the name has 1 to {MAX_NAME} of A-Z a-z 0-9 - _ ."));
    }
    Ok(())
}

impl FromStr for ApiKeys {
    type Err = BadKey;

    /// Entries with commas, semicolons or line ends between them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut keys = BTreeMap::new();
        let entries = text.split([',', ';', '\n']).map(str::trim).filter(|e| !e.is_empty());
        for (index, text) in entries.enumerate() {
            let bad = |what: String| BadKey { number: index + 1, what };
            let (name, entry) = read(text).map_err(bad)?;
            if keys.insert(name.to_owned(), entry).is_some() {
                return Err(bad(format!("there are two keys of the name {name}")));
            }
        }
        Ok(Self(keys))
    }
}

fn read(text: &str) -> Result<(&str, Entry), String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (name, roles, hash, calls) = match parts[..] {
        [name, roles, hash] => (name, roles, hash, "0"),
        [name, roles, hash, calls] => (name, roles, hash, calls),
        _ => return Err(format!("it has {} parts", parts.len())),
    };
    check_name(name)?;
    let roles = roles.parse::<Roles>().map_err(|unknown| unknown.to_string())?;
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    hex::decode_to_slice(hash, &mut bytes)
        .map_err(|_| "the hash is not 64 hexadecimal digits".to_owned())?;
    let max_calls = calls.parse().map_err(|_| format!("{calls:?} is no number of calls"))?;
    Ok((name, Entry { hash: bytes, roles, max_calls }))
}

impl fmt::Debug for ApiKeys {
    /// Names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    #[test]
    fn a_key_that_was_made_is_found_and_no_other() {
        let bank = ApiKeys::make("bank", Role::Caller.into()).expect("a key");
        let ops = ApiKeys::make("ops", Roles::ALL).expect("a key");
        let text = format!("{}:20,\n{}\n", bank.entry, ops.entry);
        let keys: ApiKeys = text.parse().expect("entries");
        let found = keys.find(&bank.key).expect("known");
        assert_eq!((found.user.as_deref(), found.roles), (Some("bank"), Role::Caller.into()));
        assert_eq!(keys.find(&ops.key).expect("known").roles, Roles::ALL);
        assert_eq!((keys.max_calls("bank"), keys.max_calls("ops")), (Some(20), None));
        for wrong in ["", "vs2s_", &bank.key[..bank.key.len() - 1], &format!("{}x", bank.key)] {
            assert_eq!(keys.find(wrong), None, "{wrong}");
        }
        assert_ne!(bank.key, ops.key);
        assert!(!bank.entry.contains(&bank.key), "the configuration holds a hash only");
    }

    #[test]
    fn a_faulty_entry_says_which_and_why_and_quotes_no_hash() {
        let hash = "ab".repeat(32);
        let cases = [
            ("bank:caller", "entry 1: it has 2 parts"),
            (&format!("a:caller:{hash},b:boss:{hash}"), "entry 2: \"boss\" is no role"),
            (&format!("a b:caller:{hash}"), "entry 1: the name has"),
            ("a:caller:abcd", "entry 1: the hash is not 64"),
            (&format!("a:caller:{hash}:many"), "entry 1: \"many\" is no number"),
            (&format!("a:caller:{hash};a:editor:{hash}"), "entry 2: there are two"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<ApiKeys>().expect_err("faulty").to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains(&hash), "{error}");
        }
        assert!("".parse::<ApiKeys>().expect("none").is_empty());
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        let made = ApiKeys::make("bank", Roles::ALL).expect("a key");
        let keys: ApiKeys = made.entry.parse().expect("an entry");
        assert_eq!(format!("{keys:?}"), "[\"bank\"]");
    }
}
