//! The lab itself: each router is what its name says, and nothing stays behind.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::nat_lab::{Nat, NatLab, Place, SECOND_IP, SERVER_IP, Side, namespaces};
use crate::support::tools::run;
use crate::support::{PATIENCE, SILENCE, wait_until};

#[test]
fn a_port_restricted_router_has_one_mapping_for_all_destinations() {
    let lab = NatLab::build(Nat::PortRestricted, Nat::PortRestricted);
    let [first, second, third] = observers(&lab);
    for side in Side::BOTH {
        let client = client_socket(&lab, side);
        let mapped = mapped_address(&client, &first).expect("UDP passes");
        assert_eq!(mapped.ip(), side.public_ip());
        for other in [&second, &third] {
            assert_eq!(mapped_address(&client, other), Some(mapped), "{side:?}");
        }
    }
}

#[test]
fn a_symmetric_router_has_another_mapping_for_each_destination() {
    let lab = NatLab::build(Nat::Symmetric, Nat::Symmetric);
    let [first, second, third] = observers(&lab);
    for side in Side::BOTH {
        let client = client_socket(&lab, side);
        let own_port = client.local_addr().expect("bound").port();
        let mapped: Vec<SocketAddr> = [&first, &second, &third]
            .map(|observer| mapped_address(&client, observer).expect("UDP passes"))
            .to_vec();
        assert!(
            mapped
                .iter()
                .all(|address| address.ip() == side.public_ip())
        );
        let mut ports: Vec<u16> = mapped.iter().map(SocketAddr::port).collect();
        ports.push(own_port);
        ports.sort_unstable();
        ports.dedup();
        // By chance two of the four are the same once in 10,000 runs; then one pair is equal, and
        // not all.
        assert!(ports.len() >= 3, "{own_port} became {mapped:?}");
    }
}

#[test]
fn only_those_that_were_sent_to_may_answer() {
    for nat in [Nat::PortRestricted, Nat::Symmetric] {
        let lab = NatLab::build(nat, nat);
        let [known, same_address, same_port] = observers(&lab);
        let client = client_socket(&lab, Side::Left);
        let mapped = mapped_address(&client, &known).expect("UDP passes");
        for stranger in [&same_address, &same_port] {
            stranger
                .send_to(b"stranger", mapped)
                .expect("the internet is up");
        }
        known.send_to(b"known", mapped).expect("the internet is up");
        // Whatever the router let through arrives in this order.
        assert_eq!(receive(&client).as_deref(), Some("known"), "{nat:?}");
    }
}

#[test]
fn a_router_that_blocks_udp_lets_tcp_through() {
    let lab = NatLab::build(Nat::UdpBlocked, Nat::Symmetric);
    let [observer, ..] = observers(&lab);
    let client = client_socket(&lab, Side::Left);
    client.set_read_timeout(Some(SILENCE)).expect("not zero");
    assert_eq!(mapped_address(&client, &observer), None);

    let listener = lab.inside(Place::Internet, || TcpListener::bind((SERVER_IP, 0)));
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let connected = lab.inside(Place::Client(Side::Left), || {
        TcpStream::connect_timeout(&address, PATIENCE)
    });
    connected.expect("TCP passes");
    let (_, from) = listener.accept().expect("connected above");
    assert_eq!(from.ip(), Side::Left.public_ip());
}

#[test]
fn hole_punching_works_between_port_restricted_routers_only() {
    for left in Nat::ALL {
        for right in Nat::ALL {
            let lab = NatLab::build(left, right);
            let expected = left == Nat::PortRestricted && right == Nat::PortRestricted;
            assert_eq!(punches_a_hole(&lab), expected, "{left:?} and {right:?}");
        }
    }
}

#[test]
fn private_addresses_do_not_reach_each_other() {
    let lab = NatLab::build(Nat::PortRestricted, Nat::PortRestricted);
    let [left, right] = Side::BOTH.map(|side| client_socket(&lab, side));
    let port = right.local_addr().expect("bound").port();
    right.set_read_timeout(Some(SILENCE)).expect("not zero");
    // A refusal by the internet, which has no route, may arrive as an error.
    let _ = left.send_to(b"hello", (Side::Right.private_ip(), port));
    assert_eq!(receive(&right), None);
}

#[test]
fn nothing_is_left_behind() {
    let dead = dead_namespace();
    let lab = NatLab::build(Nat::Symmetric, Nat::UdpBlocked);
    assert_eq!(namespaces(&dead), Vec::<String>::new(), "not swept");

    let prefix = lab.prefix().to_owned();
    assert_eq!(namespaces(&prefix).len(), 5);
    let mut forgotten = lab
        .command(Place::Client(Side::Left), "/bin/sleep")
        .arg("1000")
        .stdin(Stdio::null())
        .spawn()
        .expect("sleep starts");
    let name = lab.name(Place::Client(Side::Left));
    wait_until("sleep is inside", || {
        let mut command = Command::new("ip");
        command.args(["netns", "pids", &name]);
        run(&mut command, PATIENCE)
            .output
            .contains(&forgotten.id().to_string())
    });
    drop(lab);
    assert_eq!(namespaces(&prefix), Vec::<String>::new());
    wait_until("sleep has ended", || {
        forgotten.try_wait().expect("ours").is_some()
    });
}

/// Makes a namespace as a killed test leaves it, and returns its name.
fn dead_namespace() -> String {
    let mut child = Command::new("true").spawn().expect("true starts");
    child.wait().expect("true ends");
    assert!(!Path::new("/proc").join(child.id().to_string()).exists());
    let name = format!("turnstone-nat-{}-0-internet", child.id());
    let mut command = Command::new("ip");
    command.args(["netns", "add", &name]);
    run(&mut command, PATIENCE).assert_success("ip netns add");
    name
}

/// Sockets on the internet: one, another port of the same address, another address.
fn observers(lab: &NatLab) -> [UdpSocket; 3] {
    [SERVER_IP, SERVER_IP, SECOND_IP].map(|ip| socket_in(lab, Place::Internet, ip))
}

fn client_socket(lab: &NatLab, side: Side) -> UdpSocket {
    socket_in(lab, Place::Client(side), side.private_ip())
}

fn socket_in(lab: &NatLab, place: Place, ip: IpAddr) -> UdpSocket {
    let socket = lab.inside(place, || UdpSocket::bind((ip, 0)).expect("a free port"));
    socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
    socket
}

/// The address of `client` as `observer` sees it, and `None` when nothing comes through.
fn mapped_address(client: &UdpSocket, observer: &UdpSocket) -> Option<SocketAddr> {
    let limit = client.read_timeout().expect("readable");
    observer.set_read_timeout(limit).expect("not zero");
    let to = observer.local_addr().expect("bound");
    client
        .send_to(b"who am I", to)
        .expect("the router is there");
    Some(observer.recv_from(&mut [0; 64]).ok()?.1)
}

/// Whether the two clients reach each other directly after each learned the mapped address of
/// the other from an observer, as ICE does.
fn punches_a_hole(lab: &NatLab) -> bool {
    let [observer, ..] = observers(lab);
    let clients = Side::BOTH.map(|side| client_socket(lab, side));
    let mapped = clients.each_ref().map(|client| {
        client.set_read_timeout(Some(SILENCE)).expect("not zero");
        mapped_address(client, &observer)
    });
    let [Some(left), Some(right)] = mapped else {
        return false;
    };
    // The first datagram of each side opens its own router, the second passes the other one.
    for _ in 0..2 {
        for (client, other) in [(&clients[0], right), (&clients[1], left)] {
            client
                .send_to(b"hello", other)
                .expect("the router is there");
        }
    }
    clients.iter().all(|client| receive(client).is_some())
}

/// The next datagram within the socket's timeout.
fn receive(socket: &UdpSocket) -> Option<String> {
    let mut buffer = [0; 64];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => return Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
            // An ICMP error of an earlier send.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(_) => return None,
        }
    }
}
