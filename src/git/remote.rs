//! Where a repository is, and how to be let in.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::error::{Class, GitError};

/// A repository's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// A folder on this machine: read in place, without a copy and without a program.
    Local(PathBuf),
    /// A server, mirrored.
    Https {
        /// The URL.
        url: String,
        /// File with an access token; read again on every use, so that it can be renewed.
        token_file: Option<PathBuf>,
        /// File with certificates of private authorities, PEM.
        ca_file: Option<PathBuf>,
    },
}

impl Remote {
    /// Reads an address: a path, `file://` or `https://`. Plain `http://` is for loopback only.
    ///
    /// # Errors
    /// When it is none of these, or holds a password.
    pub fn parse(
        address: &str,
        token_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, GitError> {
        let bad = |why: &str| {
            Err(GitError::new(
                Class::BadAddress,
                format!("cannot use the address `{}`: {why}", redacted(address)),
            ))
        };
        if let Some(path) = address.strip_prefix("file://") {
            return match Path::new(path).is_absolute() {
                true => Ok(Self::Local(PathBuf::from(path))),
                false => bad("a file:// URL has an absolute path"),
            };
        }
        let host = |rest: &str| rest.split(['/', ':']).next().unwrap_or_default().to_owned();
        let https = address.strip_prefix("https://");
        let http = address.strip_prefix("http://");
        if let Some(rest) = https.or(http) {
            if rest.split('/').next().unwrap_or_default().contains('@') {
                return bad("credentials do not belong into a URL; use a token file");
            }
            if rest.contains(['?', '#']) {
                return bad("a repository's URL has no query and no fragment");
            }
            if https.is_none() && !matches!(host(rest).as_str(), "127.0.0.1" | "localhost") {
                return bad("http:// would send everything in clear text");
            }
            return Ok(Self::Https { url: address.to_owned(), token_file, ca_file });
        }
        if address.contains("://")
            || (address.contains(':')
                && !Path::new(address).exists()
                && !address.starts_with(['/', '.']))
        {
            return bad("only paths, file:// and https:// are supported");
        }
        if address.is_empty() {
            bad("it is empty")
        } else {
            Ok(Self::Local(PathBuf::from(address)))
        }
    }

    /// Returns the address for people: never with a secret.
    pub fn display(&self) -> String {
        match self {
            Self::Local(path) => path.display().to_string(),
            Self::Https { url, .. } => url.clone(),
        }
    }

    /// Reads the token, if there is one to read.
    pub(super) fn token(&self) -> Result<Option<SecretString>, GitError> {
        let Self::Https { token_file: Some(path), .. } = self else { return Ok(None) };
        let attempt = || format!("cannot read the token file `{}`", path.display());
        let text = std::fs::read_to_string(path)
            .map_err(|error| GitError::because(Class::Refused, attempt(), &error))?;
        let token = SecretString::from(text.trim().to_owned());
        if token.expose_secret().is_empty() {
            return Err(GitError::new(
                Class::Refused,
                format!("the token file `{}` is empty", path.display()),
            ));
        }
        Ok(Some(token))
    }
}

/// Returns the address without what could be a password.
fn redacted(address: &str) -> String {
    let address: String = address.chars().take(200).collect();
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address.as_str()),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((_, rest)) => format!("{scheme}***@{rest}"),
        None => format!("{scheme}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused_without_leaking() {
        let read = |address| Remote::parse(address, None, None);
        assert_eq!(read("/srv/fleet").unwrap(), Remote::Local("/srv/fleet".into()));
        assert_eq!(read("./fleet").unwrap(), Remote::Local("./fleet".into()));
        assert_eq!(read("file:///srv/fleet").unwrap(), Remote::Local("/srv/fleet".into()));
        assert!(matches!(read("https://example.com/fleet.git").unwrap(), Remote::Https { .. }));
        assert!(matches!(read("http://127.0.0.1:1/x").unwrap(), Remote::Https { .. }));
        for bad in [
            "",
            "file://srv",
            "http://example.com/x",
            "ssh://git@example.com/x",
            "git@example.com:x",
        ] {
            assert_eq!(read(bad).unwrap_err().class, Class::BadAddress, "{bad}");
        }
        for secret in [
            "https://user:hunter2@example.com/x",
            "https://user:p@hunter2@example.com/x",
            "https://example.com/x?token=hunter2",
            "ssh://user:hunter2@example.com/x",
            "user:hunter2@example.com:x",
        ] {
            let error = read(secret).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
