//! One peer connection of a TCP allocation (RFC 6062).

use std::io::{self, Read as _, Write as _};
use std::time::Instant;

use mio::net::TcpStream;

use crate::turn::ConnectionId;

/// A connection between a relayed transport address and a peer.
#[derive(Debug)]
pub(super) struct PeerStream {
    socket: TcpStream,
    pub(super) connection: ConnectionId,
    pub(super) stage: Stage,
    /// Bytes from the client that the peer has not taken yet.
    pending: Vec<u8>,
    pub(super) is_queued: bool,
    /// When it is closed whatever happens, once it is draining.
    pub(super) due: Option<Instant>,
}

/// How far the connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// The connect is under way.
    Connecting,
    /// Established; its bytes wait in the kernel for the client's ConnectionBind.
    Waiting,
    /// Joined with the stream of this key.
    Joined(u32),
    /// That stream has closed: it closes as soon as `pending` is written.
    Draining,
}

impl PeerStream {
    pub(super) fn new(socket: TcpStream, connection: ConnectionId, stage: Stage) -> Self {
        Self {
            socket,
            connection,
            stage,
            pending: Vec::new(),
            is_queued: false,
            due: None,
        }
    }

    pub(super) fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Asks how the connect went: `None` while it is under way.
    pub(super) fn connect_result(&self) -> Option<io::Result<()>> {
        match self.socket.take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return Some(Err(error)),
        }
        match self.socket.peer_addr() {
            Ok(_) => Some(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Whether more bytes from the client fit.
    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < PENDING_LIMIT
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.pending.is_empty()
    }

    /// Adds bytes for the peer; the caller stops reading when there is no room.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Writes as much as the socket takes.
    ///
    /// # Errors
    /// Anything but a full socket ends the connection.
    pub(super) fn write(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            match self.socket.write(&self.pending) {
                Ok(written) => {
                    self.pending.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads bytes of the peer; 0 means it has closed.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits; anything else ends the connection.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

/// How much is buffered per direction before reading pauses.
pub(super) const PENDING_LIMIT: usize = 64 * 1024;
