//! A small blocking STUN client over UDP, TCP and TLS.
//!
//! It keeps frames that arrive out of turn, resends requests over UDP as RFC 8489
//! section 6.2.1 asks, and knows one trick: `provoke` sends a Binding request
//! behind something that must not be answered, so that silence is proved by the
//! answer that comes instead of by waiting.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rustls::SupportedProtocolVersion;
use stun::agent::TransactionId;
use turnstone::clock;

use super::answer::{Answer, Frame};
use super::server::Server;
use super::tls;
use super::wire::{Class, Draft, HEADER, method};
use super::{PATIENCE, SILENCE, Transport, time_left};

/// First retransmission over UDP. RFC 8489 section 6.2.1 asks for at least 500 ms.
const RETRANSMISSION: Duration = Duration::from_millis(1000);

/// A connection to the server, with whatever has arrived on it.
pub(crate) struct Client {
    pub(crate) transport: Transport,
    wire: Wire,
    local: SocketAddr,
    unparsed: Vec<u8>,
    inbox: VecDeque<Frame>,
    answered: Vec<[u8; 12]>,
    closed: bool,
}

enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<tls::Stream>),
}

impl Client {
    /// Connects over IPv4.
    pub(crate) fn connect(server: &Server, transport: Transport) -> Self {
        Self::connect_to(transport, server.address(transport))
    }

    /// Connects over IPv6.
    pub(crate) fn connect_v6(server: &Server, transport: Transport) -> Self {
        Self::connect_to(transport, server.address_v6(transport))
    }

    /// Connects to this address.
    pub(crate) fn connect_to(transport: Transport, server: SocketAddr) -> Self {
        let wire = match transport {
            Transport::Udp => Wire::Udp(udp_socket(server, source_for(server))),
            Transport::Tcp => Wire::Tcp(tcp_stream(server)),
            Transport::Tls => Wire::Tls(Box::new(tls::connect(tcp_stream(server), server))),
        };
        Self::over(transport, wire)
    }

    /// Sends UDP from this source address.
    pub(crate) fn udp_from(source: SocketAddr, server: SocketAddr) -> Self {
        Self::over(Transport::Udp, Wire::Udp(udp_socket(server, source)))
    }

    /// Connects over TLS with these versions of the protocol and this ALPN offer.
    pub(crate) fn over_tls(
        server: SocketAddr,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&[u8]],
    ) -> Self {
        let stream = tls::connect_with(tcp_stream(server), server, versions, alpn);
        Self::over(Transport::Tls, Wire::Tls(Box::new(stream)))
    }

    /// The ALPN protocol that the server chose, once data has been exchanged.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        match &self.wire {
            Wire::Tls(stream) => stream.conn.alpn_protocol(),
            Wire::Udp(_) | Wire::Tcp(_) => None,
        }
    }

    fn over(transport: Transport, wire: Wire) -> Self {
        let local = match &wire {
            Wire::Udp(socket) => socket.local_addr(),
            Wire::Tcp(stream) => stream.local_addr(),
            Wire::Tls(stream) => stream.sock.local_addr(),
        };
        Self {
            transport,
            wire,
            local: local.expect("the socket is bound"),
            unparsed: Vec::new(),
            inbox: VecDeque::new(),
            answered: Vec::new(),
            closed: false,
        }
    }

    /// The address that the server should see.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether the server has closed the stream, as far as was read.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Sends bytes as they are. A stream that the server closed swallows them.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let sent = match &mut self.wire {
            Wire::Udp(socket) => socket.send(bytes).map(|_| ()),
            Wire::Tcp(stream) => stream.write_all(bytes),
            Wire::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        };
        if sent.is_err() && self.transport != Transport::Udp {
            self.closed = true;
        }
    }

    /// Sends a request and returns its answer.
    #[track_caller]
    pub(crate) fn request(&mut self, request: &Draft) -> Answer {
        let answer = self.try_request(request);
        answer.expect("the server answers the request")
    }

    /// Sends a request and returns its answer, or `None` when none comes.
    #[track_caller]
    pub(crate) fn try_request(&mut self, request: &Draft) -> Option<Answer> {
        let is_new = !self.answered.contains(&request.transaction());
        assert!(is_new, "the answer would be taken for a repetition");
        let deadline = clock::now() + PATIENCE;
        loop {
            self.send(&request.bytes());
            let pause = match self.transport {
                Transport::Udp => deadline.min(clock::now() + RETRANSMISSION),
                Transport::Tcp | Transport::Tls => deadline,
            };
            let answer = self.answer_to(request.transaction(), pause);
            if answer.is_some() || self.closed || clock::now() >= deadline {
                return answer;
            }
        }
    }

    /// Sends `bytes`, then a Binding request, and returns what came before its answer.
    ///
    /// For what the server handles at once: nothing after the answer is looked at.
    #[track_caller]
    pub(crate) fn provoke(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.send(bytes);
        let barrier = Draft::binding();
        self.send(&barrier.bytes());
        let deadline = clock::now() + PATIENCE;
        let mut before = Vec::new();
        while let Some(frame) = self.next_frame(deadline) {
            match frame {
                Frame::Stun(answer) if answer.transaction() == barrier.transaction() => {
                    return before;
                }
                Frame::Stun(_) | Frame::ChannelData { .. } => before.push(frame),
            }
        }
        assert!(self.closed, "the server has stopped answering");
        before
    }

    /// Panics unless the server ignores `bytes` and goes on serving.
    #[track_caller]
    pub(crate) fn assert_ignored(&mut self, bytes: &[u8]) {
        let frames = self.provoke(bytes);
        assert!(frames.is_empty(), "not ignored: {frames:?}");
        assert!(!self.closed, "the server closed the connection");
    }

    /// The next frame that is not an answer already seen.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Frame {
        let frame = self.receive_within(PATIENCE);
        frame.expect("the client receives a message")
    }

    /// The next frame within `limit`.
    pub(crate) fn receive_within(&mut self, limit: Duration) -> Option<Frame> {
        match self.inbox.pop_front() {
            Some(frame) => Some(frame),
            None => self.next_frame(clock::now() + limit),
        }
    }

    /// The bytes of the next datagram, or of the next read of a stream.
    pub(crate) fn receive_bytes(&mut self, limit: Duration) -> Option<Vec<u8>> {
        if !self.unparsed.is_empty() {
            return Some(std::mem::take(&mut self.unparsed));
        }
        self.read(clock::now() + limit)
    }

    /// Reads from a data connection until `length` bytes are there.
    #[track_caller]
    pub(crate) fn receive_exactly(&mut self, length: usize) -> Vec<u8> {
        let mut received = Vec::new();
        while received.len() < length {
            let more = self.receive_bytes(PATIENCE);
            received.extend(more.expect("more bytes come"));
        }
        received
    }

    /// Writes until the server takes no more for a while; returns how many bytes
    /// it took. Plain TCP only.
    pub(crate) fn fill(&self) -> usize {
        match &self.wire {
            Wire::Tcp(stream) => fill(stream),
            Wire::Udp(_) | Wire::Tls(_) => unreachable!("only plain TCP can be filled"),
        }
    }

    /// Says that nothing more will be sent, and goes on reading. Plain TCP only.
    pub(crate) fn end(&self) {
        match &self.wire {
            Wire::Tcp(stream) => stream.shutdown(Shutdown::Write).expect("it is open"),
            Wire::Udp(_) | Wire::Tls(_) => unreachable!("only plain TCP can be half closed"),
        }
    }

    /// Panics unless the server closes the stream.
    #[track_caller]
    pub(crate) fn assert_closed_by_server(&mut self) {
        let deadline = clock::now() + PATIENCE;
        while !self.closed && clock::now() < deadline {
            self.read(deadline);
        }
        assert!(self.closed, "the server kept the connection open");
    }

    /// Closes the connection.
    pub(crate) fn close(self) {
        match self.wire {
            Wire::Udp(_) => {}
            // It may be closed already.
            Wire::Tcp(stream) => drop(stream.shutdown(Shutdown::Both)),
            Wire::Tls(stream) => drop(stream.sock.shutdown(Shutdown::Both)),
        }
    }

    fn answer_to(&mut self, transaction: [u8; 12], deadline: Instant) -> Option<Answer> {
        while let Some(frame) = self.next_frame(deadline) {
            match frame {
                Frame::Stun(answer) if answer.transaction() == transaction => {
                    self.answered.push(transaction);
                    return Some(answer);
                }
                Frame::Stun(_) | Frame::ChannelData { .. } => self.inbox.push_back(frame),
            }
        }
        None
    }

    /// Reads the next frame, past answers to requests that were sent twice.
    fn next_frame(&mut self, deadline: Instant) -> Option<Frame> {
        loop {
            let frame = Frame::parse(self.next_bytes(deadline)?);
            match &frame {
                Frame::Stun(answer) if self.answered.contains(&answer.transaction()) => {}
                Frame::Stun(_) | Frame::ChannelData { .. } => return Some(frame),
            }
        }
    }

    fn next_bytes(&mut self, deadline: Instant) -> Option<Vec<u8>> {
        if self.transport == Transport::Udp {
            return self.read(deadline);
        }
        loop {
            if let Some(length) = frame_length(&self.unparsed)
                && self.unparsed.len() >= length
            {
                let rest = self.unparsed.split_off(length);
                return Some(std::mem::replace(&mut self.unparsed, rest));
            }
            let more = self.read(deadline)?;
            self.unparsed.extend(more);
        }
    }

    fn read(&mut self, deadline: Instant) -> Option<Vec<u8>> {
        if self.closed {
            return None;
        }
        let mut buffer = vec![0; 65_536];
        let limit = Some(time_left(deadline));
        let result = match &mut self.wire {
            Wire::Udp(socket) => socket
                .set_read_timeout(limit)
                .and_then(|()| socket.recv(&mut buffer)),
            Wire::Tcp(stream) => stream
                .set_read_timeout(limit)
                .and_then(|()| stream.read(&mut buffer)),
            Wire::Tls(stream) => stream
                .sock
                .set_read_timeout(limit)
                .and_then(|()| stream.read(&mut buffer)),
        };
        match result {
            Ok(0) if self.transport != Transport::Udp => self.closed = true,
            Ok(length) => {
                buffer.truncate(length);
                return Some(buffer);
            }
            Err(error) if is_timeout(error.kind()) => {}
            Err(_) => self.closed = self.transport != Transport::Udp,
        }
        None
    }
}

fn is_timeout(kind: ErrorKind) -> bool {
    kind == ErrorKind::WouldBlock || kind == ErrorKind::TimedOut
}

/// The length of the frame that starts the stream, once it can be told.
fn frame_length(stream: &[u8]) -> Option<usize> {
    let header = stream.get(..4)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 6 == 0 {
        return Some(HEADER + length);
    }
    Some((4 + length).next_multiple_of(4))
}

/// Writes into `stream` until nothing fits for [`SILENCE`].
pub(crate) fn fill(stream: &TcpStream) -> usize {
    let old = stream.write_timeout().expect("a socket has options");
    let set = |timeout| stream.set_write_timeout(timeout);
    set(Some(SILENCE)).expect("a timeout above zero");
    let (mut sent, chunk) = (0, [7; 32 * 1024]);
    let mut writer = stream;
    while let Ok(written) = writer.write(&chunk) {
        sent += written;
    }
    set(old).expect("it was set before");
    sent
}

fn udp_socket(server: SocketAddr, source: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(source).expect("a free port");
    socket.connect(server).expect("loopback is reachable");
    socket
}

fn tcp_stream(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&server, PATIENCE).expect("the server accepts");
    stream.set_nodelay(true).expect("TCP has this option");
    stream
}

/// A loopback address of the server's family, with a port of the system's choice.
///
/// IPv4 addresses are picked at random: a port that the system gives out again
/// would otherwise meet the allocation of a client that went away.
fn source_for(server: SocketAddr) -> SocketAddr {
    let [a, b, c, ..] = TransactionId::new().0;
    let ip: IpAddr = if server.is_ipv4() {
        [127, 16 | a >> 1, b, 1 | c >> 1].into()
    } else {
        Ipv6Addr::LOCALHOST.into()
    };
    SocketAddr::new(ip, 0)
}

/// Whether `frame` is an indication with this method.
pub(crate) fn is_indication(frame: &Frame, method: u16) -> bool {
    match frame {
        Frame::Stun(message) => message.is(Class::Indication, method),
        Frame::ChannelData { .. } => false,
    }
}

/// Whether `frame` is a Data indication.
pub(crate) fn is_data_indication(frame: &Frame) -> bool {
    is_indication(frame, method::DATA)
}
