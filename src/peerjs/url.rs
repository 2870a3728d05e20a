//! The URLs that a PeerJS client asks for: which path means what, and what the
//! query of a WebSocket says.
//!
//! A client puts its `path` option (`/` unless the app says otherwise) and its
//! `key` option into them; people copy `path: "/peerjs"` from elsewhere, so that
//! works as well.

/// The key of a client that was not given one.
pub const DEFAULT_KEY: &str = "peerjs";

/// What a URL of a PeerJS client asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route {
    /// `GET`: a new id, as text.
    Id,
    /// `GET`: all ids; this server does not tell, and answers 401.
    Peers,
    /// The WebSocket.
    Socket,
}

/// Returns what a path asks for, or `None` when it is nothing of PeerJS.
///
/// ```
/// use turnstone::peerjs::{Route, route};
///
/// assert_eq!(route("/peerjs/id"), Some(Route::Id));
/// assert_eq!(route("/peerjs"), Some(Route::Socket));
/// assert_eq!(route("/peerjs/peerjs"), Some(Route::Socket)); // path: "/peerjs"
/// assert_eq!(route("/r/id"), None); // a room
/// ```
#[must_use]
pub fn route(path: &str) -> Option<Route> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let (key, method) = match path.split_once('/') {
        None => (path, None),
        // `path: "/peerjs"`: the same again below it.
        Some((MOUNT, rest)) => match rest.split_once('/') {
            None if rest == DEFAULT_KEY => (rest, None),
            None => (MOUNT, Some(rest)),
            Some((key, method)) => (key, Some(method)),
        },
        Some((key, method)) => (key, Some(method)),
    };
    match method {
        None if key == DEFAULT_KEY => Some(Route::Socket),
        Some("id") if is_key(key) => Some(Route::Id),
        Some("peers") if is_key(key) => Some(Route::Peers),
        _ => None,
    }
}

/// Whether a part of a path is a key of ours: the default one, or the form of a
/// room token (three parts, RFC 7519 section 3). Whether the token is valid is
/// asked when the WebSocket opens.
fn is_key(text: &str) -> bool {
    text == DEFAULT_KEY || (text.starts_with("ey") && text.split('.').count() == 3)
}

/// What the query of a WebSocket says about its client; a missing part is empty.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Params {
    /// The id that the client wants.
    pub id: String,
    /// The text by which it proves later that the id is its own: a secret.
    pub token: String,
    /// The key: [`DEFAULT_KEY`] or a room token, which is a secret.
    pub key: String,
}

impl Params {
    /// Reads a query, without its question mark, as
    /// `application/x-www-form-urlencoded`. Of a name that comes twice the last
    /// one counts; whatever else is there is ignored.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let mut params = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "id" => params.id = decode(value),
                "token" => params.token = decode(value),
                "key" => params.key = decode(value),
                _ => {}
            }
        }
        params
    }
}

/// Decodes `%XX` and `+`; what is no escape stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%')
            .then(|| bytes.get(at + 1..at + 3).and_then(hex))
            .flatten();
        decoded.push(match (byte, escaped) {
            (_, Some(escaped)) => escaped,
            (b'+', None) => b' ',
            (byte, None) => byte,
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(value << 4 | u8::try_from(digit).ok()?)
    })
}

/// Where apps may say that the server is, beside the root.
const MOUNT: &str = "peerjs";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_urls_of_both_paths_are_known() {
        for (path, expected) in [
            ("/peerjs/id", Some(Route::Id)),
            ("/peerjs/peerjs/id", Some(Route::Id)),
            ("/eyJh.eyJi.c/id", Some(Route::Id)),
            ("/peerjs/eyJh.eyJi.c/id", Some(Route::Id)),
            ("/peerjs/peers", Some(Route::Peers)),
            ("/peerjs/peerjs/peers", Some(Route::Peers)),
            ("/peerjs", Some(Route::Socket)),
            ("/peerjs/", Some(Route::Socket)),
            ("/peerjs/peerjs", Some(Route::Socket)),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn other_urls_are_left_alone() {
        for path in [
            "",
            "/",
            "peerjs/id",
            "/id",
            "/r/id",
            "/r/peers",
            "/api/id",
            "/peerjs/ids",
            "/peerjs/other",
            "/peerjs/other/id",
            "/peerjs/peerjs/peerjs",
            "/peerjs/peerjs/peerjs/id",
            "/peerjs//id",
            "//peerjs/id",
            "/PeerJS/id",
        ] {
            assert_eq!(route(path), None, "{path}");
        }
    }

    #[test]
    fn a_query_is_decoded() {
        let params = Params::parse("key=peerjs&id=my%20id+2&token=a%2Bb&version=1.5.5&x&=y");
        assert_eq!(params.key, "peerjs");
        assert_eq!(params.id, "my id 2");
        assert_eq!(params.token, "a+b");
    }

    #[test]
    fn broken_escapes_are_no_danger() {
        let params = Params::parse("id=%&token=%4&key=%zz%f0%+1&id=%C3%A9");
        assert_eq!(params.id, "é", "the last one counts");
        assert_eq!(params.token, "%4");
        assert_eq!(params.key, "%zz\u{fffd}% 1");
    }

    #[test]
    fn nothing_is_empty() {
        assert!(Params::parse("") == Params::default());
    }
}
