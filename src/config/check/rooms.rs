//! `[signaling]`, `[rooms]` and `[admin]`: who may enter rooms, and how many.

use crate::auth::TokenKey;
use crate::auth::TokenKeyError;
use crate::config::fields::Fields;
use crate::config::problem::Finding;
use crate::config::problem::Place;
use crate::config::secrets::Strength;
use crate::config::secrets::is_pem;
use crate::config::settings::Admin;
use crate::config::settings::Rooms;
use crate::config::settings::Signaling;
use crate::config::values;
use crate::secret::Secret;

pub(super) fn signaling(fields: &mut Fields<'_>) -> Signaling {
    let origins = fields.many("signaling.origins", values::origin);
    let guests = fields.boolean("signaling.guests").value;
    let mut token_keys = Vec::new();
    token_keys.extend(token_secret(fields));
    for (text, place) in fields.keys("signaling.tokens.keys") {
        token_keys.extend(token_key(fields, &text, &place));
    }
    Signaling {
        origins: origins.value.into_iter().map(|o| o.value).collect(),
        guests,
        token_keys,
    }
}

pub(super) fn rooms(fields: &mut Fields<'_>) -> Rooms {
    let most = fields.integer("rooms.max_participants");
    let mesh = fields.integer("rooms.mesh_up_to");
    if mesh.value > most.value {
        let (key, place) = if mesh.given {
            ("rooms.mesh_up_to", &mesh.place)
        } else {
            ("rooms.max_participants", &most.place)
        };
        let what = format!("a mesh of {} in rooms for {}", mesh.value, most.value);
        fields.push(
            Finding::error(key, place, what)
                .why("mesh_up_to cannot be more than max_participants")
                .write(format!("mesh_up_to = {}", most.value)),
        );
    }
    if mesh.value < 2 {
        fields.push(
            Finding::warning("rooms.mesh_up_to", &mesh.place, "nobody can call anybody")
                .why("this version has no SFU: a room holds as many people as a mesh")
                .write("mesh_up_to = 2"),
        );
    }
    Rooms {
        max_participants: most.value,
        mesh_up_to: mesh.value,
    }
}

pub(super) fn admin(fields: &mut Fields<'_>) -> Admin {
    let token = fields.secret("admin.token", Strength::Machine);
    Admin {
        token: token.map(|token| token.value),
    }
}

/// Warns when nobody can enter rooms although somebody seems to want them: there
/// is no other use of this server, or something about rooms is in the file.
pub(super) fn nobody(fields: &mut Fields<'_>, signaling: &Signaling, is_relay: bool) {
    if signaling.guests || !signaling.token_keys.is_empty() {
        return;
    }
    let is_about_rooms = |key: &str| ABOUT_ROOMS.iter().any(|section| key.starts_with(section));
    // Keys that could not be read were already errors.
    let was_meant = fields.record.has_unknown
        || fields.findings.iter().any(|finding| {
            finding.key.starts_with("signaling.tokens") || finding.key == "signaling.guests"
        });
    let mut written = fields.record.entries.keys();
    if was_meant || (is_relay && !written.any(|key| is_about_rooms(key))) {
        return;
    }
    fields.push(
        Finding::warning(TOKEN_SECRET, &Place::Absent, "nobody can enter rooms")
            .why("guests are not let in, and there is no key to verify tokens with")
            .write("[signaling.tokens] with secret_file, or guests = true in [signaling]"),
    );
}

fn token_secret(fields: &mut Fields<'_>) -> Option<TokenKey> {
    let found = fields.secret(TOKEN_SECRET, Strength::Machine)?;
    // Whoever has the public key could sign with it, were it taken as a secret.
    if is_pem(std::str::from_utf8(found.value.expose()).unwrap_or_default()) {
        fields.push(
            Finding::error(TOKEN_SECRET, &found.place, "this is a PEM key")
                .why("secret is one for HS256, which must not be known to others")
                .write("it in keys or keys_file"),
        );
        return None;
    }
    Some(TokenKey::hs256(&found.value))
}

fn token_key(fields: &mut Fields<'_>, text: &str, place: &Place) -> Option<TokenKey> {
    if !is_pem(text) {
        return Some(TokenKey::hs256(&Secret::from(text)));
    }
    let error = match TokenKey::from_pem(text) {
        Ok(key) => return Some(key),
        Err(error) => error,
    };
    let why = match error {
        TokenKeyError::NoKey => "it must have a block PRIVATE KEY or PUBLIC KEY, not encrypted",
        TokenKeyError::Damaged => "a line is missing, or not as it was",
        TokenKeyError::NotEd25519 => "tokens are signed with EdDSA or HS256, nothing else",
    };
    fields.push(
        Finding::error("signaling.tokens.keys", place, error.to_string())
            .why(why)
            .write(
                "the output of: openssl genpkey -algorithm ed25519, or of: openssl pkey -pubout",
            ),
    );
    None
}

const TOKEN_SECRET: &str = "signaling.tokens.secret";
const ABOUT_ROOMS: [&str; 3] = ["signaling.", "rooms.", "admin."];
