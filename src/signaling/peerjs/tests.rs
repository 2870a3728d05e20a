//! PeerJS clients over pipes in memory, by another WebSocket implementation's
//! client side.

use futures_util::SinkExt as _;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::auth::{Claims, Grants, TokenKey};
use crate::signaling::test_client::TestClient;
use crate::unix_time::UnixTime;

use super::*;

#[tokio::test]
async fn an_offer_travels_from_one_client_to_another() {
    let server = server(true);
    let mut ann = open(&server, "ann").await;
    let mut bob = open(&server, "bob").await;
    ann.say(&json!({"type": "OFFER", "dst": "bob", "payload": {"sdp": "v=0"}}))
        .await;
    let offer = json!({"type": "OFFER", "src": "ann", "dst": "bob", "payload": {"sdp": "v=0"}});
    assert_eq!(bob.next().await, offer);
    ann.cut().await;
    assert_eq!(server.lock().broker.peers(), 1);
    assert_eq!(server.lock().connections.len(), 1);
}

#[tokio::test]
async fn the_timer_tells_that_nobody_came() {
    let server = server(true);
    let (stop, stopped) = watch::channel(false);
    let timer = tokio::spawn(Arc::clone(&server).run(stopped));
    let mut ann = open(&server, "ann").await;
    ann.say(&json!({"type": "OFFER", "dst": "bob"})).await;
    let expired = json!({"type": "EXPIRE", "src": "bob", "dst": "ann"});
    assert_eq!(ann.next().await, expired);
    stop.send(true).unwrap();
    timer.await.unwrap();
}

#[tokio::test]
async fn a_refused_client_hears_why_before_the_close() {
    let server = server(true);
    let _ann = open(&server, "ann").await;
    let mut other = connect(&server, "ann", "another", DEFAULT_KEY).await;
    assert_eq!(other.next().await["type"], "ID-TAKEN");
    assert_eq!(other.close_code().await, Some(4409));
    let mut wrong = connect(&server, "bob", "t", "wrong").await;
    assert_eq!(wrong.next().await["type"], "INVALID-KEY");
    assert_eq!(wrong.close_code().await, Some(4401));
}

#[tokio::test]
async fn a_room_token_as_the_key_opens_a_server_without_guests() {
    let server = server(false);
    let mut guest = connect(&server, "ann", "t", DEFAULT_KEY).await;
    assert_eq!(guest.next().await["type"], "INVALID-KEY");
    let (green, red) = (token("green"), token("red"));
    let mut ann = connect(&server, "ann", "t", &green).await;
    let mut bob = connect(&server, "bob", "t", &green).await;
    let mut eve = connect(&server, "eve", "t", &red).await;
    for peer in [&mut ann, &mut bob, &mut eve] {
        assert_eq!(peer.next().await, json!({"type": "OPEN"}));
    }
    // Two to an own name show in which order the server took them.
    eve.say(&json!({"type": "OFFER", "dst": "bob", "payload": "red"}))
        .await;
    eve.say(&json!({"type": "OFFER", "dst": "eve"})).await;
    assert_eq!(eve.next().await["src"], "eve");
    ann.say(&json!({"type": "OFFER", "dst": "bob", "payload": "green"}))
        .await;
    assert_eq!(bob.next().await["payload"], "green");
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_its_peer_is_not() {
    let server = server(true);
    let ann = open(&server, "ann").await;
    let mut bob = open(&server, "bob").await;
    // Ann does not read: the pipe fills, then the queue.
    let offer = json!({"type": "OFFER", "dst": "ann", "payload": "x".repeat(8_000)});
    for _ in 0..40 {
        bob.say(&offer).await;
    }
    ann.server.await.unwrap();
    assert_eq!(server.lock().broker.peers(), 1);
    bob.say(&json!({"type": "OFFER", "dst": "bob", "payload": "still"}))
        .await;
    assert_eq!(bob.next().await["payload"], "still");
}

#[tokio::test]
async fn a_broken_client_is_closed() {
    let server = server(true);
    let mut ann = open(&server, "ann").await;
    ann.socket.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(ann.close_code().await, Some(4400));
    let mut bob = open(&server, "bob").await;
    let text = "x".repeat(limits::MESSAGE + 1);
    // The server may close before it has read all of it.
    let _ = bob.socket.send(Message::text(text)).await;
    assert_eq!(bob.close_code().await, Some(1009));
}

#[tokio::test]
async fn when_it_drains_everybody_is_sent_away() {
    let server = server(true);
    let mut ann = open(&server, "ann").await;
    server.drain();
    assert_eq!(ann.close_code().await, Some(4503));
}

/// Connects a guest, who is told OPEN.
async fn open(server: &Arc<PeerJs>, id: &str) -> TestClient {
    let mut peer = connect(server, id, "t", DEFAULT_KEY).await;
    assert_eq!(peer.next().await, json!({"type": "OPEN"}));
    peer
}

async fn connect(server: &Arc<PeerJs>, id: &str, token: &str, key: &str) -> TestClient {
    let params = Params {
        id: id.to_owned(),
        token: token.to_owned(),
        key: key.to_owned(),
    };
    TestClient::connect(|io, client| Arc::clone(server).serve(io, client, params)).await
}

fn server(guests: bool) -> Arc<PeerJs> {
    PeerJs::new(Options { guests, peers: 10 }, tokens(), [7; 32])
}

fn tokens() -> Tokens {
    Tokens::new(vec![TokenKey::hs256(&"a secret of the tests".into())])
}

fn token(room: &str) -> String {
    let now = clock::unix_now();
    let claims = Claims {
        room: room.to_owned(),
        identity: None,
        name: None,
        grants: Grants::of_names(["publish", "subscribe"]),
        expires: UnixTime(now.0 + 3600),
        not_before: None,
        max_participants: None,
    };
    tokens().sign(&claims, now).unwrap()
}
