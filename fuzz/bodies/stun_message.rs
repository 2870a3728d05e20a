//! Asks a STUN message everything that can be asked, and builds it again.

use turnstone::stun::{
    AttributeType, Builder, Fingerprint, HEADER_LEN, IntegrityAlgorithm, Message, nonce_cookie,
};

/// Takes `data` as a message, as it is and with a header made to fit.
pub(crate) fn stun_message(data: &[u8]) {
    check(data);
    let mut fitted = data.to_vec();
    fitted.truncate(data.len() / 4 * 4);
    let Some(attributes_len) = fitted.len().checked_sub(HEADER_LEN) else {
        return;
    };
    let Ok(attributes_len) = u16::try_from(attributes_len) else {
        return;
    };
    fitted[0] &= 0x3F;
    fitted[2..4].copy_from_slice(&attributes_len.to_be_bytes());
    check(&fitted);
}

fn check(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else {
        return;
    };
    assert_eq!(message.as_bytes(), bytes);
    ask(&message);
    rebuild(&message);
}

/// Answers do not matter here, only that each comes.
fn ask(message: &Message<'_>) {
    let _ = (message.dialect(), message.integrity(), message.error_code());
    let _ = (message.password_algorithm(), message.channel_number());
    for (kind, value) in message.attributes() {
        assert!(message.attribute(kind).is_some());
        let _ = (message.address(kind), message.xor_address(kind));
        let _ = (message.u32(kind), message.u64(kind), message.text(kind));
        assert_eq!(
            message.u8_first(kind).is_some(),
            message.attribute(kind) != Some(&[])
        );
        assert!(message.xor_addresses(kind).count() > 0);
        let _ = nonce_cookie::decode(value);
    }
    let unknown = message.unknown_required(|kind| kind == AttributeType::USERNAME);
    assert!(unknown.count() <= message.attributes().count());
    // Nobody guesses an HMAC.
    for algorithm in ALGORITHMS {
        assert!(!message.verify_integrity(algorithm, KEY));
    }
}

/// What can be seen of a message makes a message of its own, which verifies
/// once it is signed.
fn rebuild(message: &Message<'_>) {
    let mut out = Vec::new();
    let (class, method) = (message.class(), message.method());
    let mut builder = Builder::new(&mut out, class, method, message.transaction_id());
    let plain = || {
        message
            .attributes()
            .take_while(|(kind, _)| !hides_others(*kind))
    };
    for (kind, value) in plain() {
        builder.attribute(kind, value);
    }
    for algorithm in ALGORITHMS {
        builder.integrity(algorithm, KEY);
    }
    builder.fingerprint();
    let is_complete = builder.is_complete();
    let Ok(rebuilt) = Message::parse(&out) else {
        unreachable!("the builder made no message of {message:?}");
    };
    assert_eq!(rebuilt.class(), class);
    assert_eq!(rebuilt.method(), method);
    assert_eq!(rebuilt.transaction_id(), message.transaction_id());
    assert!(plain().eq(rebuilt.attributes().take(plain().count())));
    if is_complete {
        for algorithm in ALGORITHMS {
            assert!(rebuilt.verify_integrity(algorithm, KEY));
        }
        assert_eq!(rebuilt.fingerprint(), Fingerprint::Valid);
    }
}

fn hides_others(kind: AttributeType) -> bool {
    [
        AttributeType::MESSAGE_INTEGRITY,
        AttributeType::MESSAGE_INTEGRITY_SHA256,
        AttributeType::FINGERPRINT,
    ]
    .contains(&kind)
}

const ALGORITHMS: [IntegrityAlgorithm; 2] = [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256];

const KEY: &[u8] = b"a key that no sample is signed with";
