//! What the whole-program tests share: a server, a client that is not ours, peers.
//!
//! Nothing here uses the crate's own STUN codec: messages are written and read
//! by the `stun` crate, or byte by byte, so that the server is judged by
//! somebody else's reading of the RFCs. Start at `server` and `session`.

pub(crate) mod answer;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod credentials;
pub(crate) mod nat_lab;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod scenario;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod tls;
pub(crate) mod tools;
pub(crate) mod wire;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use turnstone::clock;

use server::Server;

/// How long an answer or a datagram that must come may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long to listen where nothing may come and no later message can prove it.
pub(crate) const SILENCE: Duration = Duration::from_millis(250);

/// The protocol between client and server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    /// Plain UDP.
    Udp,
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl Transport {
    /// Every transport a client may use.
    pub(crate) const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];
    /// The transports that are byte streams.
    pub(crate) const STREAMS: [Self; 2] = [Self::Tcp, Self::Tls];
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        })
    }
}

/// Runs `behaviour` over UDP, TCP and TLS and names those where it fails.
#[track_caller]
pub(crate) fn over_each_transport(server: &Server, behaviour: impl Fn(Transport)) {
    over(server, &Transport::ALL, behaviour);
}

/// Runs `behaviour` over TCP and TLS and names those where it fails.
#[track_caller]
pub(crate) fn over_each_stream(server: &Server, behaviour: impl Fn(Transport)) {
    over(server, &Transport::STREAMS, behaviour);
}

#[track_caller]
fn over(server: &Server, transports: &[Transport], behaviour: impl Fn(Transport)) {
    let offered = transports.iter().copied().filter(|t| server.offers(*t));
    let failed: Vec<String> = offered
        .filter(|transport| catch_unwind(AssertUnwindSafe(|| behaviour(*transport))).is_err())
        .map(|transport| transport.to_string())
        .collect();
    assert!(failed.is_empty(), "failed over {}", failed.join(", "));
}

/// Waits until `condition` holds, and panics when it does not within [`PATIENCE`].
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(PATIENCE, condition), "waited in vain: {what}");
}

/// Returns whether `condition` comes to hold within `limit`.
pub(crate) fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = clock::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if clock::now() >= deadline {
            return false;
        }
        // The condition is outside this process (a port, a counter): nothing to block on.
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns what is left until `deadline`, at least a millisecond so that it can be a timeout.
pub(crate) fn time_left(deadline: Instant) -> Duration {
    deadline
        .saturating_duration_since(clock::now())
        .max(Duration::from_millis(1))
}
