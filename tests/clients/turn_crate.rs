//! The client of the `turn` crate over UDP.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::time::timeout;
use turn::client::{Client, ClientConfig};
use webrtc_util::Conn;

use crate::support::config::{REALM, TestConfig};
use crate::support::peer::is_free;
use crate::support::server::Server;
use crate::support::{PATIENCE, Transport, wait_until};

/// The first ones travel in Send indications, the rest on the channel that the client binds.
const MESSAGES: u32 = 200;

#[tokio::test]
async fn turn_crate_talks_to_a_peer_and_closes() {
    let server = Server::start(TestConfig::standard());
    let client = connect(&server).await;
    let relay = client.allocate().await.expect("Allocate succeeds");
    let relayed = relay.local_addr().expect("allocated above");
    let peer = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let peer_address = peer.local_addr().expect("the socket is bound");

    for number in 0..MESSAGES {
        let message = format!("to the peer {number}");
        relay
            .send_to(message.as_bytes(), peer_address)
            .await
            .expect("the permission is created and the message sent");
        assert_eq!(receive(&peer).await, (message, relayed));
        let echo = format!("from the peer {number}");
        peer.send_to(echo.as_bytes(), relayed)
            .await
            .expect("loopback takes datagrams");
        assert_eq!(receive(&relay).await, (echo, peer_address));
    }

    relay.close().await.expect("Refresh is sent");
    wait_until("the relay port is free again", || is_free(relayed));
    client.close().await.expect("the client closes");
}

async fn connect(server: &Server) -> Client {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = server.address(Transport::Udp).to_string();
    let account = server.alice();
    let config = ClientConfig {
        stun_serv_addr: address.clone(),
        turn_serv_addr: address,
        username: account.username,
        password: account.password,
        realm: REALM.to_owned(),
        software: String::new(),
        rto_in_ms: 0,
        conn: Arc::new(socket),
        vnet: None,
    };
    let client = Client::new(config).await.expect("the addresses are valid");
    client.listen().await.expect("the socket is open");
    client
}

async fn receive(socket: &(impl Conn + Sync)) -> (String, SocketAddr) {
    let mut buffer = [0; 1500];
    let (length, from) = timeout(PATIENCE, socket.recv_from(&mut buffer))
        .await
        .expect("a datagram comes in time")
        .expect("the socket is open");
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    (text, from)
}
