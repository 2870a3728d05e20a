//! Room tokens: JSON Web Tokens (RFC 7519) signed with HS256 or EdDSA.
//!
//! Verifies and signs them with the keys of `token_key.rs`; what they say is in
//! `claims.rs`. It knows no clock: all times are compared with the caller's.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, decode, decode_header, encode};
use serde_json::{Map, Value, json};

use crate::auth::claims::{ANY_ROOM, Claims, Grants, MAX_IDENTITY_LEN, is_room_name, shown_name};
use crate::auth::token_key::TokenKey;
use crate::unix_time::UnixTime;

/// All keys of the tokens; never changes once it is made.
pub struct Tokens {
    keys: Vec<TokenKey>,
}

/// Why a token is refused or cannot be made. The texts are for whoever makes
/// tokens and give nothing away.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// It is longer than [`MAX_TOKEN_LEN`].
    #[error("the token is longer than {MAX_TOKEN_LEN} bytes")]
    TooLong,
    /// It is not a JWT, or one with extensions that must not be ignored.
    #[error("this is not a token (a JWT of three parts)")]
    Malformed,
    /// Its algorithm is none that a key of this server has.
    #[error("the token's algorithm is none of this server's keys")]
    UnknownAlgorithm,
    /// No key of this server verifies it.
    #[error("the token's signature is not by this server's keys")]
    WrongSignature,
    /// This claim is missing, of a wrong kind or out of its range.
    #[error("the token's claim {0:?} is missing or wrong")]
    WrongClaim(&'static str),
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` is in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// There is no key that can sign.
    #[error("there is no key that can sign tokens")]
    NoSigningKey,
}

impl Tokens {
    /// Takes the keys in the order of their use: all verify, the first that can
    /// sign signs.
    #[must_use]
    pub const fn new(keys: Vec<TokenKey>) -> Self {
        Self { keys }
    }

    /// Says whether there is no key, so that no token can be verified.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Verifies a token and returns what it says.
    ///
    /// Clocks may differ by [`LEEWAY`]. `iss`, `aud` and claims that are not known
    /// are not looked at. A name is cut to what can be shown.
    ///
    /// # Errors
    ///
    /// What is wrong with it; all but [`TokenError::NoSigningKey`].
    pub fn verify(&self, token: &str, now: UnixTime) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(TokenError::TooLong);
        }
        let payload = self.payload(token)?;
        let claims = read(&payload)?;
        // RFC 7519 section 4.1.4: on or after that time it is not accepted.
        if claims.expires.0.saturating_add(LEEWAY) <= now.0 {
            return Err(TokenError::Expired);
        }
        let issued = time(&payload, "iat")?;
        let begins = [claims.not_before, issued].into_iter().flatten().max();
        if begins.is_some_and(|begins| begins.0 > now.0.saturating_add(LEEWAY)) {
            return Err(TokenError::NotYetValid);
        }
        Ok(claims)
    }

    /// Makes a token, issued at `now`.
    ///
    /// # Errors
    ///
    /// When no key can sign, a claim is out of its range, or the token would be
    /// too long.
    pub fn sign(&self, claims: &Claims, now: UnixTime) -> Result<String, TokenError> {
        let mut signing = self.keys.iter().filter_map(TokenKey::to_sign);
        let (key, signing) = signing.next().ok_or(TokenError::NoSigningKey)?;
        let payload = write(claims, now);
        // What would be refused is not handed out.
        read(&payload)?;
        let mut header = Header::new(key.algorithm);
        header.kid.clone_from(&key.id);
        let token = encode(&header, &payload, signing).map_err(|_| TokenError::NoSigningKey)?;
        if token.len() > MAX_TOKEN_LEN {
            return Err(TokenError::TooLong);
        }
        Ok(token)
    }

    /// Returns the claims of a token whose signature is right.
    fn payload(&self, token: &str) -> Result<Map<String, Value>, TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        // RFC 7515 section 4.1.11: what is critical has to be understood.
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        for key in self.candidates(header.alg, header.kid.as_deref())? {
            match decode(token, &key.verifying, &key.validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {}
                Err(_) => return Err(TokenError::Malformed),
            }
        }
        Err(TokenError::WrongSignature)
    }

    /// Returns the keys to try: those of the algorithm, or of these the one that
    /// the token names.
    fn candidates(&self, alg: Algorithm, kid: Option<&str>) -> Result<Vec<&TokenKey>, TokenError> {
        let usable = self.keys.iter().filter(|key| key.algorithm == alg);
        let usable: Vec<_> = usable.collect();
        if usable.is_empty() {
            return Err(TokenError::UnknownAlgorithm);
        }
        let named = kid.and_then(|kid| {
            let is_named = |key: &&&TokenKey| key.id.as_deref() == Some(kid);
            usable.iter().find(is_named)
        });
        Ok(named.map_or_else(|| usable.clone(), |key| vec![*key]))
    }
}

fn read(payload: &Map<String, Value>) -> Result<Claims, TokenError> {
    let room = text(payload, "room")?.ok_or(TokenError::WrongClaim("room"))?;
    if room != ANY_ROOM && !is_room_name(room) {
        return Err(TokenError::WrongClaim("room"));
    }
    let identity = text(payload, "sub")?.filter(|identity| !identity.is_empty());
    if identity.is_some_and(|identity| identity.len() > MAX_IDENTITY_LEN) {
        return Err(TokenError::WrongClaim("sub"));
    }
    Ok(Claims {
        room: room.to_owned(),
        identity: identity.map(str::to_owned),
        name: text(payload, "name")?.and_then(shown_name),
        grants: grants(payload)?,
        expires: time(payload, "exp")?.ok_or(TokenError::WrongClaim("exp"))?,
        not_before: time(payload, "nbf")?,
        max_participants: max_participants(payload)?,
    })
}

fn write(claims: &Claims, now: UnixTime) -> Map<String, Value> {
    let mut payload = Map::new();
    let mut put = |name: &str, value: Value| payload.insert(name.to_owned(), value);
    put("room", json!(claims.room));
    if let Some(identity) = &claims.identity {
        put("sub", json!(identity));
    }
    if let Some(name) = &claims.name {
        put("name", json!(name));
    }
    put("grants", json!(claims.grants.names()));
    if let Some(most) = claims.max_participants {
        put("max_participants", json!(most));
    }
    put("iat", json!(now.0));
    if let Some(begins) = claims.not_before {
        put("nbf", json!(begins.0));
    }
    put("exp", json!(claims.expires.0));
    payload
}

/// Returns a claim; `null` is as good as none.
fn claim<'a>(payload: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    payload.get(name).filter(|value| !value.is_null())
}

fn text<'a>(
    payload: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, TokenError> {
    let Some(value) = claim(payload, name) else {
        return Ok(None);
    };
    let text = value.as_str().ok_or(TokenError::WrongClaim(name))?;
    Ok(Some(text))
}

/// Reads a NumericDate (RFC 7519 section 2), which may have a fraction.
fn time(payload: &Map<String, Value>, name: &'static str) -> Result<Option<UnixTime>, TokenError> {
    let Some(value) = claim(payload, name) else {
        return Ok(None);
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the fraction is cut; what is out of range is filtered or saturates"
    )]
    let whole = |seconds: f64| seconds as u64;
    let fractional = || value.as_f64().filter(|seconds| *seconds >= 0.0).map(whole);
    let seconds = value.as_u64().or_else(fractional);
    let seconds = seconds.ok_or(TokenError::WrongClaim(name))?;
    Ok(Some(UnixTime(seconds)))
}

fn grants(payload: &Map<String, Value>) -> Result<Grants, TokenError> {
    let Some(value) = claim(payload, "grants") else {
        return Ok(Grants::PARTICIPANT);
    };
    let list = value.as_array().ok_or(TokenError::WrongClaim("grants"))?;
    Ok(Grants::of_names(list.iter().filter_map(Value::as_str)))
}

fn max_participants(payload: &Map<String, Value>) -> Result<Option<u32>, TokenError> {
    let Some(value) = claim(payload, "max_participants") else {
        return Ok(None);
    };
    let most = value.as_u64().and_then(|most| u32::try_from(most).ok());
    let most = most.filter(|most| *most > 0);
    let most = most.ok_or(TokenError::WrongClaim("max_participants"))?;
    Ok(Some(most))
}

/// Longest token in bytes.
pub const MAX_TOKEN_LEN: usize = 4096;

/// How many seconds the clocks of whoever makes tokens and of this server may
/// differ: a token ends as much later, and begins as much sooner.
pub const LEEWAY: u64 = 60;

#[cfg(test)]
mod tests;
