//! Credentials of every kind in messages of every kind, some of them built by
//! the `stun` crate with credentials of the `turn` crate.

#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    reason = "a failed step is a failed test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stun::attributes::{ATTR_NONCE, ATTR_REALM, ATTR_USERNAME};
use stun::integrity::MessageIntegrity;
use stun::message::{BINDING_REQUEST, Message as Foreign, Setter};
use stun::textattrs::TextAttribute;
use turn::auth::{generate_auth_key, generate_long_term_credentials};
use turnstone::auth::{
    AuthError, Credential, Directory, Identity, Options, PASSWORD_ALGORITHMS, SessionAccess,
    SessionCredentials, Sessions, User, issue,
};
use turnstone::secret::Secret;
use turnstone::stun::{
    AttributeType, Builder, Class, ErrorCode, IntegrityAlgorithm, LongTermKey, Message, Method,
    PasswordAlgorithm, SecurityFeatures, TransactionId, long_term_key, nonce_cookie, user_hash,
};
use turnstone::unix_time::UnixTime;

const REALM: &str = "example.org";
const NOW: UnixTime = UnixTime(1_700_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const OLD_NONCE: &[u8] = b"a nonce without a cookie";

#[test]
fn a_static_user_gets_in_by_password() {
    let request = Request::from("alice", "wonderland").build();
    let identity = authenticate(&directory(), &request).unwrap_or_refused();
    assert_eq!(&**identity.username(), "alice");
    assert_eq!(&**identity.user(), "alice");
    assert_eq!(identity.expires(), None);
    assert!(!identity.is_expired(UnixTime(u64::MAX)));
    assert_eq!(identity.integrity(), IntegrityAlgorithm::Sha1);
    let key = long_term_key(PasswordAlgorithm::Md5, "alice", REALM, b"wonderland");
    assert!(*identity.key() == key);
}

#[test]
fn wrong_passwords_and_unknown_users_get_the_same_answer() {
    for (name, password, error) in [
        ("alice", "other", AuthError::WrongPassword),
        ("Alice", "wonderland", AuthError::UnknownUser),
        ("", "", AuthError::UnknownUser),
        ("1800000000:alice", "wonderland", AuthError::WrongPassword),
    ] {
        let request = Request::from(name, password).build();
        assert_eq!(refusal(&directory(), &request), error, "{name}");
        assert_eq!(error.code(), ErrorCode::Unauthorized);
    }
}

#[test]
fn a_rest_form_is_unknown_where_there_are_no_secrets() {
    let directory = Directory::new(Options {
        rest_secrets: Vec::new(),
        sessions: None,
        ..options()
    });
    let request = Request::from("1800000000:alice", "wonderland").build();
    assert_eq!(refusal(&directory, &request), AuthError::UnknownUser);
}

#[test]
fn a_user_gets_in_by_hash() {
    let request = Request {
        name: Name::Hash(user_hash("alice", REALM)),
        ..Request::from("alice", "wonderland")
    };
    let identity = authenticate(&directory(), &request.build()).unwrap_or_refused();
    assert_eq!(&**identity.username(), "alice");
    let unknown = Request {
        name: Name::Hash(user_hash("alice", "example.com")),
        ..Request::from("alice", "wonderland")
    };
    assert_eq!(
        refusal(&directory(), &unknown.build()),
        AuthError::UnknownUser
    );
}

#[test]
fn every_mix_of_algorithms_gets_in() {
    let integrities = [
        &[IntegrityAlgorithm::Sha1][..],
        &[IntegrityAlgorithm::Sha256],
        &[IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256],
    ];
    for password in [PasswordAlgorithm::Md5, PasswordAlgorithm::Sha256] {
        for integrity in integrities {
            let (rest_name, rest_password) = credentials("south", Some("bob"));
            for (name, secret) in [("alice", "wonderland"), (&rest_name, &rest_password)] {
                let request = Request {
                    algorithm: Some(password),
                    list: Some(&PASSWORD_ALGORITHMS),
                    nonce: &offering_nonce(),
                    integrity,
                    ..Request::from(name, secret)
                };
                let identity = authenticate(&directory(), &request.build()).unwrap_or_refused();
                assert_eq!(&**identity.username(), name);
                assert_eq!(Some(&identity.integrity()), integrity.last());
                assert_eq!(identity.key().algorithm(), password);
            }
        }
    }
}

#[test]
fn rest_credentials_of_every_secret_get_in() {
    for secret in ["north", "south"] {
        let (username, password) = credentials(secret, Some("bob"));
        let request = Request::from(&username, &password).build();
        let identity = authenticate(&directory(), &request).unwrap_or_refused();
        assert_eq!(&**identity.username(), username);
        assert_eq!(&**identity.user(), "bob");
        assert_eq!(identity.expires(), Some(NOW.plus(HOUR)));
        assert!(!identity.is_expired(NOW));
        assert!(!identity.is_expired(UnixTime(NOW.0 + 3599)));
        assert!(identity.is_expired(NOW.plus(HOUR)));
    }
    let (username, password) = credentials("west", Some("bob"));
    let request = Request::from(&username, &password).build();
    assert_eq!(refusal(&directory(), &request), AuthError::WrongPassword);
}

#[test]
fn a_bare_expiry_counts_for_itself() {
    let (username, password) = credentials("north", None);
    assert_eq!(username, "1700003600");
    let request = Request::from(&username, &password).build();
    let identity = authenticate(&directory(), &request).unwrap_or_refused();
    assert_eq!(identity.user(), identity.username());
    assert_eq!(identity.expires(), Some(UnixTime(1_700_003_600)));
}

#[test]
fn an_expired_credential_is_known_and_expired() {
    let made = issue(&Secret::from("north"), None, UnixTime(1000), HOUR);
    let request = Request::from(&made.username, &made.password).build();
    let identity = authenticate(&directory(), &request).unwrap_or_refused();
    assert!(identity.is_expired(NOW));
}

#[test]
fn a_static_user_may_have_a_name_in_rest_form() {
    let name = "1800000000:carol";
    let directory = Directory::new(Options {
        users: vec![user(name, Credential::Password(Secret::from("static")))],
        ..options()
    });
    let request = Request::from(name, "static").build();
    let identity = authenticate(&directory, &request).unwrap_or_refused();
    assert_eq!(identity.expires(), None);
    assert_eq!(&**identity.user(), name);

    let span = Duration::from_secs(1_800_000_000);
    let made = issue(&Secret::from("south"), Some("carol"), UnixTime(0), span);
    assert_eq!(made.username, name);
    let request = Request::from(name, &made.password).build();
    let identity = authenticate(&directory, &request).unwrap_or_refused();
    assert_eq!(identity.expires(), Some(UnixTime(1_800_000_000)));
    assert_eq!(&**identity.user(), "carol");
}

#[test]
fn a_key_verifies_only_what_it_was_made_for() {
    for made_for in [PasswordAlgorithm::Md5, PasswordAlgorithm::Sha256] {
        let key = long_term_key(made_for, "alice", REALM, b"wonderland");
        let directory = Directory::new(Options {
            users: vec![user("alice", Credential::Key(key))],
            ..options()
        });
        for used in [PasswordAlgorithm::Md5, PasswordAlgorithm::Sha256] {
            let request = Request {
                algorithm: Some(used),
                ..Request::from("alice", "wonderland")
            };
            let result = authenticate(&directory, &request.build()).map(|_| ());
            let expected = (used == made_for)
                .then_some(())
                .ok_or(AuthError::WrongPassword);
            assert_eq!(result, expected);
        }
    }
}

#[test]
fn nobody_gets_in_with_the_key_that_unknown_users_are_checked_with() {
    let key = long_term_key(PasswordAlgorithm::Md5, "alice", REALM, b"wonderland");
    let directory = Directory::new(Options {
        users: vec![user("alice", Credential::Key(key))],
        rest_secrets: Vec::new(),
        sessions: None,
        ..options()
    });
    let decoy = long_term_key(PasswordAlgorithm::Md5, "", REALM, b"");
    for (name, algorithm) in [
        ("", None),
        ("mallory", None),
        ("alice", Some(PasswordAlgorithm::Sha256)),
    ] {
        let request = Request {
            algorithm,
            key: Some(decoy.clone()),
            ..Request::from(name, "")
        };
        assert!(authenticate(&directory, &request.build()).is_err());
    }
}

#[test]
fn what_is_missing_or_malformed_is_told() {
    let good = || Request::from("alice", "wonderland");
    let truncated = {
        let bytes = Request {
            integrity: &[IntegrityAlgorithm::Sha256],
            ..good()
        };
        truncate_integrity(bytes)
    };
    let named = |name| Request { name, ..good() }.build();
    let long = "x".repeat(513);
    for (request, error) in [
        (
            Request {
                integrity: &[],
                ..good()
            }
            .build(),
            AuthError::MissingIntegrity,
        ),
        (truncated, AuthError::TruncatedIntegrity),
        (named(Name::None), AuthError::MissingUsername),
        (named(Name::Bytes(&[0xFF])), AuthError::MalformedUsername),
        (
            named(Name::Bytes(long.as_bytes())),
            AuthError::MalformedUsername,
        ),
        (named(Name::ShortHash), AuthError::MalformedUsername),
        (
            Request {
                realm: None,
                ..good()
            }
            .build(),
            AuthError::MissingRealm,
        ),
    ] {
        assert_eq!(refusal(&directory(), &request), error);
        let code = if error == AuthError::MissingIntegrity {
            ErrorCode::Unauthorized
        } else {
            ErrorCode::BadRequest
        };
        assert_eq!(error.code(), code);
    }
}

#[test]
fn an_offer_that_was_tampered_with_is_refused() {
    const MD5: Option<PasswordAlgorithm> = Some(PasswordAlgorithm::Md5);
    let nonce = offering_nonce();
    let result = |algorithm, list| {
        let request = Request {
            algorithm,
            list,
            nonce: &nonce,
            ..Request::from("alice", "wonderland")
        };
        authenticate(&directory(), &request.build()).map(|_| ())
    };
    // A client from before RFC 8489 repeats nothing.
    assert_eq!(result(None, None), Ok(()));
    assert_eq!(result(MD5, Some(&PASSWORD_ALGORITHMS[..])), Ok(()));
    assert_eq!(
        result(MD5, Some(&[PasswordAlgorithm::Md5])),
        Err(AuthError::WrongPasswordAlgorithm)
    );
    assert_eq!(result(MD5, None), Err(AuthError::MissingPasswordAlgorithm));
    assert_eq!(
        result(None, Some(&PASSWORD_ALGORITHMS)),
        Err(AuthError::MissingPasswordAlgorithm)
    );
}

#[test]
fn features_are_announced_only_when_they_work_for_everybody() {
    let features = |users, secrets: &[&str]| {
        let options = Options {
            realm: REALM.to_owned(),
            users,
            rest_secrets: secrets.iter().map(|&secret| secret.into()).collect(),
            sessions: None,
        };
        let features = Directory::new(options).security_features();
        (features.password_algorithms, features.username_anonymity)
    };
    let password = || user("alice", Credential::Password(Secret::from("wonderland")));
    let key = |len| {
        let key = LongTermKey::from_bytes(&[1; 32][..len]).unwrap();
        user("bob", Credential::Key(key))
    };
    assert_eq!(features(vec![password()], &[]), (true, true));
    assert_eq!(features(vec![password(), key(32)], &[]), (true, true));
    assert_eq!(features(vec![password(), key(16)], &[]), (false, true));
    assert_eq!(features(vec![password()], &["north"]), (true, false));
    assert_eq!(features(Vec::new(), &["north"]), (true, false));
}

#[test]
fn a_reload_keeps_who_still_has_the_same_key() {
    let (bob, password) = credentials("south", Some("bob"));
    let requests = [
        Request::from("alice", "wonderland").build(),
        Request {
            algorithm: Some(PasswordAlgorithm::Sha256),
            ..Request::from("alice", "wonderland")
        }
        .build(),
        Request::from(&bob, &password).build(),
    ];
    let identities =
        requests.map(|request| authenticate(&directory(), &request).unwrap_or_refused());
    let kept = |options| {
        let directory = Directory::new(options);
        identities
            .each_ref()
            .map(|identity| directory.has_user(identity))
    };
    assert_eq!(kept(options()), [true; 3]);
    let users = vec![user("alice", Credential::Password(Secret::from("other")))];
    assert_eq!(kept(Options { users, ..options() }), [false, false, true]);
    let users = Vec::new();
    assert_eq!(kept(Options { users, ..options() }), [false, false, true]);
    let rest_secrets = vec![Secret::from("south"), Secret::from("east")];
    assert_eq!(
        kept(Options {
            rest_secrets,
            ..options()
        }),
        [true; 3]
    );
    let rest_secrets = vec![Secret::from("north")];
    assert_eq!(
        kept(Options {
            rest_secrets,
            ..options()
        }),
        [true, true, false]
    );
    let realm = "example.com".to_owned();
    assert_eq!(kept(Options { realm, ..options() }), [false; 3]);
    let key = long_term_key(PasswordAlgorithm::Md5, "alice", REALM, b"wonderland");
    let users = vec![user("alice", Credential::Key(key))];
    assert_eq!(kept(Options { users, ..options() }), [true, false, true]);
}

#[test]
fn a_session_gets_in_with_what_was_issued_to_it_while_it_lives() {
    struct Live(AtomicBool);
    impl Sessions for Live {
        fn is_live(&self, session: &str) -> bool {
            session == "s1" && self.0.load(Ordering::SeqCst)
        }
    }
    let live = Arc::new(Live(AtomicBool::new(true)));
    let secret = || Secret::from("known to this server only");
    let directory = Directory::new(Options {
        sessions: Some(SessionAccess {
            secret: secret(),
            sessions: Arc::<Live>::clone(&live),
        }),
        ..options()
    });
    let issued = SessionCredentials::new(secret(), HOUR).issue("s1", NOW);
    assert_eq!(issued.username, "1700003600:s1");
    assert_eq!(issued.expires, NOW.plus(HOUR));
    let request = Request::from(&issued.username, &issued.password).build();
    let identity = authenticate(&directory, &request).unwrap_or_refused();
    assert_eq!(identity.session().unwrap().as_ref(), "s1");
    assert_eq!(identity.expires(), Some(NOW.plus(HOUR)));
    assert!(directory.has_user(&identity));

    let (rest, rest_password) = credentials("north", Some("s1"));
    let of_rest = Request::from(&rest, &rest_password).build();
    let rest_identity = authenticate(&directory, &of_rest).unwrap_or_refused();
    assert_eq!(rest_identity.session(), None);

    live.0.store(false, Ordering::SeqCst);
    let error = refusal(&directory, &request);
    assert_eq!(error, AuthError::SessionEnded);
    assert_eq!(error.code(), ErrorCode::Unauthorized);
    assert!(!directory.has_user(&identity));
    assert!(authenticate(&directory, &of_rest).is_ok());
    assert!(directory.has_user(&rest_identity));
    let guessed = Request::from(&issued.username, "a guess").build();
    assert_eq!(refusal(&directory, &guessed), AuthError::WrongPassword);
    let without_rest = Options {
        rest_secrets: Vec::new(),
        sessions: Some(SessionAccess {
            secret: secret(),
            sessions: live,
        }),
        ..options()
    };
    let features = Directory::new(without_rest).security_features();
    assert!(!features.username_anonymity, "no list has these usernames");
}

#[test]
fn the_first_of_two_users_with_one_name_counts() {
    let both = ["first", "second"].map(|p| user("alice", Credential::Password(Secret::from(p))));
    let directory = Directory::new(Options {
        users: both.into(),
        ..options()
    });
    let first = Request::from("alice", "first").build();
    assert!(authenticate(&directory, &first).is_ok());
    let second = Request::from("alice", "second").build();
    assert_eq!(refusal(&directory, &second), AuthError::WrongPassword);
}

#[test]
fn credentials_and_requests_that_others_make_get_in() {
    let (username, password) = generate_long_term_credentials("north", HOUR).unwrap();
    let key = generate_auth_key(&username, REALM, &password);
    let request = foreign_request(&username, MessageIntegrity(key));
    let identity = authenticate(&directory(), &request).unwrap_or_refused();
    assert_eq!(identity.expires().unwrap().0.to_string(), username);

    let key = generate_auth_key("alice", REALM, "wonderland");
    let request = foreign_request("alice", MessageIntegrity(key));
    assert!(authenticate(&directory(), &request).is_ok());
    let request = foreign_request("alice", MessageIntegrity(vec![1; 16]));
    assert_eq!(refusal(&directory(), &request), AuthError::WrongPassword);
}

#[test]
fn workers_can_share_a_directory() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    is_shared(&directory());
}

/// A request that differs from a good one in whatever is set otherwise.
struct Request<'a> {
    name: Name<'a>,
    realm: Option<&'a str>,
    nonce: &'a [u8],
    algorithm: Option<PasswordAlgorithm>,
    list: Option<&'a [PasswordAlgorithm]>,
    integrity: &'a [IntegrityAlgorithm],
    key: Option<LongTermKey>,
    username: &'a str,
    password: &'a str,
}

enum Name<'a> {
    None,
    Bytes(&'a [u8]),
    Hash([u8; 32]),
    ShortHash,
}

impl<'a> Request<'a> {
    fn from(username: &'a str, password: &'a str) -> Self {
        Self {
            name: Name::Bytes(username.as_bytes()),
            realm: Some(REALM),
            nonce: OLD_NONCE,
            algorithm: None,
            list: None,
            integrity: &[IntegrityAlgorithm::Sha1],
            key: None,
            username,
            password,
        }
    }

    fn build(self) -> Vec<u8> {
        let mut out = Vec::new();
        let id = TransactionId::new([1; 12]);
        let mut request = Builder::new(&mut out, Class::Request, Method::ALLOCATE, id);
        match self.name {
            Name::None => {}
            Name::Bytes(name) => {
                request.attribute(AttributeType::USERNAME, name);
            }
            Name::Hash(hash) => {
                request.attribute(AttributeType::USERHASH, &hash);
            }
            Name::ShortHash => {
                request.attribute(AttributeType::USERHASH, &[1; 31]);
            }
        }
        if let Some(realm) = self.realm {
            request.attribute(AttributeType::REALM, realm.as_bytes());
        }
        request.attribute(AttributeType::NONCE, self.nonce);
        if let Some(algorithm) = self.algorithm {
            request.password_algorithm(algorithm);
        }
        if let Some(list) = self.list {
            request.password_algorithms(list);
        }
        let algorithm = self.algorithm.unwrap_or(PasswordAlgorithm::Md5);
        let key = self.key.unwrap_or_else(|| {
            long_term_key(algorithm, self.username, REALM, self.password.as_bytes())
        });
        for &integrity in self.integrity {
            request.integrity(integrity, key.as_bytes());
        }
        out
    }
}

/// Shortens the MESSAGE-INTEGRITY-SHA256 at the end of a message to 16 bytes of
/// the right HMAC.
fn truncate_integrity(request: Request<'_>) -> Vec<u8> {
    let key = long_term_key(
        PasswordAlgorithm::Md5,
        request.username,
        REALM,
        b"wonderland",
    );
    let mut bytes = request.build();
    bytes.truncate(bytes.len() - 36);
    let length = u16::try_from(bytes.len() - 20 + 20).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&hmac, &bytes);
    bytes.extend_from_slice(&[0x00, 0x1C, 0, 16]);
    bytes.extend_from_slice(&tag.as_ref()[..16]);
    let message = Message::parse(&bytes).unwrap();
    assert!(message.verify_integrity(IntegrityAlgorithm::Sha256, key.as_bytes()));
    bytes
}

fn foreign_request(username: &str, integrity: MessageIntegrity) -> Vec<u8> {
    let text = |kind, value: &str| Box::new(TextAttribute::new(kind, value.to_owned()));
    let setters: Vec<Box<dyn Setter>> = vec![
        Box::new(BINDING_REQUEST),
        text(ATTR_USERNAME, username),
        text(ATTR_REALM, REALM),
        text(ATTR_NONCE, "a nonce"),
        Box::new(integrity),
    ];
    let mut foreign = Foreign::new();
    foreign.build(&setters).unwrap();
    foreign.raw
}

/// `unwrap` for identities, which have no `Debug`.
trait UnwrapOrRefused {
    fn unwrap_or_refused(self) -> Identity;
}

impl UnwrapOrRefused for Result<Identity, AuthError> {
    fn unwrap_or_refused(self) -> Identity {
        assert_eq!(self.as_ref().err(), None, "refused");
        self.ok().unwrap()
    }
}

fn authenticate(directory: &Directory, request: &[u8]) -> Result<Identity, AuthError> {
    directory.authenticate(&Message::parse(request).unwrap())
}

fn refusal(directory: &Directory, request: &[u8]) -> AuthError {
    authenticate(directory, request).err().unwrap()
}

fn credentials(secret: &str, user: Option<&str>) -> (String, String) {
    let made = issue(&Secret::from(secret), user, NOW, HOUR);
    (made.username, made.password)
}

fn offering_nonce() -> Vec<u8> {
    let features = SecurityFeatures {
        password_algorithms: true,
        username_anonymity: false,
    };
    [&nonce_cookie::encode(features)[..], b"and the rest"].concat()
}

fn directory() -> Directory {
    Directory::new(options())
}

fn options() -> Options {
    Options {
        realm: REALM.to_owned(),
        users: vec![user(
            "alice",
            Credential::Password(Secret::from("wonderland")),
        )],
        rest_secrets: vec![Secret::from("north"), Secret::from("south")],
        sessions: None,
    }
}

fn user(name: &str, credential: Credential) -> User {
    User {
        name: name.to_owned(),
        credential,
    }
}
