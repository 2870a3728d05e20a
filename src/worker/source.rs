//! Names for what a worker waits on, packed into mio's token.

use mio::Token;

use crate::turn::{LinkId, RelayId};

/// Something that can become ready.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Source {
    /// The mailbox, or a ring of a sibling.
    Mailbox,
    /// A front UDP socket, by index.
    Front(u32),
    /// A UDP relay socket or TCP relay listener.
    Relay(RelayId),
    /// A TCP or TLS client, by key.
    Stream(u32),
    /// A peer connection of a TCP allocation, by key.
    Peer(u32),
}

impl Source {
    pub(super) fn token(self) -> Token {
        let (kind, index) = match self {
            Self::Mailbox => (0, 0),
            Self::Front(index) => (1, index),
            Self::Relay(relay) => (2, relay.0),
            Self::Stream(key) => (3, key),
            Self::Peer(key) => (4, key),
        };
        Token(kind << KIND_SHIFT | index as usize)
    }

    pub(super) fn from_token(token: Token) -> Self {
        let index = u32::try_from(token.0 & ((1 << KIND_SHIFT) - 1)).unwrap_or(u32::MAX);
        match token.0 >> KIND_SHIFT {
            1 => Self::Front(index),
            2 => Self::Relay(RelayId(index)),
            3 => Self::Stream(index),
            4 => Self::Peer(index),
            _ => Self::Mailbox,
        }
    }
}

/// What a [`LinkId`] stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Link {
    /// The front UDP socket with this index.
    Front(u32),
    /// The stream with this key.
    Stream(u32),
}

impl Link {
    pub(super) fn id(self) -> LinkId {
        LinkId(match self {
            Self::Front(index) => index,
            Self::Stream(key) => key | STREAM_BIT,
        })
    }

    pub(super) fn from_id(id: LinkId) -> Self {
        if id.0 & STREAM_BIT == 0 {
            Self::Front(id.0)
        } else {
            Self::Stream(id.0 & !STREAM_BIT)
        }
    }
}

const KIND_SHIFT: u32 = 32;
const STREAM_BIT: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_links_name_what_they_were_made_from() {
        for source in [
            Source::Mailbox,
            Source::Front(3),
            Source::Relay(RelayId(70_000)),
            Source::Stream(0),
            Source::Peer(u32::MAX),
        ] {
            assert_eq!(Source::from_token(source.token()), source);
        }
        for link in [
            Link::Front(0),
            Link::Front(7),
            Link::Stream(0),
            Link::Stream(70_000),
        ] {
            assert_eq!(Link::from_id(link.id()), link);
        }
    }
}
