//! What clients see when the server is restarted, reloaded or stopped, and when a
//! credential or a quota runs out while they are there.

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use turnstone::clock;

use support::client::Client;
use support::config::{Account, TestConfig, strings};
use support::credentials::{Scheme, rest_account};
use support::peer::{Peer, is_free};
use support::server::Server;
use support::session::Session;
use support::wire::{Draft, TCP, attribute, method};
use support::{SILENCE, Transport, over_each_transport, wait_until};

#[test]
fn after_a_restart_a_refresh_gets_437_and_the_client_can_start_anew() {
    let Some(mut server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    let mut session = Session::allocated(&server, Transport::Udp);
    server.restart();
    // The old nonce is stale first; the session renews it, as clients do.
    session.refresh(None).assert_error(437);
    session.allocate();
}

#[test]
fn a_restart_ends_streams_and_a_new_one_works() {
    let Some(mut server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    for transport in Transport::STREAMS {
        let mut session = Session::allocated(&server, transport);
        server.restart();
        session.client.assert_closed_by_server();
        Session::allocated(&server, transport);
    }
}

#[test]
fn a_stop_ends_with_success_and_frees_every_port() {
    let Some(mut server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    let udp = Session::allocated(&server, Transport::Udp);
    let mut tcp = Session::allocated(&server, Transport::Tcp);
    assert!(server.process().stop(), "the exit code is not 0");
    tcp.client.assert_closed_by_server();
    assert!(is_free(udp.relayed()));
    assert!(is_free(server.address(Transport::Udp)));
}

#[test]
fn a_stop_accounts_for_every_allocation() {
    let config = TestConfig::standard().set("server.workers", 4);
    let Some(mut server) = Server::requires_own_server(config) else {
        return;
    };
    let held: Vec<Session> = (0..200)
        .map(|_| Session::allocated(&server, Transport::Udp))
        .collect();
    assert!(server.process().stop(), "the exit code is not 0");
    // Has the whole log read.
    server.process().kill();
    let log = server.process().log();
    assert_eq!(log.matches("server stopped").count(), held.len());
    assert!(
        log.trim_end().ends_with(r#""message":"stopped"}}"#),
        "{log}"
    );
}

#[test]
fn without_descriptors_it_refuses_newcomers_and_recovers() {
    let Some(mut server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    let mut held = Session::allocated(&server, Transport::Udp);
    let mut waiting = Session::open(&server, Transport::Udp);
    let free = server.process().lowest_free_descriptor();
    server.process().limit_descriptors(free);
    waiting.request(&Draft::allocate()).assert_error(508);
    // The kernel connects it; the server cannot take it over yet.
    let mut newcomer = Client::connect(&server, Transport::Tcp);
    newcomer.send(&Draft::binding().bytes());
    held.refresh(None).assert_success();
    assert!(newcomer.receive_within(4 * SILENCE).is_none());
    let log = server.process().log();
    assert_eq!(log.matches("cannot accept a connection").count(), 1);
    assert_eq!(log.matches("cannot open a relay socket").count(), 1);

    server.process().limit_descriptors(1024);
    newcomer.receive();
    waiting.allocate();
}

#[test]
fn a_tcp_peer_that_came_while_there_was_no_descriptor_is_announced_later() {
    let Some(mut server) = Server::requires_own_server(TestConfig::tcp_relay()) else {
        return;
    };
    let mut session = Session::open(&server, Transport::Tcp);
    session.allocate_with(Draft::request(method::ALLOCATE).transport(TCP));
    session.permit(&["127.0.0.1:9".parse().unwrap()]);
    let free = server.process().lowest_free_descriptor();
    server.process().limit_descriptors(free);
    let peer = std::net::TcpStream::connect(session.relayed()).unwrap();
    assert!(session.client.receive_within(SILENCE).is_none());

    server.process().limit_descriptors(1024);
    let attempt = session.client.receive().stun();
    let from = attempt.address(attribute::XOR_PEER_ADDRESS);
    assert_eq!(from, peer.local_addr().unwrap());
}

#[test]
fn a_user_removed_by_a_reload_loses_the_allocation() {
    let Some(mut server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    let bob = server.bob().unwrap();
    let mut of_alice = Session::allocated(&server, Transport::Udp);
    let mut of_bob = Session::open_as(&server, Transport::Tcp, bob.clone());
    of_bob.allocate();
    let relayed = of_bob.relayed();

    let alice = server.alice();
    server.rewrite_config(|config| config.accounts(vec![alice]));
    server.process().signal("HUP");
    wait_until("bob's relayed address is free", || is_free(relayed));

    // Alice notices nothing.
    of_alice.refresh(None).assert_success();
    let mut again = Session::open_as(&server, Transport::Udp, bob);
    again.request(&Draft::allocate()).assert_error(401);
}

#[test]
fn a_user_added_by_a_reload_is_let_in() {
    let Some(mut server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    let erin = Account::new("erin", "erin's long password");
    let mut of_erin = Session::open_as(&server, Transport::Udp, erin.clone());
    of_erin.request(&Draft::allocate()).assert_error(401);
    let everybody = vec![server.alice(), erin];
    server.rewrite_config(|config| config.accounts(everybody));
    server.process().signal("HUP");
    wait_until("erin is let in", || {
        of_erin.request(&Draft::allocate()).error_code().is_none()
    });
}

#[test]
fn a_changed_password_counts_from_the_next_request() {
    let Some(mut server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    let mut session = Session::allocated(&server, Transport::Udp);
    let changed = Account::new("alice", "alice's new password");
    server.rewrite_config(|config| config.accounts(vec![changed.clone()]));
    server.process().signal("HUP");
    wait_until("the old password is refused", || {
        session.refresh(None).error_code() == Some(401)
    });
    Session::open_as(&server, Transport::Udp, changed).allocate();
}

#[test]
fn peer_policy_and_quotas_change_with_a_reload() {
    let Some(mut server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    let peer = Peer::on("127.0.0.2");
    let mut session = Session::allocated(&server, Transport::Udp);
    session.permit(&[peer.address()]);
    server.rewrite_config(|config| {
        config
            .set("turn.allow_peers", strings(&[]))
            .set("limits.allocations_per_user", 1)
    });
    server.process().signal("HUP");
    wait_until("the peer is denied", || {
        let request = Draft::create_permission(&[peer.address()]);
        session.request(&request).error_code() == Some(403)
    });
    // Nor does the permission from before open the way any longer.
    session.send(peer.address(), b"data");
    assert!(peer.receive_within(SILENCE).is_none());
    let mut second = Session::open(&server, Transport::Udp);
    second.request(&Draft::allocate()).assert_error(486);
}

#[test]
fn a_bad_file_is_refused_and_the_old_one_stays() {
    let Some(mut server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    let mut session = Session::allocated(&server, Transport::Udp);
    server.spoil_config("[turn]\nrealm = \"elsewhere\"\nno_such_key = 1\n");
    server.process().signal("HUP");
    wait_until("the log names the unknown key", || {
        server.process().log().contains("no_such_key")
    });
    session.refresh(None).assert_success();
    Session::allocated(&server, Transport::Udp);
}

#[test]
fn a_renewed_credential_is_for_a_new_allocation_of_the_same_user() {
    let secret = "a secret of the website";
    let config = TestConfig::standard()
        .set("turn.rest.secrets", strings(&[secret]))
        .set("limits.allocations_per_user", 2);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    let issued = |ttl| {
        let expiry = clock::unix_now().plus(Duration::from_secs(ttl));
        rest_account(&format!("{}:carol", expiry.0), secret)
    };
    let start = |account: Account| {
        let client = Client::connect(&server, Transport::Udp);
        Session::start(client, account, Scheme::Sha1)
    };
    let mut session = start(issued(600));
    session.allocate();
    let first = session.credentials.clone();
    session.credentials.account = issued(1200);
    session.refresh(None).assert_error(441);
    session.credentials = first;
    session.refresh(None).assert_success();

    start(issued(1200)).allocate();
    let third = start(issued(1800)).request(&Draft::allocate());
    third.assert_error(486);
}

#[test]
fn an_allocation_ends_when_its_credential_expires() {
    let secret = "a shared secret of the organization";
    let config = TestConfig::standard().set("turn.rest.secrets", strings(&[secret]));
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    let expiry = clock::unix_now().plus(Duration::from_secs(3));
    let carol = rest_account(&format!("{}:carol", expiry.0), secret);
    let mut sessions: Vec<Session> = Transport::ALL
        .into_iter()
        .map(|transport| {
            let client = Client::connect(&server, transport);
            let mut session = Session::start(client, carol.clone(), Scheme::Sha1);
            let answer = session.allocate_with(Draft::allocate());
            assert!(answer.lifetime() <= 3, "{}", answer.lifetime());
            session
        })
        .collect();
    let relayed: Vec<SocketAddr> = sessions.iter().map(Session::relayed).collect();
    for address in relayed {
        wait_until("the relayed address is free", || is_free(address));
    }
    for session in &mut sessions {
        let code = session.refresh(None).error_code();
        assert!(matches!(code, Some(401 | 437)), "{code:?}");
        // Lifetimes are whole seconds, so the last one may have a part left.
        wait_until("a new allocation is refused", || {
            session.request(&Draft::allocate()).error_code() == Some(401)
        });
    }
}

#[test]
fn a_full_quota_frees_itself_as_allocations_end() {
    let config = TestConfig::standard().set("limits.allocations_per_user", 3);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut held: Vec<Session> = (0..3)
            .map(|_| Session::allocated(&server, transport))
            .collect();
        let mut waiting = Session::open(&server, transport);
        for session in &mut held {
            waiting.request(&Draft::allocate()).assert_error(486);
            session.refresh(Some(0)).assert_success();
            waiting.allocate();
            waiting.refresh(Some(0)).assert_success();
            session.allocate();
        }
        for mut session in held {
            session.refresh(Some(0)).assert_success();
        }
    });
}
