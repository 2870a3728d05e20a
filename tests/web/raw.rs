//! Connections whose bytes a test writes itself.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::answer::Answer;
use crate::support::server::Server;
use crate::support::tls::{self, Stream};
use crate::support::{PATIENCE, Transport};

pub(crate) const HTTP1: &[&[u8]] = &[b"http/1.1"];
pub(crate) const HTTP2: &[&[u8]] = &[b"h2"];

/// A TLS connection.
pub(crate) struct Raw(Stream);

impl Raw {
    /// Connects with this ALPN offer.
    #[track_caller]
    pub(crate) fn connect(server: &Server, alpn: &[&[u8]]) -> Self {
        Self::try_connect(server, alpn).expect("the server takes connections")
    }

    /// Connects with this ALPN offer; `None` when the server does not want it.
    pub(crate) fn try_connect(server: &Server, alpn: &[&[u8]]) -> Option<Self> {
        let address = server.address(Transport::Tls);
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let versions = rustls::DEFAULT_VERSIONS;
        let mut stream = tls::connect_with(socket, address, versions, alpn);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).ok()?;
        }
        Some(Self(stream))
    }

    /// How long a read may take from now on.
    pub(crate) fn patience(&self, limit: Duration) {
        self.0.sock.set_read_timeout(Some(limit)).unwrap();
    }

    /// Writes all of it; `false` when the server has closed.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok() && self.0.flush().is_ok()
    }

    /// Writes all of it.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        assert!(self.try_send(bytes), "the server has closed");
    }

    /// Reads one answer, with the body that its length says.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            text.extend(self.bytes(1));
        }
        let mut answer = Answer::parse(std::str::from_utf8(&text).unwrap());
        let len = answer
            .header("content-length")
            .map_or(0, |n| n.parse().unwrap());
        answer.body = String::from_utf8(self.bytes(len)).unwrap();
        answer
    }

    /// Reads so many bytes.
    #[track_caller]
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Listens for the patience of a read: `false` when the server closes.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        matches!(self.0.read(&mut byte), Err(error) if is_timeout(error.kind()))
    }

    /// Reads until the server closes, and returns what came before.
    ///
    /// # Panics
    /// When it does not close within the patience of a read.
    #[track_caller]
    pub(crate) fn until_closed(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return all,
                Ok(len) => all.extend(&buffer[..len]),
                Err(error) if is_timeout(error.kind()) => panic!("still open after {all:?}"),
                // A reset, or an end without TLS's goodbye.
                Err(_) => return all,
            }
        }
    }
}

/// A request as a browser would write it, with these lines added to its header.
pub(crate) fn request(line: &str, header: &[&str]) -> String {
    let mut text = format!("{line} HTTP/1.1\r\n");
    for line in header {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text + "\r\n"
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
