//! Bandwidths in the configuration file: `"500kbit/s"`, `"10Mbit/s"`.
//!
//! Units are bits per second and powers of 1000, as network links are sold.

use super::mistake::Mistake;

/// A bandwidth in bits per second, never zero.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Bitrate(u64);

impl Bitrate {
    /// Returns the number of bits per second.
    #[must_use]
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }

    /// Returns the number of whole bytes per second.
    #[must_use]
    pub const fn bytes_per_second(self) -> u64 {
        self.0 / 8
    }
}

/// Parses a bandwidth such as `10Mbit/s`; empty text is "no limit".
pub(crate) fn parse(text: &str) -> Result<Option<Bitrate>, Mistake> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let bits = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .zip(number.parse::<u64>().ok())
        .and_then(|((_, factor), number)| number.checked_mul(*factor));
    match bits {
        Some(0) => Err(Mistake::new("a bandwidth of zero lets nothing through")
            .why("empty text stands for no limit")
            .value("\"\"")),
        Some(bits) => Ok(Some(Bitrate(bits))),
        None => Err(
            Mistake::new(format!("{} is not a bandwidth", Mistake::quote(text)))
                .why("a bandwidth is a whole number with a unit: bit/s, kbit/s, Mbit/s or Gbit/s")
                .value(format!("\"{}\"", nearest(number, unit))),
        ),
    }
}

/// Writes a bandwidth in the largest unit that divides it.
#[must_use]
pub(crate) fn human(rate: Bitrate) -> String {
    let bits = rate.bits_per_second();
    UNITS
        .iter()
        .find(|(_, factor)| bits.is_multiple_of(*factor))
        .map_or_else(String::new, |(name, factor)| {
            format!("{}{name}", bits / factor)
        })
}

// What was probably meant: "10M" and "10Mbps" are 10Mbit/s, "2MB/s" is 16Mbit/s.
fn nearest(number: &str, unit: &str) -> String {
    let mut number: u64 = number
        .parse()
        .ok()
        .filter(|n| (1..1_000_000).contains(n))
        .unwrap_or(10);
    if unit.contains('B') {
        number *= 8;
    }
    let unit = match unit.bytes().find(u8::is_ascii_alphabetic) {
        Some(b'k' | b'K') => "kbit/s",
        Some(b'g' | b'G') => "Gbit/s",
        Some(b'b') => "bit/s",
        _ => "Mbit/s",
    };
    format!("{number}{unit}")
}

const UNITS: [(&str, u64); 4] = [
    ("Gbit/s", 1_000_000_000),
    ("Mbit/s", 1_000_000),
    ("kbit/s", 1_000),
    ("bit/s", 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        let cases = [
            ("64000bit/s", 64_000),
            ("500kbit/s", 500_000),
            ("10Mbit/s", 10_000_000),
            ("1Gbit/s", 1_000_000_000),
        ];
        for (text, bits) in cases {
            let rate = parse(text).ok().flatten().map(Bitrate::bits_per_second);
            assert_eq!(rate, Some(bits), "{text}");
        }
    }

    #[test]
    fn empty_text_is_no_limit() {
        assert_eq!(parse("").ok(), Some(None));
    }

    #[test]
    fn what_is_not_a_bandwidth_is_refused() {
        for text in [
            "10",
            "10M",
            "10Mbps",
            "10mbit/s",
            "Mbit/s",
            "1.5Mbit/s",
            "-1bit/s",
            "0bit/s",
            "99999999999Gbit/s",
            "€",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_suggestion_is_what_was_meant() {
        assert_eq!(nearest("10", "M"), "10Mbit/s");
        assert_eq!(nearest("10", "Mbps"), "10Mbit/s");
        assert_eq!(nearest("2", "MB/s"), "16Mbit/s");
        assert_eq!(nearest("500", " kbit"), "500kbit/s");
    }

    #[test]
    fn human_is_read_back_as_the_same_rate() {
        for text in ["64001bit/s", "500kbit/s", "10Mbit/s", "1Gbit/s"] {
            let rate = parse(text).ok().flatten();
            assert_eq!(rate.map(human).as_deref(), Some(text));
        }
    }
}
