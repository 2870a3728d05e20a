//! `turnstone run`: reads the configuration and hands it to the server.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::FAILED;
use super::check::verdict;
use super::credentials::ice_servers;
use super::output;
use super::source::source;
use crate::auth;
use crate::config;
use crate::config::Config;
use crate::config::IceHost;
use crate::config::Problems;
use crate::config::Source;
use crate::secret::Secret;
use crate::unix_time::UnixTime;

/// What `turnstone run` asks the server to serve.
pub struct RunRequest {
    /// The configuration, which has a secret or a user at least.
    pub config: Config,
    /// Where it came from, to load it again.
    pub source: Source,
    /// The secret that was made because the configuration has none and no user.
    ///
    /// It is in `config` already; a reload that finds none again must add it, or
    /// credentials given out before would end.
    pub generated_secret: Option<Secret>,
    /// What to print when the server is ready, for a start without a secret.
    pub greeting: Option<Greeting>,
}

/// Ready-to-use credentials for whoever starts the server for a first try.
pub struct Greeting {
    config: Config,
    secret: Secret,
}

impl Greeting {
    /// Prints credentials that work from `now` on: the iceServers JSON to
    /// stdout, the words around it to stderr.
    ///
    /// `address` is where clients reach the server if the configuration names
    /// neither a domain nor an address.
    ///
    /// Call it when all listeners are open; what is on port 0 is left out.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn print(&self, address: IpAddr, now: UnixTime) -> anyhow::Result<()> {
        let ttl = self.config.turn.rest.ttl;
        let host = self.config.ice_host();
        let host = host.unwrap_or(IceHost::Address(address));
        let urls = self.config.ice_urls(&host);
        let credentials = auth::issue(&self.secret, Some("first-try"), now, ttl);
        output::hint(&format!(
            "serving at {host} with a secret that ends with this process\n\
             credentials for a first try, valid for {}:",
            config::human_duration(ttl)
        ));
        output::result(&format!("{:#}", ice_servers(&urls, &credentials)))?;
        if let Some(tls) = self.config.listen.tls.first() {
            output::hint(&format!(
                "for a call, open https://{host}:{}/ in two browsers; they warn of the certificate, \
                 which nobody has signed",
                tls.port()
            ));
        }
        output::hint("turnstone config --full prints a configuration file to go on from");
        Ok(())
    }
}

pub(super) fn run(
    config: Option<PathBuf>,
    serve: impl FnOnce(RunRequest) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let source = source(config);
    let loaded = match config::load(&source) {
        Ok(loaded) => loaded,
        Err(problems) => {
            report(&source, &problems);
            return Ok(ExitCode::from(FAILED));
        }
    };
    if !loaded.warnings.is_empty() {
        report(&source, &Problems(loaded.warnings));
    }
    let mut config = loaded.config;
    let (mut generated_secret, mut greeting) = (None, None);
    // People in rooms get credentials of their own; the secret is for a server that
    // nobody could use otherwise, and for a first try.
    let is_closed = source.path().is_none() || !config.has_open_rooms();
    if is_closed && config.turn.users.is_empty() && config.turn.rest.secrets.is_empty() {
        let secret = new_secret()?;
        config.turn.rest.secrets.push(secret.clone());
        generated_secret = Some(secret.clone());
        let config = config.clone();
        greeting = Some(Greeting { config, secret });
    }
    let served = serve(RunRequest {
        config,
        source,
        generated_secret,
        greeting,
    });
    // Not the status of a wrong configuration: starting again may help here.
    Ok(served.map_or_else(
        |error| {
            output::hint(&format!("error: {error:#}"));
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    ))
}

fn report(source: &Source, problems: &Problems) {
    output::hint(&format!(
        "{problems}\n\n{}: {}",
        verdict(problems),
        source.name()
    ));
}

// 32 random bytes as text, the same as `openssl rand -base64 32`.
fn new_secret() -> anyhow::Result<Secret> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    Ok(Secret::new(STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_secret_is_new_each_time_and_long() {
        let [a, b] = [new_secret(), new_secret()].map(|secret| secret.unwrap());
        assert_eq!(a.expose().len(), 44);
        assert!(a != b);
    }
}
