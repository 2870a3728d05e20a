//! The host that a client asked for: what a client says is written into redirects,
//! policies and links only after it was read here.

use std::net::Ipv6Addr;

use hyper::header::HOST;
use hyper::{Request, Version};

/// Host and port as the client named them: a name, an IPv4 address or an IPv6
/// address in brackets, and nothing else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Host {
    text: String,
    name_len: usize,
}

/// The client named none where it has to, several, or something else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BadHost;

impl Host {
    /// Returns the host of a request; `None` in HTTP/1.0, which may name none.
    ///
    /// # Errors
    /// When the request has to be refused with 400 (RFC 9112 section 3.2).
    pub(super) fn of<B>(request: &Request<B>) -> Result<Option<Self>, BadHost> {
        // RFC 9112 section 3.2.2: a host in the target comes before the header.
        if let Some(authority) = request.uri().authority() {
            return Self::parse(authority.as_str()).map(Some).ok_or(BadHost);
        }
        let mut named = request.headers().get_all(HOST).iter();
        match (named.next(), named.next()) {
            (Some(host), None) => {
                let text = host.to_str().map_err(|_| BadHost)?;
                Self::parse(text).map(Some).ok_or(BadHost)
            }
            (None, _) if request.version() < Version::HTTP_11 => Ok(None),
            (None | Some(_), _) => Err(BadHost),
        }
    }

    /// Reads `host` or `host:port`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                (
                    &text[..address.len() + 2],
                    port.strip_prefix(':')
                        .or_else(|| port.is_empty().then_some("")),
                )
            }
            None => {
                let (name, port) = text.split_once(':').unwrap_or((text, ""));
                is_name(name).then_some((name, Some(port)))?
            }
        };
        // An empty port is the default one (RFC 3986 section 3.2.3).
        let port = port?;
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        if !is_port || (!port.is_empty() && port.parse::<u16>().is_err()) {
            return None;
        }
        Some(Self {
            text: text.to_ascii_lowercase(),
            name_len: name.len(),
        })
    }

    /// Returns host and port, in lower case.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host without its port, in lower case; an IPv6 address keeps
    /// its brackets.
    pub(super) fn name(&self) -> &str {
        &self.text[..self.name_len]
    }
}

fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(is_allowed)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
}

/// RFC 1035 section 2.3.4, without the length bytes at the ends.
const MAX_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for (text, name) in [
            ("example.org", "example.org"),
            ("Example.ORG:8443", "example.org"),
            ("example.org:", "example.org"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("[2001:DB8::1]:443", "[2001:db8::1]"),
        ] {
            assert_eq!(Host::parse(text).unwrap().name(), name, "{text}");
        }
    }

    #[test]
    fn what_is_something_else_is_none() {
        for text in [
            "",
            ":80",
            "a b",
            "a/b",
            "a@b",
            "user:pw@b",
            "a:80:80",
            "a:x",
            "a:99999",
            "2001:db8::1",
            "[::1",
            "[::1]x",
            "[nobody]",
            "[::1]:x",
            "a;b",
            "a,b",
            "-a",
            ".a",
            "a\"",
            "é.org",
        ] {
            assert_eq!(Host::parse(text), None, "{text}");
        }
        assert_eq!(Host::parse(&"a".repeat(254)), None);
    }

    #[test]
    fn a_request_names_one_host() {
        let build = |version, uri: &str, hosts: &[&str]| {
            let mut builder = Request::builder().version(version).uri(uri);
            for host in hosts {
                builder = builder.header(HOST, *host);
            }
            Host::of(&builder.body(()).unwrap()).map(|host| host.map(|host| host.text))
        };
        let of = |name: &str| Ok(Some(name.to_owned()));
        assert_eq!(build(Version::HTTP_11, "/", &["a.org"]), of("a.org"));
        assert_eq!(build(Version::HTTP_11, "/", &[]), Err(BadHost));
        assert_eq!(build(Version::HTTP_11, "/", &["a", "a"]), Err(BadHost));
        assert_eq!(build(Version::HTTP_10, "/", &[]), Ok(None));
        assert_eq!(build(Version::HTTP_11, "http://b/", &["a"]), of("b"));
        assert_eq!(build(Version::HTTP_2, "https://b:1/", &[]), of("b:1"));
        assert_eq!(build(Version::HTTP_2, "/", &[]), Err(BadHost));
    }
}
