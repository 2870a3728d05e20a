//! What a process has used, read from outside, and the clocks to relate it to.

use std::fs;
use std::mem::{size_of, zeroed};

use libc::{CLOCK_MONOTONIC, CLOCK_REALTIME, CPU_SET, clockid_t, cpu_set_t, timespec};

/// CPU time used by a process or kernel thread, in nanoseconds.
pub fn cpu(pid: i32) -> u64 {
    if pid <= 0 {
        return 0;
    }
    // The clock id that the kernel gives the CPU time of process `pid`.
    let of_process = clock((!pid << 3) | 2);
    if of_process > 0 {
        return of_process;
    }
    // Kernel threads have no clock of their own.
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let run_time = stat.split_whitespace().next();
    run_time.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Clock ticks a process spent in user and in kernel mode: coarse, used only to
/// split `cpu`.
pub fn user_and_system_ticks(pid: i32) -> (u64, u64) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in brackets may contain blanks.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let field = |at: usize| {
        fields
            .get(at)
            .and_then(|word| word.parse().ok())
            .unwrap_or(0)
    };
    (field(11), field(12))
}

/// Resident memory of a process in KiB.
pub fn resident_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The machine's load average over one minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let word = text.split_whitespace().next();
    word.and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Keeps this process on one CPU.
pub fn pin(cpu: usize) {
    // SAFETY: `set` is plain data, valid when zeroed, and outlives the call.
    unsafe {
        let mut set: cpu_set_t = zeroed();
        CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<cpu_set_t>(), &raw const set);
    }
}

/// Monotonic time in nanoseconds.
pub fn now() -> u64 {
    clock(CLOCK_MONOTONIC)
}

/// Wall-clock time in nanoseconds: the clock of the kernel's packet timestamps.
pub fn wall_now() -> u64 {
    clock(CLOCK_REALTIME)
}

fn clock(id: clockid_t) -> u64 {
    // SAFETY: `time` is plain data, valid when zeroed, and outlives the call.
    unsafe {
        let mut time: timespec = zeroed();
        libc::clock_gettime(id, &raw mut time);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}
