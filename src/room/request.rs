//! Client messages as checked values.
//!
//! What is passed on to other clients, SDP and candidates, is checked for its
//! size and that it is JSON, and is otherwise opaque. Needs no lock.

use std::borrow::Cow;
use std::num::NonZeroU32;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::auth::is_room_name;

use super::code::ErrorCode;
use super::limits;
use super::sound::Sound;

/// One message of a client.
#[derive(Debug)]
pub struct Request {
    /// Its number, when it wants an answer.
    pub id: Option<u64>,
    /// The sender it claims, which can only be itself.
    pub from: Option<String>,
    /// What it asks for.
    pub body: Body,
}

/// What a client asks for.
#[derive(Debug)]
pub enum Body {
    /// Says who is there.
    Hello(Hello),
    /// Enters a room.
    Join(Box<Join>),
    /// Leaves it.
    Leave,
    /// Brings an SDP to a peer.
    Sdp {
        /// Offer or answer.
        kind: SignalKind,
        /// The peer.
        to: String,
        /// Number of the PeerConnection.
        generation: Option<u32>,
        /// The SDP.
        sdp: String,
    },
    /// Brings candidates to a peer.
    Ice {
        /// The peer.
        to: String,
        /// Number of the PeerConnection.
        generation: Option<u32>,
        /// The candidates.
        candidates: Candidates,
    },
    /// Says something.
    Chat {
        /// What is said.
        text: String,
        /// To whom, everybody without it.
        to: Option<String>,
    },
    /// Changes what others see.
    Set {
        /// A new name.
        name: Option<String>,
        /// A new state, a JSON object.
        state: Option<Box<RawValue>>,
    },
    /// Asks a peer to mute.
    Mute {
        /// The peer.
        peer: String,
        /// What to mute.
        kind: Kind,
    },
    /// Sends a peer out.
    Kick {
        /// The peer.
        peer: String,
        /// Why, for people.
        reason: Option<String>,
    },
    /// Closes or opens the room for newcomers.
    Lock {
        /// Whether it is to be closed.
        locked: bool,
    },
    /// Shows that both sides are there.
    Ping,
}

/// `hello`.
#[derive(Debug, Default, Deserialize)]
pub struct Hello {
    /// The room token, not yet verified.
    #[serde(default)]
    pub token: Option<String>,
    /// A session to go on with.
    #[serde(default)]
    pub resume: Option<Resume>,
}

/// What proves that a session is one's own.
#[derive(Debug, Deserialize)]
pub struct Resume {
    /// Id of the session.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The last message that was seen.
    #[serde(default)]
    pub last_seq: u64,
}

/// `join`.
#[derive(Debug, Deserialize)]
pub struct Join {
    /// The room.
    pub room: String,
    /// Name to show.
    #[serde(default)]
    pub name: Option<String>,
    /// The only mode that the client can do.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// State to begin with, a JSON object.
    #[serde(default)]
    pub state: Option<Box<RawValue>>,
    /// Whether to queue for a full room.
    #[serde(default)]
    pub wait: bool,
    /// An earlier session of the same page, which ends.
    #[serde(default)]
    pub replaces: Option<Resume>,
}

/// How media travels in a room.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// From each to each.
    Mesh,
    /// Through the server.
    Sfu,
}

/// Offer or answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignalKind {
    /// An offer.
    Offer,
    /// An answer.
    Answer,
}

/// Audio or video.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// ICE candidates as the client wrote them.
#[derive(Debug)]
pub enum Candidates {
    /// One, as it was found.
    One(Box<RawValue>),
    /// A list, after all were found.
    All(Box<RawValue>),
}

/// Why a message is not carried out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Its number, if that could be read.
    pub id: Option<u64>,
    /// What is wrong, for programs.
    pub code: ErrorCode,
    /// What is wrong, for people.
    pub message: String,
}

/// Reads a message.
///
/// # Errors
/// Says what is wrong with it; nothing of it is to be carried out.
pub fn parse(text: &str) -> Result<Request, Refusal> {
    if text.len() > limits::MESSAGE {
        return Err(refusal(None, ErrorCode::TooLarge, "message is too long"));
    }
    let envelope: Envelope<'_> = read(None, text).map_err(|refusal| Refusal {
        // Whoever waits for an answer to this number gets one.
        id: number(text),
        ..refusal
    })?;
    let id = envelope.id;
    if id.is_some_and(|id| !is_number(id)) {
        return Err(bad(None, "id is a whole number from 1 to 2^53"));
    }
    let body = body(&envelope.t, id, text)?;
    Ok(Request {
        id,
        from: envelope.from.map(Cow::into_owned),
        body,
    })
}

/// Returns the `id` of a message that is otherwise broken.
fn number(text: &str) -> Option<u64> {
    let Numbered { id } = serde_json::from_str(text).ok()?;
    id.filter(|id| is_number(*id))
}

fn is_number(id: u64) -> bool {
    (1..=MAX_ID).contains(&id)
}

fn body(t: &str, id: Option<u64>, text: &str) -> Result<Body, Refusal> {
    Ok(match t {
        "hello" => Body::Hello(hello(id, text)?),
        "join" => Body::Join(Box::new(join(id, text)?)),
        "leave" => Body::Leave,
        "offer" => sdp(SignalKind::Offer, id, text)?,
        "answer" => sdp(SignalKind::Answer, id, text)?,
        "ice" => ice(id, text)?,
        "chat" => chat(id, text)?,
        "set" => {
            let Set { name, state } = read(id, text)?;
            let name = name.map(|name| checked_name(id, &name)).transpose()?;
            check_state(id, state.as_deref())?;
            Body::Set { name, state }
        }
        "mute" => {
            let Mute { peer, kind } = read(id, text)?;
            Body::Mute { peer, kind }
        }
        "kick" => {
            let Kick { peer, reason } = read(id, text)?;
            let length = reason.as_ref().map_or(0, String::len);
            check_length(id, "reason", length, limits::REASON)?;
            Body::Kick { peer, reason }
        }
        "lock" => {
            let Lock { locked } = read(id, text)?;
            Body::Lock { locked }
        }
        "ping" => Body::Ping,
        other => {
            let shown: String = other.chars().take(32).collect();
            let message = format!("{shown:?} is not a message of turnstone.v1");
            return Err(refusal(id, ErrorCode::UnknownType, message));
        }
    })
}

fn hello(id: Option<u64>, text: &str) -> Result<Hello, Refusal> {
    let hello: Hello = read(id, text)?;
    if hello.token.is_some() && hello.resume.is_some() {
        return Err(bad(id, "hello has either token or resume"));
    }
    Ok(hello)
}

fn join(id: Option<u64>, text: &str) -> Result<Join, Refusal> {
    let mut join: Join = read(id, text)?;
    if !is_room_name(&join.room) {
        let message = "room is 1 to 64 of the characters A-Z a-z 0-9 _ . -";
        return Err(bad(id, message));
    }
    check_state(id, join.state.as_deref())?;
    join.name = join.name.map(|name| checked_name(id, &name)).transpose()?;
    Ok(join)
}

fn sdp(kind: SignalKind, id: Option<u64>, text: &str) -> Result<Body, Refusal> {
    let Sdp {
        to,
        generation,
        sdp,
    } = read(id, text)?;
    check_length(id, "sdp", sdp.len(), limits::SDP)?;
    Ok(Body::Sdp {
        kind,
        to,
        generation: generation.map(NonZeroU32::get),
        sdp,
    })
}

fn ice(id: Option<u64>, text: &str) -> Result<Body, Refusal> {
    let Ice {
        to,
        generation,
        candidate,
        candidates,
    } = read(id, text)?;
    let candidates = match (candidate, candidates) {
        (Some(candidate), None) => {
            check_length(id, "candidate", candidate.get().len(), limits::CANDIDATE)?;
            check_object(id, "candidate", &candidate)?;
            Candidates::One(candidate)
        }
        (None, Some(list)) => {
            let each: Vec<&RawValue> = read(id, list.get())?;
            check_length(id, "candidates", each.len(), limits::CANDIDATES)?;
            for candidate in each {
                check_length(id, "a candidate", candidate.get().len(), limits::CANDIDATE)?;
                check_object(id, "each of candidates", candidate)?;
            }
            Candidates::All(list)
        }
        (None, None) | (Some(_), Some(_)) => {
            return Err(bad(id, "ice has either candidate or candidates"));
        }
    };
    Ok(Body::Ice {
        to,
        generation: generation.map(NonZeroU32::get),
        candidates,
    })
}

fn chat(id: Option<u64>, text: &str) -> Result<Body, Refusal> {
    let Chat { text, to } = read(id, text)?;
    check_length(id, "text", text.len(), limits::CHAT)?;
    if text.trim().is_empty() {
        return Err(bad(id, "text is empty"));
    }
    Ok(Body::Chat { text, to })
}

fn checked_name(id: Option<u64>, name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    if name.is_empty() || name.chars().any(char::is_control) {
        let message = "name has 1 to 64 characters, none of them a control character";
        return Err(bad(id, message));
    }
    check_length(id, "name", name.chars().count(), limits::NAME)?;
    Ok(name.to_owned())
}

fn check_state(id: Option<u64>, state: Option<&RawValue>) -> Result<(), Refusal> {
    let Some(state) = state else {
        return Ok(());
    };
    check_length(id, "state", state.get().len(), limits::STATE)?;
    check_object(id, "state", state)
}

fn check_length(id: Option<u64>, what: &str, length: usize, limit: usize) -> Result<(), Refusal> {
    if length <= limit {
        return Ok(());
    }
    let message = format!("{what} is {length} long, {limit} is the limit");
    Err(refusal(id, ErrorCode::TooLarge, message))
}

/// Checks what is passed on as it is: an object that any other JSON parser reads.
fn check_object(id: Option<u64>, what: &str, value: &RawValue) -> Result<(), Refusal> {
    // A raw value begins with its first character.
    if !value.get().starts_with('{') {
        return Err(bad(id, &format!("{what} is an object")));
    }
    let sound: Result<Sound, _> = serde_json::from_str(value.get());
    sound.map_err(|error| bad(id, &format!("{what}: {error}")))?;
    Ok(())
}

fn read<'a, T: Deserialize<'a>>(id: Option<u64>, text: &'a str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|error| bad(id, &error.to_string()))
}

fn bad(id: Option<u64>, message: &str) -> Refusal {
    refusal(id, ErrorCode::BadMessage, message)
}

fn refusal(id: Option<u64>, code: ErrorCode, message: impl Into<String>) -> Refusal {
    Refusal {
        id,
        code,
        message: message.into(),
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    t: Cow<'a, str>,
    #[serde(default)]
    id: Option<u64>,
    #[serde(borrow, default)]
    from: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Numbered {
    #[serde(default)]
    id: Option<u64>,
}

#[derive(Deserialize)]
struct Sdp {
    to: String,
    #[serde(default, rename = "gen")]
    generation: Option<NonZeroU32>,
    sdp: String,
}

#[derive(Deserialize)]
struct Ice {
    to: String,
    #[serde(default, rename = "gen")]
    generation: Option<NonZeroU32>,
    #[serde(default)]
    candidate: Option<Box<RawValue>>,
    #[serde(default)]
    candidates: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Chat {
    text: String,
    #[serde(default)]
    to: Option<String>,
}

#[derive(Deserialize)]
struct Set {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    state: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Mute {
    peer: String,
    kind: Kind,
}

#[derive(Deserialize)]
struct Kick {
    peer: String,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    locked: bool,
}

/// Numbers up to it are exact in JavaScript.
const MAX_ID: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_the_protocol_is_read() {
        for text in [
            r#"{"t":"hello","id":1}"#,
            r#"{"t":"hello","id":1,"token":"a.b.c"}"#,
            r#"{"t":"hello","id":1,"resume":{"id":"a","secret":"b","last_seq":3}}"#,
            r#"{"t":"join","id":2,"room":"R","name":"Ann","state":{"audio":true},"wait":true}"#,
            r#"{"t":"leave"}"#,
            r#"{"t":"offer","to":"p","sdp":"v=0","gen":2}"#,
            r#"{"t":"answer","to":"p","sdp":"v=0"}"#,
            r#"{"t":"ice","to":"p","candidate":{"candidate":""}}"#,
            r#"{"t":"ice","to":"p","candidates":[{"candidate":"a"},{"candidate":""}]}"#,
            r#"{"t":"chat","text":"hi","to":"p","more":1}"#,
            r#"{"t":"set","name":"Bob","state":{}}"#,
            r#"{"t":"mute","peer":"p","kind":"audio"}"#,
            r#"{"t":"kick","peer":"p","reason":"enough"}"#,
            r#"{"t":"lock","locked":true}"#,
            r#"{"t":"ping","id":9007199254740992}"#,
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        use ErrorCode::{BadMessage, TooLarge, UnknownType};
        let long = |field: &str, length: usize| {
            let text = "x".repeat(length);
            format!(r#"{{"t":"{field}","to":"p","sdp":"{text}","text":"{text}"}}"#)
        };
        let many = format!(
            r#"{{"t":"ice","to":"p","candidates":[{}]}}"#,
            vec!["{}"; 65].join(",")
        );
        for (text, code) in [
            ("", BadMessage),
            ("[]", BadMessage),
            ("{}", BadMessage),
            (r#"{"t":1}"#, BadMessage),
            (r#"{"t":"fly"}"#, UnknownType),
            (
                r#"{"t":"hello","token":"a","resume":{"id":"a","secret":"b"}}"#,
                BadMessage,
            ),
            (r#"{"t":"set","state":{"a":"\ud800"}}"#, BadMessage),
            (r#"{"t":"set","state":{"a":1e999}}"#, BadMessage),
            (r#"{"t":"ping","id":0}"#, BadMessage),
            (r#"{"t":"ping","id":-1}"#, BadMessage),
            (r#"{"t":"join"}"#, BadMessage),
            (r#"{"t":"join","room":"a/b"}"#, BadMessage),
            (r#"{"t":"join","room":"a","name":"\u0007"}"#, BadMessage),
            (r#"{"t":"join","room":"a","mode":"star"}"#, BadMessage),
            (r#"{"t":"set","state":[1]}"#, BadMessage),
            (r#"{"t":"ice","to":"p"}"#, BadMessage),
            (r#"{"t":"ice","to":"p","candidates":["a"]}"#, BadMessage),
            (r#"{"t":"offer","sdp":"v=0"}"#, BadMessage),
            (r#"{"t":"offer","to":"p","sdp":"v=0","gen":-1}"#, BadMessage),
            (r#"{"t":"mute","peer":"p","kind":"smell"}"#, BadMessage),
            (r#"{"t":"chat","text":" "}"#, BadMessage),
            (&many, TooLarge),
            (&long("offer", limits::SDP + 1), TooLarge),
            (&long("chat", limits::CHAT + 1), TooLarge),
            (&"x".repeat(limits::MESSAGE + 1), TooLarge),
        ] {
            let found = parse(text).map_err(|refusal| refusal.code);
            let shown: String = text.chars().take(60).collect();
            assert_eq!(found.err(), Some(code), "{shown}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_nothing_worse() {
        let open = format!(r#"{{"t":"set","state":{}"#, "{\"a\":".repeat(10_000));
        assert!(parse(&open).is_err());
        let (opening, closing) = ("[".repeat(400), "]".repeat(400));
        let deep = format!(r#"{{"t":"set","state":{{"a":{opening}{closing}}}}}"#);
        assert!(parse(&deep).is_err(), "other parsers have a limit as well");
        let ignored = format!(r#"{{"t":"ping","more":{opening}{closing}}}"#);
        assert!(parse(&ignored).is_ok(), "unknown fields are not looked at");
    }

    #[test]
    fn a_broken_message_is_answered_by_its_number() {
        for (text, id) in [
            (r#"{"id":7}"#, Some(7)),
            (r#"{"id":7,"t":5}"#, Some(7)),
            (r#"{"id":7,"t":"offer","to":1}"#, Some(7)),
            (r#"{"id":7,"t":"chat","text":"a"#, None),
            (r#"{"id":0,"t":"ping"}"#, None),
            (r#"{"id":"7","t":"ping"}"#, None),
        ] {
            assert_eq!(
                parse(text).err().map(|refusal| refusal.id),
                Some(id),
                "{text}"
            );
        }
    }
}
