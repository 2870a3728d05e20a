//! What connections and sessions are sent.
//!
//! To a session everything is numbered and kept for a resume; to a connection
//! without one it is not.

use bytes::Bytes;

use super::code::{CloseCode, ErrorCode};
use super::event::Event;
use super::request::Refusal;
use super::rooms::{ConnectionId, Due, Output, Phase, Rooms};

impl Rooms {
    /// Sends to a connection, outside the numbering of a session.
    pub(super) fn send(&mut self, connection: ConnectionId, event: &Event<'_>) {
        let text = Bytes::from(event.text());
        self.outputs.push_back(Output::Send { connection, text });
    }

    /// Sends text again that was numbered before.
    pub(super) fn send_again(&mut self, connection: ConnectionId, text: Bytes) {
        self.outputs.push_back(Output::Send { connection, text });
    }

    /// Sends to a session, which keeps it while its client is away.
    pub(super) fn tell(&mut self, session: &str, text: &str) {
        let Some(session) = self.sessions.get_mut(session) else {
            return;
        };
        session.tell(text, &mut self.outputs);
    }

    /// Sends to all of a room but one.
    pub(super) fn tell_others(&mut self, room: &str, but: Option<&str>, event: &Event<'_>) {
        let text = event.text();
        self.tell_text(room, but, &text);
    }

    /// As [`Self::tell_others`], with the text at hand.
    pub(super) fn tell_text(&mut self, room: &str, but: Option<&str>, text: &str) {
        let Some(room) = self.rooms.get(room) else {
            return;
        };
        let others = room.members.iter().filter(|id| but != Some(&***id));
        for member in others {
            let Some(session) = self.sessions.get_mut(member) else {
                continue;
            };
            session.tell(text, &mut self.outputs);
        }
    }

    pub(super) fn reply_ok(&mut self, connection: ConnectionId, re: Option<u64>) {
        let Some(re) = re else {
            return;
        };
        self.answer(connection, &Event::Ok { re, resumed: None });
    }

    pub(super) fn refuse(&mut self, connection: ConnectionId, re: Option<u64>, refusal: &Refusal) {
        let close = close_of(refusal.code);
        self.answer(
            connection,
            &Event::Error {
                re,
                code: refusal.code,
                message: &refusal.message,
                retry_after_ms: (refusal.code == ErrorCode::ServerFull).then_some(FULL_RETRY_MS),
                fatal: close.is_some(),
            },
        );
        if let Some(code) = close {
            // Whoever is refused so has no session that could wait.
            if let Some(gone) = self.connections.remove(&connection)
                && let Phase::New { hello_by } = gone.phase
            {
                self.clear(hello_by, Due::Hello(connection));
            }
            self.outputs.push_back(Output::Close { connection, code });
        }
    }

    /// Answers a request: numbered inside a session, so that a resume brings it.
    pub(super) fn answer(&mut self, id: ConnectionId, event: &Event<'_>) {
        let phase = self.connections.get(&id).map(|c| c.phase.clone());
        if let Some(Phase::In(session)) = phase {
            self.tell(&session, &event.text());
        } else {
            self.send(id, event);
        }
    }

    pub(super) fn send_draining(&mut self, connection: ConnectionId) {
        let event = Event::Error {
            re: None,
            code: ErrorCode::Draining,
            message: "the server stops; connect again in a moment",
            retry_after_ms: Some(DRAIN_RETRY_MS),
            fatal: true,
        };
        self.answer(connection, &event);
    }
}

/// Says with which code a connection closes after this error.
const fn close_of(code: ErrorCode) -> Option<CloseCode> {
    match code {
        ErrorCode::HelloRequired => Some(CloseCode::Protocol),
        ErrorCode::Unauthorized | ErrorCode::TokenExpired => Some(CloseCode::Auth),
        ErrorCode::Draining => Some(CloseCode::Draining),
        ErrorCode::BadMessage
        | ErrorCode::UnknownType
        | ErrorCode::TooLarge
        | ErrorCode::RateLimited
        | ErrorCode::WrongRoom
        | ErrorCode::Forbidden
        | ErrorCode::AlreadyJoined
        | ErrorCode::NotJoined
        | ErrorCode::RoomFull
        | ErrorCode::RoomLocked
        | ErrorCode::Kicked
        | ErrorCode::NoSuchPeer
        | ErrorCode::ForgedSender
        | ErrorCode::StaleGeneration
        | ErrorCode::BadGeneration
        | ErrorCode::SessionGone
        | ErrorCode::ModeUnavailable
        | ErrorCode::ServerFull => None,
    }
}

const FULL_RETRY_MS: u64 = 5_000;

const DRAIN_RETRY_MS: u64 = 1_000;
