//! The checked configuration.
//!
//! A value of these types is known to be usable: ranges are kept, files were
//! readable and secrets are wrapped when `load` returned. Nothing here has
//! `Debug`, because secrets are in it. Every field carries the name of its key
//! in the file, where its sentence and default are (`config --explain`).

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::bitrate::Bitrate;
use super::size::ByteSize;
use super::values::HostPort;
use crate::auth::TokenKey;
use crate::auth::Tokens;
use crate::redact::Show;
use crate::secret::Secret;

/// Everything an operator decides.
#[derive(Clone)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[listen]`.
    pub listen: Listen,
    /// `[tls]`.
    pub tls: Tls,
    /// `[turn]`.
    pub turn: Turn,
    /// `[limits]`.
    pub limits: Limits,
    /// `[signaling]`.
    pub signaling: Signaling,
    /// `[rooms]`.
    pub rooms: Rooms,
    /// `[sfu]`.
    pub sfu: Sfu,
    /// `[admin]`.
    pub admin: Admin,
    /// `[log]`.
    pub log: Log,
}

impl Config {
    /// Returns the keys of room tokens.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        Tokens::new(self.signaling.token_keys.clone())
    }

    /// Says whether anybody can enter a room, as a guest or with a token.
    #[must_use]
    pub fn has_open_rooms(&self) -> bool {
        self.signaling.guests || !self.signaling.token_keys.is_empty()
    }
}

/// The machine and how the world reaches it.
#[derive(Clone)]
pub struct Server {
    /// Host name of the server, in lower case.
    pub domain: Option<String>,
    /// Addresses announced to clients; [`PublicIp::Auto`] stands alone.
    pub public_ips: Vec<PublicIp>,
    /// STUN servers to ask for the public address.
    pub stun_servers: Vec<HostPort>,
    /// Number of workers; `None` is one per core.
    pub workers: Option<NonZeroUsize>,
    /// Directory for what must survive a restart.
    pub state_dir: PathBuf,
}

/// One entry of `server.public_ips`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PublicIp {
    /// To be found at start.
    Auto,
    /// A fixed address.
    Address(IpAddr),
    /// A name to look up.
    Dns(String),
}

/// Where clients connect. A `[::]` listener also serves IPv4.
#[derive(Clone)]
pub struct Listen {
    /// UDP listeners; port 0 is chosen by the system, here and below.
    pub udp: Vec<SocketAddr>,
    /// TCP listeners.
    pub tcp: Vec<SocketAddr>,
    /// TLS listeners.
    pub tls: Vec<SocketAddr>,
    /// HTTP listeners.
    pub http: Vec<SocketAddr>,
    /// The admin listener.
    pub admin: Option<SocketAddr>,
    /// Networks whose PROXY protocol header is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// The certificate of the TLS listeners.
#[derive(Clone)]
pub struct Tls {
    /// Where the certificate comes from.
    pub mode: TlsMode,
    /// How to fetch one.
    pub acme: Acme,
}

/// Where the certificate comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TlsMode {
    /// PEM files, which fitted together when they were checked.
    Files {
        /// The certificate and its chain.
        cert: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// Made at start.
    SelfSigned,
}

/// Certificates fetched by ACME (RFC 8555).
#[derive(Clone)]
pub struct Acme {
    /// Contact address.
    pub email: Option<String>,
    /// Directory URL.
    pub directory: String,
    /// External account binding (RFC 8555 section 7.3.4).
    pub eab: Option<ExternalAccount>,
}

/// An external account binding.
#[derive(Clone)]
pub struct ExternalAccount {
    /// Key identifier.
    pub kid: String,
    /// Key as the authority hands it out.
    pub hmac: Secret,
}

/// The relay.
#[derive(Clone)]
pub struct Turn {
    /// Realm, never empty.
    pub realm: String,
    /// Local addresses of relay ports; [`RelayIp::Auto`] stands alone.
    pub relay_ips: Vec<RelayIp>,
    /// Relay ports of all workers together, two for each worker at least.
    pub relay_ports: RangeInclusive<u16>,
    /// Lifetime without a wish of the client; at most `max_lifetime`.
    pub default_lifetime: Duration,
    /// Longest lifetime given at once.
    pub max_lifetime: Duration,
    /// Peers allowed although `deny_peers` covers them.
    pub allow_peers: Vec<IpNet>,
    /// Peers refused.
    pub deny_peers: Vec<DenyPeers>,
    /// Whether RFC 6062 is offered.
    pub tcp_relay: bool,
    /// Users with a fixed password; names are unique.
    pub users: Vec<User>,
    /// `[turn.rest]`.
    pub rest: Rest,
}

/// One entry of `turn.relay_ips`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RelayIp {
    /// To be found at start.
    Auto,
    /// A fixed local address.
    Address(IpAddr),
}

/// One entry of `turn.deny_peers`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DenyPeers {
    /// All private, local and reserved ranges; the peer policy holds the list.
    Recommended,
    /// One network.
    Net(IpNet),
}

/// A user with a fixed password.
#[derive(Clone)]
pub struct User {
    /// User name.
    pub name: String,
    /// What the user proves to know.
    pub credential: UserCredential,
}

/// What a user proves to know.
#[derive(Clone)]
pub enum UserCredential {
    /// The password.
    Password(Secret),
    /// 16 bytes, `MD5(name:realm:password)` (RFC 8489 section 9.2.2).
    Md5Key(Secret),
    /// 32 bytes, `SHA-256(name:realm:password)` (RFC 8489 section 18.5.1.2).
    Sha256Key(Secret),
}

/// Secrets shared with an application that hands out credentials.
#[derive(Clone)]
pub struct Rest {
    /// The first signs new credentials, all are accepted.
    pub secrets: Vec<Secret>,
    /// Keys with which applications may fetch credentials.
    pub api_keys: Vec<Secret>,
    /// Life of credentials issued here.
    pub ttl: Duration,
}

/// Limits; `None` is no limit.
#[derive(Clone)]
pub struct Limits {
    /// Allocations of one user.
    pub allocations_per_user: Option<NonZeroU32>,
    /// Allocations of one client address.
    pub allocations_per_ip: Option<NonZeroU32>,
    /// Allocations together.
    pub allocations: Option<NonZeroU32>,
    /// Relayed traffic of one user, both directions together.
    pub bandwidth_per_user: Option<Bitrate>,
    /// Relayed traffic together, both directions.
    pub bandwidth: Option<Bitrate>,
    /// Answers per second to unauthenticated requests of an IPv4 address or
    /// IPv6 /64.
    pub unauthenticated_per_ip: Option<NonZeroU32>,
    /// Answers per second to unauthenticated requests, per worker.
    pub unauthenticated: Option<NonZeroU32>,
    /// TCP and TLS connections of one client address.
    pub connections_per_ip: Option<NonZeroU32>,
    /// Bytes kept for a slow TCP or TLS client.
    pub stream_queue: ByteSize,
    /// People connected to signaling at a time.
    pub sessions: Option<NonZeroU32>,
    /// HTTP requests per second of an IPv4 address or IPv6 /64.
    pub requests_per_ip: Option<NonZeroU32>,
}

/// The signaling WebSocket.
#[derive(Clone)]
pub struct Signaling {
    /// Foreign web origins that may connect, in lower case.
    pub origins: Vec<String>,
    /// Whether people may enter without a token.
    pub guests: bool,
    /// `signaling.tokens.secret`, then `signaling.tokens.keys`: the first that can
    /// sign signs, all verify.
    pub token_keys: Vec<TokenKey>,
}

/// Rooms.
#[derive(Clone)]
pub struct Rooms {
    /// People in one room.
    pub max_participants: u32,
    /// People up to which a room is a mesh; without the SFU, the most there are.
    pub mesh_up_to: u32,
}

/// The SFU.
#[derive(Clone)]
pub struct Sfu {
    /// Whether rooms may use it.
    pub enabled: bool,
    /// Highest rate of one participant.
    pub max_bitrate: Option<Bitrate>,
    /// Codecs, the preferred ones first.
    pub codecs: Vec<Codec>,
}

/// A codec of the SFU.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Codec {
    /// Opus audio.
    Opus,
    /// VP8 video.
    Vp8,
    /// VP9 video.
    Vp9,
    /// H.264 video.
    H264,
    /// AV1 video.
    Av1,
}

/// The administration interface.
#[derive(Clone)]
pub struct Admin {
    /// Its token; `None` closes it.
    pub token: Option<Secret>,
}

/// The log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Log {
    /// Form of a line.
    pub format: LogFormat,
    /// The least important level written.
    pub level: LogLevel,
    /// How much of addresses and user names is written.
    pub addresses: Show,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// What suits the place the log is written to.
    Auto,
    /// Text.
    Text,
    /// One JSON object.
    Json,
}

/// Importance of a log line, the most important first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// The server stops.
    Error,
    /// An operator should look.
    Warn,
    /// Someone came, left or changed something.
    Info,
    /// Why something was refused.
    Debug,
    /// Each packet.
    Trace,
}
