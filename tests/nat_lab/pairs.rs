//! All nine ordered pairs of routers: 200 datagrams each way, relay to relay.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::support::client::Client;
use crate::support::config::Account;
use crate::support::credentials::Scheme;
use crate::support::nat_lab::{Nat, NatLab, Place, SERVER_IP, Side};
use crate::support::session::{Relayed, Session};
use crate::support::{PATIENCE, Transport};
use crate::{PORT, TLS_PORT, start_server};

const DATAGRAMS: u32 = 200;
const CHANNEL: u16 = 0x4000;

#[test]
fn port_restricted_with_port_restricted() {
    relay_connects(Nat::PortRestricted, Nat::PortRestricted);
}

#[test]
fn port_restricted_with_symmetric() {
    relay_connects(Nat::PortRestricted, Nat::Symmetric);
}

#[test]
fn port_restricted_with_udp_blocked() {
    relay_connects(Nat::PortRestricted, Nat::UdpBlocked);
}

#[test]
fn symmetric_with_port_restricted() {
    relay_connects(Nat::Symmetric, Nat::PortRestricted);
}

#[test]
fn symmetric_with_symmetric() {
    relay_connects(Nat::Symmetric, Nat::Symmetric);
}

#[test]
fn symmetric_with_udp_blocked() {
    relay_connects(Nat::Symmetric, Nat::UdpBlocked);
}

#[test]
fn udp_blocked_with_port_restricted() {
    relay_connects(Nat::UdpBlocked, Nat::PortRestricted);
}

#[test]
fn udp_blocked_with_symmetric() {
    relay_connects(Nat::UdpBlocked, Nat::Symmetric);
}

#[test]
fn udp_blocked_with_udp_blocked() {
    relay_connects(Nat::UdpBlocked, Nat::UdpBlocked);
}

#[track_caller]
fn relay_connects(left: Nat, right: Nat) {
    let lab = NatLab::build(left, right);
    let server = start_server(&lab);
    let (to_right, from_left) = channel();
    let (to_left, from_right) = channel();
    let left_end = End {
        side: Side::Left,
        account: server.alice(),
        transport: transport_through(left, Transport::Tcp),
        other: Rendezvous(to_right, from_right),
    };
    let right_end = End {
        side: Side::Right,
        account: server.alice(),
        transport: transport_through(right, Transport::Tls),
        other: Rendezvous(to_left, from_left),
    };
    std::thread::scope(|scope| {
        for end in [left_end, right_end] {
            let lab = &lab;
            scope.spawn(move || lab.inside(Place::Client(end.side), || end.talk()));
        }
    });
}

/// UDP where it passes, `instead` where it does not.
fn transport_through(nat: Nat, instead: Transport) -> Transport {
    match nat {
        Nat::PortRestricted | Nat::Symmetric => Transport::Udp,
        Nat::UdpBlocked => instead,
    }
}

/// One of the two clients.
struct End {
    side: Side,
    account: Account,
    transport: Transport,
    other: Rendezvous<SocketAddr>,
}

impl End {
    fn connect(&self) -> Client {
        let server = |port| SocketAddr::new(SERVER_IP, port);
        match self.transport {
            Transport::Udp => Client::udp_from((self.side.private_ip(), 0).into(), server(PORT)),
            Transport::Tcp => Client::connect_to(Transport::Tcp, server(PORT)),
            Transport::Tls => Client::connect_to(Transport::Tls, server(TLS_PORT)),
        }
    }

    /// Allocates, lets the other end's relay in, and exchanges datagrams with it: half of them
    /// in indications, half on a channel.
    fn talk(self) {
        let mut session = Session::start(self.connect(), self.account.clone(), Scheme::Sha1);
        let relayed = session.allocate();
        assert_eq!(relayed.ip(), SERVER_IP);
        let peer = self.other.exchange(relayed);
        session.permit(&[peer]);
        // Nobody sends before both have their permission.
        self.other.exchange(relayed);

        for number in 0..DATAGRAMS {
            let on_channel = number >= DATAGRAMS / 2;
            if number == DATAGRAMS / 2 {
                session.bind(CHANNEL, peer);
                self.other.exchange(relayed);
            }
            let message = |side: Side| format!("{number} from {side:?}").into_bytes();
            let (mine, theirs) = match self.side {
                Side::Left => (message(Side::Left), message(Side::Right)),
                Side::Right => (message(Side::Right), message(Side::Left)),
            };
            let wanted = if on_channel {
                Relayed::Channel {
                    number: CHANNEL,
                    data: theirs,
                }
            } else {
                Relayed::Data { peer, data: theirs }
            };
            // In turns, so that no queue can overflow.
            if self.side == Side::Right {
                assert_eq!(session.receive(), wanted);
            }
            if on_channel {
                session.send_channel(CHANNEL, &mine);
            } else {
                session.send(peer, &mine);
            }
            if self.side == Side::Left {
                assert_eq!(session.receive(), wanted);
            }
        }
    }
}

/// What the two ends would use signaling for.
struct Rendezvous<T>(Sender<T>, Receiver<T>);

impl<T> Rendezvous<T> {
    /// Gives `mine` to the other end and returns what it gave, once both are here.
    #[track_caller]
    fn exchange(&self, mine: T) -> T {
        // If the other end has failed, receiving fails too.
        let _ = self.0.send(mine);
        self.1
            .recv_timeout(2 * PATIENCE)
            .expect("the other end gets here")
    }
}
