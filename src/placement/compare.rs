//! How an object on a member differs from its manifest (fleet-semantics §7.5).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::merge::{Lists, three_way};

/// How many differences are reported of one object.
const MOST: usize = 100;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    /// A JSON pointer.
    pub path: String,
    /// What the member has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_in_member: Option<String>,
    /// What the manifest has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_in_hub: Option<String>,
}

const METADATA: &[&str] = &[
    "name",
    "namespace",
    "generateName",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "uid",
    "resourceVersion",
    "generation",
    "selfLink",
    "managedFields",
    "ownerReferences",
    "finalizers",
];
const RESERVED: &[&str] = &["kubernetes.io/", "k8s.io/", "kubernetes-fleet.io/"];

/// Returns an object without what does not count when two are compared: its identity, what the API server keeps in its
/// metadata, reserved labels and annotations, and its status.
pub fn relevant(object: &Value) -> Value {
    let mut object = object.clone();
    let Value::Object(root) = &mut object else { return object };
    root.remove("status");
    if let Some(Value::Object(metadata)) = root.get_mut("metadata") {
        for field in METADATA {
            metadata.remove(*field);
        }
        for field in ["labels", "annotations"] {
            if let Some(Value::Object(map)) = metadata.get_mut(field) {
                map.retain(|key, _| !RESERVED.iter().any(|domain| key.contains(domain)));
                if map.is_empty() {
                    metadata.remove(field);
                }
            }
        }
    }
    object
}

/// Stands for the value of a whole object that the member does not have.
const WHOLE: &str = "(the whole object)";
/// Stands for a value of a Secret.
const REDACTED: &str = "(redacted for security reasons)";

/// Returns the differences between a manifest and what the member has, which may be nothing.
pub fn report(manifest: &Value, live: Option<&Value>, full: bool) -> Vec<Detail> {
    match live {
        Some(live) => differences(manifest, live, full),
        None => vec![Detail {
            path: "/".to_owned(),
            value_in_member: None,
            value_in_hub: Some(WHOLE.to_owned()),
        }],
    }
}

/// Returns the differences between a manifest and the object on the member. `full` counts what only the member has.
pub fn differences(manifest: &Value, live: &Value, full: bool) -> Vec<Detail> {
    let is_secret = manifest["kind"] == "Secret" && manifest["apiVersion"] == "v1";
    let (manifest, live) = (comparable(manifest), comparable(live));
    let api_version = manifest.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let hub = match full {
        true => manifest,
        false => three_way(None, &live, &manifest, Lists::of(group)),
    };
    let mut details = Vec::new();
    walk(&live, &hub, &mut String::new(), &mut details);
    if is_secret {
        details.iter_mut().for_each(redact);
    }
    details
}

/// Returns what counts of an object, with labels and annotations in any case: they are told one by one.
fn comparable(object: &Value) -> Value {
    let mut object = relevant(object);
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        for field in ["labels", "annotations"] {
            let held = metadata.entry(field).or_insert(Value::Null);
            if held.is_null() {
                *held = Value::Object(Map::new());
            }
        }
    }
    object
}

/// Statuses and logs are no place for what a Secret holds.
fn redact(detail: &mut Detail) {
    if detail.path.starts_with("/data") || detail.path.starts_with("/stringData") {
        for value in [&mut detail.value_in_member, &mut detail.value_in_hub] {
            if value.is_some() {
                *value = Some(REDACTED.to_owned());
            }
        }
    }
}

fn walk(member: &Value, hub: &Value, path: &mut String, details: &mut Vec<Detail>) {
    if member == hub || details.len() >= MOST {
        return;
    }
    if let (Value::Array(member), Value::Array(hub)) = (member, hub) {
        walk_list(member, hub, path, details);
        return;
    }
    let (Value::Object(member_map), Value::Object(hub_map)) = (member, hub) else {
        details.push(detail(path, Some(member), Some(hub)));
        return;
    };
    let empty = Map::new();
    let only_in_member = member_map.iter().filter(|(key, _)| !hub_map.contains_key(*key));
    for (key, value) in hub_map {
        let length = path.len();
        push(path, key);
        match member_map.get(key) {
            Some(held) => walk(held, value, path, details),
            None if *value == Value::Object(empty.clone()) => {}
            None => details.push(detail(path, None, Some(value))),
        }
        path.truncate(length);
    }
    for (key, value) in only_in_member {
        let length = path.len();
        push(path, key);
        details.push(detail(path, Some(value), None));
        path.truncate(length);
    }
    details.truncate(MOST);
}

/// Compares place by place, as a JSON patch would.
fn walk_list(member: &[Value], hub: &[Value], path: &mut String, details: &mut Vec<Detail>) {
    for place in 0..member.len().max(hub.len()) {
        let length = path.len();
        push(path, &place.to_string());
        match (member.get(place), hub.get(place)) {
            (Some(held), Some(wanted)) => walk(held, wanted, path, details),
            (held, wanted) => details.push(detail(path, held, wanted)),
        }
        path.truncate(length);
    }
    details.truncate(MOST);
}

fn push(path: &mut String, key: &str) {
    path.push('/');
    path.push_str(&key.replace('~', "~0").replace('/', "~1"));
}

fn detail(path: &str, member: Option<&Value>, hub: Option<&Value>) -> Detail {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Detail { path: path.to_owned(), value_in_member: member.map(text), value_in_hub: hub.map(text) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn partial_comparison_looks_at_the_manifests_fields_only() {
        let manifest = json!({"apiVersion": "v1", "metadata": {"name": "a", "labels": {"k8s.io/x": "1"}}, "data": {"a/b": "1", "c": "2"}});
        let live = json!({"apiVersion": "v1", "metadata": {"name": "a", "uid": "u"}, "data": {"a/b": "1", "c": "3", "theirs": "4"}, "status": {}});
        let detail = |path: &str, member: Option<&str>, hub: Option<&str>| Detail {
            path: path.into(),
            value_in_member: member.map(str::to_owned),
            value_in_hub: hub.map(str::to_owned),
        };
        let partial = [detail("/data/c", Some("3"), Some("2"))];
        assert_eq!(differences(&manifest, &live, false), partial);
        let full =
            [detail("/data/c", Some("3"), Some("2")), detail("/data/theirs", Some("4"), None)];
        assert_eq!(differences(&manifest, &live, true), full);
        assert_eq!(differences(&manifest, &manifest, true), []);
        let whole = [detail("/", None, Some("(the whole object)"))];
        assert_eq!(report(&manifest, None, false), whole);
        assert_eq!(report(&manifest, Some(&live), false), partial);
    }

    #[test]
    fn labels_are_told_one_by_one_also_where_the_manifest_has_none() {
        let object = |labels: Value| json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "labels": labels}});
        let found = differences(&object(Value::Null), &object(json!({"foo": "bar"})), true);
        assert_eq!(
            found,
            [Detail {
                path: "/metadata/labels/foo".into(),
                value_in_member: Some("bar".into()),
                value_in_hub: None
            }]
        );
        assert_eq!(differences(&object(json!({})), &object(Value::Null), true), []);
    }

    #[test]
    fn lists_differ_place_by_place() {
        let list =
            |items: Value| json!({"apiVersion": "example.com/v1", "kind": "A", "list": items});
        let paths = |member: Value, hub: Value| -> Vec<String> {
            differences(&list(hub), &list(member), true)
                .into_iter()
                .map(|found| found.path)
                .collect()
        };
        assert_eq!(paths(json!([{"a": 1}, 2]), json!([{"a": 3}, 2])), ["/list/0/a"]);
        assert_eq!(paths(json!([1]), json!([1, 2])), ["/list/1"]);
        assert_eq!(paths(json!([1, 2, 3]), json!([1])), ["/list/1", "/list/2"]);
    }

    #[test]
    fn what_a_secret_holds_is_not_told() {
        let secret = |value: &str, of: &str| {
            json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "a", "labels": {"of": of}}, "data": {"key": value}, "type": "Opaque"})
        };
        let details = differences(&secret("aHVi", "hub"), &secret("bWVtYmVy", "member"), true);
        let text = serde_json::to_string(&details).unwrap();
        assert!(!text.contains("aHVi") && !text.contains("bWVtYmVy"), "{text}");
        assert_eq!(details.len(), 2, "{text}");
        assert!(
            text.contains(r#""path":"/metadata/labels/of","valueInMember":"member""#),
            "{text}"
        );
    }
}
