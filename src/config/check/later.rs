//! Sections of features that come later: `[signaling]`, `[rooms]`, `[sfu]` and
//! `[admin]`. They are checked like all others; `check` warns when one is set.

use super::repeated;
use crate::config::fields::Fields;
use crate::config::mistake::Mistake;
use crate::config::problem::Finding;
use crate::config::secrets::Strength;
use crate::config::settings::Admin;
use crate::config::settings::Codec;
use crate::config::settings::Rooms;
use crate::config::settings::Sfu;
use crate::config::settings::Signaling;
use crate::config::values;

pub(super) fn signaling(fields: &mut Fields<'_>) -> Signaling {
    let origins = fields.many("signaling.origins", values::origin);
    let secret = fields.secret("signaling.tokens.secret", Strength::Machine);
    Signaling {
        origins: origins.value.into_iter().map(|o| o.value).collect(),
        guests: fields.boolean("signaling.guests").value,
        token_secret: secret.map(|secret| secret.value),
        token_keys: fields.secrets("signaling.tokens.keys", false),
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
    Rooms {
        max_participants: most.value,
        mesh_up_to: mesh.value,
    }
}

pub(super) fn sfu(fields: &mut Fields<'_>) -> Sfu {
    const KEY: &str = "sfu.codecs";
    let list = fields.many(KEY, codec);
    let mut codecs = Vec::new();
    for entry in &list.value {
        if codecs.contains(&entry.value) {
            fields.push(repeated(KEY, &entry.place));
        }
        codecs.push(entry.value);
    }
    if codecs.is_empty() && list.given {
        fields.push(
            Finding::error(KEY, &list.place, "there is no codec left")
                .write("codecs = [\"opus\", \"vp8\"]"),
        );
    }
    Sfu {
        enabled: fields.boolean("sfu.enabled").value,
        max_bitrate: fields.bitrate("sfu.max_bitrate"),
        codecs,
    }
}

pub(super) fn admin(fields: &mut Fields<'_>) -> Admin {
    let token = fields.secret("admin.token", Strength::Machine);
    Admin {
        token: token.map(|token| token.value),
    }
}

fn codec(text: &str) -> Result<Codec, Mistake> {
    let known = CODECS.iter().find(|(name, _)| *name == text);
    let Some((_, codec)) = known else {
        let lower = text.to_lowercase().replace('.', "");
        let nearest = CODECS
            .iter()
            .map(|(name, _)| *name)
            .min_by_key(|name| strsim::damerau_levenshtein(&lower, name))
            .unwrap_or("opus");
        return Err(
            Mistake::new(format!("{} is not a known codec", Mistake::quote(text)))
                .why("known are opus, vp8, vp9, h264 and av1")
                .value(format!("\"{nearest}\"")),
        );
    };
    Ok(*codec)
}

const CODECS: [(&str, Codec); 5] = [
    ("opus", Codec::Opus),
    ("vp8", Codec::Vp8),
    ("vp9", Codec::Vp9),
    ("h264", Codec::H264),
    ("av1", Codec::Av1),
];
