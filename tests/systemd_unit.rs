//! Judges the files in `systemd/` with systemd's own tools, without a running
//! systemd: syntax, exposure, the user, the kernel settings.
//!
//! `systemd_boot.rs` starts the service for real.

#![expect(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The most exposure that `systemd-analyze security` may find, of 10.
const MAX_EXPOSURE: f64 = 2.0;

#[test]
fn the_unit_is_hardened() {
    let output = exposure(&unit(), MAX_EXPOSURE);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_unit_without_hardening_would_be_found() {
    let dir = tempfile::tempdir().unwrap();
    let loose = dir.path().join("turnstone.service");
    fs::write(&loose, "[Service]\nExecStart=/bin/true\n").unwrap();
    assert!(!exposure(&loose, MAX_EXPOSURE).status.success());
}

#[test]
fn the_unit_has_no_mistakes() {
    let output = verify(&with_our_binary(""));
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(text(&output), "");
}

#[test]
fn a_mistake_in_the_unit_would_be_found() {
    let output = verify(&with_our_binary("[Service]\nProtectHorne=yes\n"));
    assert!(text(&output).contains("ProtectHorne"), "{}", text(&output));
}

#[test]
fn every_drop_in_has_no_mistakes_and_opens_nothing() {
    let drop_ins: Vec<PathBuf> = fs::read_dir(file("drop-ins"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!drop_ins.is_empty());
    for drop_in in drop_ins {
        let dir = with_our_binary(&fs::read_to_string(&drop_in).unwrap());
        let output = verify(&dir);
        assert_eq!(text(&output), "", "{}", drop_in.display());
        let output = exposure(&dir.path().join("turnstone.service"), MAX_EXPOSURE);
        assert!(output.status.success(), "{}", drop_in.display());
    }
}

#[test]
fn the_user_is_made_without_login() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let output = Command::new("systemd-sysusers")
        .arg(format!("--root={}", root.path().display()))
        .arg(file("sysusers.d/turnstone.conf"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let passwd = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let user = passwd.lines().find(|line| line.starts_with("turnstone:"));
    assert!(user.unwrap().ends_with("/nologin"), "{passwd}");
}

#[test]
fn every_kernel_setting_exists() {
    let settings = fs::read_to_string(file("sysctl.d/50-turnstone.conf")).unwrap();
    let keys: Vec<&str> = settings
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once(" = ").unwrap().0)
        .collect();
    assert!(!keys.is_empty());
    for key in keys {
        let path = Path::new("/proc/sys").join(key.replace('.', "/"));
        assert!(path.exists(), "{key}");
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("systemd")
        .join(name)
}

fn unit() -> PathBuf {
    file("turnstone.service")
}

/// Returns a directory with the unit, started from where cargo put the program,
/// and `drop_in` beside it unless that is empty.
fn with_our_binary(drop_in: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(unit()).unwrap();
    let ours = unit.replace("/usr/bin/turnstone", env!("CARGO_BIN_EXE_turnstone"));
    assert_ne!(unit, ours, "ExecStart= has moved");
    fs::write(dir.path().join("turnstone.service"), ours).unwrap();
    if !drop_in.is_empty() {
        let drop_ins = dir.path().join("turnstone.service.d");
        fs::create_dir(&drop_ins).unwrap();
        fs::write(drop_ins.join("test.conf"), drop_in).unwrap();
    }
    dir
}

fn verify(dir: &TempDir) -> Output {
    Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(dir.path().join("turnstone.service"))
        .output()
        .unwrap()
}

/// Runs the security review of `unit`, which fails above `most` exposure.
fn exposure(unit: &Path, most: f64) -> Output {
    Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--no-pager"])
        .arg(format!("--threshold={}", most * 10.0))
        .arg(unit)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    format!("{out}{err}")
}
