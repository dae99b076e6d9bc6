//! Which addresses a granted name may lead to. Pure.
//!
//! A name is whoever answers for it: today's public address can be the router's
//! tomorrow. So a name leads to public addresses only; anything else is reached
//! when the grant names that very address, or `localhost`.
//! Ranges: IANA's special-purpose address registries (RFC 6890 and its updates).

use super::endpoint::Host;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not connected to: what kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind}, which a name never leads to: name that address itself")]
#[allow(missing_docs)]
pub struct Forbidden {
    pub address: IpAddr,
    pub kind: &'static str,
}

/// Whether a host that is granted may lead to this address.
///
/// # Errors
/// What kind of address it is.
pub fn check(granted: &Host, address: IpAddr) -> Result<(), Forbidden> {
    match (granted, special(address)) {
        // the user wrote exactly this
        (Host::Ip(ip), _) if *ip == address => Ok(()),
        (Host::Ip(_), _) => Err(Forbidden { address, kind: "not the one that is granted" }),
        (Host::Name(name), kind) if name == "localhost" => match kind {
            Some(LOOPBACK) => Ok(()),
            _ => Err(Forbidden { address, kind: "not a loopback address, though localhost is granted" }),
        },
        (Host::Name(_), None) => Ok(()),
        (Host::Name(_), Some(kind)) => Err(Forbidden { address, kind }),
    }
}

const LOOPBACK: &str = "a loopback address";

/// Whether it is an ordinary address of the internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    special(address).is_none()
}

/// What kind of address it is, where it is not an ordinary public one.
fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [0, ..] => "an unspecified address",
        [127, ..] => LOOPBACK,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [100, 64..=127, ..] => "an address shared behind a provider's NAT",
        [169, 254, ..] => "a link-local address",
        [192, 0, 0, _] | [192, 88, 99, _] => "reserved for protocols",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "reserved for documentation",
        [198, 18..=19, ..] => "reserved for measurements",
        [224..=239, ..] => "a multicast address",
        [255, 255, 255, 255] => "the broadcast address",
        [240..=255, ..] => "reserved",
        _ => return None,
    })
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    Some(match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => "the unspecified address",
        [0, 0, 0, 0, 0, 0, 0, 1] => LOOPBACK,
        // an IPv4 address in other clothes is what it is underneath
        [0, 0, 0, 0, 0, 0xFFFF, high, low] => return special_v4(v4(high, low)).map(disguised),
        [0, 0, 0, 0, 0xFFFF, 0, _, _] => "an IPv4 address of a translator",
        [0, 0, 0, 0, 0, 0, high, low] => {
            return Some(special_v4(v4(high, low)).map_or("an IPv4-compatible address", disguised));
        }
        [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => return special_v4(v4(high, low)).map(disguised),
        [0x64, 0xFF9B, ..] => "an address of a local translator",
        [0x2002, high, low, ..] => return special_v4(v4(high, low)).map(disguised),
        [0x2001, 0, ..] => "an address of a Teredo tunnel",
        [0x2001, 0x0DB8, ..] | [0x3FFF, 0..=0x0FFF, ..] => "reserved for documentation",
        [0x2001, 0..=0x01FF, ..] => "reserved for protocols",
        [0x100, 0, 0, 0, ..] => "an address that discards",
        [0xFC00..=0xFDFF, ..] => "a private address",
        [0xFE80..=0xFEBF, ..] => "a link-local address",
        [0xFEC0..=0xFEFF, ..] => "a site-local address",
        [0xFF00..=0xFFFF, ..] => "a multicast address",
        // ISATAP (RFC 5214): the interface says which IPv4 address is meant
        [_, _, _, _, 0 | 0x200, 0x5EFE, high, low] => return special_v4(v4(high, low)).map(disguised),
        [0x2000..=0x3FFF, ..] => return None,
        _ => "not a global unicast address",
    })
}

/// The kind of the IPv4 address inside.
fn disguised(kind: &'static str) -> &'static str {
    match kind {
        // it must not count as loopback, which localhost would allow
        LOOPBACK => "a loopback address in an IPv6 address",
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name() -> Host {
        Host::Name("example.org".into())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_leads_to_public_addresses() {
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "100.128.0.1",
            "192.1.1.1",
            "2606:4700::1111",
            "2a00::1",
            "64:ff9b::8.8.8.8",
            "2002:0808:0808::1",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(check(&name(), ip(public)), Ok(()), "{public}");
        }
    }

    #[test]
    fn a_name_never_leads_inside_in_whatever_clothes() {
        for inside in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.251",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "2002:c0a8:101::",
            "2001::1",
            "2001:db8::1",
            "100::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::fb",
            "4000::1",
            "2a00::5efe:10.0.0.1",
            "2a00::200:5efe:127.0.0.1",
        ] {
            assert!(check(&name(), ip(inside)).is_err(), "{inside}");
            assert_eq!(check(&Host::Ip(ip(inside)), ip(inside)), Ok(()), "granted by its own name: {inside}");
        }
    }

    #[test]
    fn localhost_is_loopback_and_nothing_else() {
        let localhost = Host::Name("localhost".into());
        for loopback in ["127.0.0.1", "127.0.0.53", "::1"] {
            assert_eq!(check(&localhost, ip(loopback)), Ok(()), "{loopback}");
        }
        for other in ["1.1.1.1", "10.0.0.1", "::ffff:127.0.0.1", "2a00::1", "0.0.0.0"] {
            assert!(check(&localhost, ip(other)).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_granted_address_is_that_address_alone(granted in any::<u32>(), other in any::<u32>()) {
            let [granted, other] = [granted, other].map(|bits| IpAddr::from(Ipv4Addr::from(bits)));
            prop_assert_eq!(check(&Host::Ip(granted), other).is_ok(), granted == other);
        }

        #[test]
        fn an_ipv4_address_is_no_more_allowed_in_ipv6(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from(bits);
            if check(&name(), v4.into()).is_err() {
                let [a, b, c, d] = v4.octets();
                let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                for disguise in [
                    v4.to_ipv6_mapped(),
                    Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, high, low),
                    Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                    Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                ] {
                    prop_assert!(check(&name(), disguise.into()).is_err(), "{}", disguise);
                }
            }
        }
    }
}
