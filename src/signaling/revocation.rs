//! Telling every worker that a session has ended, so that its allocations end.
//!
//! A full mailbox keeps the rest for the next try. Until a worker knows, the
//! session's credentials are refused already: [`LiveSessions`] is asked first.
//!
//! [`LiveSessions`]: super::LiveSessions

use std::collections::VecDeque;
use std::sync::Arc;

use crate::worker::{Command, WorkerHandle};

/// What each worker has still to be told.
pub(super) struct Revocations {
    workers: Arc<Vec<WorkerHandle>>,
    waiting: Vec<VecDeque<Arc<str>>>,
}

impl Revocations {
    pub(super) fn new(workers: Arc<Vec<WorkerHandle>>) -> Self {
        let waiting = workers.iter().map(|_| VecDeque::new()).collect();
        Self { workers, waiting }
    }

    /// Notes the end of a session.
    pub(super) fn push(&mut self, session: &Arc<str>) {
        for waiting in &mut self.waiting {
            // A worker that stays away so long is about to be restarted.
            if waiting.len() < MAX_WAITING {
                waiting.push_back(Arc::clone(session));
            }
        }
    }

    /// Tells as many as there is room for; `true` when nobody waits any more.
    pub(super) fn flush(&mut self) -> bool {
        for (worker, waiting) in self.workers.iter().zip(&mut self.waiting) {
            while let Some(session) = waiting.pop_front() {
                let told = worker.try_send(Command::EndUser(Arc::clone(&session)));
                if told.is_err() {
                    waiting.push_front(session);
                    break;
                }
            }
        }
        self.waiting.iter().all(VecDeque::is_empty)
    }
}

const MAX_WAITING: usize = 100_000;
