//! The hub with clients of another WebSocket implementation's client side, over
//! pipes in memory.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use crate::auth::{Sessions as _, Tokens};
use crate::room;

use super::{Client, Hub, LiveSessions, Options};

#[tokio::test]
async fn two_people_meet_and_an_offer_travels() {
    let hub = hub();
    let mut ann = Person::connect(&hub).await;
    let joined = ann.join("R").await;
    assert_eq!(joined["peers"], json!([]));
    let mut ben = Person::connect(&hub).await;
    let joined = ben.join("R").await;
    assert_eq!(joined["peers"][0]["id"], ann.id);
    assert_eq!(ann.next().await["t"], "peer_joined");

    let offer = json!({"t": "offer", "id": 3, "to": ann.id, "sdp": "v=0"});
    ben.say(&offer).await;
    assert_eq!(ben.next().await["t"], "ok");
    let offer = ann.next().await;
    assert_eq!((&offer["t"], &offer["gen"]), (&json!("offer"), &json!(1)));
    assert_eq!(offer["from"], ben.id);
}

#[tokio::test]
async fn a_lost_socket_is_resumed_with_what_was_missed() {
    let hub = hub();
    let mut ann = Person::connect(&hub).await;
    ann.join("R").await;
    let mut ben = Person::connect(&hub).await;
    let joined = ben.join("R").await;
    ann.next().await;

    // A cut, not a goodbye.
    drop(ben.socket);
    ben.server.await.unwrap();
    assert_eq!(ann.next().await["t"], "peer_away");
    ann.say(&json!({"t": "chat", "text": "still there?"})).await;
    assert_eq!(ann.next().await["t"], "chat");

    let mut back = Person::connect(&hub).await;
    let mut resume = joined["resume"].clone();
    resume["last_seq"] = joined["seq"].clone();
    back.next().await;
    back.say(&json!({"t": "hello", "id": 1, "resume": resume}))
        .await;
    assert_eq!(back.next().await["resumed"], json!({"last_id": 2}));
    assert_eq!(back.next().await["text"], "still there?");
    assert_eq!(ann.next().await["t"], "peer_back");
}

#[tokio::test]
async fn goodbye_ends_the_session_and_its_credentials() {
    let live = Arc::new(LiveSessions::default());
    let hub = hub_with(Arc::clone(&live));
    let mut ann = Person::connect(&hub).await;
    ann.join("R").await;
    assert!(live.is_live(&ann.id));
    let frame = CloseFrame {
        code: 1000.into(),
        reason: "".into(),
    };
    ann.socket.close(Some(frame)).await.unwrap();
    ann.server.await.unwrap();
    assert!(!live.is_live(&ann.id));
    assert_eq!(hub.size(), super::Size::default());
}

#[tokio::test]
async fn a_binary_frame_breaks_the_protocol() {
    let hub = hub();
    let mut ann = Person::connect(&hub).await;
    ann.next().await;
    ann.socket.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(ann.close_code().await, Some(4400));
}

#[tokio::test]
async fn an_endless_message_is_refused() {
    let hub = hub();
    let mut ann = Person::connect(&hub).await;
    ann.next().await;
    let text = "x".repeat(room::limits::MESSAGE + 1);
    // The server may close before it has read all of it.
    let _ = ann.socket.send(Message::text(text)).await;
    assert_eq!(ann.close_code().await, Some(1009));
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_its_peer_is_not() {
    let hub = hub();
    let mut ann = Person::connect(&hub).await;
    ann.join("R").await;
    let mut ben = Person::connect(&hub).await;
    ben.join("R").await;
    ann.next().await;
    // Ann does not read: the pipe fills, then the queue.
    let chat = json!({"t": "chat", "text": "x".repeat(4_000), "to": ann.id});
    let mut said = 0;
    loop {
        ben.say(&chat).await;
        said += 1;
        assert!(said < 100, "more than the pipe and the queue hold");
        if ben.next().await["t"] == "peer_away" {
            break;
        }
    }
    ann.server.await.unwrap();
    let still = json!({"t": "chat", "text": "alone"});
    ben.say(&still).await;
    while ben.next().await["text"] != "alone" {}
}

#[tokio::test]
async fn when_it_drains_everybody_is_sent_away() {
    let hub = hub();
    let mut ann = Person::connect(&hub).await;
    ann.join("R").await;
    hub.drain();
    assert_eq!(ann.next().await["code"], "draining");
    assert_eq!(ann.close_code().await, Some(4503));
}

struct Person {
    socket: WebSocketStream<DuplexStream>,
    server: JoinHandle<()>,
    id: String,
}

impl Person {
    async fn connect(hub: &Arc<Hub>) -> Self {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let client = Client {
            address: "192.0.2.1:1000".parse().unwrap(),
        };
        let server = tokio::spawn(Arc::clone(hub).serve(theirs, client));
        Self {
            socket: WebSocketStream::from_raw_socket(ours, Role::Client, None).await,
            server,
            id: String::new(),
        }
    }

    async fn join(&mut self, room: &str) -> Value {
        assert_eq!(self.next().await["t"], "welcome");
        self.say(&json!({"t": "hello", "id": 1})).await;
        assert_eq!(self.next().await["t"], "ok");
        self.say(&json!({"t": "join", "id": 2, "room": room})).await;
        let joined = self.next().await;
        assert_eq!(joined["t"], "joined", "{joined}");
        self.id = joined["you"]["id"].as_str().unwrap().to_owned();
        joined
    }

    async fn say(&mut self, message: &Value) {
        let text = Message::text(message.to_string());
        self.socket.send(text).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        let message = self.socket.next().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    async fn close_code(&mut self) -> Option<u16> {
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| frame.code.into());
            }
        }
        None
    }
}

fn hub() -> Arc<Hub> {
    hub_with(Arc::new(LiveSessions::default()))
}

fn hub_with(live: Arc<LiveSessions>) -> Arc<Hub> {
    let options = Options {
        rooms: room::Options {
            max_participants: 10,
            mesh_up_to: 2,
            guests: true,
            sessions: 100,
            stun_urls: Vec::new(),
            turn_urls: Vec::new(),
            credentials: None,
        },
        tokens: Tokens::new(Vec::new()),
    };
    Hub::new(options, [7; 32], live, Arc::new(Vec::new()))
}

/// What a socket's buffers hold, roughly.
const PIPE: usize = 32 << 10;
