//! Opening sockets: the public ports, relay ports, and connections from them.
//!
//! Public ports answer failures with a [`BindError`] that an operator can act
//! on. Relay ports answer with the bare `io::Error`, because a port that is
//! taken is an everyday event there and the next one is tried.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use nix::libc;
use nix::sys::socket::SetSockOpt;
use nix::sys::socket::sockopt::{RcvBufForce, SndBufForce};
use socket2::{Domain, Protocol, Socket, Type};

/// Socket buffer asked for on public UDP ports, in bytes. All clients of a
/// worker share one socket, and a busy worker may be away for milliseconds:
/// 4 MiB hold about 1,800 full-size packets.
const FRONT_BUFFER: usize = 4 << 20;

/// Connections that may wait for `accept`; more than the kernel's usual cap
/// (`net.core.somaxconn`, 4096 today) would be cut anyway.
const LISTEN_BACKLOG: i32 = 1024;

/// Opens `count` UDP sockets on one address that share its traffic by flow.
///
/// With port 0 the kernel picks the port and all sockets get the same one. The
/// sockets are non-blocking; `[::]` also serves IPv4, and becomes `0.0.0.0` on
/// a host without IPv6 (ask `local_addr` for what was bound). A `count` of 0
/// counts as 1.
///
/// # Errors
/// When the address cannot be bound. A second process on the same port is
/// refused, even one of the same user.
pub fn udp_front(address: SocketAddr, count: usize) -> Result<Vec<UdpSocket>, BindError> {
    let first = with_ipv4_fallback(address, first_of_group)
        .map_err(|error| BindError::new(Listening::Udp, address, error))?;
    let bound = first
        .local_addr()
        .map_err(|error| BindError::new(Listening::Udp, address, error))?;
    let mut sockets = vec![first];
    for _ in 1..count {
        let next = further_of_group(bound)
            .map_err(|error| BindError::new(Listening::Udp, bound, error))?;
        sockets.push(next);
    }
    Ok(sockets)
}

/// Opens a listening TCP socket, non-blocking, for `accept` by a runtime.
///
/// `[::]` also serves IPv4, and becomes `0.0.0.0` on a host without IPv6.
///
/// # Errors
/// When the address cannot be bound.
pub fn tcp_listener(address: SocketAddr) -> Result<TcpListener, BindError> {
    with_ipv4_fallback(address, listen)
        .map_err(|error| BindError::new(Listening::Tcp, address, error))
}

/// Opens the UDP socket of a relayed transport address, non-blocking, for one
/// address family only.
///
/// # Errors
/// `AddrInUse` when any socket of any process has this port on this address.
pub fn relay_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = unbound_udp(address, true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Opens the listening socket of a TCP allocation (RFC 6062 section 5.1).
///
/// # Errors
/// `AddrInUse` when any socket has this port on this address.
pub fn relay_tcp_listener(address: SocketAddr) -> io::Result<mio::net::TcpListener> {
    let socket = unbound_tcp(address, true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    // Sharing starts only now: had it been on before `bind`, a port that
    // another listener of ours holds would have been given out twice.
    socket.set_reuse_port(true)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

/// Starts a connection to `peer` from the port of a TCP allocation, beside its
/// listener (RFC 6062 section 4.3).
///
/// The connection is under way when this returns: register it for writing, and
/// when it is ready ask `take_error` and `peer_addr` how it went.
///
/// # Errors
/// When the kernel refuses at once: no route, or `AddrInUse`/`AddrNotAvailable`
/// for a second connection between the same two addresses.
pub fn tcp_connect_from(relayed: SocketAddr, peer: SocketAddr) -> io::Result<mio::net::TcpStream> {
    let socket = unbound_tcp(relayed, true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&relayed.into())?;
    match socket.connect(&peer.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(mio::net::TcpStream::from_std(socket.into()))
}

/// Which kind of public port could not be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listening {
    /// A UDP port.
    Udp,
    /// A TCP port, with or without TLS on it.
    Tcp,
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// Why a public port could not be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket holds the port.
    #[error(
        "cannot listen on {transport} {address}: the port is in use; stop the program that has it \
         (`ss -lnp` names it) or choose another port"
    )]
    InUse {
        /// The kind of port.
        transport: Listening,
        /// The address asked for.
        address: SocketAddr,
    },
    /// The process may not open this port.
    #[error(
        "cannot listen on {transport} {address}: permission denied; ports below 1024 need \
         CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE) or \
         `sysctl net.ipv4.ip_unprivileged_port_start={}`",
        address.port()
    )]
    Permission {
        /// The kind of port.
        transport: Listening,
        /// The address asked for.
        address: SocketAddr,
    },
    /// No interface of this host has the address.
    #[error(
        "cannot listen on {transport} {address}: this host does not have the address {}; \
         `ip address` lists those it has, and [::] or 0.0.0.0 stands for all of them (behind NAT, \
         listen on the private address and give the public one in server.public_ips)",
        address.ip()
    )]
    NotOurAddress {
        /// The kind of port.
        transport: Listening,
        /// The address asked for.
        address: SocketAddr,
    },
    /// This process has as many files and sockets open as it may.
    #[error(
        "cannot listen on {transport} {address}: too many open files; raise the limit \
         (systemd: LimitNOFILE=, shell: `ulimit -n`)"
    )]
    TooManyFiles {
        /// The kind of port.
        transport: Listening,
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else the kernel said.
    #[error("cannot listen on {transport} {address}: {source}")]
    Other {
        /// The kind of port.
        transport: Listening,
        /// The address asked for.
        address: SocketAddr,
        /// The kernel's error.
        source: io::Error,
    },
}

impl BindError {
    fn new(transport: Listening, address: SocketAddr, source: io::Error) -> Self {
        match source.raw_os_error().unwrap_or_default() {
            libc::EADDRINUSE => Self::InUse { transport, address },
            libc::EACCES | libc::EPERM => Self::Permission { transport, address },
            libc::EADDRNOTAVAIL => Self::NotOurAddress { transport, address },
            libc::EMFILE | libc::ENFILE => Self::TooManyFiles { transport, address },
            _ => Self::Other {
                transport,
                address,
                source,
            },
        }
    }
}

/// Runs `open` for the address, and for `0.0.0.0` when it was `[::]` and this
/// host has no IPv6.
fn with_ipv4_fallback<S>(
    address: SocketAddr,
    open: fn(SocketAddr) -> io::Result<S>,
) -> io::Result<S> {
    let is_any_v6 = address.is_ipv6() && address.ip().is_unspecified();
    match open(address) {
        Err(error) if is_any_v6 && is_without_ipv6(&error) => {
            open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        result => result,
    }
}

fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::EPFNOSUPPORT)
    )
}

/// Opens the socket that claims the port, and shares it afterwards: with
/// SO_REUSEPORT from the start, a second instance of this program would bind
/// beside the first one and silently take half of its clients.
fn first_of_group(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = unbound_udp(address, false)?;
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    enlarge_buffers(&socket);
    Ok(socket.into())
}

fn further_of_group(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = unbound_udp(address, false)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    enlarge_buffers(&socket);
    Ok(socket.into())
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = unbound_tcp(address, false)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

fn unbound_udp(address: SocketAddr, only_v6: bool) -> io::Result<Socket> {
    unbound(address, Type::DGRAM, Protocol::UDP, only_v6)
}

fn unbound_tcp(address: SocketAddr, only_v6: bool) -> io::Result<Socket> {
    unbound(address, Type::STREAM, Protocol::TCP, only_v6)
}

fn unbound(
    address: SocketAddr,
    kind: Type,
    protocol: Protocol,
    only_v6: bool,
) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    // Without the flag it would take a second system call per relay port.
    let socket = Socket::new(domain, kind.nonblocking(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    Ok(socket)
}

/// Asks for large buffers, past the system's limit when we are allowed to.
fn enlarge_buffers(socket: &Socket) {
    // Best effort: a smaller buffer costs packets under load, not the service.
    if RcvBufForce.set(socket, &FRONT_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(FRONT_BUFFER);
    }
    if SndBufForce.set(socket, &FRONT_BUFFER).is_err() {
        let _ = socket.set_send_buffer_size(FRONT_BUFFER);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Ipv6Addr;
    use std::time::Duration;

    use mio::{Events, Interest, Poll, Token};

    use super::*;

    #[test]
    fn a_group_shares_one_port_and_spreads_flows_over_all_sockets() {
        for address in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let group = udp_front(address.parse().unwrap(), 3).unwrap();
            let port = group[0].local_addr().unwrap().port();
            assert!(group.iter().all(|s| s.local_addr().unwrap().port() == port));
            let mut target = group[0].local_addr().unwrap();
            if target.ip().is_unspecified() {
                target.set_ip("127.0.0.1".parse().unwrap());
            }
            let local = SocketAddr::new(target.ip(), 0);
            let clients: Vec<_> = (0..96).map(|_| UdpSocket::bind(local).unwrap()).collect();
            for client in &clients {
                client.send_to(b"x", target).unwrap();
            }
            let shares: Vec<_> = group.iter().map(waiting).collect();
            assert_eq!(shares.iter().sum::<usize>(), 96, "{address}: {shares:?}");
            assert!(shares.iter().all(|n| *n > 0), "{address}: {shares:?}");
        }
    }

    #[test]
    fn one_flow_stays_on_one_socket() {
        let group = udp_front("127.0.0.1:0".parse().unwrap(), 4).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..20 {
            client
                .send_to(b"x", group[0].local_addr().unwrap())
                .unwrap();
        }
        let mut shares: Vec<_> = group.iter().map(waiting).collect();
        shares.sort_unstable();
        assert_eq!(shares, [0, 0, 0, 20]);
    }

    #[test]
    fn a_second_instance_cannot_take_half_of_the_clients() {
        let group = udp_front("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let error = udp_front(group[0].local_addr().unwrap(), 2).unwrap_err();
        assert!(matches!(error, BindError::InUse { .. }), "{error}");
        assert!(error.to_string().contains("in use"), "{error}");
    }

    #[test]
    fn the_wildcard_socket_serves_ipv4_as_well() {
        let group = udp_front("[::]:0".parse().unwrap(), 1).unwrap();
        let port = group[0].local_addr().unwrap().port();
        for (local, target) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")] {
            let client = UdpSocket::bind(local).unwrap();
            let target = SocketAddr::new(target.parse().unwrap(), port);
            client.send_to(b"x", target).unwrap();
            assert_eq!(waiting(&group[0]), 1);
        }
    }

    #[test]
    fn an_address_of_another_host_is_named_as_such() {
        // 192.0.2.0/24 is reserved for documentation: no interface has it.
        let address = "192.0.2.1:0".parse().unwrap();
        for error in [
            udp_front(address, 1).unwrap_err(),
            tcp_listener(address).unwrap_err(),
        ] {
            assert!(matches!(error, BindError::NotOurAddress { .. }), "{error}");
            assert!(
                error
                    .to_string()
                    .contains("does not have the address 192.0.2.1")
            );
        }
    }

    #[test]
    fn a_refused_port_names_both_remedies() {
        let error = BindError::new(
            Listening::Tcp,
            "[::]:443".parse().unwrap(),
            io::Error::from_raw_os_error(libc::EACCES),
        );
        let text = error.to_string();
        assert!(text.contains("CAP_NET_BIND_SERVICE"), "{text}");
        assert!(text.contains("ip_unprivileged_port_start=443"), "{text}");
    }

    #[test]
    fn a_host_without_ipv6_gets_an_ipv4_wildcard() {
        fn without_ipv6(address: SocketAddr) -> io::Result<SocketAddr> {
            if address.is_ipv6() {
                return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT));
            }
            Ok(address)
        }
        let bound = with_ipv4_fallback("[::]:3478".parse().unwrap(), without_ipv6).unwrap();
        assert_eq!(bound, "0.0.0.0:3478".parse().unwrap());
        // A specific IPv6 address must not turn into "every IPv4 address".
        assert!(with_ipv4_fallback("[::1]:3478".parse().unwrap(), without_ipv6).is_err());
    }

    #[test]
    fn a_relay_port_in_use_is_an_error() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let first = relay_udp(local.parse().unwrap()).unwrap();
            let error = relay_udp(first.local_addr().unwrap()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);

            let first = relay_tcp_listener(local.parse().unwrap()).unwrap();
            let error = relay_tcp_listener(first.local_addr().unwrap()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn relay_ports_of_both_families_can_have_the_same_number() {
        // A stranger may hold the number on the other family, so try several.
        let both = (0..50).any(|_| {
            let v4 = relay_udp("0.0.0.0:0".parse().unwrap()).unwrap();
            let port = v4.local_addr().unwrap().port();
            relay_udp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).is_ok()
        });
        assert!(both);
    }

    #[test]
    fn listening_sockets_accept_both_families() {
        let listener = tcp_listener("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        for ip in ["127.0.0.1", "::1"] {
            let target = SocketAddr::new(ip.parse().unwrap(), port);
            let client = std::net::TcpStream::connect(target).unwrap();
            let (_, from) = listener.accept().unwrap();
            assert_eq!(from.port(), client.local_addr().unwrap().port());
        }
        let error = listener.accept().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn connections_leave_from_the_port_of_the_listener() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let relay = relay_tcp_listener(local.parse().unwrap()).unwrap();
            let relayed = relay.local_addr().unwrap();
            for _ in 0..2 {
                let peer = TcpListener::bind(local).unwrap();
                let mut ours = tcp_connect_from(relayed, peer.local_addr().unwrap()).unwrap();
                wait_writable(&mut ours);
                assert!(ours.take_error().unwrap().is_none());
                let (mut theirs, from) = peer.accept().unwrap();
                assert_eq!(from, relayed);
                ours.write_all(b"hello").unwrap();
                let mut buffer = [0; 5];
                theirs.read_exact(&mut buffer).unwrap();
                assert_eq!(&buffer, b"hello");
            }
            // The listener is still the one that gets new connections.
            let _incoming = std::net::TcpStream::connect(relayed).unwrap();
            assert!(relay.accept().is_ok());
        }
    }

    #[test]
    fn a_refused_connection_is_told_by_take_error() {
        let relay = relay_tcp_listener("127.0.0.1:0".parse().unwrap()).unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = gone.local_addr().unwrap();
        drop(gone);
        let mut stream = tcp_connect_from(relay.local_addr().unwrap(), peer).unwrap();
        wait_writable(&mut stream);
        let error = stream.take_error().unwrap().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    /// Counts the datagrams that wait on a non-blocking socket.
    fn waiting(socket: &UdpSocket) -> usize {
        let mut buffer = [0; 16];
        std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count()
    }

    fn wait_writable(stream: &mut mio::net::TcpStream) {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(4);
        poll.registry()
            .register(stream, Token(0), Interest::WRITABLE)
            .unwrap();
        poll.poll(&mut events, Some(Duration::from_secs(10)))
            .unwrap();
        assert!(events.iter().next().is_some());
    }
}
