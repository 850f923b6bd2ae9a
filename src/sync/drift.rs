//! Hand edits: whether an object is still as it was left when it was applied, and whose claim a change of it is.
//!
//! Metadata is enough to tell. Whoever changes or removes a field that we applied takes it out of the fields that the API
//! server keeps under our name (KEP-555); whoever adds a field of their own does not touch ours.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use kube::core::ObjectMeta;
use serde_json::Value;

use crate::{
    api::meta,
    model::{Digest, ObjectKey},
};

/// What of an object's metadata tells whether fields of ours were changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Which object of its name it is.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub version: u64,
    /// The fields that we applied, as `fieldsV1`; null when there are none.
    pub ours: Value,
}

impl Trace {
    /// Reads an object's metadata.
    pub fn of(metadata: &ObjectMeta) -> Self {
        let entries = metadata.managed_fields.iter().flatten();
        let ours = entries
            .filter(|entry| entry.manager.as_deref() == Some(meta::GITOPS_MANAGER))
            .filter(|entry| entry.operation.as_deref() == Some("Apply"))
            .find(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
            .and_then(|entry| entry.fields_v1.as_ref().map(|fields| fields.0.clone()));
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            version: metadata
                .resource_version
                .as_deref()
                .and_then(|version| version.parse().ok())
                .unwrap_or_default(),
            ours: ours.unwrap_or_default(),
        }
    }

    /// Reads a whole object.
    pub fn of_object(object: &Value) -> Self {
        let metadata = serde_json::from_value::<ObjectMeta>(object["metadata"].clone());
        Self::of(&metadata.unwrap_or_default())
    }
}

impl Trace {
    /// Returns whether a field, by a path such as `.data.key`, is ours.
    pub fn sets(&self, path: &str) -> bool {
        holds(&self.ours, "", path)
    }
}

/// How an object was left when it was applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Digest of what was applied.
    pub wanted: Digest,
    /// The object after that.
    pub trace: Trace,
}

impl Mark {
    /// Returns the mark of an object that was applied as `wanted` and is `stored` now.
    pub fn new(wanted: &Value, stored: &Value) -> Self {
        Self { wanted: Digest::of(wanted.to_string().as_bytes()), trace: Trace::of_object(stored) }
    }

    /// Returns whether the same was applied.
    pub fn is_of(&self, wanted: &Value) -> bool {
        self.wanted == Digest::of(wanted.to_string().as_bytes())
    }
}

/// How an object is now.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// It is there.
    There(Trace),
    /// The object of this uid is gone.
    Gone(String),
}

/// Somebody changed what is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The object is gone, or another is in its place.
    Deleted,
    /// These fields are somebody else's now, or gone.
    Edited(Vec<String>),
}

/// How many paths are named in words.
const PATHS_MAX: usize = 5;

/// Compares an object with how it was left. What is older than our own write is no news.
pub fn drift(left: &Trace, now: &Sight) -> Option<Drift> {
    match now {
        Sight::Gone(uid) => (*uid == left.uid).then_some(Drift::Deleted),
        Sight::There(now) if now.version <= left.version => None,
        Sight::There(now) if now.uid != left.uid => Some(Drift::Deleted),
        Sight::There(now) if now.ours != left.ours => {
            let mut lost = Vec::new();
            missing(&left.ours, &now.ours, String::new(), &mut lost);
            Some(Drift::Edited(lost))
        }
        Sight::There(_) => None,
    }
}

/// Collects the leaves of `left` that `now` has not.
fn missing(left: &Value, now: &Value, path: String, into: &mut Vec<String>) {
    for (key, inner) in left.as_object().into_iter().flatten() {
        if into.len() >= PATHS_MAX {
            return;
        }
        let path = step(&path, key);
        match now.get(key) {
            Some(held) => missing(inner, held, path, into),
            None if inner.as_object().is_none_or(|inner| inner.keys().all(|key| key == ".")) => {
                into.push(path);
            }
            None => missing(inner, &Value::Null, path, into),
        }
    }
}

/// Returns the path of a member of `fieldsV1`, in the words that API servers name conflicts by.
fn step(path: &str, key: &str) -> String {
    match key.split_once(':') {
        Some(("f", field)) => format!("{path}.{field}"),
        Some(("k", keys)) => match serde_json::from_str(keys) {
            Ok(Value::Object(keys)) => {
                let keys: Vec<String> =
                    keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("{path}[{}]", keys.join(","))
            }
            _ => format!("{path}[{keys}]"),
        },
        Some(("v", value)) => format!("{path}[={value}]"),
        Some((_, index)) => format!("{path}[{index}]"),
        None => path.to_owned(),
    }
}

fn holds(fields: &Value, path: &str, wanted: &str) -> bool {
    fields.as_object().into_iter().flatten().any(|(key, inner)| {
        let here = step(path, key);
        here == wanted || (wanted.starts_with(&here) && holds(inner, &here, wanted))
    })
}

/// Returns whether an apply that `owners` stand against may take their fields: `owners` as API servers name them,
/// `"kubectl-edit" using v1` for one who wrote by other means than apply.
///
/// An edit of fields that were ours is taken back, whoever made it. When we cannot know, because the process is new, only what a person did with kubectl to an object of ours is. What somebody else applies is a claim as good as
/// ours: it is theirs until people have settled it.
pub fn takes_back<'a>(
    owners: impl IntoIterator<Item = &'a str>,
    fields_were_ours: bool,
    object_is_ours: bool,
) -> bool {
    owners.into_iter().all(|owner| {
        let by_hand = object_is_ours && owner.starts_with("\"kubectl");
        owner.contains("\" using ") && (fields_were_ours || by_hand)
    })
}

/// So often an object is put back …
const PUT_BACK_MAX: usize = 3;
/// … within so long; then it is left to whoever changes it, until this time has passed.
const PUT_BACK_WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// How often objects were put back lately: a fight with somebody who changes them again must end.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    lately: BTreeMap<ObjectKey, VecDeque<Timestamp>>,
}

impl Patience {
    /// Notes that an object is put back now.
    ///
    /// # Errors
    /// When this was done too often lately; then, until when it is left alone.
    pub fn put_back(&mut self, key: &ObjectKey, now: Timestamp) -> Result<(), Timestamp> {
        let past = |at: &Timestamp| now.duration_since(*at) >= PUT_BACK_WINDOW;
        self.lately.retain(|_, times| {
            times.retain(|at| !past(at));
            !times.is_empty()
        });
        let times = self.lately.entry(key.clone()).or_default();
        match times.front() {
            Some(first) if times.len() >= PUT_BACK_MAX => Err(*first + PUT_BACK_WINDOW),
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(version: &str, uid: &str, entries: Value) -> Value {
        json!({"metadata": {"uid": uid, "resourceVersion": version, "managedFields": entries}})
    }

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn only_what_touches_our_fields_is_drift() {
        let all = json!({"f:data": {"f:a": {}, "f:b": {}}});
        let ours = entry("tidegate", "Apply", all.clone());
        let left = Trace::of_object(&object("5", "u", json!([ours])));
        let theirs = json!({"f:data": {"f:b": {}}});
        let edited = || Some(Drift::Edited(vec![".data.b".to_owned()]));
        for (case, version, uid, entries, wanted) in [
            ("nothing", "5", "u", json!([ours]), None),
            ("an older one", "4", "u", json!([]), None),
            (
                "a field of somebody's own",
                "6",
                "u",
                json!([
                    ours,
                    entry("x", "Update", json!({"f:metadata": {"f:labels": {"f:x": {}}}}))
                ]),
                None,
            ),
            (
                "the same value, applied by another",
                "6",
                "u",
                json!([ours, entry("x", "Apply", theirs.clone())]),
                None,
            ),
            (
                "an edit",
                "6",
                "u",
                json!([
                    entry("tidegate", "Apply", json!({"f:data": {"f:a": {}}})),
                    entry("x", "Update", theirs.clone())
                ]),
                edited(),
            ),
            (
                "a removal",
                "6",
                "u",
                json!([entry("tidegate", "Apply", json!({"f:data": {"f:a": {}}}))]),
                edited(),
            ),
            ("another object of the name", "6", "v", json!([]), Some(Drift::Deleted)),
            (
                "our own other writes",
                "6",
                "u",
                json!([ours, entry("tidegate", "Update", json!({"f:spec": {"f:state": {}}}))]),
                None,
            ),
        ] {
            let now = Trace::of_object(&object(version, uid, entries));
            assert_eq!(drift(&left, &Sight::There(now)), wanted, "{case}");
        }
        assert_eq!(drift(&left, &Sight::Gone("u".into())), Some(Drift::Deleted));
        assert_eq!(drift(&left, &Sight::Gone("earlier".into())), None);
    }

    #[test]
    fn fields_are_named_as_api_servers_do() {
        let ours = json!({
            "f:metadata": {"f:labels": {"f:a.b/c": {}}, "f:finalizers": {".": {}, "v:\"x\"": {}}},
            "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}},
        });
        let trace = Trace { ours, ..Trace::default() };
        for (path, wanted) in [
            (".metadata.labels.a.b/c", true),
            (".metadata.labels.a", false),
            (".metadata.finalizers", true),
            (".metadata.finalizers[=\"x\"]", true),
            (".spec.ports[port=80,protocol=\"TCP\"]", true),
            (".spec.ports[port=80,protocol=\"TCP\"].name", true),
            (".spec.ports[port=81,protocol=\"TCP\"].name", false),
            (".spec.replicas", false),
        ] {
            assert_eq!(trace.sets(path), wanted, "{path}");
        }
        let mut lost = Vec::new();
        missing(&trace.ours, &json!({}), String::new(), &mut lost);
        assert!(
            lost.contains(&".spec.ports[port=80,protocol=\"TCP\"].name".to_owned()),
            "{lost:?}"
        );
    }

    #[test]
    fn an_object_without_fields_of_ours_can_only_be_deleted() {
        let left = Trace::of_object(&object("5", "u", Value::Null));
        let now = Trace::of_object(&object("9", "u", json!([entry("x", "Update", json!({}))])));
        assert_eq!(drift(&left, &Sight::There(now)), None);
    }

    #[test]
    fn edits_are_taken_back_and_claims_are_not() {
        for (owners, just_so, ours, wanted) in [
            (vec!["\"kubectl-edit\" using v1"], true, true, true),
            (vec!["\"kubectl-edit\" using v1"], false, true, true),
            (vec!["\"kubectl-edit\" using v1"], false, false, false),
            (vec!["\"hpa\" with subresource \"scale\" using apps/v1"], true, true, true),
            (vec!["\"hpa\" with subresource \"scale\" using apps/v1"], false, true, false),
            (vec!["\"argocd\""], true, true, false),
            (vec!["\"kubectl\""], true, true, false),
            (vec!["\"kubectl-edit\" using v1", "\"argocd\""], true, true, false),
        ] {
            assert_eq!(
                takes_back(owners.clone(), just_so, ours),
                wanted,
                "{owners:?} {just_so} {ours}"
            );
        }
    }

    #[test]
    fn a_fight_ends() {
        let at = |seconds: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let key = |name: &str| ObjectKey { name: name.into(), ..ObjectKey::default() };
        let mut patience = Patience::default();
        for seconds in 0..3 {
            assert_eq!(patience.put_back(&key("a"), at(seconds)), Ok(()));
        }
        assert_eq!(patience.put_back(&key("a"), at(3)), Err(at(600)));
        assert_eq!(patience.put_back(&key("b"), at(3)), Ok(()), "another object");
        assert_eq!(patience.put_back(&key("a"), at(600)), Ok(()), "the first is long past");
        assert_eq!(patience.put_back(&key("a"), at(600)), Err(at(601)));
        patience.put_back(&key("c"), at(10_000)).unwrap();
        assert_eq!(patience.lately.len(), 1, "what is past is forgotten");
    }
}
