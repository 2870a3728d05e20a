//! Two clients, each behind its own NAT router, and an internet between the routers.
//!
//! ```text
//! left client 10.1.0.2 -- 10.1.0.1 left router 198.51.100.1 --+-- internet 198.51.100.10 and .11
//! right client 10.2.0.2 -- 10.2.0.1 right router 198.51.100.2 -+
//! ```
//!
//! What is sent to any other address of the internet disappears without an answer.
//! Each box is a network namespace with nothing else in it. The names carry the process id of the
//! test, so that labs run side by side and the remains of a killed test are found by the next one.

use std::fmt;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use super::tools::{require, require_root, run, run_with_input};

/// Where the server listens.
pub(crate) const SERVER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10));
/// The second address on the internet.
pub(crate) const SECOND_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 11));
/// The internet's addresses, which a server denies as peers unless told otherwise.
pub(crate) const INTERNET: &str = "198.51.100.0/24";

const NAME_PREFIX: &str = "turnstone-nat-";

/// Enough for any of the small commands below on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

/// What a router does to its client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Nat {
    /// One mapping for all destinations; only those that were sent to may answer.
    PortRestricted,
    /// Another mapping for every destination; only that one may answer.
    Symmetric,
    /// No UDP at all.
    UdpBlocked,
}

impl Nat {
    pub(crate) const ALL: [Self; 3] = [Self::PortRestricted, Self::Symmetric, Self::UdpBlocked];

    /// The router's rules. A datagram from outside that answers nothing is dropped before it can
    /// take the port of a mapping.
    fn rules(self) -> String {
        let (masquerade, udp) = match self {
            // The kernel keeps the client's port where it can, which makes one mapping for all.
            Self::PortRestricted => ("masquerade", "accept"),
            Self::Symmetric => ("masquerade random,fully-random", "accept"),
            Self::UdpBlocked => ("masquerade", "drop"),
        };
        format!(
            "table ip lab {{
                chain forward {{
                    type filter hook forward priority filter; policy drop;
                    iifname lan meta l4proto udp {udp}
                    iifname lan accept
                    ct state established,related accept
                }}
                chain input {{
                    type filter hook input priority filter; policy accept;
                    iifname wan ct state new drop
                }}
                chain postrouting {{
                    type nat hook postrouting priority srcnat;
                    oifname wan {masquerade}
                }}
            }}"
        )
    }
}

/// Which of the two clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    fn number(self) -> u8 {
        match self {
            Self::Left => 1,
            Self::Right => 2,
        }
    }

    /// The address of this side's router on the internet.
    pub(crate) fn public_ip(self) -> IpAddr {
        Ipv4Addr::new(198, 51, 100, self.number()).into()
    }

    /// The client's own address.
    pub(crate) fn private_ip(self) -> IpAddr {
        Ipv4Addr::new(10, self.number(), 0, 2).into()
    }
}

/// A namespace of the lab.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Internet,
    Router(Side),
    Client(Side),
}

impl Place {
    const ALL: [Self; 5] = [
        Self::Internet,
        Self::Router(Side::Left),
        Self::Router(Side::Right),
        Self::Client(Side::Left),
        Self::Client(Side::Right),
    ];
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet => f.write_str("internet"),
            Self::Router(side) => write!(f, "router{}", side.number()),
            Self::Client(side) => write!(f, "client{}", side.number()),
        }
    }
}

/// The namespaces, with every process in them ended and all of them removed on drop.
pub(crate) struct NatLab {
    prefix: String,
}

impl NatLab {
    /// Builds the lab with the left and the right client behind these routers.
    pub(crate) fn build(left: Nat, right: Nat) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        require_root("a network laboratory");
        require("nft", "nftables");
        sweep();
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{NAME_PREFIX}{}-{number}-", std::process::id());
        // From here on Drop removes what there is.
        let lab = Self { prefix };
        lab.create_namespaces();
        lab.create_internet();
        lab.create_side(Side::Left, left);
        lab.create_side(Side::Right, right);
        lab
    }

    /// The name of this namespace.
    pub(crate) fn name(&self, place: Place) -> String {
        format!("{}{place}", self.prefix)
    }

    /// What all names of this lab begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The command that runs `program` in this place.
    pub(crate) fn command(&self, place: Place, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(require("ip", "iproute2"));
        command
            .args(["netns", "exec", &self.name(place)])
            .arg(program.as_ref());
        command
    }

    /// Runs `action` in this place; the sockets that it opens stay there.
    pub(crate) fn inside<T: Send>(&self, place: Place, action: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.name(place));
        let namespace = File::open(path).expect("created in build");
        let result = std::thread::scope(|scope| {
            // A thread of its own, because it does not come back.
            let thread = scope.spawn(move || {
                setns(namespace, CloneFlags::CLONE_NEWNET).expect("we are root");
                action()
            });
            thread.join()
        });
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn create_namespaces(&self) {
        let mut batch = String::new();
        for place in Place::ALL {
            batch += &format!("netns add {}\n", self.name(place));
        }
        ip_batch(&batch);
        for place in Place::ALL {
            // An address that IPv6 gives itself is ready a second or two later, and a browser
            // drops its connections when it comes.
            self.inside(place, || {
                for interfaces in ["all", "default"] {
                    let switch = format!("/proc/sys/net/ipv6/conf/{interfaces}/disable_ipv6");
                    fs::write(switch, "1").expect("we are root");
                }
            });
            ip_batch_in(&self.name(place), "link set lo up\n");
        }
    }

    fn create_internet(&self) {
        let batch = format!(
            "link add internet type bridge
            address add {SERVER_IP}/24 dev internet
            address add {SECOND_IP}/24 dev internet
            link set internet up
            link add elsewhere type bridge
            link set elsewhere arp off up
            route add default dev elsewhere\n"
        );
        ip_batch_in(&self.name(Place::Internet), &batch);
    }

    fn create_side(&self, side: Side, nat: Nat) {
        let [internet, router, client] =
            [Place::Internet, Place::Router(side), Place::Client(side)].map(|p| self.name(p));
        let number = side.number();
        let batch = format!(
            "link add port{number} type veth peer name wan netns {router}
            link set port{number} master internet
            link set port{number} up\n"
        );
        ip_batch_in(&internet, &batch);
        let batch = format!(
            "address add {}/24 dev wan
            link set wan up
            link add lan type veth peer name lan netns {client}
            address add 10.{number}.0.1/24 dev lan
            link set lan up\n",
            side.public_ip()
        );
        ip_batch_in(&router, &batch);
        let batch = format!(
            "address add {}/24 dev lan
            link set lan up
            route add default via 10.{number}.0.1\n",
            side.private_ip()
        );
        ip_batch_in(&client, &batch);
        self.inside(Place::Router(side), || {
            fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("we are root");
        });
        let mut nft = self.command(Place::Router(side), require("nft", "nftables"));
        run_with_input(nft.args(["-f", "-"]), &nat.rules(), LIMIT).assert_success("nft");
    }
}

impl Drop for NatLab {
    fn drop(&mut self) {
        for place in Place::ALL {
            remove(&self.name(place));
        }
    }
}

/// The names of the namespaces that begin with `prefix`.
pub(crate) fn namespaces(prefix: &str) -> Vec<String> {
    // The directory is made with the first namespace.
    let Ok(entries) = fs::read_dir("/run/netns") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect()
}

/// Removes the namespaces of tests that are no longer there.
fn sweep() {
    for name in namespaces(NAME_PREFIX) {
        let process = name[NAME_PREFIX.len()..].split('-').next();
        let is_alive = process.is_some_and(|id| Path::new("/proc").join(id).exists());
        if !is_alive {
            remove(&name);
        }
    }
}

/// Ends what runs in the namespace and removes it; somebody else may be about it too.
fn remove(name: &str) {
    let ip = || Command::new("ip");
    let processes = run(ip().args(["netns", "pids", name]), LIMIT).output;
    for process in processes
        .split_whitespace()
        .filter(|w| w.parse::<u32>().is_ok())
    {
        run(Command::new("kill").args(["-KILL", process]), LIMIT);
    }
    run(ip().args(["netns", "delete", name]), LIMIT);
}

#[track_caller]
fn ip_batch(batch: &str) {
    let mut command = Command::new(require("ip", "iproute2"));
    run_with_input(command.args(["-batch", "-"]), batch, LIMIT).assert_success(batch);
}

#[track_caller]
fn ip_batch_in(namespace: &str, batch: &str) {
    let mut command = Command::new(require("ip", "iproute2"));
    command.args(["-netns", namespace, "-batch", "-"]);
    run_with_input(&mut command, batch, LIMIT).assert_success(batch);
}
