//! One TCP or TLS client: bytes in, frames out of them, and the way back.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::Instant;

use mio::net::TcpStream;
use rustls::ServerConnection;

use crate::turn::FiveTuple;

use super::command::NewClient;
use super::outbox::Outbox;

/// A client connection that a worker owns.
pub(super) struct Stream {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    pub(super) five_tuple: FiveTuple,
    /// The beginning of a frame whose rest has not come yet.
    pub(super) inbox: Vec<u8>,
    pub(super) outbox: Outbox,
    pub(super) mode: Mode,
    /// When the loop looks after it next.
    pub(super) due: Instant,
    /// Whether a whole frame has come since the last look.
    pub(super) is_heard: bool,
    pub(super) is_queued: bool,
    /// Close as soon as the outbox is written.
    pub(super) is_closing: bool,
    /// The worker it goes to when the frame at hand is done, and what that reads first.
    pub(super) moving: Option<(u16, Vec<u8>)>,
    permit: Box<dyn Send>,
}

/// What the bytes of a stream are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// STUN and ChannelData.
    Framed,
    /// A data connection of RFC 6062, joined to the peer connection with this key.
    Joined(u32),
    /// One whose peer connection has closed: what still comes in goes nowhere.
    Ended,
}

impl Stream {
    pub(super) fn new(
        socket: TcpStream,
        tls: Option<Box<ServerConnection>>,
        five_tuple: FiveTuple,
        queue_limit: usize,
        due: Instant,
        permit: Box<dyn Send>,
    ) -> Self {
        Self {
            socket,
            tls,
            five_tuple,
            inbox: Vec::new(),
            outbox: Outbox::new(queue_limit),
            mode: Mode::Framed,
            due,
            is_heard: false,
            is_queued: false,
            is_closing: false,
            moving: None,
            permit,
        }
    }

    pub(super) fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Reads plain bytes into `buffer`; 0 means the client has closed.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits; anything else ends the stream.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.read(buffer);
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A peer that vanishes without close_notify is only closed to us.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }

    /// Writes as much of the outbox as the socket takes.
    ///
    /// # Errors
    /// Anything but a full socket ends the stream.
    pub(super) fn write(&mut self) -> io::Result<()> {
        match self.try_write() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            result => result,
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        loop {
            let Some(tls) = &mut self.tls else {
                if self.outbox.is_empty() {
                    return Ok(());
                }
                let written = self.socket.write(self.outbox.pending())?;
                self.outbox.consume(written);
                continue;
            };
            // A record per frame: clients exist that expect a message per read. A
            // few at a time, so that what waits beyond them can still be dropped.
            let mut sealed = 0;
            let may_seal = !tls.wants_write();
            while may_seal && sealed < SEAL_AHEAD {
                let frame = self.outbox.first_frame();
                if frame.is_empty() {
                    break;
                }
                let len = tls.writer().write(&frame[..frame.len().min(RECORD_LEN)])?;
                self.outbox.consume(len);
                sealed += len;
            }
            if !tls.wants_write() {
                return Ok(());
            }
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
        }
    }

    /// Whether everything is on its way, TLS records included.
    pub(super) fn is_flushed(&self) -> bool {
        self.outbox.is_empty() && self.tls.as_ref().is_none_or(|tls| !tls.wants_write())
    }

    /// Takes the stream apart, for another worker that reads `early` first.
    pub(super) fn into_client(self, early: Vec<u8>) -> NewClient {
        NewClient {
            socket: OwnedFd::from(self.socket).into(),
            tls: self.tls,
            early,
            unsent: self.outbox.pending().to_vec(),
            five_tuple: self.five_tuple,
            permit: self.permit,
        }
    }

    /// Says goodbye in TLS; the socket closes when the stream is dropped.
    pub(super) fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // Best effort: the client may be gone.
            let _ = tls.write_tls(&mut self.socket);
        }
    }
}

/// Plain bytes that are sealed before the socket is asked to take them.
const SEAL_AHEAD: usize = 16 * 1024;

/// Most plain bytes of one TLS record (RFC 8446 section 5.1).
const RECORD_LEN: usize = 16 * 1024;
