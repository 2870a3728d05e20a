//! One client connection: TCP, TLS and WebSocket frames, without blocking.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use socket2::{Domain, Protocol, Socket, Type};

use crate::websocket::{self, CLOSE, PING, PONG, TEXT};

/// A connection to the server under test.
pub struct Connection {
    stream: TcpStream,
    tls: ClientConnection,
    /// Decrypted and not yet taken.
    inbox: Vec<u8>,
    is_upgraded: bool,
    mask: u32,
}

/// What a connection has to say.
pub enum Input {
    /// The server has accepted the upgrade.
    Upgraded,
    /// A text message.
    Text(String),
}

impl Connection {
    /// Begins to connect from `source`, and to ask for the upgrade `request`.
    pub fn open(
        server: SocketAddrV4,
        source: Ipv4Addr,
        request: &str,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // A connection that we close leaves nothing behind, and its port is free.
        socket.set_linger(Some(Duration::ZERO))?;
        socket.bind(&SocketAddrV4::new(source, 0).into())?;
        match socket.connect(&server.into()) {
            Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        // rustls keeps it until the handshake is over.
        tls.writer().write_all(request.as_bytes())?;
        Ok(Self {
            stream: socket.into(),
            tls,
            inbox: Vec::new(),
            is_upgraded: false,
            mask: 0x9E37_79B9,
        })
    }

    /// The socket, to be watched.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Sends a text message, or as much of it as goes.
    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.send_frame(TEXT, text.as_bytes())
    }

    /// Says that nothing more will be sent: close code 1000.
    pub fn send_close(&mut self) -> io::Result<()> {
        self.send_frame(CLOSE, &1000u16.to_be_bytes())
    }

    /// Writes what waits; true when some of it still does.
    pub fn flush(&mut self) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if is_not_ready(&error) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Reads once and adds what arrived to `inputs`. An error also ends what was
    /// closed as it should be.
    pub fn receive(&mut self, inputs: &mut Vec<Input>) -> io::Result<()> {
        match self.tls.read_tls(&mut self.stream) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if is_not_ready(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
        let state = self.tls.process_new_packets().map_err(io::Error::other)?;
        let (old, more) = (self.inbox.len(), state.plaintext_bytes_to_read());
        if more > 0 {
            self.inbox.resize(old + more, 0);
            self.tls.reader().read_exact(&mut self.inbox[old..])?;
        }
        self.take_inputs(inputs)
    }

    fn take_inputs(&mut self, inputs: &mut Vec<Input>) -> io::Result<()> {
        let mut at = 0;
        if !self.is_upgraded {
            let Some(end) = self.inbox.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(());
            };
            if !self.inbox.starts_with(b"HTTP/1.1 101 ") {
                let answer = String::from_utf8_lossy(&self.inbox[..end]).into_owned();
                return Err(io::Error::other(answer));
            }
            self.is_upgraded = true;
            inputs.push(Input::Upgraded);
            at = end + 4;
        }
        while let Some(frame) = websocket::decode(&mut self.inbox, at) {
            let payload = &self.inbox[frame.start..frame.end];
            match frame.opcode {
                TEXT => {
                    let text = String::from_utf8_lossy(payload).into_owned();
                    inputs.push(Input::Text(text));
                }
                PING => {
                    let payload = payload.to_vec();
                    self.send_frame(PONG, &payload)?;
                }
                CLOSE => return Err(io::Error::other(close_reason(payload))),
                _ => {}
            }
            at = frame.end;
        }
        self.inbox.drain(..at);
        if self.inbox.is_empty() {
            // Ten thousand idle sessions need no buffers here.
            self.inbox = Vec::new();
        }
        Ok(())
    }

    fn send_frame(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        self.mask = self
            .mask
            .wrapping_mul(0x0019_660D)
            .wrapping_add(0x3C6E_F35F);
        websocket::encode(opcode, payload, self.mask.to_be_bytes(), &mut frame);
        self.tls.writer().write_all(&frame)?;
        self.flush().map(|_| ())
    }
}

fn is_not_ready(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == ErrorKind::WouldBlock || kind == ErrorKind::NotConnected
}

fn close_reason(payload: &[u8]) -> String {
    match payload {
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            format!("closed with {code} {}", String::from_utf8_lossy(reason))
        }
        _ => "closed".to_owned(),
    }
}

/// Makes the TLS settings of all clients: any certificate, and never a resumed session,
/// as every connection stands for another person.
pub fn tls_config() -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
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
