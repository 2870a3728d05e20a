//! Room tokens and TURN credentials over HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::answer::{Answer, VERSIONS, curl};
use crate::support::config::{Account, TestConfig, strings};
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::{Transport, wait_until};
use crate::{ADMIN_TOKEN, API_KEY, FRIEND, site};

#[test]
fn whoever_has_the_admin_token_gets_room_tokens() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    for (argument, _) in VERSIONS {
        let asked = json!({
            "room": "team", "name": "Ann", "identity": "ann@example.org",
            "grants": ["publish", "moderate"], "ttl": 600, "max_participants": 2
        });
        let answer = create(&server, &asked.to_string(), &[argument]);
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let made = answer.json();
        let token = made["token"].as_str().unwrap();
        let said = payload(token);
        assert_eq!(said["room"], "team");
        assert_eq!(said["name"], "Ann");
        assert_eq!(said["sub"], "ann@example.org");
        assert_eq!(said["exp"], made["expires"]);
        let issued = said["iat"].as_u64().unwrap();
        assert_eq!(made["expires"].as_u64(), Some(issued + 600));
        let address = server.address(Transport::Tls);
        let url = format!("https://{address}/r/team#token={token}");
        assert_eq!(made["url"], url);
    }
    let least = create(&server, r#"{"room":"*"}"#, &[]);
    assert_eq!(least.status, 201);
    assert_eq!(least.json()["url"], Value::Null);
}

#[test]
fn the_link_to_a_room_has_our_domain() {
    let config = site().set("server.domain", "call.example.org");
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    let port = server.address(Transport::Tls).port();
    for (host, origin) in [
        ("127.0.0.1", format!("https://call.example.org:{port}/r/")),
        (
            "evil.example",
            format!("https://call.example.org:{port}/r/"),
        ),
        ("call.example.org", "https://call.example.org/r/".to_owned()),
    ] {
        let host = format!("Host: {host}");
        let made = create(&server, r#"{"room":"team"}"#, &["--header", &host]).json();
        assert!(made["url"].as_str().unwrap().starts_with(&origin), "{made}");
    }
}

#[test]
fn nobody_else_gets_one() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let with = |header: &str| {
        let arguments = ["--data", r#"{"room":"team"}"#, "--header", header];
        curl(&server, "/api/v1/tokens", &arguments)
    };
    for header in [
        "X-Nothing: here".to_owned(),
        "Authorization: Bearer wrong".to_owned(),
        format!("Authorization: Bearer {ADMIN_TOKEN}x"),
        format!("Authorization: Basic {ADMIN_TOKEN}"),
        "Authorization: Bearer".to_owned(),
    ] {
        let answer = with(&header);
        answer.assert_problem(401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let any_case = with(&format!("Authorization: bearer {ADMIN_TOKEN}"));
    assert_eq!(any_case.status, 201);
}

#[test]
fn a_token_that_cannot_be_had_is_not_made() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    for body in [
        "",
        "[]",
        "{}",
        r#"{"room":"a b"}"#,
        r#"{"room":""}"#,
        r#"{"room":"team","ttl":0}"#,
        r#"{"room":"team","ttl":31536001}"#,
        r#"{"room":"team","ttl":-1}"#,
        r#"{"room":"team","grants":["fly"]}"#,
        r#"{"room":"team","identity":""}"#,
        r#"{"room":"team","max_participants":0}"#,
        r#"{"room":"team","rom":"team"}"#,
    ] {
        create(&server, body, &[]).assert_problem(400);
    }
    let long = format!(r#"{{"room":"{}"}}"#, "a".repeat(70_000));
    for (argument, _) in VERSIONS {
        create(&server, &long, &[argument]).assert_problem(413);
        let chunked = ["--header", "Transfer-Encoding: chunked", argument];
        create(&server, &long, &chunked).assert_problem(413);
    }
}

#[test]
fn a_closed_api_says_what_would_open_it() {
    for (section, key, name) in [
        ("admin", "token", "admin.token"),
        ("signaling", "tokens", "signaling.tokens.secret"),
    ] {
        let config = site().without(section, key);
        let Some(server) = Server::requires_own_server(config) else {
            return;
        };
        let answer = create(&server, r#"{"room":"team"}"#, &[]);
        answer.assert_problem(403);
        assert!(answer.body.contains(name), "{answer:?}");
    }
}

#[test]
fn other_servers_get_turn_credentials_that_work() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let body = format!("service=turn&username=carol&key={}", escaped(API_KEY));
    let mut answers = Vec::new();
    for (argument, _) in VERSIONS {
        for name in ["key", "api"] {
            let query = body.replace("key=", &format!("{name}="));
            let path = format!("/turn/credentials?{query}");
            answers.push(curl(&server, &path, &[argument]));
        }
        answers.push(curl(
            &server,
            "/turn/credentials",
            &[argument, "--data", &body],
        ));
    }
    for answer in answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let made = answer.json();
        let [username, password] = ["username", "password"].map(|key| made[key].as_str().unwrap());
        assert!(username.ends_with(":carol"), "{username}");
        assert_eq!(made["ttl"], 86_400);
        let port = server.address(Transport::Udp).port();
        let uri = format!("turn:127.0.0.1:{port}?transport=udp");
        assert_eq!(made["uris"][0], uri);
        let turn = &made["iceServers"][1];
        assert_eq!(
            (&turn["urls"], &turn["credential"]),
            (&made["uris"], &made["password"])
        );
        assert_eq!(turn["username"], username);
        let carol = Account::new(username, password);
        Session::open_as(&server, Transport::Tls, carol).allocate();
    }
    let nobody = curl(
        &server,
        &format!("/turn/credentials?key={}", escaped(API_KEY)),
        &[],
    );
    assert!(!nobody.json()["username"].as_str().unwrap().contains(':'));
}

#[test]
fn credentials_take_the_key_and_a_usable_name() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let key = escaped(API_KEY);
    let long = format!("key={key}&username={}", "a".repeat(257));
    for (status, query) in [
        (403, ""),
        (403, "key="),
        (403, "key=wrong"),
        (403, "service=turn&username=carol"),
        (400, &format!("key={key}&service=stun")),
        (400, &format!("key={key}&username=a%0Ab")),
        (400, &long),
    ] {
        let path = format!("/turn/credentials?{query}");
        curl(&server, &path, &[]).assert_problem(status);
    }
    let closed = TestConfig::standard();
    let Some(server) = Server::requires_own_server(closed) else {
        return;
    };
    let answer = curl(&server, "/turn/credentials?key=", &[]);
    answer.assert_problem(403);
    assert!(answer.body.contains("turn.rest.api_keys"));
}

#[test]
fn pages_of_listed_origins_may_read_the_api_and_all_may_load_the_client() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let from = |origin: &str, path: &str, method: &str| {
        let origin = format!("Origin: {origin}");
        curl(&server, path, &["--header", &origin, "--request", method])
    };
    let allowed = "access-control-allow-origin";
    for path in ["/api/v1/tokens", "/turn/credentials"] {
        for method in ["POST", "OPTIONS"] {
            let friend = from(FRIEND, path, method);
            assert_eq!(friend.header(allowed), Some(FRIEND), "{path}");
            assert_eq!(friend.header("vary"), Some("origin"));
            let stranger = from("https://stranger.example", path, method);
            assert_eq!(stranger.header(allowed), None, "{path}");
        }
        let preflight = from(FRIEND, path, "OPTIONS");
        assert_eq!(preflight.status, 204);
        let methods = preflight.header("access-control-allow-methods").unwrap();
        assert!(methods.contains("POST"));
        let headers = preflight.header("access-control-allow-headers").unwrap();
        assert!(headers.contains("authorization") && headers.contains("content-type"));
    }
    let client = from("https://stranger.example", "/client.js", "GET");
    assert_eq!(client.header(allowed), Some("*"));
    let page = from("https://stranger.example", "/", "GET");
    assert_eq!(page.header(allowed), None);
}

#[test]
fn a_reload_changes_keys_tokens_and_origins() {
    let Some(mut server) = Server::requires_own_server(site()) else {
        return;
    };
    let other = "another admin token that is long enough, 01234";
    server.rewrite_config(|config| {
        config
            .set("admin.token", other)
            .set("turn.rest.api_keys", strings(&[]))
            .set("signaling.origins", strings(&[]))
    });
    server.process().signal("HUP");
    wait_until("the reload", || {
        server.process().log().contains("configuration reloaded")
    });
    create(&server, r#"{"room":"team"}"#, &[]).assert_problem(401);
    let bearer = format!("Authorization: Bearer {other}");
    let origin = format!("Origin: {FRIEND}");
    let arguments = [
        "--data",
        r#"{"room":"team"}"#,
        "--header",
        &bearer,
        "--header",
        &origin,
    ];
    let answer = curl(&server, "/api/v1/tokens", &arguments);
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let path = format!("/turn/credentials?key={}", escaped(API_KEY));
    curl(&server, &path, &[]).assert_problem(403);
}

#[test]
fn the_log_has_no_path_no_key_and_no_token() {
    let config = site().set("log.level", "debug");
    let Some(mut server) = Server::requires_own_server(config) else {
        return;
    };
    let path = format!("/turn/credentials?username=carol&key={}", escaped(API_KEY));
    let credentials = curl(&server, &path, &[]).json();
    let made = create(&server, r#"{"room":"secret-room"}"#, &[]).json();
    curl(&server, "/r/secret-room?x=y", &[]);
    wait_until("three requests in the log", || {
        server.process().log().matches("request answered").count() == 3
    });
    let log = server.process().log();
    for secret in [
        "API key of",
        &escaped(API_KEY),
        ADMIN_TOKEN,
        "secret-room",
        "x=y",
        credentials["password"].as_str().unwrap(),
        made["token"].as_str().unwrap(),
    ] {
        assert!(!log.contains(secret), "{secret} is in\n{log}");
    }
    assert!(
        log.contains(r#""route":"turn_credentials","status":200"#),
        "{log}"
    );
}

/// Asks for a token as the admin.
#[track_caller]
fn create(server: &Server, body: &str, arguments: &[&str]) -> Answer {
    let bearer = format!("Authorization: Bearer {ADMIN_TOKEN}");
    let json = "Content-Type: application/json";
    let common = ["--data-binary", body, "--header", &bearer, "--header", json];
    curl(server, "/api/v1/tokens", &[&common, arguments].concat())
}

/// What a token says, without a look at its signature.
fn payload(token: &str) -> Value {
    let middle = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(middle).unwrap()).unwrap()
}

fn escaped(text: &str) -> String {
    text.replace(' ', "+").replace(',', "%2C")
}
