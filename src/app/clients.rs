//! Which worker a TCP or TLS client goes to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::debug;

use crate::net::accept::Accepted;
use crate::net::sniff::Sniff;
use crate::redact::Redacted;
use crate::stun::{AttributeType, Message, Method, framing};
use crate::turn::{ConnectionId, FiveTuple, Transport};
use crate::worker::{Command, NewClient, WorkerHandle};

/// Makes the function that hands accepted connections to workers, in turn.
///
/// What does not speak STUN is closed: there is nothing else on these ports yet.
pub(super) fn sink(workers: Arc<Vec<WorkerHandle>>) -> Box<dyn Fn(Accepted) + Send + Sync> {
    let next = AtomicUsize::new(0);
    Box::new(move |accepted| {
        if accepted.protocol != Sniff::Stun {
            debug!(
                client = %Redacted(accepted.client),
                protocol = ?accepted.protocol,
                "connection speaks a protocol that is not served here"
            );
            return;
        }
        let turn = next.fetch_add(1, Ordering::Relaxed) % workers.len();
        // Any worker can say that there is no such connection.
        let index = peer_connection_worker(&accepted.early)
            .filter(|index| *index < workers.len())
            .unwrap_or(turn);
        let worker = &workers[index];
        let client = accepted.client;
        if worker
            .try_send(Command::Client(Box::new(new_client(accepted))))
            .is_err()
        {
            debug!(client = %Redacted(client), "worker takes no more clients");
        }
    })
}

fn new_client(accepted: Accepted) -> NewClient {
    let transport = if accepted.tls.is_some() {
        Transport::Tls
    } else {
        Transport::Tcp
    };
    NewClient {
        five_tuple: FiveTuple {
            client: accepted.client,
            server: accepted.local,
            transport,
        },
        socket: accepted.socket,
        tls: accepted.tls,
        early: accepted.early,
        unsent: Vec::new(),
        permit: Box::new(accepted.admission),
    }
}

/// A data connection belongs where its peer connection is (RFC 6062 section
/// 5.4): its first message is ConnectionBind, and the id names the worker.
fn peer_connection_worker(early: &[u8]) -> Option<usize> {
    let len = framing::frame_len(early).ok()??;
    let message = Message::parse(early.get(..len)?).ok()?;
    if message.method() != Method::CONNECTION_BIND {
        return None;
    }
    let id = ConnectionId(message.u32(AttributeType::CONNECTION_ID)?);
    Some(usize::from(id.worker()))
}
