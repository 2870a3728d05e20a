//! Watching the workers: proof of life for the service manager, one status
//! line, and a summary of what was dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::sync::oneshot;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, warn};

use crate::clock;
use crate::service;
use crate::turn::DropReason;
use crate::worker::{Command, Report, WorkerHandle};

/// Looks at the workers again and again.
pub(super) struct Supervisor {
    workers: Arc<Vec<WorkerHandle>>,
    ticks: Interval,
    summary: Summary,
}

impl Supervisor {
    /// Begins to watch; call inside the runtime.
    pub(super) fn new(workers: Arc<Vec<WorkerHandle>>) -> Self {
        let period = service::watchdog_interval().map_or(LOOK_INTERVAL, |i| i.min(LOOK_INTERVAL));
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            workers,
            ticks,
            summary: Summary::default(),
        }
    }

    /// Waits for the next look and takes it. The watchdog is fed only when
    /// every worker has answered.
    pub(super) async fn look(&mut self) {
        self.ticks.tick().await;
        let Some(reports) = reports(&self.workers).await else {
            warn!("a worker does not answer");
            return;
        };
        service::alive();
        let allocations: usize = reports.iter().map(|report| report.allocations).sum();
        let streams: usize = reports.iter().map(|report| report.streams).sum();
        service::status(&format!(
            "serving {allocations} allocations, {streams} TCP and TLS clients"
        ));
        self.summary.log(clock::now(), &reports);
    }
}

/// Waits until a worker's thread has ended, which only a fault makes it do.
pub(super) async fn worker_died(workers: Arc<Vec<WorkerHandle>>) {
    while !workers.iter().any(WorkerHandle::is_finished) {
        sleep(LOOK_INTERVAL).await;
    }
}

/// Tells every worker to stop, and waits until they have.
pub(super) async fn stop(workers: &[WorkerHandle]) {
    for worker in workers {
        // One that has ended already needs no telling.
        while !worker.is_finished() && worker.try_send(Command::Stop).is_err() {
            sleep(SEND_PAUSE).await;
        }
    }
    while !workers.iter().all(WorkerHandle::is_finished) {
        sleep(STOP_PAUSE).await;
    }
}

/// Puts a command into a worker's mailbox, waiting while that is full.
pub(super) async fn send(worker: &WorkerHandle, command: Command) -> anyhow::Result<()> {
    let mut command = command;
    for _ in 0..SEND_TRIES {
        match worker.try_send(command) {
            Ok(()) => return Ok(()),
            Err(back) => command = back,
        }
        sleep(SEND_PAUSE).await;
    }
    bail!("a worker does not take commands")
}

async fn reports(workers: &[WorkerHandle]) -> Option<Vec<Report>> {
    let mut waiting = Vec::new();
    for worker in workers {
        let (sender, receiver) = oneshot::channel();
        worker.try_send(Command::Report(sender)).ok()?;
        waiting.push(receiver);
    }
    let mut reports = Vec::new();
    for receiver in waiting {
        reports.push(timeout(ANSWER_TIMEOUT, receiver).await.ok()?.ok()?);
    }
    Some(reports)
}

/// Says once a minute what was dropped since the last time.
#[derive(Default)]
struct Summary {
    logged_at: Option<Instant>,
    seen: Vec<(&'static str, u64)>,
}

impl Summary {
    fn log(&mut self, now: Instant, reports: &[Report]) {
        if self
            .logged_at
            .is_some_and(|at| now.duration_since(at) < SUMMARY_INTERVAL)
        {
            return;
        }
        self.logged_at = Some(now);
        let totals = totals(reports);
        let before = |name| {
            self.seen
                .iter()
                .find(|(seen, _)| *seen == name)
                .map_or(0, |(_, n)| *n)
        };
        for (name, total) in &totals {
            let new = total - before(*name);
            if new > 0 {
                debug!(reason = name, count = new, total, "dropped");
            }
        }
        self.seen = totals;
    }
}

fn totals(reports: &[Report]) -> Vec<(&'static str, u64)> {
    let sum = |count: &dyn Fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    let mut totals: Vec<(&'static str, u64)> = DropReason::ALL
        .iter()
        .map(|reason| (reason.name(), sum(&|r| r.turn.dropped[*reason as usize])))
        .collect();
    totals.extend([
        ("slow_reader", sum(&|r| r.driver.slow_reader_drops)),
        ("broken_stream", sum(&|r| r.driver.broken_streams)),
        ("idle_stream", sum(&|r| r.driver.idle_streams)),
        ("sibling_ring_full", sum(&|r| r.driver.sibling_drops)),
        ("relay_bind_failed", sum(&|r| r.driver.bind_failures)),
        ("udp_socket_full", sum(&|r| r.udp.dropped_full)),
        ("udp_refused", sum(&|r| r.udp.refused)),
    ]);
    totals
}

const LOOK_INTERVAL: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const SUMMARY_INTERVAL: Duration = Duration::from_secs(60);
const SEND_TRIES: u32 = 100;
const SEND_PAUSE: Duration = Duration::from_millis(20);
const STOP_PAUSE: Duration = Duration::from_millis(2);
