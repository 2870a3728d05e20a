//! Reading: a reusable set of buffers, and the datagrams in it.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};

use quinn_udp::{RecvMeta, UdpSocketState};

use crate::net::addresses::unmap;
use crate::net::udp::{is_pending_error, plain_ip};

/// Most messages per read. Each can be a train of 64 KiB; more would only push
/// the buffers out of the cache.
const MAX_MESSAGES: usize = 16;

/// Bytes per message: the largest train that GRO puts together.
const SLOT: usize = 1 << 16;

/// Errors skipped per read before giving up on it. Each is one ICMP message, so
/// this many in a row means something else is wrong.
const MAX_PENDING_ERRORS: usize = 64;

/// Buffers for reading, 1 MiB that a thread reuses for all of its sockets.
#[derive(Debug)]
pub struct RecvBatch {
    storage: Box<[u8]>,
    metas: [RecvMeta; MAX_MESSAGES],
    filled: usize,
    drained: bool,
    counters: RecvCounters,
}

/// What a [`RecvBatch`] has seen since it was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecvCounters {
    /// Reads that brought something.
    pub reads: u64,
    /// Messages in them; a message is one datagram or one train of them.
    pub messages: u64,
    /// Errors caused by ICMP that were skipped.
    pub pending_errors: u64,
}

/// One datagram as it arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram<'b> {
    /// Who sent it, never IPv4-mapped.
    pub source: SocketAddr,
    /// The address of ours it was sent to, never IPv4-mapped; `None` on a
    /// relay endpoint.
    pub local_ip: Option<IpAddr>,
    /// The payload, which may be empty.
    pub bytes: &'b [u8],
}

impl RecvBatch {
    /// Makes an empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self {
            storage: vec![0; MAX_MESSAGES * SLOT].into_boxed_slice(),
            metas: [RecvMeta::default(); MAX_MESSAGES],
            filled: 0,
            drained: false,
            counters: RecvCounters::default(),
        }
    }

    /// Returns the datagrams of the last read, in the order of their arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let slots = self.storage.chunks_exact(SLOT);
        let messages = self.metas[..self.filled].iter().zip(slots);
        messages.flat_map(|(meta, slot)| {
            let source = unmap(meta.addr);
            let local_ip = plain_ip(meta.dst_ip);
            pieces(&slot[..meta.len.min(SLOT)], meta.stride).map(move |bytes| Datagram {
                source,
                local_ip,
                bytes,
            })
        })
    }

    /// Tells whether the last read emptied the socket's queue, so that reading
    /// again before the next readiness event is not needed.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> RecvCounters {
        self.counters
    }

    /// Reads at most `width` messages; see [`super::UdpEndpoint::recv`].
    pub(super) fn fill(
        &mut self,
        socket: &UdpSocket,
        offload: &UdpSocketState,
        width: usize,
    ) -> io::Result<usize> {
        self.filled = 0;
        self.drained = false;
        let count = self.read(socket, offload, width)?;
        self.filled = count;
        self.drained = count < width;
        self.counters.reads += 1;
        self.counters.messages += count as u64;
        Ok(count)
    }

    fn read(
        &mut self,
        socket: &UdpSocket,
        offload: &UdpSocketState,
        width: usize,
    ) -> io::Result<usize> {
        let mut slots = self.storage.chunks_exact_mut(SLOT);
        let mut buffers: [IoSliceMut<'_>; MAX_MESSAGES] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        let wanted = &mut buffers[..width.clamp(1, MAX_MESSAGES)];
        let mut skipped = 0;
        loop {
            let result = offload.recv(socket.into(), wanted, &mut self.metas);
            match result {
                Err(error) if is_pending_error(&error) && skipped < MAX_PENDING_ERRORS => {
                    skipped += 1;
                    self.counters.pending_errors += 1;
                }
                Ok(_) | Err(_) => return result,
            }
        }
    }
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns how many messages to ask for after a read of `width` came back full:
/// a lone packet costs no more than a plain read, a burst is soon read whole.
pub(super) fn wider(width: usize) -> usize {
    (width * 4).min(MAX_MESSAGES)
}

/// Cuts a message into its datagrams; an empty message is one empty datagram.
fn pieces(message: &[u8], stride: usize) -> impl Iterator<Item = &[u8]> {
    let empty = message.is_empty().then_some(message);
    empty.into_iter().chain(message.chunks(stride.max(1)))
}
