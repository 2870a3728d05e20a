//! The ICE server URLs (RFC 7064, RFC 7065) that a configuration stands for, and
//! the address of its pages.
//!
//! A URL is announced only when clients can reach it: its host is never empty
//! and it belongs to a listener that exists.

use std::net::{IpAddr, SocketAddr};

use super::settings::Config;
use super::settings::PublicIp;

/// The host part of the URLs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IceHost {
    /// A host name.
    Name(String),
    /// An address; IPv6 is written in brackets.
    Address(IpAddr),
}

/// The URLs of one server, for the `urls` members of `iceServers`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IceUrls {
    /// `stun:` URLs, which need no credentials.
    pub stun: Vec<String>,
    /// `turn:` URLs over UDP, then TCP, then `turns:` URLs.
    pub turn: Vec<String>,
}

impl Config {
    /// Returns the host clients are sent to: the domain, or else the first
    /// fixed public address.
    #[must_use]
    pub fn ice_host(&self) -> Option<IceHost> {
        let address = self.server.public_ips.iter().find_map(|ip| match ip {
            PublicIp::Address(ip) => Some(IceHost::Address(*ip)),
            PublicIp::Dns(name) => Some(IceHost::Name(name.clone())),
            PublicIp::Auto => None,
        });
        let domain = self.server.domain.clone().map(IceHost::Name);
        domain.or(address)
    }

    /// Returns the URLs under which `host` reaches the listeners.
    ///
    /// Listeners on port 0, on loopback (unless the host is loopback) and of
    /// another address family than an address `host` are left out.
    #[must_use]
    pub fn ice_urls(&self, host: &IceHost) -> IceUrls {
        let name = host.to_string();
        let urls = |listeners: &[SocketAddr], scheme: &str, query: &str| {
            let mut urls = Vec::new();
            for listener in listeners.iter().filter(|l| reaches(host, **l)) {
                let url = format!("{scheme}:{name}:{}{query}", listener.port());
                if !urls.contains(&url) {
                    urls.push(url);
                }
            }
            urls
        };
        let listen = &self.listen;
        IceUrls {
            stun: urls(&listen.udp, "stun", ""),
            turn: [
                urls(&listen.udp, "turn", "?transport=udp"),
                urls(&listen.tcp, "turn", "?transport=tcp"),
                urls(&listen.tls, "turns", "?transport=tcp"),
            ]
            .concat(),
        }
    }
}

impl Config {
    /// Returns the origin under which browsers that know this server as `host` find
    /// its pages, such as `https://call.example.org`: that of port 443 if there is
    /// such a TLS listener, else of the first. `None` when none can be reached.
    #[must_use]
    pub fn web_origin(&self, host: &IceHost) -> Option<String> {
        let reachable = || self.listen.tls.iter().filter(|l| reaches(host, **l));
        let usual = reachable().find(|listener| listener.port() == HTTPS_PORT);
        let listener = usual.or_else(|| reachable().next())?;
        Some(match listener.port() {
            HTTPS_PORT => format!("https://{host}"),
            port => format!("https://{host}:{port}"),
        })
    }
}

impl std::fmt::Display for IceHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

fn reaches(host: &IceHost, listener: SocketAddr) -> bool {
    if listener.port() == 0 {
        return false;
    }
    let host_is_loopback = match host {
        IceHost::Name(name) => name == "localhost",
        IceHost::Address(ip) => ip.is_loopback(),
    };
    if listener.ip().is_loopback() && !host_is_loopback {
        return false;
    }
    match (host, listener.ip()) {
        (IceHost::Name(_), _) => true,
        // A [::] listener serves IPv4 as well.
        (IceHost::Address(_), IpAddr::V6(any)) if any.is_unspecified() => true,
        (IceHost::Address(ip), listener) => ip.is_ipv4() == listener.is_ipv4(),
    }
}

// RFC 9110 section 4.2.2.
const HTTPS_PORT: u16 = 443;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Source, load};

    #[test]
    fn every_listener_gets_its_url() {
        let config =
            config("[server]\ndomain = \"call.example.org\"\n[tls]\nmode = \"self-signed\"\n");
        let urls = config.ice_urls(&config.ice_host().unwrap());
        assert_eq!(urls.stun, ["stun:call.example.org:3478"]);
        assert_eq!(
            urls.turn,
            [
                "turn:call.example.org:3478?transport=udp",
                "turn:call.example.org:3478?transport=tcp",
                "turns:call.example.org:443?transport=tcp",
                "turns:call.example.org:5349?transport=tcp",
            ]
        );
    }

    #[test]
    fn an_ipv6_host_stands_in_brackets_and_meets_its_family_only() {
        let config = config(
            "[server]\npublic_ips = [\"2001:db8::1\"]\n[listen]\n\
             udp = [\"0.0.0.0:3478\", \"[2001:db8::1]:3479\"]\ntcp = [\"[::]:3478\"]\ntls = []\n",
        );
        let urls = config.ice_urls(&config.ice_host().unwrap());
        assert_eq!(
            urls.turn,
            [
                "turn:[2001:db8::1]:3479?transport=udp",
                "turn:[2001:db8::1]:3478?transport=tcp",
            ]
        );
    }

    #[test]
    fn pages_are_found_at_the_usual_port_or_the_first() {
        let origin = |tls: &str| {
            let text = format!("[server]\ndomain = \"call.example.org\"\n[listen]\ntls = {tls}\n");
            let config = config(&text);
            config.web_origin(&config.ice_host().unwrap())
        };
        let at = |port: &str| Some(format!("https://call.example.org{port}"));
        assert_eq!(origin(r#"["[::]:5349", "[::]:443"]"#), at(""));
        assert_eq!(origin(r#"["127.0.0.1:443", "[::]:8443"]"#), at(":8443"));
        assert_eq!(origin("[]"), None);
    }

    #[test]
    fn what_nobody_can_reach_is_not_announced() {
        let config = config(
            "[server]\ndomain = \"call.example.org\"\n[listen]\nudp = [\"[::]:0\"]\n\
             tcp = [\"127.0.0.1:3478\"]\ntls = []\n",
        );
        let urls = config.ice_urls(&config.ice_host().unwrap());
        assert_eq!(urls, IceUrls::default());
        let loopback = IceHost::Address(IpAddr::from([127, 0, 0, 1]));
        assert_eq!(
            config.ice_urls(&loopback).turn,
            ["turn:127.0.0.1:3478?transport=tcp"]
        );
    }

    #[test]
    fn without_name_and_fixed_address_there_is_no_host() {
        assert_eq!(config("").ice_host(), None);
    }

    fn config(text: &str) -> Config {
        let source = Source::text("t.toml", text, BTreeMap::new());
        let loaded = load(&source).map_err(|problems| problems.to_string());
        loaded.expect("the test gives a usable file").config
    }
}
