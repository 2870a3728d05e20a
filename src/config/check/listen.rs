//! `[listen]`.

use std::net::{IpAddr, SocketAddr};

use crate::config::fields::Fields;
use crate::config::fields::Found;
use crate::config::problem::Finding;
use crate::config::problem::Place;
use crate::config::settings::Listen;
use crate::config::values;

pub(super) fn listen(fields: &mut Fields<'_>) -> Listen {
    let udp = fields.many("listen.udp", values::listener);
    let tcp = fields.many("listen.tcp", values::listener);
    let tls = fields.many("listen.tls", values::listener);
    let mut http = fields.many("listen.http", values::listener);
    if !http.given {
        // The other listeners know HTTP as well: a default is not in their way.
        let others = || tcp.value.iter().chain(&tls.value);
        http.value
            .retain(|own| !others().any(|other| overlap(own.value, other.value)));
    }
    let admin = fields.parsed("listen.admin", |text| {
        if text.is_empty() {
            return Ok(None);
        }
        values::listener(text).map(Some)
    });
    let trusted_proxies = fields.many("listen.trusted_proxies", values::network);

    // Admin does not listen yet; a clash with it is none today.
    clashes(fields, &[("listen.udp", &udp.value)]);
    clashes(
        fields,
        &[
            ("listen.tcp", &tcp.value),
            ("listen.tls", &tls.value),
            ("listen.http", &http.value),
        ],
    );
    let turn = [&udp, &tcp, &tls];
    let is_complete = fields
        .findings
        .iter()
        .all(|f| !f.key.starts_with("listen."));
    if is_complete && turn.iter().all(|list| list.value.is_empty()) {
        fields.push(
            Finding::error("listen.udp", &udp.place, "nothing listens")
                .why("udp, tcp and tls are all empty")
                .write("udp = [\"[::]:3478\"]"),
        );
    }
    Listen {
        udp: addresses(udp),
        tcp: addresses(tcp),
        tls: addresses(tls),
        http: addresses(http),
        admin: admin.value,
        trusted_proxies: trusted_proxies.value.into_iter().map(|n| n.value).collect(),
    }
}

type Listeners<'a> = (&'a str, &'a [Found<SocketAddr>]);

// Lists that share a protocol must not share an address and port.
fn clashes(fields: &mut Fields<'_>, lists: &[Listeners<'_>]) {
    let mut seen: Vec<(&str, SocketAddr, Place)> = Vec::new();
    let all = lists
        .iter()
        .flat_map(|(key, list)| list.iter().map(move |found| (*key, found)));
    for (key, found) in all {
        let clash = seen
            .iter()
            .find(|(_, earlier, _)| overlap(*earlier, found.value));
        if let Some((other, earlier, place)) = clash {
            // Blame what somebody wrote rather than a default.
            let place = if found.given { &found.place } else { place };
            let what = format!("{} is taken by {other}", found.value);
            let why = if *earlier == found.value {
                "an address and port can be listened on once for each protocol".to_owned()
            } else {
                format!("{earlier} serves IPv4 as well")
            };
            let finding = Finding::error(key, place, what).why(why);
            fields.push(finding.write("another port, or leave one of them out"));
        }
        seen.push((key, found.value, found.place.clone()));
    }
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    if a.port() != b.port() || a.port() == 0 {
        return false;
    }
    let both_any = a.ip().is_unspecified() && b.ip().is_unspecified();
    a.ip() == b.ip() || both_any
}

fn addresses(list: Found<Vec<Found<SocketAddr>>>) -> Vec<SocketAddr> {
    list.value.into_iter().map(|found| found.value).collect()
}

/// Says whether a listener on `listener` also takes packets for `ip`.
pub(super) fn covers(listener: IpAddr, ip: IpAddr) -> bool {
    match (listener, ip) {
        (IpAddr::V4(any), IpAddr::V4(_)) if any.is_unspecified() => true,
        (IpAddr::V6(any), _) if any.is_unspecified() => true,
        (a, b) => a == b,
    }
}
