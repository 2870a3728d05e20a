//! The validity dates of an X.509 certificate, read from its DER bytes.
//!
//! The TLS library checks a peer's certificate and never its own, so a server
//! would present an expired one without a word. This reads as far as the dates
//! and judges nothing else.

use crate::unix_time::UnixTime;

/// When a certificate is valid, both ends included (RFC 5280 section 4.1.2.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// The first second.
    pub from: UnixTime,
    /// The last second.
    pub until: UnixTime,
}

impl Validity {
    /// Reads the dates of a certificate; `None` when it is not one.
    #[must_use]
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] version
        // OPTIONAL, serialNumber, signature, issuer, validity, ... } ... }
        let mut certificate = Reader(Reader(der).element(SEQUENCE)?);
        let mut body = Reader(certificate.element(SEQUENCE)?);
        if body.peek()? == VERSION {
            body.element(VERSION)?;
        }
        body.element(INTEGER)?;
        body.element(SEQUENCE)?;
        body.element(SEQUENCE)?;
        let mut validity = Reader(body.element(SEQUENCE)?);
        Some(Self {
            from: validity.time()?,
            until: validity.time()?,
        })
    }
}

/// Writes a time the way people read it: `2026-03-01 12:00 UTC`.
pub(super) fn readable(time: UnixTime) -> String {
    let (year, month, day) = civil_date(time.0 / DAY);
    let minutes = time.0 % DAY / 60;
    let (hour, minute) = (minutes / 60, minutes % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// Takes elements off DER bytes (X.690 section 8.1).
struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Takes the next element's contents if it has this tag.
    fn element(&mut self, tag: u8) -> Option<&'d [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (&short, rest) = rest.split_first()?;
        let (length, rest) = if short < 0x80 {
            (usize::from(short), rest)
        } else {
            let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7F))?;
            (long_length(digits)?, rest)
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (found == tag).then_some(contents)
    }

    fn time(&mut self) -> Option<UnixTime> {
        if self.peek()? == UTC_TIME {
            let text = self.element(UTC_TIME)?;
            let (year, rest) = text.split_at_checked(2)?;
            let year = number(year)?;
            // RFC 5280 section 4.1.2.5.1: two digits mean 1950 to 2049.
            let century = if year >= 50 { 1900 } else { 2000 };
            return calendar_time(century + year, rest);
        }
        let text = self.element(GENERALIZED_TIME)?;
        let (year, rest) = text.split_at_checked(4)?;
        calendar_time(number(year)?, rest)
    }
}

/// Reads a length of 1 to 4 bytes; a certificate is never longer.
fn long_length(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
    )
}

/// Reads `MMDDHHMMSSZ`, the only form that RFC 5280 allows.
fn calendar_time(year: u64, rest: &[u8]) -> Option<UnixTime> {
    let (digits, zone) = rest.split_at_checked(10)?;
    if zone != b"Z" {
        return None;
    }
    let field = |at: usize| number(&digits[at..at + 2]);
    let (month, day) = (field(0)?, field(2)?);
    let (hour, minute, second) = (field(4)?, field(6)?, field(8)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 {
        return None;
    }
    // Nothing before 1970 is of interest: it is over.
    let days = days_since_epoch(year, month, day).unwrap_or_default();
    Some(UnixTime(days * DAY + hour * 3600 + minute * 60 + second))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(sum * 10 + digit)
    })
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar, `None`
/// before that day. Years count from March here, so that the leap day is last.
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month > 2 {
        year
    } else {
        year.checked_sub(1)?
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let months_since_march = (month + 9) % 12;
    let day_of_year = (153 * months_since_march + 2) / 5 + day - 1;
    (year * 365 + leap_days + day_of_year).checked_sub(DAYS_TO_EPOCH)
}

/// Returns year, month and day of a day since 1970-01-01.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let mut year = 1970 + days / 366;
    while days_since_epoch(year + 1, 1, 1).is_some_and(|next| next <= days) {
        year += 1;
    }
    let begins = |month: &u64| days_since_epoch(year, *month, 1).is_some_and(|day| day <= days);
    let month = (1..=12).rev().find(begins).unwrap_or(1);
    let first = days_since_epoch(year, month, 1).unwrap_or_default();
    (year, month, days - first + 1)
}

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: u64 = 719_468;

/// DER tags (X.690 section 8.1.2).
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_those_the_certificate_was_made_with() {
        // Beyond 2050 the encoding changes to four digits of the year.
        for (from, until) in [
            ((2024, 2, 29), (2049, 12, 31)),
            ((1999, 1, 1), (2087, 3, 1)),
        ] {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
            params.not_after =
                rcgen::date_time_ymd(until.0, until.1, until.2) + Duration::from_secs(86_399);
            let certificate = params.self_signed(&key).unwrap();
            let validity = Validity::of_certificate(certificate.der()).unwrap();
            let text = |(year, month, day): (i32, u8, u8), clock: &str| {
                format!("{year}-{month:02}-{day:02} {clock} UTC")
            };
            assert_eq!(readable(validity.from), text(from, "00:00"));
            assert_eq!(readable(validity.until), text(until, "23:59"));
        }
    }

    #[test]
    fn known_moments_read_as_their_dates() {
        // As `date -u -d @N` prints them.
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_709_164_800, "2024-02-29 00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(readable(UnixTime(seconds)), text);
        }
    }

    #[test]
    fn every_day_of_a_century_goes_there_and_back() {
        for days in 0..40_000 {
            let (year, month, day) = civil_date(days);
            assert_eq!(days_since_epoch(year, month, day), Some(days));
        }
    }

    #[test]
    fn damaged_certificates_have_no_dates_and_do_no_harm() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let der = certificate.der();
        for len in 0..der.len() {
            assert_eq!(Validity::of_certificate(&der[..len]), None);
        }
        for at in 0..der.len().min(200) {
            let mut damaged = der.to_vec();
            damaged[at] ^= 0xFF;
            let _ = Validity::of_certificate(&damaged);
        }
    }
}
