//! Two people behind NAT who have nothing but the address of a room: page, certificate, signaling,
//! credentials and relay come from the one server.

use crate::support::browser::{Browser, PersonReport, meet, node};
use crate::support::nat_lab::{Nat, NatLab, Place, SERVER_IP, Side};
use crate::{TLS_PORT, start_server};

#[test]
fn a_room_connects_symmetric_with_symmetric() {
    let people = meet_behind(Nat::Symmetric, Nat::Symmetric);
    assert!(
        people.iter().all(PersonReport::uses_the_relay),
        "{people:?}"
    );
}

#[test]
fn a_room_connects_udp_blocked_with_port_restricted() {
    let people = meet_behind(Nat::UdpBlocked, Nat::PortRestricted);
    assert!(
        people.iter().all(PersonReport::uses_the_relay),
        "{people:?}"
    );
}

#[track_caller]
fn meet_behind(left: Nat, right: Nat) -> [PersonReport; 2] {
    let lab = NatLab::build(left, right);
    let _server = start_server(&lab);
    let url = format!("https://{SERVER_IP}:{TLS_PORT}/r/interview");
    let [mut left, mut right] = Side::BOTH.map(|side| lab.command(Place::Client(side), node()));
    let people = meet(
        [
            (&mut left, Browser::Chromium),
            (&mut right, Browser::Chromium),
        ],
        &url,
    );
    people.iter().for_each(PersonReport::assert_media_arrived);
    people
}
