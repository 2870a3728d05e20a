//! One connection: HTTP/1.1 or HTTP/2 until it ends, or until it becomes a
//! WebSocket.
//!
//! The requests are answered in `routes.rs`. What this file owns is the time a
//! connection may take, what runs for it, and its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::Guard;
use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;

use crate::clock;
use crate::net::accept::Accepted;
use crate::net::stream::{Rewound, Stream};
use crate::net::tls::ALPN_HTTP2;
use crate::peerjs::Params;
use crate::redact::Redacted;

use super::pace::{Over, Pace, Paced};
use super::reply::Reply;
use super::routes;
use super::site::{Options, Site};

/// A stream that was HTTP before.
pub(super) type Upgraded = Rewound<Stream>;

/// What a connection becomes after the answer.
pub(super) enum Upgrade {
    /// `turnstone.v1`.
    Signaling,
    /// The protocol of PeerJS.
    PeerJs(Params),
}

/// What answers the requests of one connection.
pub(super) struct Service {
    site: Arc<Site>,
    client: SocketAddr,
    is_tls: bool,
    pace: Arc<Pace>,
    upgrade: Mutex<Option<(OnUpgrade, Upgrade)>>,
}

/// Serves a connection until it ends, or until `stop` changes and it had a moment
/// to end.
pub(super) async fn serve(site: Arc<Site>, accepted: Accepted, stop: watch::Receiver<bool>) {
    let Accepted {
        stream,
        early,
        client,
        // Its place among the connections: also a WebSocket's.
        admission: _admission,
        ..
    } = accepted;
    let service = Arc::new(Service {
        client,
        is_tls: stream.is_tls(),
        pace: Pace::new(clock::now()),
        upgrade: Mutex::new(None),
        site: Arc::clone(&site),
    });
    let is_http2 = stream.alpn() == Some(ALPN_HTTP2);
    let io = Rewound::new(early, stream);
    // Boxes: what HTTP needs is gone before a WebSocket that may last for hours.
    if is_http2 {
        Box::pin(http2(&service, io, stop)).await;
        return;
    }
    Box::pin(http1(&service, io, stop)).await;
    let upgrade = service.take_upgrade();
    drop(service);
    let Some((upgrade, kind)) = upgrade else {
        return;
    };
    if let Some(io) = take_over(upgrade).await {
        match kind {
            Upgrade::Signaling => Box::pin(site.signaling(io, client)).await,
            Upgrade::PeerJs(params) => Box::pin(site.peerjs(io, client, params)).await,
        }
    }
}

impl Service {
    pub(super) fn options(&self) -> Guard<Arc<Options>> {
        self.site.options()
    }

    pub(super) const fn is_tls(&self) -> bool {
        self.is_tls
    }

    pub(super) fn admits(&self, now: Instant) -> bool {
        self.site.admits(now, self.client.ip())
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
        let _open = self.pace.open();
        let method = request.method().clone();
        let (route, reply) = routes::answer(&self, request).await;
        // Never the path or its query: there may be names, keys and tokens in them.
        debug!(
            client = %Redacted(self.client),
            %method,
            route = route.label(),
            status = reply.status().as_u16(),
            "request answered"
        );
        Ok(reply)
    }

    pub(super) fn new_peer_id(&self) -> String {
        self.site.new_peer_id()
    }

    fn log_end(&self, result: hyper::Result<()>) {
        if let Err(error) = result {
            debug!(client = %Redacted(self.client), %error, "connection ended");
        }
    }

    fn log_slow(&self) {
        debug!(client = %Redacted(self.client), "a request's header did not come in time");
    }
}

async fn http1(service: &Arc<Service>, io: Rewound<Stream>, stop: watch::Receiver<bool>) {
    let io = TokioIo::new(Paced::new(io, Arc::clone(&service.pace)));
    let answering = Arc::clone(service);
    let answers = service_fn(move |request| Arc::clone(&answering).answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Ours tells a slow header from a quiet connection.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEADER)
        .max_headers(MAX_HEADERS)
        .serve_connection(io, answers)
        .with_upgrades();
    tokio::pin!(connection);
    let over = tokio::select! {
        result = connection.as_mut() => return service.log_end(result),
        over = over(service, stop) => over,
    };
    if over == Over::Header {
        return service.log_slow();
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GOODBYE_TIMEOUT, connection).await;
}

async fn http2(service: &Arc<Service>, io: Rewound<Stream>, stop: watch::Receiver<bool>) {
    let streams = Streams::default();
    let answering = Arc::clone(service);
    let answers = service_fn(move |request| Arc::clone(&answering).answer(request));
    let connection = http2::Builder::new(streams.clone())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .serve_connection(TokioIo::new(io), answers);
    tokio::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => service.log_end(result),
        over = over(service, stop) => {
            if over == Over::Header {
                service.log_slow();
            } else {
                connection.as_mut().graceful_shutdown();
                let _ = timeout(GOODBYE_TIMEOUT, connection).await;
            }
        }
    }
    streams.end().await;
}

/// Waits until the connection has to end: it takes too long, or the server stops.
async fn over(service: &Service, mut stop: watch::Receiver<bool>) -> Over {
    tokio::select! {
        over = service.pace.over() => over,
        // An error means that the sender is gone, which is a stop as well.
        _ = stop.changed() => Over::Idle,
    }
}

/// Waits for the answer to be sent, and returns the bare stream behind it.
async fn take_over(upgrade: OnUpgrade) -> Option<Upgraded> {
    let upgraded = upgrade.await.ok()?;
    let parts = upgraded
        .downcast::<TokioIo<Paced<Rewound<Stream>>>>()
        .ok()?;
    let io = parts.io.into_inner().into_inner();
    Some(io.rewind(&parts.read_buf))
}

/// The requests of one HTTP/2 connection, each a task that ends with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl Streams {
    async fn end(self) {
        let mut tasks = {
            let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        tasks.shutdown().await;
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(stream);
    }
}

/// How long the last answers may take when a connection is to end.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);

/// HTTP/2 asks whether the other side is there, for a browser that lost its network.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's header in HTTP/1.1, its first line included.
const MAX_HEADER: usize = 16 << 10;

const MAX_HEADERS: usize = 64;

/// The same in HTTP/2, as RFC 9113 section 6.5.2 counts.
const MAX_HEADER_LIST: u32 = 16 << 10;

/// A page with its files needs no more at a time.
const MAX_STREAMS: u32 = 64;

/// Bytes per HTTP/2 stream that wait for a slow reader.
const MAX_SEND_BUFFER: usize = 64 << 10;
