//! Which worker a TCP or TLS client goes to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::debug;

use crate::net::accept::Accepted;
use crate::net::sniff::Sniff;
use crate::redact::Redacted;
use crate::stun::{AttributeType, Message, Method, framing};
use crate::turn::{ConnectionId, FiveTuple, Transport};
use crate::web;
use crate::worker::{Command, NewClient, WorkerHandle};

/// Makes the function that hands accepted connections on: to workers in turn,
/// and to the site what speaks HTTP.
pub(super) fn sink(
    workers: Arc<Vec<WorkerHandle>>,
    site: web::Door,
) -> Box<dyn Fn(Accepted) + Send + Sync> {
    let next = AtomicUsize::new(0);
    Box::new(move |accepted| match accepted.protocol {
        Sniff::Stun => to_worker(&workers, next.fetch_add(1, Ordering::Relaxed), accepted),
        Sniff::Http => site.enter(accepted),
        Sniff::NeedMore | Sniff::Tls | Sniff::IceTcp | Sniff::Unknown => debug!(
            client = %Redacted(accepted.client),
            protocol = ?accepted.protocol,
            "connection speaks a protocol that is not served here"
        ),
    })
}

fn to_worker(workers: &[WorkerHandle], turn: usize, accepted: Accepted) {
    // Any worker can say that there is no such connection.
    let index = peer_connection_worker(&accepted.early)
        .filter(|index| *index < workers.len())
        .unwrap_or(turn % workers.len());
    let client = accepted.client;
    let new = match new_client(accepted) {
        Ok(new) => new,
        Err(error) => {
            debug!(client = %Redacted(client), %error, "connection ended");
            return;
        }
    };
    let command = Command::Client(Box::new(new));
    if workers[index].try_send(command).is_err() {
        debug!(client = %Redacted(client), "worker takes no more clients");
    }
}

fn new_client(accepted: Accepted) -> io::Result<NewClient> {
    let (socket, tls) = accepted.stream.into_parts()?;
    let transport = if tls.is_some() {
        Transport::Tls
    } else {
        Transport::Tcp
    };
    Ok(NewClient {
        five_tuple: FiveTuple {
            client: accepted.client,
            server: accepted.local,
            transport,
        },
        socket,
        tls,
        early: accepted.early,
        unsent: Vec::new(),
        permit: Box::new(accepted.admission),
    })
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
