//! What a process has used, read from outside, and the clocks to relate it to.

use std::fs;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// CPU time used by a process, in nanoseconds.
pub fn cpu(pid: i32) -> u64 {
    // The clock id that the kernel gives the CPU time of process `pid`.
    read(ClockId::from_raw((!pid << 3) | 2))
}

/// CPU time used by this process, in nanoseconds.
pub fn own_cpu() -> u64 {
    read(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// Resident memory of a process in KiB: what `ps` shows.
pub fn resident_kib(pid: i32) -> u64 {
    kib(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Proportional memory of a process in KiB: pages shared with others count in part.
pub fn proportional_kib(pid: i32) -> u64 {
    kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// The machine's load average over one minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let word = text.split_whitespace().next();
    word.and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Keeps this process on one CPU.
pub fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    let pinned = set
        .set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    if let Err(error) = pinned {
        eprintln!("signalingbench: CPU {cpu}: {error}");
    }
}

/// Monotonic time in nanoseconds.
pub fn now() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

fn read(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
    })
}

fn kib(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value.and_then(|word| word.parse().ok()).unwrap_or(0)
}
