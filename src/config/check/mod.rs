//! From the file as written to the checked [`Config`]: what the keys mean
//! alone and together.
//!
//! Each section has its file. Every check goes on after a finding, so that all
//! of them come in one run; a section made up from defaults in place of wrong
//! values never leaves `load`.

mod later;
mod listen;
mod rooms;
mod server;
mod tls;
mod turn;
mod users;

use super::fields::Fields;
use super::files::Files;
use super::keys;
use super::problem::Finding;
use super::problem::Place;
use super::raw::Raw;
use super::settings::Config;
use super::settings::Limits;
use super::settings::Log;
use super::settings::LogFormat;
use super::settings::LogLevel;
use crate::redact::Show;

/// What a check may know besides the configuration.
pub(crate) struct Surroundings {
    pub(crate) files: Files,
    /// Cores of this machine, the number of workers when none is given.
    pub(crate) cores: usize,
    /// Whether a secret is made at start, so that none is missing.
    pub(crate) makes_secret: bool,
}

/// Checks everything and builds the configuration.
///
/// The result is usable only when no error was found.
pub(crate) fn check(raw: &Raw, around: &Surroundings, findings: &mut Vec<Finding>) -> Config {
    let mut fields = Fields {
        record: &raw.file,
        files: &around.files,
        findings,
    };
    let server = server::server(&mut fields);
    let listen = listen::listen(&mut fields);
    let tls = tls::tls(&mut fields, &server, &listen);
    let turn = turn::turn(&mut fields, &raw.users, &server, around);
    turn::relay_ports_and_listeners(&mut fields, &turn, &listen);
    let config = Config {
        server,
        listen,
        tls,
        turn,
        limits: limits(&mut fields),
        signaling: rooms::signaling(&mut fields),
        rooms: rooms::rooms(&mut fields),
        sfu: later::sfu(&mut fields),
        admin: rooms::admin(&mut fields),
        log: log(&mut fields),
    };
    if !around.makes_secret {
        nobody(&mut fields, &config);
    }
    without_effect(&mut fields);
    config
}

// Who has neither credentials nor a way into rooms has no use of this server.
fn nobody(fields: &mut Fields<'_>, config: &Config) {
    let is_relay = turn::has_accounts(fields, &config.turn);
    if !is_relay && !config.has_open_rooms() {
        turn::nobody(fields);
    }
    rooms::nobody(fields, &config.signaling, is_relay);
}

fn limits(fields: &mut Fields<'_>) -> Limits {
    Limits {
        allocations_per_user: fields.limit("limits.allocations_per_user"),
        allocations_per_ip: fields.limit("limits.allocations_per_ip"),
        allocations: fields.limit("limits.allocations"),
        bandwidth_per_user: fields.bitrate("limits.bandwidth_per_user"),
        bandwidth: fields.bitrate("limits.bandwidth"),
        unauthenticated_per_ip: fields.limit("limits.unauthenticated_per_ip"),
        unauthenticated: fields.limit("limits.unauthenticated"),
        connections_per_ip: fields.limit("limits.connections_per_ip"),
        stream_queue: fields.size("limits.stream_queue"),
        sessions: fields.limit("limits.sessions"),
        requests_per_ip: fields.limit("limits.requests_per_ip"),
    }
}

fn log(fields: &mut Fields<'_>) -> Log {
    use LogFormat::{Auto, Json, Text};
    use LogLevel::{Debug, Error, Info, Trace, Warn};

    let shows = [Show::Full, Show::Prefix, Show::None];
    Log {
        format: fields.choice("log.format", &[Auto, Text, Json]).value,
        level: fields
            .choice("log.level", &[Error, Warn, Info, Debug, Trace])
            .value,
        addresses: fields.choice("log.addresses", &shows).value,
    }
}

// A key whose feature comes later is checked like any other, but whoever set
// it must not believe that it does something.
fn without_effect(fields: &mut Fields<'_>) {
    let entries = fields.record.entries.iter();
    let set: Vec<_> = entries
        .filter_map(|(name, entry)| Some((keys::find(name)?, entry.place.clone())))
        .filter(|(key, _)| !key.available)
        .collect();
    for (key, place) in set {
        fields.push(
            Finding::warning(key.name, &place, "not available in this version")
                .why("the value is checked, but it has no effect yet"),
        );
    }
}

/// Says that an entry repeats an earlier one of its list.
fn repeated(key: &str, place: &Place) -> Finding {
    Finding::error(key, place, "this entry is listed twice").write("it once")
}
