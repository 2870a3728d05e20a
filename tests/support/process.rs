//! The process under test: start, ready line, log, signals, end.
//!
//! It dies with the test in every case: killed on drop, and by the kernel when
//! the test itself is killed (`setpriv --pdeathsig`).

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use turnstone::clock;

use super::{Transport, time_left};

/// How long a start may take on a busy machine in a debug build.
const START: Duration = Duration::from_secs(20);

/// A running server process.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    events: Receiver<Value>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts the binary with `config`, in a network namespace if one is named, and returns it
    /// with its listeners once it is ready.
    pub(crate) fn start(
        namespace: Option<&str>,
        config: &Path,
    ) -> (Self, Vec<(Transport, SocketAddr)>) {
        let mut child = command(namespace)
            .args(["run", "--config"])
            .arg(config)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let (sender, events) = mpsc::channel();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take().expect("stderr is piped");
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || read_log(BufReader::new(stderr), &log, &sender)
        });
        let process = Self {
            child,
            log,
            events,
            reader: Some(reader),
        };
        let listeners = process.wait_until_ready();
        (process, listeners)
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the signal with this name, for example `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.id().to_string()])
            .status()
            .expect("kill exists");
        assert!(status.success(), "SIG{name} could not be sent");
    }

    /// The number that the next descriptor of the process gets.
    pub(crate) fn lowest_free_descriptor(&self) -> usize {
        let is_open = |number: &usize| {
            let path = format!("/proc/{}/fd/{number}", self.id());
            std::fs::symlink_metadata(path).is_ok()
        };
        (0..)
            .find(|number| !is_open(number))
            .expect("some are free")
    }

    /// Lets the process have descriptors below this number and no more.
    pub(crate) fn limit_descriptors(&self, count: usize) {
        let status = Command::new("prlimit")
            .args(["--pid", &self.id().to_string()])
            .arg(format!("--nofile={count}:"))
            .status()
            .expect("prlimit exists");
        assert!(status.success(), "the limit could not be set");
    }

    /// Ends the process at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }

    /// Asks the process to stop and returns whether it ended with success.
    pub(crate) fn stop(&mut self) -> bool {
        self.signal("TERM");
        let ended = super::holds_within(super::PATIENCE, || {
            matches!(self.child.try_wait(), Ok(Some(_)))
        });
        ended && self.child.wait().is_ok_and(|status| status.success())
    }

    /// The resident memory of the process, in bytes.
    pub(crate) fn resident_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))
            .expect("the process is alive");
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse::<u64>().ok())
            .expect("Linux reports VmRSS");
        kilobytes * 1024
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic in the reader").join("\n")
    }

    fn wait_until_ready(&self) -> Vec<(Transport, SocketAddr)> {
        let deadline = clock::now() + START;
        let mut listeners = Vec::new();
        while let Ok(event) = self.events.recv_timeout(time_left(deadline)) {
            let fields = &event["fields"];
            match fields["message"].as_str() {
                Some("listening") => listeners.extend(listener(fields)),
                Some("ready") => return listeners,
                Some(_) | None => {}
            }
        }
        panic!("the server did not become ready; its log:\n{}", self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            show(&self.log());
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "shown by the harness when a test fails"
)]
fn show(log: &str) {
    eprintln!("---- log of the server\n{log}\n----");
}

fn listener(fields: &Value) -> Option<(Transport, SocketAddr)> {
    let address = fields["address"].as_str()?.parse().ok()?;
    let transport = match fields["transport"].as_str()? {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        _ => return None,
    };
    Some((transport, address))
}

fn read_log(stderr: impl BufRead, log: &Mutex<Vec<String>>, events: &Sender<Value>) {
    for line in stderr.lines().map_while(Result::ok) {
        if let Ok(event) = serde_json::from_str(&line) {
            // Nobody waits for events after the start.
            let _ = events.send(event);
        }
        log.lock().expect("no panic in the owner").push(line);
    }
}

/// The binary, wrapped so that the kernel kills it when its parent dies.
fn command(namespace: Option<&str>) -> Command {
    let binary = env!("CARGO_BIN_EXE_turnstone");
    let mut words = Vec::new();
    if let Some(name) = namespace {
        words.extend(["ip", "netns", "exec", name]);
    }
    if Path::new("/usr/bin/setpriv").exists() {
        words.extend(["/usr/bin/setpriv", "--pdeathsig", "KILL", "--"]);
    }
    words.push(binary);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}
