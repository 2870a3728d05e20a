//! The section of a feature that comes later: `[sfu]`. It is checked like all
//! others; `check` warns when it is set.

use super::repeated;
use crate::config::fields::Fields;
use crate::config::mistake::Mistake;
use crate::config::problem::Finding;
use crate::config::settings::Codec;
use crate::config::settings::Sfu;

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
