//! What the tests of RFC 6062 share: TCP allocations, TCP peers, data connections.

use std::io::{ErrorKind, Read, Write, copy, sink};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::support::answer::{Answer, Frame};
use crate::support::client::{Client, fill};
use crate::support::credentials::Credentials;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, TCP, attribute, method};
use crate::support::{PATIENCE, Transport, wait_until};

/// An Allocate request for a TCP relay.
pub(crate) fn allocate_tcp() -> Draft {
    Draft::request(method::ALLOCATE).transport(TCP)
}

/// A session that holds a TCP allocation.
#[track_caller]
pub(crate) fn allocated(server: &Server, transport: Transport) -> Session {
    let mut session = Session::open(server, transport);
    session.allocate_with(allocate_tcp());
    session
}

/// A Connect request.
pub(crate) fn connect(peer: SocketAddr) -> Draft {
    Draft::request(method::CONNECT).peer(peer)
}

/// Asks the server to connect to `peer` and returns the connection id.
#[track_caller]
pub(crate) fn connected(session: &mut Session, peer: SocketAddr) -> u32 {
    let answer = session.request(&connect(peer));
    answer.assert_success();
    answer.number(attribute::CONNECTION_ID)
}

/// Opens a second connection to the server and sends ConnectionBind on it, with
/// the nonce of the control connection first: it is the same server.
#[track_caller]
pub(crate) fn bind(
    server: &Server,
    transport: Transport,
    credentials: &Credentials,
    id: u32,
) -> (Client, Answer) {
    let client = Client::connect(server, transport);
    let mut session = Session::resume(client, credentials.clone());
    let request = Draft::request(method::CONNECTION_BIND).connection_id(id);
    let answer = session.request(&request);
    (session.client, answer)
}

/// Opens a data connection for `id`, which must succeed.
#[track_caller]
pub(crate) fn bound(
    server: &Server,
    transport: Transport,
    credentials: &Credentials,
    id: u32,
) -> Client {
    let (client, answer) = bind(server, transport, credentials, id);
    answer.assert_success();
    client
}

/// The next ConnectionAttempt indication: its id and its peer.
#[track_caller]
pub(crate) fn attempt(session: &mut Session) -> (u32, SocketAddr) {
    let message = session.client.receive().stun();
    assert!(
        crate::support::client::is_indication(
            &Frame::Stun(message.clone()),
            method::CONNECTION_ATTEMPT
        ),
        "{message:?}"
    );
    let peer = message.address(attribute::XOR_PEER_ADDRESS);
    (message.number(attribute::CONNECTION_ID), peer)
}

/// A peer that waits for connections.
pub(crate) struct Listener(TcpListener);

impl Listener {
    pub(crate) fn v4() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next connection and where it comes from.
    #[track_caller]
    pub(crate) fn accept(&self) -> (PeerStream, SocketAddr) {
        self.0.set_nonblocking(true).unwrap();
        let mut accepted = None;
        wait_until("the server connects to the peer", || {
            accepted = self.0.accept().ok();
            accepted.is_some()
        });
        let (stream, from) = accepted.unwrap();
        stream.set_nonblocking(false).unwrap();
        (PeerStream(stream), from)
    }
}

/// The peer's end of a peer data connection.
pub(crate) struct PeerStream(TcpStream);

impl PeerStream {
    /// Connects to a relayed transport address.
    #[track_caller]
    pub(crate) fn connect(relayed: SocketAddr) -> Self {
        Self(TcpStream::connect_timeout(&relayed, PATIENCE).unwrap())
    }

    /// Panics unless a connection to `relayed` is reset or closed at once.
    #[track_caller]
    pub(crate) fn assert_refused(relayed: SocketAddr) {
        if let Ok(stream) = TcpStream::connect_timeout(&relayed, PATIENCE) {
            Self(stream).assert_closed_by_server();
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    #[track_caller]
    pub(crate) fn send(&mut self, data: &[u8]) {
        self.0.write_all(data).unwrap();
    }

    /// Writes until the server takes no more for a while; returns how many bytes
    /// it took.
    pub(crate) fn fill(&self) -> usize {
        fill(&self.0)
    }

    /// Reads until `length` bytes are there.
    #[track_caller]
    pub(crate) fn receive_exactly(&self, length: usize) {
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        let received = copy(&mut (&self.0).take(length as u64), &mut sink()).unwrap();
        assert_eq!(received, length as u64, "the server closed the connection");
    }

    /// Reads to the end, which must be no reset; returns how many bytes came.
    #[track_caller]
    pub(crate) fn read_to_end(&mut self) -> usize {
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        usize::try_from(copy(&mut self.0, &mut sink()).unwrap()).unwrap()
    }

    #[track_caller]
    pub(crate) fn assert_receives(&mut self, data: &[u8]) {
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut received = vec![0; data.len()];
        self.0.read_exact(&mut received).unwrap();
        assert!(received == data, "other bytes arrived");
    }

    /// Panics unless the server closes or resets the connection.
    #[track_caller]
    pub(crate) fn assert_closed_by_server(&mut self) {
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        match self.0.read(&mut [0; 64]) {
            Ok(length) => assert_eq!(length, 0, "data instead of an end"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

/// An address on which nobody accepts connections.
pub(crate) fn closed_port() -> SocketAddr {
    Listener::v4().address()
}
