//! A booted systemd with turnstone's unit, for as long as the value lives.
//!
//! It runs in namespaces of its own on the root of this machine; what it writes
//! is kept in memory. `boot.sh` builds it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use turnstone::clock;

/// How long anything in the machine may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often something is looked at that cannot be waited on.
const GLANCE: Duration = Duration::from_millis(20);

/// What the name of a machine's cgroup begins with; the test's process id follows.
const CGROUP: &str = "turnstone-boot-";

/// What the unit stands on: targets without a content.
const TARGETS: &[&str] = &[
    "basic",
    "default",
    "multi-user",
    "network-online",
    "shutdown",
    "sysinit",
];

/// A booted systemd.
pub(crate) struct Machine {
    /// Becomes `unshare`, which takes systemd with it when it is killed.
    unshare: Child,
    cgroup: PathBuf,
    /// The process id of its systemd, seen from here.
    init: u32,
    _directory: TempDir,
}

impl Machine {
    /// Boots with `config` as the configuration file and `drop_in` beside the unit.
    pub(crate) fn boot(config: &str, drop_in: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        write_files(directory.path(), config, drop_in);
        let mount = cgroup_mount();
        remove_stale_cgroups(&mount);
        let cgroup = mount.join(format!("{CGROUP}{}", process::id()));
        fs::create_dir(&cgroup).expect("root may make a cgroup");
        let script = repository().join("tests/systemd_boot/boot.sh");
        let unshare = Command::new(script)
            .arg("enter")
            .arg(&cgroup)
            .arg(directory.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut machine = Self {
            unshare,
            cgroup,
            init: 0,
            _directory: directory,
        };
        machine.init = wait_for("systemd to start", || machine.find_init());
        wait_for("the units to be loaded", || {
            let output = machine.run(&["systemctl", "is-system-running"]);
            (text(&output).trim() == "running").then_some(())
        });
        machine
    }

    /// Runs a command in the machine to its end.
    pub(crate) fn run(&self, command: &[&str]) -> Output {
        Command::new("nsenter")
            .arg(format!("--target={}", self.init))
            .args(["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup"])
            .args(["timeout", &PATIENCE.as_secs().to_string()])
            .args(command)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs `systemctl VERB turnstone`, which has to succeed.
    pub(crate) fn systemctl(&self, verb: &str) {
        let output = self.run(&["systemctl", verb, "turnstone"]);
        let log = self.read("run/turnstone.log");
        assert!(
            output.status.success(),
            "{verb}: {}{}\n{log}",
            text(&output),
            self.show("Result")
        );
    }

    /// Returns a property of the unit.
    pub(crate) fn show(&self, property: &str) -> String {
        let output = self.run(&["systemctl", "show", "--value", "-p", property, "turnstone"]);
        text(&output).trim().to_owned()
    }

    /// Reads a file of the machine; empty without one.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// Replaces what is in a file of the machine, which keeps owner and mode.
    pub(crate) fn write(&self, path: &str, content: &str) {
        fs::write(self.path(path), content).unwrap();
    }

    /// Returns where a file of the machine is seen from here.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        Path::new(&format!("/proc/{}/root", self.init)).join(path)
    }

    /// Returns the child of `unshare` once it is systemd and takes commands.
    fn find_init(&mut self) -> Option<u32> {
        let ended = self.unshare.try_wait().unwrap();
        assert!(ended.is_none(), "the machine did not boot: {ended:?}");
        let parent = self.unshare.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
        let init = children.split_whitespace().next()?.parse().ok()?;
        let socket = format!("/proc/{init}/root/run/systemd/private");
        Path::new(&socket).exists().then_some(init)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Best effort: a failed test reports its own failure, not this one's.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let deadline = clock::now() + PATIENCE;
        while remove_cgroup(&self.cgroup).is_err() && clock::now() < deadline {
            thread::sleep(GLANCE);
        }
    }
}

/// Waits until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::now() < deadline, "waited {PATIENCE:?} for {what}");
        thread::sleep(GLANCE);
    }
}

/// Returns what a command printed.
pub(crate) fn text(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    format!("{out}{err}")
}

fn write_files(directory: &Path, config: &str, drop_in: &str) {
    let units = directory.join("units");
    let drop_ins = units.join("turnstone.service.d");
    fs::create_dir_all(&drop_ins).unwrap();
    for target in TARGETS {
        let content = "[Unit]\nDefaultDependencies=no\n";
        fs::write(units.join(format!("{target}.target")), content).unwrap();
    }
    let source = repository().join("systemd");
    fs::copy(
        source.join("turnstone.service"),
        units.join("turnstone.service"),
    )
    .unwrap();
    fs::copy(
        source.join("sysusers.d/turnstone.conf"),
        directory.join("sysusers.conf"),
    )
    .unwrap();
    // There is no journal here.
    let log = "[Service]\nStandardOutput=append:/run/turnstone.log\nStandardError=inherit\n";
    fs::write(drop_ins.join("log.conf"), log).unwrap();
    fs::write(drop_ins.join("test.conf"), drop_in).unwrap();
    fs::write(directory.join("turnstone.toml"), config).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_turnstone"), directory.join("turnstone")).unwrap();
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns where the unified cgroup hierarchy is mounted.
fn cgroup_mount() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|fields| fields[2] == "cgroup2");
    PathBuf::from(mount.expect("cgroup2 is mounted")[1])
}

/// Removes what killed tests left behind.
fn remove_stale_cgroups(mount: &Path) {
    for entry in fs::read_dir(mount).unwrap().flatten() {
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(|name| name.strip_prefix(CGROUP)) else {
            continue;
        };
        if !Path::new("/proc").join(owner).exists() {
            // Whatever still lives in it, another run gets to it.
            let _ = remove_cgroup(&entry.path());
        }
    }
}

/// Removes a cgroup with those below it, once no process is left in them.
fn remove_cgroup(cgroup: &Path) -> io::Result<()> {
    for entry in fs::read_dir(cgroup)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_cgroup(&entry.path())?;
        }
    }
    fs::remove_dir(cgroup)
}
