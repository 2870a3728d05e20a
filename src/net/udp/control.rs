//! Control messages of one outgoing transmit, in the byte layout of cmsg(3).
//!
//! Written by hand because they are three fixed shapes, because the buffer can
//! then live on the stack, and because a send that the kernel refuses must not
//! switch off offloading for everyone else on the socket.

use std::net::IpAddr;

use nix::libc;

/// Length of `struct cmsghdr`: a length, a level and a type.
const HEADER: usize = size_of::<usize>() + 2 * size_of::<libc::c_int>();

/// One segment size (2 bytes) and one `struct in6_pktinfo` (20 bytes), each
/// with its header and padding.
const CAPACITY: usize = 2 * (HEADER + 24);

/// Control messages for `sendmsg`.
#[derive(Debug)]
#[repr(align(8))]
pub(super) struct Control {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Control {
    /// Encodes the wish to send from `source` and to cut the buffer into
    /// datagrams of `segment` bytes.
    pub(super) fn encode(source: Option<IpAddr>, segment: Option<u16>) -> Self {
        let mut control = Self {
            bytes: [0; CAPACITY],
            len: 0,
        };
        match source {
            // struct in_pktinfo: interface index (0: any), source, unused.
            // Also valid on an IPv6 socket that sends to a mapped address.
            Some(IpAddr::V4(ip)) => {
                let mut info = [0; 12];
                info[4..8].copy_from_slice(&ip.octets());
                control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            // struct in6_pktinfo: source, interface index (0: any).
            Some(IpAddr::V6(ip)) => {
                let mut info = [0; 20];
                info[..16].copy_from_slice(&ip.octets());
                control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
            None => {}
        }
        if let Some(size) = segment {
            control.push(libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
        }
        control
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let message = &mut self.bytes[self.len..];
        let (length, rest) = message.split_at_mut(size_of::<usize>());
        length.copy_from_slice(&(HEADER + data.len()).to_ne_bytes());
        rest[..4].copy_from_slice(&level.to_ne_bytes());
        rest[4..8].copy_from_slice(&kind.to_ne_bytes());
        rest[8..8 + data.len()].copy_from_slice(data);
        self.len += (HEADER + data.len()).next_multiple_of(size_of::<usize>());
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn lengths_are_those_of_the_c_macros() {
        let control = Control::encode(Some(Ipv6Addr::LOCALHOST.into()), Some(1200));
        let expected = nix::sys::socket::cmsg_space::<libc::in6_pktinfo>()
            + nix::sys::socket::cmsg_space::<u16>();
        assert_eq!(control.as_bytes().len(), expected);
        assert!(Control::encode(None, None).as_bytes().is_empty());
    }
}
