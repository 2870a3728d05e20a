//! From HTTP to a WebSocket: the handshake of RFC 6455, byte by byte.

use crate::answer::curl;
use crate::raw::{HTTP1, Raw, request};
use crate::support::Transport;
use crate::support::server::Server;
use crate::{FRIEND, site};

/// RFC 6455 section 1.3.
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[test]
fn a_handshake_is_answered_and_the_server_speaks_first() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    // Also a client that offers nothing in TLS.
    for alpn in [HTTP1, &[]] {
        let mut raw = Raw::connect(&server, alpn);
        raw.send(request(
            "GET /ws",
            &handshake("Sec-WebSocket-Protocol: chat, turnstone.v1"),
        ));
        let answer = raw.answer();
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
        assert_eq!(
            answer.header("sec-websocket-protocol"),
            Some("turnstone.v1")
        );
        assert_eq!(answer.header("upgrade"), Some("websocket"));
        assert!(text_frame(&mut raw).contains(r#""t":"welcome""#));
    }
}

#[test]
fn without_a_subprotocol_none_is_answered() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let answer = shake(&server, &handshake("X-Nothing: here"));
    assert_eq!(answer.status, 101, "{answer:?}");
    assert_eq!(answer.header("sec-websocket-protocol"), None);
}

#[test]
fn a_frame_that_came_with_the_handshake_is_not_lost() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let mut raw = Raw::connect(&server, HTTP1);
    let mut bytes = request("GET /ws", &handshake("X-Nothing: here")).into_bytes();
    bytes.extend(masked(br#"{"t":"ping","id":7}"#));
    raw.send(bytes);
    assert_eq!(raw.answer().status, 101);
    assert!(text_frame(&mut raw).contains(r#""t":"welcome""#));
    assert!(text_frame(&mut raw).contains(r#""re":7"#));
}

#[test]
fn what_is_no_handshake_is_refused() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let host = "Host: localhost";
    let [connection, upgrade, version] = [
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
    ];
    for (status, header) in [
        (426, vec![host]),
        (426, vec![host, connection, version, KEY]),
        (426, vec![host, upgrade, version, KEY]),
        (426, vec![host, connection, "Upgrade: h2c", version, KEY]),
        (426, vec![host, connection, upgrade, KEY]),
        (
            426,
            vec![host, connection, upgrade, KEY, "Sec-WebSocket-Version: 8"],
        ),
        (400, vec![host, connection, upgrade, version]),
        (
            400,
            vec![
                host,
                connection,
                upgrade,
                version,
                "Sec-WebSocket-Key: short",
            ],
        ),
        (
            400,
            vec![
                host,
                connection,
                upgrade,
                version,
                "Sec-WebSocket-Key: not base64 at all!!!",
            ],
        ),
        (
            400,
            vec![
                host,
                connection,
                upgrade,
                version,
                KEY,
                "Sec-WebSocket-Protocol: chat",
            ],
        ),
        (400, vec![connection, upgrade, version, KEY]),
    ] {
        let answer = shake(&server, &header);
        answer.assert_problem(status);
        // RFC 6455 section 4.4: whoever speaks another version is told ours.
        let is_handshake = header.contains(&connection) && header.contains(&upgrade);
        let version = (status == 426 && is_handshake).then_some("13");
        assert_eq!(answer.header("sec-websocket-version"), version);
    }
    let mut raw = Raw::connect(&server, HTTP1);
    raw.send(request("POST /ws", &handshake("Content-Length: 0")));
    raw.answer().assert_problem(405);
}

#[test]
fn over_http2_there_is_no_websocket() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let answer = curl(&server, "/ws", &["--http2"]);
    answer.assert_problem(426);
    assert_eq!(answer.header("upgrade"), None);
}

#[test]
fn pages_of_other_origins_may_not_connect_unless_they_are_listed() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let address = server.address(Transport::Tls);
    for (status, origin) in [
        (101, format!("https://{address}")),
        (101, FRIEND.to_owned()),
        (101, FRIEND.to_uppercase().replace("HTTPS", "https")),
        (403, "https://stranger.example".to_owned()),
        (403, format!("{FRIEND}.evil.example")),
        (403, format!("{FRIEND}:8443")),
        (403, format!("http://{address}")),
        (403, "https://127.0.0.1".to_owned()),
        (403, "null".to_owned()),
        (403, String::new()),
    ] {
        let line = format!("Origin: {origin}");
        let host = format!("Host: {address}");
        let header = [&[line.as_str(), &host], &handshake("X-Nothing: here")[1..]].concat();
        let answer = shake(&server, &header);
        assert_eq!(answer.status, status, "{origin}: {answer:?}");
    }
    let friend = format!("Origin: {FRIEND}");
    let two = [friend.as_str(), "Origin: https://stranger.example"];
    let header = [&two[..], &handshake("X-Nothing: here")].concat();
    assert_eq!(shake(&server, &header).status, 403);
}

#[test]
fn a_page_that_stays_on_one_connection_can_still_become_a_websocket() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let mut raw = Raw::connect(&server, HTTP1);
    for _ in 0..3 {
        raw.send(request("GET /", &["Host: localhost"]));
        assert_eq!(raw.answer().status, 200);
    }
    raw.send(request("GET /ws", &handshake("X-Nothing: here")));
    assert_eq!(raw.answer().status, 101);
    assert!(text_frame(&mut raw).contains(r#""t":"welcome""#));
}

/// The header of a handshake, its host first, with one more line.
pub(crate) fn handshake(line: &str) -> [&str; 6] {
    [
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        KEY,
        line,
    ]
}

#[track_caller]
fn shake(server: &Server, header: &[&str]) -> crate::answer::Answer {
    let mut raw = Raw::connect(server, HTTP1);
    raw.send(request("GET /ws", header));
    raw.answer()
}

/// Reads one unfragmented text frame (RFC 6455 section 5.2).
#[track_caller]
pub(crate) fn text_frame(raw: &mut Raw) -> String {
    let (opcode, payload) = frame(raw);
    assert_eq!(opcode, 0x81, "a whole text frame");
    String::from_utf8(payload).unwrap()
}

/// Reads one frame: its first byte and its payload.
#[track_caller]
pub(crate) fn frame(raw: &mut Raw) -> (u8, Vec<u8>) {
    let head = raw.bytes(2);
    let len = match head[1] {
        126 => u16::from_be_bytes(raw.bytes(2).try_into().unwrap()),
        len => u16::from(len),
    };
    (head[0], raw.bytes(usize::from(len)))
}

/// Makes a short text frame of a client, masked with zeros.
fn masked(text: &[u8]) -> Vec<u8> {
    let len = u8::try_from(text.len()).unwrap();
    assert!(len < 126);
    [&[0x81, 0x80 | len, 0, 0, 0, 0], text].concat()
}
