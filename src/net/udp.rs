//! UDP endpoints: one socket each, read and written in trains of datagrams.
//!
//! The kernel's work per packet is the cost of a relay. Where a flow comes in
//! bursts, GRO hands over the burst as one buffer and GSO takes one back, so
//! that cost is paid once per train. [`RecvBatch`] and [`SendBatch`] hold the
//! buffers; a thread has one of each for all of its endpoints, and nothing here
//! allocates per packet.

mod control;
mod receive;
mod send;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::libc;
use nix::sys::socket::SetSockOpt;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo, UdpGroSegment};
use quinn_udp::UdpSocketState;
use socket2::{Domain, Socket, Type};

use crate::net::addresses::map;
use crate::net::{icmp, sockopt};

pub use receive::{Datagram, RecvBatch, RecvCounters};
pub use send::{SendBatch, SendCounters};

/// Most payload that fits one UDP datagram over IPv4, in bytes: 65,535 without
/// 20 bytes of IP and 8 bytes of UDP header.
pub const MAX_DATAGRAM: usize = 65_507;

/// Segments up to this size never lose GSO on a socket: with headers they fit
/// 1,280 bytes, which every IPv6 link carries (RFC 8200 section 5).
const GSO_SIZE_FLOOR: usize = 1232;

/// A UDP socket with what batching needs to know about it.
///
/// Cloning is cheap and shares the socket; it closes with the last clone. A
/// [`SendBatch`] holds one until its flush.
#[derive(Clone, Debug)]
pub struct UdpEndpoint {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    local: SocketAddr,
    offload: &'static UdpSocketState,
    /// Messages to ask for in the next read.
    read_width: AtomicUsize,
    /// Datagrams that one send may carry; 1 where GSO does not work.
    gso_segments: AtomicUsize,
    /// Largest datagram that may be part of a train.
    gso_size: AtomicUsize,
}

impl UdpEndpoint {
    /// Wraps a socket of a public port: it learns to which of our addresses
    /// each datagram went, so that the answer can come from there.
    ///
    /// # Errors
    /// When the kernel refuses an option that the relay cannot do without.
    pub fn front(socket: UdpSocket) -> io::Result<Self> {
        let is_v6 = socket.local_addr()?.is_ipv6();
        // Over IPv6 it also covers IPv4 datagrams, with mapped addresses.
        if is_v6 {
            Ipv6RecvPacketInfo.set(&socket, &true)?;
        } else {
            Ipv4PacketInfo.set(&socket, &true)?;
        }
        Self::with_offload(socket)
    }

    /// Wraps the socket of a relayed transport address: it has one local
    /// address, and queues ICMP errors for [`Self::read_error`].
    ///
    /// # Errors
    /// When the kernel refuses an option that the relay cannot do without.
    pub fn relay(socket: UdpSocket) -> io::Result<Self> {
        icmp::enable_errors(&socket)?;
        Self::with_offload(socket)
    }

    fn with_offload(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        let offload = offload()?;
        // A kernel before 5.0 has no GRO: every read is one datagram then.
        let _ = UdpGroSegment.set(&socket, &true);
        let endpoint = Self {
            shared: Arc::new(Shared {
                socket,
                local,
                offload,
                read_width: AtomicUsize::new(1),
                gso_segments: AtomicUsize::new(offload.max_gso_segments()),
                gso_size: AtomicUsize::new(MAX_DATAGRAM),
            }),
        };
        endpoint.set_dont_fragment(false)?;
        Ok(endpoint)
    }

    /// Returns the address the socket is bound to, as the kernel gives it.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.shared.local
    }

    /// Reads what waits on the socket into `batch`, replacing its contents.
    ///
    /// Reads one message at first, and more at a time while there is more. Call
    /// it until it fails with `WouldBlock` or [`RecvBatch::is_drained`] says
    /// that the queue is empty; readiness is edge-triggered. Do so on error
    /// events as well as on readable ones.
    ///
    /// Returns the number of messages, at least 1; a message is one or more
    /// datagrams of one sender.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits. Errors that ICMP left on the socket are
    /// counted and skipped; any other error means the socket is unusable.
    pub fn recv(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        let shared = &*self.shared;
        let width = shared.read_width.load(Ordering::Relaxed);
        let result = batch.fill(&shared.socket, shared.offload, width);
        let next = match result {
            Ok(count) if count >= width => receive::wider(width),
            Ok(_) | Err(_) => 1,
        };
        if next != width {
            shared.read_width.store(next, Ordering::Relaxed);
        }
        result
    }

    /// Takes the next ICMP error that a datagram of this socket caused.
    #[must_use]
    pub fn read_error(&self) -> Option<icmp::IcmpError> {
        icmp::read_error(&self.shared.socket)
    }

    /// Makes every datagram from now on go out whole or not at all (`true`), or
    /// lets the kernel split those that do not fit (`false`, as it starts).
    ///
    /// Flush batches that hold datagrams of this endpoint first, or use
    /// [`SendBatch::send_whole`].
    ///
    /// # Errors
    /// What `setsockopt` reports.
    pub fn set_dont_fragment(&self, on: bool) -> io::Result<()> {
        let socket = &self.shared.socket;
        // An IPv6 socket sends to mapped IPv4 addresses by the IPv4 option.
        if on {
            sockopt::forbid_fragments_v4(socket)?;
        } else {
            sockopt::allow_fragments_v4(socket)?;
        }
        match (self.shared.local.is_ipv6(), on) {
            (true, true) => sockopt::forbid_fragments_v6(socket),
            (true, false) => sockopt::allow_fragments_v6(socket),
            (false, _) => Ok(()),
        }
    }

    fn is_same_socket(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Returns how many datagrams of `size` bytes one send may carry.
    fn max_train(&self, size: usize) -> usize {
        if size == 0 || size > self.shared.gso_size.load(Ordering::Relaxed) {
            return 1;
        }
        self.shared.gso_segments.load(Ordering::Relaxed)
    }

    /// Learns from a train that the kernel refused as a whole.
    fn on_train_refused(&self, error: &io::Error, size: usize) {
        if error.raw_os_error() == Some(libc::EIO) {
            // No checksum offload on the way out: GSO cannot work at all.
            self.shared.gso_segments.store(1, Ordering::Relaxed);
        } else {
            // Too large for the interface to send unsplit.
            let limit = size.saturating_sub(1).max(GSO_SIZE_FLOOR);
            self.shared.gso_size.fetch_min(limit, Ordering::Relaxed);
        }
    }

    /// Returns `destination` as this socket's family writes it.
    fn wire_address(&self, destination: SocketAddr) -> SocketAddr {
        if self.shared.local.is_ipv6() {
            return map(destination);
        }
        destination
    }
}

impl AsFd for UdpEndpoint {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.socket.as_fd()
    }
}

impl Source for UdpEndpoint {
    fn register(&mut self, registry: &Registry, token: Token, on: Interest) -> io::Result<()> {
        SourceFd(&self.shared.socket.as_raw_fd()).register(registry, token, on)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, on: Interest) -> io::Result<()> {
        SourceFd(&self.shared.socket.as_raw_fd()).reregister(registry, token, on)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.shared.socket.as_raw_fd()).deregister(registry)
    }
}

/// Returns what this kernel can do, found out once on a scratch socket.
///
/// `UdpSocketState::new` also switches on what QUIC wants: DF, ECN and receive
/// timestamps, the last of which cost every packet of the host while such a
/// socket is open and cannot be taken back entirely. So it never sees a socket
/// of ours; reading through the state works on any.
fn offload() -> io::Result<&'static UdpSocketState> {
    static STATE: OnceLock<UdpSocketState> = OnceLock::new();
    if let Some(state) = STATE.get() {
        return Ok(state);
    }
    let scratch = Socket::new(Domain::IPV4, Type::DGRAM, None)
        .or_else(|_| Socket::new(Domain::IPV6, Type::DGRAM, None))?;
    let state = UdpSocketState::new((&scratch).into())?;
    Ok(STATE.get_or_init(|| state))
}

/// Tells whether `error` is one that an earlier datagram caused and that the
/// kernel reports on the next call, whatever that call is about.
fn is_pending_error(error: &io::Error) -> bool {
    // What the kernel makes of ICMP and ICMPv6 messages (icmp_err_convert,
    // icmpv6_err_convert).
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::EACCES
                | libc::EMSGSIZE
        )
    )
}

/// Returns the address of a datagram as the rest of the program knows it.
fn plain_ip(ip: Option<IpAddr>) -> Option<IpAddr> {
    ip.map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests;
