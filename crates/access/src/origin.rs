//! From which pages a browser may come: an exact list, and the page of the server itself.
//!
//! An origin is a scheme, a host and a port, as RFC 6454 writes it; the port is left out when it
//! is the scheme's own. Nothing is matched by a part of it.

use std::{fmt, str::FromStr};

/// The origins that are allowed besides the server's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<String>);

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no origin; expected scheme and host, such as https://bank.example")]
pub struct BadOrigin(pub String);

/// Where the server itself was reached.
#[derive(Debug, Clone, Copy)]
pub struct OwnOrigin<'a> {
    /// The `Host` header: a name, and a port that is not the scheme's own.
    pub authority: &'a str,
    /// The scheme, where a trusted proxy or our own socket tells it; absent when nobody does.
    pub scheme: Option<&'a str>,
}

impl AllowedOrigins {
    /// Whether a page of `origin`, as a browser writes it, may come.
    pub fn allows(&self, origin: &str, own: Option<OwnOrigin<'_>>) -> bool {
        let Some(origin) = normal_origin(origin) else { return false };
        self.lists(&origin) || own.is_some_and(|own| is_own(&origin, own))
    }

    /// Whether it is on the list.
    pub fn lists(&self, origin: &str) -> bool {
        self.0.iter().any(|allowed| allowed == origin)
    }
}

fn is_own(origin: &str, own: OwnOrigin<'_>) -> bool {
    let schemes = match own.scheme {
        Some("https") => &["https"][..],
        Some(_) => &["http"],
        None => &["https", "http"],
    };
    let own = |scheme: &&str| normal_origin(&format!("{scheme}://{}", own.authority));
    schemes.iter().filter_map(own).any(|own| own == origin)
}

/// An origin in the one way of writing it; `None` for whatever is none, `null` included.
pub fn normal_origin(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let rest = rest.to_ascii_lowercase();
    let rest = rest.strip_suffix(own_port).unwrap_or(&rest);
    let letters =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    (!rest.is_empty() && rest.chars().all(letters)).then(|| format!("{scheme}://{rest}"))
}

impl fmt::Display for AllowedOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl FromStr for AllowedOrigins {
    type Err = BadOrigin;

    /// Origins with commas between them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry: &str| normal_origin(entry).ok_or_else(|| BadOrigin(entry.to_owned()));
        entries.map(read).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_origins_and_our_own_come_in() {
        let list: AllowedOrigins =
            "https://Bank.example:443, http://localhost:3000".parse().expect("origins");
        let own = |scheme| Some(OwnOrigin { authority: "voice.example", scheme });
        let allowed = [
            ("https://bank.example", own(None)),
            ("http://localhost:3000", own(None)),
            ("https://voice.example", own(None)),
            ("http://voice.example", own(None)),
            ("https://voice.example", own(Some("https"))),
        ];
        for (origin, own) in allowed {
            assert!(list.allows(origin, own), "{origin}");
        }
        let refused = [
            ("https://bank.example.evil.example", own(None)),
            ("https://evilbank.example", own(None)),
            ("https://sub.bank.example", own(None)),
            ("http://bank.example", own(None)),
            ("https://bank.example:8443", own(None)),
            ("http://localhost:3001", own(None)),
            ("http://voice.example", own(Some("https"))),
            ("https://voice.example:8443", own(Some("https"))),
            ("https://voice.example", None),
            ("null", own(None)),
            ("", own(None)),
            ("file://voice.example", own(None)),
            ("https://voice.example/path", own(None)),
            ("https://user@voice.example", own(None)),
        ];
        for (origin, own) in refused {
            assert!(!list.allows(origin, own), "{origin}");
        }
    }

    #[test]
    fn a_list_with_something_else_in_it_is_refused() {
        for bad in ["*", "bank.example", "https://", "https://a/b", "https://a, ws://b"] {
            assert!(bad.parse::<AllowedOrigins>().is_err(), "{bad}");
        }
        assert_eq!("".parse(), Ok(AllowedOrigins::default()));
    }
}
