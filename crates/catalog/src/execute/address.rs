//! Which addresses belong to the public internet. Pure; asked after a name was resolved and
//! before a connection is made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address may be trusted to be somebody else's public server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The public internet.
    Public,
    /// The own machine or network: private, loopback, carrier-grade NAT, unique local.
    Private,
    /// Never a back end: link-local (the cloud's metadata service), multicast, reserved.
    Never,
}

/// Where an address leads (IANA special-purpose registries).
pub(super) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => {
            Reach::Private
        }
        // "This network", link-local, protocol assignments, documentation, 6to4 relays,
        // benchmarks, multicast, reserved.
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Reach::Never,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        [0xfc00..=0xfdff, ..] => Reach::Private,
        // IPv4 behind NAT64, as DNS64 hands it out in networks without IPv4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // IPv4-mapped: a private one stays private, but nothing public is reached this way.
        [0, 0, 0, 0, 0, 0xffff, high, low] => match embedded(high, low) {
            Reach::Private => Reach::Private,
            _ => Reach::Never,
        },
        // Teredo, ORCHID and their like; documentation; 6to4, which can hold any IPv4.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => {
            Reach::Never
        }
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_address_is_known() {
        for (reach_of, addresses) in [
            (
                Reach::Public,
                "1.1.1.1 52.94.0.1 172.32.0.1 100.128.0.1 2600:1f14::1 64:ff9b::101:101",
            ),
            (
                Reach::Private,
                "10.0.0.1 127.0.0.1 127.9.9.9 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 \
                 ::1 fc00::1 fd00:ec2::254 ::ffff:10.0.0.1 ::ffff:127.0.0.1 64:ff9b::a00:1",
            ),
            (
                Reach::Never,
                "0.0.0.0 169.254.169.254 169.254.170.2 192.0.2.1 198.18.0.1 203.0.113.9 224.0.0.1 \
                 255.255.255.255 :: fe80::1 fec0::1 ff02::1 ::ffff:169.254.169.254 \
                 ::ffff:1.1.1.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2001::1 2001:db8::1 \
                 2002:a00:1::1 ::10.0.0.1 100::1 5f00::1 4000::1",
            ),
        ] {
            for address in addresses.split_whitespace() {
                assert_eq!(reach(address.parse().unwrap()), reach_of, "{address}");
            }
        }
    }
}
