//! Spans of time in the configuration file: `"90s"`, `"10m"`, `"1h30m"`, `"7d"`.
//!
//! Units are seconds, minutes, hours and days of 24 hours; whole numbers only.

use std::time::Duration;

use super::mistake::Mistake;

/// Parses a span such as `10m` or `1h30m`, larger units first.
pub(crate) fn parse(text: &str) -> Result<Duration, Mistake> {
    let not_a_duration = || {
        Mistake::new(format!("{} is not a duration", Mistake::quote(text)))
            .why("a duration is a whole number with a unit: s, m, h or d")
            .value(format!("\"{}\"", nearest(text)))
    };
    let mut seconds: u64 = 0;
    let mut last_unit = u64::MAX;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| not_a_duration())?;
        let unit = rest[digits..]
            .chars()
            .next()
            .and_then(unit_seconds)
            .filter(|unit| *unit < last_unit)
            .ok_or_else(not_a_duration)?;
        seconds = number
            .checked_mul(unit)
            .and_then(|part| seconds.checked_add(part))
            .ok_or_else(not_a_duration)?;
        last_unit = unit;
        rest = &rest[digits + 1..];
    }
    if last_unit == u64::MAX {
        return Err(not_a_duration());
    }
    Ok(Duration::from_secs(seconds))
}

/// Writes a span in the largest units that fit, such as `1h30m`.
#[must_use]
pub fn human(span: Duration) -> String {
    let mut rest = span.as_secs();
    let mut text = String::new();
    for (name, seconds) in UNITS {
        if rest >= seconds {
            text.push_str(&format!("{}{name}", rest / seconds));
            rest %= seconds;
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

fn unit_seconds(name: char) -> Option<u64> {
    UNITS
        .iter()
        .find(|(unit, _)| *unit == name)
        .map(|(_, seconds)| *seconds)
}

// What was probably meant: "10 min" is 10m, "600" is 600s.
fn nearest(text: &str) -> String {
    let number: String = text
        .trim()
        .chars()
        .take_while(char::is_ascii_digit)
        .take(9)
        .collect();
    let unit = text
        .chars()
        .find(char::is_ascii_alphabetic)
        .map_or('s', |c| c.to_ascii_lowercase());
    match (number.is_empty(), unit_seconds(unit)) {
        (true, _) => "10m".to_owned(),
        (false, Some(_)) => format!("{number}{unit}"),
        (false, None) => format!("{number}s"),
    }
}

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_and_combined_units_are_read() {
        let cases = [
            ("0s", 0),
            ("90s", 90),
            ("10m", 600),
            ("1h", 3_600),
            ("1h30m", 5_400),
            ("7d", 604_800),
            ("1d1s", 86_401),
        ];
        for (text, seconds) in cases {
            assert_eq!(
                parse(text).ok(),
                Some(Duration::from_secs(seconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in [
            "",
            "10",
            "m",
            "10 m",
            "-5s",
            "1.5h",
            "10M",
            "30m1h",
            "1m1m",
            "5€",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_suggestion_is_itself_a_duration() {
        for text in ["10", "10 min", "1.5h", "10M", "soon", "", "5€", "1 week"] {
            let suggestion = nearest(text);
            assert!(parse(&suggestion).is_ok(), "{text} gave {suggestion}");
        }
        assert_eq!(nearest("10 min"), "10m");
    }

    #[test]
    fn human_is_read_back_as_the_same_span() {
        for seconds in [0, 1, 59, 60, 3_600, 5_400, 86_399, 604_800] {
            let span = Duration::from_secs(seconds);
            assert_eq!(parse(&human(span)).ok(), Some(span));
        }
        assert_eq!(human(Duration::from_secs(5_400)), "1h30m");
    }
}
