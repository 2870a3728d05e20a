//! The command line of the load generator.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process;
use std::str::FromStr;

use crate::addresses::Net;
use crate::packet;

/// Which way packets go.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Mode {
    /// From clients, by channel, to peers.
    ClientToPeer,
    /// From peers, to relayed addresses, to clients.
    PeerToClient,
    /// Both of these at once.
    Both,
    /// From client to client: each is the other's peer, both have allocations.
    Hairpin,
    /// Binding requests and their answers, without allocations.
    Binding,
}

/// What is between client and server.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Transport {
    /// Plain UDP.
    Udp,
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// What one generator is told.
pub struct Options {
    /// The name of the server under test.
    pub label: String,
    /// Its listening address.
    pub server: SocketAddrV4,
    /// The network both namespaces share.
    pub net: Net,
    /// What is between client and server.
    pub transport: Transport,
    /// Which way packets go.
    pub mode: Mode,
    /// How many clients, each with one allocation.
    pub allocations: usize,
    /// Bytes of payload, without ChannelData header; enough for a stamp.
    pub size: usize,
    /// How many packets of one client go out as a train.
    pub train: usize,
    /// How many packets go out at a time unless an action says otherwise.
    pub burst: usize,
    /// Whether the server is a floor forwarder with a fixed table.
    pub is_floor: bool,
    /// The server's process, 0 when it is not measured.
    pub server_process: i32,
    /// The kernel thread that receives for the server's interface, or 0.
    pub receive_thread: i32,
    /// The user of the long-term credential.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl Mode {
    const ALL: [Self; 5] = [
        Self::ClientToPeer,
        Self::PeerToClient,
        Self::Both,
        Self::Hairpin,
        Self::Binding,
    ];

    /// As on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientToPeer => "c2p",
            Self::PeerToClient => "p2c",
            Self::Both => "both",
            Self::Hairpin => "hairpin",
            Self::Binding => "binding",
        }
    }
}

impl Transport {
    const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// As on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// `--name value` pairs, `--flag`s and the words between them.
pub struct Arguments {
    named: HashMap<String, String>,
    /// The words that belong to no name.
    pub words: Vec<String>,
}

impl Arguments {
    /// Reads the words behind the command; `flags` take no value.
    pub fn read(words: impl Iterator<Item = String>, flags: &[&str]) -> Self {
        let mut arguments = Self {
            named: HashMap::new(),
            words: Vec::new(),
        };
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else {
                arguments.words.push(word);
                continue;
            };
            let value = if flags.contains(&name) {
                String::new()
            } else {
                words.next().unwrap_or_else(|| refuse(&word, "no value"))
            };
            arguments.named.insert(name.to_owned(), value);
        }
        arguments
    }

    /// Tells whether `--name` was given.
    pub fn has(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// Returns the value of `--name`, or `default`.
    pub fn value<T: FromStr>(&self, name: &str, default: T) -> T {
        match self.named.get(name) {
            Some(text) => text.parse().unwrap_or_else(|_| refuse(name, text)),
            None => default,
        }
    }

    /// Returns the network.
    pub fn net(&self) -> Net {
        let text: String = self.value("net", "198.18".to_owned());
        Net::parse(&text).unwrap_or_else(|| refuse("net", &text))
    }

    /// Returns what the generator is told.
    pub fn options(&self) -> Options {
        let net = self.net();
        let mode: String = self.value("mode", Mode::ClientToPeer.name().to_owned());
        let transport: String = self.value("transport", Transport::Udp.name().to_owned());
        let server = SocketAddrV4::new(net.server(), 3478);
        Options {
            label: self.value("label", "server".to_owned()),
            server: self.value("server", server),
            net,
            transport: Transport::ALL
                .into_iter()
                .find(|one| one.name() == transport)
                .unwrap_or_else(|| refuse("transport", &transport)),
            mode: Mode::ALL
                .into_iter()
                .find(|one| one.name() == mode)
                .unwrap_or_else(|| refuse("mode", &mode)),
            allocations: self.value("allocations", 50),
            size: self.value("size", 160).max(packet::MIN_SIZE),
            train: self.value("train", 1),
            burst: self.value("burst", 1),
            is_floor: self.has("floor"),
            server_process: self.value("server-process", 0),
            receive_thread: self.value("receive-thread", 0),
            user: self.value("user", "bench".to_owned()),
            password: self.value("password", "bench-secret".to_owned()),
        }
    }

    /// Returns the address that a floor forwarder serves.
    pub fn listen(&self) -> SocketAddrV4 {
        let address: Ipv4Addr = self.net().server();
        self.value("server", SocketAddrV4::new(address, 3478))
    }
}

/// Ends the program: `value` is nothing that `name` can be.
pub fn refuse(name: &str, value: impl Display) -> ! {
    eprintln!("relaybench: {name}: {value}");
    process::exit(2);
}
