//! A client that knows its credentials and may hold an allocation.
//!
//! Every success it gets must carry a valid integrity attribute of the algorithm
//! it used; a stale nonce is renewed once, as RFC 8489 section 9.2.5 says.

use std::net::SocketAddr;

use super::answer::{Answer, Frame};
use super::client::Client;
use super::config::Account;
use super::credentials::{Credentials, Scheme};
use super::server::Server;
use super::wire::padded_channel_data;
use super::wire::{Class, Draft, attribute, channel_data, method};
use super::{PATIENCE, Transport};

/// An authenticated client.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) credentials: Credentials,
    relayed: Vec<SocketAddr>,
}

/// What came from a peer, or about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Relayed {
    /// A Data indication with DATA.
    Data { peer: SocketAddr, data: Vec<u8> },
    /// A ChannelData message.
    Channel { number: u16, data: Vec<u8> },
    /// A Data indication with ICMP.
    Icmp {
        peer: SocketAddr,
        kind: u16,
        code: u16,
        error_data: [u8; 4],
    },
}

impl Session {
    /// Connects over IPv4 as alice with SHA-1.
    pub(crate) fn open(server: &Server, transport: Transport) -> Self {
        Self::start(
            Client::connect(server, transport),
            server.alice(),
            Scheme::Sha1,
        )
    }

    /// Connects over IPv6 as alice with SHA-1.
    pub(crate) fn open_v6(server: &Server, transport: Transport) -> Self {
        let client = Client::connect_v6(server, transport);
        Self::start(client, server.alice(), Scheme::Sha1)
    }

    /// Connects over IPv4 as `account` with SHA-1.
    pub(crate) fn open_as(server: &Server, transport: Transport, account: Account) -> Self {
        Self::start(Client::connect(server, transport), account, Scheme::Sha1)
    }

    /// Connects over IPv4 as alice and holds a UDP allocation.
    pub(crate) fn allocated(server: &Server, transport: Transport) -> Self {
        let mut session = Self::open(server, transport);
        session.allocate();
        session
    }

    /// Asks for a challenge on `client` and remembers it.
    #[track_caller]
    pub(crate) fn start(mut client: Client, account: Account, scheme: Scheme) -> Self {
        let challenge = client.request(&Draft::allocate());
        challenge.assert_error(401);
        Self {
            client,
            credentials: Credentials::new(account, scheme, &challenge),
            relayed: Vec::new(),
        }
    }

    /// Goes on with credentials from another connection to the same server.
    pub(crate) fn resume(client: Client, credentials: Credentials) -> Self {
        Self {
            client,
            credentials,
            relayed: Vec::new(),
        }
    }

    /// Signs and sends a request, once more when the nonce has become stale, each
    /// time in a new transaction.
    #[track_caller]
    pub(crate) fn request(&mut self, draft: &Draft) -> Answer {
        let request = self.credentials.sign(draft.in_new_transaction());
        let mut answer = self.client.request(&request);
        if answer.error_code() == Some(438) {
            let nonce = answer.attribute(attribute::NONCE);
            self.credentials.nonce = nonce.expect("a 438 has a new NONCE");
            let again = self.credentials.sign(draft.in_new_transaction());
            answer = self.client.request(&again);
        }
        if answer.class() == Class::Success {
            self.credentials.assert_protects(&answer);
        }
        answer
    }

    /// Makes a UDP allocation and returns its relayed transport address.
    #[track_caller]
    pub(crate) fn allocate(&mut self) -> SocketAddr {
        self.allocate_with(Draft::allocate());
        self.relayed()
    }

    /// Sends this Allocate request, which must succeed.
    #[track_caller]
    pub(crate) fn allocate_with(&mut self, draft: Draft) -> Answer {
        let answer = self.request(&draft);
        answer.assert_success();
        self.relayed = answer.addresses(attribute::XOR_RELAYED_ADDRESS);
        assert!(!self.relayed.is_empty(), "no relayed address: {answer:?}");
        answer
    }

    /// The relayed transport address, the first of two in a dual allocation.
    pub(crate) fn relayed(&self) -> SocketAddr {
        self.relayed[0]
    }

    /// The relayed transport address of this family.
    #[track_caller]
    pub(crate) fn relayed_like(&self, peer: SocketAddr) -> SocketAddr {
        let mut addresses = self.relayed.iter().copied();
        let found = addresses.find(|relayed| relayed.is_ipv4() == peer.is_ipv4());
        found.expect("there is a relayed address of this family")
    }

    /// Every relayed transport address.
    pub(crate) fn all_relayed(&self) -> &[SocketAddr] {
        &self.relayed
    }

    /// Sends a Refresh request.
    pub(crate) fn refresh(&mut self, lifetime: Option<u32>) -> Answer {
        self.request(&Draft::refresh(lifetime))
    }

    /// Installs a permission for each peer, which must succeed.
    #[track_caller]
    pub(crate) fn permit(&mut self, peers: &[SocketAddr]) {
        self.request(&Draft::create_permission(peers))
            .assert_success();
    }

    /// Binds a channel, which must succeed.
    #[track_caller]
    pub(crate) fn bind(&mut self, number: u16, peer: SocketAddr) {
        self.request(&Draft::channel_bind(number, peer))
            .assert_success();
    }

    /// Sends a Send indication.
    pub(crate) fn send(&mut self, peer: SocketAddr, data: &[u8]) {
        self.client.send(&Draft::send(peer, data).bytes());
    }

    /// Sends a ChannelData message, padded over streams.
    pub(crate) fn send_channel(&mut self, number: u16, data: &[u8]) {
        let bytes = match self.client.transport {
            Transport::Udp => channel_data(number, data),
            Transport::Tcp | Transport::Tls => padded_channel_data(number, data),
        };
        self.client.send(&bytes);
    }

    /// The next message from a peer, or about it.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Relayed {
        let frame = self.client.receive_within(PATIENCE);
        relayed(frame.expect("the client receives relayed data"))
    }

    /// Panics unless the next message is a Data indication with this content.
    #[track_caller]
    pub(crate) fn assert_receives(&mut self, data: &[u8], peer: SocketAddr) {
        let data = data.to_vec();
        assert_eq!(self.receive(), Relayed::Data { peer, data });
    }

    /// Panics unless the next message is a ChannelData message with this content.
    #[track_caller]
    pub(crate) fn assert_receives_on(&mut self, number: u16, data: &[u8]) {
        let data = data.to_vec();
        assert_eq!(self.receive(), Relayed::Channel { number, data });
    }
}

#[track_caller]
fn relayed(frame: Frame) -> Relayed {
    let message = match frame {
        Frame::ChannelData { number, data } => return Relayed::Channel { number, data },
        Frame::Stun(message) => message,
    };
    assert!(
        message.is(Class::Indication, method::DATA),
        "not a Data indication: {message:?}"
    );
    let peer = message.address(attribute::XOR_PEER_ADDRESS);
    if let Some(data) = message.attribute(attribute::DATA) {
        return Relayed::Data { peer, data };
    }
    let icmp = message.attribute(attribute::ICMP).unwrap_or_default();
    assert_eq!(icmp.len(), 8, "neither DATA nor a good ICMP: {message:?}");
    // 7 bits of type and 9 bits of code, as figure 11 of RFC 8656 draws them.
    let type_and_code = u16::from_be_bytes([icmp[2], icmp[3]]);
    Relayed::Icmp {
        peer,
        kind: type_and_code >> 9,
        code: type_and_code & 0x1ff,
        error_data: [icmp[4], icmp[5], icmp[6], icmp[7]],
    }
}
