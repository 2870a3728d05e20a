//! What the `stun` crate builds we read, and what we build it reads.

use std::net::SocketAddr;

use stun::attributes::{
    ATTR_NONCE, ATTR_REALM, ATTR_SOFTWARE, ATTR_USERNAME, ATTR_XOR_PEER_ADDRESS, AttrType,
};
use stun::error_code::ErrorCodeAttribute;
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{
    BINDING_REQUEST, CLASS_ERROR_RESPONSE, Getter as _, METHOD_ALLOCATE, Message as Foreign,
    MessageType, Setter,
};
use stun::textattrs::TextAttribute;
use stun::uattrs::UnknownAttributes;
use stun::xoraddr::XorMappedAddress;
use turnstone::stun::{
    AttributeType, Builder, Class, ErrorCode, Fingerprint, IntegrityAlgorithm, Message, Method,
    PasswordAlgorithm, TransactionId, long_term_key,
};

const USERNAME: &str = "alice";
const REALM: &str = "example.org";
const PASSWORD: &str = "wonderland";
const ADDRESSES: [&str; 2] = ["192.0.2.9:40000", "[2001:db8::9]:40001"];

#[test]
fn we_read_what_it_builds() {
    for address in ADDRESSES.map(address) {
        let mapped = XorMappedAddress {
            ip: address.ip(),
            port: address.port(),
        };
        let setters: Vec<Box<dyn Setter>> = vec![
            Box::new(BINDING_REQUEST),
            text(ATTR_USERNAME, USERNAME),
            text(ATTR_REALM, REALM),
            text(ATTR_NONCE, "a nonce"),
            text(ATTR_SOFTWARE, "odd"),
            Box::new(mapped),
            Box::new(foreign_integrity()),
            Box::new(FINGERPRINT),
        ];
        let mut foreign = Foreign::new();
        foreign.new_transaction_id().unwrap();
        foreign.build(&setters).unwrap();

        let ours = Message::parse(&foreign.raw).unwrap();
        assert_eq!(ours.class(), Class::Request);
        assert_eq!(ours.method(), Method::BINDING);
        assert_eq!(
            ours.transaction_id(),
            TransactionId::new(foreign.transaction_id.0)
        );
        assert_eq!(ours.text(AttributeType::USERNAME), Some(USERNAME));
        assert_eq!(ours.text(AttributeType::NONCE), Some("a nonce"));
        assert_eq!(
            ours.xor_address(AttributeType::XOR_MAPPED_ADDRESS),
            Some(address)
        );
        assert_eq!(ours.integrity(), Some(IntegrityAlgorithm::Sha1));
        assert!(ours.verify_integrity(IntegrityAlgorithm::Sha1, &our_key()));
        assert!(!ours.verify_integrity(IntegrityAlgorithm::Sha1, b"wrong"));
        assert_eq!(ours.fingerprint(), Fingerprint::Valid);
    }
}

#[test]
fn it_reads_what_we_build() {
    for address in ADDRESSES.map(address) {
        let mut out = Vec::new();
        Builder::new(
            &mut out,
            Class::ErrorResponse,
            Method::ALLOCATE,
            TransactionId::new([5; 12]),
        )
        .error_code(ErrorCode::UnknownAttribute, "Unknown Attribute")
        .unknown_attributes(&[
            AttributeType(0x7FFF),
            AttributeType(0x0030),
            AttributeType(2),
        ])
        .attribute(AttributeType::REALM, REALM.as_bytes())
        .xor_address(AttributeType::XOR_PEER_ADDRESS, address)
        .integrity(IntegrityAlgorithm::Sha1, &our_key())
        .fingerprint();

        let mut foreign = Foreign::new();
        foreign.unmarshal_binary(&out).unwrap();
        assert_eq!(
            foreign.typ,
            MessageType::new(METHOD_ALLOCATE, CLASS_ERROR_RESPONSE)
        );
        assert_eq!(foreign.transaction_id.0, [5; 12]);
        let mut code = ErrorCodeAttribute::default();
        code.get_from(&foreign).unwrap();
        assert_eq!(
            (code.code.0, &code.reason[..]),
            (420, &b"Unknown Attribute"[..])
        );
        let mut unknown = UnknownAttributes(Vec::new());
        unknown.get_from(&foreign).unwrap();
        assert_eq!(unknown.0, [AttrType(0x7FFF), AttrType(0x0030), AttrType(2)]);
        let realm = TextAttribute::get_from_as(&foreign, ATTR_REALM).unwrap();
        assert_eq!(realm.text, REALM);
        let mut peer = XorMappedAddress::default();
        peer.get_from_as(&foreign, ATTR_XOR_PEER_ADDRESS).unwrap();
        assert_eq!(SocketAddr::new(peer.ip, peer.port), address);
        foreign_integrity().check(&mut foreign).unwrap();
        FINGERPRINT.check(&foreign).unwrap();
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn text(kind: AttrType, value: &str) -> Box<dyn Setter> {
    Box::new(TextAttribute::new(kind, value.to_owned()))
}

fn foreign_integrity() -> MessageIntegrity {
    MessageIntegrity::new_long_term_integrity(
        USERNAME.to_owned(),
        REALM.to_owned(),
        PASSWORD.to_owned(),
    )
}

fn our_key() -> Vec<u8> {
    let key = long_term_key(PasswordAlgorithm::Md5, USERNAME, REALM, PASSWORD.as_bytes());
    key.as_bytes().to_vec()
}
