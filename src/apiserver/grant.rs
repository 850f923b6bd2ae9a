//! Whether rules of `rbac.authorization.k8s.io` grant no more than others do, and what they grant beyond.

use std::collections::BTreeSet;

use serde_json::Value;

use super::builtin::value::list;

/// One verb on one thing: what rules are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Grant {
    /// On a resource, of one name or of any.
    Resource { group: String, resource: String, name: Option<String>, verb: String },
    /// On a path outside the API.
    Path { path: String, verb: String },
}

/// What `wanted` grants and `held` does not, as people are told: a line for each resource, in order.
pub(super) fn beyond(held: &[Value], wanted: &[Value]) -> Vec<String> {
    let missing: Vec<Grant> = wanted
        .iter()
        .flat_map(grants)
        .filter(|grant| !held.iter().any(|rule| covers(rule, grant)))
        .collect();
    told(&missing)
}

fn texts<'v>(rule: &'v Value, field: &str) -> Vec<&'v str> {
    list(rule, field).iter().filter_map(Value::as_str).collect()
}

fn grants(rule: &Value) -> Vec<Grant> {
    let mut grants = Vec::new();
    let (verbs, names) = (texts(rule, "/verbs"), texts(rule, "/resourceNames"));
    let names: Vec<Option<&str>> = match names.as_slice() {
        [] => vec![None],
        names => names.iter().map(|name| Some(*name)).collect(),
    };
    for group in texts(rule, "/apiGroups") {
        for resource in texts(rule, "/resources") {
            for verb in &verbs {
                grants.extend(names.iter().map(|name| Grant::Resource {
                    group: group.to_owned(),
                    resource: resource.to_owned(),
                    name: name.map(str::to_owned),
                    verb: (*verb).to_owned(),
                }));
            }
        }
    }
    for path in texts(rule, "/nonResourceURLs") {
        grants.extend(
            verbs
                .iter()
                .map(|verb| Grant::Path { path: path.to_owned(), verb: (*verb).to_owned() }),
        );
    }
    grants
}

/// Whether one rule grants that much. A star is more than everything that has a name.
fn covers(rule: &Value, grant: &Grant) -> bool {
    let has = |field: &str, wanted: &str| {
        texts(rule, field).iter().any(|given| *given == "*" || *given == wanted)
    };
    match grant {
        Grant::Resource { group, resource, name, verb } => {
            let part = resource.split_once('/').map(|(_, part)| format!("*/{part}"));
            let names = texts(rule, "/resourceNames");
            let is_named = name.as_deref().is_some_and(|name| names.contains(&name));
            has("/verbs", verb)
                && has("/apiGroups", group)
                && (has("/resources", resource)
                    || part.is_some_and(|part| texts(rule, "/resources").contains(&&*part)))
                && (names.is_empty() || is_named)
        }
        Grant::Path { path, verb } => {
            let leads_there = |given: &&str| match given.strip_suffix('*') {
                Some(start) => path.starts_with(start),
                None => *given == path,
            };
            has("/verbs", verb) && texts(rule, "/nonResourceURLs").iter().any(leads_there)
        }
    }
}

/// Grants on the same thing in one line, as kube-apiserver prints rules.
fn told(missing: &[Grant]) -> Vec<String> {
    let mut things: Vec<(String, Vec<&str>)> = Vec::new();
    for grant in missing {
        let (thing, verb) = match grant {
            Grant::Resource { group, resource, name, verb } => {
                let name = name.as_ref().map(|name| format!(", ResourceNames:[{name:?}]"));
                let name = name.unwrap_or_default();
                (format!("APIGroups:[{group:?}], Resources:[{resource:?}]{name}"), verb)
            }
            Grant::Path { path, verb } => (format!("NonResourceURLs:[{path:?}]"), verb),
        };
        let is_path = matches!(grant, Grant::Path { .. });
        match things.iter_mut().find(|(of, _)| *of == thing && !is_path) {
            Some((_, verbs)) if verbs.contains(&verb.as_str()) => {}
            Some((_, verbs)) => verbs.push(verb),
            None => things.push((thing, vec![verb])),
        }
    }
    let line = |(thing, verbs): (String, Vec<&str>)| {
        let verbs: Vec<String> = verbs.iter().map(|verb| format!("{verb:?}")).collect();
        format!("{{{thing}, Verbs:[{}]}}", verbs.join(" "))
    };
    let lines: BTreeSet<String> = things.into_iter().map(line).collect();
    lines.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_held_is_not_missing() {
        let held = [
            json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps", "*/scale"]}),
            json!({"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"]}),
            json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]}),
            json!({"verbs": ["get"], "nonResourceURLs": ["/healthz*"]}),
        ];
        let wanted = |rule: Value| beyond(&held, &[rule]);
        let rule = |verbs: &[&str], group: &str, resource: &str| json!({"verbs": verbs, "apiGroups": [group], "resources": [resource]});
        assert!(wanted(rule(&["get", "list"], "", "configmaps")).is_empty());
        assert!(wanted(rule(&["list"], "", "things/scale")).is_empty());
        assert!(wanted(rule(&["*"], "apps", "deployments")).is_empty());
        assert!(wanted(json!({"verbs": ["get"], "nonResourceURLs": ["/healthz/ping"]})).is_empty());
        assert_eq!(
            wanted(rule(&["get", "watch", "delete"], "", "configmaps")),
            [r#"{APIGroups:[""], Resources:["configmaps"], Verbs:["watch" "delete"]}"#]
        );
        assert_eq!(
            wanted(rule(&["*"], "", "configmaps")),
            [r#"{APIGroups:[""], Resources:["configmaps"], Verbs:["*"]}"#]
        );
        assert_eq!(wanted(rule(&["get"], "", "secrets")).len(), 1);
        let mut named = rule(&["get"], "", "secrets");
        named["resourceNames"] = json!(["a", "b"]);
        assert_eq!(
            wanted(named),
            [r#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}"#]
        );
        assert_eq!(
            wanted(json!({"verbs": ["get"], "nonResourceURLs": ["*"]})),
            [r#"{NonResourceURLs:["*"], Verbs:["get"]}"#]
        );
    }
}
