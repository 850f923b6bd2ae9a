//! How many clusters at once.

use std::{fmt, str::FromStr};

/// A stage's `maxConcurrency`: a count, or a percentage of the stage's clusters (fleet-semantics §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxConcurrency {
    /// At least 1.
    Count(u32),
    /// 1 to 100.
    Percent(u8),
}

/// The text or number is not a `maxConcurrency`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a maxConcurrency: expected an integer >= 1 or a percentage from 1% to 100%"
)]
pub struct InvalidMaxConcurrency {
    text: String,
}

impl MaxConcurrency {
    /// Fleet's default: one cluster after another.
    pub const ONE: Self = Self::Count(1);

    /// Returns the count that `number` asks for.
    ///
    /// # Errors
    /// When it is less than 1.
    pub fn count(number: i64) -> Result<Self, InvalidMaxConcurrency> {
        match u32::try_from(number) {
            Ok(count) if count > 0 => Ok(Self::Count(count)),
            _ => Err(InvalidMaxConcurrency { text: number.to_string() }),
        }
    }

    /// Returns how many of `clusters` may update at the same time: percentages round down, and never below one.
    pub fn of(self, clusters: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => (clusters * usize::from(percent) / 100).max(1),
        }
    }
}

impl FromStr for MaxConcurrency {
    type Err = InvalidMaxConcurrency;

    /// Reads a percentage. A plain number in quotes is refused, as Fleet's schema refuses it.
    fn from_str(text: &str) -> Result<Self, InvalidMaxConcurrency> {
        let invalid = || InvalidMaxConcurrency { text: text.chars().take(40).collect() };
        let digits = text.strip_suffix('%').ok_or_else(invalid)?;
        let canonical = !digits.starts_with(['0', '+']);
        match digits.parse::<u8>() {
            Ok(percent @ 1..=100) if canonical => Ok(Self::Percent(percent)),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for MaxConcurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_down_and_never_to_zero() {
        for (text, clusters, want) in
            [("50%", 2, 1), ("50%", 3, 1), ("25%", 3, 1), ("100%", 7, 7), ("1%", 0, 1)]
        {
            assert_eq!(
                text.parse::<MaxConcurrency>().unwrap().of(clusters),
                want,
                "{text} of {clusters}"
            );
        }
        assert_eq!(MaxConcurrency::count(9).unwrap().of(2), 9);
    }

    #[test]
    fn what_fleets_pattern_refuses_is_refused() {
        for bad in ["0%", "101%", "2", "", "%", "+5%", "05%", "-1%", "5.5%"] {
            assert!(bad.parse::<MaxConcurrency>().is_err(), "{bad}");
        }
        assert!(MaxConcurrency::count(0).is_err() && MaxConcurrency::count(-3).is_err());
    }
}
