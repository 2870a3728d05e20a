//! The driver of sockets: opening them, moving bytes through them in batches,
//! TLS, and finding out which addresses this host has.
//!
//! It decides nothing about TURN: whoever uses it says where a datagram goes
//! and what a connection is worth. Start with [`udp`] for the data path (one
//! [`udp::UdpEndpoint`] per socket, one [`udp::RecvBatch`] and one
//! [`udp::SendBatch`] per thread) and with [`bind`] for everything that opens
//! a port.
//!
//! Addresses inside the process are never IPv4-mapped: what arrives on a
//! dual-stack socket is unmapped here, and mapped again here on its way out.

pub mod accept;
pub mod addresses;
pub mod bind;
pub mod discover;
pub mod icmp;
pub mod rate_limit;
pub mod sniff;
pub mod sockopt;
pub mod stream;
pub mod stun_query;
pub mod tls;
pub mod udp;
