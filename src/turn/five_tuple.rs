//! Who talks to us, and over what: the names for clients and relays.
//!
//! Plain values. The driver makes them at the edge (mapped addresses already
//! unmapped) and gets the same values back in verdicts and outputs.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The protocol between client and server.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Transport {
    /// Plain UDP.
    Udp,
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl Transport {
    /// Whether messages arrive in a byte stream and need framing and padding.
    #[must_use]
    pub fn is_stream(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// The five-tuple that names an allocation (RFC 8656 section 2.2).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FiveTuple {
    /// The client's transport address as we see it.
    pub client: SocketAddr,
    /// Our transport address that the client sent to.
    pub server: SocketAddr,
    /// The protocol between client and server.
    pub transport: Transport,
}

/// The driver's name for the socket or stream that reaches a client.
///
/// The core never looks inside; it hands the value back with what is to be sent.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LinkId(pub u32);

/// A client: its five-tuple, and the link that reaches it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientPath {
    /// Names the allocation.
    pub five_tuple: FiveTuple,
    /// Names the socket or stream.
    pub link: LinkId,
}

/// Names one relayed transport address of this server; reused after `CloseRelay`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RelayId(pub u32);

/// An address family in the encoding of REQUESTED-ADDRESS-FAMILY (RFC 8656 section 18.6).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Family {
    /// 0x01
    V4,
    /// 0x02
    V6,
}

impl Family {
    /// Returns the family of an address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Reads the wire value; `None` for anything but 1 and 2.
    #[must_use]
    pub fn from_wire(value: u8) -> Option<Self> {
        match value {
            0x01 => Some(Self::V4),
            0x02 => Some(Self::V6),
            _ => None,
        }
    }

    /// Returns the wire value.
    #[must_use]
    pub fn to_wire(self) -> u8 {
        match self {
            Self::V4 => 0x01,
            Self::V6 => 0x02,
        }
    }
}
