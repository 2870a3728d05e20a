//! What one person says and hears, in each protocol that a server under test speaks.
//!
//! No socket and no clock in here: texts go in, texts and events come out.

use serde_json::{Value, json};

/// What a server speaks.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Protocol {
    /// `turnstone.v1`, docs/protocol.md.
    Turnstone,
    /// The protocol of the PeerJS server. It has no rooms: two know each other's id.
    PeerJs,
    /// None: two connections with one path get each other's bytes.
    Floor,
}

/// Something that was heard.
pub enum Event {
    /// The server knows who is there.
    Greeted,
    /// We are in the room.
    Joined,
    /// We are out of it.
    Left,
    /// A message of the peer, with the times it carries.
    Relayed(Stamp),
    /// Nothing that a workload waits for.
    Other,
    /// The server refused something.
    Refused(String),
    /// The connection is over, or never was.
    Closed(String),
}

/// When a message was due, and when it was sent, both in nanoseconds.
#[derive(Clone, Copy)]
pub struct Stamp {
    /// When it had to go.
    pub scheduled: u64,
    /// When it went.
    pub sent: u64,
}

/// One person's side of the protocol.
pub struct Session {
    protocol: Protocol,
    number: usize,
    last_id: u64,
    pending: Request,
    peer: Option<String>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Request {
    None,
    Hello,
    Join,
    Leave,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 3] = [Self::Turnstone, Self::PeerJs, Self::Floor];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Turnstone => "turnstone",
            Self::PeerJs => "peerjs",
            Self::Floor => "floor",
        }
    }

    /// Whether people join and leave.
    pub fn has_rooms(self) -> bool {
        self == Self::Turnstone
    }

    /// The WebSocket subprotocol, or nothing.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Turnstone => "turnstone.v1",
            Self::PeerJs | Self::Floor => "",
        }
    }

    /// What a client that only listens has to send, and every how many seconds.
    pub fn keep_alive(self) -> Option<(&'static str, f64)> {
        match self {
            // It answers WebSocket pings, as the connection does by itself.
            Self::Turnstone | Self::Floor => None,
            Self::PeerJs => Some((r#"{"type":"HEARTBEAT"}"#, 5.0)),
        }
    }
}

impl Session {
    /// Makes the person with this number; 2n and 2n + 1 belong together.
    pub fn new(protocol: Protocol, number: usize) -> Self {
        let peer = (protocol == Protocol::PeerJs).then(|| format!("bench-{}", number ^ 1));
        Self {
            protocol,
            number,
            last_id: 0,
            pending: Request::None,
            peer,
        }
    }

    /// Returns the path to connect to; `is_alone` when no peer will come.
    pub fn path(&self, is_alone: bool) -> String {
        match self.protocol {
            Protocol::Turnstone => "/ws".to_owned(),
            Protocol::PeerJs => format!(
                "/peerjs?key=peerjs&id=bench-{}&token=t{}&version=1.5.5",
                self.number, self.number
            ),
            Protocol::Floor if is_alone => "/alone".to_owned(),
            Protocol::Floor => format!("/{}", self.number / 2),
        }
    }

    /// Returns what is to be said after the upgrade, or what is already true.
    pub fn handle_upgraded(&mut self) -> Result<String, Event> {
        match self.protocol {
            Protocol::Turnstone => {
                let id = self.request(Request::Hello);
                Ok(format!(r#"{{"t":"hello","id":{id}}}"#))
            }
            Protocol::PeerJs => Err(Event::Other),
            Protocol::Floor => Err(Event::Greeted),
        }
    }

    /// Takes a text message.
    pub fn handle_text(&mut self, text: &str) -> Event {
        if let Some(stamp) = read_stamp(text) {
            return Event::Relayed(stamp);
        }
        match self.protocol {
            Protocol::Turnstone => self.handle_turnstone(text),
            Protocol::PeerJs if text.contains("\"OPEN\"") => Event::Greeted,
            Protocol::PeerJs if text.contains("\"ERROR\"") => Event::Refused(text.to_owned()),
            Protocol::PeerJs | Protocol::Floor => Event::Other,
        }
    }

    /// Returns the message that enters the room which the peer enters as well.
    pub fn join(&mut self) -> String {
        let (id, room) = (self.request(Request::Join), self.number / 2);
        format!(r#"{{"t":"join","id":{id},"room":"bench-{room}","name":"Person {id}"}}"#)
    }

    /// Returns the message that leaves it.
    pub fn leave(&mut self) -> String {
        let id = self.request(Request::Leave);
        format!(r#"{{"t":"leave","id":{id}}}"#)
    }

    /// Whether there is somebody to send to.
    pub fn has_peer(&self) -> bool {
        self.protocol == Protocol::Floor || self.peer.is_some()
    }

    /// Returns an ICE candidate for the peer, of the size that browsers send.
    pub fn candidate(&self, stamp: Stamp) -> String {
        let peer = self.peer.as_deref().unwrap_or("nobody");
        let candidate = format!(
            r#"{{"candidate":"candidate:{} 1 udp {} 192.0.2.17 54321 typ host generation 0 ufrag f3Qx network-id 1","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"f3Qx"}}"#,
            stamp.scheduled, stamp.sent
        );
        match self.protocol {
            Protocol::PeerJs => format!(
                r#"{{"type":"CANDIDATE","dst":"{peer}","payload":{{"candidate":{candidate},"type":"media","connectionId":"mc_7l3k9x2m1p"}}}}"#
            ),
            Protocol::Turnstone | Protocol::Floor => {
                format!(r#"{{"t":"ice","to":"{peer}","candidate":{candidate}}}"#)
            }
        }
    }

    fn request(&mut self, request: Request) -> u64 {
        self.last_id += 1;
        self.pending = request;
        self.last_id
    }

    fn handle_turnstone(&mut self, text: &str) -> Event {
        let message: Value = serde_json::from_str(text).unwrap_or_else(|_| json!({}));
        let answers_us = message["re"].as_u64() == Some(self.last_id);
        match (message["t"].as_str(), self.pending) {
            (Some("ok"), Request::Hello) if answers_us => self.answered(Event::Greeted),
            (Some("ok"), Request::Leave) if answers_us => {
                self.peer = None;
                self.answered(Event::Left)
            }
            (Some("joined"), Request::Join) if answers_us => {
                if let Some(peer) = message["peers"][0]["id"].as_str() {
                    self.peer = Some(peer.to_owned());
                }
                self.answered(Event::Joined)
            }
            (Some("peer_joined"), _) => {
                self.peer = message["peer"]["id"].as_str().map(str::to_owned);
                Event::Other
            }
            (Some("error") | None, _) => Event::Refused(text.to_owned()),
            _ => Event::Other,
        }
    }

    fn answered(&mut self, event: Event) -> Event {
        self.pending = Request::None;
        event
    }
}

/// Reads the times from a candidate, in any message around it.
fn read_stamp(text: &str) -> Option<Stamp> {
    let (_, rest) = text.split_once("candidate:")?;
    let mut words = rest.split(' ');
    let scheduled = words.next()?.parse().ok()?;
    let sent = words.nth(2)?.parse().ok()?;
    Some(Stamp { scheduled, sent })
}
