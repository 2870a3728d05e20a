//! How long one HTTP connection may take: for the header of a request, and
//! between requests.
//!
//! Whoever has a request open is not hurried here: answering has limits of its own.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::sleep_until;

use crate::clock;

/// The clock of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    state: Mutex<State>,
    changed: Notify,
}

/// Why a connection has to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Over {
    /// The header of a request did not come in time.
    Header,
    /// No request came for long.
    Idle,
}

/// A request that is being answered, until it is dropped.
#[must_use = "dropping it says that the answer is there"]
pub(super) struct Open<'p>(&'p Pace);

#[derive(Debug)]
struct State {
    open: usize,
    /// When the last request ended, or when the one that is being read began.
    since: Instant,
    is_reading: bool,
}

impl Pace {
    /// Begins with a connection that owes a request.
    pub(super) fn new(now: Instant) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                open: 0,
                since: now,
                is_reading: true,
            }),
            changed: Notify::new(),
        })
    }

    /// Notes a request whose header is there.
    pub(super) fn open(&self) -> Open<'_> {
        let mut state = self.lock();
        state.open += 1;
        state.is_reading = false;
        drop(state);
        self.changed.notify_one();
        Open(self)
    }

    /// Waits until the connection has to end.
    pub(super) async fn over(&self) -> Over {
        loop {
            match self.deadline() {
                Some((at, over)) => {
                    tokio::select! {
                        () = sleep_until(at.into()) => {
                            if self.deadline() == Some((at, over)) {
                                return over;
                            }
                        }
                        () = self.changed.notified() => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    fn deadline(&self) -> Option<(Instant, Over)> {
        let state = self.lock();
        if state.open > 0 {
            return None;
        }
        Some(if state.is_reading {
            (state.since + HEADER_TIMEOUT, Over::Header)
        } else {
            (state.since + IDLE_TIMEOUT, Over::Idle)
        })
    }

    /// Bytes between two requests begin the next one.
    fn bytes_came(&self, now: Instant) {
        let mut state = self.lock();
        if state.open > 0 || state.is_reading {
            return;
        }
        state.is_reading = true;
        state.since = now;
        drop(state);
        self.changed.notify_one();
    }

    // Nothing under it can panic, so poison means nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open -= 1;
        state.since = clock::now();
        drop(state);
        self.0.changed.notify_one();
    }
}

/// An HTTP/1.1 connection that tells its [`Pace`] when bytes come. HTTP/2 has
/// frames that are no requests, so its connections go without.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
}

impl<S> Paced<S> {
    pub(super) const fn new(stream: S, pace: Arc<Pace>) -> Self {
        Self { stream, pace }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            this.pace.bytes_came(clock::now());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// How long the header of a request may take, and the first one to begin.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be without a request, its answer's way included.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_due_from_its_first_byte_and_nothing_while_a_request_is_open() {
        let now = clock::now();
        let pace = Pace::new(now);
        assert_eq!(pace.deadline(), Some((now + HEADER_TIMEOUT, Over::Header)));
        let open = pace.open();
        pace.bytes_came(now);
        assert_eq!(pace.deadline(), None);
        drop(open);
        assert_eq!(pace.deadline().unwrap().1, Over::Idle);
        let later = now + Duration::from_secs(5);
        pace.bytes_came(later);
        // One byte now and then does not move it.
        pace.bytes_came(later + Duration::from_secs(9));
        assert_eq!(
            pace.deadline(),
            Some((later + HEADER_TIMEOUT, Over::Header))
        );
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_counts_as_ended() {
        let pace = Pace::new(clock::now());
        let answering = async {
            let _open = pace.open();
            std::future::pending::<()>().await;
        };
        let _ = tokio::time::timeout(Duration::from_millis(1), answering).await;
        assert_eq!(pace.deadline().unwrap().1, Over::Idle);
    }
}
