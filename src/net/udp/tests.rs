//! Endpoints on loopback, and in a namespace of their own where the link matters.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll};
use nix::sys::socket::GetSockOpt;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use socket2::{Protocol, SockRef};

use super::*;
use crate::net::bind::{relay_udp, udp_front};

const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

#[test]
fn a_train_leaves_in_one_send_and_arrives_in_one_message() {
    for local in LOOPBACKS {
        let (from, to) = (relay(local), relay(local));
        let mut send = SendBatch::new();
        for number in 0..20 {
            send.push(&from, to.local_address(), None, &[number], &[7; 199], 0);
        }
        send.flush();
        assert_eq!((send.counters().sends, send.counters().datagrams), (1, 20));

        let mut recv = RecvBatch::new();
        wait_readable(&to);
        assert_eq!(to.recv(&mut recv).unwrap(), 1);
        let numbers: Vec<_> = recv.datagrams().map(|d| d.bytes[0]).collect();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
        for datagram in recv.datagrams() {
            assert_eq!(datagram.bytes.len(), 200);
            assert_eq!(datagram.source, from.local_address());
            assert_eq!(datagram.local_ip, None);
        }
        assert_eq!(recv.counters().messages, 1);
    }
}

#[test]
fn a_train_reaches_a_plain_socket_as_single_datagrams() {
    for local in LOOPBACKS {
        let from = relay(local);
        let to = plain(local);
        let mut send = SendBatch::new();
        for number in 0..5 {
            let payload = vec![number; if number == 4 { 10 } else { 300 }];
            let header = [0x40, 0, 0, number];
            send.push(&from, to.local_addr().unwrap(), None, &header, &payload, 2);
        }
        send.flush();
        assert_eq!((send.counters().sends, send.counters().datagrams), (1, 5));
        for number in 0..5 {
            let mut expected = vec![0x40, 0, 0, number];
            expected.extend(vec![number; if number == 4 { 10 } else { 300 }]);
            expected.extend([0, 0]);
            assert_eq!(receive(&to), expected);
        }
    }
}

#[test]
fn only_a_shorter_datagram_ends_a_train_and_nothing_is_reordered() {
    let from = relay("127.0.0.1:0");
    let (one, two) = (plain("127.0.0.1:0"), plain("127.0.0.1:0"));
    let mut send = SendBatch::new();
    // Two trains to the first, because the longer one does not fit behind the
    // shorter one, and two trains more because the second comes in between.
    let sizes = [(&one, 50), (&one, 50), (&one, 20), (&one, 50), (&two, 50)];
    for (number, (to, size)) in (0..).zip(sizes) {
        let payload = vec![number; size];
        send.push(&from, to.local_addr().unwrap(), None, &[], &payload, 0);
    }
    send.push(&from, one.local_addr().unwrap(), None, &[], &[9; 50], 0);
    send.flush();
    assert_eq!((send.counters().sends, send.counters().datagrams), (4, 6));
    for (number, size) in [(0, 50), (1, 50), (2, 20), (3, 50), (9, 50)] {
        assert_eq!(receive(&one), vec![number; size]);
    }
    assert_eq!(receive(&two), vec![4; 50]);
}

#[test]
fn trains_of_different_sockets_do_not_mix() {
    let (one, two) = (relay("127.0.0.1:0"), relay("127.0.0.1:0"));
    let to = plain("127.0.0.1:0");
    let mut send = SendBatch::new();
    for from in [&one, &two, &one] {
        send.push(from, to.local_addr().unwrap(), None, &[], b"same size", 0);
    }
    send.flush();
    let sources: Vec<_> = (0..3)
        .map(|_| to.recv_from(&mut [0; 64]).unwrap().1)
        .collect();
    let (one, two) = (one.local_address(), two.local_address());
    assert_eq!(sources, [one, two, one]);
}

#[test]
fn long_trains_are_cut_to_what_the_kernel_takes() {
    let from = relay("127.0.0.1:0");
    let to = relay("127.0.0.1:0");
    let mut send = SendBatch::new();
    for size in [100, 1400] {
        for _ in 0..150 {
            let payload = vec![1; size];
            send.push(&from, to.local_address(), None, &[], &payload, 0);
        }
    }
    send.flush();
    let counters = send.counters();
    // 64 segments at most: 3 sends; 65,000 / 1,400 = 46 at most: 4 sends.
    assert_eq!((counters.sends, counters.datagrams), (7, 300));
    assert_eq!((counters.refused, counters.split_trains), (0, 0));
}

#[test]
fn answers_leave_from_the_address_that_was_asked() {
    for front in ["[::]:0", "0.0.0.0:0"] {
        let front = front_endpoint(front);
        let client = plain("127.0.0.1:0");
        // All of 127.0.0.0/8 is this host, and none but 127.0.0.1 is its first
        // choice of source address.
        let asked = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 77), port(&front)));
        assert_answer_comes_from(&front, &client, asked);
    }
    let front = front_endpoint("[::]:0");
    let asked = SocketAddr::from((Ipv6Addr::LOCALHOST, port(&front)));
    assert_answer_comes_from(&front, &plain("[::1]:0"), asked);
}

#[test]
fn sockets_have_the_options_of_a_relay_and_none_of_quic() {
    let endpoints = [
        (front_endpoint("[::]:0"), true),
        (front_endpoint("127.0.0.1:0"), true),
        (relay("127.0.0.1:0"), false),
        (relay("[::1]:0"), false),
    ];
    for (endpoint, is_front) in endpoints {
        assert!(sockopt::fragments_allowed_v4(&endpoint).unwrap());
        assert!(!ReceiveTimestampns.get(&endpoint).unwrap());
        assert!(UdpGroSegment.get(&endpoint).unwrap());
        assert_eq!(icmp::errors_enabled(&endpoint).unwrap(), !is_front);
        assert!(!SockRef::from(&endpoint).recv_tos_v4().unwrap());
        if endpoint.local_address().is_ipv6() {
            assert!(sockopt::fragments_allowed_v6(&endpoint).unwrap());
            assert!(!SockRef::from(&endpoint).recv_tclass_v6().unwrap());
            assert_eq!(Ipv6RecvPacketInfo.get(&endpoint).unwrap(), is_front);
        } else {
            assert_eq!(Ipv4PacketInfo.get(&endpoint).unwrap(), is_front);
        }
    }
}

#[test]
fn reading_widens_while_there_is_more_and_narrows_again() {
    let to = relay("127.0.0.1:0");
    // Different senders, so that GRO cannot join them.
    let senders: Vec<_> = (0..40).map(|_| plain("127.0.0.1:0")).collect();
    for sender in &senders {
        sender.send_to(b"x", to.local_address()).unwrap();
    }
    wait_readable(&to);
    let mut recv = RecvBatch::new();
    let mut counts = Vec::new();
    while !recv.is_drained() {
        counts.push(to.recv(&mut recv).unwrap());
    }
    assert_eq!(counts, [1, 4, 16, 16, 3]);
    let error = to.recv(&mut recv).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert_eq!(recv.datagrams().count(), 0);

    for sender in &senders[..2] {
        sender.send_to(b"x", to.local_address()).unwrap();
    }
    assert_eq!(to.recv(&mut recv).unwrap(), 1);
    assert!(!recv.is_drained());
}

#[test]
fn an_empty_datagram_is_a_datagram() {
    let (from, to) = (relay("127.0.0.1:0"), relay("127.0.0.1:0"));
    let mut send = SendBatch::new();
    for _ in 0..2 {
        send.push(&from, to.local_address(), None, &[], &[], 0);
    }
    send.flush();
    assert_eq!(send.counters().datagrams, 2);
    let mut recv = RecvBatch::new();
    wait_readable(&to);
    for _ in 0..2 {
        assert_eq!(to.recv(&mut recv).unwrap(), 1);
        assert_eq!(recv.datagrams().map(|d| d.bytes.len()).sum::<usize>(), 0);
        assert_eq!(recv.datagrams().count(), 1);
    }
}

#[test]
fn the_largest_datagram_passes_and_a_larger_one_is_refused() {
    let (from, to) = (relay("127.0.0.1:0"), relay("127.0.0.1:0"));
    let mut send = SendBatch::new();
    let payload = vec![5; MAX_DATAGRAM];
    send.push(&from, to.local_address(), None, &[], &payload, 0);
    send.push(&from, to.local_address(), None, &[0], &payload, 0);
    send.flush();
    assert_eq!((send.counters().datagrams, send.counters().refused), (1, 1));
    let mut recv = RecvBatch::new();
    wait_readable(&to);
    assert_eq!(to.recv(&mut recv).unwrap(), 1);
    assert!(recv.datagrams().all(|d| d.bytes == payload));
}

#[test]
fn what_the_kernel_refuses_for_one_peer_harms_no_other() {
    let from = front_endpoint("0.0.0.0:0");
    let to = plain("127.0.0.1:0");
    let peer = to.local_addr().unwrap();
    let mut send = SendBatch::new();
    // No datagram can come from a group address: the kernel says EINVAL.
    let group = Some(IpAddr::from([224, 0, 0, 1]));
    for _ in 0..3 {
        send.push(&from, peer, group, &[], &[1; 100], 0);
    }
    send.push(
        &from,
        SocketAddr::new(peer.ip(), 0),
        None,
        &[],
        &[1; 100],
        0,
    );
    send.flush();
    let before = send.counters();
    assert_eq!((before.sends, before.refused), (0, 4));
    assert_eq!(before.split_trains, 1);

    for number in 0..3 {
        send.push(&from, peer, None, &[], &[number; 100], 0);
    }
    send.flush();
    assert_eq!(send.counters().sends, 1);
    for number in 0..3 {
        assert_eq!(receive(&to), [number; 100]);
    }
}

#[test]
fn an_icmp_error_neither_hides_a_datagram_nor_costs_one() {
    for local in LOOPBACKS {
        let (ours, peer) = (relay(local), relay(local));
        let gone = relay_udp(local.parse().unwrap()).unwrap();
        let closed = gone.local_addr().unwrap();
        drop(gone);
        let (mut send, mut recv) = (SendBatch::new(), RecvBatch::new());

        send.push(&ours, closed, None, &[], b"lost", 0);
        send.push(&peer, ours.local_address(), None, &[], b"found", 0);
        send.flush();
        wait_readable(&ours);
        assert_eq!(ours.recv(&mut recv).unwrap(), 1);
        assert!(recv.datagrams().all(|d| d.bytes == b"found"));
        assert_eq!(recv.counters().pending_errors, 1);

        send.push(&ours, closed, None, &[], b"lost", 0);
        send.push(&ours, peer.local_address(), None, &[], b"answer", 0);
        send.flush();
        wait_readable(&peer);
        assert_eq!(peer.recv(&mut recv).unwrap(), 1);
        assert!(recv.datagrams().all(|d| d.bytes == b"answer"));
        assert_eq!(send.counters().pending_errors, 1);
        assert_eq!(send.counters().refused, 0);

        for _ in 0..2 {
            assert_eq!(ours.read_error().unwrap().peer, closed);
        }
        assert_eq!(ours.read_error(), None);
    }
}

#[test]
fn dont_fragment_holds_for_one_datagram() {
    for local in LOOPBACKS {
        let (from, to) = (relay(local), plain(local));
        let mut send = SendBatch::new();
        send.push(&from, to.local_addr().unwrap(), None, &[], b"first", 0);
        send.send_whole(&from, to.local_addr().unwrap(), None, b"whole");
        assert_eq!(receive(&to), b"first");
        assert_eq!(receive(&to), b"whole");
        assert!(sockopt::fragments_allowed_v4(&from).unwrap());
        from.set_dont_fragment(true).unwrap();
        assert!(!sockopt::fragments_allowed_v4(&from).unwrap());
        if from.local_address().is_ipv6() {
            assert!(!sockopt::fragments_allowed_v6(&from).unwrap());
        }
    }
}

#[test]
fn a_datagram_larger_than_the_link_is_split_and_a_train_of_them_too() {
    let test = "net::udp::tests::a_datagram_larger_than_the_link_is_split_and_a_train_of_them_too";
    if !is_inside_namespace(test, "ip link set lo up mtu 1400") {
        return;
    }
    for local in LOOPBACKS {
        let (from, to) = (relay(local), plain(local));
        let peer = to.local_addr().unwrap();
        let mut send = SendBatch::new();
        send.push(&from, peer, None, &[], &[1; 4000], 0);
        send.send_whole(&from, peer, None, &[2; 4000]);
        assert_eq!((send.counters().datagrams, send.counters().refused), (1, 1));
        assert_eq!(receive(&to), [1; 4000]);

        // Larger than the link: not as a train, but still all of them, and the
        // next such train does not try again.
        for _ in 0..2 {
            for number in 0..3 {
                send.push(&from, peer, None, &[], &[number; 1500], 0);
            }
            send.flush();
            for number in 0..3 {
                assert_eq!(receive(&to), [number; 1500]);
            }
        }
        assert_eq!(send.counters().split_trains, 1);

        // Trains of smaller ones still leave in one send.
        let before = send.counters().sends;
        for number in 0..3 {
            send.push(&from, peer, None, &[], &[number; 1200], 0);
        }
        send.flush();
        assert_eq!(send.counters().sends, before + 1);
        for number in 0..3 {
            assert_eq!(receive(&to), [number; 1200]);
        }
        assert_eq!(from.read_error(), None);
    }
}

#[test]
fn a_router_that_cannot_forward_a_whole_datagram_is_heard() {
    let test = "net::udp::tests::a_router_that_cannot_forward_a_whole_datagram_is_heard";
    if !is_inside_namespace(test, ROUTER_WITH_NARROW_EXIT) {
        return;
    }
    // RFC 792: fragmentation needed is type 3, code 4. RFC 4443: packet too big
    // is type 2.
    for (local, peer, kind, code) in [
        ("10.1.0.1:0", "10.2.0.2:9", 3, 4),
        ("[fd01::1]:0", "[fd02::2]:9", 2, 0),
    ] {
        let (from, peer) = (relay(local), peer.parse().unwrap());
        let mut send = SendBatch::new();
        send.send_whole(&from, peer, None, &[1; 1350]);
        assert_eq!(send.counters().datagrams, 1);
        wait_for(&from, |event| event.is_error());
        let expected = icmp::IcmpError {
            peer,
            icmp_type: kind,
            icmp_code: code,
            data: 1300,
        };
        assert_eq!(from.read_error(), Some(expected));
        assert_eq!(from.read_error(), None);
    }
}

#[test]
fn a_router_that_answers_late_is_heard_as_well() {
    let test = "net::udp::tests::a_router_that_answers_late_is_heard_as_well";
    if !is_inside_namespace(test, "ip link set lo up") {
        return;
    }
    let (from, to) = (relay("127.0.0.1:0"), plain("127.0.0.9:0"));
    let peer = to.local_addr().unwrap();
    let mut send = SendBatch::new();
    send.send_whole(&from, peer, None, b"whole");
    // By now fragments are allowed again, and the error must not be lost.
    let router = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
    let error = fragmentation_needed(port(&from), peer.port(), 900);
    router.bind(&SocketAddr::new(peer.ip(), 0).into()).unwrap();
    let local = SocketAddr::new(from.local_address().ip(), 0);
    router.send_to(&error, &local.into()).unwrap();
    wait_for(&from, |event| event.is_error());
    let error = from.read_error().unwrap();
    assert_eq!((error.peer, error.icmp_type), (peer, 3));
    assert_eq!((error.icmp_code, error.data), (4, 900));
    // Nor may it be believed: it could have come from anyone.
    send.push(&from, peer, None, &[], &[1; 2000], 0);
    send.push(&from, peer, None, &[], &[2; 2000], 0);
    send.flush();
    assert_eq!((send.counters().sends, send.counters().datagrams), (2, 3));
    assert_eq!(send.counters().split_trains, 0);
}

#[test]
fn a_full_buffer_is_told_from_a_refusal() {
    let mut counters = SendCounters::default();
    for (code, count) in [(libc::EAGAIN, 3), (libc::ENOBUFS, 4), (libc::EPERM, 5)] {
        send::count_failure(&io::Error::from_raw_os_error(code), count, &mut counters);
    }
    assert_eq!((counters.dropped_full, counters.refused), (7, 5));
}

fn assert_answer_comes_from(front: &UdpEndpoint, client: &UdpSocket, asked: SocketAddr) {
    client.send_to(b"who?", asked).unwrap();
    wait_readable(front);
    let mut recv = RecvBatch::new();
    assert_eq!(front.recv(&mut recv).unwrap(), 1);
    let question = recv.datagrams().next().unwrap();
    assert_eq!(question.source, client.local_addr().unwrap());
    assert_eq!(question.local_ip, Some(asked.ip()));
    let mut send = SendBatch::new();
    for _ in 0..2 {
        send.push(front, question.source, question.local_ip, &[], b"me", 0);
    }
    send.flush();
    assert_eq!((send.counters().sends, send.counters().datagrams), (1, 2));
    for _ in 0..2 {
        assert_eq!(client.recv_from(&mut [0; 8]).unwrap(), (2, asked));
    }
}

fn relay(local: &str) -> UdpEndpoint {
    UdpEndpoint::relay(relay_udp(local.parse().unwrap()).unwrap()).unwrap()
}

fn front_endpoint(local: &str) -> UdpEndpoint {
    let mut group = udp_front(local.parse().unwrap(), 1).unwrap();
    UdpEndpoint::front(group.remove(0)).unwrap()
}

/// A blocking socket without any of our options.
fn plain(local: &str) -> UdpSocket {
    let socket = UdpSocket::bind(local).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket
}

fn port(endpoint: &UdpEndpoint) -> u16 {
    endpoint.local_address().port()
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 16];
    let len = socket.recv(&mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

fn wait_readable(endpoint: &UdpEndpoint) {
    wait_for(endpoint, |event| event.is_readable());
}

fn wait_for(endpoint: &UdpEndpoint, what: fn(&Event) -> bool) {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(4);
    let mut source = endpoint.clone();
    poll.registry()
        .register(&mut source, Token(0), Interest::READABLE)
        .unwrap();
    poll.poll(&mut events, Some(Duration::from_secs(10)))
        .unwrap();
    assert!(events.iter().any(what));
    poll.registry().deregister(&mut source).unwrap();
}

/// Builds the ICMP message (RFC 792) a router sends to 127.0.0.1 about a
/// datagram to 127.0.0.9 that does not fit a link of `mtu` bytes.
fn fragmentation_needed(from: u16, to: u16, mtu: u16) -> Vec<u8> {
    let mut message = vec![3, 4, 0, 0, 0, 0];
    message.extend(mtu.to_be_bytes());
    // The IPv4 header of the datagram: 33 bytes in all, DF set, TTL 64, UDP.
    message.extend([0x45, 0, 0, 33, 0, 1, 0x40, 0, 64, 17, 0, 0]);
    message.extend([127, 0, 0, 1, 127, 0, 0, 9]);
    message.extend(from.to_be_bytes());
    message.extend(to.to_be_bytes());
    message.extend([0, 13, 0, 0]);
    let words = message
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let folded = (sum >> 16) + (sum & 0xFFFF);
    let checksum = !u16::try_from(folded).unwrap();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// Runs the test of this name again in a network namespace of its own that the
/// shell script `setup` has furnished. Returns true inside, and false outside
/// once the inner run has passed.
fn is_inside_namespace(test: &str, setup: &str) -> bool {
    const INSIDE: &str = "TURNSTONE_TEST_INSIDE_NAMESPACE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        command.args(["--user", "--map-root-user"]);
    }
    let script = format!("set -e\n{setup}\n\"$0\" --exact \"$1\"");
    let output = command
        .args(["--net", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(INSIDE, "1")
        .output()
        .expect("unshare (util-linux) starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("1 passed"), "{text}{errors}");
    false
}

/// A second namespace that forwards from 1,500 bytes to 1,300; it ends with the
/// script.
const ROUTER_WITH_NARROW_EXIT: &str = "
    unshare --net sleep 60 >/dev/null 2>&1 &
    router=$!
    trap 'kill $router' EXIT
    while [ $(readlink /proc/$router/ns/net) = $(readlink /proc/self/ns/net) ]; do
        sleep 0.01
    done
    in_router() { nsenter --target $router --net \"$@\"; }
    ip link add near type veth peer name far netns $router
    ip address add 10.1.0.1/24 dev near
    ip address add fd01::1/64 dev near nodad
    ip link set near up
    in_router ip address add 10.1.0.2/24 dev far
    in_router ip address add fd01::2/64 dev far nodad
    in_router ip link set far up
    in_router ip link add exit type veth peer name beyond
    in_router ip address add 10.2.0.1/24 dev exit
    in_router ip address add fd02::1/64 dev exit nodad
    in_router ip link set exit mtu 1300 up
    in_router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    in_router sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
    ip route add default via 10.1.0.2
    ip route add default via fd01::2
";
