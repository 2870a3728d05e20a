//! The configuration: one TOML file, the environment over it, all problems at
//! once.
//!
//! [`load`] reads a [`Source`] and gives a checked [`Config`] or every
//! [`Problem`] that was found. `raw` holds the file as written, `keys` the one
//! table of keys with defaults and ranges, `check` what the keys mean together,
//! `explain` the words for `config --explain` and `config --full`. Nothing here
//! opens a socket or reads the environment of the process.
//!
//! ```
//! use std::collections::BTreeMap;
//! use turnstone::config::{self, Source};
//!
//! let text = "[turn]\nrelay_port = \"50000-50999\"\n";
//! let problems = config::load(&Source::text("t.toml", text, BTreeMap::new()))
//!     .err()
//!     .ok_or("a misspelled key is an error")?;
//! assert_eq!(problems.0[0].line, Some(2));
//! assert_eq!(problems.0[0].write, "relay_ports = ...");
//! # Ok::<(), &str>(())
//! ```

mod bitrate;
mod check;
mod duration;
mod environment;
pub mod explain;
mod fields;
mod files;
mod ice_urls;
pub mod keys;
mod kind;
mod mistake;
mod page;
mod problem;
mod raw;
mod secrets;
mod settings;
mod size;
mod suggest;
mod summary;
mod syntax;
mod values;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::secret::Secret;

pub use bitrate::Bitrate;
pub use duration::human as human_duration;
pub use environment::PREFIX as VARIABLE_PREFIX;
pub use ice_urls::IceHost;
pub use ice_urls::IceUrls;
pub use kind::Kind;
pub use problem::Excerpt;
pub use problem::Problem;
pub use problem::Problems;
pub use problem::Severity;
pub use settings::*;
pub use size::ByteSize;
pub use values::HostPort;

use check::Surroundings;
use files::Files;
use page::Page;
use problem::Finding;
use problem::Place;

/// Where a configuration comes from. It can be loaded again, for a reload.
#[derive(Clone, Debug)]
pub struct Source {
    origin: Origin,
    environment: BTreeMap<String, String>,
    cores: usize,
}

#[derive(Clone, Debug)]
enum Origin {
    File(PathBuf),
    Text { name: String, text: String },
    Local,
}

/// A configuration that can be used, and what is doubtful about it.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Its warnings, in the order of the file.
    pub warnings: Vec<Problem>,
}

impl Source {
    /// Takes a file, and the environment with the variables that override it.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>, environment: BTreeMap<String, String>) -> Self {
        Self::new(Origin::File(path.into()), environment)
    }

    /// Takes a text instead of a file; `name` stands for it in messages.
    #[must_use]
    pub fn text(
        name: impl Into<String>,
        text: impl Into<String>,
        environment: BTreeMap<String, String>,
    ) -> Self {
        let (name, text) = (name.into(), text.into());
        Self::new(Origin::Text { name, text }, environment)
    }

    /// Takes what a start without a file uses: UDP and TCP on port 3478 and TLS
    /// on 8443 with a self-signed certificate, and rooms that guests may enter.
    /// There are no secrets in it.
    #[must_use]
    pub fn local(environment: BTreeMap<String, String>) -> Self {
        Self::new(Origin::Local, environment)
    }

    /// Sets the number of cores, which `new` takes from the system.
    ///
    /// It decides how many relay ports are enough when `server.workers` is 0.
    #[must_use]
    pub fn with_cores(mut self, cores: NonZeroUsize) -> Self {
        self.cores = cores.get();
        self
    }

    /// Returns the path of the file, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File(path) => Some(path),
            Origin::Text { .. } | Origin::Local => None,
        }
    }

    /// Returns the name that stands for the source in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.origin {
            Origin::File(path) => path.display().to_string(),
            Origin::Text { name, .. } => name.clone(),
            Origin::Local => "the built-in settings".to_owned(),
        }
    }

    fn new(origin: Origin, environment: BTreeMap<String, String>) -> Self {
        Self {
            origin,
            environment,
            cores: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }

    fn read(&self) -> Result<String, String> {
        match &self.origin {
            Origin::Text { text, .. } => Ok(text.clone()),
            Origin::Local => Ok(LOCAL.to_owned()),
            Origin::File(path) => read_file(path),
        }
    }

    fn surroundings(&self) -> Surroundings {
        let beside = self
            .path()
            .and_then(Path::parent)
            .unwrap_or_else(|| Path::new(""));
        Surroundings {
            files: Files {
                beside: beside.to_owned(),
                credentials: self.environment.get(CREDENTIALS).map(PathBuf::from),
            },
            cores: self.cores,
            makes_secret: matches!(self.origin, Origin::Local),
        }
    }
}

/// Reads, checks and returns a configuration.
///
/// # Errors
/// Every problem of the configuration, warnings among them, when at least one
/// is an error. No message contains the value of a secret.
pub fn load(source: &Source) -> Result<Loaded, Problems> {
    let name = source.name();
    let text = match source.read() {
        Ok(text) => text,
        Err(reason) => return Err(unreadable(&name, reason)),
    };
    let mut findings = Vec::new();
    let mut page = Page::new(&name, &text);
    let mut raw = raw::read(&mut page, &text, &mut findings);
    environment::apply(&source.environment, &mut raw, &mut findings);
    let form = findings.len();
    let config = check::check(&raw, &source.surroundings(), &mut findings);
    if !raw.broken.is_empty() {
        // What the rest of a broken file means is partly a guess: say only what
        // is certain of it.
        let meaning = findings.split_off(form);
        findings.extend(
            meaning
                .into_iter()
                .filter(|f| page.is_certain(f, &raw.broken)),
        );
    }
    findings.sort_by_key(|finding| match &finding.place {
        Place::File(bytes) => (0, bytes.start),
        Place::Variable(_) => (1, 0),
        Place::Absent => (2, 0),
    });
    let problems: Vec<_> = findings.into_iter().map(|f| page.problem(f)).collect();
    if problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
    {
        return Err(Problems(problems));
    }
    Ok(Loaded {
        config,
        warnings: problems,
    })
}

impl Config {
    /// Returns the configuration of a start without a file.
    ///
    /// UDP and TCP listen on port 3478 and TLS on 8443 of every address, with a
    /// self-signed certificate; `rest_secret` signs credentials, and guests may
    /// enter rooms.
    #[must_use]
    pub fn default_local(rest_secret: Secret) -> Self {
        let source = Source::local(BTreeMap::new()).with_cores(NonZeroUsize::MIN);
        let Ok(loaded) = load(&source) else {
            unreachable!("a test loads the built-in settings");
        };
        let mut config = loaded.config;
        config.turn.rest.secrets.push(rest_secret);
        config
    }
}

/// Parses a duration as the file writes it, such as `10m` or `1h30m`.
///
/// # Errors
/// A sentence that says what is wrong and what would do.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|mistake| {
        let value = mistake.value.unwrap_or_default();
        format!("{}: {}, as in {value}", mistake.what, mistake.why)
    })
}

fn unreadable(name: &str, reason: String) -> Problems {
    let what = "the configuration file cannot be read";
    let finding = Finding::error("", &Place::Absent, what)
        .why(reason)
        .write("--config with the path of your file; config --full prints one to start from");
    Problems(vec![Page::new(name, "").problem(finding)])
}

fn read_file(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| files::describe(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err("it is larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

const LOCAL: &str = r#"
[listen]
tls = ["[::]:8443"]
http = []

[tls]
mode = "self-signed"

[signaling]
guests = true
"#;

// Where systemd puts what LoadCredential= names.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const LARGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_start_without_a_file_listens_and_knows_its_secret() {
        let config = Config::default_local(Secret::from("made at start"));
        let ports =
            |list: &[std::net::SocketAddr]| list.iter().map(|l| l.port()).collect::<Vec<_>>();
        assert_eq!(ports(&config.listen.udp), [3478]);
        assert_eq!(ports(&config.listen.tcp), [3478]);
        assert_eq!(ports(&config.listen.tls), [8443]);
        assert!(config.listen.http.is_empty());
        assert!(config.signaling.guests && config.has_open_rooms());
        assert_eq!(config.turn.rest.secrets[0].expose(), b"made at start");
        assert_eq!(config.turn.realm, "turnstone");
        assert_eq!(config.tls.mode, TlsMode::SelfSigned);
    }

    #[test]
    fn the_built_in_settings_have_no_problem_and_take_the_environment() {
        let variable = ("TURNSTONE__TURN__REALM".to_owned(), "r".to_owned());
        let loaded = load(&Source::local(BTreeMap::from([variable])));
        let loaded = loaded.map_err(|p| p.to_string()).unwrap();
        assert!(loaded.warnings.is_empty());
        assert_eq!(loaded.config.turn.realm, "r");
    }

    #[test]
    fn values_arrive_as_strong_types() {
        let text = r#"
            [server]
            domain = "Call.Example.org"
            public_ips = ["203.0.113.5", "dns:call.example.org"]
            workers = 4
            [turn]
            relay_ports = "50000-50999"
            default_lifetime = "5m"
            allow_peers = ["192.168.1.0/24"]
            deny_peers = ["recommended", "198.51.100.7"]
            [limits]
            allocations_per_user = 0
            bandwidth_per_user = "8Mbit/s"
            stream_queue = "1MiB"
            [log]
            level = "debug"
            addresses = "prefix"
            [tls]
            mode = "self-signed"
            [[turn.users]]
            name = "alice"
            key = "00112233445566778899AABBCCDDEEFF"
        "#;
        let loaded = load(&Source::text("t.toml", text, BTreeMap::new()));
        let config = loaded.map_err(|p| p.to_string()).unwrap().config;
        assert_eq!(config.server.domain.as_deref(), Some("call.example.org"));
        assert_eq!(config.turn.realm, "call.example.org");
        assert_eq!(
            config.server.public_ips,
            [
                PublicIp::Address([203, 0, 113, 5].into()),
                PublicIp::Dns("call.example.org".to_owned())
            ]
        );
        assert_eq!(config.server.workers, NonZeroUsize::new(4));
        assert_eq!(config.turn.relay_ports, 50000..=50999);
        assert_eq!(config.turn.default_lifetime, Duration::from_secs(300));
        assert_eq!(config.turn.deny_peers[0], DenyPeers::Recommended);
        assert_eq!(config.limits.allocations_per_user, None);
        let rate = config.limits.bandwidth_per_user.unwrap();
        assert_eq!(rate.bytes_per_second(), 1_000_000);
        assert_eq!(config.limits.stream_queue.bytes(), 1 << 20);
        assert_eq!(config.log.level, LogLevel::Debug);
        assert_eq!(config.log.addresses, crate::redact::Show::Prefix);
        let UserCredential::Md5Key(key) = &config.turn.users[0].credential else {
            panic!("32 hex digits are an MD5 key");
        };
        assert_eq!(key.expose()[..3], [0x00, 0x11, 0x22]);
    }

    #[test]
    fn every_word_of_a_choice_has_a_meaning() {
        for key in keys::KEYS {
            let Kind::Choice(words) = key.kind else {
                continue;
            };
            for word in words {
                let text = format!("{} = \"{word}\"\n", key.name);
                let problems = problems(&text);
                assert!(!problems.contains("is not known"), "{problems}");
            }
        }
    }

    #[test]
    fn a_table_in_the_wrong_place_hides_what_is_in_it() {
        for text in [
            "tls.mode = { password = \"hunter2\" }\n",
            "listen.udp = [{ password = \"hunter2\" }]\n",
            "turn = [{ password = \"hunter2\" }]\n",
            "[turn.users]\npassword = \"hunter2\"\n",
            "turn.users = [\"hunter2\"]\n",
            "[turn.rest.secrets]\nnew = \"hunter2\"\n",
        ] {
            let problems = problems(text);
            assert!(problems.contains("error: "), "{text}");
            assert!(!problems.contains("hunter2"), "{problems}");
        }
    }

    #[test]
    fn a_file_that_is_no_text_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.toml");
        let reason = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            let problems = load(&Source::file(&path, BTreeMap::new())).err().unwrap();
            problems.0[0].why.clone()
        };
        assert_eq!(reason(b"\xff\xfe"), "it is not UTF-8 text");
        assert_eq!(reason(&vec![b'#'; 2 << 20]), "it is larger than 1 MiB");
        fs::remove_file(&path).unwrap();
        let problems = load(&Source::file(&path, BTreeMap::new())).err().unwrap();
        assert_eq!(problems.0[0].why, "there is no such file");
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
        let text = "\u{feff}[turn]\r\nrealm = \"r\"\r\nrelay_ports = \"9-8\"\r\n";
        let problems = problems(text);
        assert!(
            problems.contains(" --> t.toml:3:15\n  |\n3 | relay_ports = \"9-8\"\n"),
            "{problems}"
        );
    }

    fn problems(text: &str) -> String {
        match load(&Source::text("t.toml", text, BTreeMap::new())) {
            Ok(loaded) => Problems(loaded.warnings).to_string(),
            Err(problems) => problems.to_string(),
        }
    }
}
