//! Peers: plain sockets on loopback that a relay talks to.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::PATIENCE;

/// A UDP peer.
pub(crate) struct Peer(UdpSocket);

impl Peer {
    /// Opens a peer on 127.0.0.1.
    pub(crate) fn v4() -> Self {
        Self::on("127.0.0.1")
    }

    /// Opens a peer on ::1.
    pub(crate) fn v6() -> Self {
        Self::on("::1")
    }

    /// Opens a peer on this address and a free port.
    pub(crate) fn on(ip: &str) -> Self {
        let ip: IpAddr = ip.parse().expect("an IP address");
        Self(UdpSocket::bind((ip, 0)).expect("a free port"))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("the socket is bound")
    }

    pub(crate) fn send(&self, to: SocketAddr, data: &[u8]) {
        self.0.send_to(data, to).expect("loopback takes datagrams");
    }

    /// The next datagram and where it came from.
    #[track_caller]
    pub(crate) fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let received = self.receive_within(PATIENCE);
        received.expect("the peer receives a datagram")
    }

    /// Panics unless the next datagram is `data` from `relayed`.
    #[track_caller]
    pub(crate) fn assert_receives(&self, data: &[u8], relayed: SocketAddr) {
        let (received, from) = self.receive();
        assert_eq!(text(&received), text(data), "the peer's next datagram");
        assert_eq!(from, relayed, "the source of the datagram");
    }

    /// The next datagram within `limit`.
    pub(crate) fn receive_within(&self, limit: Duration) -> Option<(Vec<u8>, SocketAddr)> {
        self.0
            .set_read_timeout(Some(limit))
            .expect("the limit is not zero");
        let mut buffer = vec![0; 65_536];
        loop {
            match self.0.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    buffer.truncate(length);
                    return Some((buffer, from));
                }
                // An ICMP error of an earlier send.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return None,
            }
        }
    }
}

/// Returns an address on which nothing listens: a port that was free a moment ago.
pub(crate) fn closed_port(ip: &str) -> SocketAddr {
    Peer::on(ip).address()
}

/// Whether nobody has a UDP socket on this local address.
pub(crate) fn is_free(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_ok()
}

/// Shows payloads as text where they are.
fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}
