//! The connections: each is served as HTTP until it ends or becomes a WebSocket.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::{self, Builder};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::auth::Tokens;
use crate::net::accept::Accepted;
use crate::net::rate_limit::RequestLimit;
use crate::net::stream::{Rewound, Stream};
use crate::redact::Redacted;
use crate::secret::Secret;
use crate::signaling::{Client, Hub};

use super::credentials::TurnAccess;
use super::reply::Reply;
use super::routes;

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
    /// Makes a site in front of `hub`.
    #[must_use]
    pub fn new(options: Options, hub: Arc<Hub>) -> Arc<Self> {
        Arc::new(Self {
            requests: RequestLimit::new(options.requests_per_ip),
            options: ArcSwap::from_pointee(options),
            hub,
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
                    tasks.spawn(Arc::clone(&self).serve(accepted, stop.clone()));
                }
                // An error means that the sender is gone, which is a stop as well.
                _ = stopped.changed() => break,
            }
        }
        drop(connections);
        self.hub.drain();
        let end = async { while tasks.join_next().await.is_some() {} };
        if timeout(END_TIMEOUT, end).await.is_err() {
            tasks.shutdown().await;
        }
    }

    async fn serve(self: Arc<Self>, accepted: Accepted, stop: watch::Receiver<bool>) {
        let Accepted {
            stream,
            early,
            client,
            admission,
            ..
        } = accepted;
        let service = Arc::new(Service {
            client,
            is_tls: stream.is_tls(),
            requests: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            upgrade: Mutex::new(None),
            site: Arc::clone(&self),
        });
        // Its buffers are gone before a WebSocket that may last for hours begins.
        Box::pin(http(
            Arc::clone(&service),
            Rewound::new(early, stream),
            stop,
        ))
        .await;
        let upgrade = service.take_upgrade();
        drop(service);
        if let Some((upgrade, kind)) = upgrade {
            Box::pin(self.socket(upgrade, kind, client)).await;
        }
        drop(admission);
    }

    async fn socket(self: Arc<Self>, upgrade: OnUpgrade, kind: Upgrade, address: SocketAddr) {
        let Ok(upgraded) = upgrade.await else {
            return;
        };
        let Ok(parts) = auto::upgrade::downcast::<TokioIo<Rewound<Stream>>>(upgraded) else {
            return;
        };
        let io = Rewound::new(parts.read_buf.to_vec(), parts.io.into_inner());
        match kind {
            Upgrade::Signaling => Arc::clone(&self.hub).serve(io, Client { address }).await,
        }
    }
}

/// What a connection becomes after the answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Upgrade {
    /// `turnstone.v1`.
    Signaling,
}

/// What answers the requests of one connection.
pub(super) struct Service {
    site: Arc<Site>,
    client: SocketAddr,
    is_tls: bool,
    requests: AtomicUsize,
    open: AtomicUsize,
    upgrade: Mutex<Option<(OnUpgrade, Upgrade)>>,
}

impl Service {
    pub(super) fn options(&self) -> Guard<Arc<Options>> {
        self.site.options.load()
    }

    pub(super) const fn is_tls(&self) -> bool {
        self.is_tls
    }

    pub(super) fn admits(&self, now: Instant) -> bool {
        self.site.requests.admit(now, self.client.ip())
    }

    /// Notes what comes after the answer that is about to be sent.
    pub(super) fn set_upgrade(&self, upgrade: OnUpgrade, kind: Upgrade) {
        let mut slot = self.upgrade.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some((upgrade, kind));
    }

    fn take_upgrade(&self) -> Option<(OnUpgrade, Upgrade)> {
        let mut slot = self.upgrade.lock().unwrap_or_else(PoisonError::into_inner);
        slot.take()
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, Infallible> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        let method = request.method().clone();
        let reply: Response<_> = routes::answer(&self, request).await;
        debug!(
            client = %Redacted(self.client),
            %method,
            status = reply.status().as_u16(),
            "request answered"
        );
        self.open.fetch_sub(1, Ordering::Relaxed);
        Ok(reply)
    }
}

/// Serves HTTP until the connection ends, is idle for too long, is upgraded, or
/// the server stops.
async fn http(service: Arc<Service>, io: Rewound<Stream>, mut stop: watch::Receiver<bool>) {
    let builder = builder();
    let answering = Arc::clone(&service);
    let answers = service_fn(move |request| Arc::clone(&answering).answer(request));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), answers);
    tokio::pin!(connection);
    let mut seen = 0;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    debug!(client = %Redacted(service.client), error, "connection ended");
                }
                return;
            }
            () = sleep(IDLE_TIMEOUT) => {
                let requests = service.requests.load(Ordering::Relaxed);
                if requests == seen && service.open.load(Ordering::Relaxed) == 0 {
                    connection.as_mut().graceful_shutdown();
                }
                seen = requests;
            }
            _ = stop.changed() => {
                connection.as_mut().graceful_shutdown();
                // What does not end is aborted by the owner.
                let _ = connection.await;
                return;
            }
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEADER_TIMEOUT)
        .keep_alive_timeout(HEADER_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(16 << 10)
        .max_send_buf_size(64 << 10);
    builder
}

/// Connections between their first bytes and their task.
const DOOR_LEN: usize = 1024;

/// How long WebSockets may take to say goodbye when the server stops.
const END_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a request's header may take; a client that is quiet for longer
/// between two requests connects anew.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a connection may be without a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

const MAX_HEADER: usize = 16 << 10;

const MAX_HEADERS: usize = 64;

/// A page with its files needs no more at a time.
const MAX_STREAMS: u32 = 64;
