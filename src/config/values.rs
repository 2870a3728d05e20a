//! Parsers of single values: names, addresses, networks, port ranges.
//!
//! Each takes the text of the value and returns a type that cannot be wrong,
//! or the [`Mistake`] with a value that was probably meant.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::mistake::Mistake;

/// Parses a host name; empty text means none.
pub(crate) fn domain(text: &str) -> Result<Option<String>, Mistake> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err(Mistake::new(format!(
            "{} is an address, not a name",
            Mistake::quote(text)
        ))
        .why("addresses belong to server.public_ips; leave the domain empty without a name")
        .value("\"\""));
    }
    host_name(text).map(Some)
}

fn host_name(text: &str) -> Result<String, Mistake> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // RFC 1035 section 2.3.4 limits a name to 255 octets on the wire, which
    // leaves 253 characters.
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(text.to_ascii_lowercase());
    }
    let mistake = Mistake::new(format!("{} is not a host name", Mistake::quote(text)));
    let why = if !text.is_ascii() {
        "a name with other letters than a to z is written in its xn-- form"
    } else {
        "a host name has letters, digits, hyphens and dots, and no scheme, port or path"
    };
    let bare = bare_host(text);
    let example = if !bare.is_empty() && bare.split('.').all(is_label) {
        bare
    } else {
        "call.example.org"
    };
    Err(mistake.why(why).value(format!("\"{example}\"")))
}

// "https://call.example.org:443/x" is call.example.org.
fn bare_host(text: &str) -> &str {
    let text = text.trim();
    let text = text.rsplit_once("//").map_or(text, |(_, rest)| rest);
    let text = text.strip_prefix("stun:").unwrap_or(text);
    let end = text.find([':', '/', '?']).unwrap_or(text.len());
    text[..end].trim_matches('.')
}

/// Parses an address with port, such as `[::]:3478` or `192.0.2.1:3478`.
///
/// Port 0 lets the system choose a free port.
pub(crate) fn listener(text: &str) -> Result<SocketAddr, Mistake> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.ip().is_multicast() {
            return Err(
                Mistake::new(format!("{} is a multicast address", Mistake::quote(text)))
                    .why("nothing can listen there")
                    .value("\"[::]:3478\""),
            );
        }
        return Ok(SocketAddr::new(address.ip().to_canonical(), address.port()));
    }
    let mistake = Mistake::new(format!(
        "{} is not an address with port",
        Mistake::quote(text)
    ));
    let (why, meant) = meant_listener(text);
    Err(mistake.why(why).value(format!("\"{meant}\"")))
}

fn meant_listener(text: &str) -> (&'static str, String) {
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return ("the port is missing", SocketAddr::new(ip, 3478).to_string());
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port = port.parse::<u16>().unwrap_or(3478);
    match (host, host.parse::<Ipv6Addr>()) {
        (_, Ok(ip)) => (
            "an IPv6 address stands in brackets",
            format!("[{ip}]:{port}"),
        ),
        ("" | "*", _) => (
            "it needs an address and a port; [::] stands for every address, IPv4 as well",
            format!("[::]:{port}"),
        ),
        ("localhost", _) => (
            "it needs an address, not a name",
            format!("127.0.0.1:{port}"),
        ),
        _ => (
            "it needs a local address and a port; [::] stands for every address, IPv4 as well",
            format!("[::]:{port}"),
        ),
    }
}

/// Parses an address of this machine or of the NAT in front of it.
pub(crate) fn address(text: &str) -> Result<IpAddr, Mistake> {
    let Ok(ip) = text.parse::<IpAddr>() else {
        let mistake = Mistake::new(format!("{} is not an IP address", Mistake::quote(text)));
        let without_port = text.parse::<SocketAddr>().map(|address| address.ip());
        return Err(match without_port {
            Ok(ip) => mistake.why("it takes no port").value(format!("\"{ip}\"")),
            Err(_) => mistake
                .why("it must be an address such as 192.0.2.1 or 2001:db8::1, or \"auto\"")
                .value("\"auto\""),
        });
    };
    let ip = ip.to_canonical();
    let quoted = Mistake::quote(text);
    let is_broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    if ip.is_unspecified() || ip.is_multicast() || is_broadcast {
        return Err(
            Mistake::new(format!("{quoted} is not the address of one machine"))
                .why("an address is needed that packets can be sent from and to")
                .value("\"auto\""),
        );
    }
    if matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
        return Err(Mistake::new(format!("{quoted} is a link-local address"))
            .why("it is reachable on one network segment only")
            .value("\"auto\""));
    }
    Ok(ip)
}

/// Parses a network such as `192.168.1.0/24`, or a single address.
pub(crate) fn network(text: &str) -> Result<IpNet, Mistake> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(ip));
    }
    let Ok(net) = text.parse::<IpNet>() else {
        return Err(
            Mistake::new(format!("{} is not a network", Mistake::quote(text)))
                .why("a network is an address and the length of its prefix")
                .value("\"192.168.1.0/24\""),
        );
    };
    if net.addr() != net.network() {
        return Err(Mistake::new(format!(
            "{} has bits set behind the prefix",
            Mistake::quote(text)
        ))
        .why("it is not clear whether the whole network or one address is meant")
        .value(format!("\"{}\" or \"{}\"", net.trunc(), net.addr())));
    }
    Ok(net)
}

/// Parses a range of ports, both ends included, such as `49152-65535`.
pub(crate) fn ports(text: &str) -> Result<RangeInclusive<u16>, Mistake> {
    let mistake = || Mistake::new(format!("{} is not a port range", Mistake::quote(text)));
    let ends = text.split_once(['-', ':']).and_then(|(first, last)| {
        let first: u32 = first.trim().parse().ok()?;
        let last: u32 = last.trim().trim_start_matches('.').parse().ok()?;
        Some((first, last))
    });
    let Some((first, last)) = ends else {
        return Err(mistake()
            .why("a range is the first and the last port with a hyphen between them")
            .value("\"49152-65535\""));
    };
    let (Ok(low), Ok(high)) = (u16::try_from(first), u16::try_from(last)) else {
        return Err(mistake()
            .why("the highest port is 65535")
            .value("\"49152-65535\""));
    };
    if low == 0 {
        return Err(mistake()
            .why("the lowest port is 1")
            .value(format!("\"1024-{high}\"")));
    }
    if low > high {
        return Err(mistake()
            .why("the first port is higher than the last")
            .value(format!("\"{high}-{low}\"")));
    }
    if text != format!("{low}-{high}") {
        return Err(mistake()
            .why("it is written without anything else around the hyphen")
            .value(format!("\"{low}-{high}\"")));
    }
    Ok(low..=high)
}

/// A host with a port, not yet looked up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostPort {
    /// A host name or an address literal without brackets.
    pub host: String,
    /// The UDP port.
    pub port: u16,
}

/// Parses `HOST`, `HOST:PORT` or `[IPV6]:PORT` of a STUN server.
pub(crate) fn stun_server(text: &str) -> Result<HostPort, Mistake> {
    let host_port = |host: String, port| HostPort { host, port };
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(host_port(address.ip().to_string(), address.port()));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(host_port(ip.to_string(), STUN_PORT));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)),
        None => (text, Some(STUN_PORT)),
    };
    match (host_name(host), port) {
        (Ok(host), Some(port)) => Ok(host_port(host, port)),
        _ => Err(
            Mistake::new(format!("{} is not a STUN server", Mistake::quote(text)))
                .why("it must be HOST or HOST:PORT, without a scheme")
                .value("\"stun.example.net:3478\""),
        ),
    }
}

/// Parses a host name to look up, as in `dns:NAME`.
pub(crate) fn name_to_look_up(text: &str) -> Result<String, Mistake> {
    host_name(text).map_err(|mistake| {
        let value = mistake.value.map(|v| v.replacen('"', "\"dns:", 1));
        Mistake { value, ..mistake }
    })
}

/// Parses the origin of a web page, such as `https://www.example.org`.
pub(crate) fn origin(text: &str) -> Result<String, Mistake> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let (name, port) = match host.map(|host| host.split_once(':').unwrap_or((host, "443"))) {
        Some((name, port)) => (name, port.parse::<u16>().ok()),
        None => ("", None),
    };
    if port.is_some() && host_name(name).is_ok() {
        return Ok(text.to_ascii_lowercase());
    }
    let bare = host_name(bare_host(text)).unwrap_or_else(|_| "www.example.org".to_owned());
    Err(Mistake::new(format!("{} is not a web origin", Mistake::quote(text)))
        .why("an origin is the scheme, the host and, if unusual, the port of a page, and no path")
        .value(format!("\"https://{bare}\"")))
}

// RFC 8489 section 18.6.
const STUN_PORT: u16 = 3478;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_taken_and_everything_else_is_told() {
        assert_eq!(domain("").ok(), Some(None));
        assert_eq!(
            domain("Call.Example.org").ok(),
            Some(Some("call.example.org".to_owned()))
        );
        let cases = [
            ("https://call.example.org/x", "\"call.example.org\""),
            ("call.example.org:443", "\"call.example.org\""),
            ("call.example.org.", "\"call.example.org\""),
            ("192.0.2.1", "\"\""),
            ("bücher.example", "\"call.example.org\""),
            ("two words", "\"call.example.org\""),
        ];
        for (text, value) in cases {
            assert_eq!(suggested(domain(text)), value, "{text}");
        }
    }

    #[test]
    fn listeners_suggest_what_was_meant() {
        let cases = [
            ("3478", "\"[::]:3478\""),
            (":3478", "\"[::]:3478\""),
            ("*:443", "\"[::]:443\""),
            ("0.0.0.0", "\"0.0.0.0:3478\""),
            ("::", "\"[::]:3478\""),
            ("2001:db8::1:x", "\"[2001:db8::1]:3478\""),
            ("localhost:3478", "\"127.0.0.1:3478\""),
            ("eth0:3478", "\"[::]:3478\""),
            ("[::]:99999", "\"[::]:3478\""),
        ];
        for (text, value) in cases {
            assert_eq!(suggested(listener(text)), value, "{text}");
        }
        assert!(listener("224.0.0.1:3478").is_err());
    }

    #[test]
    fn a_mapped_listener_is_ipv4() {
        let listener = listener("[::ffff:192.0.2.1]:3478").ok();
        assert_eq!(listener, "192.0.2.1:3478".parse().ok());
    }

    #[test]
    fn addresses_must_be_of_one_machine() {
        for text in [
            "192.0.2.1",
            "10.0.0.5",
            "127.0.0.1",
            "2001:db8::1",
            "fd00::1",
        ] {
            assert!(address(text).is_ok(), "{text}");
        }
        for text in [
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "host",
            "",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
        assert_eq!(suggested(address("192.0.2.1:5")), "\"192.0.2.1\"");
    }

    #[test]
    fn networks_with_host_bits_are_refused() {
        assert_eq!(network("10.0.0.5").ok(), "10.0.0.5/32".parse().ok());
        assert_eq!(network("fd00::/8").ok(), "fd00::/8".parse().ok());
        assert_eq!(
            suggested(network("10.0.0.5/8")),
            "\"10.0.0.0/8\" or \"10.0.0.5\""
        );
        for text in ["", "10.0.0.0/33", "10.0/8", "private", "10.0.0.0-10.0.0.9"] {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn port_ranges_suggest_what_was_meant() {
        assert_eq!(ports("49152-65535").ok(), Some(49152..=65535));
        assert_eq!(ports("5000-5000").ok(), Some(5000..=5000));
        let cases = [
            ("65535-49152", "\"49152-65535\""),
            ("49152 - 65535", "\"49152-65535\""),
            ("49152:65535", "\"49152-65535\""),
            ("49152", "\"49152-65535\""),
            ("0-5000", "\"1024-5000\""),
            ("49152-70000", "\"49152-65535\""),
            ("a-b", "\"49152-65535\""),
        ];
        for (text, value) in cases {
            assert_eq!(suggested(ports(text)), value, "{text}");
        }
    }

    #[test]
    fn stun_servers_have_a_default_port() {
        let server = |text| stun_server(text).ok().map(|s| (s.host, s.port));
        assert_eq!(
            server("stun.example.net"),
            Some(("stun.example.net".into(), 3478))
        );
        assert_eq!(
            server("stun.example.net:19302"),
            Some(("stun.example.net".into(), 19302))
        );
        assert_eq!(server("[2001:db8::1]:99"), Some(("2001:db8::1".into(), 99)));
        assert_eq!(server("2001:db8::1"), Some(("2001:db8::1".into(), 3478)));
        for text in ["stun:stun.example.net", "a:b", "", "host:0"] {
            assert!(stun_server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_have_scheme_and_host_only() {
        for text in ["https://www.example.org", "http://localhost:8080"] {
            assert!(origin(text).is_ok(), "{text}");
        }
        assert_eq!(
            suggested(origin("www.example.org")),
            "\"https://www.example.org\""
        );
        assert_eq!(
            suggested(origin("https://www.example.org/")),
            "\"https://www.example.org\""
        );
        assert!(origin("*").is_err());
    }

    fn suggested<T>(result: Result<T, Mistake>) -> String {
        let mistake = result.err().expect("the test gives a wrong value");
        mistake.value.expect("every mistake has a suggestion")
    }
}
