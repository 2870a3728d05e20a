//! The end of the server: connections that wait for nothing do not hold it up.

use crate::raw::{HTTP1, HTTP2, Raw, request};
use crate::site;
use crate::support::server::Server;
use crate::websocket::{frame, handshake, text_frame};

#[test]
fn a_stop_says_goodbye_to_everybody() {
    let Some(mut server) = Server::requires_own_server(site()) else {
        return;
    };
    let mut kept = Raw::connect(&server, HTTP1);
    kept.send(request("GET /", &["Host: localhost"]));
    assert_eq!(kept.answer().status, 200);
    let half = {
        let mut raw = Raw::connect(&server, HTTP1);
        raw.send("GET / HTTP/1.1\r\n");
        raw
    };
    let mut second = Raw::connect(&server, HTTP2);
    // The preface with empty settings; the server's settings come back.
    second.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    second.bytes(9);
    let mut socket = Raw::connect(&server, HTTP1);
    socket.send(request("GET /ws", &handshake("X-Nothing: here")));
    assert_eq!(socket.answer().status, 101);
    assert!(text_frame(&mut socket).contains("welcome"));

    assert!(server.process().stop(), "it did not end in time");
    assert_eq!(kept.until_closed(), b"");
    second.until_closed();
    drop(half);
    let closing = std::iter::from_fn(|| Some(frame(&mut socket)))
        .find(|(opcode, _)| *opcode == 0x88)
        .unwrap();
    // RFC 6455 section 5.5.1: the code comes first.
    assert_eq!(closing.1[..2], 4503u16.to_be_bytes());
}
