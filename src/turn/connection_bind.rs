//! ConnectionBind (RFC 6062 section 5.4): joins a client's data connection with
//! a peer connection.

use crate::stun::AttributeType;

use super::five_tuple::Transport;
use super::refusal::Refusal;
use super::request::Request;
use super::server::{Server, Timer};
use super::tcp_relay::{ConnectionId, ConnectionStage};
use super::verdict::Output;

impl Server {
    pub(super) fn handle_connection_bind(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        // It comes over a stream of its own.
        if request.path.five_tuple.transport == Transport::Udp || request.allocation.is_some() {
            return Err(Refusal::BadRequest(
                "ConnectionBind needs a TCP connection of its own",
            ));
        }
        // CONNECTION-ID names a peer connection that waits for it.
        let id = request
            .message
            .u32(AttributeType::CONNECTION_ID)
            .map(ConnectionId)
            .ok_or(Refusal::BadRequest("CONNECTION-ID missing or malformed"))?;
        if id.worker() != self.options.worker && id.worker() < self.options.workers {
            let (client, worker) = (request.path, id.worker());
            let message = request.message.as_bytes().to_vec();
            self.outputs.push_back(Output::MoveClient {
                client,
                worker,
                message,
            });
            return Ok(());
        }
        let Some(connection) = self.connections.get_mut(&id) else {
            return Err(Refusal::BadRequest("no such connection"));
        };
        if !matches!(connection.stage, ConnectionStage::Waiting) {
            return Err(Refusal::BadRequest(
                "connection is bound already, or not made yet",
            ));
        }
        // It belongs to the same user.
        let owner = &self.allocations[connection.allocation].identity;
        if !owner.is_same_user(&request.identity) {
            return Err(Refusal::WrongCredentials);
        }
        connection.stage = ConnectionStage::Joined;
        self.deadlines.clear(connection.due, Timer::Connection(id));
        self.outputs.push_back(request.reply.success(|_| {}));
        self.outputs.push_back(Output::JoinConnection {
            connection: id,
            client: request.path,
        });
        Ok(())
    }
}
