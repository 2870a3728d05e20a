//! Who may use the relay: static users and time-limited REST credentials side by
//! side (draft-uberti-behave-turn-rest), in every shape clients send them.

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use turnstone::clock;

use support::client::Client;
use support::config::{Account, TestConfig, strings};
use support::credentials::{Scheme, rest_account as rest};
use support::server::Server;
use support::session::Session;
use support::wire::Draft;
use support::{Transport, over_each_transport};

const SECRET: &str = "a shared secret of the organization";
const OLD_SECRET: &str = "the secret it had last month";

/// Valid for an hour, or expired for an hour.
const HOUR: i64 = 3600;

#[test]
fn the_three_shapes_of_rest_user_names_are_accepted() {
    let Some(server) = rest_server(&[SECRET]) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let expiry = in_seconds(HOUR);
        for username in [
            format!("{expiry}:carol"),
            format!("{expiry}"),
            format!("carol:{expiry}"),
        ] {
            let mut session = open(&server, transport, rest(&username, SECRET));
            session.allocate();
            session.refresh(None).assert_success();
        }
    });
}

#[test]
fn the_user_part_may_hold_anything() {
    let Some(server) = rest_server(&[SECRET]) else {
        return;
    };
    let expiry = in_seconds(HOUR);
    for username in [
        format!("{expiry}:"),
        format!("{expiry}:carol:phone"),
        format!("{expiry}:carol@example.org"),
        format!("{expiry}:12345"),
        format!("{expiry}:žofie 🦀"),
    ] {
        open(&server, Transport::Udp, rest(&username, SECRET)).allocate();
    }
}

#[test]
fn expired_rest_credentials_get_401() {
    let Some(server) = rest_server(&[SECRET]) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let expiry = in_seconds(-HOUR);
        for username in [
            format!("{expiry}:carol"),
            format!("{expiry}"),
            format!("carol:{expiry}"),
            "0:carol".to_owned(),
        ] {
            let mut session = open(&server, transport, rest(&username, SECRET));
            let answer = session.request(&Draft::allocate());
            assert_eq!(answer.error_code(), Some(401), "{username}: {answer:?}");
        }
    });
}

#[test]
fn user_names_without_a_sensible_expiry_get_401() {
    let Some(server) = rest_server(&[SECRET]) else {
        return;
    };
    for username in [
        "",
        ":",
        "carol",
        "-1:carol",
        "soon:carol",
        "99999999999999999999999999:carol",
        "0x7fffffff:carol",
    ] {
        let mut session = open(&server, Transport::Udp, rest(username, SECRET));
        let answer = session.request(&Draft::allocate());
        assert_eq!(answer.error_code(), Some(401), "{username}: {answer:?}");
    }
}

#[test]
fn a_password_made_with_another_secret_gets_401() {
    let Some(server) = rest_server(&[SECRET]) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let username = format!("{}:carol", in_seconds(HOUR));
        let mut session = open(&server, transport, rest(&username, "a guess"));
        session.request(&Draft::allocate()).assert_error(401);
    });
}

#[test]
fn a_longer_life_cannot_be_forged() {
    let Some(server) = rest_server(&[SECRET]) else {
        return;
    };
    let honest = rest(&format!("{}:carol", in_seconds(60)), SECRET);
    let forged = Account::new(&format!("{}:carol", in_seconds(HOUR)), &honest.password);
    let mut session = open(&server, Transport::Udp, forged);
    session.request(&Draft::allocate()).assert_error(401);
}

#[test]
fn while_secrets_rotate_both_are_accepted() {
    let Some(server) = rest_server(&[SECRET, OLD_SECRET]) else {
        return;
    };
    over_each_transport(&server, |transport| {
        for secret in [SECRET, OLD_SECRET] {
            let username = format!("{}:carol", in_seconds(HOUR));
            let mut session = open(&server, transport, rest(&username, secret));
            session.allocate();
            session.refresh(None).assert_success();
        }
        let username = format!("{}:carol", in_seconds(HOUR));
        let mut session = open(&server, transport, rest(&username, "a third one"));
        session.request(&Draft::allocate()).assert_error(401);
    });
}

#[test]
fn static_users_and_rest_credentials_work_side_by_side() {
    let Some(server) = rest_server(&[SECRET]) else {
        return;
    };
    over_each_transport(&server, |transport| {
        open(&server, transport, server.alice()).allocate();
        let username = format!("{}:carol", in_seconds(HOUR));
        open(&server, transport, rest(&username, SECRET)).allocate();
    });
}

#[test]
fn rest_credentials_work_with_sha256() {
    let Some(server) = rest_server(&[SECRET, OLD_SECRET]) else {
        return;
    };
    over_each_transport(&server, |transport| {
        for secret in [SECRET, OLD_SECRET] {
            let username = format!("{}:carol", in_seconds(HOUR));
            let client = Client::connect(&server, transport);
            Session::start(client, rest(&username, secret), Scheme::Sha256).allocate();
        }
    });
}

#[test]
fn the_lifetime_never_passes_the_expiry_of_the_credential() {
    let Some(server) = rest_server(&[SECRET]) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let username = format!("{}:carol", in_seconds(120));
        let mut session = open(&server, transport, rest(&username, SECRET));
        let answer = session.allocate_with(Draft::allocate().lifetime(3600));
        assert!(
            (1..=120).contains(&answer.lifetime()),
            "{}",
            answer.lifetime()
        );
        let answer = session.refresh(Some(3600));
        answer.assert_success();
        assert!(
            (1..=120).contains(&answer.lifetime()),
            "{}",
            answer.lifetime()
        );
    });
}

#[test]
fn a_user_given_by_key_is_accepted() {
    let mut dave = toml::Table::new();
    dave.insert("name".to_owned(), "dave".into());
    // MD5("dave:example.org:dave's password"), as `turnadmin -k` prints it.
    let key = "c0a131a8f22004b6db54765d54e8455c";
    dave.insert("key".to_owned(), key.into());
    let config = TestConfig::standard().set("turn.users", vec![toml::Value::Table(dave)]);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let dave = Account::new("dave", "dave's password");
        open(&server, transport, dave).allocate();
    });
}

#[test]
fn without_users_and_secrets_nobody_is_let_in() {
    let config = TestConfig::standard().accounts(Vec::new());
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    for account in [
        Account::new("alice", "alice's long password"),
        Account::new("", ""),
        rest(&format!("{}:carol", in_seconds(HOUR)), ""),
    ] {
        let mut session = open(&server, Transport::Udp, account);
        session.request(&Draft::allocate()).assert_error(401);
    }
}

fn rest_server(secrets: &[&str]) -> Option<Server> {
    let config = TestConfig::standard().set("turn.rest.secrets", strings(secrets));
    Server::requires_own_server(config)
}

fn open(server: &Server, transport: Transport, account: Account) -> Session {
    Session::open_as(server, transport, account)
}

/// The Unix time so many seconds from now.
fn in_seconds(seconds: i64) -> u64 {
    let now = clock::unix_now();
    let span = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        now.0.saturating_sub(span.as_secs())
    } else {
        now.plus(span).0
    }
}
