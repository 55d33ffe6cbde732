//! Where `http` tools may go. Pure; built from configuration by the server.
//!
//! Nothing is allowed until it is listed. A host in `hosts` is reached over HTTPS at addresses
//! of the public internet only; one in `private_hosts` also at private and loopback addresses,
//! and also without TLS. Link-local addresses (the cloud's metadata service) are never reached.

/// Most bytes of an answer that are read.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// The allow list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpPolicy {
    /// Hosts of the public internet.
    pub hosts: Vec<HostRule>,
    /// Hosts of the own network.
    pub private_hosts: Vec<HostRule>,
    /// Most bytes of an answer that are read; a longer one is a failure.
    pub max_response_bytes: usize,
}

impl Default for HttpPolicy {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            private_hosts: Vec::new(),
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }
}

/// One entry of the list: `api.bank.example`, `*.bank.example`, `core.internal:8443`, `[::1]:80`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    /// Lower case; behind a leading `.` any name below it fits.
    host: String,
    /// The port of the scheme when absent.
    port: Option<u16>,
}

/// An entry that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host: write api.bank.example, *.bank.example or core.internal:8443")]
pub struct WrongHostRule(pub String);

impl HttpPolicy {
    /// Reads two lists of hosts, separated by commas or blanks.
    pub fn parse(hosts: &str, private_hosts: &str) -> Result<Self, WrongHostRule> {
        let list = |text: &str| -> Result<Vec<HostRule>, WrongHostRule> {
            text.split(|c: char| c == ',' || c.is_whitespace())
                .filter(|part| !part.is_empty())
                .map(HostRule::parse)
                .collect()
        };
        let (hosts, private_hosts) = (list(hosts)?, list(private_hosts)?);
        Ok(Self { hosts, private_hosts, ..Self::default() })
    }

    /// Why a request to that place is refused; `None` if it is allowed. `host` is what a URL
    /// holds: an IPv6 address with its brackets.
    pub fn refuse(&self, scheme: &str, host: &str, port: u16) -> Option<&'static str> {
        let usual = if scheme == "https" { 443 } else { 80 };
        let fits = |rules: &[HostRule]| rules.iter().any(|rule| rule.matches(host, port, usual));
        match scheme {
            "https" | "http" if fits(&self.private_hosts) => None,
            "https" if fits(&self.hosts) => None,
            "http" if fits(&self.hosts) => Some("plain http is for private hosts only"),
            "https" | "http" => Some("the host is not on the allow list"),
            _ => Some("the scheme is neither https nor http"),
        }
    }

    /// Whether that host may have a private address.
    pub fn is_private_allowed(&self, host: &str) -> bool {
        self.private_hosts.iter().any(|rule| rule.matches_name(host))
    }
}

impl HostRule {
    /// Reads an entry.
    pub fn parse(text: &str) -> Result<Self, WrongHostRule> {
        let wrong = || WrongHostRule(text.to_owned());
        let lower = text.trim().trim_end_matches('.').to_ascii_lowercase();
        let behind_address = lower.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match lower[behind_address..].rfind(':') {
            Some(colon) => {
                let (host, port) = lower.split_at(behind_address + colon);
                (host, Some(port[1..].parse().map_err(|_| wrong())?))
            }
            None => (lower.as_str(), None),
        };
        let name = host.strip_prefix('*').unwrap_or(host);
        let is_name = |name: &str| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        let fits = match (host.starts_with('*'), host.strip_prefix('[')) {
            // `*` alone, or `*.` alone, would be everything.
            (true, _) => name.len() > 1 && name.starts_with('.') && is_name(name),
            (false, Some(address)) => address
                .strip_suffix(']')
                .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
            (false, None) => !name.is_empty() && !name.starts_with('.') && is_name(name),
        };
        if fits { Ok(Self { host: name.to_owned(), port }) } else { Err(wrong()) }
    }

    fn matches(&self, host: &str, port: u16, usual: u16) -> bool {
        self.port.unwrap_or(usual) == port && self.matches_name(host)
    }

    fn matches_name(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if self.host.starts_with('.') {
            host.len() > self.host.len() && host.ends_with(&self.host)
        } else {
            host == self.host
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_allowed_until_it_is_listed() {
        let policy = HttpPolicy::default();
        assert_eq!(
            policy.refuse("https", "a.example", 443),
            Some("the host is not on the allow list")
        );
        let policy =
            HttpPolicy::parse("api.bank.example, *.rates.example", "core.internal:8443 [::1]:80")
                .unwrap();
        for (scheme, host, port, allowed) in [
            ("https", "API.bank.example.", 443, true),
            ("https", "api.bank.example", 8443, false),
            ("http", "api.bank.example", 80, false),
            ("https", "evil-api.bank.example", 443, false),
            ("https", "eu.rates.example", 443, true),
            ("https", "rates.example", 443, false),
            ("https", "evilrates.example", 443, false),
            ("http", "core.internal", 8443, true),
            ("http", "core.internal", 80, false),
            ("http", "[::1]", 80, true),
            ("ftp", "core.internal", 8443, false),
        ] {
            assert_eq!(
                policy.refuse(scheme, host, port).is_none(),
                allowed,
                "{scheme} {host} {port}"
            );
        }
        assert!(policy.is_private_allowed("core.internal"));
        assert!(!policy.is_private_allowed("api.bank.example"));
    }

    #[test]
    fn entries_that_would_allow_everything_or_nothing_are_refused() {
        for wrong in ["*", "*.", ".example", "https://a", "a:b", "a:99999", "[x]", "a/b", "a*b"] {
            assert!(HostRule::parse(wrong).is_err(), "{wrong}");
        }
    }
}
