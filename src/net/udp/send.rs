//! Writing: datagrams gathered into trains, one system call per train.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};

use nix::libc;
use socket2::{MsgHdr, SockAddr, SockRef};

use crate::net::udp::control::Control;
use crate::net::udp::{MAX_DATAGRAM, UdpEndpoint, is_pending_error};

/// Most bytes of a train; IP counts up to 65,535 with headers.
const MAX_TRAIN: usize = 65_000;

/// Bytes of the buffer: a train, or one datagram of any size.
const BUFFER: usize = 1 << 16;

/// Datagrams waiting to be sent, a buffer that a thread reuses for all of its
/// sockets.
///
/// Consecutive datagrams of one socket from and to the same addresses and of
/// the same size wait for each other and leave as one; anything else makes the
/// waiting ones leave first, so order is kept. The last train waits for
/// [`Self::flush`]: call it when the input at hand is used up.
///
/// Sending never fails towards the caller. A datagram that cannot be sent is
/// dropped and counted, as a router would.
#[derive(Debug)]
pub struct SendBatch {
    buffer: Box<[u8]>,
    train: Option<Train>,
    counters: SendCounters,
}

/// What a [`SendBatch`] has done since it was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SendCounters {
    /// Datagrams handed to the kernel.
    pub datagrams: u64,
    /// System calls that carried them.
    pub sends: u64,
    /// Datagrams dropped because the socket's buffer was full.
    pub dropped_full: u64,
    /// Datagrams the kernel refused (no route, firewall, too large) or that no
    /// socket can send (port 0, more than 65,507 bytes).
    pub refused: u64,
    /// Trains that had to be sent datagram by datagram.
    pub split_trains: u64,
    /// Errors of earlier datagrams that were skipped.
    pub pending_errors: u64,
}

/// The datagrams in the buffer: `len` bytes, cut every `size`.
#[derive(Debug)]
struct Train {
    endpoint: UdpEndpoint,
    destination: SocketAddr,
    source_ip: Option<IpAddr>,
    size: usize,
    count: usize,
    len: usize,
    /// A shorter datagram has ended it.
    complete: bool,
}

impl SendBatch {
    /// Makes an empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            train: None,
            counters: SendCounters::default(),
        }
    }

    /// Adds one datagram: `header`, then `payload`, then `pad` zero bytes.
    ///
    /// `source_ip` is the address of ours to send from, for endpoints that have
    /// several; both addresses are plain, never IPv4-mapped. What was waiting
    /// is sent first unless this one can join it.
    pub fn push(
        &mut self,
        endpoint: &UdpEndpoint,
        destination: SocketAddr,
        source_ip: Option<IpAddr>,
        header: &[u8],
        payload: &[u8],
        pad: usize,
    ) {
        let size = header.len() + payload.len() + pad;
        // Port 0 is not an address to send to (RFC 768).
        if size > MAX_DATAGRAM || destination.port() == 0 {
            self.counters.refused += 1;
            return;
        }
        let joins = self
            .train
            .as_ref()
            .is_some_and(|train| train.accepts(endpoint, destination, source_ip, size));
        if !joins {
            self.flush();
        }
        let train = self.train.get_or_insert_with(|| Train {
            endpoint: endpoint.clone(),
            destination,
            source_ip,
            size,
            count: 0,
            len: 0,
            complete: false,
        });
        let space = &mut self.buffer[train.len..train.len + size];
        write_parts(space, header, payload);
        train.count += 1;
        train.len += size;
        train.complete = size < train.size;
    }

    /// Sends what waits.
    pub fn flush(&mut self) {
        let Some(train) = self.train.take() else {
            return;
        };
        let bytes = &self.buffer[..train.len];
        if train.count == 1 {
            send_one(&train, bytes, &mut self.counters);
            return;
        }
        let Err(error) = transmit(&train, bytes, true, &mut self.counters) else {
            self.counters.sends += 1;
            self.counters.datagrams += train.count as u64;
            return;
        };
        if !is_train_refused(&error) {
            count_failure(&error, train.count, &mut self.counters);
            return;
        }
        train.endpoint.on_train_refused(&error, train.size);
        self.counters.split_trains += 1;
        for datagram in bytes.chunks(train.size) {
            send_one(&train, datagram, &mut self.counters);
        }
    }

    /// Sends one datagram at once, with fragmentation forbidden for it alone
    /// (RFC 8656 section 14, DONT-FRAGMENT), after what was waiting.
    ///
    /// One that does not fit the interface is dropped and counted as refused;
    /// one that does not fit a later link comes back as an ICMP error.
    pub fn send_whole(
        &mut self,
        endpoint: &UdpEndpoint,
        destination: SocketAddr,
        source_ip: Option<IpAddr>,
        payload: &[u8],
    ) {
        self.flush();
        if endpoint.set_dont_fragment(true).is_err() {
            self.counters.refused += 1;
            return;
        }
        self.push(endpoint, destination, source_ip, &[], payload, 0);
        self.flush();
        // It worked a moment ago, with the same option on the same socket.
        let _ = endpoint.set_dont_fragment(false);
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> SendCounters {
        self.counters
    }
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl Train {
    fn accepts(
        &self,
        endpoint: &UdpEndpoint,
        destination: SocketAddr,
        source_ip: Option<IpAddr>,
        size: usize,
    ) -> bool {
        !self.complete
            && (1..=self.size).contains(&size)
            && self.destination == destination
            && self.source_ip == source_ip
            && self.endpoint.is_same_socket(endpoint)
            && self.len + size <= MAX_TRAIN
            && self.count < endpoint.max_train(self.size)
    }
}

fn write_parts(space: &mut [u8], header: &[u8], payload: &[u8]) {
    let (head, rest) = space.split_at_mut(header.len());
    let (body, padding) = rest.split_at_mut(payload.len());
    head.copy_from_slice(header);
    body.copy_from_slice(payload);
    padding.fill(0);
}

/// Sends `bytes` as one datagram and counts the outcome.
fn send_one(train: &Train, bytes: &[u8], counters: &mut SendCounters) {
    match transmit(train, bytes, false, counters) {
        Ok(()) => {
            counters.sends += 1;
            counters.datagrams += 1;
        }
        Err(error) => count_failure(&error, 1, counters),
    }
}

pub(super) fn count_failure(error: &io::Error, count: usize, counters: &mut SendCounters) {
    let full = matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM)
    );
    let counter = if full {
        &mut counters.dropped_full
    } else {
        &mut counters.refused
    };
    *counter += count as u64;
}

/// Hands `bytes` to the kernel, cut into datagrams if `as_train`.
fn transmit(
    train: &Train,
    bytes: &[u8],
    as_train: bool,
    counters: &mut SendCounters,
) -> io::Result<()> {
    let segment = as_train
        .then(|| u16::try_from(train.size))
        .transpose()
        .map_err(|_| io::Error::from_raw_os_error(libc::EMSGSIZE))?;
    let control = Control::encode(train.source_ip, segment);
    let destination = SockAddr::from(train.endpoint.wire_address(train.destination));
    let buffers = [IoSlice::new(bytes)];
    let mut message = MsgHdr::new().with_addr(&destination).with_buffers(&buffers);
    if !control.as_bytes().is_empty() {
        message = message.with_control(control.as_bytes());
    }
    let socket = SockRef::from(&train.endpoint);
    let mut may_retry = true;
    loop {
        match socket.sendmsg(&message, 0) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Either left over from an earlier datagram, or about this one: it
            // comes back then.
            Err(error) if may_retry && is_pending_error(&error) => {
                may_retry = false;
                counters.pending_errors += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Tells whether the datagrams of a refused train may pass one by one.
fn is_train_refused(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMSGSIZE | libc::EINVAL | libc::EIO)
    )
}
