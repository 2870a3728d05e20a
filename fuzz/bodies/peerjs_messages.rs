//! A PeerJS broker and clients that say anything. Whatever happens, nothing
//! panics, what a client is told is for it and names who said it, nothing comes
//! after a close, tables keep their bounds, and in the end nothing is left.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use turnstone::clock;
use turnstone::peerjs::{
    Access, Broker, ConnectionId, Options, Output, Params, is_peer_id, limits, parse, route,
};

/// Reads `data` as lines, each a step: its first byte says which, the rest is
/// what is said. Then everybody goes.
pub(crate) fn peerjs_messages(data: &[u8]) {
    let mut world = World::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Some((&step, rest)) = line.split_first() {
            world.take_step(step, &String::from_utf8_lossy(rest));
            world.check();
        }
    }
    world.run_out();
}

struct World {
    now: Instant,
    broker: Broker,
    next: u64,
    /// The id of everybody who is connected.
    live: BTreeMap<ConnectionId, String>,
}

impl World {
    fn new() -> Self {
        let options = Options {
            guests: true,
            peers: PEERS,
        };
        Self {
            now: clock::now(),
            broker: Broker::new(options, [7; 32]),
            next: 0,
            live: BTreeMap::new(),
        }
    }

    fn take_step(&mut self, step: u8, text: &str) {
        let chosen = self
            .live
            .keys()
            .nth(usize::from(step >> 3) % PEERS)
            .copied();
        match (step & 7, chosen) {
            (0, _) => self.connect(step, text),
            (1, Some(connection)) => {
                self.live.remove(&connection);
                self.broker.handle_disconnected(connection);
            }
            (2, _) => self.pass(Duration::from_millis(u64::from(step) * 400)),
            (3, _) => {
                // Any path is a route or none.
                let _ = route(text);
            }
            (_, Some(connection)) => self
                .broker
                .handle_message(self.now, connection, parse(text)),
            (_, None) => {
                // Nobody is there to say it; it has to be read all the same.
                let _ = parse(text);
            }
        }
    }

    fn connect(&mut self, step: u8, query: &str) {
        let params = Params::parse(query);
        let access = match step >> 3 & 3 {
            0 | 1 => Access::Guest,
            2 => Access::Room(params.key.as_str().into()),
            _ => Access::Refused,
        };
        self.next += 1;
        let connection = ConnectionId(self.next);
        self.live.insert(connection, params.id.clone());
        let Params { id, token, .. } = &params;
        self.broker
            .handle_connected(self.now, connection, id, token, access);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.broker.handle_timeout(self.now);
    }

    /// Carries out what the broker says, and looks at what has to hold.
    fn check(&mut self) {
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::Send { connection, text } => self.hear(connection, &text),
                Output::Close { connection, .. } => {
                    let was_live = self.live.remove(&connection).is_some();
                    assert!(was_live, "closed twice");
                }
            }
        }
        assert_eq!(self.broker.peers(), self.live.len());
        assert!(self.broker.peers() <= PEERS);
        assert!(self.broker.waiting() <= limits::WAITING);
        let is_missed = |due: Instant| due < self.now;
        assert!(!self.broker.poll_timeout().is_some_and(is_missed));
    }

    fn hear(&self, connection: ConnectionId, text: &str) {
        let id = self.live.get(&connection).map(String::as_str);
        assert!(id.is_some(), "told after its end");
        // Payloads may hold what only a lenient reader takes, such as lone surrogates.
        let message: BTreeMap<&str, &RawValue> = serde_json::from_str(text).unwrap_or_default();
        let field =
            |name| -> Option<String> { serde_json::from_str(message.get(name)?.get()).ok() };
        let (kind, src, dst) = (field("type"), field("src"), field("dst"));
        match kind.as_deref().unwrap_or_default() {
            "OFFER" | "ANSWER" | "CANDIDATE" | "LEAVE" => {
                assert_eq!(dst.as_deref(), id);
                assert!(src.is_some_and(|src| is_peer_id(&src)));
            }
            "EXPIRE" => assert_eq!(dst.as_deref(), id),
            kind => assert!(["OPEN", "ERROR", "ID-TAKEN", "INVALID-KEY"].contains(&kind)),
        }
    }

    /// Nobody says anything any more.
    fn run_out(&mut self) {
        self.pass(limits::SILENCE);
        self.check();
        assert_eq!((self.broker.peers(), self.broker.waiting()), (0, 0));
        assert_eq!(self.broker.poll_timeout(), None);
    }
}

/// Few, so that they meet and the last place is taken.
const PEERS: usize = 4;
