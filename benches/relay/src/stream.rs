//! TCP and TLS connections of the generator's clients.
//!
//! Frames are STUN messages and ChannelData padded to four bytes (RFC 8656
//! section 12.5). Certificates are not verified: the server's is self-signed.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddrV4;
use std::sync::Arc;

use libc::{
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLLIN, F_SETFL, IPPROTO_TCP, MSG_NOSIGNAL, O_NONBLOCK,
    SO_REUSEADDR, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY, epoll_event,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use crate::socket::{self, Fd};

/// The most bytes that wait for one connection before frames are refused.
const MAX_WAITING: usize = 256 * 1024;

/// One connection for each client.
pub struct Connections {
    connections: Vec<Connection>,
    epoll: Fd,
    scratch: Vec<u8>,
    refused: u64,
}

struct Connection {
    stream: Stream,
    tls: Option<ClientConnection>,
    received: Vec<u8>,
    waiting: Vec<u8>,
    is_closed: bool,
}

impl Connections {
    /// Connects one client from each of `locals`, one after another.
    pub fn connect(server: SocketAddrV4, locals: &[SocketAddrV4], tls: bool) -> Self {
        let config = tls.then(tls_config);
        // SAFETY: no pointers.
        let epoll = unsafe { libc::epoll_create1(EPOLL_CLOEXEC) };
        let connections = locals
            .iter()
            .enumerate()
            .map(|(index, local)| {
                let connection = Connection::connect(server, *local, config.as_ref());
                watch(epoll, connection.stream.0, index as u64);
                connection
            })
            .collect();
        Self {
            connections,
            epoll,
            scratch: vec![0; 1 << 18],
            refused: 0,
        }
    }

    /// Puts one frame behind what waits for client `index`.
    pub fn queue(&mut self, index: usize, frame: &[u8]) {
        let connection = &mut self.connections[index];
        if connection.is_closed || connection.waiting.len() > MAX_WAITING {
            self.refused += 1;
            return;
        }
        let padding = frame.len().next_multiple_of(4) - frame.len();
        connection.waiting.extend_from_slice(frame);
        connection.waiting.extend_from_slice(&[0; 3][..padding]);
    }

    /// Writes what the connection of client `index` takes now.
    pub fn flush(&mut self, index: usize) {
        self.connections[index].flush();
    }

    /// Writes what every connection takes now.
    pub fn flush_all(&mut self) {
        for connection in &mut self.connections {
            if !connection.waiting.is_empty() {
                connection.flush();
            }
        }
    }

    /// Returns and resets how many frames were refused.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// Hands every complete frame there is to `take`, with its client's index.
    pub fn receive(&mut self, mut take: impl FnMut(usize, &[u8])) {
        let mut events = [epoll_event { events: 0, u64: 0 }; 64];
        // SAFETY: the kernel writes at most as many events as the array has.
        let count = unsafe { libc::epoll_wait(self.epoll, events.as_mut_ptr(), 64, 0) };
        for event in &events[..usize::try_from(count).unwrap_or(0)] {
            let index = event.u64 as usize;
            let connection = &mut self.connections[index];
            connection.read(&mut self.scratch);
            let mut at = 0;
            while let Some(length) = frame_length(&connection.received[at..]) {
                take(index, &connection.received[at..at + length]);
                at += length;
            }
            connection.received.drain(..at);
        }
    }
}

impl Connection {
    fn connect(server: SocketAddrV4, local: SocketAddrV4, tls: Option<&Arc<ClientConfig>>) -> Self {
        let mut stream = Stream::connect(server, local);
        let tls = tls.map(|config| {
            let name = ServerName::try_from("turn.test").expect("a DNS name");
            let mut tls = ClientConnection::new(config.clone(), name).expect("a valid config");
            while tls.is_handshaking() {
                tls.complete_io(&mut stream).expect("TLS handshake");
            }
            tls
        });
        // SAFETY: no pointers.
        unsafe { libc::fcntl(stream.0, F_SETFL, O_NONBLOCK) };
        Self {
            stream,
            tls,
            received: Vec::new(),
            waiting: Vec::new(),
            is_closed: false,
        }
    }

    fn flush(&mut self) {
        let Some(tls) = &mut self.tls else {
            let written = self.stream.write(&self.waiting).unwrap_or(0);
            self.waiting.drain(..written);
            return;
        };
        loop {
            while tls.wants_write() {
                if tls.write_tls(&mut self.stream).is_err() {
                    return;
                }
            }
            let written = tls.writer().write(&self.waiting).unwrap_or(0);
            if written == 0 {
                return;
            }
            self.waiting.drain(..written);
        }
    }

    fn read(&mut self, scratch: &mut [u8]) {
        let result = match &mut self.tls {
            Some(tls) => tls.read_tls(&mut self.stream),
            None => self.stream.read(scratch),
        };
        match result {
            Ok(0) => self.close(),
            Ok(length) => match &mut self.tls {
                Some(tls) => {
                    let is_broken = tls.process_new_packets().is_err();
                    while let Ok(length @ 1..) = tls.reader().read(scratch) {
                        self.received.extend_from_slice(&scratch[..length]);
                    }
                    if is_broken {
                        self.close();
                    }
                }
                None => self.received.extend_from_slice(&scratch[..length]),
            },
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.close(),
        }
    }

    fn close(&mut self) {
        if !self.is_closed {
            self.is_closed = true;
            // SAFETY: closed once, and never used again.
            unsafe { libc::close(self.stream.0) };
        }
    }
}

/// Returns the length of the first frame with its padding, once all is there.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..4)?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let is_channel_data = head[0] & 0xC0 == 0x40;
    let whole = if is_channel_data {
        4 + length.next_multiple_of(4)
    } else {
        20 + length
    };
    (bytes.len() >= whole).then_some(whole)
}

fn watch(epoll: Fd, fd: Fd, id: u64) {
    let mut event = epoll_event {
        events: EPOLLIN as u32,
        u64: id,
    };
    // SAFETY: `event` outlives the call.
    unsafe { libc::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &raw mut event) };
}

/// A TCP socket.
struct Stream(Fd);

impl Stream {
    fn connect(server: SocketAddrV4, local: SocketAddrV4) -> Self {
        let kind = SOCK_STREAM | SOCK_CLOEXEC;
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_INET, kind, 0) };
        socket::set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        socket::set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        socket::bind(fd, local);
        let name = socket::to_sockaddr(server);
        // SAFETY: `name` outlives the call, and its size is the one given.
        let result = unsafe { libc::connect(fd, (&raw const name).cast(), 16) };
        assert!(result == 0, "connect: {}", io::Error::last_os_error());
        Self(fd)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the kernel writes at most as many bytes as the buffer has.
        let length = unsafe { libc::recv(self.0, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        usize::try_from(length).map_err(|_| io::Error::last_os_error())
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the kernel reads as many bytes as the slice has.
        let length =
            unsafe { libc::send(self.0, bytes.as_ptr().cast(), bytes.len(), MSG_NOSIGNAL) };
        usize::try_from(length).map_err(|_| io::Error::last_os_error())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tls_config() -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        .with_no_client_auth();
    Arc::new(config)
}

/// Accepts every certificate.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
