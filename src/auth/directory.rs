//! All who may use the relay, in one order of look-up.
//!
//! A static user comes first, by USERNAME or USERHASH; then, when the username has
//! a REST form, the session secret and each REST secret in turn. The kinds live
//! side by side: a wrong password for the one does not keep the others from being
//! tried.

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::identity::Identity;
use crate::auth::rest::{RestSecret, RestUsername};
use crate::auth::session::{SessionAccess, SessionKey};
use crate::secret::Secret;
use crate::stun::{
    AttributeType, ErrorCode, IntegrityAlgorithm, LongTermKey, Message, PasswordAlgorithm,
    SecurityFeatures, long_term_key, nonce_cookie, user_hash,
};

/// What PASSWORD-ALGORITHMS lists in a challenge, when the security features
/// have password algorithms: the stronger first.
pub const PASSWORD_ALGORITHMS: [PasswordAlgorithm; 2] =
    [PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5];

/// Who there is.
pub struct Options {
    /// The realm of all credentials, sent in challenges.
    pub realm: String,
    /// Static users. Of two with one name the first counts.
    pub users: Vec<User>,
    /// Secrets of those who hand out REST credentials; several for a rotation.
    pub rest_secrets: Vec<Secret>,
    /// Credentials of sessions, where there are rooms.
    pub sessions: Option<SessionAccess>,
}

/// A static user.
pub struct User {
    /// The username, in the form OpaqueString prepares (any ASCII is).
    pub name: String,
    /// What the user proves to have.
    pub credential: Credential,
}

/// What a static user proves to have.
pub enum Credential {
    /// A password; both kinds of keys are made from it.
    Password(Secret),
    /// A key made elsewhere for this name and realm; only the algorithm it was
    /// made with can be verified.
    Key(LongTermKey),
}

/// Why a request is not authenticated; [`AuthError::code`] is the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuthError {
    /// Neither MESSAGE-INTEGRITY nor MESSAGE-INTEGRITY-SHA256: challenge it.
    #[error("no message integrity")]
    MissingIntegrity,
    /// MESSAGE-INTEGRITY-SHA256 is shorter than 32 bytes, which TURN does not
    /// allow.
    #[error("truncated message integrity")]
    TruncatedIntegrity,
    /// Neither USERNAME nor USERHASH.
    #[error("no username")]
    MissingUsername,
    /// USERNAME is too long or not UTF-8, or USERHASH is not 32 bytes.
    #[error("malformed username")]
    MalformedUsername,
    /// No REALM.
    #[error("no realm")]
    MissingRealm,
    /// Only one of PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS.
    #[error("password algorithm without its list, or the other way round")]
    MissingPasswordAlgorithm,
    /// PASSWORD-ALGORITHMS is not what we offered, or PASSWORD-ALGORITHM not one
    /// of them: somebody on the way may have changed the challenge.
    #[error("password algorithm that was not offered")]
    WrongPasswordAlgorithm,
    /// There is no such user and no secret the name could be made for.
    #[error("unknown user")]
    UnknownUser,
    /// The user is there, or the name has a REST form; the key is another one.
    #[error("wrong password")]
    WrongPassword,
    /// The credential is right, but the session it was issued for has ended.
    #[error("session ended")]
    SessionEnded,
}

impl AuthError {
    /// Returns what to answer: 401 with a challenge where the client can do
    /// better with other credentials, 400 where the request is broken (RFC 8489
    /// section 9.2.4). That a user is unknown or a password wrong is for the log
    /// only; both are answered the same.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::MissingIntegrity
            | Self::UnknownUser
            | Self::WrongPassword
            | Self::SessionEnded => ErrorCode::Unauthorized,
            Self::TruncatedIntegrity
            | Self::MissingUsername
            | Self::MalformedUsername
            | Self::MissingRealm
            | Self::MissingPasswordAlgorithm
            | Self::WrongPasswordAlgorithm => ErrorCode::BadRequest,
        }
    }
}

/// All who may use the relay. Never changes once it is made; only which sessions
/// live does, and [`Sessions`](crate::auth::Sessions) knows that.
pub struct Directory {
    realm: String,
    users: Vec<StaticUser>,
    by_name: HashMap<Arc<str>, usize>,
    by_hash: HashMap<[u8; 32], usize>,
    session_key: Option<SessionKey>,
    rest_secrets: Vec<RestSecret>,
    /// What messages of unknown users are verified with, to no avail.
    decoy: LongTermKey,
}

impl Directory {
    /// Computes the keys and hashes of all users.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let realm = options.realm;
        let users: Vec<_> = options
            .users
            .into_iter()
            .map(|user| StaticUser::new(user, &realm))
            .collect();
        let mut by_name = HashMap::new();
        let mut by_hash = HashMap::new();
        for (index, user) in users.iter().enumerate() {
            by_name.entry(Arc::clone(&user.name)).or_insert(index);
            by_hash
                .entry(user_hash(&user.name, &realm))
                .or_insert(index);
        }
        let rest_secrets = options.rest_secrets.iter().map(RestSecret::new).collect();
        let session_key = options.sessions.map(SessionKey::new);
        let decoy = long_term_key(PasswordAlgorithm::Md5, "", &realm, b"");
        Self {
            realm,
            users,
            by_name,
            by_hash,
            session_key,
            rest_secrets,
            decoy,
        }
    }

    /// Returns the realm to send in challenges.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Returns what nonces announce (RFC 8489 section 9.2).
    ///
    /// Password algorithms only when SHA-256 can be verified for every user: a
    /// client that is offered it uses it, and a user of whom we have but an MD5
    /// key could not get in. Username anonymity only without REST and session
    /// secrets: which username a hash was made from cannot be found when it is on
    /// no list.
    #[must_use]
    pub fn security_features(&self) -> SecurityFeatures {
        SecurityFeatures {
            password_algorithms: self.users.iter().all(|user| user.sha256.is_some()),
            username_anonymity: !self.has_rest(),
        }
    }

    /// Judges the credentials of a request.
    ///
    /// The steps of RFC 8489 section 9.2.4 except those about the nonce's age,
    /// which are the caller's. Whether a REST credential has ended is not checked
    /// either: ask [`Identity::is_expired`] where a lifetime starts.
    ///
    /// # Errors
    ///
    /// What is missing, malformed or wrong; see [`AuthError::code`].
    pub fn authenticate(&self, message: &Message<'_>) -> Result<Identity, AuthError> {
        // No integrity at all is a client that waits for the challenge.
        let integrity = message.integrity().ok_or(AuthError::MissingIntegrity)?;
        // Something that has to be there is missing.
        let claim = Claim::read(message)?;
        if message.attribute(AttributeType::REALM).is_none() {
            return Err(AuthError::MissingRealm);
        }
        if !is_full_length(message, integrity) {
            return Err(AuthError::TruncatedIntegrity);
        }
        // The algorithm was offered, and the offer came through unchanged.
        let algorithm = password_algorithm(message)?;
        // The username is valid and the integrity matches.
        self.look_up(message, &claim, integrity, algorithm)
    }

    /// Says whether an identity still holds after a reload: the static user is
    /// there with the same key, one of the secrets still makes this key, or it is a
    /// live session's. The realm counts, too: in another one every key is another.
    #[must_use]
    pub fn has_user(&self, identity: &Identity) -> bool {
        let username = identity.username();
        let key = identity.key();
        let algorithm = key.algorithm();
        let is_static = self
            .by_name
            .get(username)
            .and_then(|&index| self.users[index].key(algorithm))
            .is_some_and(|there| there == key);
        let makes_key = |secret: &RestSecret| secret.key(algorithm, username, &self.realm) == *key;
        let is_rest = |rest: RestUsername<'_>| {
            let session_key = self.session_key.as_ref();
            self.rest_secrets.iter().any(makes_key)
                || session_key.is_some_and(|sessions| {
                    makes_key(sessions.secret()) && sessions.is_live(rest.user)
                })
        };
        is_static || RestUsername::parse(username).is_some_and(is_rest)
    }

    /// Says whether there are credentials of users on no list.
    fn has_rest(&self) -> bool {
        !self.rest_secrets.is_empty() || self.session_key.is_some()
    }

    fn look_up(
        &self,
        message: &Message<'_>,
        claim: &Claim<'_>,
        integrity: IntegrityAlgorithm,
        algorithm: PasswordAlgorithm,
    ) -> Result<Identity, AuthError> {
        let user = self.find(claim);
        if let Some(user) = user {
            // Without a key of this algorithm the work is done all the same.
            let key = user.key(algorithm);
            let tried = key.unwrap_or(&self.decoy);
            if message.verify_integrity(integrity, tried.as_bytes()) && key.is_some() {
                return Ok(user.identity(tried, integrity));
            }
        }
        let rest = claim.rest().filter(|_| self.has_rest());
        if let Some((username, rest)) = rest {
            let key_of = |secret: &RestSecret| {
                let key = secret.key(algorithm, username, &self.realm);
                let is_right = message.verify_integrity(integrity, key.as_bytes());
                is_right.then_some(key)
            };
            // Only whoever has the password makes us ask for the session.
            if let Some(sessions) = &self.session_key
                && let Some(key) = key_of(sessions.secret())
            {
                if !sessions.is_live(rest.user) {
                    return Err(AuthError::SessionEnded);
                }
                return Ok(rest_identity(username, rest, key, integrity).of_session());
            }
            if let Some(key) = self.rest_secrets.iter().find_map(key_of) {
                return Ok(rest_identity(username, rest, key, integrity));
            }
        }
        if user.is_some() || rest.is_some() {
            return Err(AuthError::WrongPassword);
        }
        // A name that is on no list takes as long as a wrong password.
        let _ = message.verify_integrity(integrity, self.decoy.as_bytes());
        Err(AuthError::UnknownUser)
    }

    fn find(&self, claim: &Claim<'_>) -> Option<&StaticUser> {
        let index = match claim {
            Claim::Name(name) => self.by_name.get(*name),
            Claim::Hash(hash) => self.by_hash.get(*hash),
        };
        index.map(|&index| &self.users[index])
    }
}

/// A user with the keys that can be verified; at least one is there.
struct StaticUser {
    name: Arc<str>,
    md5: Option<LongTermKey>,
    sha256: Option<LongTermKey>,
}

impl StaticUser {
    fn new(user: User, realm: &str) -> Self {
        let User { name, credential } = user;
        let (md5, sha256) = match credential {
            Credential::Password(password) => {
                let key = |algorithm| long_term_key(algorithm, &name, realm, password.expose());
                (
                    Some(key(PasswordAlgorithm::Md5)),
                    Some(key(PasswordAlgorithm::Sha256)),
                )
            }
            Credential::Key(key) => match key.algorithm() {
                PasswordAlgorithm::Md5 => (Some(key), None),
                PasswordAlgorithm::Sha256 => (None, Some(key)),
            },
        };
        Self {
            name: name.into(),
            md5,
            sha256,
        }
    }

    const fn key(&self, algorithm: PasswordAlgorithm) -> Option<&LongTermKey> {
        match algorithm {
            PasswordAlgorithm::Md5 => self.md5.as_ref(),
            PasswordAlgorithm::Sha256 => self.sha256.as_ref(),
        }
    }

    fn identity(&self, key: &LongTermKey, integrity: IntegrityAlgorithm) -> Identity {
        let name = Arc::clone(&self.name);
        Identity::new(Arc::clone(&name), name, None, key.clone(), integrity)
    }
}

/// Who the message says it is from.
enum Claim<'a> {
    Name(&'a str),
    Hash(&'a [u8; 32]),
}

impl<'a> Claim<'a> {
    fn read(message: &Message<'a>) -> Result<Self, AuthError> {
        if let Some(name) = message.attribute(AttributeType::USERNAME) {
            if name.len() > MAX_USERNAME_LEN {
                return Err(AuthError::MalformedUsername);
            }
            let name = std::str::from_utf8(name).map_err(|_| AuthError::MalformedUsername)?;
            return Ok(Self::Name(name));
        }
        let hash = message
            .attribute(AttributeType::USERHASH)
            .ok_or(AuthError::MissingUsername)?;
        let hash = hash.try_into().map_err(|_| AuthError::MalformedUsername)?;
        Ok(Self::Hash(hash))
    }

    fn rest(&self) -> Option<(&'a str, RestUsername<'a>)> {
        match *self {
            Self::Name(name) => Some((name, RestUsername::parse(name)?)),
            Self::Hash(_) => None,
        }
    }
}

/// Returns how the key is made: as PASSWORD-ALGORITHM says, else with MD5.
///
/// A nonce that offered a choice makes the client repeat the offer, so that
/// nobody on the way can take the stronger one out of it.
fn password_algorithm(message: &Message<'_>) -> Result<PasswordAlgorithm, AuthError> {
    let chosen = message.password_algorithm();
    let was_offered = message
        .attribute(AttributeType::NONCE)
        .and_then(nonce_cookie::decode)
        .is_some_and(|features| features.password_algorithms);
    if !was_offered {
        return Ok(chosen.unwrap_or(PasswordAlgorithm::Md5));
    }
    let is_there = |kind| message.attribute(kind).is_some();
    let has_chosen = is_there(AttributeType::PASSWORD_ALGORITHM);
    let has_list = is_there(AttributeType::PASSWORD_ALGORITHMS);
    match (has_chosen, has_list) {
        (false, false) => Ok(PasswordAlgorithm::Md5),
        (true, true) => chosen
            .filter(|_| message.has_password_algorithms(&PASSWORD_ALGORITHMS))
            .ok_or(AuthError::WrongPasswordAlgorithm),
        (true, false) | (false, true) => Err(AuthError::MissingPasswordAlgorithm),
    }
}

/// Says whether MESSAGE-INTEGRITY-SHA256 is whole: a usage has to allow
/// truncation expressly (RFC 8489 section 14.6), and TURN does not.
fn is_full_length(message: &Message<'_>, integrity: IntegrityAlgorithm) -> bool {
    let value = message.attribute(integrity.attribute());
    match integrity {
        IntegrityAlgorithm::Sha1 => true,
        IntegrityAlgorithm::Sha256 => value.is_some_and(|value| value.len() == 32),
    }
}

fn rest_identity(
    username: &str,
    rest: RestUsername<'_>,
    key: LongTermKey,
    integrity: IntegrityAlgorithm,
) -> Identity {
    let name: Arc<str> = username.into();
    let user = if rest.user == username {
        Arc::clone(&name)
    } else {
        rest.user.into()
    };
    Identity::new(name, user, Some(rest.expires), key, integrity)
}

/// Longest USERNAME in bytes. RFC 8489 section 14.3 says 508; RFC 5389 clients
/// may send 512.
const MAX_USERNAME_LEN: usize = 512;
