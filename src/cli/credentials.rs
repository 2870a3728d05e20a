//! `turnstone credentials`: fresh credentials as a browser takes them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::FAILED;
use super::WithConfig;
use super::output;
use super::source::load_file;
use crate::auth;
use crate::auth::Credentials;
use crate::clock;
use crate::config;
use crate::config::Config;
use crate::config::IceUrls;
use crate::unix_time::UnixTime;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    with: WithConfig,
    /// Name that appears in the log and that per-user limits count
    #[arg(long, value_name = "NAME", value_parser = user_name)]
    user: Option<String>,
    /// How long they are valid, such as 10m or 1h [default: turn.rest.ttl]
    #[arg(long, value_name = "DURATION", value_parser = ttl)]
    ttl: Option<Duration>,
}

pub(super) fn credentials(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let without = "a server without a file prints credentials when it starts";
    let Some(config) = load_file(arguments.with.config.clone(), without)? else {
        return Ok(ExitCode::from(FAILED));
    };
    let ttl = arguments.ttl.unwrap_or(config.turn.rest.ttl);
    let (urls, credentials) = issue(&config, arguments.user.as_deref(), clock::unix_now(), ttl)?;
    output::result(&format!("{:#}", ice_servers(&urls, &credentials)))?;
    output::hint(&format!(
        "valid for {}, until {}; new RTCPeerConnection(...) takes this object as it is",
        config::human_duration(ttl),
        utc(credentials.expires)
    ));
    Ok(ExitCode::SUCCESS)
}

fn issue(
    config: &Config,
    user: Option<&str>,
    now: UnixTime,
    ttl: Duration,
) -> anyhow::Result<(IceUrls, Credentials)> {
    let secret = config.turn.rest.secrets.first().context(
        "there is no shared secret to make credentials from\n = write: secrets_file in \
         [turn.rest]; users of [[turn.users]] sign in with their own name and password",
    )?;
    let host = config.ice_host().context(
        "it is not known how clients reach this server\n = write: domain = \"...\" in [server], \
         or a fixed address in public_ips",
    )?;
    let urls = config.ice_urls(&host);
    if urls.turn.is_empty() {
        bail!(
            "no listener can be reached as {host}\n = write: a listener in [listen] that is \
             not on loopback and not on port 0"
        );
    }
    Ok((urls, auth::issue(secret, user, now, ttl)))
}

/// Returns the object a browser's `RTCPeerConnection` takes: STUN servers and
/// TURN servers with credentials.
pub(super) fn ice_servers(urls: &IceUrls, credentials: &Credentials) -> Value {
    let turn = json!({
        "urls": urls.turn,
        "username": credentials.username,
        "credential": credentials.password,
    });
    if urls.stun.is_empty() {
        return json!({ "iceServers": [turn] });
    }
    json!({ "iceServers": [{ "urls": urls.stun }, turn] })
}

fn user_name(text: &str) -> Result<String, String> {
    // Leaves room for "expiry:" in the 508 bytes of RFC 8489 section 14.3.
    if text.is_empty() || text.len() > 480 {
        return Err("a name has 1 to 480 bytes".to_owned());
    }
    if text.contains(char::is_control) {
        return Err("a name has no control characters".to_owned());
    }
    Ok(text.to_owned())
}

fn ttl(text: &str) -> Result<Duration, String> {
    let span = config::parse_duration(text)?;
    let range = Duration::from_secs(1)..=LONGEST;
    if !range.contains(&span) {
        return Err("it must be from 1s to 30d".to_owned());
    }
    Ok(span)
}

// The same as the range of turn.rest.ttl.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// Writes a time as `2026-01-31 12:00:00 UTC`.
pub(super) fn utc(time: UnixTime) -> String {
    let (days, second) = (time.0 / 86_400, time.0 % 86_400);
    // Counts from 0000-03-01, so that the leap day ends a year; 719 468 days lie
    // between that day and 1970-01-01, and 146 097 in 400 years.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_a_date() {
        let cases = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_767_225_599, "2025-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ];
        for (seconds, text) in cases {
            assert_eq!(utc(UnixTime(seconds)), text);
        }
    }

    #[test]
    fn names_and_lifetimes_are_checked() {
        assert!(user_name("alice").is_ok() && user_name("").is_err() && user_name("a\nb").is_err());
        assert!(ttl("1h").is_ok() && ttl("0s").is_err() && ttl("31d").is_err());
        assert!(ttl("10").unwrap_err().contains("\"10s\""));
    }

    #[test]
    fn without_a_udp_listener_there_is_no_stun_entry() {
        let urls = IceUrls {
            stun: Vec::new(),
            turn: vec!["turns:h:443?transport=tcp".to_owned()],
        };
        let credentials = Credentials {
            username: "1:a".to_owned(),
            password: "p".to_owned(),
            expires: UnixTime(1),
        };
        let object = ice_servers(&urls, &credentials);
        assert_eq!(object["iceServers"].as_array().map(Vec::len), Some(1));
        assert_eq!(object["iceServers"][0]["username"], "1:a");
    }
}
