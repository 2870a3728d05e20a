//! The few STUN and TURN messages of the load generator (RFC 8489, RFC 8656).

use std::net::{Ipv4Addr, SocketAddrV4};

use md5::{Digest, Md5};
use ring::hmac;

/// The magic cookie, RFC 8489 section 5.
pub const COOKIE: u32 = 0x2112_A442;

/// The channel that every client binds: the first one there is.
pub const CHANNEL: u16 = 0x4000;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const CHANNEL_NUMBER: u16 = 0x000C;
const LIFETIME: u16 = 0x000D;
const XOR_PEER_ADDRESS: u16 = 0x0012;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const XOR_RELAYED_ADDRESS: u16 = 0x0016;
const REQUESTED_TRANSPORT: u16 = 0x0019;

/// A request of the generator.
#[derive(Clone, Copy)]
pub enum Request {
    /// An allocation over UDP.
    Allocate,
    /// A permission for the peer.
    CreatePermission(SocketAddrV4),
    /// `CHANNEL` for the peer.
    ChannelBind(SocketAddrV4),
    /// A lifetime of zero.
    Release,
}

/// What a request is signed with; `nonce` is empty before the first answer.
#[derive(Clone)]
pub struct Credentials {
    /// The long-term credential's user.
    pub user: String,
    /// As the server said.
    pub realm: String,
    /// As the server said.
    pub nonce: Vec<u8>,
    /// `long_term_key` of the three.
    pub key: [u8; 16],
}

/// Returns the long-term key, RFC 8489 section 18.5.1.1.
pub fn long_term_key(user: &str, realm: &str, password: &str) -> [u8; 16] {
    Md5::digest(format!("{user}:{realm}:{password}")).into()
}

/// Writes `request` with `transaction`, signed once there is a nonce.
pub fn encode(request: Request, transaction: [u8; 12], credentials: &Credentials) -> Vec<u8> {
    let mut message = Message::new(request, transaction);
    match request {
        Request::Allocate => message.attribute(REQUESTED_TRANSPORT, &[17, 0, 0, 0]),
        Request::CreatePermission(peer) => message.address(XOR_PEER_ADDRESS, peer),
        Request::ChannelBind(peer) => {
            let [high, low] = CHANNEL.to_be_bytes();
            message.attribute(CHANNEL_NUMBER, &[high, low, 0, 0]);
            message.address(XOR_PEER_ADDRESS, peer);
        }
        Request::Release => message.attribute(LIFETIME, &[0; 4]),
    }
    if !credentials.nonce.is_empty() {
        message.sign(credentials);
    }
    message.0
}

struct Message(Vec<u8>);

impl Message {
    fn new(request: Request, transaction: [u8; 12]) -> Self {
        let method: u16 = match request {
            Request::Allocate => 0x0003,
            Request::Release => 0x0004,
            Request::CreatePermission(_) => 0x0008,
            Request::ChannelBind(_) => 0x0009,
        };
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&method.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&COOKIE.to_be_bytes());
        bytes.extend_from_slice(&transaction);
        Self(bytes)
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.0.extend_from_slice(&kind.to_be_bytes());
        let length = value.len() as u16;
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.set_length(0);
    }

    fn address(&mut self, kind: u16, address: SocketAddrV4) {
        let mut value = vec![0, 1];
        let port = address.port() ^ (COOKIE >> 16) as u16;
        value.extend_from_slice(&port.to_be_bytes());
        let ip = u32::from(*address.ip()) ^ COOKIE;
        value.extend_from_slice(&ip.to_be_bytes());
        self.attribute(kind, &value);
    }

    fn sign(&mut self, credentials: &Credentials) {
        self.attribute(USERNAME, credentials.user.as_bytes());
        self.attribute(REALM, credentials.realm.as_bytes());
        self.attribute(NONCE, &credentials.nonce);
        // RFC 8489 section 14.5: the length counts the attribute to come.
        self.set_length(24);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &credentials.key);
        let tag = hmac::sign(&key, &self.0);
        self.attribute(MESSAGE_INTEGRITY, tag.as_ref());
    }

    fn set_length(&mut self, to_come: usize) {
        let length = (self.0.len() - 20 + to_come) as u16;
        self.0[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

/// An answer, as far as the generator looks at it.
#[derive(Default)]
pub struct Answer {
    /// Whether it is a success response.
    pub success: bool,
    /// As the request had it.
    pub transaction: [u8; 12],
    /// The error code; 0 in a success response.
    pub code: u16,
    /// The realm of a challenge.
    pub realm: Option<String>,
    /// The nonce of a challenge.
    pub nonce: Option<Vec<u8>>,
    /// The relayed transport address of an Allocate success response.
    pub relayed: Option<SocketAddrV4>,
}

/// Parses a success or error response; nothing for anything else.
pub fn parse(bytes: &[u8]) -> Option<Answer> {
    let (header, mut rest) = bytes.split_at_checked(20)?;
    if header[0] & 0xC0 != 0 || header[0] & 1 == 0 {
        return None;
    }
    let mut answer = Answer {
        success: header[1] & 0x10 == 0,
        transaction: header[8..].try_into().ok()?,
        ..Answer::default()
    };
    while let Some((head, after)) = rest.split_at_checked(4) {
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = after.get(..length)?;
        match kind {
            ERROR_CODE => {
                let code = value.get(2..4)?;
                answer.code = u16::from(code[0]) * 100 + u16::from(code[1]);
            }
            REALM => answer.realm = Some(String::from_utf8_lossy(value).into_owned()),
            NONCE => answer.nonce = Some(value.to_vec()),
            XOR_RELAYED_ADDRESS => answer.relayed = parse_address(value),
            _ => {}
        }
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(answer)
}

fn parse_address(value: &[u8]) -> Option<SocketAddrV4> {
    let value: [u8; 8] = value.try_into().ok()?;
    let port = u16::from_be_bytes([value[2], value[3]]) ^ (COOKIE >> 16) as u16;
    let ip = u32::from_be_bytes([value[4], value[5], value[6], value[7]]) ^ COOKIE;
    Some(SocketAddrV4::new(Ipv4Addr::from(ip), port))
}
