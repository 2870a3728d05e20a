//! `turnstone token`: tokens that open rooms.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;

use super::FAILED;
use super::WithConfig;
use super::credentials::utc;
use super::output;
use super::source::load_file;
use crate::auth::ANY_ROOM;
use crate::auth::Claims;
use crate::auth::Grants;
use crate::auth::MAX_IDENTITY_LEN;
use crate::auth::MAX_NAME_LEN;
use crate::auth::TokenError;
use crate::auth::is_room_name;
use crate::clock;
use crate::config;
use crate::config::Config;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a token and the link that opens its room
    Create(Arguments),
}

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    with: WithConfig,
    /// Room that the token opens, or * for every room
    #[arg(long, value_name = "ROOM", value_parser = room)]
    room: String,
    /// Name that the others see
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,
    /// Who it is for, in the words of your application, such as an e-mail address
    #[arg(long, value_name = "ID", value_parser = identity)]
    identity: Option<String>,
    /// What its holder may do: publish, subscribe, moderate
    #[arg(
        long,
        value_name = "GRANTS",
        value_delimiter = ',',
        value_parser = Grants::NAMES,
        default_value = "publish,subscribe"
    )]
    can: Vec<String>,
    /// How long it is valid, such as 10m or 7d
    #[arg(long, value_name = "DURATION", value_parser = ttl, default_value = "1h")]
    ttl: Duration,
    /// The most people that may be in the room, its holder among them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    max: Option<u32>,
}

pub(super) fn token(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::Create(arguments) = command;
    let without = "a server without a file lets everybody in";
    let Some(config) = load_file(arguments.with.config.clone(), without)? else {
        return Ok(ExitCode::from(FAILED));
    };
    let claims = arguments.claims();
    let token = sign(&config, &claims)?;
    output::result(&token)?;
    output::hint(&format!(
        "valid for {}, until {}\n{}",
        config::human_duration(arguments.ttl),
        utc(claims.expires),
        link(&config, &claims.room, &token)
    ));
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    fn claims(&self) -> Claims {
        Claims {
            room: self.room.clone(),
            identity: self.identity.clone(),
            name: self.name.clone(),
            grants: Grants::of_names(self.can.iter().map(String::as_str)),
            expires: clock::unix_now().plus(self.ttl),
            not_before: None,
            max_participants: self.max,
        }
    }
}

fn sign(config: &Config, claims: &Claims) -> anyhow::Result<String> {
    let error = match config.tokens().sign(claims, clock::unix_now()) {
        Ok(token) => return Ok(token),
        Err(error) => error,
    };
    if error != TokenError::NoSigningKey {
        return Err(error.into());
    }
    let why = if config.signaling.token_keys.is_empty() {
        "there is no key to sign tokens with"
    } else {
        "the keys of this server verify tokens, but none of them can sign"
    };
    bail!(
        "{why}\n = write: secret_file in [signaling.tokens]; \
         openssl rand -base64 32 makes a secret"
    );
}

fn link(config: &Config, room: &str, token: &str) -> String {
    if room == ANY_ROOM {
        return "it opens every room of this server".to_owned();
    }
    let origin = config.ice_host().and_then(|host| config.web_origin(&host));
    match origin {
        Some(origin) => format!("{origin}/r/{room}#token={token}"),
        None => "it is not known how browsers reach this server, so there is no link; \
                 domain in [server] and a tls listener in [listen] give one"
            .to_owned(),
    }
}

fn room(text: &str) -> Result<String, String> {
    if text != ANY_ROOM && !is_room_name(text) {
        return Err("a room has 1 to 64 of the characters A-Z a-z 0-9 _ . -".to_owned());
    }
    Ok(text.to_owned())
}

fn name(text: &str) -> Result<String, String> {
    let is_short = text.chars().count() <= MAX_NAME_LEN;
    if text.trim().is_empty() || !is_short || text.contains(char::is_control) {
        return Err(format!(
            "a name has 1 to {MAX_NAME_LEN} characters and no control characters"
        ));
    }
    Ok(text.to_owned())
}

fn identity(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > MAX_IDENTITY_LEN || text.contains(char::is_control) {
        return Err(format!(
            "an identity has 1 to {MAX_IDENTITY_LEN} bytes and no control characters"
        ));
    }
    Ok(text.to_owned())
}

fn ttl(text: &str) -> Result<Duration, String> {
    let span = config::parse_duration(text)?;
    let range = Duration::from_secs(1)..=LONGEST;
    if !range.contains(&span) {
        return Err("it must be from 1s to 365d".to_owned());
    }
    Ok(span)
}

// A token cannot be called back but by changing the key.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_into_a_token_is_checked() {
        assert!(room("team").is_ok() && room("*").is_ok() && room("a b").is_err());
        assert!(name("Ann").is_ok() && name(" ").is_err() && name("a\nb").is_err());
        assert!(name(&"n".repeat(65)).is_err());
        assert!(identity("ann@example.org").is_ok() && identity("").is_err());
        assert!(ttl("365d").is_ok() && ttl("366d").is_err() && ttl("0s").is_err());
    }
}
