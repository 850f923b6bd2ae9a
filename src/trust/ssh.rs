//! SSH signatures (OpenSSH's PROTOCOL.sshsig), checked in process.
//!
//! The mathematics is ring's. Refused on purpose: DSA, P-521, and RSA with SHA-1.

use jiff::Timestamp;
use ring::signature as maths;
use ssh_encoding::{
    Decode,
    base64::{Base64, Encoding},
};
use ssh_key::{EcdsaCurve, HashAlg, SshSig, public::KeyData};

use super::{
    allowed_signers::{AllowedSigners, Entry, matches_list},
    certificate::Certificate,
    evidence::Evidence,
    refusal::Refusal,
};

/// Whose signature it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The person: the principals of the line that has the key, or the certificate's principal.
    pub principal: String,
    /// The key, as `SHA256:…`.
    pub fingerprint: String,
}

/// What git signs commits for.
pub const GIT_NAMESPACE: &str = "git";

/// Returns who signed, judged at the time we first saw the commit. The committer's date is no witness: who signs chooses
/// it.
///
/// # Errors
/// When the signature is missing, unreadable, wrong, or of somebody who is not in `signers`.
pub fn verify(
    evidence: &Evidence,
    signers: &AllowedSigners,
    first_seen: Timestamp,
) -> Result<Signer, Refusal> {
    let (armor, payload) = match evidence {
        Evidence::Unsigned => return Err(Refusal::Unsigned),
        Evidence::Unsupported { format } => {
            return Err(Refusal::UnsupportedFormat { format: (*format).to_owned() });
        }
        Evidence::Ssh { armor, payload } => (armor, payload),
    };
    let signature = Parsed::read(armor).map_err(|reason| Refusal::Unreadable { reason })?;
    if signature.namespace != GIT_NAMESPACE {
        return Err(Refusal::WrongNamespace {
            found: signature.namespace,
            wanted: GIT_NAMESPACE.to_owned(),
        });
    }
    let fingerprint = signature.key.fingerprint(HashAlg::Sha256).to_string();
    let signed = SshSig::signed_data(GIT_NAMESPACE, signature.hash, payload)
        .map_err(|error| Refusal::Unreadable { reason: error.to_string() })?;
    let wrong = |wrong| match wrong {
        Wrong::Unsupported(format) => Refusal::UnsupportedFormat { format },
        Wrong::Mathematics => Refusal::BadSignature { fingerprint: fingerprint.clone() },
    };
    let Parsed { key, algorithm, signature: bytes, .. } = &signature;
    check(key, algorithm, bytes, &signed).map_err(wrong)?;
    if let Some(certificate) = &signature.certificate {
        if let Some(flaw) = certificate.flaw() {
            return Err(Refusal::Unreadable { reason: flaw.to_owned() });
        }
        let Certificate { authority, algorithm, signature, signed, .. } = certificate;
        check(authority, algorithm, signature, signed).map_err(wrong)?;
    }
    attribute(&signature, signers, first_seen, fingerprint)
}

/// Finds the person whose key it is.
fn attribute(
    signature: &Parsed,
    signers: &AllowedSigners,
    first_seen: Timestamp,
    fingerprint: String,
) -> Result<Signer, Refusal> {
    let mut expired = None;
    for entry in signers.entries() {
        if !entry.namespaces.as_deref().is_none_or(|list| matches_list(list, GIT_NAMESPACE)) {
            continue;
        }
        let Some(principal) = principal(entry, signature) else { continue };
        let early = entry.valid_after.is_some_and(|after| first_seen < after);
        let late = entry.valid_before.is_some_and(|before| before <= first_seen);
        let lapsed = signature.certificate.as_ref().is_some_and(|c| !c.is_valid_at(first_seen));
        if early || late || lapsed {
            expired = Some(principal);
            continue;
        }
        return Ok(Signer { principal, fingerprint });
    }
    Err(match expired {
        Some(principal) => Refusal::KeyNotValid { fingerprint, principal, at: first_seen },
        None => Refusal::UnknownKey { fingerprint },
    })
}

/// Returns whose key it is if a line is about it: the line's principals, or the principal of the certificate that the line
/// allows.
fn principal(entry: &Entry, signature: &Parsed) -> Option<String> {
    match &signature.certificate {
        None => (!entry.cert_authority && entry.key.key_data() == &signature.key)
            .then(|| entry.principals.clone()),
        Some(certificate) => {
            if !entry.cert_authority || entry.key.key_data() != &certificate.authority {
                return None;
            }
            let allowed = |name: &&String| matches_list(&entry.principals, name);
            certificate.principals.iter().find(allowed).cloned()
        }
    }
}

/// A signature as it was written down.
struct Parsed {
    key: KeyData,
    certificate: Option<Certificate>,
    namespace: String,
    hash: HashAlg,
    algorithm: String,
    signature: Vec<u8>,
}

impl Parsed {
    fn read(armor: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(armor).map_err(|error| error.to_string())?;
        let body = text
            .trim()
            .strip_prefix("-----BEGIN SSH SIGNATURE-----")
            .and_then(|text| text.strip_suffix("-----END SSH SIGNATURE-----"))
            .ok_or("it does not begin or end as an SSH signature")?;
        let packed: String = body.split_ascii_whitespace().collect();
        let bytes = Base64::decode_vec(&packed).map_err(|error| error.to_string())?;
        let mut rest = bytes.strip_prefix(b"SSHSIG").ok_or("it does not say SSHSIG")?;
        Self::decode(&mut rest).map_err(|error| error.to_string())
    }

    fn decode(rest: &mut &[u8]) -> Result<Self, Box<dyn std::error::Error>> {
        let version = u32::decode(rest)?;
        if version != 1 {
            return Err(format!("version {version} is unknown").into());
        }
        let key_blob = Vec::<u8>::decode(rest)?;
        let namespace = String::decode(rest)?;
        let _reserved = Vec::<u8>::decode(rest)?;
        let hash = match String::decode(rest)?.as_str() {
            "sha256" => HashAlg::Sha256,
            "sha512" => HashAlg::Sha512,
            other => return Err(format!("hash `{other}` is unknown").into()),
        };
        let signature_blob = Vec::<u8>::decode(rest)?;
        if !rest.is_empty() {
            return Err("something follows the signature".into());
        }
        let mut blob = signature_blob.as_slice();
        let algorithm = String::decode(&mut blob)?;
        let signature = Vec::<u8>::decode(&mut blob)?;
        if !blob.is_empty() {
            return Err("security keys are not supported".into());
        }
        let kind = String::decode(&mut key_blob.as_slice())?;
        let (key, certificate) = if Certificate::is_kind(&kind) {
            let certificate = Certificate::read(&key_blob)?;
            (certificate.key.clone(), Some(certificate))
        } else {
            (KeyData::decode(&mut key_blob.as_slice())?, None)
        };
        Ok(Self { key, certificate, namespace, hash, algorithm, signature })
    }
}

enum Wrong {
    Unsupported(String),
    Mathematics,
}

fn check(key: &KeyData, algorithm: &str, signature: &[u8], message: &[u8]) -> Result<(), Wrong> {
    let verified = match (key, algorithm) {
        (KeyData::Ed25519(key), "ssh-ed25519") => {
            maths::UnparsedPublicKey::new(&maths::ED25519, key.0).verify(message, signature)
        }
        (KeyData::Ecdsa(key), algorithm) => {
            let (name, width, scheme): (_, _, &'static maths::EcdsaVerificationAlgorithm) =
                match key.curve() {
                    EcdsaCurve::NistP256 => {
                        ("ecdsa-sha2-nistp256", 32, &maths::ECDSA_P256_SHA256_FIXED)
                    }
                    EcdsaCurve::NistP384 => {
                        ("ecdsa-sha2-nistp384", 48, &maths::ECDSA_P384_SHA384_FIXED)
                    }
                    EcdsaCurve::NistP521 => {
                        return Err(Wrong::Unsupported("ecdsa-sha2-nistp521".to_owned()));
                    }
                };
            if algorithm != name {
                return Err(Wrong::Unsupported(algorithm.to_owned()));
            }
            let fixed = fixed_width(signature, width).ok_or(Wrong::Mathematics)?;
            maths::UnparsedPublicKey::new(scheme, key.as_ref()).verify(message, &fixed)
        }
        (KeyData::Rsa(key), "rsa-sha2-256" | "rsa-sha2-512") => {
            let (n, e) = (key.n.as_positive_bytes(), key.e.as_positive_bytes());
            let (Some(n), Some(e)) = (n, e) else { return Err(Wrong::Mathematics) };
            let scheme = if algorithm == "rsa-sha2-512" {
                &maths::RSA_PKCS1_2048_8192_SHA512
            } else {
                &maths::RSA_PKCS1_2048_8192_SHA256
            };
            maths::RsaPublicKeyComponents { n, e }.verify(scheme, message, signature)
        }
        (_, algorithm) => return Err(Wrong::Unsupported(algorithm.to_owned())),
    };
    verified.map_err(|_| Wrong::Mathematics)
}

/// Returns SSH's two integers as ring wants them: side by side, each `width` bytes.
fn fixed_width(signature: &[u8], width: usize) -> Option<Vec<u8>> {
    let mut rest = signature;
    let mut fixed = vec![0; 2 * width];
    for half in 0..2 {
        let number = Vec::<u8>::decode(&mut rest).ok()?;
        let significant =
            number.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &number[at..]);
        let start = ((half + 1) * width)
            .checked_sub(significant.len())
            .filter(|start| *start >= half * width)?;
        fixed[start..(half + 1) * width].copy_from_slice(significant);
    }
    rest.is_empty().then_some(fixed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ssh_key::{LineEnding, PrivateKey, private::Ed25519Keypair};

    use super::*;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::new(Ed25519Keypair::from_seed(&[seed; 32]).into(), "test").unwrap()
    }

    fn signed(key: &PrivateKey, namespace: &str, payload: &[u8]) -> Evidence {
        let signature = SshSig::sign(key, namespace, HashAlg::Sha512, payload).unwrap();
        Evidence::of(signature.to_pem(LineEnding::LF).unwrap().as_bytes(), payload.to_vec())
    }

    fn allow(options: &str, key: &PrivateKey) -> AllowedSigners {
        let line = format!("alice {options} {}\n", key.public_key().to_openssh().unwrap());
        AllowedSigners::parse(&line, "f").unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_reason_has_its_own_word() {
        let (alice, mallory) = (key(1), key(2));
        let evidence = signed(&alice, "git", b"commit");
        let Evidence::Ssh { armor, .. } = &evidence else { panic!("ssh") };
        let tampered = Evidence::Ssh { armor: armor.clone(), payload: b"other".to_vec() };
        let cut = Evidence::Ssh { armor: armor[..80].to_vec(), payload: b"commit".to_vec() };
        let dated = allow("valid-after=20300101Z", &alice);
        for (name, evidence, signers, want) in [
            ("good", &evidence, &allow("", &alice), Ok("alice")),
            ("unsigned", &Evidence::Unsigned, &allow("", &alice), Err("ApprovalUnsigned")),
            ("tampered", &tampered, &allow("", &alice), Err("ApprovalSignatureBad")),
            ("cut", &cut, &allow("", &alice), Err("ApprovalSignatureUnreadable")),
            ("unknown", &evidence, &allow("", &mallory), Err("ApprovalKeyUnknown")),
            (
                "namespace",
                &signed(&alice, "file", b"commit"),
                &allow("", &alice),
                Err("ApprovalSignatureNamespace"),
            ),
            (
                "not for git",
                &evidence,
                &allow("namespaces=\"file\"", &alice),
                Err("ApprovalKeyUnknown"),
            ),
            ("too early", &evidence, &dated, Err("ApprovalKeyNotValid")),
            (
                "pgp",
                &Evidence::of(b"-----BEGIN PGP SIGNATURE-----", vec![]),
                &dated,
                Err("ApprovalSignatureUnsupported"),
            ),
        ] {
            let got = verify(evidence, signers, at(1_800_000_000));
            let got = got.as_ref().map(|signer| signer.principal.as_str()).map_err(Refusal::reason);
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn a_key_that_has_expired_stays_expired_whatever_date_the_commit_claims() {
        let alice = key(1);
        let signers = allow("valid-before=20260101Z", &alice);
        let evidence = signed(&alice, "git", b"author date: 2025");
        assert_eq!(verify(&evidence, &signers, at(1_700_000_000)).unwrap().principal, "alice");
        let late = verify(&evidence, &signers, at(1_800_000_000)).unwrap_err();
        assert_eq!(late.reason(), "ApprovalKeyNotValid");
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn no_armor_panics(body in "[A-Za-z0-9+/=\n]{0,200}") {
            let armor = format!("-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----");
            let evidence = Evidence::of(armor.as_bytes(), vec![1]);
            prop_assert!(verify(&evidence, &AllowedSigners::default(), at(0)).is_err());
        }
    }
}
