//! From which address a request comes, with proxies in between.
//!
//! `X-Forwarded-For` is believed as far as it was written by a configured proxy: from the right,
//! until an address is no proxy of ours. What stands further left, anybody can write.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use ipnet::IpNet;

/// Addresses of the proxies in front of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network; expected an address or a block, such as 10.0.0.0/16")]
pub struct BadProxy(pub String);

impl TrustedProxies {
    /// Whether what `peer` says of others is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(&peer))
    }

    /// The address of the client, given the peer of the connection and the values of its
    /// `X-Forwarded-For` headers in their order.
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut client = peer.to_canonical();
        for hop in forwarded.rev().flat_map(|value| value.rsplit(',')) {
            if !self.trusts(client) {
                break;
            }
            let Some(address) = address(hop.trim()) else { break };
            client = address;
        }
        client
    }
}

/// An address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let plain = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
    plain.or_else(with_port).map(|address| address.to_canonical())
}

/// Whom a limit by address counts as one: a whole network of IPv6, since every subscriber has
/// one (RFC 6177).
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let bits = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks: Vec<_> = self.0.iter().map(IpNet::to_string).collect();
        f.write_str(&networks.join(", "))
    }
}

impl FromStr for TrustedProxies {
    type Err = BadProxy;

    /// Addresses and blocks with commas between them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry: &str| {
            let single = || entry.parse::<IpAddr>().ok().map(IpNet::from);
            let network = entry.parse::<IpNet>().ok().or_else(single);
            network.ok_or_else(|| BadProxy(entry.to_owned()))
        };
        entries.map(read).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proxies: &str, peer: &str, forwarded: &[&str]) -> String {
        let proxies: TrustedProxies = proxies.parse().expect("networks");
        let peer = peer.parse().expect("an address");
        proxies.client(peer, forwarded.iter().copied()).to_string()
    }

    #[test]
    fn a_proxy_of_ours_is_believed_and_nobody_else() {
        let vpc = "10.0.0.0/16, fd00::/8";
        assert_eq!(client(vpc, "10.0.1.2", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(client(vpc, "10.0.1.2", &["6.6.6.6, 203.0.113.7"]), "203.0.113.7", "forged");
        assert_eq!(client(vpc, "10.0.1.2", &["6.6.6.6", "203.0.113.7, 10.0.9.9"]), "203.0.113.7");
        assert_eq!(client(vpc, "203.0.113.7", &["6.6.6.6"]), "203.0.113.7", "not through a proxy");
        assert_eq!(client("", "10.0.1.2", &["6.6.6.6"]), "10.0.1.2", "no proxy is configured");
        assert_eq!(client(vpc, "10.0.1.2", &["nonsense"]), "10.0.1.2");
        assert_eq!(client(vpc, "10.0.1.2", &[]), "10.0.1.2");
        assert_eq!(client(vpc, "::ffff:10.0.1.2", &["[2001:db8::1]:4711"]), "2001:db8::1");
    }

    #[test]
    fn a_subscriber_of_ipv6_is_a_network() {
        let of = |text: &str| subscriber(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("203.0.113.7"), of("203.0.113.8"));
        assert_eq!(of("::ffff:203.0.113.7"), of("203.0.113.7"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["10.0.0.0/33", "proxy.example", "10.0.0"] {
            assert_eq!(bad.parse::<TrustedProxies>(), Err(BadProxy(bad.into())));
        }
    }
}
