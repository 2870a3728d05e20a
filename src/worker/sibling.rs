//! Byte rings between workers: how a datagram gets to a relayed address of another one.
//!
//! One single-producer ring per ordered pair of workers. Nothing is allocated
//! or locked per datagram; a full ring drops and counts, as a socket buffer would.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mio::Waker;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::turn::RelayPort;

/// One worker's ends of its rings; the index is the other worker.
pub struct SiblingLinks {
    pub(super) outgoing: Vec<Option<Outgoing>>,
    pub(super) incoming: Vec<Option<Consumer<u8>>>,
}

/// The way to one other worker.
pub(super) struct Outgoing {
    ring: Producer<u8>,
    waker: Arc<Waker>,
    has_news: bool,
}

/// Makes the rings between the workers whose wakers are given.
#[must_use]
pub fn link_siblings(wakers: &[Arc<Waker>]) -> Vec<SiblingLinks> {
    let count = wakers.len();
    let empty = || SiblingLinks {
        outgoing: (0..count).map(|_| None).collect(),
        incoming: (0..count).map(|_| None).collect(),
    };
    let mut links: Vec<SiblingLinks> = (0..count).map(|_| empty()).collect();
    for from in 0..count {
        for (to, waker) in wakers.iter().enumerate().filter(|(to, _)| *to != from) {
            let (ring, incoming) = RingBuffer::new(RING_LEN);
            let waker = Arc::clone(waker);
            links[from].outgoing[to] = Some(Outgoing {
                ring,
                waker,
                has_news: false,
            });
            links[to].incoming[from] = Some(incoming);
        }
    }
    links
}

impl Outgoing {
    /// Puts a datagram into the ring; false when it is full.
    pub(super) fn push(&mut self, to: RelayPort, from: SocketAddr, payload: &[u8]) -> bool {
        let header = encode(to, from, payload.len());
        let Ok(mut chunk) = self.ring.write_chunk(HEADER_LEN + payload.len()) else {
            return false;
        };
        let (first, second) = chunk.as_mut_slices();
        let mut at = 0;
        for part in [&header[..], payload] {
            at += copy_split(part, at, first, second);
        }
        chunk.commit_all();
        self.has_news = true;
        true
    }

    /// Wakes the other worker if anything was pushed since the last time.
    pub(super) fn wake(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.has_news) {
            self.waker.wake()
        } else {
            Ok(())
        }
    }
}

/// Takes the next datagram out of `ring` into `buffer`; returns its relayed
/// address, its source and its length.
pub(super) fn pop(
    ring: &mut Consumer<u8>,
    buffer: &mut [u8],
) -> Option<(RelayPort, SocketAddr, usize)> {
    let mut header = [0; HEADER_LEN];
    ring.read_chunk(HEADER_LEN).ok().map(|chunk| {
        let (first, second) = chunk.as_slices();
        header[..first.len()].copy_from_slice(first);
        header[first.len()..].copy_from_slice(second);
        chunk.commit_all();
    })?;
    let (to, from, len) = decode(&header);
    let chunk = ring
        .read_chunk(len)
        .expect("pushed together with its header");
    let (first, second) = chunk.as_slices();
    buffer[..first.len()].copy_from_slice(first);
    buffer[first.len()..len].copy_from_slice(second);
    chunk.commit_all();
    Some((to, from, len))
}

fn copy_split(part: &[u8], at: usize, first: &mut [u8], second: &mut [u8]) -> usize {
    let in_first = first.len().saturating_sub(at).min(part.len());
    if in_first > 0 {
        first[at..at + in_first].copy_from_slice(&part[..in_first]);
    }
    let rest = &part[in_first..];
    if !rest.is_empty() {
        let start = (at + in_first) - first.len();
        second[start..start + rest.len()].copy_from_slice(rest);
    }
    part.len()
}

fn encode(to: RelayPort, from: SocketAddr, len: usize) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[0] = u8::from(from.is_ipv6());
    header[1] = u8::try_from(to.address).expect("few relay addresses");
    header[2..4].copy_from_slice(&to.port.to_be_bytes());
    header[4..6].copy_from_slice(&from.port().to_be_bytes());
    header[6..8].copy_from_slice(&u16::try_from(len).expect("a datagram").to_be_bytes());
    match from.ip() {
        IpAddr::V4(ip) => header[8..12].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => header[8..24].copy_from_slice(&ip.octets()),
    }
    header
}

fn decode(header: &[u8; HEADER_LEN]) -> (RelayPort, SocketAddr, usize) {
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let octets: [u8; 16] = header[8..24].try_into().expect("sixteen bytes");
    let ip = if header[0] == 1 {
        IpAddr::from(octets)
    } else {
        IpAddr::from([octets[0], octets[1], octets[2], octets[3]])
    };
    (
        RelayPort {
            address: usize::from(header[1]),
            port: word(2),
        },
        SocketAddr::new(ip, word(4)),
        usize::from(word(6)),
    )
}

const HEADER_LEN: usize = 24;

/// A few milliseconds of a busy core; touched only as far as it fills up.
const RING_LEN: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_out_as_they_went_in_across_the_end_of_the_ring() {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let mut links = link_siblings(&[Arc::clone(&waker), waker]);
        let mut incoming = links[1].incoming[0].take().unwrap();
        let outgoing = links[0].outgoing[1].as_mut().unwrap();
        let mut buffer = vec![0; 65_536];

        for round in 0..2_000_u16 {
            let to = RelayPort {
                address: 1,
                port: 50_000 + round,
            };
            let from: SocketAddr = if round % 2 == 0 {
                "192.0.2.1:7"
            } else {
                "[2001:db8::1]:8"
            }
            .parse()
            .unwrap();
            let payload: Vec<u8> = (0..usize::from(round))
                .map(|i| i.to_le_bytes()[0])
                .collect();
            assert!(outgoing.push(to, from, &payload));
            let (got_to, got_from, len) = pop(&mut incoming, &mut buffer).unwrap();
            assert_eq!((got_to, got_from, &buffer[..len]), (to, from, &payload[..]));
        }
        assert!(pop(&mut incoming, &mut buffer).is_none());
    }

    #[test]
    fn a_full_ring_refuses_and_keeps_what_it_has() {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let mut links = link_siblings(&[Arc::clone(&waker), waker]);
        let outgoing = links[0].outgoing[1].as_mut().unwrap();
        let from: SocketAddr = "192.0.2.1:7".parse().unwrap();
        let pushed = (0..1_000)
            .filter(|_| {
                outgoing.push(
                    RelayPort {
                        address: 0,
                        port: 1,
                    },
                    from,
                    &[7; 1_000],
                )
            })
            .count();
        assert_eq!(pushed, RING_LEN / (1_000 + HEADER_LEN));

        let mut incoming = links[1].incoming[0].take().unwrap();
        let mut buffer = vec![0; 65_536];
        let popped = std::iter::from_fn(|| pop(&mut incoming, &mut buffer)).count();
        assert_eq!(popped, pushed);
    }
}
