//! The site as a whole: its options, and the owner of its connections.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;

use crate::auth::Tokens;
use crate::net::accept::Accepted;
use crate::net::rate_limit::RequestLimit;
use crate::peerjs::Params;
use crate::redact::Redacted;
use crate::secret::Secret;
use crate::signaling::{Client, Hub, PeerJs};

use super::connection::{self, Upgraded};
use super::credentials::TurnAccess;

/// What the site is configured with; a reload replaces all of it.
pub struct Options {
    /// Our name.
    pub domain: Option<String>,
    /// Port of the first TLS listener, which plain HTTP is sent to.
    pub https_port: Option<u16>,
    /// Foreign web origins that may connect, in lower case.
    pub origins: Vec<String>,
    /// Whether browsers trust the certificate, so that they may be told to
    /// insist on it.
    pub is_trusted: bool,
    /// Opens the API; closed without it.
    pub admin_token: Option<Secret>,
    /// Signs room tokens.
    pub tokens: Tokens,
    /// Hands out TURN credentials.
    pub turn: TurnAccess,
    /// Requests per second of one address; 0 is no limit.
    pub requests_per_ip: u32,
}

/// Serves pages, the API and WebSockets.
pub struct Site {
    options: ArcSwap<Options>,
    hub: Arc<Hub>,
    peerjs: Arc<PeerJs>,
    requests: RequestLimit,
}

/// Where accepted connections are handed in.
#[derive(Clone)]
pub struct Door(mpsc::Sender<Accepted>);

impl Door {
    /// Makes a door and what comes in by it. A full one turns connections away.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Accepted>) {
        let (sender, receiver) = mpsc::channel(DOOR_LEN);
        (Self(sender), receiver)
    }

    /// Hands a connection in.
    pub fn enter(&self, accepted: Accepted) {
        if let Err(error) = self.0.try_send(accepted) {
            let client = error.into_inner().client;
            debug!(client = %Redacted(client), "the site takes no more connections");
        }
    }
}

impl Site {
    /// Makes a site in front of `hub` and `peerjs`.
    #[must_use]
    pub fn new(options: Options, hub: Arc<Hub>, peerjs: Arc<PeerJs>) -> Arc<Self> {
        Arc::new(Self {
            requests: RequestLimit::new(options.requests_per_ip),
            options: ArcSwap::from_pointee(options),
            hub,
            peerjs,
        })
    }

    /// Takes over new options after a reload.
    pub fn set_options(&self, options: Options) {
        self.requests.set_limit(options.requests_per_ip);
        self.options.store(Arc::new(options));
    }

    /// Serves what comes in until `stop` changes; then gives those who are
    /// served a moment to end.
    pub async fn run(
        self: Arc<Self>,
        mut connections: mpsc::Receiver<Accepted>,
        stop: watch::Receiver<bool>,
    ) {
        let mut stopped = stop.clone();
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                accepted = connections.recv() => {
                    let Some(accepted) = accepted else { break };
                    while tasks.try_join_next().is_some() {}
                    tasks.spawn(connection::serve(Arc::clone(&self), accepted, stop.clone()));
                }
                // An error means that the sender is gone, which is a stop as well.
                _ = stopped.changed() => break,
            }
        }
        drop(connections);
        self.hub.drain();
        self.peerjs.drain();
        let end = async { while tasks.join_next().await.is_some() {} };
        if timeout(END_TIMEOUT, end).await.is_err() {
            tasks.shutdown().await;
        }
    }

    /// Runs a WebSocket of the signaling protocol.
    pub(super) async fn signaling(&self, io: Upgraded, address: SocketAddr) {
        Arc::clone(&self.hub).serve(io, Client { address }).await;
    }

    /// Runs a WebSocket of a PeerJS client.
    pub(super) async fn peerjs(&self, io: Upgraded, address: SocketAddr, params: Params) {
        let peerjs = Arc::clone(&self.peerjs);
        peerjs.serve(io, Client { address }, params).await;
    }

    pub(super) fn new_peer_id(&self) -> String {
        self.peerjs.new_id()
    }

    pub(super) fn options(&self) -> Guard<Arc<Options>> {
        self.options.load()
    }

    pub(super) fn admits(&self, now: Instant, from: IpAddr) -> bool {
        self.requests.admit(now, from)
    }
}

/// Connections between their first bytes and their task.
const DOOR_LEN: usize = 1024;

/// How long WebSockets may take to say goodbye when the server stops.
const END_TIMEOUT: Duration = Duration::from_secs(3);
