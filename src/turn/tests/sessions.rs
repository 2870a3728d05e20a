//! Allocations of sessions of signaling, which end with them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::auth::{self, Directory, SessionAccess, Sessions};
use crate::stun::{AttributeType, Method};
use crate::turn::tests::sim::*;
use crate::turn::*;

const ONE: &str = "1800003600:session-1";
const TWO: &str = "1800003600:session-2";

#[test]
fn the_end_of_a_session_closes_all_its_allocations_and_no_other() {
    let (mut sim, sessions) = sim_with_sessions(QuotaLimits::default());
    let (udp, _) = sim.allocated("192.0.2.1:1", ONE);
    let tcp = sim.client_over("192.0.2.1:2", ONE, Transport::Tcp);
    sim.request(&tcp, Method::ALLOCATE, udp_transport)
        .expect_success();
    let (other, other_relayed) = sim.allocated("192.0.2.1:3", TWO);
    assert_eq!(sim.bound.len(), 3);

    sessions.end("session-1");
    sim.server.end_user(sim.now, "session-1");
    sim.carry_out();

    let left: Vec<_> = sim.bound.values().map(|(address, _)| *address).collect();
    assert_eq!(left, [other_relayed]);
    assert_eq!(sim.server.allocations(), 1);
    assert!(!sim.server.has_allocation(&udp.path.five_tuple));
    assert!(!sim.server.has_allocation(&tcp.path.five_tuple));
    assert!(sim.sent.is_empty(), "the clients are told nothing");
    sim.request(&other, Method::REFRESH, |_| {})
        .expect_success();
    assert_eq!(sim.server.counters().allocations_ended, 2);
}

#[test]
fn an_ended_session_gives_back_its_quota_and_its_ports() {
    let limits = QuotaLimits {
        per_user: 1,
        per_address: 1,
        total: 1,
        ..QuotaLimits::default()
    };
    let (mut sim, sessions) = sim_with_sessions(limits);
    for round in 0..200 {
        // More rounds than there are relay ports.
        sim.allocated("192.0.2.1:1", ONE);
        sessions.end("session-1");
        sim.server.end_user(sim.now, "session-1");
        sim.carry_out();
        assert!(sim.bound.is_empty(), "round {round}");
        sessions.begin("session-1");
    }
    assert!(sim.server.by_session.is_empty());
    assert_eq!(sim.server.poll_timeout(), None, "no timer is left");
}

#[test]
fn credentials_of_an_ended_session_are_refused() {
    let (mut sim, sessions) = sim_with_sessions(QuotaLimits::default());
    let (client, _) = sim.allocated("192.0.2.1:1", ONE);
    sessions.end("session-1");

    let refresh = sim.request(&client, Method::REFRESH, |_| {});
    assert_eq!(refresh.code(), Some(401));
    let again = sim.client("192.0.2.1:2", ONE);
    let allocate = sim.request(&again, Method::ALLOCATE, udp_transport);
    assert_eq!(allocate.code(), Some(401));
}

#[test]
fn an_allocation_that_ends_by_itself_is_forgotten_for_its_session() {
    let (mut sim, _sessions) = sim_with_sessions(QuotaLimits::default());
    let (client, _) = sim.allocated("192.0.2.1:1", ONE);
    sim.allocated("192.0.2.1:2", ONE);
    sim.request(&client, Method::REFRESH, |b| {
        b.u32(AttributeType::LIFETIME, 0);
    })
    .expect_success();
    // A new allocation takes the place of the old one in the table.
    let (other, _) = sim.allocated("192.0.2.1:3", TWO);

    sim.server.end_user(sim.now, "session-1");
    sim.carry_out();

    assert_eq!(sim.server.allocations(), 1);
    assert!(sim.server.has_allocation(&other.path.five_tuple));
    sim.pass(Duration::from_secs(600));
    assert!(sim.server.by_session.is_empty());
}

#[test]
fn a_user_of_the_file_with_the_name_of_a_session_is_another_one() {
    let (mut sim, _sessions) = sim_with_sessions(QuotaLimits::default());
    let (alice, _) = sim.allocated("192.0.2.1:1", ALICE);

    sim.server.end_user(sim.now, ALICE);
    sim.server.end_user(sim.now, "nobody");
    sim.carry_out();

    assert!(sim.server.has_allocation(&alice.path.five_tuple));
}

#[test]
fn a_reload_keeps_allocations_of_sessions_that_live() {
    let (mut sim, sessions) = sim_with_sessions(QuotaLimits::default());
    let (one, _) = sim.allocated("192.0.2.1:1", ONE);
    let (two, _) = sim.allocated("192.0.2.1:2", TWO);
    sessions.end("session-2");

    let reloaded = directory_with(&sessions);
    sim.server.reconfigure(sim.now, options(), reloaded);
    sim.carry_out();

    assert!(sim.server.has_allocation(&one.path.five_tuple));
    assert!(!sim.server.has_allocation(&two.path.five_tuple));
    sim.server
        .reconfigure(sim.now, options(), directory(&[ALICE]));
    assert_eq!(sim.server.allocations(), 0, "without sessions none lives");
}

/// The sessions that live.
struct Live(Mutex<BTreeSet<&'static str>>);

impl Live {
    fn begin(&self, session: &'static str) {
        self.0.lock().unwrap().insert(session);
    }

    fn end(&self, session: &'static str) {
        self.0.lock().unwrap().remove(session);
    }
}

impl Sessions for Live {
    fn is_live(&self, session: &str) -> bool {
        self.0.lock().unwrap().contains(session)
    }
}

/// A server where two sessions live.
fn sim_with_sessions(limits: QuotaLimits) -> (Sim, Arc<Live>) {
    let mut sim = Sim::with(options(), limits);
    let live = BTreeSet::from(["session-1", "session-2"]);
    let sessions = Arc::new(Live(Mutex::new(live)));
    sim.server
        .reconfigure(sim.now, options(), directory_with(&sessions));
    (sim, sessions)
}

fn directory_with(sessions: &Arc<Live>) -> Arc<Directory> {
    let password = format!("password of {ALICE}");
    Arc::new(Directory::new(auth::Options {
        realm: REALM.to_owned(),
        users: vec![auth::User {
            name: ALICE.to_owned(),
            credential: auth::Credential::Password(password.as_str().into()),
        }],
        rest_secrets: vec![],
        sessions: Some(SessionAccess {
            secret: SESSION_SECRET.into(),
            sessions: Arc::<Live>::clone(sessions),
        }),
    }))
}
