//! What a PeerJS client asks of HTTP; what its messages do is tested elsewhere.

use crate::answer::{VERSIONS, curl};
use crate::raw::{HTTP1, Raw, request};
use crate::site;
use crate::support::server::Server;
use crate::websocket::{handshake, text_frame};

#[test]
fn every_client_gets_an_id_of_its_own_from_any_page() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let mut ids = Vec::new();
    for (argument, _) in VERSIONS {
        for path in ["/peerjs/id?ts=1", "/peerjs/peerjs/id"] {
            let stranger = "Origin: https://stranger.example";
            let answer = curl(&server, path, &[argument, "--header", stranger]);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
            ids.push(answer.body);
        }
    }
    assert!(ids.iter().all(|id| id.len() > 10), "{ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn nobody_gets_a_list_of_all_peers() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    curl(&server, "/peerjs/peers", &[]).assert_problem(403);
    curl(&server, "/peerjs/id", &["--request", "POST"]).assert_problem(405);
    curl(&server, "/peerjs", &[]).assert_problem(426);
}

#[test]
fn the_websocket_opens_with_the_id_of_its_url_and_not_for_strangers() {
    let Some(server) = Server::requires_own_server(site().set("signaling.guests", true)) else {
        return;
    };
    let line = "GET /peerjs?key=peerjs&id=ann&token=abc123&version=1.5.4";
    let mut raw = Raw::connect(&server, HTTP1);
    raw.send(request(line, &handshake("X-Nothing: here")));
    assert_eq!(raw.answer().status, 101);
    assert!(text_frame(&mut raw).contains("OPEN"));

    let mut raw = Raw::connect(&server, HTTP1);
    let stranger = "Origin: https://stranger.example";
    raw.send(request(line, &handshake(stranger)));
    raw.answer().assert_problem(403);
}
