//! What was used and how long it took, and the line of JSON that says it.

use crate::options::Options;
use crate::process;

/// The clock and the CPU times at one moment, or between two.
#[derive(Clone, Copy)]
pub struct Usage {
    time: u64,
    server: u64,
    own: u64,
}

impl Usage {
    /// Reads the counters.
    pub fn read(options: &Options) -> Self {
        Self {
            time: process::now(),
            server: process::cpu(options.server_process),
            own: process::own_cpu(),
        }
    }

    /// Returns what was used since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            time: self.time.saturating_sub(earlier.time),
            server: self.server.saturating_sub(earlier.server),
            own: self.own.saturating_sub(earlier.own),
        }
    }

    /// The time that passed, in seconds.
    pub fn seconds(self) -> f64 {
        self.time as f64 / 1e9
    }

    /// The server's CPU time in microseconds.
    pub fn server_us(self) -> f64 {
        self.server as f64 / 1e3
    }

    /// The part of the time that the server was at work.
    pub fn server_share(self) -> f64 {
        self.server as f64 / self.time.max(1) as f64
    }

    /// The part of the time that the generator was at work.
    pub fn own_share(self) -> f64 {
        self.own as f64 / self.time.max(1) as f64
    }
}

/// Delays in nanoseconds.
#[derive(Default)]
pub struct Delays(Vec<u64>);

impl Delays {
    /// Adds what lies between two times.
    pub fn add(&mut self, from: u64, to: u64) {
        self.0.push(to.saturating_sub(from));
    }

    /// Returns `parts`, each from 0 to 1, of the delays in microseconds.
    pub fn percentiles<const N: usize>(&mut self, parts: [f64; N]) -> [f64; N] {
        self.0.sort_unstable();
        parts.map(|part| {
            let Some(last) = self.0.len().checked_sub(1) else {
                return 0.0;
            };
            let at = ((self.0.len() as f64 * part) as usize).min(last);
            self.0[at] as f64 / 1000.0
        })
    }
}

/// A JSON object in the making. Its names and texts are ours and need no escapes.
pub struct Json(String);

impl Json {
    /// Begins with what every line says.
    pub fn new(kind: &str, options: &Options) -> Self {
        Self("{".to_owned())
            .text("kind", kind)
            .text("server", &options.label)
            .number("load", process::load_average())
    }

    /// Adds a text.
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.0 += &format!("\"{name}\":\"{value}\",");
        self
    }

    /// Adds a number.
    pub fn number(mut self, name: &str, value: f64) -> Self {
        self.0 += &format!("\"{name}\":{value:.6},");
        self
    }

    /// Returns the object.
    pub fn end(self) -> String {
        format!("{}}}", self.0.trim_end_matches(','))
    }
}
