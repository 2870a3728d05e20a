//! `turnutils_stunclient`: a plain Binding request.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::support::Transport;
use crate::support::config::TestConfig;
use crate::support::server::Server;
use crate::support::tools::{require, run};

#[test]
fn stunclient_learns_its_address_over_ipv4_and_ipv6() {
    let server = Server::start(TestConfig::standard());
    for address in [
        server.address(Transport::Udp),
        server.address_v6(Transport::Udp),
    ] {
        let mapped = ask(address);
        assert_eq!(mapped.ip(), address.ip(), "loopback talks to itself");
        assert_ne!(mapped.port(), 0);
    }
}

fn ask(server: SocketAddr) -> SocketAddr {
    let mut command = Command::new(require("turnutils_stunclient", "coturn"));
    command
        .args(["-p", &server.port().to_string()])
        .arg(server.ip().to_string());
    let output = run(&mut command, Duration::from_secs(10)).assert_success("turnutils_stunclient");
    let (_, mapped) = output
        .lines()
        .find_map(|line| line.split_once("UDP reflexive addr: "))
        .unwrap_or_else(|| panic!("no reflexive address:\n{output}"));
    // It prints IPv6 addresses without brackets.
    let (ip, port) = mapped.rsplit_once(':').expect("an address and a port");
    let ip = ip.parse().expect("an IP address");
    SocketAddr::new(ip, port.trim().parse().expect("a port"))
}
