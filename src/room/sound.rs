//! JSON that is passed on without being understood, checked for what would trip
//! the parsers of other clients: nesting without end, halves of surrogate pairs,
//! numbers beyond every range.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Any JSON value, of which nothing is kept. Its depth is limited by
/// `serde_json`, to 128.
pub(super) struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SoundVisitor)
    }
}

struct SoundVisitor;

impl<'de> Visitor<'de> for SoundVisitor {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_str<E>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_unit<E>(self) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sound, A::Error> {
        while seq.next_element::<Sound>()?.is_some() {}
        Ok(Sound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sound, A::Error> {
        while map.next_entry::<Sound, Sound>()?.is_some() {}
        Ok(Sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_parser_reads_is_sound() {
        for text in [
            r#"{"a":[1,-1,0.5,true,null,"\u00e9\ud83e\udd8a"],"b":{}}"#,
            r#"{"candidate":"","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":null}"#,
        ] {
            assert!(serde_json::from_str::<Sound>(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_some_parsers_refuse_is_not() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for text in [r#"{"\ud800":1}"#, r#"["\udc00"]"#, "[1e999]", &deep, "[01]"] {
            assert!(serde_json::from_str::<Sound>(text).is_err(), "{text}");
        }
    }
}
