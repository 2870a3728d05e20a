//! `turnutils_uclient` in every mode that works against coturn itself.
//!
//! Each run moves a few hundred messages and counts them: all must come back.
//! What its verbose output says about the way (relayed addresses, channels,
//! permissions) shows that the mode really was the one asked for.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::echo_peer::EchoPeer;
use crate::support::Transport;
use crate::support::config::{Account, TestConfig, strings};
use crate::support::server::Server;
use crate::support::tools::{require, run};

/// A run takes three to six seconds, most of them pauses of the client.
const LIMIT: Duration = Duration::from_secs(40);

/// Messages per client; two clients, and two flows per client without `-c`.
const MESSAGES: u64 = 30;

const SECRET: &str = "a secret shared with the application";

#[test]
fn channels_over_udp_with_reserved_ports() {
    Run::over(Transport::Udp)
        .saw(&["channel bind sent", "IPv4. Received relay addr"])
        .succeeds();
}

#[test]
fn send_indications() {
    Run::over(Transport::Udp)
        .flags(&["-s"])
        .saw(&["create perm sent"])
        .never_saw("channel bind sent")
        .succeeds();
}

#[test]
fn client_to_client() {
    Run::over(Transport::Udp)
        .flags(&["-y", "-c"])
        .saw(&["channel bind sent"])
        .succeeds();
}

#[test]
fn tcp() {
    Run::over(Transport::Tcp)
        .flags(&["-t"])
        .saw(&["channel bind sent"])
        .succeeds();
}

#[test]
fn tls() {
    Run::over(Transport::Tls)
        .flags(&["-t", "-S"])
        .saw(&["channel bind sent"])
        .succeeds();
}

#[test]
fn ipv6_relay_for_an_ipv4_client() {
    Run::over(Transport::Udp)
        .flags(&["-x"])
        .peer("::1")
        .saw(&["IPv4. Connected to", "IPv6. Received relay addr"])
        .never_saw("IPv4. Received relay addr")
        .succeeds();
}

#[test]
fn ipv4_relay_for_an_ipv6_client() {
    Run::over(Transport::Udp)
        .at_ipv6_listener()
        .flags(&["-X"])
        .saw(&["IPv6. Connected to", "IPv4. Received relay addr"])
        .never_saw("IPv6. Received relay addr")
        .succeeds();
}

#[test]
fn dual_allocation_with_the_draft_attribute() {
    Run::over(Transport::Udp)
        .flags(&["-Z", "-c"])
        .saw(&["channel bind sent"])
        .succeeds();
}

#[test]
fn dont_fragment() {
    Run::over(Transport::Udp)
        .flags(&["-g"])
        .saw(&["channel bind sent"])
        .succeeds();
}

#[test]
fn tcp_relay() {
    Run::over(Transport::Tcp)
        .with(TestConfig::tcp_relay())
        .flags(&["-T"])
        .saw(&["tcp connect sent", "connect bind response received"])
        .succeeds();
}

#[test]
fn rest_secret() {
    let config = TestConfig::standard().set("turn.rest.secrets", strings(&[SECRET]));
    Run::over(Transport::Udp)
        .with(config)
        .with_secret()
        .saw(&["channel bind sent"])
        .succeeds();
}

#[test]
#[should_panic(expected = "turnutils_uclient")]
fn a_wrong_password_fails() {
    // Shows that the runs above are able to fail.
    let mut run = Run::over(Transport::Udp);
    run.password = Some("not the password".to_owned());
    run.succeeds();
}

/// One run of the client, described before it starts.
struct Run {
    config: TestConfig,
    transport: Transport,
    ipv6_listener: bool,
    peer_ip: &'static str,
    flags: &'static [&'static str],
    password: Option<String>,
    with_secret: bool,
    saw: &'static [&'static str],
    never_saw: Option<&'static str>,
}

impl Run {
    fn over(transport: Transport) -> Self {
        Self {
            config: TestConfig::standard(),
            transport,
            ipv6_listener: false,
            peer_ip: "127.0.0.1",
            flags: &[],
            password: None,
            with_secret: false,
            saw: &[],
            never_saw: None,
        }
    }

    fn with(self, config: TestConfig) -> Self {
        Self { config, ..self }
    }

    fn at_ipv6_listener(self) -> Self {
        Self {
            ipv6_listener: true,
            ..self
        }
    }

    fn peer(self, peer_ip: &'static str) -> Self {
        Self { peer_ip, ..self }
    }

    fn flags(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }

    fn with_secret(self) -> Self {
        Self {
            with_secret: true,
            ..self
        }
    }

    /// What its output must tell about the mode.
    fn saw(self, saw: &'static [&'static str]) -> Self {
        Self { saw, ..self }
    }

    fn never_saw(self, text: &'static str) -> Self {
        Self {
            never_saw: Some(text),
            ..self
        }
    }

    #[track_caller]
    fn succeeds(self) {
        let server = Server::start(self.config.clone());
        let peer = EchoPeer::start(self.peer_ip);
        let mut command = self.command(&server, &peer);
        let output = run(&mut command, LIMIT).assert_success("turnutils_uclient");
        let counts = Counts::parse(&output);
        let all_came_back = counts.is_some_and(|counts| counts.all_came_back());
        assert!(all_came_back, "messages were lost: {counts:?}\n{output}");
        for text in self.saw {
            assert!(output.contains(text), "no '{text}' in\n{output}");
        }
        if let Some(text) = self.never_saw {
            assert!(!output.contains(text), "'{text}' in\n{output}");
        }
    }

    fn command(&self, server: &Server, peer: &EchoPeer) -> Command {
        let address = self.server_address(server);
        let Account { username, password } = server.alice();
        let mut command = Command::new(require("turnutils_uclient", "coturn"));
        command
            .args(["-v", "-m", "2", "-l", "170", "-z", "5"])
            .args(["-n", &MESSAGES.to_string()])
            .args(["-e", &peer.address().ip().to_string()])
            .args(["-r", &peer.address().port().to_string()])
            .args(["-p", &address.port().to_string()])
            .args(["-u", &username]);
        if self.with_secret {
            command.args(["-W", SECRET]);
        } else {
            command.args(["-w", self.password.as_ref().unwrap_or(&password)]);
        }
        command.args(self.flags).arg(address.ip().to_string());
        command
    }

    fn server_address(&self, server: &Server) -> SocketAddr {
        if self.ipv6_listener {
            server.address_v6(self.transport)
        } else {
            server.address(self.transport)
        }
    }
}

/// The totals that the client prints at its end.
#[derive(Clone, Copy, Debug)]
struct Counts {
    sent: u64,
    received: u64,
    lost: u64,
}

impl Counts {
    fn parse(output: &str) -> Option<Self> {
        // Progress lines name the number of clients (msz) before the same counters.
        let totals = output
            .lines()
            .rfind(|line| line.contains("tot_send_msgs=") && !line.contains("msz="))?;
        Some(Self {
            sent: number_after(totals, "tot_send_msgs=")?,
            received: number_after(totals, "tot_recv_msgs=")?,
            lost: number_after(output, "Total lost packets ")?,
        })
    }

    fn all_came_back(self) -> bool {
        self.sent >= 2 * MESSAGES && self.received == self.sent && self.lost == 0
    }
}

fn number_after(text: &str, label: &str) -> Option<u64> {
    let (_, rest) = text.split_once(label)?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}
