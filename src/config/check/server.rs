//! `[server]`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::repeated;
use crate::config::fields::Fields;
use crate::config::mistake::Mistake;
use crate::config::problem::Finding;
use crate::config::settings::PublicIp;
use crate::config::settings::Server;
use crate::config::values;

pub(super) fn server(fields: &mut Fields<'_>) -> Server {
    let domain = fields.parsed("server.domain", values::domain);
    let public_ips = public_ips(fields);
    let stun_servers = fields.many("server.stun_servers", values::stun_server);
    if !stun_servers.value.is_empty() && !public_ips.contains(&PublicIp::Auto) {
        let what = "no STUN server is asked";
        fields.push(
            Finding::warning("server.stun_servers", &stun_servers.place, what)
                .why("the public addresses are given, so nothing has to be found out")
                .write("public_ips = [\"auto\"], or no stun_servers"),
        );
    }
    let workers = fields.integer("server.workers").value;
    let state_dir = fields.text("server.state_dir");
    if !state_dir.value.starts_with('/') {
        fields.push(
            Finding::error(
                "server.state_dir",
                &state_dir.place,
                "this path is not absolute",
            )
            .why("the directory a service is started in is not a place to keep things")
            .write("state_dir = \"/var/lib/turnstone\""),
        );
    }
    Server {
        domain: domain.value,
        public_ips,
        stun_servers: stun_servers.value.into_iter().map(|s| s.value).collect(),
        workers: usize::try_from(workers).ok().and_then(NonZeroUsize::new),
        state_dir: PathBuf::from(state_dir.value),
    }
}

fn public_ips(fields: &mut Fields<'_>) -> Vec<PublicIp> {
    const KEY: &str = "server.public_ips";
    let list = fields.many(KEY, public_ip);
    let mut seen = Vec::new();
    for entry in &list.value {
        if seen.contains(&entry.value) {
            fields.push(repeated(KEY, &entry.place));
        } else if entry.value == PublicIp::Auto && list.value.len() > 1 {
            fields.push(
                Finding::error(KEY, &entry.place, "\"auto\" stands beside other entries")
                    .why("either the addresses are found or they are given")
                    .write("\"auto\" alone, or only addresses and \"dns:NAME\""),
            );
        }
        seen.push(entry.value.clone());
    }
    if seen.is_empty() && list.given {
        fields.push(
            Finding::error(KEY, &list.place, "there is no address to announce")
                .why("clients are told at which address their relay port is")
                .write("public_ips = [\"auto\"]"),
        );
    }
    seen
}

fn public_ip(text: &str) -> Result<PublicIp, Mistake> {
    if text == "auto" {
        return Ok(PublicIp::Auto);
    }
    if let Some(name) = text.strip_prefix("dns:") {
        return values::name_to_look_up(name).map(PublicIp::Dns);
    }
    let looks_like_a_name = text.contains('.') && text.contains(|c: char| c.is_alphabetic());
    if looks_like_a_name && let Ok(name) = values::name_to_look_up(text) {
        return Err(
            Mistake::new(format!("{} is not an IP address", Mistake::quote(text)))
                .why("a name to look up has \"dns:\" before it")
                .value(format!("\"dns:{name}\"")),
        );
    }
    values::address(text).map(PublicIp::Address)
}
