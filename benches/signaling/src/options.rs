//! The command line of the load generator and of the floor.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::SocketAddrV4;
use std::process;
use std::str::FromStr;

use crate::protocol::Protocol;

/// What one generator is told.
pub struct Options {
    /// The name of the server under test.
    pub label: String,
    /// Its TLS listener.
    pub server: SocketAddrV4,
    /// What it speaks.
    pub protocol: Protocol,
    /// The server's process, 0 when it is not measured.
    pub server_process: i32,
    /// How many sessions a workload has, two for each room.
    pub sessions: usize,
    /// How many clients are at work at a time where a workload is a closed loop.
    pub window: usize,
    /// Messages per second of each session in `relay`.
    pub rate: f64,
    /// How long a workload is measured.
    pub seconds: f64,
    /// Over how many source addresses, 127.0.0.2 and on, connections are spread.
    pub sources: usize,
}

/// `--name value` pairs and the words between them.
pub struct Arguments {
    named: HashMap<String, String>,
    /// The words that belong to no name.
    pub words: Vec<String>,
}

impl Arguments {
    /// Reads the words behind the command.
    pub fn read(mut words: impl Iterator<Item = String>) -> Self {
        let mut arguments = Self {
            named: HashMap::new(),
            words: Vec::new(),
        };
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else {
                arguments.words.push(word);
                continue;
            };
            let value = words.next().unwrap_or_else(|| refuse(&word, "no value"));
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

    /// Returns what the generator is told.
    pub fn options(&self) -> Options {
        let protocol: String = self.value("protocol", Protocol::Turnstone.name().to_owned());
        Options {
            label: self.value("label", "server".to_owned()),
            server: self.value("server", SocketAddrV4::new([127, 0, 0, 1].into(), 8443)),
            protocol: Protocol::ALL
                .into_iter()
                .find(|one| one.name() == protocol)
                .unwrap_or_else(|| refuse("protocol", &protocol)),
            server_process: self.value("server-process", 0),
            sessions: self.value("sessions", 2000),
            window: self.value("window", 64),
            rate: self.value("rate", 10.0),
            seconds: self.value("seconds", 10.0),
            sources: self.value("sources", 50),
        }
    }
}

/// Ends the program: `value` is nothing that `name` can be.
pub fn refuse(name: &str, value: impl Display) -> ! {
    eprintln!("signalingbench: {name}: {value}");
    process::exit(2);
}
