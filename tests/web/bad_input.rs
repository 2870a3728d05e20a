//! What no browser sends: the answer is an error or an end, and others are served
//! as before.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use crate::answer::{VERSIONS, curl};
use crate::raw::{HTTP1, HTTP2, Raw, request};
use crate::site;
use crate::support::server::Server;
use crate::support::wait_until;

/// A header that takes longer than 10 s is not waited for.
const SLOW: Duration = Duration::from_secs(20);

#[test]
fn headers_without_end_are_refused() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let big = format!("X-Big: {}", "a".repeat(20_000));
    for (argument, _) in VERSIONS {
        let answer = curl(&server, "/", &[argument, "--header", &big]);
        assert_eq!(answer.status, 431, "{answer:?}");
    }
    let mut raw = Raw::connect(&server, HTTP1);
    let many: Vec<String> = (0..200).map(|n| format!("X-{n}: a")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    raw.send(request(
        "GET /",
        &[&["Host: localhost"], &many[..]].concat(),
    ));
    assert_eq!(raw.answer().status, 431);

    let mut raw = Raw::connect(&server, HTTP1);
    raw.try_send(format!("GET /{}", "a".repeat(20_000)));
    let answer = String::from_utf8(raw.until_closed()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_served(&server);
}

#[test]
fn whoever_is_slow_with_a_request_is_not_waited_for() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let connect = |alpn| Raw::connect(&server, alpn);
    let silent = [HTTP1, HTTP2].map(connect);
    let [mut first, mut second, mut dripping, mut body] = [HTTP1; 4].map(connect);
    thread::scope(|scope| {
        for raw in silent {
            scope.spawn(|| ends(raw));
        }
        // Stop in the middle of a header: of the first request, and of the second.
        scope.spawn(move || {
            first.send("GET / HTTP/1.1\r\nHost: loc");
            ends(first);
        });
        scope.spawn(move || {
            second.send(request("GET /", &["Host: localhost"]));
            assert_eq!(second.answer().status, 200);
            second.send("GET / HTTP/1.1\r\nHost: loc");
            ends(second);
        });
        // Says one byte after the other.
        scope.spawn(move || {
            dripping.send("GET / HTTP/1.1\r\nX-Long: ");
            dripping.patience(Duration::from_millis(500));
            let sent = (0..60).take_while(|_| drip(&mut dripping)).count();
            assert!(sent < 40, "still open after {sent} bytes");
        });
        // Owes the body.
        scope.spawn(move || {
            body.patience(SLOW);
            let header = ["Host: localhost", "Content-Length: 10"];
            body.send(request("POST /turn/credentials", &header));
            body.send("key");
            body.answer().assert_problem(408);
        });
    });
    assert_served(&server);
}

#[test]
fn too_many_requests_of_one_address_are_refused_and_others_are_served() {
    let config = site().set("limits.requests_per_ip", 5);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    let mut raw = Raw::connect(&server, HTTP1);
    let mut refused = 0;
    for _ in 0..60 {
        raw.send(request("GET /no", &["Host: localhost"]));
        let answer = raw.answer();
        if answer.status == 429 {
            answer.assert_problem(429);
            assert_eq!(answer.header("retry-after"), Some("1"));
            refused += 1;
        } else {
            assert_eq!(answer.status, 404);
        }
    }
    // Twenty at once, and as many as the time of this test brings.
    assert!((1..=40).contains(&refused), "{refused} were refused");
    let other = curl(&server, "/", &["--interface", "127.0.0.2"]);
    assert_eq!(other.status, 200);
}

#[test]
fn paths_do_not_lead_out_of_the_site() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    for path in [
        "/../Cargo.toml",
        "/assets/../../Cargo.toml",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/%2e%2e/index.html",
        "/assets/../index.html",
        "/assets//etc/passwd",
        "/assets/..\\index.html",
        "/r/../../etc/passwd",
        "//etc/passwd",
        "/client/client.js",
        "/app/base.css",
    ] {
        for (argument, _) in VERSIONS {
            let answer = curl(&server, path, &[argument]);
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
        }
    }
}

#[test]
fn what_is_not_http_ends_its_own_connection_and_no_other() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let mut bystander = Raw::connect(&server, HTTP1);
    bystander.send(request("GET /", &["Host: localhost"]));
    assert_eq!(bystander.answer().status, 200);
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let huge_frame = [preface.as_bytes(), &[0xFF; 64]].concat();
    for (alpn, bytes) in [
        (HTTP2, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        (HTTP2, vec![0; 100]),
        (HTTP2, huge_frame),
        (HTTP1, preface.as_bytes().to_vec()),
        (HTTP1, b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n".to_vec()),
        (
            HTTP1,
            b"GET  /  HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        (HTTP1, b"G\0T / HTTP/1.1\r\n\r\n".to_vec()),
        (
            HTTP1,
            b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n".to_vec(),
        ),
        (
            HTTP1,
            b"\x00\x01\x00\x00\x21\x12\xA4\x42abcdefghijkl".to_vec(),
        ),
        (&[], b"GET\r\n\r\n".to_vec()),
        (&[], preface.as_bytes().to_vec()),
    ] {
        let mut raw = Raw::connect(&server, alpn);
        raw.try_send(&bytes);
        let answer = raw.until_closed();
        let is_refused = answer.is_empty() || alpn == HTTP2 || answer.starts_with(b"HTTP/1.1 4");
        assert!(
            is_refused,
            "{bytes:?}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    bystander.send(request("GET /", &["Host: localhost"]));
    assert_eq!(bystander.answer().status, 200);
}

#[test]
fn a_request_names_one_host() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    for header in [
        &[][..],
        &["Host: a", "Host: b"],
        &["Host: a/b"],
        &["Host: a", "Host: a"],
    ] {
        let mut raw = Raw::connect(&server, HTTP1);
        raw.send(request("GET /", header));
        raw.answer().assert_problem(400);
    }
    let mut old = Raw::connect(&server, HTTP1);
    old.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.answer().status, 200);
}

#[test]
fn half_a_request_leaves_nothing_behind() {
    let config = site().set("limits.connections_per_ip", 10);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    // More than there are places: those who went gave theirs back.
    for n in 0..40 {
        let cut = [
            "G",
            "GET / HTTP/1.1\r\n",
            "POST /turn/credentials HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nkey",
        ];
        let mut raw = connect_patiently(&server);
        raw.send(cut[n % cut.len()]);
    }
    assert_served(&server);
}

#[test]
fn requests_that_come_together_are_all_answered_in_order() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let mut raw = Raw::connect(&server, HTTP1);
    let mut all = String::new();
    for path in ["/", "/no", "/"] {
        let _ = write!(
            all,
            "{}",
            request(&format!("GET {path}"), &["Host: localhost"])
        );
    }
    raw.send(all);
    for status in [200, 404, 200] {
        assert_eq!(raw.answer().status, status);
    }
}

/// Waits for a place among the connections.
#[track_caller]
fn connect_patiently(server: &Server) -> Raw {
    let mut found = None;
    wait_until("a place among the connections", || {
        found = Raw::try_connect(server, HTTP1);
        found.is_some()
    });
    found.unwrap()
}

/// Reads with patience until the server closes.
#[track_caller]
fn ends(mut raw: Raw) {
    raw.patience(SLOW);
    raw.until_closed();
}

/// Says a byte, and listens for an end for the patience of a read.
fn drip(raw: &mut Raw) -> bool {
    raw.try_send("a") && raw.is_quiet()
}

#[track_caller]
fn assert_served(server: &Server) {
    for (argument, _) in VERSIONS {
        assert_eq!(curl(server, "/", &[argument]).status, 200);
    }
}
