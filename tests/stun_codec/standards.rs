//! The samples of RFC 5769 and RFC 8489, read and rebuilt.

use turnstone::stun::{
    AttributeType, Builder, Class, Fingerprint, IntegrityAlgorithm, LongTermKey, Message, Method,
    PasswordAlgorithm, TransactionId, long_term_key, nonce_cookie, user_hash,
};

const SHORT_TERM_PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const USERNAME: &str = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";
const REALM: &str = "example.org";

#[test]
fn rfc5769_section_2_1_request() {
    let bytes = sample(include_str!("../vectors/stun/rfc5769-2.1-request.hex"));
    let message = Message::parse(&bytes).unwrap();

    assert_eq!(message.class(), Class::Request);
    assert_eq!(message.method(), Method::BINDING);
    assert_eq!(message.transaction_id(), short_term_transaction());
    assert_eq!(
        message.text(AttributeType::SOFTWARE),
        Some("STUN test client")
    );
    assert_eq!(message.u32(AttributeType::PRIORITY), Some(0x6E00_01FF));
    assert_eq!(
        message.u64(AttributeType::ICE_CONTROLLED),
        Some(0x932F_F9B1_5126_3B36)
    );
    assert_eq!(message.text(AttributeType::USERNAME), Some("evtj:h6vY"));
    assert_protected(&message);
}

#[test]
fn rfc5769_section_2_2_ipv4_response() {
    let bytes = sample(include_str!(
        "../vectors/stun/rfc5769-2.2-ipv4-response.hex"
    ));
    let message = Message::parse(&bytes).unwrap();

    assert_eq!(message.class(), Class::SuccessResponse);
    assert_eq!(message.text(AttributeType::SOFTWARE), Some("test vector"));
    assert_eq!(
        message.xor_address(AttributeType::XOR_MAPPED_ADDRESS),
        Some("192.0.2.1:32853".parse().unwrap())
    );
    assert_protected(&message);
}

#[test]
fn rfc5769_section_2_3_ipv6_response() {
    let bytes = sample(include_str!(
        "../vectors/stun/rfc5769-2.3-ipv6-response.hex"
    ));
    let message = Message::parse(&bytes).unwrap();

    assert_eq!(
        message.xor_address(AttributeType::XOR_MAPPED_ADDRESS),
        Some(
            "[2001:db8:1234:5678:11:2233:4455:6677]:32853"
                .parse()
                .unwrap()
        )
    );
    assert_protected(&message);
}

#[test]
fn rfc5769_section_2_4_long_term_request() {
    let bytes = sample(include_str!("../vectors/stun/rfc5769-2.4-long-term.hex"));
    let message = Message::parse(&bytes).unwrap();
    let key = key(PasswordAlgorithm::Md5);

    assert_eq!(message.text(AttributeType::USERNAME), Some(USERNAME));
    assert_eq!(message.text(AttributeType::REALM), Some(REALM));
    assert_eq!(message.integrity(), Some(IntegrityAlgorithm::Sha1));
    assert!(message.verify_integrity(IntegrityAlgorithm::Sha1, key.as_bytes()));
    assert_eq!(message.fingerprint(), Fingerprint::Absent);

    let mut rebuilt = Vec::new();
    Builder::new(
        &mut rebuilt,
        Class::Request,
        Method::BINDING,
        long_term_transaction(),
    )
    .attribute(AttributeType::USERNAME, USERNAME.as_bytes())
    .attribute(AttributeType::NONCE, b"f//499k954d6OL34oL9FSTvy64sA")
    .attribute(AttributeType::REALM, REALM.as_bytes())
    .integrity(IntegrityAlgorithm::Sha1, key.as_bytes());
    assert_eq!(rebuilt, bytes);
}

#[test]
fn rfc8489_appendix_b_1_request() {
    let bytes = sample(include_str!("../vectors/stun/rfc8489-b1-userhash.hex"));
    let message = Message::parse(&bytes).unwrap();
    let key = key(PasswordAlgorithm::Sha256);
    let nonce = b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA";

    let features = nonce_cookie::decode(message.attribute(AttributeType::NONCE).unwrap());
    assert!(features.unwrap().username_anonymity);
    assert_eq!(
        message.password_algorithm(),
        Some(PasswordAlgorithm::Sha256)
    );
    assert_eq!(message.integrity(), Some(IntegrityAlgorithm::Sha256));
    assert!(message.verify_integrity(IntegrityAlgorithm::Sha256, key.as_bytes()));

    let mut rebuilt = Vec::new();
    Builder::new(
        &mut rebuilt,
        Class::Request,
        Method::BINDING,
        long_term_transaction(),
    )
    .attribute(AttributeType::USERHASH, &user_hash(USERNAME, REALM))
    .attribute(AttributeType::NONCE, nonce)
    .attribute(AttributeType::REALM, REALM.as_bytes())
    .password_algorithm(PasswordAlgorithm::Sha256)
    .integrity(IntegrityAlgorithm::Sha256, key.as_bytes());
    assert_eq!(rebuilt, bytes);
}

fn assert_protected(message: &Message<'_>) {
    assert_eq!(message.integrity(), Some(IntegrityAlgorithm::Sha1));
    assert!(message.verify_integrity(IntegrityAlgorithm::Sha1, SHORT_TERM_PASSWORD));
    assert!(!message.verify_integrity(IntegrityAlgorithm::Sha1, b"other"));
    assert!(!message.verify_integrity(IntegrityAlgorithm::Sha256, SHORT_TERM_PASSWORD));
    assert_eq!(message.fingerprint(), Fingerprint::Valid);
}

fn key(algorithm: PasswordAlgorithm) -> LongTermKey {
    long_term_key(algorithm, USERNAME, REALM, b"TheMatrIX")
}

fn short_term_transaction() -> TransactionId {
    TransactionId::new([
        0xB7, 0xE7, 0xA7, 0x01, 0xBC, 0x34, 0xD6, 0x86, 0xFA, 0x87, 0xDF, 0xAE,
    ])
}

fn long_term_transaction() -> TransactionId {
    TransactionId::new([
        0x78, 0xAD, 0x34, 0x33, 0xC6, 0xAD, 0x72, 0xC0, 0x29, 0xDA, 0x41, 0x2E,
    ])
}

fn sample(text: &str) -> Vec<u8> {
    let digits: String = text
        .lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(str::split_whitespace)
        .collect();
    assert!(digits.len().is_multiple_of(2));
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}
