//! How the kernel backs this process's memory.

use nix::sys::prctl;
use tracing::debug;

/// Asks the kernel for small pages only, for all threads of this process.
///
/// The allocator asks for huge ones. Each is cleared at its first touch, 2 MiB at
/// a time, under whoever touches it: on a virtual machine that is up to 5 ms in
/// which nothing else of a thread goes on, and memory between live objects counts
/// as used (docs/performance.md).
pub(super) fn use_small_pages() {
    if let Err(error) = prctl::set_thp_disable(true) {
        // A kernel without huge pages does not know the request.
        debug!(%error, "huge pages cannot be switched off");
    }
}
