//! Where commands write: results to stdout, everything else to stderr.

use std::io::{self, Write};

/// Writes a result and a line break to stdout.
///
/// A reader that has gone away (`turnstone config --full | head`) is no error.
pub(super) fn result(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("stdout cannot be written"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a remark to stderr; if that is closed, nobody wants it.
pub(super) fn hint(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
