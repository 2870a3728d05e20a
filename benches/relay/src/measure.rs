//! What a run found, and the line of JSON that says it.

use crate::options::Options;
use crate::process;

/// The counters of the server's process and of its receive thread.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    process: u64,
    receive: u64,
    user_ticks: u64,
    system_ticks: u64,
}

impl Usage {
    /// Reads the counters.
    pub fn read(options: &Options) -> Self {
        let (user_ticks, system_ticks) = process::user_and_system_ticks(options.server_process);
        Self {
            process: process::cpu(options.server_process),
            receive: process::cpu(options.receive_thread),
            user_ticks,
            system_ticks,
        }
    }

    /// Returns what was used since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            process: self.process.saturating_sub(earlier.process),
            receive: self.receive.saturating_sub(earlier.receive),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
        }
    }

    /// The process's CPU time in nanoseconds.
    pub fn process(self) -> u64 {
        self.process
    }
}

/// What one run at one rate found.
#[derive(Default)]
pub struct Run {
    /// Packets per second asked for.
    pub target: f64,
    /// Packets sent after the warm-up.
    pub sent: u64,
    /// Those of them that came out.
    pub received: u64,
    /// Packets that came out during the measured time, for the CPU per packet.
    pub seen: u64,
    /// Packets that came out and were not what was sent.
    pub bad: u64,
    /// Packets that a full stream did not take.
    pub refused: u64,
    /// The measured time in seconds.
    pub seconds: f64,
    /// One-way delays in nanoseconds.
    pub delays: Vec<u32>,
    /// What the server used.
    pub usage: Usage,
}

impl Run {
    /// The part of what was sent that did not come out.
    pub fn loss(&self) -> f64 {
        if self.sent == 0 {
            return 1.0;
        }
        1.0 - self.received as f64 / self.sent as f64
    }

    /// Packets per second that were really sent.
    pub fn sent_rate(&self) -> f64 {
        self.sent as f64 / self.seconds
    }

    /// The median delay in nanoseconds, once there is one.
    pub fn median_delay(&self) -> Option<u32> {
        let mut delays = self.delays.clone();
        let middle = delays.len() / 2;
        (delays.len() > 10).then(|| *delays.select_nth_unstable(middle).1)
    }

    /// Says it all in one line.
    pub fn json(&mut self, kind: &str, options: &Options) -> String {
        self.delays.sort_unstable();
        let packets = self.seen.max(1) as f64;
        let process = self.usage.process as f64 / packets;
        let receive = self.usage.receive as f64 / packets;
        let ticks = (self.usage.user_ticks + self.usage.system_ticks).max(1) as f64;
        Json::new(kind, options)
            .text("transport", options.transport.name())
            .text("mode", options.mode.name())
            .number("size", options.size as f64)
            .number("train", options.train as f64)
            .number("target", self.target)
            .number("sent_per_s", self.sent_rate())
            .number("sent", self.sent as f64)
            .number("received", self.received as f64)
            .number("loss", self.loss())
            .number("process_ns", process)
            .number("user_ns", process * self.usage.user_ticks as f64 / ticks)
            .number("receive_ns", receive)
            .number("total_ns", process + receive)
            .number("p50_us", self.percentile(0.5))
            .number("p99_us", self.percentile(0.99))
            .number("p999_us", self.percentile(0.999))
            .number("bad", self.bad as f64)
            .number("refused", self.refused as f64)
            .end()
    }

    /// Returns a percentile of the sorted delays in microseconds.
    fn percentile(&self, part: f64) -> f64 {
        let Some(last) = self.delays.len().checked_sub(1) else {
            return 0.0;
        };
        let at = ((self.delays.len() as f64 * part) as usize).min(last);
        f64::from(self.delays[at]) / 1000.0
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
            .number("allocations", options.allocations as f64)
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
