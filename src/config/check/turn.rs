//! `[turn]` and `[turn.rest]`, and how they fit `[server]` and `[listen]`.

use std::net::IpAddr;
use std::time::Duration;

use super::Surroundings;
use super::listen::covers;
use super::repeated;
use super::users;
use crate::config::duration;
use crate::config::fields::Fields;
use crate::config::fields::Found;
use crate::config::mistake::Mistake;
use crate::config::problem::Finding;
use crate::config::problem::Place;
use crate::config::raw::Record;
use crate::config::settings::DenyPeers;
use crate::config::settings::Listen;
use crate::config::settings::PublicIp;
use crate::config::settings::RelayIp;
use crate::config::settings::Rest;
use crate::config::settings::Server;
use crate::config::settings::Turn;
use crate::config::values;

pub(super) fn turn(
    fields: &mut Fields<'_>,
    users: &[Record],
    server: &Server,
    around: &Surroundings,
) -> Turn {
    let realm = realm(fields, server);
    let relay_ips = relay_ips(fields, server);
    let relay_ports = relay_ports(fields, server, around.cores);
    let (default_lifetime, max_lifetime) = lifetimes(fields);
    let allow_peers = fields.many("turn.allow_peers", values::network);
    let deny_peers = fields.many("turn.deny_peers", deny_peers);
    let is_wrong = |finding: &Finding| finding.key == "turn.deny_peers";
    if deny_peers.value.is_empty() && !fields.findings.iter().any(is_wrong) {
        open_relay(fields, &deny_peers.place);
    }
    let tcp_relay = fields.boolean("turn.tcp_relay").value;
    let rest = Rest {
        secrets: fields.secrets("turn.rest.secrets"),
        api_keys: fields.secrets("turn.rest.api_keys"),
        ttl: fields.duration("turn.rest.ttl").value,
    };
    let users = users::users(fields, users);
    Turn {
        realm,
        relay_ips,
        relay_ports,
        default_lifetime,
        max_lifetime,
        allow_peers: allow_peers.value.into_iter().map(|net| net.value).collect(),
        deny_peers: deny_peers.value.into_iter().map(|net| net.value).collect(),
        tcp_relay,
        users,
        rest,
    }
}

fn realm(fields: &mut Fields<'_>, server: &Server) -> String {
    let realm = fields.parsed("turn.realm", |text| {
        // RFC 8489 section 14.9: fewer than 128 characters.
        if text.chars().count() > 127 {
            return Err(Mistake::new("this realm is too long")
                .why("a realm has at most 127 characters (RFC 8489 section 14.9)")
                .value("\"call.example.org\""));
        }
        if text.contains(|c: char| c.is_control() || c == '"' || c == '\\') {
            return Err(Mistake::new("this realm has characters that do not belong there")
                .why("a realm is sent in quotes, so it has no quotes, backslashes or control characters")
                .value("\"call.example.org\""));
        }
        Ok(text.to_owned())
    });
    if !realm.value.is_empty() {
        return realm.value;
    }
    server
        .domain
        .clone()
        .unwrap_or_else(|| DEFAULT_REALM.to_owned())
}

fn relay_ips(fields: &mut Fields<'_>, server: &Server) -> Vec<RelayIp> {
    const KEY: &str = "turn.relay_ips";
    let list = fields.many(KEY, |text| match text {
        "auto" => Ok(RelayIp::Auto),
        text => values::address(text).map(RelayIp::Address),
    });
    let mut seen = Vec::new();
    for entry in &list.value {
        if seen.contains(&entry.value) {
            fields.push(repeated(KEY, &entry.place));
        } else if entry.value == RelayIp::Auto && list.value.len() > 1 {
            fields.push(
                Finding::error(KEY, &entry.place, "\"auto\" stands beside addresses")
                    .why("either the addresses are found or they are given")
                    .write("\"auto\" alone, or only addresses"),
            );
        }
        seen.push(entry.value);
    }
    if seen.is_empty() && list.given {
        fields.push(
            Finding::error(KEY, &list.place, "there is no address to relay from")
                .write("relay_ips = [\"auto\"]"),
        );
    }
    pairing(fields, &list, &server.public_ips);
    seen
}

// Behind 1:1 NAT the n-th public IPv4 address belongs to the n-th local one,
// and so for IPv6; a family with different numbers cannot be paired.
fn pairing(fields: &mut Fields<'_>, relay: &Found<Vec<Found<RelayIp>>>, public: &[PublicIp]) {
    let relay_ips: Vec<IpAddr> = relay
        .value
        .iter()
        .filter_map(|entry| match entry.value {
            RelayIp::Address(ip) => Some(ip),
            RelayIp::Auto => None,
        })
        .collect();
    let public_ips: Vec<IpAddr> = public
        .iter()
        .filter_map(|entry| match entry {
            PublicIp::Address(ip) => Some(*ip),
            PublicIp::Auto | PublicIp::Dns(_) => None,
        })
        .collect();
    if relay_ips.is_empty() || public_ips.len() != public.len() || public_ips.is_empty() {
        return;
    }
    for (family, is_ipv4) in [("IPv4", true), ("IPv6", false)] {
        let count = |ips: &[IpAddr]| ips.iter().filter(|ip| ip.is_ipv4() == is_ipv4).count();
        let (local, outside) = (count(&relay_ips), count(&public_ips));
        if local != outside {
            let what = format!("{local} {family} here and {outside} {family} in server.public_ips");
            fields.push(
                Finding::error("turn.relay_ips", &relay.place, what)
                    .why("they pair up by position: each relay address needs its public one")
                    .write(format!(
                        "as many {family} addresses in one list as in the other"
                    )),
            );
        }
    }
}

fn relay_ports(
    fields: &mut Fields<'_>,
    server: &Server,
    cores: usize,
) -> std::ops::RangeInclusive<u16> {
    const KEY: &str = "turn.relay_ports";
    let ports = fields.parsed(KEY, values::ports);
    let workers = server.workers.map_or(cores, std::num::NonZeroUsize::get);
    let count = ports.value.len();
    if count < PORTS_PER_WORKER * workers {
        let workers_place = fields.place("server.workers");
        let place = if ports.given {
            &ports.place
        } else {
            &workers_place
        };
        let what = format!("{count} relay ports are too few for {workers} workers");
        fields.push(
            Finding::error(KEY, place, what)
                .why("each worker has its own share of the ports, and EVEN-PORT needs two of them")
                .write("relay_ports = \"49152-65535\", or a smaller server.workers"),
        );
    }
    if ports.given && *ports.value.start() < 1024 {
        fields.push(
            Finding::warning(
                KEY,
                &ports.place,
                "ports below 1024 belong to system services",
            )
            .why("a client could be given the port of another service")
            .write("relay_ports = \"49152-65535\""),
        );
    }
    ports.value
}

/// Warns about UDP listeners that sit on a relay port.
pub(super) fn relay_ports_and_listeners(fields: &mut Fields<'_>, turn: &Turn, listen: &Listen) {
    let inside = listen.udp.iter().find(|listener| {
        turn.relay_ports.contains(&listener.port())
            && turn.relay_ips.iter().any(|relay| match relay {
                RelayIp::Auto => true,
                RelayIp::Address(ip) => covers(listener.ip(), *ip),
            })
    });
    if let Some(listener) = inside {
        let [listeners, ports] = ["listen.udp", "turn.relay_ports"].map(|key| fields.place(key));
        let place = if listeners == Place::Absent {
            ports
        } else {
            listeners
        };
        let what = format!("{listener} lies inside turn.relay_ports");
        fields.push(
            Finding::warning("listen.udp", &place, what)
                .why("that port can never be given to a client")
                .write("a relay_ports range without it"),
        );
    }
}

fn lifetimes(fields: &mut Fields<'_>) -> (Duration, Duration) {
    let default = fields.duration("turn.default_lifetime");
    let max = fields.duration("turn.max_lifetime");
    if default.value > max.value {
        let (key, place) = if max.given {
            ("turn.max_lifetime", &max.place)
        } else {
            ("turn.default_lifetime", &default.place)
        };
        let what = format!(
            "default_lifetime is {} and max_lifetime only {}",
            duration::human(default.value),
            duration::human(max.value)
        );
        fields.push(
            Finding::error(key, place, what)
                .why("an allocation would start with more than it may have")
                .write(format!(
                    "default_lifetime = \"{}\"",
                    duration::human(max.value)
                )),
        );
    }
    (default.value, max.value)
}

fn deny_peers(text: &str) -> Result<DenyPeers, Mistake> {
    if text == "recommended" {
        return Ok(DenyPeers::Recommended);
    }
    values::network(text)
        .map(DenyPeers::Net)
        .map_err(|mistake| {
            if strsim::damerau_levenshtein(&text.to_lowercase(), "recommended") <= 3 {
                mistake.value("\"recommended\"")
            } else {
                mistake
            }
        })
}

fn open_relay(fields: &mut Fields<'_>, place: &Place) {
    fields.push(
        Finding::warning(
            "turn.deny_peers",
            place,
            "clients can reach private networks",
        )
        .why("a relay without this list is a way into the network it stands in")
        .write("deny_peers = [\"recommended\"], and allow_peers for what clients need"),
    );
}

/// Says whether somebody has credentials of their own, or was meant to: a secret
/// that could not be read, or its misspelled key, was already an error.
pub(super) fn has_accounts(fields: &Fields<'_>, turn: &Turn) -> bool {
    let is_about_them = |finding: &Finding| {
        finding.key.starts_with("turn.rest.secrets") || finding.key.starts_with("turn.users")
    };
    !turn.users.is_empty()
        || !turn.rest.secrets.is_empty()
        || fields.record.has_unknown
        || fields.findings.iter().any(is_about_them)
}

/// Warns that there are no credentials.
pub(super) fn nobody(fields: &mut Fields<'_>) {
    fields.push(
        Finding::warning(
            "turn.rest.secrets",
            &Place::Absent,
            "nobody has credentials yet",
        )
        .why("without secrets and users a secret is made at each start and lost at its end")
        .write("[turn.rest] with secrets_file, or a [[turn.users]] block"),
    );
}

// What RFC 8656 section 7.2 needs for EVEN-PORT with a reserved next port.
const PORTS_PER_WORKER: usize = 2;
const DEFAULT_REALM: &str = "turnstone";
