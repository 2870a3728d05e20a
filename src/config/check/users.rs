//! `[[turn.users]]`.

use std::collections::BTreeSet;

use crate::config::fields::Fields;
use crate::config::fields::Found;
use crate::config::problem::Finding;
use crate::config::raw::Record;
use crate::config::secrets::Strength;
use crate::config::settings::User;
use crate::config::settings::UserCredential;
use crate::secret::Secret;

pub(super) fn users(fields: &mut Fields<'_>, records: &[Record]) -> Vec<User> {
    let mut names = BTreeSet::new();
    let mut users = Vec::new();
    for record in records {
        let mut fields = Fields {
            record,
            files: fields.files,
            findings: fields.findings,
        };
        let name = name(&mut fields);
        let credential = credential(&mut fields);
        let Some(name) = name else { continue };
        if !names.insert(name.value.clone()) {
            fields.push(
                Finding::error("turn.users.name", &name.place, "this user is listed twice")
                    .why("it would not be clear which password counts")
                    .write("each user once"),
            );
        }
        if let Some(credential) = credential {
            users.push(User {
                name: name.value,
                credential,
            });
        }
    }
    users
}

fn name(fields: &mut Fields<'_>) -> Option<Found<String>> {
    const KEY: &str = "turn.users.name";
    let name = fields.text(KEY);
    let place = if name.given {
        &name.place
    } else {
        &fields.record.place
    };
    if name.value.is_empty() {
        // A name of the wrong type was already an error.
        let is_missing = !fields.record.entries.contains_key(KEY) && !fields.record.has_unknown;
        if name.given || is_missing {
            fields.push(
                Finding::error(KEY, place, "this user has no name").write("name = \"alice\""),
            );
        }
        return None;
    }
    // RFC 8489 section 14.3: fewer than 509 bytes.
    if name.value.len() > 508 {
        let finding = Finding::error(KEY, place, "this name is too long")
            .why("a user name has at most 508 bytes (RFC 8489 section 14.3)");
        fields.push(finding);
        return None;
    }
    if name.value.contains(char::is_control) {
        fields.push(Finding::error(
            KEY,
            place,
            "this name has control characters",
        ));
        return None;
    }
    let parts = || name.value.split(':');
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if parts().next().is_some_and(is_number)
        || (parts().count() > 1 && parts().next_back().is_some_and(is_number))
    {
        fields.push(
            Finding::warning(KEY, place, "this name looks like a short-lived credential")
                .why("a number before or behind a colon is the time at which a credential expires")
                .write("a name without such a number"),
        );
    }
    Some(name)
}

fn credential(fields: &mut Fields<'_>) -> Option<UserCredential> {
    const PASSWORD: &str = "turn.users.password";
    const KEY: &str = "turn.users.key";
    let before = fields.findings.len();
    let password = fields.secret(PASSWORD, Strength::Password);
    let key = fields.secret(KEY, Strength::Derived);
    match (password, key) {
        (Some(_), Some(key)) => {
            fields.push(
                Finding::error(KEY, &key.place, "this user has a password and a key")
                    .why("the key is made from the password, so one of the two is enough")
                    .write("either password or key"),
            );
            None
        }
        (Some(password), None) => Some(UserCredential::Password(password.value)),
        (None, Some(key)) => long_term_key(fields, &key),
        (None, None) => {
            // A file that cannot be read or a misspelled key was already an error.
            if fields.findings.len() == before && !fields.record.has_unknown {
                fields.push(
                    Finding::error(
                        PASSWORD,
                        &fields.record.place.clone(),
                        "this user has no password",
                    )
                    .why("a user without one could never authenticate")
                    .write("password_file = \"alice.password\""),
                );
            }
            None
        }
    }
}

fn long_term_key(fields: &mut Fields<'_>, key: &Found<Secret>) -> Option<UserCredential> {
    match (from_hex(key.value.expose()), key.value.expose().len()) {
        (Some(bytes), 32) => Some(UserCredential::Md5Key(Secret::new(bytes))),
        (Some(bytes), 64) => Some(UserCredential::Sha256Key(Secret::new(bytes))),
        _ => {
            fields.push(
                Finding::error("turn.users.key", &key.place, "this is not a long-term key")
                    .why(
                        "it must be 32 hex digits (MD5) or 64 (SHA-256) of \"name:realm:password\"",
                    )
                    .write("the output of: printf %s NAME:REALM:PASSWORD | sha256sum"),
            );
            None
        }
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    text.chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_in_both_cases() {
        assert_eq!(from_hex(b"00fFa9"), Some(vec![0x00, 0xff, 0xa9]));
        assert_eq!(from_hex(b"0"), None);
        assert_eq!(from_hex(b"0g"), None);
    }
}
