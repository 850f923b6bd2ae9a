//! What a commit brings to prove who made it.

use crate::model::Digest;

/// A commit's signature, as found. Nothing is judged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// No signature.
    Unsigned,
    /// An SSH signature.
    Ssh {
        /// The armored signature.
        armor: Vec<u8>,
        /// The exact bytes that were signed: the commit without its signature.
        payload: Vec<u8>,
    },
    /// A signature in a format that is not judged here.
    Unsupported {
        /// Its name, such as `OpenPGP`.
        format: &'static str,
    },
}

impl Evidence {
    /// Returns the digest of what was signed, if that is known. A commit's id covers its signature, which anybody may write
    /// down in other words: the same signed words under another id are the same words.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Ssh { payload, .. } => Some(Digest::of(payload)),
            Self::Unsigned | Self::Unsupported { .. } => None,
        }
    }

    /// Returns the evidence for a signature header and the bytes it signs.
    pub fn of(armor: &[u8], payload: Vec<u8>) -> Self {
        let begins = |marker: &str| armor.trim_ascii_start().starts_with(marker.as_bytes());
        if begins("-----BEGIN SSH SIGNATURE-----") {
            Self::Ssh { armor: armor.to_vec(), payload }
        } else if begins("-----BEGIN PGP") {
            Self::Unsupported { format: "OpenPGP" }
        } else if begins("-----BEGIN SIGNED MESSAGE-----") {
            Self::Unsupported { format: "X.509" }
        } else {
            Self::Unsupported { format: "unknown" }
        }
    }
}
