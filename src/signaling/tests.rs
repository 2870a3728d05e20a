//! The hub with clients of another WebSocket implementation's client side, over
//! pipes in memory.

use std::sync::Arc;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::auth::{Sessions as _, Tokens};
use crate::room;

use super::test_client::TestClient;
use super::{Hub, LiveSessions, Options};

#[tokio::test]
async fn two_people_meet_and_an_offer_travels() {
    let hub = hub();
    let mut ann = Person::connect(&hub).await;
    let joined = ann.join("R").await;
    assert_eq!(joined["peers"], json!([]));
    let mut ben = Person::connect(&hub).await;
    let joined = ben.join("R").await;
    assert_eq!(joined["peers"][0]["id"], ann.id);
    assert_eq!(ann.wire.next().await["t"], "peer_joined");

    let offer = json!({"t": "offer", "id": 3, "to": ann.id, "sdp": "v=0"});
    ben.wire.say(&offer).await;
    assert_eq!(ben.wire.next().await["t"], "ok");
    let offer = ann.wire.next().await;
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
    ann.wire.next().await;

    // A cut, not a goodbye.
    ben.wire.cut().await;
    assert_eq!(ann.wire.next().await["t"], "peer_away");
    ann.wire
        .say(&json!({"t": "chat", "text": "still there?"}))
        .await;
    assert_eq!(ann.wire.next().await["t"], "chat");

    let mut back = Person::connect(&hub).await;
    let mut resume = joined["resume"].clone();
    resume["last_seq"] = joined["seq"].clone();
    back.wire.next().await;
    back.wire
        .say(&json!({"t": "hello", "id": 1, "resume": resume}))
        .await;
    assert_eq!(back.wire.next().await["resumed"], json!({"last_id": 2}));
    assert_eq!(back.wire.next().await["text"], "still there?");
    assert_eq!(ann.wire.next().await["t"], "peer_back");
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
    ann.wire.socket.close(Some(frame)).await.unwrap();
    ann.wire.server.await.unwrap();
    assert!(!live.is_live(&ann.id));
    assert_eq!(hub.size(), super::Size::default());
}

#[tokio::test]
async fn a_binary_frame_breaks_the_protocol() {
    let hub = hub();
    let mut ann = Person::connect(&hub).await;
    ann.wire.next().await;
    ann.wire
        .socket
        .send(Message::binary(vec![1]))
        .await
        .unwrap();
    assert_eq!(ann.wire.close_code().await, Some(4400));
}

#[tokio::test]
async fn an_endless_message_is_refused() {
    let hub = hub();
    let mut ann = Person::connect(&hub).await;
    ann.wire.next().await;
    let text = "x".repeat(room::limits::MESSAGE + 1);
    // The server may close before it has read all of it.
    let _ = ann.wire.socket.send(Message::text(text)).await;
    assert_eq!(ann.wire.close_code().await, Some(1009));
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_its_peer_is_not() {
    let hub = hub();
    let mut ann = Person::connect(&hub).await;
    ann.join("R").await;
    let mut ben = Person::connect(&hub).await;
    ben.join("R").await;
    ann.wire.next().await;
    // Ann does not read: the pipe fills, then the queue.
    let chat = json!({"t": "chat", "text": "x".repeat(4_000), "to": ann.id});
    let mut said = 0;
    loop {
        ben.wire.say(&chat).await;
        said += 1;
        assert!(said < 100, "more than the pipe and the queue hold");
        if ben.wire.next().await["t"] == "peer_away" {
            break;
        }
    }
    ann.wire.server.await.unwrap();
    let still = json!({"t": "chat", "text": "alone"});
    ben.wire.say(&still).await;
    while ben.wire.next().await["text"] != "alone" {}
}

#[tokio::test]
async fn when_it_drains_everybody_is_sent_away() {
    let hub = hub();
    let mut ann = Person::connect(&hub).await;
    ann.join("R").await;
    hub.drain();
    assert_eq!(ann.wire.next().await["code"], "draining");
    assert_eq!(ann.wire.close_code().await, Some(4503));
}

struct Person {
    wire: TestClient,
    id: String,
}

impl Person {
    async fn connect(hub: &Arc<Hub>) -> Self {
        let serve = |io, client| Arc::clone(hub).serve(io, client);
        Self {
            wire: TestClient::connect(serve).await,
            id: String::new(),
        }
    }

    async fn join(&mut self, room: &str) -> Value {
        assert_eq!(self.wire.next().await["t"], "welcome");
        self.wire.say(&json!({"t": "hello", "id": 1})).await;
        assert_eq!(self.wire.next().await["t"], "ok");
        self.wire
            .say(&json!({"t": "join", "id": 2, "room": room}))
            .await;
        let joined = self.wire.next().await;
        assert_eq!(joined["t"], "joined", "{joined}");
        self.id = joined["you"]["id"].as_str().unwrap().to_owned();
        joined
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
