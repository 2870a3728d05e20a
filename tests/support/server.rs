//! The server that a test talks to: our binary, or one named in the environment.
//!
//! `TURNSTONE_TEST_SERVER` points the conformance tests at a server that is
//! already running: `key=value` pairs separated by commas, with the keys `udp`,
//! `tcp`, `tls`, `udp6`, `tcp6`, `tls6` (transport addresses), `user`,
//! `password`, `user2`, `password2`, `rest_secret`, and `tcp_relay=yes`.
//! Tests that need a configuration of their own are then reported as not
//! applicable on standard error, one line each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;

use super::Transport;
use super::config::{Account, TestConfig};
use super::process::Process;

/// Names the server to test instead of our own binary.
const VARIABLE: &str = "TURNSTONE_TEST_SERVER";

/// A server that is ready to be tested.
pub(crate) struct Server {
    listeners: Vec<(Transport, SocketAddr)>,
    accounts: Vec<Account>,
    own: Option<Own>,
    tcp_relay: bool,
}

struct Own {
    process: Process,
    namespace: Option<String>,
    config: TestConfig,
    directory: TempDir,
}

impl Server {
    /// Starts our binary, or returns the server named in the environment, which
    /// is expected to behave as `config` says.
    pub(crate) fn start(config: TestConfig) -> Self {
        match std::env::var(VARIABLE) {
            Ok(description) => Self::foreign(&description),
            Err(_) => Self::launch(None, config),
        }
    }

    /// Starts our binary with `config`; `None`, with a line on standard error,
    /// when the tests are pointed at another server.
    pub(crate) fn requires_own_server(config: TestConfig) -> Option<Self> {
        if std::env::var_os(VARIABLE).is_some() {
            not_applicable("needs a server with its own configuration");
            return None;
        }
        Some(Self::launch(None, config))
    }

    /// Starts our binary in the network namespace with this name.
    pub(crate) fn start_in(namespace: &str, config: TestConfig) -> Self {
        Self::launch(Some(namespace), config)
    }

    /// Returns a server with RFC 6062 relaying, or `None` when the one named in
    /// the environment has none.
    pub(crate) fn with_tcp_relay() -> Option<Self> {
        let server = Self::start(TestConfig::tcp_relay());
        if !server.tcp_relay {
            not_applicable("needs a server that relays TCP");
            return None;
        }
        Some(server)
    }

    /// Whether the server listens for `transport`.
    pub(crate) fn offers(&self, transport: Transport) -> bool {
        self.listeners.iter().any(|(t, _)| *t == transport)
    }

    /// The IPv4 address that serves `transport`; a `[::]` listener serves it too.
    pub(crate) fn address(&self, transport: Transport) -> SocketAddr {
        self.find(transport, SocketAddr::is_ipv4)
            .or_else(|| self.any_address(transport, "127.0.0.1"))
            .expect("the server listens for this transport over IPv4")
    }

    /// The IPv6 address that serves `transport`.
    pub(crate) fn address_v6(&self, transport: Transport) -> SocketAddr {
        self.any_address(transport, "::1")
            .or_else(|| self.find(transport, SocketAddr::is_ipv6))
            .expect("the server listens for this transport over IPv6")
    }

    /// Every listener, as the server named it.
    pub(crate) fn listeners(&self) -> &[(Transport, SocketAddr)] {
        &self.listeners
    }

    /// The first user.
    pub(crate) fn alice(&self) -> Account {
        self.accounts[0].clone()
    }

    /// The second user; `None`, with a line on standard error, when there is none.
    pub(crate) fn bob(&self) -> Option<Account> {
        let bob = self.accounts.get(1).cloned();
        if bob.is_none() {
            not_applicable("needs a second user");
        }
        bob
    }

    /// The process, when it is our own.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.own_mut().process
    }

    /// Rewrites the configuration file without telling the server. Listeners keep
    /// the ports they have.
    pub(crate) fn rewrite_config(&mut self, change: impl FnOnce(TestConfig) -> TestConfig) {
        let ports_kept = self.with_ports_kept();
        let own = self.own_mut();
        own.config = change(ports_kept);
        own.config.write(&config_path(own), own.directory.path());
    }

    /// Writes `text` over the configuration file.
    pub(crate) fn spoil_config(&mut self, text: &str) {
        let own = self.own_mut();
        std::fs::write(config_path(own), text).expect("the temporary directory is writable");
    }

    /// Kills the process and starts it again on the same ports.
    pub(crate) fn restart(&mut self) {
        self.rewrite_config(|config| config);
        let own = self.own_mut();
        own.process.kill();
        let (process, listeners) = Process::start(own.namespace.as_deref(), &config_path(own));
        own.process = process;
        self.listeners = listeners;
    }

    fn launch(namespace: Option<&str>, config: TestConfig) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("turnstone.toml");
        config.write(&path, directory.path());
        let (process, listeners) = Process::start(namespace, &path);
        Self {
            listeners,
            accounts: config.users().to_vec(),
            tcp_relay: true,
            own: Some(Own {
                process,
                namespace: namespace.map(str::to_owned),
                config,
                directory,
            }),
        }
    }

    fn foreign(description: &str) -> Self {
        let words: BTreeMap<&str, &str> = description
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect();
        let listeners = [
            ("udp", Transport::Udp),
            ("udp6", Transport::Udp),
            ("tcp", Transport::Tcp),
            ("tcp6", Transport::Tcp),
            ("tls", Transport::Tls),
            ("tls6", Transport::Tls),
        ]
        .into_iter()
        .filter_map(|(key, transport)| {
            let address = words.get(key)?;
            let parsed = address.parse().expect("a transport address");
            Some((transport, parsed))
        })
        .collect();
        let accounts = [("user", "password"), ("user2", "password2")]
            .into_iter()
            .filter_map(|(user, password)| {
                Some(Account::new(words.get(user)?, words.get(password)?))
            })
            .collect();
        Self {
            listeners,
            accounts,
            tcp_relay: words.get("tcp_relay") == Some(&"yes"),
            own: None,
        }
    }

    fn with_ports_kept(&mut self) -> TestConfig {
        let mut config = self.own_mut().config.clone();
        for (key, transport) in [
            ("listen.udp", Transport::Udp),
            ("listen.tcp", Transport::Tcp),
            ("listen.tls", Transport::Tls),
        ] {
            let addresses: Vec<toml::Value> = self
                .listeners
                .iter()
                .filter(|(t, _)| *t == transport)
                .map(|(_, address)| address.to_string().into())
                .collect();
            config = config.set(key, addresses);
        }
        config
    }

    fn own_mut(&mut self) -> &mut Own {
        self.own
            .as_mut()
            .expect("the test asked for a server of its own")
    }

    fn find(
        &self,
        transport: Transport,
        family: impl Fn(&SocketAddr) -> bool,
    ) -> Option<SocketAddr> {
        self.listeners
            .iter()
            .filter(|(t, address)| *t == transport && !address.ip().is_unspecified())
            .map(|(_, address)| *address)
            .find(family)
    }

    fn any_address(&self, transport: Transport, ip: &str) -> Option<SocketAddr> {
        let port = self
            .listeners
            .iter()
            .find(|(t, address)| *t == transport && address.ip().is_unspecified())?
            .1
            .port();
        Some(SocketAddr::new(ip.parse().ok()?, port))
    }
}

/// Reports that the running test does not apply to the server it is pointed at.
#[expect(clippy::print_stderr, reason = "a test must not be skipped silently")]
pub(crate) fn not_applicable(why: &str) {
    let thread = std::thread::current();
    eprintln!("NOT APPLICABLE: {}: {why}", thread.name().unwrap_or("?"));
}

fn config_path(own: &Own) -> PathBuf {
    own.directory.path().join("turnstone.toml")
}
