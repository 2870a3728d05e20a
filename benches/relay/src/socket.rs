//! UDP sockets as the bench needs them: many datagrams a call, a source address
//! per packet, trains in (UDP_GRO) and out (UDP_SEGMENT), kernel timestamps.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ptr;

use libc::{
    AF_INET, CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_NXTHDR, CMSG_SPACE, EINTR, IP_PKTINFO,
    IPPROTO_IP, MSG_DONTWAIT, SCM_TIMESTAMPNS, SO_RCVBUFFORCE, SO_REUSEADDR, SO_SNDBUFFORCE,
    SO_TIMESTAMPNS, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOL_SOCKET, SOL_UDP, UDP_GRO,
    UDP_SEGMENT, cmsghdr, in_pktinfo, iovec, mmsghdr, sockaddr_in, timespec,
};

/// A file descriptor; open for the life of the process.
pub type Fd = i32;

/// The most datagrams of one `receive`.
pub const RECEIVE_BATCH: usize = 64;

/// Room for one received train, at an odd multiple of a cache line so that the
/// buffers of a batch do not share cache sets.
const BUFFER: usize = 64 * 1033;

/// Bytes of ancillary data of one message, enough for three items.
const CONTROL: usize = 128;

/// Opens a UDP socket bound to `address`; a buffer of 0 bytes keeps the default.
pub fn open_udp(address: SocketAddrV4, receive_buffer: i32, send_buffer: i32) -> Fd {
    let kind = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(AF_INET, kind, 0) };
    assert!(fd >= 0, "socket: {}", io::Error::last_os_error());
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if receive_buffer > 0 {
        set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer);
    }
    if send_buffer > 0 {
        set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, send_buffer);
    }
    bind(fd, address);
    fd
}

/// Binds `fd` to `address`.
pub fn bind(fd: Fd, address: SocketAddrV4) {
    let name = to_sockaddr(address);
    // SAFETY: `name` outlives the call, and its size is the one given.
    let result = unsafe { libc::bind(fd, (&raw const name).cast(), 16) };
    let error = io::Error::last_os_error();
    assert!(result == 0, "bind {address}: {error}");
}

/// Sets an integer socket option; failing is fine where the kernel lacks it.
pub fn set_option(fd: Fd, level: i32, option: i32, value: i32) {
    // SAFETY: `value` outlives the call, and its size is the one given.
    unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), 4) };
}

/// Asks for trains on `fd`.
pub fn enable_gro(fd: Fd) {
    set_option(fd, SOL_UDP, UDP_GRO, 1);
}

/// Asks for trains, destination addresses and arrival times on `fd`.
pub fn enable_gro_and_metadata(fd: Fd) {
    enable_gro(fd);
    set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
}

/// Converts to the kernel's form.
pub fn to_sockaddr(address: SocketAddrV4) -> sockaddr_in {
    sockaddr_in {
        sin_family: AF_INET as u16,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

/// Converts from the kernel's form.
pub fn from_sockaddr(name: &sockaddr_in) -> SocketAddrV4 {
    let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
    SocketAddrV4::new(address, u16::from_be(name.sin_port))
}

#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// Receives batches of datagrams into buffers of its own.
pub struct Receiver {
    bytes: Vec<u8>,
    messages: Vec<mmsghdr>,
    names: Vec<sockaddr_in>,
    // Pointed to by `messages`.
    _slices: Vec<iovec>,
    _controls: Vec<Control>,
}

/// One received datagram, or a train of them.
pub struct Received<'a> {
    /// Who sent it.
    pub from: SocketAddrV4,
    /// Where it was sent to; unspecified without metadata.
    pub to: Ipv4Addr,
    /// Wall-clock arrival in nanoseconds; 0 without metadata.
    pub at: u64,
    /// The length of each datagram but the last of a train.
    pub stride: usize,
    /// The payload of all.
    pub bytes: &'a [u8],
}

impl<'a> Received<'a> {
    /// Returns the datagrams of the train.
    pub fn datagrams(&self) -> std::slice::Chunks<'a, u8> {
        self.bytes.chunks(self.stride.max(1))
    }
}

impl Receiver {
    /// Makes room for `batch` datagrams a call.
    pub fn new(batch: usize) -> Self {
        let mut bytes = vec![0_u8; batch * BUFFER];
        // SAFETY: all of these are plain data, valid when zeroed.
        let (mut names, mut messages) = unsafe {
            let name = zeroed::<sockaddr_in>();
            (vec![name; batch], vec![zeroed::<mmsghdr>(); batch])
        };
        let mut controls = vec![Control([0; CONTROL]); batch];
        let mut slices: Vec<iovec> = bytes
            .chunks_mut(BUFFER)
            .map(|buffer| iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: 65_536,
            })
            .collect();
        for (at, message) in messages.iter_mut().enumerate() {
            let header = &mut message.msg_hdr;
            header.msg_name = (&raw mut names[at]).cast();
            header.msg_iov = &raw mut slices[at];
            header.msg_iovlen = 1;
            header.msg_control = controls[at].0.as_mut_ptr().cast();
        }
        Self {
            bytes,
            messages,
            names,
            _slices: slices,
            _controls: controls,
        }
    }

    /// Receives what is there, without waiting, and returns how many messages.
    pub fn receive(&mut self, fd: Fd) -> usize {
        for message in &mut self.messages {
            message.msg_hdr.msg_namelen = 16;
            message.msg_hdr.msg_controllen = CONTROL as _;
        }
        let most = self.messages.len() as u32;
        // SAFETY: every header points into vectors that `self` owns and never
        // resizes.
        let count = unsafe {
            let first = self.messages.as_mut_ptr();
            libc::recvmmsg(fd, first, most, MSG_DONTWAIT as _, ptr::null_mut())
        };
        usize::try_from(count).unwrap_or(0)
    }

    /// Returns message `at` of the last `receive`.
    pub fn message(&self, at: usize) -> Received<'_> {
        let message = &self.messages[at];
        let length = message.msg_len as usize;
        let mut received = Received {
            from: from_sockaddr(&self.names[at]),
            to: Ipv4Addr::UNSPECIFIED,
            at: 0,
            stride: length,
            bytes: &self.bytes[at * BUFFER..at * BUFFER + length],
        };
        // SAFETY: the kernel filled the control buffer of this header, and says
        // in it how long each item is.
        unsafe {
            let mut item = CMSG_FIRSTHDR(&raw const message.msg_hdr);
            while !item.is_null() {
                read_control(item, &mut received);
                item = CMSG_NXTHDR(&raw const message.msg_hdr, item);
            }
        }
        received
    }
}

/// Takes over one item of ancillary data.
///
/// # Safety
/// `item` was filled in by the kernel.
unsafe fn read_control(item: *const cmsghdr, received: &mut Received<'_>) {
    // SAFETY: level and type tell the kernel's type of the data.
    unsafe {
        let data = CMSG_DATA(item);
        match ((*item).cmsg_level, (*item).cmsg_type) {
            (IPPROTO_IP, IP_PKTINFO) => {
                let info = data.cast::<in_pktinfo>().read_unaligned();
                received.to = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr));
            }
            (SOL_UDP, UDP_GRO) => {
                received.stride = data.cast::<i32>().read_unaligned() as usize;
            }
            (SOL_SOCKET, SCM_TIMESTAMPNS) => {
                let time = data.cast::<timespec>().read_unaligned();
                received.at = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
            }
            _ => {}
        }
    }
}

/// A batch of outgoing datagrams, each possibly a train.
pub struct Sender {
    messages: Vec<mmsghdr>,
    slices: Vec<iovec>,
    names: Vec<sockaddr_in>,
    controls: Vec<Control>,
    used: usize,
    used_slices: usize,
    message_start: usize,
}

/// How to send one message.
#[derive(Clone, Copy)]
pub struct Envelope<'a> {
    /// Where to.
    pub to: &'a sockaddr_in,
    /// The source address; the socket's own when unspecified.
    pub source: Ipv4Addr,
    /// The length of each datagram of a train; 0 for a single datagram.
    pub stride: u16,
}

impl Sender {
    /// Makes room for `messages` made of `slices` in all.
    pub fn new(messages: usize, slices: usize) -> Self {
        // SAFETY: all of these are plain data, valid when zeroed.
        unsafe {
            Self {
                messages: vec![zeroed(); messages],
                slices: vec![zeroed(); slices],
                names: vec![zeroed(); messages],
                controls: vec![Control([0; CONTROL]); messages],
                used: 0,
                used_slices: 0,
                message_start: 0,
            }
        }
    }

    /// Tells whether nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Tells whether one more message of `slices` fits.
    pub fn has_room(&self, slices: usize) -> bool {
        self.used < self.messages.len() && self.used_slices + slices <= self.slices.len()
    }

    /// Adds a message of one part; `has_room` said yes.
    ///
    /// # Safety
    /// As for `add_part`.
    pub unsafe fn push(&mut self, envelope: Envelope<'_>, bytes: &[u8]) {
        // SAFETY: the caller's promise.
        unsafe { self.add_part(bytes) };
        self.close_message(envelope);
    }

    /// Adds a part to the message in the making; `has_room` said yes.
    ///
    /// # Safety
    /// What `bytes` points to stays where it is until `send`.
    pub unsafe fn add_part(&mut self, bytes: &[u8]) {
        self.slices[self.used_slices] = iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        self.used_slices += 1;
    }

    /// Makes a message of the parts added since the last one.
    pub fn close_message(&mut self, envelope: Envelope<'_>) {
        let at = self.used;
        self.names[at] = *envelope.to;
        let control = &mut self.controls[at].0;
        // SAFETY: the buffer is aligned and has room for both items.
        let length = unsafe { write_control(control, envelope) };
        let header = &mut self.messages[at].msg_hdr;
        header.msg_name = (&raw mut self.names[at]).cast();
        header.msg_namelen = 16;
        header.msg_iov = self.slices[self.message_start..].as_mut_ptr();
        header.msg_iovlen = self.used_slices - self.message_start;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = length as _;
        self.message_start = self.used_slices;
        self.used += 1;
    }

    /// Sends all and starts over; what the kernel refuses is left out.
    pub fn send(&mut self, fd: Fd) {
        let mut at = 0;
        while at < self.used {
            let left = (self.used - at) as u32;
            // SAFETY: headers, names, slices and controls are owned by `self`;
            // what the slices point to is alive by the contract of `add_part`.
            let sent = unsafe {
                let first = self.messages.as_mut_ptr().add(at);
                libc::sendmmsg(fd, first, left, MSG_DONTWAIT as _)
            };
            if sent > 0 {
                at += sent as usize;
            } else if io::Error::last_os_error().raw_os_error() != Some(EINTR) {
                at += 1;
            }
        }
        self.used = 0;
        self.used_slices = 0;
        self.message_start = 0;
    }
}

/// Writes the ancillary data that `envelope` asks for and returns its length.
///
/// # Safety
/// `control` is aligned for a `cmsghdr`.
unsafe fn write_control(control: &mut [u8; CONTROL], envelope: Envelope<'_>) -> usize {
    let mut length = 0;
    // SAFETY: both items together are shorter than `control`; CMSG_SPACE keeps
    // the second one aligned.
    unsafe {
        if !envelope.source.is_unspecified() {
            let item = control.as_mut_ptr().cast::<cmsghdr>();
            (*item).cmsg_len = CMSG_LEN(size_of::<in_pktinfo>() as u32) as _;
            (*item).cmsg_level = IPPROTO_IP;
            (*item).cmsg_type = IP_PKTINFO;
            let mut info: in_pktinfo = zeroed();
            info.ipi_spec_dst.s_addr = u32::from(envelope.source).to_be();
            CMSG_DATA(item).cast::<in_pktinfo>().write_unaligned(info);
            length += CMSG_SPACE(size_of::<in_pktinfo>() as u32) as usize;
        }
        if envelope.stride != 0 {
            let item = control.as_mut_ptr().add(length).cast::<cmsghdr>();
            (*item).cmsg_len = CMSG_LEN(2) as _;
            (*item).cmsg_level = SOL_UDP;
            (*item).cmsg_type = UDP_SEGMENT;
            let stride = CMSG_DATA(item).cast::<u16>();
            stride.write_unaligned(envelope.stride);
            length += CMSG_SPACE(2) as usize;
        }
    }
    length
}
