//! A commit's full name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A commit's object id: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

/// The text is not a full commit id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a full commit id: expected 40 or 64 hexadecimal digits")]
pub struct InvalidCommitId {
    text: String,
}

/// Returns the first eight digits of what should be a commit id; all of it where it is shorter.
pub fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}

impl CommitId {
    /// Returns the first eight digits: what people read and run names carry.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }

    /// Returns all digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommitId {
    type Err = InvalidCommitId;

    fn from_str(text: &str) -> Result<Self, InvalidCommitId> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let lower = text.to_ascii_lowercase();
        if matches!(lower.len(), 40 | 64) && lower.bytes().all(hex) {
            Ok(Self(lower))
        } else {
            Err(InvalidCommitId { text: text.chars().take(80).collect() })
        }
    }
}

impl TryFrom<String> for CommitId {
    type Error = InvalidCommitId;

    fn try_from(text: String) -> Result<Self, InvalidCommitId> {
        text.parse()
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_ids_pass_the_door() {
        let full = "3F2A91C0d5e6f708192a3b4c5d6e7f8091a2b3c4";
        assert_eq!(full.parse::<CommitId>().unwrap().short(), "3f2a91c0");
        for bad in ["", "3f2a91c0", "zf2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4", "é"] {
            assert!(bad.parse::<CommitId>().is_err(), "{bad}");
        }
    }
}
