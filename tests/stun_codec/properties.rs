//! What holds for every message there can be.

use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use turnstone::stun::{
    AttributeType, Builder, ChannelNumber, Class, Fingerprint, IntegrityAlgorithm, Message, Method,
    TransactionId, channel_data,
};

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/proptest-regressions/stun_codec.txt",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_built_is_read_back(
        class in classes(),
        method in 0..0x1000_u16,
        id in any::<[u8; 16]>(),
        attributes in vec(plain_attributes(), 0..8),
    ) {
        let id = TransactionId::from_bytes(id);
        let mut out = Vec::new();
        let mut builder = Builder::new(&mut out, class, Method(method), id);
        for (kind, value) in &attributes {
            builder.attribute(*kind, value);
        }
        let message = Message::parse(&out).unwrap();
        prop_assert_eq!(message.class(), class);
        prop_assert_eq!(message.method(), Method(method));
        prop_assert_eq!(message.transaction_id(), id);
        let read: Vec<_> = message
            .attributes()
            .map(|(kind, value)| (kind, value.to_vec()))
            .collect();
        prop_assert_eq!(read, attributes);
    }

    #[test]
    fn addresses_are_read_back(address in any::<SocketAddr>(), id in any::<[u8; 16]>()) {
        // The wire has neither flow label nor scope.
        let address = SocketAddr::new(address.ip(), address.port());
        let id = TransactionId::from_bytes(id);
        let mut out = Vec::new();
        Builder::new(&mut out, Class::SuccessResponse, Method::BINDING, id)
            .xor_address(AttributeType::XOR_PEER_ADDRESS, address)
            .address(AttributeType::MAPPED_ADDRESS, address)
            .attribute(AttributeType::XOR_PEER_ADDRESS, &[0; 3]);
        let message = Message::parse(&out).unwrap();
        prop_assert_eq!(message.address(AttributeType::MAPPED_ADDRESS), Some(address));
        prop_assert_eq!(
            message.xor_addresses(AttributeType::XOR_PEER_ADDRESS).collect::<Vec<_>>(),
            vec![Some(address), None]
        );
    }

    #[test]
    fn a_changed_bit_breaks_integrity_and_fingerprint(
        attributes in vec(plain_attributes(), 0..4),
        key in vec(any::<u8>(), 0..80),
        algorithm in prop_oneof![
            Just(IntegrityAlgorithm::Sha1),
            Just(IntegrityAlgorithm::Sha256)
        ],
        position in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let id = TransactionId::new([9; 12]);
        let mut out = Vec::new();
        let mut builder = Builder::new(&mut out, Class::Request, Method::REFRESH, id);
        for (kind, value) in &attributes {
            builder.attribute(*kind, value);
        }
        builder.integrity(algorithm, &key).fingerprint();
        let message = Message::parse(&out).unwrap();
        prop_assert_eq!(message.integrity(), Some(algorithm));
        prop_assert!(message.verify_integrity(algorithm, &key));
        prop_assert_eq!(message.fingerprint(), Fingerprint::Valid);

        let position = position.index(out.len());
        out[position] ^= 1_u8 << bit;
        if let Ok(message) = Message::parse(&out) {
            let is_fingerprint = position >= out.len() - 8;
            prop_assert_eq!(message.verify_integrity(algorithm, &key), is_fingerprint);
            prop_assert_ne!(message.fingerprint(), Fingerprint::Valid);
        }
    }

    #[test]
    fn channel_data_is_read_back(
        number in 0x4000..0x8000_u16,
        payload in vec(any::<u8>(), 0..300),
        padding in 0..4_usize,
    ) {
        let number = ChannelNumber::new(number).unwrap();
        let len = u16::try_from(payload.len()).unwrap();
        let mut bytes = channel_data::encode_header(number, len).to_vec();
        bytes.extend_from_slice(&payload);
        bytes.resize(bytes.len() + padding, 0);
        prop_assert_eq!(channel_data::parse(&bytes), Some((number, &payload[..])));
    }
}

fn classes() -> impl Strategy<Value = Class> {
    prop_oneof![
        Just(Class::Request),
        Just(Class::Indication),
        Just(Class::SuccessResponse),
        Just(Class::ErrorResponse),
    ]
}

/// Attributes that hide none of those behind them.
fn plain_attributes() -> impl Strategy<Value = (AttributeType, Vec<u8>)> {
    let kind = any::<u16>()
        .prop_map(AttributeType)
        .prop_filter("hides what follows", |kind| {
            ![
                AttributeType::MESSAGE_INTEGRITY,
                AttributeType::MESSAGE_INTEGRITY_SHA256,
                AttributeType::FINGERPRINT,
            ]
            .contains(kind)
        });
    (kind, vec(any::<u8>(), 0..40))
}
