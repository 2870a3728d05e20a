//! From the configuration to the options of each module.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::sign::CertifiedKey;
use tracing::{Level, info};

use crate::auth::{self, Directory, SessionAccess, SessionCredentials};
use crate::clock;
use crate::config::{
    self, Config, DenyPeers, IceHost, IceUrls, LogFormat, LogLevel, TlsMode, UserCredential,
};
use crate::net::rate_limit::ConnectionLimit;
use crate::net::tls::{SwappableCert, certificate};
use crate::observability::Format;
use crate::peerjs;
use crate::room;
use crate::secret::Secret;
use crate::signaling;
use crate::stun::LongTermKey;
use crate::turn::{
    self, Bucket, BudgetOptions, PeerPolicy, QuotaLimits, RelayAddress, peer_policy,
};
use crate::unix_time::UnixTime;
use crate::web;
use crate::worker;

use super::Serving;
use super::addresses::Place;

/// Builds what the workers need from one configuration.
pub(super) struct Builder<'c> {
    config: &'c Config,
    place: &'c Place,
    generated_secret: Option<&'c Secret>,
    access: &'c SessionAccess,
    workers: usize,
    bandwidth: Option<Arc<Bucket>>,
}

impl<'c> Builder<'c> {
    pub(super) fn new(
        config: &'c Config,
        place: &'c Place,
        generated_secret: Option<&'c Secret>,
        access: &'c SessionAccess,
        workers: usize,
    ) -> Self {
        // One bucket for all workers.
        let bandwidth = config
            .limits
            .bandwidth
            .map(|limit| Arc::new(Bucket::new(clock::now(), limit.bytes_per_second())));
        Self {
            config,
            place,
            generated_secret,
            access,
            workers,
            bandwidth,
        }
    }

    pub(super) fn relay_addresses(&self) -> &[RelayAddress] {
        &self.place.relays
    }

    pub(super) fn directory(&self) -> Arc<Directory> {
        let turn = &self.config.turn;
        Arc::new(Directory::new(auth::Options {
            realm: turn.realm.clone(),
            users: turn.users.iter().map(user).collect(),
            rest_secrets: self.rest_secrets(),
            // A nonce offers USERHASH only where every user is on the list.
            sessions: self.config.has_open_rooms().then(|| self.access.clone()),
        }))
    }

    /// Builds what rooms need; `serving` has the ports as they were bound.
    pub(super) fn signaling_options(&self, serving: &Serving) -> signaling::Options {
        let rooms = &self.config.rooms;
        let urls = self.ice_urls(serving);
        let credentials =
            SessionCredentials::new(self.access.secret.clone(), self.config.turn.rest.ttl);
        signaling::Options {
            rooms: room::Options {
                max_participants: rooms.max_participants,
                mesh_up_to: rooms.mesh_up_to,
                guests: self.config.signaling.guests,
                sessions: self.most_sessions(),
                stun_urls: urls.stun,
                turn_urls: urls.turn,
                credentials: Some(credentials),
            },
            tokens: self.config.tokens(),
        }
    }

    /// Builds what the broker of PeerJS clients needs.
    pub(super) fn peerjs_options(&self) -> peerjs::Options {
        peerjs::Options {
            guests: self.config.signaling.guests,
            peers: self.most_sessions(),
        }
    }

    fn most_sessions(&self) -> usize {
        let limit = self.config.limits.sessions;
        limit.map_or(usize::MAX, |limit| limit.get() as usize)
    }

    /// Builds what the site needs.
    pub(super) fn web_options(&self, serving: &Serving) -> web::Options {
        let urls = self.ice_urls(serving);
        let rest = &self.config.turn.rest;
        web::Options {
            domain: self.config.server.domain.clone(),
            https_port: serving.tls.first().map(SocketAddr::port),
            origins: self.config.signaling.origins.clone(),
            is_trusted: matches!(self.config.tls.mode, TlsMode::Files { .. }),
            admin_token: self.config.admin.token.clone(),
            tokens: self.config.tokens(),
            turn: web::TurnAccess {
                api_keys: rest.api_keys.clone(),
                secret: self.rest_secrets().into_iter().next(),
                ttl: rest.ttl,
                stun_urls: urls.stun,
                turn_urls: urls.turn,
            },
            requests_per_ip: number(self.config.limits.requests_per_ip),
        }
    }

    fn rest_secrets(&self) -> Vec<Secret> {
        let turn = &self.config.turn;
        let mut secrets = turn.rest.secrets.clone();
        if secrets.is_empty() && turn.users.is_empty() {
            secrets.extend(self.generated_secret.cloned());
        }
        secrets
    }

    fn ice_urls(&self, serving: &Serving) -> IceUrls {
        let mut bound = self.config.clone();
        bound.listen.udp.clone_from(&serving.udp);
        bound.listen.tcp.clone_from(&serving.tcp);
        bound.listen.tls.clone_from(&serving.tls);
        let host = bound.ice_host();
        bound.ice_urls(&host.unwrap_or(IceHost::Address(serving.announced)))
    }

    pub(super) fn turn_options(&self, worker: usize) -> turn::Options {
        let Config { turn, limits, .. } = self.config;
        turn::Options {
            relay_addresses: self.place.relays.clone(),
            relay_ports: turn.relay_ports.clone(),
            worker: u16::try_from(worker).expect("bounded by MAX_WORKERS"),
            workers: u16::try_from(self.workers).expect("bounded by MAX_WORKERS"),
            default_lifetime: turn.default_lifetime,
            max_lifetime: turn.max_lifetime,
            tcp_relay: turn.tcp_relay,
            peer_policy: peer_policy(turn, &self.place.own),
            permissions_per_allocation: PER_ALLOCATION,
            channels_per_allocation: PER_ALLOCATION,
            budget: BudgetOptions {
                per_prefix: number(limits.unauthenticated_per_ip),
                total: number(limits.unauthenticated),
            },
            bandwidth: self.bandwidth.clone(),
        }
    }
}

pub(super) fn quota_limits(config: &Config) -> QuotaLimits {
    let limits = &config.limits;
    QuotaLimits {
        per_user: number(limits.allocations_per_user),
        per_address: number(limits.allocations_per_ip),
        total: number(limits.allocations),
        user_bandwidth: limits
            .bandwidth_per_user
            .map_or(0, config::Bitrate::bytes_per_second),
    }
}

pub(super) fn connection_limit(config: &Config) -> ConnectionLimit {
    ConnectionLimit::new(connections_per_ip(config), MAX_CONNECTIONS)
}

pub(super) fn set_connection_limit(limit: &ConnectionLimit, config: &Config) {
    limit.set_limits(connections_per_ip(config), MAX_CONNECTIONS);
}

pub(super) fn worker_options(config: &Config) -> worker::Options {
    let bytes = config.limits.stream_queue.bytes();
    worker::Options {
        stream_queue: usize::try_from(bytes).unwrap_or(usize::MAX),
    }
}

pub(super) fn log_format(format: LogFormat) -> Format {
    match format {
        LogFormat::Auto => Format::Auto,
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    }
}

pub(super) fn log_level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    }
}

/// Makes the certificate that TLS clients see, when there is a TLS listener or
/// a TCP one, which speaks TLS as well.
pub(super) fn certificate(
    config: &Config,
    place: &Place,
    now: UnixTime,
) -> anyhow::Result<Option<Arc<SwappableCert>>> {
    if config.listen.tls.is_empty() && config.listen.tcp.is_empty() {
        return Ok(None);
    }
    let certified = match certified_key(config, now)? {
        Some(certified) => certified,
        None => self_signed(config, place, now)?,
    };
    Ok(Some(SwappableCert::new(certified)))
}

/// Loads the certificate from its files; `None` where it is made by us.
pub(super) fn certified_key(
    config: &Config,
    now: UnixTime,
) -> anyhow::Result<Option<Arc<CertifiedKey>>> {
    match &config.tls.mode {
        TlsMode::Files { cert, key } => {
            let loaded = certificate::load_files(cert, key, now)?;
            info!(file = %cert.display(), valid_until = loaded.validity.until.0, "certificate loaded");
            Ok(Some(loaded.certified))
        }
        TlsMode::SelfSigned => Ok(None),
    }
}

/// Names what differs between two configurations and only a restart can change.
pub(super) fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let listen = |c: &Config| {
        (
            c.listen.udp.clone(),
            c.listen.tcp.clone(),
            c.listen.tls.clone(),
            c.listen.http.clone(),
        )
    };
    [
        ("[listen]", listen(old) != listen(new)),
        (
            "server.public_ips",
            old.server.public_ips != new.server.public_ips,
        ),
        (
            "server.stun_servers",
            old.server.stun_servers != new.server.stun_servers,
        ),
        ("server.workers", old.server.workers != new.server.workers),
        ("turn.relay_ips", old.turn.relay_ips != new.turn.relay_ips),
        (
            "turn.relay_ports",
            old.turn.relay_ports != new.turn.relay_ports,
        ),
        (
            "limits.stream_queue",
            old.limits.stream_queue != new.limits.stream_queue,
        ),
        ("log.format", old.log.format != new.log.format),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// Thirty-two random bytes.
pub(super) fn random() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .ok()
        .context("the system gives no random numbers")?;
    Ok(bytes)
}

/// Makes a certificate for every name and address that clients may use.
pub(super) fn self_signed(
    config: &Config,
    place: &Place,
    now: UnixTime,
) -> anyhow::Result<Arc<CertifiedKey>> {
    let addresses = place.relays.iter().map(|relay| relay.announced.to_string());
    let mut names: Vec<String> = config
        .server
        .domain
        .clone()
        .into_iter()
        .chain(addresses)
        .collect();
    names.extend([
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ]);
    names.sort_unstable();
    names.dedup();
    Ok(certificate::self_signed(&names, now)?.certified)
}

fn peer_policy(turn: &config::Turn, own: &[IpAddr]) -> PeerPolicy {
    let denied = turn
        .deny_peers
        .iter()
        .flat_map(|entry| match entry {
            DenyPeers::Recommended => peer_policy::recommended(),
            DenyPeers::Net(net) => vec![*net],
        })
        .collect();
    PeerPolicy::new(turn.allow_peers.clone(), denied, own.to_vec())
}

fn user(user: &config::User) -> auth::User {
    let key = |bytes: &Secret| {
        let key = LongTermKey::from_bytes(bytes.expose());
        auth::Credential::Key(key.expect("length checked with the configuration"))
    };
    let credential = match &user.credential {
        UserCredential::Password(password) => auth::Credential::Password(password.clone()),
        UserCredential::Md5Key(bytes) | UserCredential::Sha256Key(bytes) => key(bytes),
    };
    auth::User {
        name: user.name.clone(),
        credential,
    }
}

fn connections_per_ip(config: &Config) -> u32 {
    config
        .limits
        .connections_per_ip
        .map_or(u32::MAX, NonZeroU32::get)
}

/// 0 is no limit in the cores.
fn number(limit: Option<NonZeroU32>) -> u32 {
    limit.map_or(0, NonZeroU32::get)
}

/// Permissions, and channels, of one allocation: enough for a mesh call of 64.
const PER_ALLOCATION: usize = 64;

/// TCP and TLS connections of all clients together.
const MAX_CONNECTIONS: usize = 100_000;
