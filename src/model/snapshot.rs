//! A place in a placement's history.

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::{Deserialize, Serialize};

/// A resource snapshot group's place in its placement's history. Fleet counts from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotIndex(u32);

/// The text is not a snapshot index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a resource snapshot index: expected an integer >= 0 without sign or leading zeros"
)]
pub struct InvalidIndex {
    text: String,
}

impl SnapshotIndex {
    /// The first index of a placement.
    pub const FIRST: Self = Self(0);

    /// Returns the index with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Returns the next index, or nothing after the last one that fits.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// Returns the name of the group's master snapshot (fleet-semantics §1.8).
    pub fn master_name(self, placement: &str) -> String {
        format!("{placement}-{self}-snapshot")
    }

    /// Returns the name of the group's object number `piece`: the master for 0, sub-index objects after it.
    pub fn piece_name(self, placement: &str, piece: u32) -> String {
        match NonZeroU32::new(piece) {
            None => self.master_name(placement),
            Some(piece) => format!("{placement}-{self}-{}", piece.get() - 1),
        }
    }
}

impl FromStr for SnapshotIndex {
    type Err = InvalidIndex;

    fn from_str(text: &str) -> Result<Self, InvalidIndex> {
        let invalid = || InvalidIndex { text: text.chars().take(40).collect() };
        let canonical = text == "0" || (!text.starts_with(['0', '+', '-']) && !text.is_empty());
        if !canonical {
            return Err(invalid());
        }
        text.parse().map(Self).map_err(|_| invalid())
    }
}

impl TryFrom<String> for SnapshotIndex {
    type Error = InvalidIndex;

    fn try_from(text: String) -> Result<Self, InvalidIndex> {
        text.parse()
    }
}

impl From<SnapshotIndex> for String {
    fn from(index: SnapshotIndex) -> Self {
        index.to_string()
    }
}

impl fmt::Display for SnapshotIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_numbers_pass_the_door() {
        for (text, want) in
            [("0", Some(0)), ("7", Some(7)), ("10", Some(10)), ("4294967295", Some(u32::MAX))]
        {
            assert_eq!(
                text.parse::<SnapshotIndex>().ok().map(SnapshotIndex::number),
                want,
                "{text}"
            );
        }
        for text in ["", "01", "+1", "-1", "1.0", "4294967296", " 1"] {
            assert!(text.parse::<SnapshotIndex>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_fleets() {
        let index = SnapshotIndex::new(3);
        assert_eq!(index.piece_name("web", 0), "web-3-snapshot");
        assert_eq!(index.piece_name("web", 1), "web-3-0");
    }
}
