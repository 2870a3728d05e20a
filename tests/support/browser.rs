//! Installed browsers that connect through a relay, driven by the scripts in `tests/browser/`.
//!
//! `connect_in_one_page` is for a server on loopback. `BrowserEnd` is one of two browser processes
//! in different places, whose signals the test carries between them.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use turnstone::clock;

use super::config::Account;
use super::tools::require;
use super::{holds_within, time_left};

/// How long the two ends may take, the start of the browsers included.
const LIMIT: Duration = Duration::from_secs(50);

/// How much longer the script may take to say where it got stuck.
const GRACE: Duration = Duration::from_secs(8);

/// The browsers of Debian.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Browser {
    Chromium,
    Firefox,
}

impl Browser {
    fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }

    fn require(self) {
        match self {
            Self::Chromium => require("chromium", "chromium"),
            Self::Firefox => require("firefox-esr", "firefox-esr"),
        };
    }
}

/// What one end saw of the other.
#[derive(Clone, Debug)]
pub(crate) struct EndReport {
    /// Bytes of the data channel, compared with what was sent.
    pub(crate) data_bytes: u64,
    /// Video frames decoded; there were more after the first count.
    pub(crate) frames_decoded: u64,
    /// Colors in one decoded frame.
    pub(crate) colors: u64,
    /// `candidateType` of this end of the selected pair.
    pub(crate) local_type: String,
    /// `relayProtocol` of this end; empty unless it is a relay.
    pub(crate) relay_protocol: String,
    /// `candidateType` of the other end of the selected pair.
    pub(crate) remote_type: String,
}

impl EndReport {
    fn parse(report: &Value) -> Self {
        let number = |key: &str| report[key].as_u64().unwrap_or_default();
        let text = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
        Self {
            data_bytes: number("dataBytes"),
            frames_decoded: number("framesDecoded"),
            colors: number("colors"),
            local_type: text("localType"),
            relay_protocol: text("relayProtocol"),
            remote_type: text("remoteType"),
        }
    }

    /// Panics unless data and pictures arrived.
    #[track_caller]
    pub(crate) fn assert_media_arrived(&self) {
        assert!(self.data_bytes >= 100_000, "too little data: {self:?}");
        assert!(self.frames_decoded >= 30, "too few frames: {self:?}");
        assert!(self.colors > 1, "the picture is empty: {self:?}");
    }
}

/// Makes an `RTCConfiguration`. `policy` is an `RTCIceTransportPolicy`.
pub(crate) fn rtc_configuration(policy: &str, urls: &[String], account: &Account) -> Value {
    json!({
        "iceTransportPolicy": policy,
        "iceServers": [{
            "urls": urls,
            "username": account.username,
            "credential": account.password,
        }],
    })
}

/// Connects two ends in one page and returns what each of them saw.
#[track_caller]
pub(crate) fn connect_in_one_page(browser: Browser, rtc: &Value) -> [EndReport; 2] {
    browser.require();
    let mut script = spawn(&mut Command::new(node()), "relay.mjs", browser, rtc, false);
    let mut output = BufReader::new(script.child.stdout.take().expect("piped"));
    let answer = read_line(&mut output);
    [0, 1].map(|end| EndReport::parse(&answer["ends"][end]))
}

/// One browser process with one end of the connection.
pub(crate) struct BrowserEnd {
    script: Script,
    input: Option<ChildStdin>,
    reader: Option<JoinHandle<()>>,
}

impl BrowserEnd {
    /// Starts a browser through `place`, a command that runs the program that follows it.
    fn open(
        place: &mut Command,
        rtc: &Value,
        offers: bool,
        events: Sender<(usize, Value)>,
    ) -> Self {
        Browser::Chromium.require();
        let script = spawn(place, "side.mjs", Browser::Chromium, rtc, offers);
        Self::watch(script, usize::from(!offers), events)
    }

    /// Passes on what the script says, under `index`.
    fn watch(mut script: Script, index: usize, events: Sender<(usize, Value)>) -> Self {
        let input = script.child.stdin.take();
        let output = BufReader::new(script.child.stdout.take().expect("piped"));
        let reader = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or(Value::Null);
                // Nobody listens once both ends have reported.
                let _ = events.send((index, event));
            }
            let _ = events.send((index, json!({"error": "the script ended"})));
        });
        Self {
            script,
            input,
            reader: Some(reader),
        }
    }

    fn tell(&mut self, message: &Value) {
        let input = self.input.as_mut().expect("open until dropped");
        // A script that has ended reports it through its events.
        let _ = writeln!(input, "{message}");
    }
}

impl Drop for BrowserEnd {
    fn drop(&mut self) {
        // The script closes its browser when its input ends.
        drop(self.input.take());
        self.script.end();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Connects two Chromium processes, each started through one of `places`, with the same
/// `RTCConfiguration`, and returns what each end saw.
#[track_caller]
pub(crate) fn connect_processes(places: [&mut Command; 2], rtc: &Value) -> [EndReport; 2] {
    let deadline = clock::now() + LIMIT;
    let (sender, events) = mpsc::channel();
    let [offerer, answerer] = places;
    let mut ends = [
        BrowserEnd::open(offerer, rtc, true, sender.clone()),
        BrowserEnd::open(answerer, rtc, false, sender),
    ];
    let mut ready = 0;
    let mut reports = [None, None];
    while reports.iter().any(Option::is_none) {
        let (from, event) = next_event(&events, deadline);
        if event["ready"] == true {
            ready += 1;
            if ready == 2 {
                ends.iter_mut()
                    .rev()
                    .for_each(|end| end.tell(&json!({"start": true})));
            }
        } else if !event["signal"].is_null() {
            ends[1 - from].tell(&json!({"signal": event["signal"]}));
        } else if !event["result"].is_null() {
            reports[from] = Some(EndReport::parse(&event["result"]));
        } else {
            panic!("end {from} failed: {event}");
        }
    }
    reports.map(|report| report.expect("the loop ends with both"))
}

/// What one person of a room saw of the other.
#[derive(Clone, Debug)]
pub(crate) struct PersonReport {
    /// Video frames decoded.
    pub(crate) frames: u64,
    /// Colors in one decoded frame.
    pub(crate) colors: u64,
    /// `candidateType` of this end of the selected pair.
    pub(crate) local_type: String,
    /// `candidateType` of the other end.
    pub(crate) remote_type: String,
}

impl PersonReport {
    /// Panics unless pictures arrived.
    #[track_caller]
    pub(crate) fn assert_media_arrived(&self) {
        assert!(self.frames >= 30, "too few frames: {self:?}");
        assert!(self.colors > 1, "the picture is empty: {self:?}");
    }

    /// Whether media passes a relay; a client may also send straight to the
    /// relayed address of the other.
    pub(crate) fn uses_the_relay(&self) -> bool {
        self.local_type == "relay" || self.remote_type == "relay"
    }
}

/// Lets two browsers, each started through one of `places`, meet in the room app
/// at `url`, and returns what each saw.
#[track_caller]
pub(crate) fn meet(places: [(&mut Command, Browser); 2], url: &str) -> [PersonReport; 2] {
    let deadline = clock::now() + LIMIT;
    let (sender, events) = mpsc::channel();
    let mut index = 0;
    let _people = places.map(|(place, browser)| {
        browser.require();
        let name = ["Ann", "Ben"][index];
        let arguments = json!({
            "browser": browser.name(),
            "seconds": LIMIT.as_secs(),
            "url": url,
            "name": name,
        });
        let script = spawn_with(place, "room_side.mjs", &arguments);
        let person = BrowserEnd::watch(script, index, sender.clone());
        index += 1;
        person
    });
    let mut reports = [None, None];
    while reports.iter().any(Option::is_none) {
        let (from, event) = next_event(&events, deadline);
        let result = &event["result"];
        assert!(!result.is_null(), "person {from} failed: {event}");
        let number = |key: &str| result[key].as_u64().unwrap_or_default();
        let text = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
        reports[from] = Some(PersonReport {
            frames: number("frames"),
            colors: number("colors"),
            local_type: text("localType"),
            remote_type: text("remoteType"),
        });
    }
    reports.map(|report| report.expect("the loop ends with both"))
}

/// Two pages of another web site with the PeerJS client of npm.
pub(crate) struct PeerJsPages {
    script: Script,
    output: BufReader<ChildStdout>,
    origin: String,
}

impl PeerJsPages {
    /// Opens the web site, whose origin the server has to know; the pages come later.
    #[track_caller]
    pub(crate) fn open() -> Self {
        Browser::Chromium.require();
        let arguments = json!({"seconds": LIMIT.as_secs()});
        let mut script = spawn_with(&mut Command::new(node()), "peerjs.mjs", &arguments);
        let mut output = BufReader::new(script.child.stdout.take().expect("piped"));
        let origin = read_line(&mut output)["origin"].as_str().map(str::to_owned);
        Self {
            script,
            output,
            origin: origin.expect("the script names its site"),
        }
    }

    /// The origin of the pages.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Takes the steps with this name in the script, and returns what was seen.
    #[track_caller]
    pub(crate) fn run(mut self, steps: &str, options: &Value) -> Value {
        let input = self.script.child.stdin.as_mut().expect("piped");
        let message = json!({"steps": steps, "options": options});
        writeln!(input, "{message}").expect("the script reads");
        read_line(&mut self.output)["result"].take()
    }
}

/// Reads one line of a script, which ends itself at the limit and with it this line.
#[track_caller]
fn read_line(output: &mut impl BufRead) -> Value {
    let mut line = String::new();
    output
        .read_line(&mut line)
        .expect("the script writes UTF-8");
    serde_json::from_str(&line)
        .unwrap_or_else(|_| panic!("no result; the reason is above, on standard error"))
}

#[track_caller]
fn next_event(events: &Receiver<(usize, Value)>, deadline: std::time::Instant) -> (usize, Value) {
    events
        .recv_timeout(time_left(deadline) + GRACE)
        .unwrap_or_else(|_| panic!("no result; the reason is above, on standard error"))
}

/// A running script with a directory for all it writes; on drop it is given time to close its
/// browser, then killed.
struct Script {
    child: Child,
    _directory: TempDir,
}

impl Script {
    fn end(&mut self) {
        drop(self.child.stdin.take());
        holds_within(GRACE, || !matches!(self.child.try_wait(), Ok(None)));
        // It has ended, or it is stuck and its browser goes with the pipe.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.end();
    }
}

fn spawn(place: &mut Command, script: &str, browser: Browser, rtc: &Value, offers: bool) -> Script {
    let arguments = json!({
        "browser": browser.name(),
        "seconds": LIMIT.as_secs(),
        "offers": offers,
        "rtc": rtc,
    });
    spawn_with(place, script, &arguments)
}

fn spawn_with(place: &mut Command, script: &str, arguments: &Value) -> Script {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let child = place
        .env("TMPDIR", directory.path())
        .arg(scripts().join(script))
        .arg(arguments.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    Script {
        child,
        _directory: directory,
    }
}

/// The path of the interpreter of the scripts, once everything that they need is there.
pub(crate) fn node() -> PathBuf {
    let modules = scripts().join("node_modules/playwright-core");
    assert!(
        modules.is_dir(),
        "playwright-core is missing: npm ci --prefix tests/browser (apt-get install npm)"
    );
    require("node", "nodejs")
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}
