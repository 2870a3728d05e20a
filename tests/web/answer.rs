//! `curl`, and answers as it prints them.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::Transport;
use crate::support::server::Server;
use crate::support::tools::{require, run};

/// Both versions that the TLS listeners speak, as curl and as answers call them.
pub(crate) const VERSIONS: [(&str, &str); 2] = [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")];

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// Reads an answer from its first line to its end.
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("not an answer: {text:?}"));
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap().split(' ');
        let version = first.next().unwrap().to_owned();
        let status = first.next().unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Self {
            version,
            status,
            headers: headers.collect(),
            body: body.to_owned(),
        }
    }

    /// The value of a header that is there at most once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Checks the status, and that an error says what is wrong (RFC 9457).
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        assert!(!problem["title"].as_str().unwrap().is_empty());
    }
}

/// Runs curl against the TLS listener.
#[track_caller]
pub(crate) fn curl(server: &Server, path: &str, arguments: &[&str]) -> Answer {
    let url = format!("https://{}{path}", server.address(Transport::Tls));
    curl_url(&url, arguments)
}

/// Runs curl against a listener without TLS.
#[track_caller]
pub(crate) fn curl_plain(address: SocketAddr, path: &str, arguments: &[&str]) -> Answer {
    curl_url(&format!("http://{address}{path}"), arguments)
}

/// Runs curl; it must get an answer.
#[track_caller]
fn curl_url(url: &str, arguments: &[&str]) -> Answer {
    let mut command = Command::new(require("curl", "curl"));
    command
        .env_clear()
        .args(["-q", "--silent", "--show-error", "--include", "--insecure"])
        .args(["--noproxy", "*", "--path-as-is", "--max-time", "20"])
        .args(arguments)
        .arg(url);
    let finished = run(&mut command, Duration::from_secs(30));
    Answer::parse(&finished.assert_success(url))
}
