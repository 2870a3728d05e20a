//! Starts the service under a real systemd, in its own sandbox, and drives it as
//! an administrator would.

#![expect(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

#[path = "systemd_boot/machine.rs"]
mod machine;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Output;

use machine::{Machine, text, wait_for};

/// Port 443 needs the one capability that the unit grants.
const CONFIG: &str = r#"
[server]
domain = "call.example.org"
public_ips = ["127.0.0.1"]
workers = 1

[listen]
udp = ["127.0.0.1:3478"]
tcp = ["127.0.0.1:3478"]
tls = ["127.0.0.1:443"]

[turn]
relay_ips = ["127.0.0.1"]

[[turn.users]]
name = "alice"
password = "not a real password"
"#;

#[test]
fn it_serves_under_its_own_sandbox() {
    let machine = started("");
    assert_eq!(machine.show("ActiveState"), "active");
    assert_ne!(machine.show("StatusText"), "");
    assert_eq!(machine.show("NRestarts"), "0");

    let answer = text(&machine.run(&["turnutils_stunclient", "127.0.0.1"]));
    assert!(
        answer.contains("UDP reflexive addr: 127.0.0.1:"),
        "{answer}"
    );
    let listening = text(&machine.run(&["ss", "-Hltn"]));
    assert!(listening.contains("127.0.0.1:443"), "{listening}");
}

#[test]
fn it_runs_as_its_own_user_with_one_capability() {
    let machine = started("");
    let status = machine.read(&format!("proc/{}/status", machine.show("MainPID")));
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.unwrap().split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_ne!(field("Uid:"), "0");
    // CAP_NET_BIND_SERVICE is bit 10.
    assert_eq!(u64::from_str_radix(&field("CapEff:"), 16).unwrap(), 1 << 10);
    assert_eq!(u64::from_str_radix(&field("CapBnd:"), 16).unwrap(), 1 << 10);
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Seccomp:"), "2");

    let state = fs::metadata(machine.path("var/lib/turnstone")).unwrap();
    assert_eq!(state.uid().to_string(), field("Uid:"));
    assert_eq!(state.mode() & 0o777, 0o700);
}

#[test]
fn a_reload_keeps_the_process_and_a_bad_file_changes_nothing() {
    let machine = started("");
    let process = machine.show("MainPID");

    machine.write(
        "etc/turnstone/turnstone.toml",
        &format!("{CONFIG}\n[nonsense]\n"),
    );
    machine.systemctl("reload");
    wait_for("the refusal to be logged", || {
        machine
            .read("run/turnstone.log")
            .contains("nonsense")
            .then_some(())
    });
    let second = "[[turn.users]]\nname = \"bob\"\npassword = \"not a real one either\"\n";
    machine.write(
        "etc/turnstone/turnstone.toml",
        &format!("{CONFIG}\n{second}"),
    );
    machine.systemctl("reload");
    wait_for("the new user to be let in", || {
        let output = relay_between_two_clients(&machine, "-w", "bob", "not a real one either");
        output.status.success().then_some(())
    });
    assert_eq!(machine.show("ActiveState"), "active");
    assert_eq!(machine.show("MainPID"), process);
}

#[test]
fn a_stop_is_orderly() {
    let tell = "[Service]\nExecStopPost=+/bin/sh -c \
        'echo $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS >/run/turnstone.end'\n";
    let machine = started(tell);
    machine.systemctl("stop");
    assert_eq!(machine.show("ActiveState"), "inactive");
    assert_eq!(machine.read("run/turnstone.end"), "success exited 0\n");
}

#[test]
fn the_watchdog_is_fed() {
    let machine = started("[Service]\nWatchdogSec=2\n");
    let first = machine.show("WatchdogTimestampMonotonic");
    wait_for("the watchdog to be fed", || {
        (machine.show("WatchdogTimestampMonotonic") != first).then_some(())
    });
    assert_eq!(machine.show("NRestarts"), "0");
}

#[test]
fn a_secret_can_be_handed_over_as_a_credential() {
    let config = format!("{CONFIG}\n[turn.rest]\nsecrets_file = \"turn-rest\"\n");
    let machine = Machine::boot(
        &config,
        include_str!("../systemd/drop-ins/credentials.conf"),
    );
    machine.run(&["mkdir", "-m", "700", "/etc/turnstone/secrets"]);
    machine.write("etc/turnstone/secrets/turn-rest", "shared with nobody\n");
    machine.systemctl("start");

    let output = relay_between_two_clients(&machine, "-W", "carol", "shared with nobody");
    assert!(output.status.success(), "{}", text(&output));
}

/// Boots and starts the service.
fn started(drop_in: &str) -> Machine {
    let machine = Machine::boot(CONFIG, drop_in);
    machine.systemctl("start");
    machine
}

/// Sends two messages between two allocations of `user`, whose password (`-w`) or
/// REST secret (`-W`) is `secret`.
fn relay_between_two_clients(machine: &Machine, how: &str, user: &str, secret: &str) -> Output {
    let client = ["turnutils_uclient", "-y", "-c", "-n", "1", "-m", "2"];
    machine.run(&[&client[..], &["-u", user, how, secret, "127.0.0.1"]].concat())
}
