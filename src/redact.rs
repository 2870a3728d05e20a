//! How much of an address or a user name a log line shows.
//!
//! One process-wide setting, set at start and on reload from
//! `log.addresses`, and one wrapper, [`Redacted`], through which every address
//! and every user name reaches a log. Everything that is not personal data
//! (our own listening addresses, for example) is printed without it.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};

/// How much of an address or user name is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Show {
    /// All of it, with the port.
    Full,
    /// The IPv4 /24 or IPv6 /48 and no port; of a user name its first two
    /// characters.
    Prefix,
    /// Nothing: a fixed word in its place.
    None,
}

/// Sets how much is shown from now on, in every thread.
pub fn set(show: Show) {
    SHOW.store(show as u8, Ordering::Relaxed);
}

/// Returns how much is shown now.
#[must_use]
pub fn current() -> Show {
    match SHOW.load(Ordering::Relaxed) {
        FULL => Show::Full,
        PREFIX => Show::Prefix,
        _ => Show::None,
    }
}

/// A value as logs may show it.
///
/// `Display` and `Debug` both follow the setting of [`set`], so a tracing
/// field may be written with `%` or `?`. It is implemented for `SocketAddr`,
/// `IpAddr` and, as a user name, for `&str`.
///
/// ```
/// use turnstone::redact::{self, Redacted, Show};
///
/// let client: std::net::SocketAddr = "192.0.2.77:40000".parse()?;
/// redact::set(Show::Prefix);
/// assert_eq!(Redacted(client).to_string(), "192.0.2.0/24");
/// assert_eq!(Redacted("alice").to_string(), "al***");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Redacted<T>(pub T);

impl Display for Redacted<SocketAddr> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        socket_addr(self.0, current(), f)
    }
}

impl Display for Redacted<IpAddr> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        ip_addr(self.0, current(), f)
    }
}

impl Display for Redacted<&str> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        user_name(self.0, current(), f)
    }
}

impl<T> fmt::Debug for Redacted<T>
where
    Self: Display,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

fn socket_addr(address: SocketAddr, show: Show, f: &mut Formatter<'_>) -> fmt::Result {
    let ip = address.ip().to_canonical();
    match show {
        Show::Full => write!(f, "{}", SocketAddr::new(ip, address.port())),
        Show::Prefix | Show::None => ip_addr(ip, show, f),
    }
}

fn ip_addr(address: IpAddr, show: Show, f: &mut Formatter<'_>) -> fmt::Result {
    match (show, address.to_canonical()) {
        (Show::Full, ip) => write!(f, "{ip}"),
        (Show::Prefix, IpAddr::V4(ip)) => {
            write!(f, "{}/24", Ipv4Addr::from_bits(ip.to_bits() & IPV4_SHOWN))
        }
        (Show::Prefix, IpAddr::V6(ip)) => {
            write!(f, "{}/48", Ipv6Addr::from_bits(ip.to_bits() & IPV6_SHOWN))
        }
        (Show::None, _) => f.write_str(HIDDEN),
    }
}

// A user name is chosen by a stranger until it is authenticated: control
// characters are escaped so that it cannot forge a log line.
fn user_name(name: &str, show: Show, f: &mut Formatter<'_>) -> fmt::Result {
    match show {
        Show::Full => write!(f, "{}", name.escape_debug()),
        Show::Prefix => {
            for c in name.chars().take(USER_NAME_SHOWN) {
                write!(f, "{}", c.escape_debug())?;
            }
            f.write_str("***")
        }
        Show::None => f.write_str(HIDDEN),
    }
}

static SHOW: AtomicU8 = AtomicU8::new(FULL);
const FULL: u8 = Show::Full as u8;
const PREFIX: u8 = Show::Prefix as u8;

// A /24 is the smallest IPv4 block routed on its own; a /48 is what a site
// gets (RFC 6177). Either names a network and no person.
const IPV4_SHOWN: u32 = u32::MAX << 8;
const IPV6_SHOWN: u128 = u128::MAX << 80;
const USER_NAME_SHOWN: usize = 2;
const HIDDEN: &str = "hidden";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_shows_address_and_port() {
        assert_eq!(shown("192.0.2.77:40000", Show::Full), "192.0.2.77:40000");
        assert_eq!(
            shown("[2001:db8:1:2::7]:5", Show::Full),
            "[2001:db8:1:2::7]:5"
        );
    }

    #[test]
    fn prefix_shows_the_network_and_hides_the_port() {
        assert_eq!(shown("192.0.2.77:40000", Show::Prefix), "192.0.2.0/24");
        assert_eq!(
            shown("[2001:db8:1:2::7]:5", Show::Prefix),
            "2001:db8:1::/48"
        );
    }

    #[test]
    fn none_shows_nothing_of_an_address() {
        assert_eq!(shown("192.0.2.77:40000", Show::None), "hidden");
        assert_eq!(shown("[2001:db8:1:2::7]:5", Show::None), "hidden");
    }

    #[test]
    fn a_mapped_address_is_shown_as_ipv4() {
        assert_eq!(shown("[::ffff:192.0.2.77]:9", Show::Full), "192.0.2.77:9");
        assert_eq!(shown("[::ffff:192.0.2.77]:9", Show::Prefix), "192.0.2.0/24");
    }

    #[test]
    fn a_user_name_cannot_forge_a_log_line() {
        assert_eq!(name("a\nb", Show::Full), "a\\nb");
        assert_eq!(name("\n\nb", Show::Prefix), "\\n\\n***");
    }

    #[test]
    fn a_user_name_is_shortened_on_character_boundaries() {
        assert_eq!(name("żółw", Show::Prefix), "żó***");
        assert_eq!(name("a", Show::Prefix), "a***");
        assert_eq!(name("alice", Show::None), "hidden");
    }

    #[test]
    fn the_setting_reaches_display_and_debug() {
        // The only test that touches the setting: it is one for the process.
        let ip: IpAddr = "192.0.2.77".parse().unwrap();
        let before = current();
        set(Show::Prefix);
        assert_eq!(Redacted(ip).to_string(), "192.0.2.0/24");
        assert_eq!(format!("{:?}", Redacted(ip)), "192.0.2.0/24");
        set(Show::None);
        assert_eq!(Redacted("alice").to_string(), "hidden");
        set(before);
    }

    struct As<F: Fn(&mut Formatter<'_>) -> fmt::Result>(F);

    impl<F: Fn(&mut Formatter<'_>) -> fmt::Result> Display for As<F> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            (self.0)(f)
        }
    }

    fn shown(address: &str, show: Show) -> String {
        let address: SocketAddr = address.parse().expect("the test gives an address");
        As(|f| socket_addr(address, show, f)).to_string()
    }

    fn name(name: &str, show: Show) -> String {
        As(|f| user_name(name, show, f)).to_string()
    }
}
