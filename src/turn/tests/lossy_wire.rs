//! A client that retransmits over a wire that loses, repeats and reorders.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::stun::{AttributeType, Class, Message, Method};
use crate::turn::tests::sim::*;

/// RFC 8489 section 6.2.1: the first timeout and its doubling.
const RTO: Duration = Duration::from_millis(500);

struct Wire {
    rng: StdRng,
    loss: f64,
    /// Datagrams to the server by their time of arrival, in ms.
    to_server: BTreeMap<(u64, u64), Vec<u8>>,
    to_client: BTreeMap<(u64, u64), Vec<u8>>,
    sequence: u64,
    clock: u64,
}

impl Wire {
    fn send(&mut self, is_to_server: bool, datagram: &[u8]) {
        let copies = if self.rng.random_bool(0.1) { 2 } else { 1 };
        for _ in 0..copies {
            if self.rng.random_bool(self.loss) {
                continue;
            }
            self.sequence += 1;
            let at = (self.clock + self.rng.random_range(5..120), self.sequence);
            let queue = if is_to_server {
                &mut self.to_server
            } else {
                &mut self.to_client
            };
            queue.insert(at, datagram.to_vec());
        }
    }

    /// Sends a request again and again until its answer comes.
    fn transact(&mut self, sim: &mut Sim, client: &Client, request: &[u8]) -> Vec<u8> {
        let mut next = self.clock;
        let mut wait = RTO;
        for _ in 0..120_000 {
            if self.clock >= next {
                self.send(true, request);
                next = self.clock + u64::try_from(wait.as_millis()).unwrap();
                wait = (wait * 2).min(RTO * 16);
            }
            self.clock += 1;
            sim.pass(Duration::from_millis(1));
            while let Some(entry) = self
                .to_server
                .first_entry()
                .filter(|e| e.key().0 <= self.clock)
            {
                sim.deliver(client.path, &entry.remove());
                for (_, message) in std::mem::take(&mut sim.sent) {
                    self.send(false, &message);
                }
            }
            while let Some(entry) = self
                .to_client
                .first_entry()
                .filter(|e| e.key().0 <= self.clock)
            {
                let bytes = entry.remove();
                if bytes[4..20] == request[4..20] {
                    return bytes;
                }
            }
        }
        panic!("no answer in two minutes");
    }
}

#[test]
fn an_allocation_is_made_and_ended_whatever_the_wire_does() {
    for seed in 0..40 {
        let mut sim = Sim::new();
        let client = sim.client("192.0.2.1:4000", ALICE);
        let mut wire = Wire {
            rng: StdRng::seed_from_u64(seed),
            loss: 0.3,
            to_server: BTreeMap::new(),
            to_client: BTreeMap::new(),
            sequence: 0,
            clock: 0,
        };
        let allocate = sim.build(&client, Method::ALLOCATE, udp_transport);
        let answer = wire.transact(&mut sim, &client, &allocate);
        let relayed = address(&answer, AttributeType::XOR_RELAYED_ADDRESS);
        assert_eq!(sim.bound.len(), 1, "seed {seed}");

        let permit = sim.build(&client, Method::CREATE_PERMISSION, |b| {
            b.xor_address(AttributeType::XOR_PEER_ADDRESS, PEER);
        });
        expect_success(&wire.transact(&mut sim, &client, &permit), seed);
        let back = sim.deliver_from_peer(relayed, PEER, b"hi");
        assert!(
            matches!(back, Outcome::ToClient(..)),
            "seed {seed}: {back:?}"
        );

        let release = sim.build(&client, Method::REFRESH, |b| {
            b.u32(AttributeType::LIFETIME, 0);
        });
        let answer = wire.transact(&mut sim, &client, &release);
        // A lost answer and a repeated request end in 437, which says the same.
        let code = Message::parse(&answer)
            .unwrap()
            .error_code()
            .map(|(code, _)| code);
        assert!(matches!(code, None | Some(437)), "seed {seed}: {code:?}");
        assert_eq!(sim.bound.len(), 0, "seed {seed}");
    }
}

fn expect_success(answer: &[u8], seed: u64) {
    assert_eq!(
        Message::parse(answer).unwrap().class(),
        Class::SuccessResponse,
        "seed {seed}"
    );
}

fn address(answer: &[u8], attribute: AttributeType) -> SocketAddr {
    Message::parse(answer)
        .unwrap()
        .xor_address(attribute)
        .unwrap()
}
