//! Bearer tokens.

use http::{HeaderMap, header};
use ring::digest::{SHA256, digest};

/// The one token that opens everything, as its hash: comparing hashes takes the same time wherever texts differ.
#[derive(Clone)]
pub(super) struct Token([u8; 32]);

impl Token {
    /// Accepts `token` and nothing else.
    pub(super) fn new(token: &str) -> Token {
        Token(hash(token.as_bytes()))
    }

    /// Whether a request brings it.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return false };
        let bytes = value.as_bytes();
        let Some((scheme, rest)) = bytes.split_at_checked(7) else { return false };
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return false;
        }
        let given = hash(rest.trim_ascii());
        given.iter().zip(&self.0).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }
}

fn hash(text: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_token_opens() {
        let token = Token::new("secret");
        let cases = [
            (Some("Bearer secret"), true),
            (Some("bearer  secret"), true),
            (Some("Bearer secre"), false),
            (Some("Bearer secrets"), false),
            (Some("Bearer "), false),
            (Some("Basic secret"), false),
            (Some("B"), false),
            (None, false),
        ];
        for (header, opens) in cases {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(header::AUTHORIZATION, HeaderValue::from_static(header));
            }
            assert_eq!(token.is_in(&headers), opens, "{header:?}");
        }
    }
}
