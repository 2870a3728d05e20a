//! Configuration files for the server under test.
//!
//! `TestConfig::standard` is what most tests need; `set` changes or adds any key
//! by its dotted path, so a test shows only what it depends on.

use std::path::Path;

use toml::{Table, Value};

/// A user name and its password.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl Account {
    pub(crate) fn new(username: &str, password: &str) -> Self {
        Self {
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }
}

/// The realm of every server that the tests start.
pub(crate) const REALM: &str = "example.org";

/// A configuration file under construction.
#[derive(Clone, Debug)]
pub(crate) struct TestConfig {
    table: Table,
    accounts: Vec<Account>,
}

impl TestConfig {
    /// Listens on free loopback ports of both families over UDP, TCP and TLS, with
    /// two users, two workers, loopback peers allowed, and limits that no test
    /// meets by accident: clients come and go without saying goodbye.
    pub(crate) fn standard() -> Self {
        let everywhere = ["127.0.0.1:0", "[::1]:0"];
        Self {
            table: Table::new(),
            accounts: Vec::new(),
        }
        .accounts(vec![
            Account::new("alice", "alice's long password"),
            Account::new("bob", "bob's long password"),
        ])
        .set("server.workers", 2)
        .set("server.public_ips", strings(&["127.0.0.1", "::1"]))
        .set("listen.udp", strings(&everywhere))
        .set("listen.tcp", strings(&everywhere))
        .set("listen.tls", strings(&everywhere))
        .set("listen.http", strings(&[]))
        .set("tls.mode", "self-signed")
        .set("turn.realm", REALM)
        .set("turn.relay_ips", strings(&["127.0.0.1", "::1"]))
        .set("turn.allow_peers", strings(&["127.0.0.0/8", "::1/128"]))
        .set("limits.allocations_per_user", 1000)
        .set("limits.allocations_per_ip", 1000)
        .set("limits.unauthenticated_per_ip", 0)
        .set("limits.unauthenticated", 0)
        .set("log.format", "json")
        .set("log.level", "info")
    }

    /// Like `standard`, with RFC 6062 relaying switched on.
    pub(crate) fn tcp_relay() -> Self {
        Self::standard().set("turn.tcp_relay", true)
    }

    /// Sets the key at the dotted `path`.
    pub(crate) fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        let (sections, key) = path.rsplit_once('.').expect("a path is section.key");
        let mut table = &mut self.table;
        for section in sections.split('.') {
            table = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()))
                .as_table_mut()
                .expect("a section is a table");
        }
        table.insert(key.to_owned(), value.into());
        self
    }

    /// Replaces the static users.
    pub(crate) fn accounts(mut self, accounts: Vec<Account>) -> Self {
        let users: Vec<Value> = accounts.iter().map(user).collect();
        self.accounts = accounts;
        if users.is_empty() {
            self.without("turn", "users")
        } else {
            self.set("turn.users", users)
        }
    }

    /// Removes `key` from `section`, so that its default applies.
    pub(crate) fn without(mut self, section: &str, key: &str) -> Self {
        if let Some(table) = self.table.get_mut(section).and_then(Value::as_table_mut) {
            table.remove(key);
        }
        self
    }

    /// The static users, as last set.
    pub(crate) fn users(&self) -> &[Account] {
        &self.accounts
    }

    /// Writes the file for a server that keeps its state in `state_dir`.
    pub(crate) fn write(&self, path: &Path, state_dir: &Path) {
        let table = self
            .clone()
            .set("server.state_dir", state_dir.display().to_string())
            .table;
        std::fs::write(path, table.to_string()).expect("the temporary directory is writable");
    }
}

/// Makes a TOML array of strings.
pub(crate) fn strings(items: &[&str]) -> Vec<Value> {
    items.iter().map(|item| Value::from(*item)).collect()
}

fn user(account: &Account) -> Value {
    let mut table = Table::new();
    table.insert("name".to_owned(), account.username.as_str().into());
    table.insert("password".to_owned(), account.password.as_str().into());
    Value::Table(table)
}
