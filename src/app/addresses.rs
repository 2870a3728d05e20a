//! Where relay sockets are bound, and what clients are told about it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tracing::{info, warn};

use crate::config::{self, Config, RelayIp};
use crate::net::addresses::{Family, default_source, interface_addresses, is_global};
use crate::net::bind::relay_udp;
use crate::net::discover::{Discovered, PublicAddress, PublicIp, discover};
use crate::turn::RelayAddress;

/// This host in the network.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Local and announced addresses of relays, IPv4 first.
    pub(super) relays: Vec<RelayAddress>,
    /// Every address that reaches this host itself.
    pub(super) own: Vec<IpAddr>,
    /// Announced addresses that are private though nobody said so.
    doubtful: Vec<IpAddr>,
}

/// Finds the addresses that the configuration describes.
pub(super) async fn find(config: &Config) -> anyhow::Result<Place> {
    let specs: Vec<PublicIp> = config.server.public_ips.iter().map(spec).collect();
    let servers: Vec<String> = config
        .server
        .stun_servers
        .iter()
        .map(|server| format!("{}:{}", server.host, server.port))
        .collect();
    let found = discover(&specs, &servers).await?;
    for failure in &found.failures {
        warn!("{failure}");
    }
    let is_automatic = config
        .server
        .public_ips
        .iter()
        .all(|ip| *ip == config::PublicIp::Auto);
    let fixed: Vec<IpAddr> = config
        .turn
        .relay_ips
        .iter()
        .filter_map(fixed_relay)
        .collect();
    let (relays, doubtful) = if fixed.is_empty() {
        of_public(&found)
    } else {
        of_fixed(&fixed, &found, is_automatic)
    };
    anyhow::ensure!(
        relays.len() <= MAX_RELAY_ADDRESSES,
        "{} relay addresses are more than the {MAX_RELAY_ADDRESSES} that can be served; \
         list fewer in turn.relay_ips",
        relays.len()
    );
    try_out(&relays)?;
    let mut own = interface_addresses().context("cannot list the addresses of this host")?;
    own.extend(
        relays
            .iter()
            .flat_map(|relay| [relay.local, relay.announced]),
    );
    own.extend(found.addresses.iter().map(|address| address.ip));
    own.sort_unstable();
    own.dedup();
    for relay in &relays {
        info!(local = %relay.local, announced = %relay.announced, "relay address");
    }
    Ok(Place {
        relays,
        own,
        doubtful,
    })
}

impl Place {
    /// Returns the address that clients are told first.
    pub(super) fn announced(&self) -> IpAddr {
        let first = self.relays.first().map(|relay| relay.announced);
        first.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Says loudly that clients will be told an address that most cannot reach.
    pub(super) fn warn_about_private_addresses(&self) {
        for ip in &self.doubtful {
            warn!(
                "clients are told the private address {ip}, which only this network can reach; \
                 behind NAT or in a cloud write the public address as server.public_ips = \
                 [\"203.0.113.7\"] or [\"dns:call.example.org\"], or list server.stun_servers; \
                 for a server of this network alone write server.public_ips = [\"{ip}\"]"
            );
        }
    }
}

/// Relay addresses that follow from the public ones.
fn of_public(found: &Discovered) -> (Vec<RelayAddress>, Vec<IpAddr>) {
    let local = |address: &PublicAddress| {
        address
            .local
            .or_else(|| default_source(Family::of(address.ip)))
            .unwrap_or(address.ip)
    };
    let relays = found
        .addresses
        .iter()
        .map(|address| RelayAddress {
            local: local(address),
            announced: address.ip,
        })
        .collect();
    let doubtful = found
        .addresses
        .iter()
        .filter(|address| address.needs_warning() && !address.ip.is_loopback())
        .map(|address| address.ip)
        .collect();
    (relays, doubtful)
}

/// Relay addresses that are given, each with the public one at its position of
/// its family. Automatic public addresses count only where they are global; a
/// private address without one is doubtful, since nobody said what the world sees.
fn of_fixed(
    fixed: &[IpAddr],
    found: &Discovered,
    is_automatic: bool,
) -> (Vec<RelayAddress>, Vec<IpAddr>) {
    let public = |family: Family| {
        found
            .addresses
            .iter()
            .map(|address| address.ip)
            .filter(move |ip| Family::of(*ip) == family && (!is_automatic || is_global(*ip)))
    };
    let (mut v4, mut v6) = (public(Family::V4), public(Family::V6));
    let mut doubtful = Vec::new();
    let relays = fixed.iter().map(|&local| {
        let next = match Family::of(local) {
            Family::V4 => v4.next(),
            Family::V6 => v6.next(),
        };
        // An address that is what it says, or only for this host, is not behind NAT.
        let stands_alone = is_automatic && (is_global(local) || local.is_loopback());
        let announced = next.filter(|_| !stands_alone);
        if is_automatic && !stands_alone && announced.is_none() {
            doubtful.push(local);
        }
        RelayAddress {
            local,
            announced: announced.unwrap_or(local),
        }
    });
    let relays = relays.collect();
    (relays, doubtful)
}

/// Tries every relay address once: one that is not on this host would let the
/// server start and then refuse every client.
fn try_out(relays: &[RelayAddress]) -> anyhow::Result<()> {
    for relay in relays {
        relay_udp(SocketAddr::new(relay.local, 0)).with_context(|| {
            format!(
                "cannot bind a relay socket to {}: write an address of this host in \
                 turn.relay_ips (`ip address` lists them), and the one that the internet sees \
                 in server.public_ips",
                relay.local
            )
        })?;
    }
    Ok(())
}

fn spec(ip: &config::PublicIp) -> PublicIp {
    match ip {
        config::PublicIp::Auto => PublicIp::Auto,
        config::PublicIp::Address(ip) => PublicIp::Fixed(*ip),
        config::PublicIp::Dns(name) => PublicIp::Dns(name.clone()),
    }
}

fn fixed_relay(ip: &RelayIp) -> Option<IpAddr> {
    match ip {
        RelayIp::Auto => None,
        RelayIp::Address(ip) => Some(*ip),
    }
}

/// One byte names a relay address between workers.
const MAX_RELAY_ADDRESSES: usize = 256;

#[cfg(test)]
mod tests {
    use crate::net::discover::Origin;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn found(addresses: &[(&str, Option<&str>, Origin)]) -> Discovered {
        let addresses = addresses
            .iter()
            .map(|(public, local, origin)| PublicAddress {
                ip: ip(public),
                local: local.map(ip),
                origin: *origin,
            })
            .collect();
        Discovered {
            addresses,
            failures: Vec::new(),
        }
    }

    #[test]
    fn behind_nat_the_local_address_is_bound_and_the_public_one_announced() {
        let found = found(&[("8.8.4.4", Some("10.0.0.5"), Origin::Stun)]);
        let (relays, doubtful) = of_public(&found);

        let expected = RelayAddress {
            local: ip("10.0.0.5"),
            announced: ip("8.8.4.4"),
        };
        assert_eq!(relays, [expected]);
        assert!(doubtful.is_empty());
    }

    #[test]
    fn a_private_address_that_nobody_wrote_down_is_doubtful() {
        let guessed = found(&[("10.0.0.5", Some("10.0.0.5"), Origin::DefaultRoute)]);
        let meant = found(&[("10.0.0.5", Some("10.0.0.5"), Origin::Fixed)]);

        assert_eq!(of_public(&guessed).1, [ip("10.0.0.5")]);
        assert!(of_public(&meant).1.is_empty());
    }

    #[test]
    fn given_relay_addresses_pair_up_with_public_ones_of_their_family() {
        let public = found(&[
            ("8.8.4.4", None, Origin::Fixed),
            ("2a00::1", None, Origin::Fixed),
            ("8.8.8.8", None, Origin::Fixed),
        ]);
        let fixed = [ip("10.0.0.1"), ip("10.0.0.2"), ip("fd00::1")];
        let announced: Vec<_> = of_fixed(&fixed, &public, false)
            .0
            .iter()
            .map(|r| r.announced)
            .collect();

        assert_eq!(announced, [ip("8.8.4.4"), ip("8.8.8.8"), ip("2a00::1")]);
    }

    #[test]
    fn given_loopback_and_private_relays_stand_for_themselves_unless_nat_is_seen() {
        let private = found(&[("10.0.0.5", Some("10.0.0.5"), Origin::DefaultRoute)]);
        let fixed = [ip("127.0.0.1"), ip("192.168.1.5")];
        let (relays, doubtful) = of_fixed(&fixed, &private, true);
        let announced: Vec<_> = relays.iter().map(|r| r.announced).collect();
        assert_eq!(announced, fixed);
        assert_eq!(doubtful, [ip("192.168.1.5")]);

        let nat = found(&[("8.8.4.4", Some("192.168.1.5"), Origin::Stun)]);
        let (relays, doubtful) = of_fixed(&[ip("192.168.1.5")], &nat, true);
        assert!(doubtful.is_empty());
        assert_eq!(relays[0].announced, ip("8.8.4.4"));
    }
}
