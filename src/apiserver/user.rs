//! Who asks: the one who has the token, or whoever that one stands in for.

use std::collections::BTreeMap;

use http::HeaderMap;

use super::{failure::Failure, query::decode_path};

/// A user of the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The identity beside the name, where there is one.
    pub uid: String,
    /// The groups that the user belongs to.
    pub groups: Vec<String>,
    /// What else is known.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Members of this group may do everything.
const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";
const ANONYMOUS: &str = "system:anonymous";

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

impl User {
    /// Whoever has the token, who may do everything.
    pub(super) fn admin() -> User {
        let groups = [MASTERS, AUTHENTICATED].map(str::to_owned).into();
        User { name: "admin".to_owned(), groups, ..User::default() }
    }

    /// Whether the user may do everything.
    pub(super) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }

    /// An account of a namespace's, who shows a token.
    pub(super) fn service_account(namespace: &str, name: &str, uid: &str) -> User {
        let mut groups = groups_of_accounts(namespace);
        groups.push(AUTHENTICATED.to_owned());
        User {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            uid: uid.to_owned(),
            groups,
            ..User::default()
        }
    }

    /// The one that a request is to be made in the name of, with no more than its headers say.
    ///
    /// # Errors
    /// 400 when the headers name groups and no user.
    pub(super) fn named_in(headers: &HeaderMap) -> Result<Option<User>, Failure> {
        let values = |name: &str| -> Vec<String> {
            let all = headers.get_all(name).iter();
            all.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
        };
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for header in headers.keys() {
            if let Some(key) = header.as_str().strip_prefix(EXTRA) {
                extra.entry(decode_path(key)).or_default().extend(values(header.as_str()));
            }
        }
        let name = values(USER).into_iter().next().unwrap_or_default();
        let (groups, uid) = (values(GROUP), values(UID).into_iter().next().unwrap_or_default());
        if !name.is_empty() {
            return Ok(Some(User { name, uid, groups, extra }));
        }
        if groups.is_empty() && uid.is_empty() && extra.is_empty() {
            return Ok(None);
        }
        let nobody = User { name, uid, groups, extra };
        Err(Failure::bad_request(format!(
            "requested {} without impersonating a user name",
            nobody.as_go_prints_it()
        )))
    }

    /// The user with the groups that everybody of that name belongs to.
    pub(super) fn with_implied_groups(mut self) -> User {
        if self.groups.is_empty()
            && let Some((namespace, _)) = self.account()
        {
            self.groups = groups_of_accounts(namespace);
        }
        let has = |group: &str| self.groups.iter().any(|given| given == group);
        let implied = match self.name.as_str() {
            ANONYMOUS => (!has(UNAUTHENTICATED)).then_some(UNAUTHENTICATED),
            _ => (!has(AUTHENTICATED) && !has(UNAUTHENTICATED)).then_some(AUTHENTICATED),
        };
        self.groups.extend(implied.map(str::to_owned));
        self
    }

    fn as_go_prints_it(&self) -> String {
        let list = |texts: &[String]| {
            let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
            match quoted.as_slice() {
                [] => "[]string(nil)".to_owned(),
                quoted => format!("[]string{{{}}}", quoted.join(", ")),
            }
        };
        let extra: Vec<String> =
            self.extra.iter().map(|(key, values)| format!("{key:?}:{}", list(values))).collect();
        let extra = match extra.as_slice() {
            [] => "(nil)".to_owned(),
            extra => format!("{{{}}}", extra.join(", ")),
        };
        let User { name, uid, groups, .. } = self;
        format!(
            "&user.DefaultInfo{{Name:{name:?}, UID:{uid:?}, Groups:{}, Extra:map[string][]string{extra}}}",
            list(groups)
        )
    }

    /// Namespace and name of the account that the user is, if it is one.
    pub(super) fn account(&self) -> Option<(&str, &str)> {
        service_account(&self.name)
    }
}

/// Namespace and name of the account that a user's name stands for.
fn service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

/// The groups that the accounts of a namespace belong to.
fn groups_of_accounts(namespace: &str) -> Vec<String> {
    vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn standing_in(headers: &[(&'static str, &'static str)]) -> Result<User, Failure> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let named = User::named_in(&map)?;
        Ok(named.map_or_else(User::admin, User::with_implied_groups))
    }

    #[test]
    fn headers_say_for_whom_one_stands_in() {
        assert_eq!(standing_in(&[]), Ok(User::admin()));
        let ann = standing_in(&[
            (USER, "ann"),
            (GROUP, "dev"),
            (GROUP, "ops"),
            (UID, "7"),
            ("impersonate-extra-a%2fb", "c"),
        ])
        .unwrap();
        assert_eq!((ann.name.as_str(), ann.uid.as_str()), ("ann", "7"));
        assert_eq!(ann.groups, ["dev", "ops", AUTHENTICATED]);
        assert_eq!(ann.extra["a/b"], ["c"]);
        let robot = standing_in(&[(USER, "system:serviceaccount:n:robot")]).unwrap();
        assert_eq!(
            robot.groups,
            ["system:serviceaccounts", "system:serviceaccounts:n", AUTHENTICATED]
        );
        assert_eq!(standing_in(&[(USER, ANONYMOUS)]).unwrap().groups, [UNAUTHENTICATED]);
        assert!(standing_in(&[(GROUP, "dev")]).is_err());
    }
}
