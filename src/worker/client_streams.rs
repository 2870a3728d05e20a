//! TCP and TLS clients in the loop: taking them over, reading their frames,
//! writing what waits for them, closing those that came to nothing.

use std::io;
use std::time::{Duration, Instant};

use tracing::debug;

use crate::stun::framing;
use crate::turn::{ClientPath, Verdict};
use crate::unix_time::UnixTime;

use super::command::{Command, NewClient};
use super::event_loop::{READS_PER_TURN, Worker};
use super::peer_stream::PENDING_LIMIT;
use super::source::{Link, Source};
use super::stream::{Mode, Stream};

impl Worker {
    pub(super) fn add_client(&mut self, now: Instant, unix_now: UnixTime, client: NewClient) {
        let NewClient {
            socket,
            tls,
            early,
            unsent,
            five_tuple,
            permit,
        } = client;
        let socket = mio::net::TcpStream::from_std(socket);
        let due = now + FIRST_REQUEST_TIMEOUT;
        let limit = self.options.stream_queue;
        let mut stream = Stream::new(socket, tls, five_tuple, limit, due, permit);
        if !unsent.is_empty() {
            stream.outbox.push_bytes(&unsent);
        }
        match self.egress.put_stream(stream) {
            Ok(key) => {
                self.handle_stream_bytes(now, unix_now, key, early);
                // Bytes may wait in the TLS session already.
                self.enqueue(Source::Stream(key), false);
            }
            Err(error) => debug!(%error, "cannot take over a stream"),
        }
    }

    pub(super) fn read_stream(&mut self, now: Instant, unix_now: UnixTime, key: u32) -> bool {
        for _ in 0..READS_PER_TURN {
            let Some(stream) = self.egress.streams.get_mut(key as usize) else {
                return true;
            };
            if let Mode::Joined(peer) = stream.mode
                && self
                    .egress
                    .peers
                    .get(peer as usize)
                    .is_some_and(|peer| !peer.has_room())
            {
                // The peer wakes this stream when it has written. The event may
                // have meant that the socket takes bytes again.
                self.egress.dirty.push(key);
                return true;
            }
            let len = match stream.read(&mut self.scratch) {
                Ok(0) => {
                    self.close_stream(now, key);
                    return true;
                }
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.egress.dirty.push(key);
                    return true;
                }
                Err(error) => {
                    debug!(%error, "stream broke");
                    self.close_stream(now, key);
                    return true;
                }
            };
            match stream.mode {
                Mode::Framed if stream.inbox.is_empty() => {
                    // The usual case: whole frames, handled where they were read.
                    let bytes = std::mem::take(&mut self.scratch);
                    self.handle_frames(now, unix_now, key, &bytes[..len]);
                    self.scratch = bytes;
                }
                Mode::Framed => {
                    let mut bytes = std::mem::take(&mut stream.inbox);
                    bytes.extend_from_slice(&self.scratch[..len]);
                    self.handle_frames(now, unix_now, key, &bytes);
                }
                Mode::Joined(peer) => {
                    let bytes = std::mem::take(&mut self.scratch);
                    self.forward_to_peer(now, peer, &bytes[..len]);
                    self.scratch = bytes;
                }
                Mode::Ended => {}
            }
        }
        self.egress.dirty.push(key);
        !self.egress.streams.contains(key as usize)
    }

    pub(super) fn handle_stream_bytes(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        key: u32,
        bytes: Vec<u8>,
    ) {
        if !bytes.is_empty() {
            self.handle_frames(now, unix_now, key, &bytes);
        }
    }

    /// Cuts `bytes` into frames and gives each to the core; keeps the rest for later.
    pub(super) fn handle_frames(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        key: u32,
        bytes: &[u8],
    ) {
        let Some(stream) = self.egress.streams.get(key as usize) else {
            return;
        };
        let path = ClientPath {
            five_tuple: stream.five_tuple,
            link: Link::Stream(key).id(),
        };
        let mut rest = bytes;
        loop {
            let Some(stream) = self.egress.streams.get_mut(key as usize) else {
                return;
            };
            if let Some((worker, mut early)) = stream.moving.take() {
                early.extend_from_slice(rest);
                return self.move_stream(key, worker, early);
            }
            match stream.mode {
                Mode::Framed => {}
                // Everything after ConnectionBind is the peer's (RFC 6062 section 5.4).
                Mode::Joined(peer) => return self.forward_to_peer(now, peer, rest),
                Mode::Ended => return,
            }
            match framing::frame_len(rest) {
                Ok(Some(len)) if len <= rest.len() => {
                    stream.is_heard = true;
                    let (frame, after) = rest.split_at(len);
                    rest = after;
                    let Self { server, egress, .. } = self;
                    let verdict = server.handle_client_datagram(now, unix_now, path, frame);
                    if matches!(verdict, Verdict::Consumed) {
                        egress.carry_out_outputs(now, server);
                    } else {
                        egress.carry_out(verdict);
                    }
                }
                Ok(_) => {
                    // Bounded: a frame is at most 64 KiB and its header.
                    stream.inbox = rest.to_vec();
                    return;
                }
                Err(_) => {
                    self.egress.counters.broken_streams += 1;
                    return self.close_stream(now, key);
                }
            }
        }
    }

    /// Gives a stream to the worker that holds what its client asks for.
    pub(super) fn move_stream(&mut self, key: u32, worker: u16, early: Vec<u8>) {
        let Some(stream) = self.egress.remove_stream(key) else {
            return;
        };
        let client = Box::new(stream.into_client(early));
        let sibling = self
            .egress
            .siblings
            .get(usize::from(worker))
            .and_then(Option::as_ref);
        // A full mailbox drops the client, as it does with new ones.
        let _ = sibling.map(|sibling| sibling.mailbox.try_send(Command::Client(client)));
    }

    pub(super) fn write_streams(&mut self, now: Instant) {
        let mut dirty = std::mem::take(&mut self.egress.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        for key in dirty.drain(..) {
            let Some(stream) = self.egress.streams.get_mut(key as usize) else {
                continue;
            };
            let is_broken = stream.write().is_err();
            let has_room = stream.outbox.len() < PENDING_LIMIT;
            if is_broken || (stream.is_closing && stream.is_flushed()) {
                self.close_stream(now, key);
            } else if let Mode::Joined(peer) = stream.mode
                && has_room
                && self
                    .egress
                    .peers
                    .get(peer as usize)
                    .is_some_and(|peer| !peer.is_queued)
            {
                self.egress.woken.push(Source::Peer(peer));
            }
        }
        // Keeps its capacity; nothing was added meanwhile.
        self.egress.dirty = dirty;
    }

    /// Closes streams that came to nothing, and sets the next look at the others.
    pub(super) fn look_after_streams(&mut self, now: Instant) {
        while let Some(&(due, source)) = self.egress.deadlines.first() {
            if due > now {
                return;
            }
            self.egress.deadlines.pop_first();
            let key = match source {
                Source::Stream(key) => key,
                Source::Peer(key) => {
                    self.close_peer(now, key);
                    continue;
                }
                Source::Mailbox | Source::Front(_) | Source::Relay(_) => continue,
            };
            let Some(stream) = self.egress.streams.get_mut(key as usize) else {
                continue;
            };
            let is_used = std::mem::take(&mut stream.is_heard)
                || stream.mode != Mode::Framed
                || self.server.has_allocation(&stream.five_tuple);
            stream.due = now + IDLE_TIMEOUT;
            self.egress.deadlines.insert((stream.due, source));
            if stream.is_closing {
                self.close_stream(now, key);
            } else if !is_used {
                self.egress.counters.idle_streams += 1;
                self.close_stream(now, key);
            }
        }
    }

    pub(super) fn close_stream(&mut self, now: Instant, key: u32) {
        let Some(mut stream) = self.egress.remove_stream(key) else {
            return;
        };
        // A client that has ended its side may still want its answers.
        let _ = stream.write();
        stream.close();
        match stream.mode {
            Mode::Framed => self.server.handle_client_closed(now, stream.five_tuple),
            Mode::Joined(peer) => self.egress.end_peer(now, peer),
            Mode::Ended => {}
        }
        self.egress.carry_out_outputs(now, &mut self.server);
    }
}

/// RFC 8489 has no number; a client speaks first and at once.
pub(super) const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a stream must be heard when it has no allocation.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
