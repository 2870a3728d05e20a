//! Which peers a client may reach through us.
//!
//! A relay is a door into the network it stands in. The policy denies every
//! range that is not the public internet, and looks for IPv4 addresses that are
//! embedded in IPv6 ones, so that no transition mechanism opens a side door. It
//! is asked at CreatePermission, ChannelBind, Connect and every Send indication.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// What decides about peers; built once from the configuration and immutable.
#[derive(Clone, Debug, Default)]
pub struct PeerPolicy {
    allowed: Vec<IpNet>,
    denied: Vec<IpNet>,
    own: Vec<IpAddr>,
}

/// Why a peer is refused. Each one is a reason in logs and counters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denied {
    /// The address, or one embedded in it, lies in a denied range.
    Range,
    /// The address is one of our own, and not a relayed transport address.
    OwnAddress,
}

impl PeerPolicy {
    /// Makes a policy.
    ///
    /// An entry of `allowed` wins over `denied`. Addresses in `own` are those of
    /// this host; they stay denied inside an allowed range unless an entry names
    /// the single address, or lies wholly in a loopback range.
    #[must_use]
    pub fn new(allowed: Vec<IpNet>, denied: Vec<IpNet>, own: Vec<IpAddr>) -> Self {
        Self {
            allowed,
            denied,
            own,
        }
    }

    /// Decides about `peer`, which is not one of our relayed transport addresses.
    ///
    /// # Errors
    /// Says why the peer is refused.
    pub fn check(&self, peer: IpAddr) -> Result<(), Denied> {
        self.check_literal(peer)?;
        let IpAddr::V6(peer) = peer else {
            return Ok(());
        };
        embedded(peer)
            .into_iter()
            .flatten()
            .try_for_each(|inner| self.check_literal(IpAddr::V4(inner)))
    }

    fn check_literal(&self, peer: IpAddr) -> Result<(), Denied> {
        if self.own.contains(&peer) && !self.allows_own(peer) {
            return Err(Denied::OwnAddress);
        }
        let is_allowed = self.allowed.iter().any(|net| net.contains(&peer));
        let is_denied = peer.is_unspecified() || self.denied.iter().any(|net| net.contains(&peer));
        if is_denied && !is_allowed {
            Err(Denied::Range)
        } else {
            Ok(())
        }
    }

    fn allows_own(&self, peer: IpAddr) -> bool {
        self.allowed.iter().any(|net| {
            let is_host = net.prefix_len() == net.max_prefix_len();
            let is_loopback = net.network().is_loopback() && net.broadcast().is_loopback();
            net.contains(&peer) && (is_host || is_loopback)
        })
    }
}

/// Returns the ranges of `deny_peers = ["recommended"]`: everything that is not
/// the public internet (RFC 6890 and its registries, RFC 8656 section 21.4).
#[must_use]
pub fn recommended() -> Vec<IpNet> {
    RECOMMENDED
        .iter()
        .map(|net| net.parse().expect("the table below holds networks"))
        .collect()
}

/// The IPv4 addresses that an IPv6 address stands for under a transition mechanism.
fn embedded(peer: Ipv6Addr) -> [Option<Ipv4Addr>; 3] {
    let o = peer.octets();
    let s = peer.segments();
    let last = Ipv4Addr::new(o[12], o[13], o[14], o[15]);
    match s {
        // Unspecified and loopback look like IPv4-compatible ones, and are not.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; 3],
        // IPv4-mapped and IPv4-compatible, RFC 4291 section 2.5.5.
        [0, 0, 0, 0, 0, 0xFFFF | 0, ..] => [Some(last), None, None],
        // 6to4, RFC 3056.
        [0x2002, ..] => [Some(Ipv4Addr::new(o[2], o[3], o[4], o[5])), None, None],
        // NAT64 well-known prefix, RFC 6052 section 2.1.
        [0x0064, 0xFF9B, 0, 0, 0, 0, ..] => [Some(last), None, None],
        // NAT64 local-use prefix, RFC 8215: any length may be in use, so test
        // the places of /48, /64 and /96 (RFC 6052 section 2.2).
        [0x0064, 0xFF9B, 1, ..] => [
            Some(Ipv4Addr::new(o[6], o[7], o[9], o[10])),
            Some(Ipv4Addr::new(o[9], o[10], o[11], o[12])),
            Some(last),
        ],
        // Teredo, RFC 4380 section 4: server, and client with all bits flipped.
        [0x2001, 0, ..] => [
            Some(Ipv4Addr::new(o[4], o[5], o[6], o[7])),
            Some(Ipv4Addr::from(!u32::from(last))),
            None,
        ],
        // ISATAP interface identifier, RFC 5214 section 6.1.
        [_, _, _, _, 0 | 0x0200, 0x5EFE, ..] => [Some(last), None, None],
        _ => [None; 3],
    }
}

const RECOMMENDED: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "::/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|net| net.parse().unwrap()).collect()
    }

    #[test]
    fn every_recommended_range_is_denied_from_end_to_end() {
        let policy = PeerPolicy::new(vec![], recommended(), vec![]);
        for net in recommended() {
            assert_eq!(policy.check(net.network()), Err(Denied::Range), "{net}");
            assert_eq!(policy.check(net.broadcast()), Err(Denied::Range), "{net}");
        }
        for public in ["1.1.1.1", "9.9.9.9", "2606:4700:4700::1111", "2a00:1450::1"] {
            assert_eq!(policy.check(ip(public)), Ok(()), "{public}");
        }
    }

    #[test]
    fn embedded_addresses_are_found_even_where_the_outer_range_is_allowed() {
        let allowed = nets(&[
            "::/96",
            "::ffff:0:0/96",
            "2002::/16",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "2001::/32",
            "2a00::/16",
        ]);
        let policy = PeerPolicy::new(allowed, recommended(), vec![]);
        for inner_loopback in [
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "2002:7f00:1::1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1:7f00:0:100::",
            "64:ff9b:1::7f:0:0100:0",
            "64:ff9b:1::127.0.0.1",
            "2001:0:808:808:0:0:80ff:fffe",
            "2001:0:7f00:1::",
            "2a00::5efe:127.0.0.1",
            "2a00::200:5efe:127.0.0.1",
        ] {
            assert_eq!(
                policy.check(ip(inner_loopback)),
                Err(Denied::Range),
                "{inner_loopback}"
            );
        }
        for inner_public in ["2002:101:101::1", "64:ff9b::1.1.1.1", "2a00::5efe:1.1.1.1"] {
            assert_eq!(policy.check(ip(inner_public)), Ok(()), "{inner_public}");
        }
    }

    #[test]
    fn an_allowed_range_opens_the_network_but_not_this_host() {
        let policy = PeerPolicy::new(
            nets(&["192.168.1.0/24"]),
            recommended(),
            vec![ip("192.168.1.5")],
        );

        assert_eq!(policy.check(ip("192.168.1.6")), Ok(()));
        assert_eq!(policy.check(ip("192.168.2.6")), Err(Denied::Range));
        assert_eq!(policy.check(ip("192.168.1.5")), Err(Denied::OwnAddress));
    }

    #[test]
    fn a_single_address_or_a_loopback_range_opens_this_host() {
        let own = vec![ip("192.168.1.5"), ip("127.0.0.1"), ip("::1")];
        let allowed = nets(&["192.168.1.5/32", "127.0.0.0/8", "::1/128"]);
        let policy = PeerPolicy::new(allowed, recommended(), own);

        assert_eq!(policy.check(ip("192.168.1.5")), Ok(()));
        assert_eq!(policy.check(ip("127.0.0.1")), Ok(()));
        assert_eq!(policy.check(ip("::1")), Ok(()));
        assert_eq!(policy.check(ip("::2")), Err(Denied::Range));
    }
}
