//! The floor: forwarders with the sockets of a TURN server and nothing else.
//!
//! One front socket, one relay socket for each allocation, a fixed table instead
//! of a control plane. What they cost is what no server can be cheaper than.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem::zeroed;
use std::net::{Ipv4Addr, SocketAddrV4};

use libc::{EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLLIN, MSG_DONTWAIT, c_void, epoll_event, sockaddr_in};

use crate::addresses::{CLIENT_PORT, Net};
use crate::options::refuse;
use crate::socket::{self, Envelope, Fd, Receiver, Sender};
use crate::stun::CHANNEL;

/// The most datagrams of one socket before others get their turn.
const TURN: usize = 32;

/// Marks the front socket among epoll's events.
const FRONT: u64 = u64::MAX;

/// The fixed table.
struct Table {
    front: Fd,
    allocations: Vec<Allocation>,
    by_client: HashMap<u64, usize, BuildHasherDefault<Mix>>,
    epoll: Fd,
}

struct Allocation {
    relay: Fd,
    client: sockaddr_in,
    peer: sockaddr_in,
    peer_address: SocketAddrV4,
}

/// Serves `count` allocations at `server`, for ever. With `hairpin` each client's
/// peer is the other client of its pair. The variants:
/// `one` takes and sends packet by packet; `gro` takes and sends trains;
/// `memory` (hairpin only) is `gro` that hands a packet to the other client
/// without passing the relay sockets.
pub fn serve(variant: &str, server: SocketAddrV4, net: Net, count: usize, hairpin: bool) {
    let table = Table::open(server, net, count, hairpin);
    match variant {
        "one" => serve_one_by_one(&table),
        "gro" => Trains::new(&table, false).serve(),
        "memory" => Trains::new(&table, true).serve(),
        other => refuse("variant", other),
    }
}

impl Table {
    fn open(server: SocketAddrV4, net: Net, count: usize, hairpin: bool) -> Self {
        // SAFETY: no pointers.
        let epoll = unsafe { libc::epoll_create1(EPOLL_CLOEXEC) };
        let mut table = Self {
            front: socket::open_udp(server, 4 << 20, 4 << 20),
            allocations: Vec::new(),
            by_client: HashMap::default(),
            epoll,
        };
        table.watch(table.front, FRONT);
        for index in 0..count {
            let client = SocketAddrV4::new(net.client(index), CLIENT_PORT);
            let peer = if hairpin {
                net.fixed_relay(index ^ 1)
            } else {
                net.peer(index)
            };
            let relay = socket::open_udp(net.fixed_relay(index), 0, 0);
            table.watch(relay, index as u64);
            table.by_client.insert(key(client), index);
            table.allocations.push(Allocation {
                relay,
                client: socket::to_sockaddr(client),
                peer: socket::to_sockaddr(peer),
                peer_address: peer,
            });
        }
        table
    }

    fn watch(&self, fd: Fd, id: u64) {
        let mut event = epoll_event {
            events: EPOLLIN as u32,
            u64: id,
        };
        // SAFETY: `event` outlives the call.
        unsafe { libc::epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &raw mut event) };
    }

    /// Waits for readable sockets and hands each one's id to `take`, for ever.
    fn each_ready(&self, mut take: impl FnMut(u64)) {
        let mut events = vec![epoll_event { events: 0, u64: 0 }; 128];
        loop {
            let most = events.len() as i32;
            // SAFETY: the kernel writes at most `most` events.
            let count = unsafe { libc::epoll_wait(self.epoll, events.as_mut_ptr(), most, -1) };
            for event in &events[..usize::try_from(count).unwrap_or(0)] {
                take(event.u64);
            }
        }
    }
}

fn serve_one_by_one(table: &Table) {
    // Received behind room for a ChannelData header.
    let mut buffer = [0_u8; 2048];
    table.each_ready(|id| {
        for _ in 0..TURN {
            let fd = if id == FRONT {
                table.front
            } else {
                table.allocations[id as usize].relay
            };
            let Some((length, from)) = receive_one(fd, &mut buffer[4..]) else {
                break;
            };
            if id == FRONT {
                let index = table.by_client.get(&key(from));
                let is_channel_data = length >= 4 && buffer[4] & 0xC0 == 0x40;
                if let Some(index) = index.filter(|_| is_channel_data) {
                    let allocation = &table.allocations[*index];
                    send_one(allocation.relay, &buffer[8..4 + length], &allocation.peer);
                }
            } else {
                let allocation = &table.allocations[id as usize];
                if from == allocation.peer_address {
                    buffer[..4].copy_from_slice(&channel_header(length));
                    send_one(table.front, &buffer[..4 + length], &allocation.client);
                }
            }
        }
    });
}

fn receive_one(fd: Fd, buffer: &mut [u8]) -> Option<(usize, SocketAddrV4)> {
    // SAFETY: plain data; the kernel writes no more than the sizes given.
    let (length, name) = unsafe {
        let mut name: sockaddr_in = zeroed();
        let mut name_length = 16;
        let length = libc::recvfrom(
            fd,
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            MSG_DONTWAIT,
            (&raw mut name).cast(),
            &raw mut name_length,
        );
        (length, name)
    };
    Some((usize::try_from(length).ok()?, socket::from_sockaddr(&name)))
}

fn send_one(fd: Fd, bytes: &[u8], to: &sockaddr_in) {
    let data = bytes.as_ptr().cast::<c_void>();
    let name = (&raw const *to).cast();
    // SAFETY: the kernel reads `bytes` and `to`, of the sizes given.
    unsafe { libc::sendto(fd, data, bytes.len(), MSG_DONTWAIT, name, 16) };
}

fn channel_header(length: usize) -> [u8; 4] {
    let [number_high, number_low] = CHANNEL.to_be_bytes();
    let [length_high, length_low] = (length as u16).to_be_bytes();
    [number_high, number_low, length_high, length_low]
}

/// Forwards trains as trains; headers are added and removed by reference.
struct Trains<'a> {
    table: &'a Table,
    in_memory: bool,
    receiver: Receiver,
    to_clients: Sender,
    to_peers: Vec<Sender>,
    touched: Vec<usize>,
    headers: Vec<[[u8; 4]; 2]>,
}

impl<'a> Trains<'a> {
    fn new(table: &'a Table, in_memory: bool) -> Self {
        socket::enable_gro(table.front);
        for allocation in &table.allocations {
            socket::enable_gro(allocation.relay);
        }
        let to_peers = || Sender::new(TURN, 1024);
        Self {
            table,
            in_memory,
            receiver: Receiver::new(TURN),
            to_clients: Sender::new(256, 8192),
            to_peers: table.allocations.iter().map(|_| to_peers()).collect(),
            touched: Vec::new(),
            headers: Vec::new(),
        }
    }

    fn serve(mut self) {
        let table = self.table;
        table.each_ready(|id| {
            if id == FRONT {
                self.take_from_clients();
            } else {
                self.take_from_peer(&table.allocations[id as usize]);
            }
        });
    }

    fn take_from_clients(&mut self) {
        let count = self.receiver.receive(self.table.front);
        for at in 0..count {
            let received = self.receiver.message(at);
            let Some(index) = self.table.by_client.get(&key(received.from)).copied() else {
                continue;
            };
            let allocation = &self.table.allocations[index];
            let (sender, fd, to, cut) = if self.in_memory {
                let other = &self.table.allocations[index ^ 1];
                (&mut self.to_clients, self.table.front, &other.client, 0)
            } else {
                let sender = &mut self.to_peers[index];
                if sender.is_empty() {
                    self.touched.push(index);
                }
                (sender, allocation.relay, &allocation.peer, 4)
            };
            if !sender.has_room(received.datagrams().len()) {
                sender.send(fd);
            }
            let mut parts = 0;
            for bytes in received.datagrams() {
                if bytes.len() >= 4 && bytes[0] & 0xC0 == 0x40 {
                    // SAFETY: the receiver's buffers are not written before `send`.
                    unsafe { sender.add_part(&bytes[cut..]) };
                    parts += 1;
                }
            }
            if parts > 0 {
                sender.close_message(envelope(to, parts, received.stride - cut));
            }
        }
        for index in self.touched.drain(..) {
            self.to_peers[index].send(self.table.allocations[index].relay);
        }
        self.to_clients.send(self.table.front);
    }

    fn take_from_peer(&mut self, allocation: &Allocation) {
        let count = self.receiver.receive(allocation.relay);
        // A train has two lengths: that of all its datagrams, and of the last.
        self.headers.clear();
        for at in 0..count {
            let received = self.receiver.message(at);
            let last = received.datagrams().next_back().map_or(0, <[u8]>::len);
            self.headers
                .push([received.stride, last].map(channel_header));
        }
        for at in 0..count {
            let received = self.receiver.message(at);
            if received.from != allocation.peer_address {
                continue;
            }
            let parts = received.datagrams().len();
            if !self.to_clients.has_room(2 * parts) {
                self.to_clients.send(self.table.front);
            }
            let [header, last_header] = &self.headers[at];
            for bytes in received.datagrams() {
                let is_full = bytes.len() == received.stride;
                let header = if is_full { header } else { last_header };
                // SAFETY: headers and buffers are not written before `send`.
                unsafe {
                    self.to_clients.add_part(header);
                    self.to_clients.add_part(bytes);
                }
            }
            let stride = received.stride + 4;
            let envelope = envelope(&allocation.client, parts, stride);
            self.to_clients.close_message(envelope);
        }
        self.to_clients.send(self.table.front);
    }
}

fn envelope(to: &sockaddr_in, parts: usize, stride: usize) -> Envelope<'_> {
    Envelope {
        to,
        source: Ipv4Addr::UNSPECIFIED,
        stride: if parts > 1 { stride as u16 } else { 0 },
    }
}

/// The key of the table: cheap to compare and to hash.
fn key(address: SocketAddrV4) -> u64 {
    u64::from(u32::from(*address.ip())) << 16 | u64::from(address.port())
}

/// Mixes one `u64` by multiplication: nobody chooses these keys to collide.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64");
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}
