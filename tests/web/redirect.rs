//! Plain HTTP, on its own listeners and where TCP clients of TURN connect.

use crate::answer::curl_plain;
use crate::support::Transport;
use crate::support::config::strings;
use crate::support::server::Server;
use crate::{http_address, site};

#[test]
fn plain_http_leads_to_the_same_path_over_https() {
    let Some(mut server) = Server::requires_own_server(site()) else {
        return;
    };
    let port = server.address(Transport::Tls).port();
    for address in [http_address(&mut server), server.address(Transport::Tcp)] {
        for method in ["GET", "POST"] {
            let answer = curl_plain(address, "/r/team?a=b&c", &["--request", method]);
            assert_eq!(answer.status, 308, "{answer:?}");
            let expected = format!("https://127.0.0.1:{port}/r/team?a=b&c");
            assert_eq!(answer.header("location"), Some(expected.as_str()));
            assert_eq!(answer.body, "");
        }
    }
}

#[test]
fn without_a_domain_the_host_that_was_asked_for_counts_and_its_port_does_not() {
    let Some(mut server) = Server::requires_own_server(site()) else {
        return;
    };
    let port = server.address(Transport::Tls).port();
    let address = http_address(&mut server);
    for (host, name) in [
        ("call.example.org", "call.example.org"),
        ("Call.Example.org:80", "call.example.org"),
        ("[2001:db8::1]:8080", "[2001:db8::1]"),
    ] {
        let answer = curl_plain(address, "/", &["--header", &format!("Host: {host}")]);
        let expected = format!("https://{name}:{port}/");
        assert_eq!(answer.header("location"), Some(expected.as_str()), "{host}");
    }
}

#[test]
fn with_a_domain_nobody_is_sent_anywhere_else() {
    let config = site().set("server.domain", "call.example.org");
    let Some(mut server) = Server::requires_own_server(config) else {
        return;
    };
    let port = server.address(Transport::Tls).port();
    let address = http_address(&mut server);
    for host in ["call.example.org", "evil.example", "192.0.2.1:80"] {
        for path in ["/", "//evil.example/", "/\\evil.example"] {
            let answer = curl_plain(address, path, &["--header", &format!("Host: {host}")]);
            let expected = format!("https://call.example.org:{port}{path}");
            assert_eq!(answer.header("location"), Some(expected.as_str()), "{host}");
        }
    }
}

#[test]
fn a_host_that_is_none_is_refused() {
    let Some(mut server) = Server::requires_own_server(site()) else {
        return;
    };
    let address = http_address(&mut server);
    for host in [
        "evil.example/",
        "a@evil.example",
        "a b",
        "a:b",
        "a;b",
        "[::1",
        "",
    ] {
        let header = format!("Host: {host}");
        // An empty one has to be asked of curl with a semicolon.
        let header = if host.is_empty() { "Host;" } else { &header };
        let answer = curl_plain(address, "/", &["--header", header]);
        answer.assert_problem(400);
        assert_eq!(answer.header("location"), None);
    }
}

#[test]
fn where_there_is_no_https_there_is_nothing() {
    let config = site().set("listen.tls", strings(&[]));
    let Some(mut server) = Server::requires_own_server(config) else {
        return;
    };
    curl_plain(http_address(&mut server), "/", &[]).assert_problem(404);
}
