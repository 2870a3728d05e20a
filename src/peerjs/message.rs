//! The messages of the PeerJS server protocol, read from text and written.
//!
//! What peers say to each other stays as it came, as text that is known to be
//! JSON. Who sent it is not read from it: `broker.rs` knows better.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use super::limits;

/// What a client asks for.
#[derive(Clone, Debug)]
pub enum Request<'m> {
    /// It is still there.
    Heartbeat,
    /// It gives its id back.
    Leave,
    /// A message for another peer.
    Relay {
        /// Which message.
        kind: Kind,
        /// The id of the other; any text.
        dst: Cow<'m, str>,
        /// What the other is told; `None` when it is missing or null.
        payload: Option<&'m RawValue>,
    },
    /// A type that is not carried out for clients.
    Unknown,
}

/// The messages that go from peer to peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// An SDP offer, with all that describes the connection.
    Offer,
    /// The SDP answer to it.
    Answer,
    /// An ICE candidate of either side.
    Candidate,
    /// The end of all connections between the two.
    Leave,
}

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Malformed {
    /// Longer than [`limits::MESSAGE`].
    #[error("longer than {} bytes", limits::MESSAGE)]
    TooLong,
    /// No JSON object, no `type`, or a field of a wrong kind.
    #[error("no JSON object with a `type`")]
    NoMessage,
    /// A message for another peer without `dst`.
    #[error("no `dst`")]
    NoDestination,
}

/// Reads one message of a client; unknown fields are ignored, `src` too.
///
/// # Errors
/// When it is too long, no message at all, or says not whom it is for.
pub fn parse(text: &str) -> Result<Request<'_>, Malformed> {
    if text.len() > limits::MESSAGE {
        return Err(Malformed::TooLong);
    }
    let message: FromClient<'_> = serde_json::from_str(text).map_err(|_| Malformed::NoMessage)?;
    let kind = match &*message.kind {
        "HEARTBEAT" => return Ok(Request::Heartbeat),
        "OFFER" => Kind::Offer,
        "ANSWER" => Kind::Answer,
        "CANDIDATE" => Kind::Candidate,
        "LEAVE" => Kind::Leave,
        _ => return Ok(Request::Unknown),
    };
    // An empty `dst` is none, as in the server of the PeerJS project.
    match message.dst.filter(|dst| !dst.is_empty()) {
        Some(dst) => Ok(Request::Relay {
            kind,
            dst,
            payload: message.payload,
        }),
        None if kind == Kind::Leave => Ok(Request::Leave),
        None => Err(Malformed::NoDestination),
    }
}

/// Tells a client that its id is its own now.
pub(super) const OPEN: &str = r#"{"type":"OPEN"}"#;

/// Refuses a client whose id another has.
pub(super) fn id_taken() -> String {
    with_text("ID-TAKEN", "The id is taken")
}

/// Refuses a client whose key is not valid.
pub(super) fn invalid_key() -> String {
    with_text("INVALID-KEY", "The key is not valid")
}

/// Ends a client's connection with a reason.
pub(super) fn error(reason: &str) -> String {
    with_text("ERROR", reason)
}

/// Tells `dst` that `absent` did not come for what it was told.
pub(super) fn expire(absent: &str, dst: &str) -> String {
    write("EXPIRE", absent, dst, None)
}

/// A message from peer to peer.
pub(super) fn relay(kind: Kind, src: &str, dst: &str, payload: Option<&RawValue>) -> String {
    write(kind, src, dst, payload)
}

fn with_text(kind: &str, text: &str) -> String {
    to_json(&ToClient {
        kind,
        src: None,
        dst: None,
        payload: Some(Reason { msg: text }),
    })
}

fn write(kind: impl Serialize, src: &str, dst: &str, payload: Option<&RawValue>) -> String {
    to_json(&ToClient {
        kind,
        src: Some(src),
        dst: Some(dst),
        payload,
    })
}

fn to_json(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("texts and raw JSON can be written")
}

#[derive(Deserialize)]
struct FromClient<'m> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'m, str>,
    dst: Option<Cow<'m, str>>,
    #[serde(borrow)]
    payload: Option<&'m RawValue>,
}

#[derive(Serialize)]
struct ToClient<'m, K, P> {
    #[serde(rename = "type")]
    kind: K,
    #[serde(skip_serializing_if = "Option::is_none")]
    src: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<P>,
}

/// What clients show of a refusal: `payload.msg`.
#[derive(Serialize)]
struct Reason<'m> {
    msg: &'m str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_passes_as_it_came() {
        let text =
            r#"{"type":"OFFER","dst":"bob","src":"eve","payload":{"z":1e400,"a":"\ud800"},"x":[]}"#;
        let Ok(Request::Relay { kind, dst, payload }) = parse(text) else {
            panic!("an offer");
        };
        assert_eq!(
            relay(kind, "ann", &dst, payload),
            r#"{"type":"OFFER","src":"ann","dst":"bob","payload":{"z":1e400,"a":"\ud800"}}"#
        );
    }

    #[test]
    fn every_type_of_a_client_is_told_apart() {
        for (kind, expected) in [
            ("OFFER", Kind::Offer),
            ("ANSWER", Kind::Answer),
            ("CANDIDATE", Kind::Candidate),
            ("LEAVE", Kind::Leave),
        ] {
            let text = format!(r#"{{"type":"{kind}","dst":"b"}}"#);
            let request = parse(&text);
            assert!(
                matches!(request, Ok(Request::Relay { kind, .. }) if kind == expected),
                "{request:?}"
            );
        }
        let heartbeat = parse(r#"{"type":"HEARTBEAT"}"#);
        assert!(matches!(heartbeat, Ok(Request::Heartbeat)));
        let leave = parse(r#"{"type":"LEAVE","dst":""}"#);
        assert!(matches!(leave, Ok(Request::Leave)));
        // What only the server says is not passed on for a client.
        for kind in [
            "OPEN",
            "EXPIRE",
            "ID-TAKEN",
            "INVALID-KEY",
            "ERROR",
            "offer",
            "",
        ] {
            let text = format!(r#"{{"type":"{kind}","dst":"b"}}"#);
            assert!(matches!(parse(&text), Ok(Request::Unknown)), "{kind}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for text in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"OFFER","dst":1}"#,
            r#"{"type":"OFFER","dst":"b"} x"#,
            r#"{"type":"OFFER","type":"ANSWER","dst":"b"}"#,
            r#"{"type":"OFFER","dst":"b","payload":{}"#,
        ] {
            assert_eq!(parse(text).err(), Some(Malformed::NoMessage), "{text}");
        }
        let no_dst = parse(r#"{"type":"ANSWER","payload":{}}"#);
        assert_eq!(no_dst.err(), Some(Malformed::NoDestination));
        let long = " ".repeat(limits::MESSAGE + 1);
        assert_eq!(parse(&long).err(), Some(Malformed::TooLong));
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let deep = "[".repeat(30_000) + &"]".repeat(30_000);
        let text = format!(r#"{{"type":"OFFER","dst":"b","payload":{deep}}}"#);
        assert!(matches!(parse(&text), Ok(Request::Relay { .. })));
    }

    #[test]
    fn what_the_server_says_has_the_fields_that_clients_read() {
        assert_eq!(error("no"), r#"{"type":"ERROR","payload":{"msg":"no"}}"#);
        assert_eq!(
            expire("a\"", "b"),
            r#"{"type":"EXPIRE","src":"a\"","dst":"b"}"#
        );
        assert!(id_taken().starts_with(r#"{"type":"ID-TAKEN""#));
        assert!(invalid_key().starts_with(r#"{"type":"INVALID-KEY""#));
    }
}
