//! Durations as Go writes them.

use std::{fmt, str::FromStr};

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A Go `time.Duration`: reads what `time.ParseDuration` accepts and prints what `Duration.String` prints, exactly.
///
/// Fleet's controllers echo `1m` as `1m0s` (fleet-semantics §2.1), so the text is part of the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration {
    nanoseconds: i64,
}

/// The text is not a Go duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: expected numbers with units, for example 1h30m, 90s or 500ms")]
pub struct InvalidDuration {
    text: String,
}

const NANOSECOND: u128 = 1;
const SECOND: u128 = 1_000_000_000 * NANOSECOND;

impl GoDuration {
    /// Returns a duration of so many whole seconds.
    pub const fn from_seconds(seconds: i32) -> Self {
        Self { nanoseconds: seconds as i64 * SECOND as i64 }
    }

    /// Returns the length in nanoseconds.
    pub const fn nanoseconds(self) -> i64 {
        self.nanoseconds
    }

    /// Returns whether the duration is longer than nothing.
    pub const fn is_positive(self) -> bool {
        self.nanoseconds > 0
    }
}

impl From<GoDuration> for SignedDuration {
    fn from(duration: GoDuration) -> Self {
        Self::from_nanos(duration.nanoseconds)
    }
}

fn unit_nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => NANOSECOND,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3_600 * SECOND,
        _ => return None,
    })
}

/// Splits the leading characters that satisfy `wanted` from the rest.
fn leading(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !wanted(c)).unwrap_or(text.len()))
}

/// Reads one `number unit` term and returns its nanoseconds and what follows.
fn term(text: &str) -> Option<(u128, &str)> {
    let (whole, rest) = leading(text, |c| c.is_ascii_digit());
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => leading(rest, |c| c.is_ascii_digit()),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, rest) = leading(rest, |c| !c.is_ascii_digit() && c != '.');
    let unit = unit_nanoseconds(unit)?;
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Go drops fraction digits that it cannot hold, too.
    let (numerator, scale) = fraction
        .bytes()
        .take(18)
        .fold((0_u128, 1_u128), |(n, s), digit| (n * 10 + u128::from(digit - b'0'), s * 10));
    Some((whole.checked_mul(unit)?.checked_add(numerator * unit / scale)?, rest))
}

impl FromStr for GoDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let invalid = || InvalidDuration { text: text.chars().take(80).collect() };
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let limit = i64::MAX as u128 + u128::from(negative);
        let mut total = 0_u128;
        while !rest.is_empty() {
            let (nanoseconds, after) = term(rest).ok_or_else(invalid)?;
            total = total
                .checked_add(nanoseconds)
                .filter(|total| *total <= limit)
                .ok_or_else(invalid)?;
            rest = after;
        }
        let magnitude = i128::try_from(total).map_err(|_| invalid())?;
        let signed = if negative { -magnitude } else { magnitude };
        Ok(Self { nanoseconds: i64::try_from(signed).map_err(|_| invalid())? })
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Writes `value / unit` with as many decimals as it needs.
        fn decimal(value: u64, unit: u64) -> String {
            let width = unit.ilog10() as usize;
            let text = format!("{}.{:0width$}", value / unit, value % unit);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        let magnitude = self.nanoseconds.unsigned_abs();
        if self.nanoseconds < 0 {
            f.write_str("-")?;
        }
        match magnitude {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{magnitude}ns"),
            1_000..1_000_000 => write!(f, "{}\u{b5}s", decimal(magnitude, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", decimal(magnitude, 1_000_000)),
            _ => {
                let minute = 60_000_000_000;
                let (hours, minutes) = (magnitude / (60 * minute), magnitude / minute % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                write!(f, "{}s", decimal(magnitude % minute, 1_000_000_000))
            }
        }
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_gos() {
        for (text, printed) in [
            ("1m", "1m0s"),
            ("90s", "1m30s"),
            ("1h", "1h0m0s"),
            ("0.5s", "500ms"),
            ("1.5h", "1h30m0s"),
            ("0", "0s"),
            ("-1.5h", "-1h30m0s"),
            ("1500us", "1.5ms"),
            ("100ns", "100ns"),
            ("2562047h47m16.854775807s", "2562047h47m16.854775807s"),
        ] {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), printed, "{text}");
        }
        for bad in ["", "1", "1d", "s", ".s", "1h-5m", "2562047h48m", "1e3s", " 1s", "1s "] {
            assert!(bad.parse::<GoDuration>().is_err(), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn what_is_printed_reads_back(nanoseconds in any::<i64>()) {
            let duration = GoDuration { nanoseconds };
            prop_assert_eq!(duration.to_string().parse::<GoDuration>().unwrap(), duration);
        }

        #[test]
        fn no_text_panics(text in "[-+]?[0-9.a-z\u{b5}]{0,24}") {
            let _ = text.parse::<GoDuration>();
        }
    }
}
