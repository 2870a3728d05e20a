//! The one table of configuration keys.
//!
//! Reading, defaults, ranges, `config --explain`, `config --full` and
//! `config/turnstone.toml` all come from it, so they cannot disagree. A key
//! that is not here is an error in a file.

use std::time::Duration;

use super::kind::Kind;

/// One key of the configuration file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key {
    /// The full name, sections first: `turn.rest.ttl`.
    pub name: &'static str,
    /// Its type, unit and range.
    pub kind: Kind,
    /// Its default, written as TOML.
    pub default: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// Whether it has an effect in this version.
    pub available: bool,
}

impl Key {
    /// Returns the section: `turn.rest` of `turn.rest.ttl`.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.name
            .rsplit_once('.')
            .map_or("", |(section, _)| section)
    }

    /// Returns the name inside its section: `ttl` of `turn.rest.ttl`.
    #[must_use]
    pub fn leaf(&self) -> &'static str {
        self.name
            .rsplit_once('.')
            .map_or(self.name, |(_, leaf)| leaf)
    }

    const fn later(mut self) -> Self {
        self.available = false;
        self
    }
}

/// A section of the file, in the order of [`KEYS`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Section {
    /// The name between the brackets.
    pub name: &'static str,
    /// What it is about, in one sentence.
    pub about: &'static str,
}

/// The section whose entries repeat, each under its own `[[turn.users]]`.
pub const USERS: &str = "turn.users";

/// Finds a key by its full name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Says whether `name` is a section or the beginning of one.
#[must_use]
pub fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|section| section.name == name)
}

const fn key(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    Key {
        name,
        kind,
        default,
        about,
        available: true,
    }
}

const fn duration(min: u64, max: u64) -> Kind {
    Kind::Duration {
        min: Duration::from_secs(min),
        max: Duration::from_secs(max),
    }
}

const fn integer(min: u32, max: u32) -> Kind {
    Kind::Integer { min, max }
}

const EMPTY: &str = "\"\"";
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// Every section, in the order of the sample file.
pub const SECTIONS: &[Section] = &[
    section("server", "The machine and how the world reaches it."),
    section(
        "listen",
        "Where clients connect; an empty list turns a listener off. `[::]` also serves IPv4.",
    ),
    section("tls", "The certificate of the TLS listeners."),
    section(
        "tls.acme",
        "Certificates fetched by itself, for tls.mode = \"acme\".",
    ),
    section("turn", "The relay."),
    section(
        "turn.users",
        "Users with a fixed password; repeat the block for each user.",
    ),
    section(
        "turn.rest",
        "Secrets shared with an application that hands out short-lived credentials.",
    ),
    section(
        "limits",
        "What one client, one address and everybody together may use.",
    ),
    section(
        "signaling",
        "The WebSocket that brings people of a room together.",
    ),
    section(
        "signaling.tokens",
        "Keys that sign the tokens with which people enter rooms.",
    ),
    section("rooms", "Rooms for calls."),
    section(
        "sfu",
        "The forwarding unit that carries rooms too large for a mesh.",
    ),
    section("admin", "Access to the administration interface."),
    section("log", "What is written to the log."),
];

const fn section(name: &'static str, about: &'static str) -> Section {
    Section { name, about }
}

/// Every key, in the order of the sample file.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("server.domain", Kind::Host, EMPTY,
        "Host name under which clients reach this server; it appears in credentials and is the default realm."),
    key("server.public_ips", Kind::List("a list of addresses, \"dns:NAME\", or \"auto\" alone", "auto"), r#"["auto"]"#,
        "Addresses announced to clients: \"auto\" finds them at start, \"dns:NAME\" looks them up, and behind 1:1 NAT they pair with turn.relay_ips by position and family."),
    key("server.stun_servers", Kind::List("a list of HOST or HOST:PORT", "stun.example.net:3478"), "[]",
        "Foreign STUN servers that public_ips = [\"auto\"] asks when the machine itself has only private addresses."),
    key("server.workers", integer(0, 1024), "0",
        "Threads that relay packets; 0 means one per core."),
    key("server.state_dir", Kind::Path, r#""/var/lib/turnstone""#,
        "Directory for what must survive a restart.").later(),

    key("listen.udp", Kind::Listeners, r#"["[::]:3478"]"#,
        "STUN and TURN over UDP."),
    key("listen.tcp", Kind::Listeners, r#"["[::]:3478"]"#,
        "STUN and TURN over TCP."),
    key("listen.tls", Kind::Listeners, r#"["[::]:443", "[::]:5349"]"#,
        "STUN and TURN over TLS; port 443 passes the firewalls that block everything else."),
    key("listen.http", Kind::Listeners, r#"["[::]:80"]"#,
        "Plain HTTP, which sends browsers on to HTTPS and answers certificate challenges."),
    key("listen.admin", Kind::Listener, r#""127.0.0.1:9641""#,
        "Health checks, metrics and administration.").later(),
    key("listen.trusted_proxies", Kind::Networks, "[]",
        "Proxies whose PROXY protocol header is believed.").later(),

    key("tls.mode", Kind::Choice(&["files", "self-signed", "acme"]), r#""self-signed""#,
        "Where the certificate comes from: files, one made at start that browsers refuse, or ACME (not available in this version)."),
    key("tls.cert", Kind::Path, EMPTY,
        "PEM file with the certificate and its chain, for mode \"files\"."),
    key("tls.key", Kind::Path, EMPTY,
        "PEM file with the private key of the certificate, for mode \"files\"."),

    key("tls.acme.email", Kind::Text, EMPTY,
        "Address the certificate authority writes to about problems.").later(),
    key("tls.acme.directory", Kind::Text, r#""https://acme-v02.api.letsencrypt.org/directory""#,
        "Directory URL of the certificate authority.").later(),
    key("tls.acme.eab_kid", Kind::Text, EMPTY,
        "Key identifier of an external account binding, where the authority wants one.").later(),
    key("tls.acme.eab_hmac", Kind::Secret, EMPTY,
        "Key of the external account binding.").later(),
    key("tls.acme.eab_hmac_file", Kind::Path, EMPTY,
        "File that holds eab_hmac.").later(),

    key("turn.realm", Kind::Text, EMPTY,
        "Realm of the credentials; empty means server.domain, or \"turnstone\" without one."),
    key("turn.relay_ips", Kind::List("a list of addresses, or \"auto\" alone", "auto"), r#"["auto"]"#,
        "Local addresses on which relay ports are opened."),
    key("turn.relay_ports", Kind::Ports, r#""49152-65535""#,
        "UDP ports for relaying; each allocation takes one, and a firewall must let them in."),
    key("turn.default_lifetime", duration(1, HOUR), r#""10m""#,
        "Lifetime of an allocation when the client asks for none or less."),
    key("turn.max_lifetime", duration(1, HOUR), r#""1h""#,
        "Longest lifetime an allocation is given at once."),
    key("turn.allow_peers", Kind::Networks, "[]",
        "Networks clients may reach through the relay although deny_peers covers them."),
    key("turn.deny_peers", Kind::List("a list of networks, addresses or \"recommended\"", "recommended"), r#"["recommended"]"#,
        "Networks clients may not reach; \"recommended\" stands for all private, local and reserved ranges."),
    key("turn.tcp_relay", Kind::Boolean, "false",
        "Relays TCP connections to peers as well (RFC 6062)."),

    key("turn.users.name", Kind::Text, EMPTY,
        "User name; each needs one of password, password_file, key and key_file."),
    key("turn.users.password", Kind::Secret, EMPTY,
        "Password of the user."),
    key("turn.users.password_file", Kind::Path, EMPTY,
        "File that holds the password."),
    key("turn.users.key", Kind::Secret, EMPTY,
        "Instead of a password its long-term key in hex: MD5 or SHA-256 of \"name:realm:password\"."),
    key("turn.users.key_file", Kind::Path, EMPTY,
        "File that holds the key."),

    key("turn.rest.secrets", Kind::Secrets, "[]",
        "Secrets shared with the application; new credentials use the first, all are accepted."),
    key("turn.rest.secrets_file", Kind::Path, EMPTY,
        "File that holds the secrets, one a line."),
    key("turn.rest.api_keys", Kind::Secrets, "[]",
        "Keys with which applications may fetch credentials from GET /turn/credentials; without one it is closed."),
    key("turn.rest.api_keys_file", Kind::Path, EMPTY,
        "File that holds the keys, one a line."),
    key("turn.rest.ttl", duration(60, 30 * DAY), r#""24h""#,
        "How long credentials issued by this server are valid."),

    key("limits.allocations_per_user", Kind::Limit, "10",
        "Allocations one user may hold at a time."),
    key("limits.allocations_per_ip", Kind::Limit, "20",
        "Allocations one client address may hold at a time."),
    key("limits.allocations", Kind::Limit, "0",
        "Allocations of all users together; the number of relay ports is a limit in any case."),
    key("limits.bandwidth_per_user", Kind::Bitrate, EMPTY,
        "Relayed traffic of one user, both directions together; what exceeds it is dropped."),
    key("limits.bandwidth", Kind::Bitrate, EMPTY,
        "Relayed traffic of all users, both directions together; what exceeds it is dropped."),
    key("limits.unauthenticated_per_ip", Kind::Limit, "20",
        "Answers per second to unauthenticated requests of one IPv4 address or IPv6 /64, for each worker."),
    key("limits.unauthenticated", Kind::Limit, "2000",
        "Answers per second to all unauthenticated requests together, for each worker."),
    key("limits.connections_per_ip", Kind::Limit, "100",
        "TCP and TLS connections one client address may hold at a time."),
    key("limits.stream_queue", Kind::Size { min: 64 << 10, max: 64 << 20 }, r#""256KiB""#,
        "Bytes kept for a TCP or TLS client that reads slowly; beyond that the oldest packet is dropped."),
    key("limits.sessions", Kind::Limit, "20000",
        "People connected to signaling at a time, those who wait to be resumed among them."),
    key("limits.requests_per_ip", Kind::Limit, "50",
        "HTTP requests per second of one IPv4 address or IPv6 /64."),

    key("signaling.origins", Kind::List("a list of web origins", "https://www.example.org"), "[]",
        "Other web sites whose pages may connect; the server's own pages always may."),
    key("signaling.guests", Kind::Boolean, "false",
        "Lets people enter rooms without a token."),

    key("signaling.tokens.secret", Kind::Secret, EMPTY,
        "Secret that signs and verifies room tokens (HS256)."),
    key("signaling.tokens.secret_file", Kind::Path, EMPTY,
        "File that holds the secret."),
    key("signaling.tokens.keys", Kind::Secrets, "[]",
        "More keys, for a rotation and for EdDSA: an Ed25519 key as PEM, PRIVATE KEY to sign and PUBLIC KEY to verify only, or an HS256 secret; the first that can sign signs."),
    key("signaling.tokens.keys_file", Kind::Path, EMPTY,
        "File that holds the keys: PEM blocks, and secrets one a line."),

    key("rooms.max_participants", integer(2, 1000), "50",
        "People in one room at a time."),
    key("rooms.mesh_up_to", integer(0, 8), "2",
        "Up to this many people a room is a mesh; this version has no SFU to carry more, so it is the most people of a room."),

    key("sfu.enabled", Kind::Boolean, "true",
        "Whether rooms may use the SFU.").later(),
    key("sfu.max_bitrate", Kind::Bitrate, EMPTY,
        "Highest rate at which one participant may send.").later(),
    key("sfu.codecs", Kind::List("a list of opus, vp8, vp9, h264 and av1", "opus"), r#"["opus", "vp8", "vp9", "h264", "av1"]"#,
        "Codecs offered to participants, the preferred ones first.").later(),

    key("admin.token", Kind::Secret, EMPTY,
        "Token of the administration interface, such as POST /api/v1/tokens; without one it is closed."),
    key("admin.token_file", Kind::Path, EMPTY,
        "File that holds the token."),

    key("log.format", Kind::Choice(&["auto", "text", "json"]), r#""auto""#,
        "Form of a log line: text, one JSON object, or what suits the place it is written to."),
    key("log.level", Kind::Choice(&["error", "warn", "info", "debug", "trace"]), r#""info""#,
        "The least important level that is still written."),
    key("log.addresses", Kind::Choice(&["full", "prefix", "none"]), r#""full""#,
        "How much of a client's address and user name is written: all, the network (IPv4 /24, IPv6 /48), or nothing."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_grouped_by_section() {
        let names: BTreeSet<_> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), KEYS.len());

        let mut sections: Vec<_> = KEYS.iter().map(Key::section).collect();
        sections.dedup();
        let declared: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
        assert_eq!(sections, declared);
    }

    #[test]
    fn every_sentence_is_one_sentence() {
        let keys = KEYS.iter().map(|key| (key.name, key.about));
        for (name, about) in keys {
            assert!(about.ends_with('.') && !about.contains(". "), "{name}");
        }
    }

    #[test]
    fn every_secret_can_come_from_a_file() {
        for key in KEYS.iter().filter(|key| key.kind.is_secret()) {
            let file = format!("{}_file", key.name);
            assert!(find(&file).is_some(), "{file}");
        }
    }
}
