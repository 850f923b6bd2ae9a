//! OpenSSH certificates of people (OpenSSH's PROTOCOL.certkeys), as far as a signature needs them.
//!
//! Read here and not with ssh-key's own type, which cannot hold one that is valid for ever, and checks only authorities
//! with an ed25519 key.

use jiff::Timestamp;
use ssh_encoding::{Decode, Encode};
use ssh_key::public::KeyData;

/// A certificate. Nothing about it is checked yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Certificate {
    /// Whose key it certifies.
    pub key: KeyData,
    /// Who certifies it.
    pub authority: KeyData,
    /// The people it speaks for.
    pub principals: Vec<String>,
    /// Name of the authority's signature algorithm.
    pub algorithm: String,
    /// The authority's signature.
    pub signature: Vec<u8>,
    /// What the authority signed.
    pub signed: Vec<u8>,
    is_user: bool,
    valid_after: u64,
    valid_before: u64,
    critical: Vec<u8>,
}

/// What all certificates' key types end with.
const SUFFIX: &str = "-cert-v01@openssh.com";
/// `SSH_CERT_TYPE_USER`.
const USER: u32 = 1;

impl Certificate {
    /// Returns whether a key type is a certificate's.
    pub fn is_kind(kind: &str) -> bool {
        kind.ends_with(SUFFIX)
    }

    /// Reads a certificate.
    pub fn read(blob: &[u8]) -> Result<Self, Box<dyn std::error::Error>> {
        let rest = &mut &*blob;
        let kind = String::decode(rest)?;
        let plain = kind.strip_suffix(SUFFIX).ok_or("it is no certificate")?;
        let _nonce = Vec::<u8>::decode(rest)?;
        let key = key(plain, rest)?;
        let _serial = u64::decode(rest)?;
        let is_user = u32::decode(rest)? == USER;
        let _id = Vec::<u8>::decode(rest)?;
        let list = Vec::<u8>::decode(rest)?;
        let (valid_after, valid_before) = (u64::decode(rest)?, u64::decode(rest)?);
        let critical = Vec::<u8>::decode(rest)?;
        let (_extensions, _reserved) = (Vec::<u8>::decode(rest)?, Vec::<u8>::decode(rest)?);
        let authority = Vec::<u8>::decode(rest)?;
        let signed = blob[..blob.len() - rest.len()].to_vec();
        let packed = Vec::<u8>::decode(rest)?;
        if !rest.is_empty() {
            return Err("something follows the certificate".into());
        }
        let mut principals = Vec::new();
        let mut names = list.as_slice();
        while !names.is_empty() {
            principals.push(String::decode(&mut names)?);
        }
        let mut packed = packed.as_slice();
        Ok(Self {
            key,
            authority: KeyData::decode(&mut authority.as_slice())?,
            principals,
            algorithm: String::decode(&mut packed)?,
            signature: Vec::<u8>::decode(&mut packed)?,
            signed,
            is_user,
            valid_after,
            valid_before,
            critical,
        })
    }

    /// Returns why nobody may sign with it, whatever the time. A critical option restricts a login; one that is not
    /// understood forbids everything, and none says what a signature means.
    pub fn flaw(&self) -> Option<&'static str> {
        if !self.is_user {
            Some("the certificate is of a host, not of a person")
        } else if !self.critical.is_empty() {
            Some("the certificate has critical options")
        } else {
            None
        }
    }

    /// Returns whether it is valid at a time: `valid after <= at < valid before`.
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        u64::try_from(at.as_second())
            .is_ok_and(|at| self.valid_after <= at && at < self.valid_before)
    }
}

/// Reads the key inside a certificate: the fields that the key alone would have.
fn key(kind: &str, rest: &mut &[u8]) -> Result<KeyData, Box<dyn std::error::Error>> {
    let fields = match kind {
        "ssh-ed25519" => 1,
        "ssh-rsa" => 2,
        kind if kind.starts_with("ecdsa-sha2-") => 2,
        other => return Err(format!("a certificate of a key of type `{other}`").into()),
    };
    let mut blob = Vec::new();
    kind.encode(&mut blob)?;
    for _ in 0..fields {
        Vec::<u8>::decode(rest)?.encode(&mut blob)?;
    }
    Ok(KeyData::decode(&mut blob.as_slice())?)
}
