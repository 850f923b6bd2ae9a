//! Signed claims: JSON web tokens (RFC 7519) of the one issuer that this server is, with ECDSA on P-256 (`ES256`).

use std::{
    io,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    digest::{SHA256, digest},
    error::Unspecified,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    },
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};

use super::private_file;

/// Who signs: the name that the API has within a cluster.
pub(super) const ISSUER: &str = "https://kubernetes.default.svc";

/// How, in the words of RFC 7518.
pub(super) const ALGORITHM: &str = "ES256";

/// What precedes the point of a P-256 public key in its standard form (RFC 5480).
const PUBLIC_KEY_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The key that tokens are signed with cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file cannot be read or written.
    #[error("cannot use `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("`{0}` holds no key that tokens can be signed with; without it, another one is made")]
    Damaged(PathBuf),
    /// There is no randomness.
    #[error("no key can be made")]
    Make,
}

/// A text that is no token of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotOurs {
    /// It does not even say that it was.
    Other,
    /// It says so, and was not signed.
    Forged,
}

/// The key that tokens are signed with.
pub(super) struct SigningKey {
    pair: EcdsaKeyPair,
    id: String,
    random: SystemRandom,
}

impl SigningKey {
    /// A new key.
    pub(super) fn generate() -> Result<SigningKey, KeyError> {
        SigningKey::read(&new_key()?).ok_or(KeyError::Make)
    }

    /// The key in a file, made when there is none. The file is readable by its owner alone.
    pub(super) fn open(path: &Path) -> Result<SigningKey, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let pem = match std::fs::read(path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pem = pem(&new_key()?);
                private_file::write(path, pem.as_bytes()).map_err(failed)?;
                pem.into_bytes()
            }
            Err(error) => return Err(failed(error)),
        };
        let key = PrivatePkcs8KeyDer::from_pem_slice(&pem).ok();
        let key = key.and_then(|key| SigningKey::read(key.secret_pkcs8_der()));
        key.ok_or_else(|| KeyError::Damaged(path.to_owned()))
    }

    fn read(pkcs8: &[u8]) -> Option<SigningKey> {
        let random = SystemRandom::new();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random).ok()?;
        let public = [PUBLIC_KEY_HEAD, pair.public_key().as_ref()].concat();
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, &public));
        Some(SigningKey { pair, id, random })
    }

    /// Signs claims. They should name the issuer.
    pub(super) fn sign(&self, claims: &Value) -> Result<String, Unspecified> {
        let head = json!({"alg": ALGORITHM, "kid": self.id});
        let [head, claims] = [&head, claims].map(|v| URL_SAFE_NO_PAD.encode(v.to_string()));
        let signed = format!("{head}.{claims}");
        let signature = self.pair.sign(&self.random, signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The claims of a token that this key has signed.
    pub(super) fn claims(&self, token: &str) -> Result<Value, NotOurs> {
        let (signed, signature) = token.rsplit_once('.').ok_or(NotOurs::Other)?;
        let (_, claims) = signed.split_once('.').ok_or(NotOurs::Other)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| NotOurs::Other)?;
        let claims: Value = serde_json::from_slice(&claims).map_err(|_| NotOurs::Other)?;
        if claims.get("iss").and_then(Value::as_str) != Some(ISSUER) {
            return Err(NotOurs::Other);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| NotOurs::Forged)?;
        // The head is not read: there is one key and one way to sign with it.
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key());
        public.verify(signed.as_bytes(), &signature).map_err(|_| NotOurs::Forged)?;
        Ok(claims)
    }

    /// The public key, as those who check tokens themselves read it (RFC 7517).
    pub(super) fn key_set(&self) -> Value {
        let public = self.pair.public_key().as_ref();
        // A point: a byte that says how it is written, and two coordinates.
        let (x, y) = public.get(1..).unwrap_or_default().split_at(public.len() / 2);
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        json!({"keys": [{
            "use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": ALGORITHM, "x": x, "y": y,
        }]})
    }
}

fn new_key() -> Result<Vec<u8>, KeyError> {
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    made.map(|key| key.as_ref().to_vec()).map_err(|_| KeyError::Make)
}

fn pem(key: &[u8]) -> String {
    let text = STANDARD.encode(key);
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + "-----END PRIVATE KEY-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_key_signed_counts() {
        let key = SigningKey::generate().unwrap();
        let claims = json!({"iss": ISSUER, "sub": "somebody"});
        let token = key.sign(&claims).unwrap();
        assert_eq!(key.claims(&token), Ok(claims.clone()));
        assert_eq!(SigningKey::generate().unwrap().claims(&token), Err(NotOurs::Forged));
        let [head, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
        let other = URL_SAFE_NO_PAD.encode(json!({"iss": ISSUER, "sub": "admin"}).to_string());
        assert_eq!(key.claims(&format!("{head}.{other}.{signature}")), Err(NotOurs::Forged));
        let unsigned = URL_SAFE_NO_PAD.encode(claims.to_string());
        let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none"}).to_string());
        assert_eq!(key.claims(&format!("{none}.{unsigned}.")), Err(NotOurs::Forged));
        let elsewhere = key.sign(&json!({"iss": "https://example.com"})).unwrap();
        for text in [&*elsewhere, "", "a", "a.b", "a.b.c", "..", "a-token"] {
            assert_eq!(key.claims(text), Err(NotOurs::Other), "{text}");
        }
    }

    #[test]
    fn a_key_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/hub.key");
        let token = SigningKey::open(&path).unwrap().sign(&json!({"iss": ISSUER})).unwrap();
        assert!(SigningKey::open(&path).unwrap().claims(&token).is_ok());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(&path, "something else").unwrap();
        assert!(matches!(SigningKey::open(&path), Err(KeyError::Damaged(_))));
    }

    #[test]
    fn the_key_set_has_both_coordinates() {
        let set = SigningKey::generate().unwrap().key_set();
        for coordinate in ["x", "y"] {
            let text = set["keys"][0][coordinate].as_str().unwrap();
            assert_eq!(URL_SAFE_NO_PAD.decode(text).unwrap().len(), 32);
        }
    }
}
