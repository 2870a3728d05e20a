//! Ids of peers: which texts are one, new ones, and where an id is looked up.
//!
//! The set is that of the PeerJS client, which checks an id before it connects.

use std::fmt::Write as _;
use std::sync::Arc;

use rand::Rng;

use super::limits;

/// Whether a text can be a peer's id: words of `A-Z a-z 0-9` with one space, `_`
/// or `-` between two of them, 1 to [`limits::ID`] characters.
#[must_use]
pub fn is_peer_id(text: &str) -> bool {
    if text.len() > limits::ID {
        return false;
    }
    text.split([' ', '_', '-'])
        .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Makes an id that nobody has: a UUID of version 4 (RFC 9562 section 5.4).
pub(super) fn random_id(rng: &mut impl Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let mut id = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            id.push('-');
        }
        write!(id, "{byte:02x}").expect("a String takes everything");
    }
    id
}

/// A peer among those that can see each other.
///
/// Both parts are shared, so a copy is cheap.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Address {
    /// The room of its token; empty for all who came without a room.
    pub(super) scope: Arc<str>,
    /// Its id, which is one by [`is_peer_id`].
    pub(super) id: Arc<str>,
}

impl Address {
    /// The address of another peer in the same scope.
    pub(super) fn of_other(&self, id: &str) -> Self {
        Self {
            scope: Arc::clone(&self.scope),
            id: id.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn ids_are_words_with_single_separators() {
        for id in ["a", "Ann", "a-b_c d", "7", &"x".repeat(64)] {
            assert!(is_peer_id(id), "{id}");
        }
        let long = "x".repeat(65);
        for id in [
            "", " ", "-a", "a-", "a--b", "a- b", "é", "a.b", "a\n", &long,
        ] {
            assert!(!is_peer_id(id), "{id:?}");
        }
    }

    #[test]
    fn random_ids_are_uuids_and_differ() {
        let mut rng = StdRng::from_seed([7; 32]);
        let (first, second) = (random_id(&mut rng), random_id(&mut rng));
        assert_ne!(first, second);
        for id in [first, second] {
            assert!(is_peer_id(&id), "{id}");
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12]);
            assert_eq!(&id[14..15], "4");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }
}
