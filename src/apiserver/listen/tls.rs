//! Certificates: an authority of our own and a server certificate for this machine, kept in a folder.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;

use crate::apiserver::private_file;

/// Names and addresses that the server certificate is for.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];
/// The file with everything in it.
const FILE: &str = "certificates.json";
const AUTHORITY_LASTS: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
const SERVER_LASTS: SignedDuration = SignedDuration::from_hours(365 * 24);
/// A certificate that has less than this left is made anew at the next start.
const RENEWED_BEFORE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What a TLS listener needs. Clones share it.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    authority_pem: String,
}

/// Certificates cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The folder or the file in it cannot be used.
    #[error("cannot use `{path}`")]
    Folder {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No certificate can be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// A certificate cannot be used.
    #[error("cannot use a certificate: {0}")]
    Use(String),
}

/// What is kept. One file, so that keys and certificates always belong together.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    authority: String,
    authority_key: String,
    authority_ends: Timestamp,
    server: String,
    server_key: String,
    server_ends: Timestamp,
}

impl Tls {
    /// Opens the certificates in `folder`, and makes what is not there, not readable, or about to end. The folder's
    /// file holds private keys and is readable by its owner alone.
    ///
    /// # Errors
    /// [`TlsError`] when the folder cannot be written to.
    pub fn open(folder: &Path) -> Result<Tls, TlsError> {
        Tls::open_at(folder, Timestamp::now())
    }

    fn open_at(folder: &Path, now: Timestamp) -> Result<Tls, TlsError> {
        let path = folder.join(FILE);
        let kept =
            std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        let fresh = |ends: Timestamp| ends.duration_since(now) > RENEWED_BEFORE;
        let kept = match kept {
            Some(kept) if fresh(kept.server_ends) && fresh(kept.authority_ends) => kept,
            old => {
                let old = old.filter(|kept| fresh(kept.authority_ends));
                let made = make(old, now)?;
                let folder_failed = |source| TlsError::Folder { path: path.clone(), source };
                let text = serde_json::to_vec_pretty(&made).map_err(|e| folder_failed(e.into()))?;
                private_file::write(&path, &text).map_err(folder_failed)?;
                made
            }
        };
        Ok(Tls { acceptor: acceptor(&kept)?, authority_pem: kept.authority })
    }

    /// The authority's certificate, for clients to trust.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// Makes a server certificate, and an authority when there is none to go on with.
fn make(old: Option<Kept>, now: Timestamp) -> Result<Kept, TlsError> {
    let old = old.and_then(|kept| Some((KeyPair::from_pem(&kept.authority_key).ok()?, kept)));
    let (key, authority, authority_key, authority_ends) = match old {
        Some((key, kept)) => (key, kept.authority, kept.authority_key, kept.authority_ends),
        None => {
            let key = KeyPair::generate()?;
            let ends = now.checked_add(AUTHORITY_LASTS).unwrap_or(now);
            let certificate = authority_of(&key, now, ends)?.self_signed(&key)?;
            let key_pem = key.serialize_pem();
            (key, certificate.pem(), key_pem, ends)
        }
    };
    let server_key = KeyPair::generate()?;
    let server_ends = now.checked_add(SERVER_LASTS).unwrap_or(now);
    let issuer = Issuer::new(authority_of(&key, now, authority_ends)?, key);
    let server = server_of(now, server_ends)?.signed_by(&server_key, &issuer)?;
    Ok(Kept {
        authority,
        authority_key,
        authority_ends,
        server: server.pem(),
        server_key: server_key.serialize_pem(),
        server_ends,
    })
}

/// The authority's name has a piece of its key, so that no client takes one authority for another.
fn authority_of(
    key: &KeyPair,
    now: Timestamp,
    ends: Timestamp,
) -> Result<CertificateParams, TlsError> {
    let mut parameters = CertificateParams::new(Vec::<String>::new())?;
    let print = ring::digest::digest(&ring::digest::SHA256, key.public_key_raw());
    let print = hex::encode(&print.as_ref()[..4]);
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, format!("tidegate-ca-{print}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    valid(&mut parameters, now, ends);
    Ok(parameters)
}

fn server_of(now: Timestamp, ends: Timestamp) -> Result<CertificateParams, TlsError> {
    let mut parameters = CertificateParams::new(NAMES.map(str::to_owned).to_vec())?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "tidegate-apiserver");
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    valid(&mut parameters, now, ends);
    Ok(parameters)
}

/// Valid from the day before, for clocks that differ, to the day of `ends`.
fn valid(parameters: &mut CertificateParams, now: Timestamp, ends: Timestamp) {
    let day = |at: Timestamp| {
        let date = at.to_zoned(TimeZone::UTC).date();
        // Months and days are small and positive.
        date_time_ymd(
            i32::from(date.year()),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    parameters.not_before = day(now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(now));
    parameters.not_after = day(ends);
}

fn acceptor(kept: &Kept) -> Result<TlsAcceptor, TlsError> {
    let wrong = |error: &dyn std::fmt::Display| TlsError::Use(error.to_string());
    let chain = [&kept.server, &kept.authority]
        .map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| wrong(&error)));
    let chain: Vec<CertificateDer<'static>> = chain.into_iter().collect::<Result<_, _>>()?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(kept.server_key.as_bytes())
        .map_err(|error| wrong(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::Pkcs8(key))
        .map_err(|error| wrong(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_kept_and_renewed_by_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let read = || std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        let first = Tls::open_at(folder.path(), now).unwrap();
        let kept = read();
        let again =
            Tls::open_at(folder.path(), now + SignedDuration::from_hours(24 * 300)).unwrap();
        assert_eq!((read(), again.authority_pem()), (kept.clone(), first.authority_pem()));
        let renewed =
            Tls::open_at(folder.path(), now + SignedDuration::from_hours(24 * 350)).unwrap();
        assert_eq!(renewed.authority_pem(), first.authority_pem());
        assert_ne!(read(), kept);
        let other =
            Tls::open_at(folder.path(), now + SignedDuration::from_hours(24 * 3640)).unwrap();
        assert_ne!(other.authority_pem(), first.authority_pem());
    }

    #[test]
    fn a_damaged_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(Tls::open(folder.path()).is_ok());
    }
}
