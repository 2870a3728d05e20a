//! The floor: TLS and the WebSocket upgrade, then bytes from one connection to the
//! other with the same path. What a signaling server costs beyond this is its protocol.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::SocketAddrV4;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

type Tls = TlsStream<TcpStream>;
type Waiting = Arc<Mutex<HashMap<String, Tls>>>;

/// Serves `listen` until the process is ended.
pub fn serve(listen: SocketAddrV4, cert: &Path, key: &Path) -> io::Result<()> {
    let acceptor = acceptor(cert, key)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(accept(listen, acceptor))
}

async fn accept(listen: SocketAddrV4, acceptor: TlsAcceptor) -> io::Result<()> {
    let listener = listen_on(listen)?;
    // In the words of the server under test.
    let address = listener.local_addr()?;
    eprintln!(r#"{{"fields":{{"message":"listening","transport":"tls","address":"{address}"}}}}"#);
    eprintln!(r#"{{"fields":{{"message":"ready"}}}}"#);
    let waiting = Waiting::default();
    loop {
        let (tcp, _) = listener.accept().await?;
        let (acceptor, waiting) = (acceptor.clone(), Arc::clone(&waiting));
        // It ends with its connection.
        tokio::spawn(async move { serve_one(tcp, acceptor, waiting).await });
    }
}

#[expect(
    clippy::result_large_err,
    reason = "the library asks for such a callback"
)]
async fn serve_one(tcp: TcpStream, acceptor: TlsAcceptor, waiting: Waiting) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let tls = acceptor.accept(tcp).await?;
    let mut path = String::new();
    let upgraded =
        tokio_tungstenite::accept_hdr_async(tls, |request: &Request, response: Response| {
            path = request.uri().path().to_owned();
            Ok(response)
        });
    let mut tls = Box::pin(upgraded)
        .await
        .map_err(io::Error::other)?
        .into_inner();
    if path == "/alone" {
        let mut close = [0; 64];
        let _ = tls.read(&mut close).await?;
        return tls.shutdown().await;
    }
    let peer = {
        let mut waiting = waiting.lock().map_err(|_| io::ErrorKind::Other)?;
        let Some(peer) = waiting.remove(&path) else {
            waiting.insert(path, tls);
            return Ok(());
        };
        peer
    };
    forward(tls, peer).await
}

/// Brings bytes both ways until one of the two ends.
async fn forward(left: Tls, right: Tls) -> io::Result<()> {
    let (mut left_in, mut left_out) = tokio::io::split(left);
    let (mut right_in, mut right_out) = tokio::io::split(right);
    let there = tokio::spawn(async move { copy(&mut left_in, &mut right_out).await });
    let back = copy(&mut right_in, &mut left_out).await;
    there.abort();
    back
}

async fn copy(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
) -> io::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..length]).await?;
        to.flush().await?;
    }
}

fn listen_on(address: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    TcpListener::from_std(socket.into())
}

fn acceptor(cert: &Path, key: &Path) -> io::Result<TlsAcceptor> {
    let (cert, key) = (fs::read(cert)?, fs::read(key)?);
    let chain = CertificateDer::pem_slice_iter(&cert)
        .collect::<Result<Vec<_>, _>>()
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
