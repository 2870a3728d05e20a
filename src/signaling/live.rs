//! Which sessions exist, for those who judge TURN credentials.
//!
//! Written when a session begins or ends; workers read it when a request is
//! authenticated, never for a packet.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::auth::Sessions;

/// The ids of all sessions; the core bounds how many there are.
#[derive(Debug, Default)]
pub struct LiveSessions(RwLock<HashSet<Arc<str>>>);

impl LiveSessions {
    pub(super) fn insert(&self, session: Arc<str>) {
        let mut sessions = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(session);
    }

    pub(super) fn remove(&self, session: &str) {
        let mut sessions = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(session);
    }
}

impl Sessions for LiveSessions {
    fn is_live(&self, session: &str) -> bool {
        let sessions = self.0.read().unwrap_or_else(PoisonError::into_inner);
        sessions.contains(session)
    }
}
