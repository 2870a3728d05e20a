//! Programs of the distribution that the tests run.
//!
//! Each is named with the Debian package that brings it, is bounded in time, and
//! leaves all it wrote behind for the message of a failed test.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use super::holds_within;

/// What a program did.
pub(crate) struct Finished {
    /// `None` when it was killed at the limit.
    pub(crate) status: Option<ExitStatus>,
    /// Standard output and standard error as they came.
    pub(crate) output: String,
}

impl Finished {
    /// Returns the output of a program that ended with success, and panics with it otherwise.
    #[track_caller]
    pub(crate) fn assert_success(self, what: &str) -> String {
        match self.status {
            Some(status) if status.success() => self.output,
            Some(status) => panic!("{what}: {status}\n{}", self.output),
            None => panic!("{what}: did not end in time\n{}", self.output),
        }
    }
}

/// Returns the path of `program`, and panics with the name of its package when it is not there.
#[track_caller]
pub(crate) fn require(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{program} is missing: apt-get install {package}"))
}

/// Panics unless the test runs as root.
#[track_caller]
pub(crate) fn require_root(why: &str) {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let is_root = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0"));
    assert!(is_root, "{why} needs root: run the tests with sudo");
}

/// Runs `command` without input until it ends, and kills it at `limit`.
#[track_caller]
pub(crate) fn run(command: &mut Command, limit: Duration) -> Finished {
    run_with_input(command, "", limit)
}

/// Runs `command` with `input` as standard input until it ends, and kills it at `limit`.
#[track_caller]
pub(crate) fn run_with_input(command: &mut Command, input: &str, limit: Duration) -> Finished {
    // Files instead of pipes: whatever was written survives the kill, and nobody has to read along.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [input_path, output_path] = ["input", "output"].map(|name| directory.path().join(name));
    fs::write(&input_path, input).expect("the temporary directory is writable");
    let output = File::create(&output_path).expect("the temporary directory is writable");
    let both = output.try_clone().expect("a descriptor is free");
    let mut child = command
        .stdin(File::open(&input_path).expect("written above"))
        .stdout(Stdio::from(output))
        .stderr(Stdio::from(both))
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut status = None;
    holds_within(limit, || {
        status = child.try_wait().expect("the child is ours");
        status.is_some()
    });
    if status.is_none() {
        // It may have ended just now.
        let _ = child.kill();
        let _ = child.wait();
    }
    let output = fs::read(&output_path).expect("created above");
    Finished {
        status,
        output: String::from_utf8_lossy(&output).into_owned(),
    }
}
