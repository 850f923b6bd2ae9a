//! Whose a bearer token is: everybody's who may do everything, or a service account's.
//!
//! An account's token ends with its time, with the account, and with the object that it is bound to. Nothing of it is
//! stored: it says all that by itself, and the objects are looked up again whenever it is shown.

use std::sync::{PoisonError, RwLock};

use http::{HeaderMap, header};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::{
    server::Server,
    signing::{ISSUER, NotOurs, SigningKey},
    store::{Key, Stored},
    user::User,
};

/// Seconds by which clocks may differ, as kube-apiserver allows.
const LEEWAY: i64 = 60;

/// What tokens are checked against.
pub(super) struct Credentials {
    pub key: SigningKey,
    /// Tokens that open everything, as hashes: comparing those takes the same time wherever texts differ.
    masters: RwLock<Vec<[u8; 32]>>,
}

/// Who showed a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authenticated {
    pub user: User,
    /// For whom the token is, of those who were asked for.
    pub audiences: Vec<String>,
}

/// A token of nobody's, and why where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown(Option<String>);

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            None => f.write_str("invalid bearer token"),
            Some(why) => write!(f, "[invalid bearer token, {why}]"),
        }
    }
}

impl Credentials {
    /// Knows tokens that were signed with `key`.
    pub(super) fn new(key: SigningKey) -> Credentials {
        Credentials { key, masters: RwLock::default() }
    }

    /// Lets everybody do everything who has `token`.
    pub(super) fn accept(&self, token: &str) {
        let mut masters = self.masters.write().unwrap_or_else(PoisonError::into_inner);
        masters.push(hash(token));
    }

    fn is_master(&self, token: &str) -> bool {
        let given = hash(token);
        let same = |known: &[u8; 32]| {
            given.iter().zip(known).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
        };
        self.masters.read().unwrap_or_else(PoisonError::into_inner).iter().any(same)
    }
}

fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

/// The token that a request brings.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Finds out whose a token is that should be for one of `audiences`; for this server when there are none.
pub(super) fn authenticate(
    server: &Server,
    token: &str,
    audiences: &[String],
) -> Result<Authenticated, Unknown> {
    let own = [ISSUER.to_owned()];
    let wanted = if audiences.is_empty() { &own[..] } else { audiences };
    if server.credentials.is_master(token) {
        return match wanted.iter().any(|audience| audience == ISSUER) {
            true => Ok(Authenticated { user: User::admin(), audiences: own.to_vec() }),
            false => Err(Unknown(None)),
        };
    }
    let claims = server.credentials.key.claims(token).map_err(|why| {
        Unknown(match why {
            NotOurs::Other => None,
            NotOurs::Forged => Some("go-jose/go-jose: error in cryptographic primitive".to_owned()),
        })
    })?;
    let given: Vec<String> = match claims.get("aud") {
        Some(Value::Array(all)) => {
            all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let audiences: Vec<String> = given.iter().filter(|of| wanted.contains(of)).cloned().collect();
    if audiences.is_empty() {
        let quoted = |list: &[String]| {
            let list: Vec<String> = list.iter().map(|text| format!("\"{text}\"")).collect();
            list.join(" ")
        };
        return Err(Unknown(Some(format!(
            "token audiences [{}] is invalid for the target audiences [{}]",
            quoted(&given),
            quoted(wanted)
        ))));
    }
    check_times(&claims, server.now()).map_err(|why| Unknown(Some(why.to_owned())))?;
    let user = account(server, &claims).map_err(|why| Unknown(Some(why)))?;
    Ok(Authenticated { user, audiences })
}

fn check_times(claims: &Value, now: Timestamp) -> Result<(), &'static str> {
    let at = |claim: &str| claims.get(claim).and_then(Value::as_i64).unwrap_or(0);
    let now = now.as_second();
    if now.saturating_sub(LEEWAY) > at("exp") {
        Err("service account token has expired")
    } else if now.saturating_add(LEEWAY) < at("nbf") {
        Err("service account token is not valid yet")
    } else if now.saturating_add(LEEWAY) < at("iat") {
        Err("service account token is issued in the future")
    } else {
        Ok(())
    }
}

/// The account that a token speaks of, if all that it is bound to is still there.
fn account(server: &Server, claims: &Value) -> Result<User, String> {
    let text = |at: &str| {
        claims.pointer(&format!("/kubernetes.io/{at}")).and_then(Value::as_str).unwrap_or_default()
    };
    let namespace = text("namespace");
    let (name, uid) = (text("serviceaccount/name"), text("serviceaccount/uid"));
    let Some(account) = find(server, "serviceaccounts", namespace, name) else {
        return Err(format!("serviceaccounts \"{name}\" not found"));
    };
    if *account.uid != *uid {
        let found = &account.uid;
        return Err(format!("service account UID ({found}) does not match claim ({uid})"));
    }
    if account.deleting {
        return Err(format!("service account {namespace}/{name} has been deleted"));
    }
    let mut user = User::service_account(namespace, name, uid);
    let mut know = |what: &str, value: String| {
        user.extra.insert(format!("authentication.kubernetes.io/{what}"), vec![value]);
    };
    if let Some(id) = claims.get("jti").and_then(Value::as_str) {
        know("credential-id", format!("JTI={id}"));
    }
    let is_pods = claims.pointer("/kubernetes.io/pod").is_some();
    for (kind, plural, namespace) in
        [("secret", "secrets", namespace), ("pod", "pods", namespace), ("node", "nodes", "")]
    {
        if claims.pointer(&format!("/kubernetes.io/{kind}")).is_none() {
            continue;
        }
        let (name, uid) = (text(&format!("{kind}/name")), text(&format!("{kind}/uid")));
        // A pod's token only tells where the pod is.
        if kind != "node" || !is_pods {
            check_bound(server, kind, plural, namespace, (name, uid))?;
        }
        if kind != "secret" {
            know(&format!("{kind}-name"), name.to_owned());
            if !uid.is_empty() {
                know(&format!("{kind}-uid"), uid.to_owned());
            }
        }
    }
    Ok(user)
}

/// Checks that an object that a token is bound to is still that one.
fn check_bound(
    server: &Server,
    kind: &str,
    plural: &str,
    namespace: &str,
    (name, uid): (&str, &str),
) -> Result<(), String> {
    let gone = || "service account token has been invalidated".to_owned();
    let bound = find(server, plural, namespace, name).ok_or_else(gone)?;
    if *bound.uid != *uid {
        let found = &bound.uid;
        return Err(format!(
            "{kind} UID ({found}) does not match service account {kind} ref claim ({uid})"
        ));
    }
    if bound.deleting { Err(gone()) } else { Ok(()) }
}

fn find(
    server: &Server,
    plural: &str,
    namespace: &str,
    name: &str,
) -> Option<std::sync::Arc<Stored>> {
    let served = server.registry.served();
    let resource = served.find("", "v1", plural)?;
    server.store.get(&Key::new(&resource.id, namespace, name))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_are_found_in_headers() {
        let cases = [
            (Some("Bearer secret"), Some("secret")),
            (Some("bearer  secret"), Some("secret")),
            (Some("Bearer "), None),
            (Some("Basic secret"), None),
            (Some("B"), None),
            (None, None),
        ];
        for (header, token) in cases {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(header::AUTHORIZATION, HeaderValue::from_static(header));
            }
            assert_eq!(bearer(&headers), token, "{header:?}");
        }
    }

    #[test]
    fn only_the_token_opens_everything() {
        let credentials = Credentials::new(SigningKey::generate().unwrap());
        assert!(!credentials.is_master("secret"));
        credentials.accept("secret");
        for (token, opens) in [("secret", true), ("secre", false), ("secrets", false), ("", false)]
        {
            assert_eq!(credentials.is_master(token), opens, "{token}");
        }
    }

    #[test]
    fn tokens_have_their_time() {
        let claims = json!({"iat": 1000, "nbf": 1000, "exp": 2000});
        let at = |second| check_times(&claims, Timestamp::from_second(second).unwrap());
        assert_eq!(at(939), Err("service account token is not valid yet"));
        assert_eq!(at(940), Ok(()));
        assert_eq!(at(2060), Ok(()));
        assert_eq!(at(2061), Err("service account token has expired"));
        assert!(check_times(&json!({}), Timestamp::from_second(1000).unwrap()).is_err());
    }
}
