//! Chromium behind each router. All kinds of candidates are allowed: the relay is taken because
//! nothing else connects.

use crate::support::browser::{EndReport, connect_processes, node, rtc_configuration};
use crate::support::nat_lab::{Nat, NatLab, Place, SERVER_IP, Side};
use crate::{PORT, TLS_PORT, start_server};

#[test]
fn chromium_symmetric_with_symmetric() {
    let ends = connect(Nat::Symmetric, Nat::Symmetric);
    // Over which protocol depends on which pair answers first.
    assert!(ends.iter().all(uses_the_relay), "{ends:?}");
}

#[test]
fn chromium_udp_blocked_with_symmetric() {
    let ends = connect(Nat::UdpBlocked, Nat::Symmetric);
    assert!(ends.iter().all(uses_the_relay), "{ends:?}");
    let [blocked, _] = &ends;
    assert_eq!(blocked.local_type, "relay", "{ends:?}");
    assert!(
        ["tcp", "tls"].contains(&blocked.relay_protocol.as_str()),
        "{ends:?}"
    );
}

#[track_caller]
fn connect(left: Nat, right: Nat) -> [EndReport; 2] {
    let lab = NatLab::build(left, right);
    let server = start_server(&lab);
    let urls = [
        format!("turn:{SERVER_IP}:{PORT}?transport=udp"),
        format!("turn:{SERVER_IP}:{PORT}?transport=tcp"),
        format!("turns:{SERVER_IP}:{TLS_PORT}?transport=tcp"),
    ];
    let rtc = rtc_configuration("all", &urls, &server.alice());
    let [mut left, mut right] = Side::BOTH.map(|side| lab.command(Place::Client(side), node()));
    let ends = connect_processes([&mut left, &mut right], &rtc);
    ends.iter().for_each(EndReport::assert_media_arrived);
    ends
}

/// A client may also send straight to the relayed address of the other.
fn uses_the_relay(end: &EndReport) -> bool {
    end.local_type == "relay" || end.remote_type == "relay"
}
