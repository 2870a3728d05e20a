//! ICMP errors that our datagrams caused, from the socket's error queue.
//!
//! A relay reports them to its client (RFC 8656 section 11.5), so it needs the
//! ICMP type and code rather than the errno the kernel boils them down to.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc::{self, sock_extended_err};
use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{
    ControlMessageOwned, GetSockOpt, MsgFlags, SetSockOpt, SockaddrStorage, recvmsg,
};

use crate::net::addresses::unmap;

/// An ICMP error that came back for a datagram of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IcmpError {
    /// Where the datagram was going, never IPv4-mapped. The type and code are
    /// those of ICMP when this is IPv4 and of ICMPv6 when it is IPv6.
    pub peer: SocketAddr,
    /// The ICMP or ICMPv6 type.
    pub icmp_type: u8,
    /// The ICMP or ICMPv6 code.
    pub icmp_code: u8,
    /// The MTU of the next hop for "fragmentation needed" (type 3, code 4) and
    /// "packet too big" (type 2); otherwise the 32 bits after the checksum,
    /// usually zero.
    pub data: u32,
}

/// Makes the kernel queue ICMP errors for `socket` ([`read_error`]).
///
/// From then on an error also fails the next send or receive on the socket once
/// (`ECONNREFUSED` and the like); [`crate::net::udp`] takes care of that.
///
/// # Errors
/// What `setsockopt` reports.
pub fn enable_errors(socket: &impl AsFd) -> io::Result<()> {
    Ipv4RecvErr.set(socket, &true)?;
    // Refused on an IPv4 socket, which has no IPv6 errors.
    match Ipv6RecvErr.set(socket, &true) {
        Ok(()) | Err(Errno::ENOPROTOOPT | Errno::EOPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Tells whether errors are queued for `socket`.
///
/// # Errors
/// What `getsockopt` reports.
pub fn errors_enabled(socket: &impl AsFd) -> io::Result<bool> {
    Ok(Ipv4RecvErr.get(socket)?)
}

/// Takes the next ICMP error from the queue of `socket`; `None` when it is
/// empty. Call it until then when the socket reports an error event.
#[must_use]
pub fn read_error(socket: &impl AsFd) -> Option<IcmpError> {
    let mut control = ControlBuffer([0; _]);
    loop {
        // The datagram comes along; its first bytes would be ours to read.
        let mut payload = [0; 1];
        let mut buffers = [IoSliceMut::new(&mut payload)];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_fd().as_raw_fd(),
            &mut buffers,
            Some(&mut control.0),
            MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
        );
        let message = match message {
            Ok(message) => message,
            Err(Errno::EINTR) => continue,
            Err(_) => return None,
        };
        let found = message
            .cmsgs()
            .ok()
            .and_then(|mut all| all.find_map(|one| extended_error(&one)));
        let peer = message.address.as_ref().and_then(socket_address);
        // Errors of this host itself (a datagram too large for the interface)
        // share the queue; they did not come from the network.
        if let (Some(error), Some(peer)) = (found, peer) {
            return Some(IcmpError {
                peer: unmap(peer),
                icmp_type: error.ee_type,
                icmp_code: error.ee_code,
                data: error.ee_info,
            });
        }
    }
}

/// Room for one extended error with the address of who reported it; aligned as
/// the control messages in it have to be.
#[repr(align(8))]
struct ControlBuffer([u8; 256]);

fn extended_error(message: &ControlMessageOwned) -> Option<sock_extended_err> {
    let (ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)) =
        message
    else {
        return None;
    };
    let from_network = [libc::SO_EE_ORIGIN_ICMP, libc::SO_EE_ORIGIN_ICMP6];
    from_network.contains(&error.ee_origin).then_some(*error)
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(SocketAddrV6::from(*v6).into())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token};

    use super::*;

    #[test]
    fn port_unreachable_is_read_with_its_peer_type_and_code() {
        // RFC 792: destination unreachable is type 3, code 3 the port.
        // RFC 4443: destination unreachable is type 1, code 4 the port.
        for (local, kind, code) in [("127.0.0.1:0", 3, 3), ("[::1]:0", 1, 4)] {
            let socket = UdpSocket::bind(local).unwrap();
            enable_errors(&socket).unwrap();
            assert!(errors_enabled(&socket).unwrap());
            let peer = closed_port(local);
            socket.send_to(b"anyone there?", peer).unwrap();
            wait_for_error(&socket);
            assert_eq!(
                read_error(&socket),
                Some(IcmpError {
                    peer,
                    icmp_type: kind,
                    icmp_code: code,
                    data: 0,
                })
            );
            assert_eq!(read_error(&socket), None);
        }
    }

    #[test]
    fn a_dual_stack_socket_names_ipv4_peers_plainly() {
        let socket = UdpSocket::bind("[::]:0").unwrap();
        enable_errors(&socket).unwrap();
        let peer = closed_port("127.0.0.1:0");
        let mapped = format!("[::ffff:127.0.0.1]:{}", peer.port());
        socket.send_to(b"x", mapped).unwrap();
        wait_for_error(&socket);
        let error = read_error(&socket).unwrap();
        assert_eq!((error.peer, error.icmp_type, error.icmp_code), (peer, 3, 3));
    }

    #[test]
    fn nothing_is_queued_for_a_datagram_that_arrives() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        enable_errors(&socket).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"x", peer.local_addr().unwrap()).unwrap();
        peer.recv(&mut [0; 8]).unwrap();
        assert_eq!(read_error(&socket), None);
    }

    /// Returns an address that nothing listens on.
    fn closed_port(local: &str) -> SocketAddr {
        UdpSocket::bind(local).unwrap().local_addr().unwrap()
    }

    fn wait_for_error(socket: &UdpSocket) {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(4);
        poll.registry()
            .register(
                &mut SourceFd(&socket.as_raw_fd()),
                Token(0),
                Interest::READABLE,
            )
            .unwrap();
        poll.poll(&mut events, Some(Duration::from_secs(10)))
            .unwrap();
        assert!(events.iter().any(|event| event.is_error()));
    }
}
