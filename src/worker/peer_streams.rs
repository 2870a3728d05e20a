//! Peer connections of TCP allocations in the loop (RFC 6062): accepting and
//! connecting them, and copying bytes between them and the streams joined to them.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use crate::turn::RelayId;

use super::egress::Egress;
use super::event_loop::{READS_PER_TURN, Worker};
use super::peer_stream::{PENDING_LIMIT, Stage};
use super::relay_socket::Socket;
use super::source::Source;

impl Worker {
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
            let Ok((socket, peer)) = listener.accept() else {
                return true;
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
    pub(super) fn drain_peer(&mut self, now: Instant, key: u32) -> bool {
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

/// Limit on the work per turn and listener.
const ACCEPTS_PER_TURN: usize = 16;
