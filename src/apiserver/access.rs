//! What somebody may do: the roles of `rbac.authorization.k8s.io`, read as kube-apiserver reads them.

use std::collections::BTreeSet;

use http::{Method, request::Parts};
use serde_json::{Value, json};

use super::{
    builtin::{
        admission::label_selector_matches,
        value::{list, text},
    },
    failure::Failure,
    query::{Query, decode_path},
    route::{ResourcePath, Route},
    server::Server,
    store::Range,
    user::User,
};

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// Something with a resource. Empty texts: all of them.
    Resource { verb: String, group: String, resource: String, name: String, namespace: String },
    /// Something with a path outside the API.
    Path { verb: String, path: String },
}

/// Whether it is allowed, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub allowed: bool,
    pub reason: String,
}

/// Refuses a request that its user may not make.
pub(super) fn admit(
    server: &Server,
    user: &User,
    route: Option<&Route<'_>>,
    parts: &Parts,
) -> Result<(), Failure> {
    if user.is_master() {
        return Ok(());
    }
    let wish = wish(route, parts);
    let verdict = judge(server, user, &wish);
    if verdict.allowed { Ok(()) } else { Err(refusal(user, &wish, &verdict.reason)) }
}

/// Refuses to let `user` make a request in the name of `other`, unless a role allows it.
pub(super) fn may_stand_in(
    server: &Server,
    user: &User,
    other: &User,
    route: Option<&Route<'_>>,
    parts: &Parts,
) -> Result<(), Failure> {
    let mut wishes = impersonation(other).into_iter();
    let refused = wishes.find_map(|wish| {
        let verdict = judge(server, user, &wish);
        (!verdict.allowed).then_some((wish, verdict.reason))
    });
    let Some((refused, reason)) = refused else { return Ok(()) };
    let is_about_others =
        |rule: &Value| list(rule, "/verbs").iter().any(|verb| verb == "impersonate" || verb == "*");
    if rules(server, user, "").iter().any(is_about_others) {
        return Err(refusal(user, &refused, &reason));
    }
    // Who may stand in for nobody is told what kube-apiserver asks last: whether this very request may be made in the
    // name of somebody like that.
    let kind = match other.account() {
        Some(_) => "serviceaccount",
        None => "user-info",
    };
    let mut wish = wish(route, parts);
    let (Wish::Resource { verb, .. } | Wish::Path { verb, .. }) = &mut wish;
    *verb = format!("impersonate-on:{kind}:{verb}");
    Err(refusal(user, &wish, ""))
}

/// All that standing in for somebody takes.
fn impersonation(other: &User) -> Vec<Wish> {
    let wish = |group: &str, resource: &str, name: &str, namespace: &str| Wish::Resource {
        verb: "impersonate".to_owned(),
        group: group.to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    };
    let mut wishes = vec![match other.account() {
        Some((namespace, name)) => wish("", "serviceaccounts", name, namespace),
        None => wish("", "users", &other.name, ""),
    }];
    wishes.extend(other.groups.iter().map(|group| wish("", "groups", group, "")));
    if !other.uid.is_empty() {
        wishes.push(wish("authentication.k8s.io", "uids", &other.uid, ""));
    }
    for (key, values) in &other.extra {
        let resource = format!("userextras/{key}");
        wishes.extend(values.iter().map(|v| wish("authentication.k8s.io", &resource, v, "")));
    }
    wishes
}

fn wish(route: Option<&Route<'_>>, parts: &Parts) -> Wish {
    match route {
        Some(Route::Resource(path)) => wish_of(path, parts),
        _ => Wish::Path {
            verb: parts.method.as_str().to_lowercase(),
            path: parts.uri.path().to_owned(),
        },
    }
}

/// What a request for resources wants.
fn wish_of(path: &ResourcePath<'_>, parts: &Parts) -> Wish {
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let watches = path.watch || query.is_on("watch");
    let verb = match (&parts.method, path.name) {
        (&Method::GET | &Method::HEAD, None) if watches => "watch",
        (&Method::GET | &Method::HEAD, None) => "list",
        (&Method::GET | &Method::HEAD, Some(_)) if path.watch => "watch",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, None) => "deletecollection",
        (&Method::DELETE, Some(_)) => "delete",
        _ => "get",
    };
    let mut resource = path.plural.to_owned();
    if let Some(part) = path.subresource {
        resource = format!("{resource}/{part}");
    }
    let text = |part: Option<&str>| part.map(decode_path).unwrap_or_default();
    let name = text(path.name);
    // A namespace lies in itself.
    let namespace = match (path.plural, path.group, path.namespace) {
        ("namespaces", "", None) => name.clone(),
        (_, _, namespace) => text(namespace),
    };
    Wish::Resource {
        verb: verb.to_owned(),
        group: path.group.to_owned(),
        resource,
        name,
        namespace,
    }
}

fn refusal(user: &User, wish: &Wish, reason: &str) -> Failure {
    let name = &user.name;
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    match wish {
        Wish::Path { verb, path } => Failure::not_allowed(
            "",
            "",
            "",
            &format!("User \"{name}\" cannot {verb} path \"{path}\"{reason}"),
        ),
        Wish::Resource { verb, group, resource, name: of, namespace } => {
            let place = match namespace.as_str() {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace \"{namespace}\""),
            };
            let why = format!(
                "User \"{name}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}{reason}"
            );
            let plural = resource.split('/').next().unwrap_or_default();
            Failure::not_allowed(group, plural, of, &why)
        }
    }
}

/// Judges by the roles and bindings that are stored.
pub(super) fn judge(server: &Server, who: &User, what: &Wish) -> Verdict {
    if who.is_master() {
        return Verdict { allowed: true, reason: String::new() };
    }
    let mut missing = Vec::new();
    let namespaces = match what {
        Wish::Resource { namespace, .. } if !namespace.is_empty() => vec!["", namespace.as_str()],
        _ => vec![""],
    };
    for namespace in namespaces {
        for binding in bindings(server, namespace) {
            let subjects = list(&binding, "/subjects");
            let Some(subject) = subjects.iter().find(|s| is_subject(s, who, namespace)) else {
                continue;
            };
            let (kind, name) = (text(&binding, "/roleRef/kind"), text(&binding, "/roleRef/name"));
            let Some(role) = role(server, kind, name, namespace) else {
                let resource = format!("{}.rbac.authorization.k8s.io", kind.to_lowercase());
                missing.push(format!("{resource} \"{name}\" not found"));
                continue;
            };
            if gathered(server, &role).iter().any(|rule| permits(rule, what)) {
                let reason = reason(&binding, subject, namespace);
                return Verdict { allowed: true, reason };
            }
        }
    }
    let reason = match missing.as_slice() {
        [] => String::new(),
        [one] => format!("RBAC: {one}"),
        several => format!("RBAC: [{}]", several.join(", ")),
    };
    Verdict { allowed: false, reason }
}

/// The rules that somebody has in a namespace, with those that hold everywhere.
pub(super) fn rules(server: &Server, who: &User, namespace: &str) -> Vec<Value> {
    let mut rules = Vec::new();
    if who.is_master() {
        rules.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        rules.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    for within in if namespace.is_empty() { vec![""] } else { vec!["", namespace] } {
        for binding in bindings(server, within) {
            if list(&binding, "/subjects").iter().any(|subject| is_subject(subject, who, within)) {
                let (kind, name) =
                    (text(&binding, "/roleRef/kind"), text(&binding, "/roleRef/name"));
                let role = role(server, kind, name, within).unwrap_or_default();
                rules.extend(gathered(server, &role));
            }
        }
    }
    rules
}

/// The rules of a role, with those of the roles that it is made of. None when there is no such role.
pub(super) fn rules_of(
    server: &Server,
    kind: &str,
    name: &str,
    namespace: &str,
) -> Option<Vec<Value>> {
    role(server, kind, name, namespace).map(|role| gathered(server, &role))
}

/// The bindings of a namespace; without one, those that hold everywhere.
fn bindings(server: &Server, namespace: &str) -> Vec<Value> {
    let plural = if namespace.is_empty() { "clusterrolebindings" } else { "rolebindings" };
    objects(server, plural, namespace)
}

fn role(server: &Server, kind: &str, name: &str, namespace: &str) -> Option<Value> {
    let (plural, namespace) = match kind {
        "ClusterRole" => ("clusterroles", ""),
        _ => ("roles", namespace),
    };
    let mut roles = objects(server, plural, namespace).into_iter();
    roles.find(|role| text(role, "/metadata/name") == name)
}

/// The rules of a role, with those of the roles that it is made of: there may be no controller that writes them down.
fn gathered(server: &Server, role: &Value) -> Vec<Value> {
    let mut rules = list(role, "/rules").to_vec();
    let selectors = |role: &Value| list(role, "/aggregationRule/clusterRoleSelectors").to_vec();
    let (mut open, mut taken) = (selectors(role), BTreeSet::new());
    if open.is_empty() {
        return rules;
    }
    let all = objects(server, "clusterroles", "");
    while let Some(selector) = open.pop() {
        for part in &all {
            let labels = part.pointer("/metadata/labels").unwrap_or(&Value::Null);
            if label_selector_matches(&selector, labels)
                && taken.insert(text(part, "/metadata/name"))
            {
                rules.extend(list(part, "/rules").to_vec());
                open.extend(selectors(part));
            }
        }
    }
    rules
}

fn objects(server: &Server, plural: &str, namespace: &str) -> Vec<Value> {
    let served = server.registry.served();
    let Some(resource) = served.find("rbac.authorization.k8s.io", "v1", plural) else {
        return Vec::new();
    };
    let within = (!namespace.is_empty()).then(|| namespace.to_owned());
    let range = Range { namespace: within, ..Range::default() };
    let page = server.store.list(&resource.id, &range);
    page.map(|page| page.objects.iter().map(|o| o.value()).collect()).unwrap_or_default()
}

/// Whether a subject of a binding is this one. Accounts without a namespace are of the binding's.
fn is_subject(subject: &Value, who: &User, namespace: &str) -> bool {
    let name = text(subject, "/name");
    match text(subject, "/kind") {
        "User" => who.name == name,
        "Group" => who.groups.iter().any(|group| group == name),
        "ServiceAccount" => {
            let of = match text(subject, "/namespace") {
                "" => namespace,
                of => of,
            };
            !of.is_empty() && who.name == format!("system:serviceaccount:{of}:{name}")
        }
        _ => false,
    }
}

fn permits(rule: &Value, what: &Wish) -> bool {
    let has = |field: &str, wanted: &dyn Fn(&str) -> bool| {
        list(rule, field)
            .iter()
            .filter_map(Value::as_str)
            .any(|given| given == "*" || wanted(given))
    };
    match what {
        Wish::Resource { verb, group, resource, name, .. } => {
            let names = list(rule, "/resourceNames");
            has("/verbs", &|given| given == verb)
                && has("/apiGroups", &|given| given == group)
                && has("/resources", &|given| is_resource(given, resource))
                && (names.is_empty() || names.iter().any(|given| given == name.as_str()))
        }
        Wish::Path { verb, path } => {
            has("/verbs", &|given| given == verb)
                && has("/nonResourceURLs", &|given| match given.strip_suffix('*') {
                    Some(start) => path.starts_with(start),
                    None => given == path,
                })
        }
    }
}

/// `*/scale` stands for that part of every resource.
fn is_resource(given: &str, wanted: &str) -> bool {
    let of_all = given.strip_prefix("*/");
    given == wanted
        || of_all.is_some_and(|part| wanted.split_once('/').is_some_and(|(_, of)| of == part))
}

fn reason(binding: &Value, subject: &Value, namespace: &str) -> String {
    let name = text(binding, "/metadata/name");
    let this = match namespace {
        "" => format!("ClusterRoleBinding \"{name}\""),
        namespace => format!("RoleBinding \"{name}/{namespace}\""),
    };
    let (kind, of) = (text(subject, "/kind"), text(subject, "/name"));
    let within = match text(subject, "/namespace") {
        "" => namespace,
        within => within,
    };
    let whom = match (kind, within) {
        ("ServiceAccount", within) => format!("{kind} \"{of}/{within}\""),
        _ => format!("{kind} \"{of}\""),
    };
    let (role, role_name) = (text(binding, "/roleRef/kind"), text(binding, "/roleRef/name"));
    format!("RBAC: allowed by {this} of {role} \"{role_name}\" to {whom}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_permit_what_they_name() {
        let wish = |verb: &str, resource: &str, name: &str| Wish::Resource {
            verb: verb.to_owned(),
            group: "apps".to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
            namespace: "n".to_owned(),
        };
        let rule = json!({
            "verbs": ["get", "update"], "apiGroups": ["apps"], "resources": ["deployments", "*/scale"],
        });
        assert!(permits(&rule, &wish("get", "deployments", "a")));
        assert!(permits(&rule, &wish("update", "statefulsets/scale", "a")));
        assert!(!permits(&rule, &wish("delete", "deployments", "a")));
        assert!(!permits(&rule, &wish("get", "deployments/status", "a")));
        let named = json!({
            "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["a"],
        });
        assert!(permits(&named, &wish("delete", "deployments", "a")));
        assert!(!permits(&named, &wish("list", "deployments", "")));
        let path = |path: &str| Wish::Path { verb: "get".to_owned(), path: path.to_owned() };
        let rule = json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/openapi/*"]});
        assert!(permits(&rule, &path("/openapi/v3")));
        assert!(permits(&rule, &path("/healthz")));
        assert!(!permits(&rule, &path("/healthz/ping")));
    }

    #[test]
    fn subjects_are_users_groups_and_accounts() {
        let who = User {
            name: "system:serviceaccount:n:robot".to_owned(),
            groups: vec!["system:serviceaccounts".to_owned()],
            ..User::default()
        };
        let is = |subject: Value, namespace: &str| is_subject(&subject, &who, namespace);
        assert!(is(json!({"kind": "User", "name": "system:serviceaccount:n:robot"}), ""));
        assert!(is(json!({"kind": "Group", "name": "system:serviceaccounts"}), ""));
        assert!(is(json!({"kind": "ServiceAccount", "name": "robot", "namespace": "n"}), ""));
        assert!(is(json!({"kind": "ServiceAccount", "name": "robot"}), "n"));
        assert!(!is(json!({"kind": "ServiceAccount", "name": "robot"}), "other"));
        assert!(!is(json!({"kind": "ServiceAccount", "name": "robot"}), ""));
    }
}
