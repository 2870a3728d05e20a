//! Server messages, and how they become text.

use std::fmt::Write as _;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::code::ErrorCode;
use super::limits;
use super::request::Kind;

/// One server message without its `seq`.
#[derive(Serialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    Welcome {
        version: u32,
        features: &'a [&'a str],
        ping: u64,
        limits: Limits,
    },
    Ok {
        re: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        resumed: Option<Resumed>,
    },
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<u64>,
        code: ErrorCode,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        #[serde(skip_serializing_if = "is_false")]
        fatal: bool,
    },
    Joined {
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<u64>,
        room: &'a str,
        you: Person<'a>,
        peers: Vec<Person<'a>>,
        tracks: [(); 0],
        mode: &'a str,
        locked: bool,
        ice_servers: &'a [IceServer],
        ttl: u64,
        resume: ResumeTicket<'a>,
    },
    Waiting {
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<u64>,
        position: usize,
    },
    PeerJoined {
        peer: Person<'a>,
    },
    PeerLeft {
        peer: &'a str,
        reason: Leaving,
    },
    PeerUpdated {
        peer: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        grants: Option<Vec<&'static str>>,
    },
    PeerAway {
        peer: &'a str,
    },
    PeerBack {
        peer: &'a str,
    },
    Offer {
        from: &'a str,
        r#gen: u32,
        sdp: &'a str,
    },
    Answer {
        from: &'a str,
        r#gen: u32,
        sdp: &'a str,
    },
    Ice {
        from: &'a str,
        r#gen: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        candidate: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        candidates: Option<&'a RawValue>,
    },
    Chat {
        from: &'a str,
        text: &'a str,
        at: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<&'a str>,
    },
    Mute {
        by: &'a str,
        kind: Kind,
    },
    Kicked {
        by: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
    RoomUpdated {
        locked: bool,
    },
    IceServers {
        ice_servers: &'a [IceServer],
        ttl: u64,
    },
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<u64>,
    },
}

/// `resumed` of the answer to `hello`.
#[derive(Serialize)]
pub(super) struct Resumed {
    pub(super) last_id: u64,
}

/// `resume` of `joined`.
#[derive(Serialize)]
pub(super) struct ResumeTicket<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
}

/// Somebody in the room.
#[derive(Serialize)]
pub(super) struct Person<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) identity: Option<&'a str>,
    pub(super) guest: bool,
    pub(super) grants: Vec<&'static str>,
    pub(super) state: &'a RawValue,
    pub(super) away: bool,
}

/// One `RTCIceServer` (W3C WebRTC, section 4.2.2).
#[derive(Serialize)]
pub(super) struct IceServer {
    pub(super) urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) credential: Option<String>,
}

/// Why somebody is no longer there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Leaving {
    Left,
    Lost,
    Kicked,
    Replaced,
}

/// `limits` of `welcome`.
#[derive(Serialize)]
pub(super) struct Limits {
    message: usize,
    sdp: usize,
    candidate: usize,
    candidates: usize,
    chat: usize,
    name: usize,
    state: usize,
    rate: u32,
    burst: u32,
}

impl Event<'_> {
    pub(super) fn welcome() -> Self {
        Self::Welcome {
            version: 1,
            features: &["mesh", "resume", "chat", "wait"],
            ping: limits::PING.as_secs(),
            limits: Limits {
                message: limits::MESSAGE,
                sdp: limits::SDP,
                candidate: limits::CANDIDATE,
                candidates: limits::CANDIDATES,
                chat: limits::CHAT,
                name: limits::NAME,
                state: limits::STATE,
                rate: limits::RATE,
                burst: limits::BURST,
            },
        }
    }

    /// Writes the message without a `seq`.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers only, which always serialize")
    }
}

/// Puts `seq` into a message that [`Event::text`] wrote.
pub(super) fn numbered(text: &str, seq: u64) -> Bytes {
    let rest = text.strip_prefix('{').unwrap_or(text);
    let mut numbered = String::with_capacity(text.len() + SEQ_LEN);
    // Writing to a string cannot fail.
    let _ = write!(numbered, "{{\"seq\":{seq},{rest}");
    Bytes::from(numbered)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// `"seq":` with a comma and a number of 20 digits.
const SEQ_LEN: usize = 28;
