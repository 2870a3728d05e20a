//! Browsers that play a scenario of `tests/browser/call.mjs` against a server of ours.
//!
//! The pages come from a web site of the script's own, so the script starts first and says
//! which origin the server has to let in.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Transport;
use super::browser::node;
use super::config::{TestConfig, strings};
use super::holds_within;
use super::server::Server;
use super::tools::require;

/// How long a scenario may take, the start of the browser included.
const LIMIT: Duration = Duration::from_secs(110);

/// How much longer the script may take to close its browser.
const GRACE: Duration = Duration::from_secs(8);

/// Plays the scenario with this name in `browser`, `chromium` or `firefox`, and returns what the
/// script reports. The server runs with `config`, to which the script's origin is added.
#[track_caller]
pub(crate) fn play(browser: &str, scenario: &str, config: TestConfig) -> Value {
    match browser {
        "firefox" => require("firefox-esr", "firefox-esr"),
        _ => require("chromium", "chromium"),
    };
    let mut script = Script::start(&json!({
        "browser": browser,
        "seconds": LIMIT.as_secs(),
        "scenario": scenario,
    }));
    let origin = script.read()["origin"].as_str().map(str::to_owned);
    let origin = origin.expect("the script opens its site first");
    let mut server = Server::start(config.set("signaling.origins", strings(&[&origin])));
    script.tell(&json!({ "server": format!("https://{}", server.address(Transport::Tls)) }));
    loop {
        let line = script.read();
        if line["ask"] == "restart" {
            server.restart();
            script.tell(&json!({}));
            continue;
        }
        let result = &line["result"];
        assert!(!result.is_null(), "{scenario} in {browser}: {line}");
        return result.clone();
    }
}

/// A running script with a directory for all it writes. When it is dropped it is given time to
/// close its browser.
struct Script {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    _directory: TempDir,
}

impl Script {
    fn start(arguments: &Value) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/call.mjs");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut child = Command::new(node())
            .env("TMPDIR", directory.path())
            .arg(script)
            .arg(arguments.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().expect("piped")),
            child,
            _directory: directory,
        }
    }

    /// The next line; the script ends itself at its limit, which ends the wait.
    #[track_caller]
    fn read(&mut self) -> Value {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        read.expect("the script writes UTF-8");
        serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("no result; the reason is above, on standard error"))
    }

    fn tell(&mut self, line: &Value) {
        let input = self.input.as_mut().expect("open until dropped");
        // A script that has ended is noticed by the next read.
        let _ = writeln!(input, "{line}");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.input.take());
        holds_within(GRACE, || !matches!(self.child.try_wait(), Ok(None)));
        // It has ended, or it is stuck and its browser goes with the pipe.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
