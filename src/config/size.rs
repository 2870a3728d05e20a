//! Numbers of bytes in the configuration file: `"64KiB"`, `"1MiB"`.
//!
//! Units are powers of 1024 and written so; `kB` and `K` are refused with the
//! value that was probably meant, since they mean two things.

use super::mistake::Mistake;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ByteSize(u64);

impl ByteSize {
    /// Makes a size from a number of bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// Parses a size such as `256KiB`.
pub(crate) fn parse(text: &str) -> Result<ByteSize, Mistake> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let bytes = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .zip(number.parse::<u64>().ok())
        .and_then(|((_, factor), number)| number.checked_mul(*factor));
    let Some(bytes) = bytes else {
        return Err(
            Mistake::new(format!("{} is not a size", Mistake::quote(text)))
                .why("a size is a whole number with a unit: B, KiB, MiB or GiB")
                .value(format!("\"{}\"", nearest(number, unit))),
        );
    };
    Ok(ByteSize(bytes))
}

/// Writes a number of bytes in the largest unit that divides it.
#[must_use]
pub(crate) fn human(bytes: u64) -> String {
    UNITS
        .iter()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .map_or_else(
            || format!("{bytes}B"),
            |(name, factor)| format!("{}{name}", bytes / factor),
        )
}

// What was probably meant: "256k", "256 KB" and "256kb" are 256KiB.
fn nearest(number: &str, unit: &str) -> String {
    let number = if number.is_empty() || number.len() > 9 {
        "256"
    } else {
        number
    };
    let first = unit.bytes().find(u8::is_ascii_alphabetic);
    let unit = match first.map(|b| b.to_ascii_lowercase()) {
        Some(b'm') => "MiB",
        Some(b'g') => "GiB",
        Some(b'b') | None => "B",
        Some(_) => "KiB",
    };
    format!("{number}{unit}")
}

const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        let cases = [
            ("0B", 0),
            ("17B", 17),
            ("256KiB", 262_144),
            ("1MiB", 1_048_576),
            ("2GiB", 2_147_483_648),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse(text).ok().map(ByteSize::bytes), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in [
            "",
            "256",
            "256K",
            "256kB",
            "KiB",
            "1.5MiB",
            "-1B",
            "99999999999999999999B",
            "18446744073709551615GiB",
            "1 KiB",
            "€",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_suggestion_is_itself_a_size() {
        for text in ["", "256", "256K", "256 kB", "KiB", "1.5MiB", "big", "9€"] {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let suggestion = nearest(&text[..digits], &text[digits..]);
            assert!(parse(&suggestion).is_ok(), "{text} gave {suggestion}");
        }
    }

    #[test]
    fn human_uses_the_largest_unit_that_divides() {
        assert_eq!(human(262_144), "256KiB");
        assert_eq!(human(1_000), "1000B");
        assert_eq!(human(0), "0B");
    }
}
