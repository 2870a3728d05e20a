//! The one timer of a core that sits behind a lock.

use std::time::Instant;

use tokio::sync::{Notify, watch};
use tokio::time::sleep_until;

/// Calls `when_due` at the time that `next` names, again and again until `stop`
/// changes. `sooner` says that the time may have come closer.
pub(super) async fn run(
    mut stop: watch::Receiver<bool>,
    sooner: &Notify,
    next: impl Fn() -> Option<Instant>,
    when_due: impl Fn(),
) {
    loop {
        let next = next();
        let due = async {
            match next {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => when_due(),
            () = sooner.notified() => {}
            // An error means that the sender is gone, which is a stop as well.
            _ = stop.changed() => return,
        }
    }
}

/// Whether a deadline has come closer.
pub(super) fn is_sooner(before: Option<Instant>, after: Option<Instant>) -> bool {
    after.is_some_and(|after| before.is_none_or(|before| after < before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn sooner_is_earlier_than_before_or_the_first_at_all() {
        let now = clock::now();
        let later = now + std::time::Duration::from_secs(1);
        assert!(is_sooner(None, Some(now)));
        assert!(is_sooner(Some(later), Some(now)));
        assert!(!is_sooner(Some(now), Some(now)));
        assert!(!is_sooner(Some(now), Some(later)));
        assert!(!is_sooner(Some(now), None));
        assert!(!is_sooner(None, None));
    }
}
