//! Finding the addresses to announce to clients.
//!
//! A wrong announcement is what keeps relays from working most often: a private
//! address behind a cloud's NAT, handed out without a word. So every address
//! comes with where it was found, and tells when someone should look at it.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::net::addresses::{
    Family, default_source, interface_addresses, is_global, resolve, unstable_addresses,
};
use crate::net::stun_query::{StunQueryError, stun_query};

/// How long one STUN server has to answer: time for three requests.
const QUERY_LIMIT: Duration = Duration::from_secs(3);

/// Where to take an address from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PublicIp {
    /// Find it out; see [`discover`].
    Auto,
    /// This one.
    Fixed(IpAddr),
    /// Every address this host name has now.
    Dns(String),
}

/// An address to announce.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PublicAddress {
    /// What clients and peers are told.
    pub ip: IpAddr,
    /// The address of this host that packets to it arrive at: the same without
    /// NAT, the private one behind 1:1 NAT, unknown on a host without a route
    /// for the family.
    pub local: Option<IpAddr>,
    /// Where it was found.
    pub origin: Origin,
}

/// Where an address was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// It was given.
    Fixed,
    /// The given host name has it.
    Dns,
    /// An interface has it, and it is global.
    Interface,
    /// A STUN server saw it.
    Stun,
    /// The default route leaves from it; the internet cannot reach it.
    DefaultRoute,
    /// This host has no route to anywhere.
    NoNetwork,
}

/// What [`discover`] found.
#[derive(Debug, Default)]
pub struct Discovered {
    /// The addresses, at least one, in the order of the specifications and IPv4
    /// first, without repetition.
    pub addresses: Vec<PublicAddress>,
    /// STUN servers that were asked and did not help.
    pub failures: Vec<StunQueryError>,
}

/// Why there is no address to announce.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// A given host name has no address.
    #[error(
        "`dns:{name}` in public_ips cannot be resolved: {source}; check the name and this host's \
         resolver, or give the address itself"
    )]
    Dns {
        /// The name.
        name: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The kernel does not tell which addresses this host has.
    #[error(
        "the addresses of this host cannot be listed: {source}; under systemd, \
         RestrictAddressFamilies= must allow AF_NETLINK"
    )]
    Interfaces {
        /// What the kernel said.
        source: io::Error,
    },
}

impl PublicAddress {
    /// Tells whether the internet cannot reach the address.
    #[must_use]
    pub fn is_private(&self) -> bool {
        !is_global(self.ip)
    }

    /// Tells whether to warn loudly: the address is private and nobody has
    /// written down that it is meant.
    #[must_use]
    pub fn needs_warning(&self) -> bool {
        self.is_private() && self.origin != Origin::Fixed
    }
}

/// Finds the addresses that `specs` describe.
///
/// [`PublicIp::Auto`] stands for at most one address of each family, from the
/// first of these that has one:
/// 1. an interface's global address: the one the default route leaves from if
///    it is one, else the first that is neither temporary nor deprecated;
/// 2. the address the STUN servers see, when some are listed, asked in turn;
/// 3. the address the default route leaves from, which is private then.
///
/// A private IPv6 address counts only where IPv4 has nothing at all, and a host
/// without any route gets 127.0.0.1: enough to try things out on it.
///
/// # Errors
/// When a name cannot be resolved or the host's addresses cannot be listed.
/// STUN servers that fail are no error; see [`Discovered::failures`].
pub async fn discover(
    specs: &[PublicIp],
    stun_servers: &[String],
) -> Result<Discovered, DiscoverError> {
    let host = HostAddresses::read().map_err(|source| DiscoverError::Interfaces { source })?;
    let mut found = Discovered::default();
    for spec in specs {
        let addresses = match spec {
            PublicIp::Auto => automatic(&host, stun_servers, &mut found.failures).await,
            PublicIp::Fixed(ip) => vec![host.reached_by(*ip, Origin::Fixed)],
            PublicIp::Dns(name) => named(&host, name).await?,
        };
        for address in addresses {
            if found.addresses.iter().all(|known| known.ip != address.ip) {
                found.addresses.push(address);
            }
        }
    }
    Ok(found)
}

async fn named(host: &HostAddresses, name: &str) -> Result<Vec<PublicAddress>, DiscoverError> {
    let ips = resolve(name).await.map_err(|source| DiscoverError::Dns {
        name: name.to_owned(),
        source,
    })?;
    let mut found: Vec<_> = ips
        .into_iter()
        .map(|ip| host.reached_by(ip, Origin::Dns))
        .collect();
    found.sort_by_key(|address| Family::of(address.ip));
    Ok(found)
}

async fn automatic(
    host: &HostAddresses,
    stun_servers: &[String],
    failures: &mut Vec<StunQueryError>,
) -> Vec<PublicAddress> {
    let mut found = Vec::new();
    for family in [Family::V4, Family::V6] {
        let address = match host.global(family) {
            Some(address) => Some(address),
            None => host.seen_by(stun_servers, family, failures).await,
        };
        found.extend(address.or_else(|| host.private(family)));
    }
    without_needless_private_v6(found)
}

fn without_needless_private_v6(mut found: Vec<PublicAddress>) -> Vec<PublicAddress> {
    if found.iter().any(|address| address.ip.is_ipv4()) {
        found.retain(|address| address.ip.is_ipv4() || !address.is_private());
    }
    if found.is_empty() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        found.push(PublicAddress {
            ip,
            local: Some(ip),
            origin: Origin::NoNetwork,
        });
    }
    found
}

/// What this host knows about its own addresses.
#[derive(Debug)]
struct HostAddresses {
    interfaces: Vec<IpAddr>,
    unstable: Vec<IpAddr>,
    default_v4: Option<IpAddr>,
    default_v6: Option<IpAddr>,
}

impl HostAddresses {
    fn read() -> io::Result<Self> {
        Ok(Self {
            interfaces: interface_addresses()?,
            unstable: unstable_addresses(),
            default_v4: default_source(Family::V4),
            default_v6: default_source(Family::V6),
        })
    }

    fn default_source(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.default_v4,
            Family::V6 => self.default_v6,
        }
    }

    /// Returns an interface's global address.
    fn global(&self, family: Family) -> Option<PublicAddress> {
        let preferred = self.default_source(family);
        let ip = preferred
            .into_iter()
            .chain(self.interfaces.iter().copied())
            .filter(|ip| Family::of(*ip) == family && is_global(*ip))
            .find(|ip| !self.unstable.contains(ip))?;
        Some(PublicAddress {
            ip,
            local: Some(ip),
            origin: Origin::Interface,
        })
    }

    /// Asks the STUN servers in turn.
    async fn seen_by(
        &self,
        servers: &[String],
        family: Family,
        failures: &mut Vec<StunQueryError>,
    ) -> Option<PublicAddress> {
        let local = self.default_source(family)?;
        for server in servers {
            match stun_query(server, family, QUERY_LIMIT).await {
                Ok(mapped) => {
                    return Some(PublicAddress {
                        ip: mapped.ip(),
                        local: Some(local),
                        origin: Origin::Stun,
                    });
                }
                Err(error) => failures.push(error),
            }
        }
        None
    }

    fn private(&self, family: Family) -> Option<PublicAddress> {
        let ip = self.default_source(family)?;
        Some(PublicAddress {
            ip,
            local: Some(ip),
            origin: Origin::DefaultRoute,
        })
    }

    /// Returns `ip` with the address of this host that stands behind it.
    fn reached_by(&self, ip: IpAddr, origin: Origin) -> PublicAddress {
        let local = if self.interfaces.contains(&ip) {
            Some(ip)
        } else {
            self.default_source(Family::of(ip))
        };
        PublicAddress { ip, local, origin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_interface_with_a_global_address_needs_no_question() {
        let mut failures = Vec::new();
        let host = host(
            &["127.0.0.1", "10.0.0.5", "9.9.9.9"],
            Some("10.0.0.5"),
            None,
        );
        // A server that would have to be asked would be a failure.
        let servers = ["nowhere.invalid".to_owned()];
        let found = automatic(&host, &servers, &mut failures).await;
        assert_eq!(found, [address("9.9.9.9", "9.9.9.9", Origin::Interface)]);
        assert!(failures.is_empty());
        assert!(!found[0].needs_warning());
    }

    #[tokio::test]
    async fn the_default_route_chooses_among_global_addresses() {
        let host = host(&["9.9.9.9", "9.9.9.10"], Some("9.9.9.10"), None);
        let found = automatic(&host, &[], &mut Vec::new()).await;
        let ip = "9.9.9.10";
        assert_eq!(found, [address(ip, ip, Origin::Interface)]);
    }

    #[tokio::test]
    async fn a_temporary_ipv6_address_is_never_announced() {
        let (temporary, stable) = ("2a01:4f8::abcd", "2a01:4f8::1");
        let mut host = host(
            &["9.9.9.9", temporary, stable],
            Some("9.9.9.9"),
            Some(temporary),
        );
        host.unstable.push(ip(temporary));
        let found = automatic(&host, &[], &mut Vec::new()).await;
        let expected = [
            address("9.9.9.9", "9.9.9.9", Origin::Interface),
            address(stable, stable, Origin::Interface),
        ];
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn without_stun_a_private_address_is_flagged() {
        let host = host(
            &["127.0.0.1", "10.0.0.5"],
            Some("10.0.0.5"),
            Some("fd00::5"),
        );
        let found = automatic(&host, &[], &mut Vec::new()).await;
        let ip = "10.0.0.5";
        assert_eq!(found, [address(ip, ip, Origin::DefaultRoute)]);
        assert!(found[0].is_private() && found[0].needs_warning());
    }

    #[tokio::test]
    async fn a_stun_server_that_fails_is_reported_and_the_next_one_asked() {
        let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let servers = [
            "nowhere.invalid".to_owned(),
            server.local_addr().unwrap().to_string(),
        ];
        let serving = async {
            let mut request = [0; 64];
            let (len, client) = server.recv_from(&mut request).await.unwrap();
            let id = crate::stun::Message::parse(&request[..len])
                .unwrap()
                .transaction_id();
            let mut answer = Vec::new();
            crate::stun::Builder::new(
                &mut answer,
                crate::stun::Class::SuccessResponse,
                crate::stun::Method::BINDING,
                id,
            )
            .xor_address(
                crate::stun::AttributeType::XOR_MAPPED_ADDRESS,
                "9.9.9.9:1234".parse().unwrap(),
            );
            server.send_to(&answer, client).await.unwrap();
        };
        let host = host(&["10.0.0.5"], Some("10.0.0.5"), None);
        let mut failures = Vec::new();
        let ((), found) = tokio::join!(serving, automatic(&host, &servers, &mut failures));
        assert_eq!(found, [address("9.9.9.9", "10.0.0.5", Origin::Stun)]);
        assert!(matches!(failures[..], [StunQueryError::Resolve { .. }]));
    }

    #[tokio::test]
    async fn a_host_without_network_can_still_be_tried_out() {
        let host = host(&["127.0.0.1", "::1"], None, None);
        let found = automatic(&host, &[], &mut Vec::new()).await;
        let ip = "127.0.0.1";
        assert_eq!(found, [address(ip, ip, Origin::NoNetwork)]);
        assert!(found[0].needs_warning());
    }

    #[tokio::test]
    async fn given_addresses_and_names_keep_their_order_without_repetition() {
        let specs = [
            PublicIp::Fixed(ip("192.168.7.7")),
            PublicIp::Dns("127.0.0.1".to_owned()),
            PublicIp::Fixed(ip("127.0.0.1")),
        ];
        let found = discover(&specs, &[]).await.unwrap().addresses;
        let origins: Vec<_> = found.iter().map(|one| (one.ip, one.origin)).collect();
        let expected = [
            (ip("192.168.7.7"), Origin::Fixed),
            (ip("127.0.0.1"), Origin::Dns),
        ];
        assert_eq!(origins, expected);
        // Given by hand, a private address is meant; from a name it may not be.
        assert!(!found[0].needs_warning());
        assert!(found[1].needs_warning());
        assert_eq!(found[1].local, Some(ip("127.0.0.1")));
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_an_error_with_a_remedy() {
        let specs = [PublicIp::Dns("nowhere.invalid".to_owned())];
        let error = discover(&specs, &[]).await.unwrap_err().to_string();
        assert!(error.contains("dns:nowhere.invalid"), "{error}");
        assert!(error.contains("or give the address itself"), "{error}");
    }

    #[tokio::test]
    async fn this_very_host_has_something_to_announce() {
        let found = discover(&[PublicIp::Auto], &[]).await.unwrap();
        assert!(!found.addresses.is_empty());
        assert!(found.failures.is_empty());
    }

    fn host(interfaces: &[&str], v4: Option<&str>, v6: Option<&str>) -> HostAddresses {
        HostAddresses {
            interfaces: interfaces.iter().map(|text| ip(text)).collect(),
            unstable: Vec::new(),
            default_v4: v4.map(ip),
            default_v6: v6.map(ip),
        }
    }

    fn address(public: &str, local: &str, origin: Origin) -> PublicAddress {
        PublicAddress {
            ip: ip(public),
            local: Some(ip(local)),
            origin,
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
