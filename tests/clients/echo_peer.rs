//! `turnutils_peer`, the peer that sends back what it receives.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::tools::require;

/// A running echo peer; killed on drop.
pub(crate) struct EchoPeer {
    child: Child,
    address: SocketAddr,
}

impl EchoPeer {
    /// Starts a peer on `ip` that echoes on [`EchoPeer::address`] and on the port after it.
    pub(crate) fn start(ip: &str) -> Self {
        let ip: IpAddr = ip.parse().expect("an IP address");
        // Somebody else may take a port between our look and the peer's bind.
        for _ in 0..5 {
            let mut peer = Self::spawn(free_pair(ip));
            if peer.echoes() {
                return peer;
            }
        }
        panic!("turnutils_peer does not echo on {ip}");
    }

    /// Where it echoes.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn spawn(address: SocketAddr) -> Self {
        let child = Command::new(require("turnutils_peer", "coturn"))
            .args(["-L", &address.ip().to_string()])
            .args(["-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("turnutils_peer starts");
        Self { child, address }
    }

    /// Sends until an echo comes, or until the peer has ended.
    fn echoes(&mut self) -> bool {
        let socket = UdpSocket::bind((self.address.ip(), 0)).expect("a free port");
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("not zero");
        let echoed = (0..250).any(|_| {
            socket
                .send_to(b"echo?", self.address)
                .expect("loopback takes datagrams");
            socket.recv_from(&mut [0; 16]).is_ok()
        });
        echoed && matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for EchoPeer {
    fn drop(&mut self) {
        // It may have ended by itself, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An even port that is free together with the odd one after it, as RTP and RTCP want them.
fn free_pair(ip: IpAddr) -> SocketAddr {
    for _ in 0..1000 {
        let first = UdpSocket::bind((ip, 0)).expect("a free port");
        let address = first.local_addr().expect("the socket is bound");
        let port = address.port();
        if port.is_multiple_of(2) && UdpSocket::bind((ip, port + 1)).is_ok() {
            return address;
        }
    }
    panic!("no pair of free ports on {ip}");
}
