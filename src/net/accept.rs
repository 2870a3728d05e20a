//! Accepting TCP connections: admission, TLS where the client speaks it, and
//! enough of the first bytes to know what the connection is for.
//!
//! Runs on the control runtime. What it hands on is a plain or TLS stream that
//! has said its first word; who takes it is the caller's business.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::clock;
use crate::net::addresses::unmap;
use crate::net::rate_limit::{Admission, ConnectionLimit};
use crate::net::sniff::{Sniff, sniff};
use crate::net::stream::Stream;
use crate::net::tls::{ALPN_HTTP1, ALPN_HTTP2};
use crate::redact::Redacted;

/// A connection whose first bytes are known.
pub struct Accepted {
    /// The connection, after its TLS handshake if it has one.
    pub stream: Stream,
    /// Plain bytes that were read already; empty where ALPN said enough.
    pub early: Vec<u8>,
    /// What the bytes are.
    pub protocol: Sniff,
    /// The client's address, never IPv4-mapped.
    pub client: SocketAddr,
    /// Our address that it connected to, never IPv4-mapped.
    pub local: SocketAddr,
    /// Its place among the open connections: keep it as long as the socket.
    pub admission: Admission,
}

/// What every listener needs.
pub struct Acceptor {
    /// Presents the certificate; `None` where TLS is not offered.
    pub tls: Option<Arc<ServerConfig>>,
    /// Open connections per source and in total.
    pub limit: ConnectionLimit,
    /// Takes what was accepted. It must not block.
    pub sink: Box<dyn Fn(Accepted) + Send + Sync>,
}

/// Accepts connections on `listener` until `stop` changes.
///
/// Every connection gets [`FIRST_BYTES_TIMEOUT`] for its handshake and its first
/// bytes. What is under way when it stops is dropped.
pub async fn serve(
    listener: TcpListener,
    acceptor: Arc<Acceptor>,
    mut stop: watch::Receiver<bool>,
) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    let mut tasks = JoinSet::new();
    let mut warned_at = None;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // An error means that the sender is gone, which is a stop as well.
            _ = stop.changed() => return,
        };
        while tasks.try_join_next().is_some() {}
        let (socket, client) = match accepted {
            Ok((socket, client)) => (socket, unmap(client)),
            // The client gave up while it waited.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                // No descriptors or memory: more of the same would spin.
                if warned_at.is_none_or(|at| clock::now() >= at + WARN_INTERVAL) {
                    warned_at = Some(clock::now());
                    warn!(%error, "cannot accept a connection");
                }
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let admission = match acceptor.limit.admit(client.ip()) {
            Ok(admission) => admission,
            Err(refusal) => {
                debug!(client = %Redacted(client), %refusal, "connection refused");
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&handshakes).try_acquire_owned() else {
            debug!(client = %Redacted(client), "too many handshakes under way");
            continue;
        };
        let acceptor = Arc::clone(&acceptor);
        tasks.spawn(async move {
            let _permit = permit;
            let work = begin(socket, client, admission, &acceptor);
            match timeout(FIRST_BYTES_TIMEOUT, work).await {
                Ok(Ok(accepted)) => (acceptor.sink)(accepted),
                Ok(Err(error)) => debug!(client = %Redacted(client), %error, "connection ended"),
                Err(_) => debug!(client = %Redacted(client), "connection said nothing in time"),
            }
        });
    }
}

async fn begin(
    socket: TcpStream,
    client: SocketAddr,
    admission: Admission,
    acceptor: &Acceptor,
) -> io::Result<Accepted> {
    socket.set_nodelay(true)?;
    let local = unmap(socket.local_addr()?);
    let mut first = [0; 1];
    let is_tls = socket.peek(&mut first).await? == 1 && first[0] == TLS_HANDSHAKE;
    let (stream, early, protocol) = if is_tls {
        let config = acceptor.tls.as_ref();
        let config = config.ok_or_else(|| io::Error::other("TLS is not offered on this port"))?;
        let mut stream = TlsAcceptor::from(Arc::clone(config)).accept(socket).await?;
        let alpn = stream.get_ref().1.alpn_protocol();
        let (early, protocol) = if alpn.is_some_and(|name| ALPN_HTTP.contains(&name)) {
            // Whoever takes it has its own patience with silent clients.
            (Vec::new(), Sniff::Http)
        } else {
            first_bytes(&mut stream).await?
        };
        (Stream::Tls(Box::new(stream)), early, protocol)
    } else {
        let mut socket = socket;
        let (early, protocol) = first_bytes(&mut socket).await?;
        (Stream::Plain(socket), early, protocol)
    };
    Ok(Accepted {
        stream,
        early,
        protocol,
        client,
        local,
        admission,
    })
}

/// Reads until it is clear what the bytes are.
async fn first_bytes(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Vec<u8>, Sniff)> {
    let mut bytes = Vec::with_capacity(EARLY_LEN);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match sniff(&bytes) {
            Sniff::NeedMore => {}
            protocol
            @ (Sniff::Tls | Sniff::Stun | Sniff::IceTcp | Sniff::Http | Sniff::Unknown) => {
                return Ok((bytes, protocol));
            }
        }
    }
}

/// What leaves no doubt; browsers offer nothing for `turns:`, and may offer TURN's
/// name and then speak something else.
const ALPN_HTTP: [&[u8]; 2] = [ALPN_HTTP1, ALPN_HTTP2];

/// RFC 8446 section 5.1.
const TLS_HANDSHAKE: u8 = 22;

/// How long a connection may take to say what it is.
pub const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(10);

/// Handshakes under way at a time, per listener; each costs a millisecond of a core.
const MAX_HANDSHAKES: usize = 2048;

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The same trouble is worth one line a minute.
const WARN_INTERVAL: Duration = Duration::from_secs(60);

/// A STUN request with credentials fits.
const EARLY_LEN: usize = 1024;
