//! What a room token says: who may enter which room, and what they may do there.
//!
//! Owns the values and their limits; `token.rs` reads them out of a signed token
//! and writes them into one.

use crate::unix_time::UnixTime;

/// What a verified token says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claims {
    /// The room it opens, a name that [`is_room_name`] accepts, or [`ANY_ROOM`].
    pub room: String,
    /// Who it was given to, in the application's words; 1 to [`MAX_IDENTITY_LEN`]
    /// bytes. Two people with one identity are one person to a moderator.
    pub identity: Option<String>,
    /// The name to show to the others; 1 to [`MAX_NAME_LEN`] characters, none of
    /// them a control character.
    pub name: Option<String>,
    /// What its holder may do.
    pub grants: Grants,
    /// When it ends.
    pub expires: UnixTime,
    /// When it begins, where it names a time.
    pub not_before: Option<UnixTime>,
    /// The most people its room may have, its holder among them; at least 1. The
    /// server's own limit holds all the same.
    pub max_participants: Option<u32>,
}

impl Claims {
    /// Says whether the token opens `room`.
    #[must_use]
    pub fn opens(&self, room: &str) -> bool {
        self.room == ANY_ROOM || self.room == room
    }
}

/// What somebody may do in a room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grants {
    /// Send audio, video and the screen.
    pub publish: bool,
    /// Receive those of the others.
    pub subscribe: bool,
    /// Mute and send out others, lock the room, enter a locked one.
    pub moderate: bool,
}

impl Grants {
    /// No grant at all.
    pub const NONE: Self = Self {
        publish: false,
        subscribe: false,
        moderate: false,
    };

    /// What a token without grants stands for, and what guests have: publish and
    /// subscribe.
    pub const PARTICIPANT: Self = Self {
        publish: true,
        subscribe: true,
        moderate: false,
    };

    /// All the names there are, in the order of [`Grants::names`].
    pub const NAMES: [&'static str; 3] = ["publish", "subscribe", "moderate"];

    /// Returns the grants of these names; names that are none are passed over, so
    /// that tokens may carry grants of later versions.
    pub fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut grants = Self::NONE;
        for name in names {
            match name {
                "publish" => grants.publish = true,
                "subscribe" => grants.subscribe = true,
                "moderate" => grants.moderate = true,
                _ => {}
            }
        }
        grants
    }

    /// Returns the names as tokens and messages write them.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let granted = [self.publish, self.subscribe, self.moderate];
        let pairs = Self::NAMES.into_iter().zip(granted);
        pairs.filter(|(_, is)| *is).map(|(name, _)| name).collect()
    }
}

/// Says whether `name` can be a room's: 1 to 64 of the characters `A-Z`, `a-z`,
/// `0-9`, `_`, `.` and `-`.
#[must_use]
pub fn is_room_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=MAX_ROOM_LEN).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// Makes a name that can be shown: without control characters and blanks at the
/// ends, and at most [`MAX_NAME_LEN`] characters. `None` when nothing is left.
pub(super) fn shown_name(name: &str) -> Option<String> {
    let printable: String = name.chars().filter(|c| !c.is_control()).collect();
    let cut: String = printable.trim().chars().take(MAX_NAME_LEN).collect();
    (!cut.is_empty()).then_some(cut)
}

/// The room of a token that opens every room.
pub const ANY_ROOM: &str = "*";

/// Longest identity in bytes: enough for an e-mail address (RFC 5321 section
/// 4.5.3.1 makes that 254).
pub const MAX_IDENTITY_LEN: usize = 256;

/// Longest name in characters, as `docs/protocol.md` has it.
pub const MAX_NAME_LEN: usize = 64;

const MAX_ROOM_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_keep_their_names() {
        assert_eq!(Grants::PARTICIPANT.names(), ["publish", "subscribe"]);
        assert_eq!(Grants::of_names(Grants::NAMES).names(), Grants::NAMES);
        assert_eq!(
            Grants::of_names(["moderate", "fly"]).names(),
            ["moderate"],
            "a grant that is not known is passed over"
        );
        assert_eq!(Grants::of_names([]), Grants::NONE);
    }

    #[test]
    fn a_room_name_is_short_and_plain() {
        for name in ["a", "Team.2_x-Y", &"r".repeat(64)] {
            assert!(is_room_name(name), "{name}");
        }
        for name in ["", "*", "a b", "a/b", "\u{e9}", &"r".repeat(65)] {
            assert!(!is_room_name(name), "{name}");
        }
    }

    #[test]
    fn a_shown_name_is_cut_between_characters() {
        assert_eq!(shown_name(" A\u{7}nn\n ").as_deref(), Some("Ann"));
        assert_eq!(shown_name(" \u{1b} "), None);
        let long = shown_name(&"\u{1f98a}".repeat(100));
        assert_eq!(long, Some("\u{1f98a}".repeat(64)));
    }
}
