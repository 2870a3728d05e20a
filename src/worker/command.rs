//! What the control side tells a worker, and asks of it.
//!
//! The mailbox is bounded; when it is full a new client is turned away, and
//! everything else is tried again by its sender.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use mio::Waker;
use rustls::ServerConnection;
use tokio::sync::oneshot;

use crate::auth::Directory;
use crate::net::udp::SendCounters;
use crate::turn::{self, Alternate, Counters, FiveTuple};

/// One message to a worker.
pub enum Command {
    /// A TCP or TLS client whose first bytes are STUN or ChannelData.
    Client(Box<NewClient>),
    /// New settings after a reload.
    Reconfigure(Box<turn::Options>, Arc<Directory>),
    /// A session of signaling has ended, and its allocations with it.
    EndUser(Arc<str>),
    /// Where new clients are sent from now on.
    SetAlternate(Option<Alternate>),
    /// Asks for a report, which also shows that the worker moves.
    Report(oneshot::Sender<Report>),
    /// Close everything and end the thread.
    Stop,
}

/// A stream on its way to a worker.
pub struct NewClient {
    /// The nonblocking socket.
    pub socket: TcpStream,
    /// The TLS session, after its handshake.
    pub tls: Option<Box<ServerConnection>>,
    /// Plain bytes that were read already.
    pub early: Vec<u8>,
    /// Plain bytes that must still be written.
    pub unsent: Vec<u8>,
    /// Both ends.
    pub five_tuple: FiveTuple,
    /// Counts the connection for its address; dropped when it closes.
    pub permit: Box<dyn Send>,
}

/// What a worker has done since its start, and what it holds.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Counts of the TURN server.
    pub turn: Counters,
    /// Counts of sending over UDP.
    pub udp: SendCounters,
    /// Counts of the driver.
    pub driver: DriverCounters,
    /// Allocations at this moment.
    pub allocations: usize,
    /// TCP and TLS clients at this moment.
    pub streams: usize,
}

/// Counts of the driver itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DriverCounters {
    /// Frames dropped because a stream's reader was too slow.
    pub slow_reader_drops: u64,
    /// Streams closed because they spoke no STUN.
    pub broken_streams: u64,
    /// Streams closed because nothing came of them in time.
    pub idle_streams: u64,
    /// Datagrams that another worker's full ring refused.
    pub sibling_drops: u64,
    /// Relay sockets that could not be bound.
    pub bind_failures: u64,
}

/// Where commands for a worker are put.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    sender: SyncSender<Command>,
    waker: Arc<Waker>,
}

impl Mailbox {
    /// Makes both ends of a mailbox.
    pub(super) fn new(waker: Arc<Waker>) -> (Self, Receiver<Command>) {
        let (sender, receiver) = sync_channel(MAILBOX_LEN);
        (Self { sender, waker }, receiver)
    }

    pub(super) fn try_send(&self, command: Command) -> Result<(), Command> {
        self.sender.try_send(command).map_err(|error| match error {
            TrySendError::Full(command) | TrySendError::Disconnected(command) => command,
        })?;
        self.wake();
        Ok(())
    }

    pub(super) fn wake(&self) {
        // It fails only when the worker's poll is gone, and the worker with it.
        let _ = self.waker.wake();
    }
}

/// The control side's end of a worker.
#[derive(Debug)]
pub struct WorkerHandle {
    pub(super) mailbox: Mailbox,
    pub(super) thread: JoinHandle<()>,
}

impl WorkerHandle {
    /// Puts a command into the mailbox.
    ///
    /// # Errors
    /// Gives the command back when the mailbox is full or the worker has ended.
    pub fn try_send(&self, command: Command) -> Result<(), Command> {
        self.mailbox.try_send(command)
    }

    /// Whether the worker's thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// A burst of new clients; each holds a socket, so more would not help.
const MAILBOX_LEN: usize = 1024;
