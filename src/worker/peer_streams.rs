//! Peer connections of TCP allocations in the loop (RFC 6062): accepting and
//! connecting them, and copying bytes between them and the streams joined to them.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::turn::RelayId;

use super::egress::Egress;
use super::event_loop::{READS_PER_TURN, Worker};
use super::peer_stream::{PENDING_LIMIT, Stage};
use super::relay_socket::Socket;
use super::source::Source;

impl Worker {
    /// Whether the bytes of a stream may be read for its peer connection; if not,
    /// something wakes the stream when they may.
    pub(super) fn may_read_for_peer(&mut self, now: Instant, key: u32, peer_key: u32) -> bool {
        let Some(peer) = self.egress.peers.get(peer_key as usize) else {
            return true;
        };
        if !self.server.may_copy(now, peer.connection) {
            self.pause(now, Source::Stream(key));
            return false;
        }
        // The peer wakes the stream when it has written.
        peer.has_room()
    }

    /// Looks at a source again a moment later, though no event may come for it.
    fn pause(&mut self, now: Instant, source: Source) {
        self.egress.paused.insert(source);
        self.egress.resume_at.get_or_insert(now + PAUSE);
    }

    /// Looks again at the sources whose pause is over.
    pub(super) fn resume_paused(&mut self, now: Instant) {
        if self.egress.resume_at.take_if(|at| *at <= now).is_some() {
            for source in std::mem::take(&mut self.egress.paused) {
                self.enqueue(source, false);
            }
        }
    }

    pub(super) fn forward_to_peer(&mut self, now: Instant, key: u32, bytes: &[u8]) {
        let Some(peer) = self.egress.peers.get_mut(key as usize) else {
            return;
        };
        self.server
            .handle_connection_data(now, peer.connection, true, bytes.len());
        peer.push(bytes);
        if peer.write().is_err() {
            self.close_peer(now, key);
        }
    }

    pub(super) fn accept_peer(&mut self, now: Instant, relay: RelayId) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(Some(socket)) = self.egress.relays.get(relay.0 as usize) else {
                return true;
            };
            let Socket::Tcp(listener) = &socket.kind else {
                return true;
            };
            let (socket, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                // The peer gave up while it waited.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(_) => {
                    // No descriptors: no event comes for the peers that wait already.
                    self.pause(now, Source::Relay(relay));
                    return true;
                }
            };
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            let Some(id) = self.server.handle_peer_connection(now, relay, peer) else {
                continue;
            };
            if self.egress.put_peer(socket, id, Stage::Waiting).is_err() {
                self.server.handle_connection_closed(id);
            }
            self.egress.carry_out_outputs(now, &mut self.server);
        }
        false
    }

    pub(super) fn read_peer(&mut self, now: Instant, key: u32) -> bool {
        let Some(peer) = self.egress.peers.get_mut(key as usize) else {
            return true;
        };
        match peer.stage {
            Stage::Connecting => {
                match peer.connect_result() {
                    None => return true,
                    Some(Ok(())) => {
                        peer.stage = Stage::Waiting;
                        self.server.handle_peer_connected(now, peer.connection);
                    }
                    Some(Err(_)) => {
                        let connection = peer.connection;
                        self.egress.remove_peer(now, key);
                        self.server.handle_peer_failed(now, connection);
                    }
                }
                self.egress.carry_out_outputs(now, &mut self.server);
                true
            }
            Stage::Waiting => true,
            Stage::Joined(stream) => self.copy_from_peer(now, key, stream),
            Stage::Draining => self.drain_peer(now, key),
        }
    }

    pub(super) fn copy_from_peer(&mut self, now: Instant, key: u32, stream_key: u32) -> bool {
        for _ in 0..READS_PER_TURN {
            let Egress {
                peers,
                streams,
                woken,
                dirty,
                ..
            } = &mut self.egress;
            let (Some(peer), Some(stream)) = (
                peers.get_mut(key as usize),
                streams.get_mut(stream_key as usize),
            ) else {
                return true;
            };
            let had_room = peer.has_room();
            if peer.write().is_err() {
                self.close_peer(now, key);
                return true;
            }
            if !had_room && peer.has_room() {
                woken.push(Source::Stream(stream_key));
            }
            if stream.outbox.len() >= PENDING_LIMIT {
                // The stream wakes this peer when it has written.
                return true;
            }
            if !self.server.may_copy(now, peer.connection) {
                self.pause(now, Source::Peer(key));
                return true;
            }
            match peer.read(&mut self.scratch) {
                Ok(0) => {
                    self.close_peer(now, key);
                    return true;
                }
                Ok(len) => {
                    self.server
                        .handle_connection_data(now, peer.connection, false, len);
                    stream.outbox.push_bytes(&self.scratch[..len]);
                    dirty.push(stream_key);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => {
                    self.close_peer(now, key);
                    return true;
                }
            }
        }
        false
    }

    /// Writes what is left for a peer whose client has gone, and closes then.
    fn drain_peer(&mut self, now: Instant, key: u32) -> bool {
        let Some(peer) = self.egress.peers.get_mut(key as usize) else {
            return true;
        };
        // What the peer says goes nowhere, but left unread it would make the
        // close a reset, which takes our last bytes with it.
        let mut is_drained = false;
        for _ in 0..READS_PER_TURN {
            if !matches!(peer.read(&mut self.scratch), Ok(1..)) {
                is_drained = true;
                break;
            }
        }
        if peer.write().is_err() || peer.is_flushed() {
            self.close_peer(now, key);
        }
        is_drained
    }

    pub(super) fn close_peer(&mut self, now: Instant, key: u32) {
        if let Some(peer) = self.egress.remove_peer(now, key) {
            self.server.handle_connection_closed(peer.connection);
        }
    }
}

/// How long a joined connection over its bandwidth limit, or a listener that the
/// kernel gives no descriptor for, is left alone.
const PAUSE: Duration = Duration::from_millis(10);

/// Limit on the work per turn and listener.
const ACCEPTS_PER_TURN: usize = 16;
