//! The room app in Chromium, from the real binary over TLS.
//!
//! Every test is a scene of `tests/browser/room_app.mjs`, in which people use the pages as people do.
//! This file starts the server and carries out what only it can do, such as a restart.

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use support::browser::node;
use support::config::TestConfig;
use support::server::Server;
use support::tools::require;
use support::{Transport, holds_within};

#[test]
fn two_people_call_chat_mute_share_and_leave() {
    play("call", TestConfig::rooms());
}

#[test]
fn a_third_is_refused_then_waits_and_is_let_in() {
    play("full", TestConfig::rooms().set("rooms.max_participants", 2));
}

#[test]
fn a_reloaded_page_rejoins() {
    play("reload", TestConfig::rooms());
}

#[test]
fn a_cut_socket_resumes_without_a_new_connection() {
    play("cut", TestConfig::rooms());
}

#[test]
fn people_come_back_after_a_restart() {
    play("restart", TestConfig::rooms());
}

#[test]
fn a_moderator_mutes_locks_and_sends_out() {
    play("moderate", TestConfig::rooms());
}

#[test]
fn without_devices_one_can_join() {
    play("denied", TestConfig::rooms());
}

#[test]
fn a_wrong_token_is_refused_and_leaves_the_address() {
    play("token", TestConfig::rooms());
}

#[test]
fn the_keyboard_is_enough_and_everything_has_a_name() {
    play("access", TestConfig::rooms());
}

#[test]
fn the_pages_have_the_types_they_name() {
    run_script(
        "node_modules/typescript/bin/tsc",
        &["-p", "tsconfig.app.json"],
    );
}

#[test]
fn every_language_has_every_text() {
    run_script("room_texts.mjs", &[]);
}

/// Runs a script of `tests/browser/` that says what is wrong by what it prints and how it ends.
#[track_caller]
fn run_script(script: &str, arguments: &[&str]) {
    let output = Command::new(node())
        .current_dir(scripts())
        .arg(script)
        .args(arguments)
        .output()
        .expect("node starts");
    assert!(
        output.status.success(),
        "{script}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

trait Rooms {
    /// A server whose rooms anybody may enter.
    fn rooms() -> TestConfig;
}

impl Rooms for TestConfig {
    fn rooms() -> TestConfig {
        Self::standard()
            .set("signaling.guests", true)
            .set("limits.requests_per_ip", 0)
    }
}

/// Plays a scene against a server of its own.
#[track_caller]
fn play(scene: &str, config: TestConfig) {
    require("chromium", "chromium");
    let Some(mut server) = Server::requires_own_server(config) else {
        return;
    };
    let arguments = json!({
        "scene": scene,
        "seconds": LIMIT.as_secs(),
        "host": server.address(Transport::Tls).to_string(),
    });
    let directory = tempfile::tempdir().expect("a temporary directory");
    let child = Command::new(node())
        .env("TMPDIR", directory.path())
        .arg(scripts().join("room_app.mjs"))
        .arg(arguments.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    let is_done = Script(child).serve(&mut server);
    assert!(
        is_done,
        "{scene} failed; the reason is above, on standard error"
    );
}

/// A running scene; on drop it is given time to close its browser, then killed.
struct Script(Child);

impl Script {
    /// Does what the scene asks for until it ends; returns whether it came to its end.
    fn serve(mut self, server: &mut Server) -> bool {
        let output = BufReader::new(self.0.stdout.take().expect("piped"));
        let mut is_done = false;
        // The script ends itself at the limit, which ends this loop.
        for line in output.lines().map_while(Result::ok) {
            let message: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
            if message["ask"] == "restart" {
                server.restart();
                let input = self.0.stdin.as_mut().expect("open until dropped");
                // A script that has ended says so by ending its output.
                let _ = writeln!(input, "{{}}");
            }
            is_done |= message["done"] == true;
        }
        is_done
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        holds_within(GRACE, || !matches!(self.0.try_wait(), Ok(None)));
        // It has ended, or it is stuck and its browser goes with the pipe.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long a scene may take on a busy machine, the start of the browser included.
const LIMIT: Duration = Duration::from_secs(100);

/// How much longer the script may take to close its browser.
const GRACE: Duration = Duration::from_secs(8);
