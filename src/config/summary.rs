//! What a configuration will serve, in a few lines for `turnstone check`.

use std::fmt::{Display, Write};
use std::net::SocketAddr;
use std::num::NonZeroU32;

use super::bitrate;
use super::bitrate::Bitrate;
use super::duration;
use super::settings::Config;
use super::settings::DenyPeers;
use super::settings::PublicIp;
use super::settings::RelayIp;
use super::settings::TlsMode;

impl Config {
    /// Describes in a few lines what will be served; contains no secret.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            writeln!(text, "  {name:<12} {value}").expect("writing to a String cannot fail");
        };
        line("listens", self.listeners());
        line(
            "announces",
            join(self.server.public_ips.iter().map(public_ip)),
        );
        line("relays", self.relay());
        line("realm", self.turn.realm.clone());
        line("accepts", self.accounts());
        line("rooms", self.entry());
        line("limits", self.limits());
        line("peers", self.peers());
        line("certificate", self.certificate());
        text
    }

    fn listeners(&self) -> String {
        let lists = [
            ("udp", &self.listen.udp),
            ("tcp", &self.listen.tcp),
            ("tls", &self.listen.tls),
            ("http", &self.listen.http),
        ];
        let used = lists.iter().filter(|(_, list)| !list.is_empty());
        let each = used.map(|(name, list)| {
            let addresses = list.iter().map(SocketAddr::to_string);
            format!("{name} {}", addresses.collect::<Vec<_>>().join(" "))
        });
        join(each)
    }

    fn relay(&self) -> String {
        let ports = &self.turn.relay_ports;
        let ips = join(self.turn.relay_ips.iter().map(|ip| match ip {
            RelayIp::Auto => "an address found at start".to_owned(),
            RelayIp::Address(ip) => ip.to_string(),
        }));
        format!("UDP ports {}-{} of {ips}", ports.start(), ports.end())
    }

    fn accounts(&self) -> String {
        let (users, secrets) = (self.turn.users.len(), self.turn.rest.secrets.len());
        if users + secrets == 0 {
            return "credentials of a secret made at start".to_owned();
        }
        let mut parts = Vec::new();
        if secrets > 0 {
            let ttl = duration::human(self.turn.rest.ttl);
            parts.push(format!(
                "{} (issued for {ttl})",
                count(secrets, "shared secret")
            ));
        }
        if users > 0 {
            parts.push(count(users, "user"));
        }
        join(parts.into_iter())
    }

    fn entry(&self) -> String {
        let keys = self.signaling.token_keys.len();
        let who = match (self.signaling.guests, keys) {
            (false, 0) => return "closed: no tokens and no guests".to_owned(),
            (true, 0) => "open to everybody".to_owned(),
            (true, keys) => format!("open to everybody, tokens of {}", count(keys, "key")),
            (false, keys) => format!("open with tokens of {}", count(keys, "key")),
        };
        // There is no SFU to carry more than a mesh can.
        let most = self.rooms.mesh_up_to.min(self.rooms.max_participants);
        format!("{who}; at most {most} people each")
    }

    fn limits(&self) -> String {
        let limits = &self.limits;
        let number = |limit: Option<NonZeroU32>, of: &str| match limit {
            Some(limit) => format!("{limit} allocations {of}"),
            None => format!("any number of allocations {of}"),
        };
        let rate =
            |limit: Option<Bitrate>, of: &str| limit.map(|l| format!("{} {of}", bitrate::human(l)));
        let allocations = [
            number(limits.allocations_per_user, "per user"),
            number(limits.allocations_per_ip, "per address"),
        ];
        let rates = [
            rate(limits.bandwidth_per_user, "per user"),
            rate(limits.bandwidth, "together"),
        ];
        join(allocations.into_iter().chain(rates.into_iter().flatten()))
    }

    fn peers(&self) -> String {
        let denied = self.turn.deny_peers.iter().map(|entry| match entry {
            DenyPeers::Recommended => "private and reserved networks".to_owned(),
            DenyPeers::Net(net) => net.to_string(),
        });
        let mut text = if self.turn.deny_peers.is_empty() {
            "everywhere".to_owned()
        } else {
            format!("everywhere but {}", join(denied))
        };
        if !self.turn.allow_peers.is_empty() {
            let allowed = self.turn.allow_peers.iter().map(ToString::to_string);
            text.push_str(&format!("; allowed all the same: {}", join(allowed)));
        }
        text
    }

    fn certificate(&self) -> String {
        if self.listen.tls.is_empty() {
            return "none, no TLS listener".to_owned();
        }
        match &self.tls.mode {
            TlsMode::Files { cert, .. } => cert.display().to_string(),
            TlsMode::SelfSigned => "self-signed, made at start".to_owned(),
        }
    }
}

fn public_ip(ip: &PublicIp) -> String {
    match ip {
        PublicIp::Auto => "an address found at start".to_owned(),
        PublicIp::Address(ip) => ip.to_string(),
        PublicIp::Dns(name) => format!("the addresses of {name}"),
    }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn join(parts: impl Iterator<Item = impl Display>) -> String {
    let parts: Vec<_> = parts.map(|part| part.to_string()).collect();
    parts.join(", ")
}
