//! What a member's agent does with one manifest (fleet-semantics §7.4, §7.5).

use serde_json::{Value, json};

use super::{
    canonical,
    compare::{self, Detail},
    merge::{self, Lists},
};
use crate::api::{kind, meta, placement::ApplyStrategy};

/// Field manager of member agents, as Fleet's agents call themselves.
pub const AGENT_MANAGER: &str = "work-api-agent";

/// The size that all annotations of an object may have together.
const ANNOTATION_BYTES: usize = 256 * 1024;

/// The AppliedWork that owns what is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Its name: the work's.
    pub name: String,
    /// Its uid on the member.
    pub uid: String,
}

impl Anchor {
    /// Returns the owner reference from an applied object to its AppliedWork.
    pub fn reference(&self) -> Value {
        json!({
            "apiVersion": kind::APPLIED_WORK.api_version(),
            "kind": kind::APPLIED_WORK.name,
            "name": self.name,
            "uid": self.uid,
            "blockOwnerDeletion": true,
        })
    }
}

/// A manifest, ready to be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// With owner reference and hash, and with the annotation for the next three-way merge, empty if it gets too large.
    pub object: Value,
    /// Hash of the manifest.
    pub hash: String,
    /// Whether the next three-way merge has a base to start from.
    pub has_base: bool,
}

const METADATA: &[&str] = &[
    "ownerReferences",
    "managedFields",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
];

fn is_managed(annotation: &str) -> bool {
    annotation.starts_with("kubernetes-fleet.io/")
        || annotation == "kubectl.kubernetes.io/last-applied-configuration"
        || annotation == "deployment.kubernetes.io/revision"
}

/// Returns the manifest as it is applied.
pub fn prepare(manifest: &Value, anchor: &Anchor) -> Prepared {
    let mut object = manifest.clone();
    if let Value::Object(root) = &mut object {
        root.remove("status");
    }
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        for field in METADATA {
            metadata.remove(*field);
        }
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            annotations.retain(|key, _| !is_managed(key));
        }
    }
    let hash = spec_hash(&object);
    object["metadata"]["annotations"][meta::SPEC_HASH] = json!(hash);
    object["metadata"]["ownerReferences"] = json!([anchor.reference()]);
    let base = canonical::text(&object) + "\n";
    let annotations = object["metadata"]["annotations"].as_object();
    let size: usize =
        annotations.into_iter().flatten().map(|(k, v)| k.len() + v.to_string().len()).sum();
    let has_base = size + meta::LAST_APPLIED.len() + base.len() <= ANNOTATION_BYTES;
    // Empty, where it does not fit: what an earlier manifest left there is no base any more.
    let base = if has_base { base } else { String::new() };
    object["metadata"]["annotations"][meta::LAST_APPLIED] = json!(base);
    Prepared { object, hash, has_base }
}

/// Returns the hash of a manifest without what says who it is and what the system wrote: two manifests with the same
/// hash ask for the same thing.
pub fn spec_hash(manifest: &Value) -> String {
    let mut object = compare::relevant(manifest);
    // Go's setters leave these empty; the hash is of what they leave.
    for (field, empty) in [
        ("annotations", json!({})),
        ("labels", json!({})),
        ("finalizers", json!([])),
        ("managedFields", json!([])),
        ("ownerReferences", json!([])),
    ] {
        if object["metadata"][field].is_null() {
            object["metadata"][field] = empty;
        }
    }
    canonical::sha256(&canonical::text(&object))
}

/// What to do with a manifest.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// There is no such object: create it.
    Create,
    /// Change the object by this merge patch, if it is still as it was read.
    Patch(Value),
    /// Apply the manifest on the server's side.
    ServerSide {
        /// Take fields over from other managers.
        force: bool,
    },
    /// The object is as it should be.
    Nothing,
    /// Leave the object alone.
    Refuse(Refusal),
}

/// Why an object is left alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Fleet's reason.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
    /// How the object differs, before a takeover.
    pub diffs: Vec<Detail>,
    /// How the object differs, after an apply.
    pub drifts: Vec<Detail>,
}

impl Refusal {
    /// Returns a refusal without details.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), diffs: Vec::new(), drifts: Vec::new() }
    }
}

/// Decides what to do with a prepared manifest, given the object on the member. `strategy` has its defaults.
pub fn decide(
    prepared: &Prepared,
    live: Option<&Value>,
    anchor: &Anchor,
    strategy: &ApplyStrategy,
) -> Decision {
    let Some(live) = live else { return Decision::Create };
    if live.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null()) {
        return Decision::Refuse(Refusal::new(
            "ManifestApplyFailed",
            "the object is being deleted; it is applied again when it is gone",
        ));
    }
    let owners = owners(live);
    let ours = owners.iter().any(|owner| text(owner, "uid") == anchor.uid);
    if let Some(refusal) = foreign_owner(&owners, anchor, strategy) {
        return Decision::Refuse(refusal);
    }
    let full = strategy.compares_all();
    if !ours && let Some(refusal) = take_over(prepared, live, strategy, full) {
        return Decision::Refuse(refusal);
    }
    if ours && strategy.when_to_apply.as_deref() == Some("IfNotDrifted") {
        let applied = live.pointer("/metadata/annotations").and_then(|a| a.get(meta::SPEC_HASH));
        let unchanged = applied.and_then(Value::as_str) == Some(&prepared.hash);
        let drifts = compare::differences(&prepared.object, live, full);
        if unchanged && !drifts.is_empty() {
            return Decision::Refuse(Refusal {
                reason: "FoundDrifts",
                message: "found unexpected drift in the object; cannot apply the manifest".into(),
                diffs: Vec::new(),
                drifts,
            });
        }
    }
    let server_side = strategy.kind.as_deref() == Some("ServerSideApply");
    if server_side || !prepared.has_base {
        let config = strategy.server_side_apply_config.as_ref();
        let asked = config.and_then(|config| config.get("force")).and_then(Value::as_bool);
        let force = asked.unwrap_or(false) || !server_side || nobody_else_manages(live);
        return Decision::ServerSide { force };
    }
    client_side(prepared, live)
}

/// Returns whether all fields are the agent's. Who creates an object manages it apart from who applies it, even under the
/// same name: without force, the agent could never change what it has created.
fn nobody_else_manages(live: &Value) -> bool {
    let managers = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut names = managers.into_iter().flatten().map(|held| text(held, "manager"));
    names.all(|name| name == AGENT_MANAGER || name == "before-first-apply")
}

fn client_side(prepared: &Prepared, live: &Value) -> Decision {
    let base = live
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(meta::LAST_APPLIED))
        .and_then(Value::as_str)
        .and_then(|text| serde_json::from_str::<Value>(text).ok());
    let api_version = text(&prepared.object, "apiVersion");
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let merged = merge::three_way(base.as_ref(), live, &prepared.object, Lists::of(group));
    match merge::patch(live, &merged) {
        None => Decision::Nothing,
        Some(mut patch) => {
            // Lists are written as a whole, as they were read.
            patch["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
            Decision::Patch(patch)
        }
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Returns an object's owner references.
pub fn owners(object: &Value) -> Vec<&Value> {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().collect()
}

/// Returns whether an owner reference is to an AppliedWork.
pub fn is_anchor(owner: &Value) -> bool {
    text(owner, "kind") == kind::APPLIED_WORK.name
        && text(owner, "apiVersion").starts_with(kind::PLACEMENT_GROUP)
}

fn foreign_owner(owners: &[&Value], anchor: &Anchor, strategy: &ApplyStrategy) -> Option<Refusal> {
    if owners.iter().any(|owner| is_anchor(owner) && text(owner, "uid") != anchor.uid) {
        return Some(Refusal::new(
            "FailedToTakeOver",
            "the object is already owned by another Fleet AppliedWork object",
        ));
    }
    let others = owners.iter().any(|owner| !is_anchor(owner));
    (others && strategy.allow_co_ownership != Some(true)).then(|| {
        Refusal::new(
            "FailedToTakeOver",
            "the object is already owned by some other sources(s) and co-ownership is disallowed",
        )
    })
}

fn take_over(
    prepared: &Prepared,
    live: &Value,
    strategy: &ApplyStrategy,
    full: bool,
) -> Option<Refusal> {
    match strategy.when_to_take_over.as_deref() {
        Some("Never") => Some(Refusal::new(
            "NotTakenOver",
            "no ownership of the object in the member cluster; takeover is needed",
        )),
        Some("IfNoDiff") => {
            let diffs = compare::differences(&prepared.object, live, full);
            (!diffs.is_empty()).then(|| Refusal {
                diffs,
                ..Refusal::new(
                    "FailedToTakeOver",
                    "cannot take over object: configuration differences are found between the manifest object and the corresponding object in the member cluster",
                )
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor() -> Anchor {
        Anchor {
            name: "test-namespace.example-placement-work".into(),
            uid: "c84f46b5-b171-48e2-9b96-e42454d33e3d".into(),
        }
    }

    fn manifest(value: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"key": value}, "metadata": {"name": "test-cm", "namespace": "test-namespace"}})
    }

    #[test]
    fn a_prepared_manifest_is_what_real_agents_wrote() {
        const HASH: &str = "a86d9a03243fdac757da59939670a9215760bf7e7c551098f9809301cd5470ce";
        let prepared = prepare(&manifest("value2"), &anchor());
        assert_eq!(prepared.hash, HASH);
        let annotations = &prepared.object["metadata"]["annotations"];
        assert_eq!(annotations[meta::SPEC_HASH], HASH);
        assert_eq!(
            annotations[meta::LAST_APPLIED].as_str().unwrap(),
            format!(
                r#"{{"apiVersion":"v1","data":{{"key":"value2"}},"kind":"ConfigMap","metadata":{{"annotations":{{"kubernetes-fleet.io/spec-hash":"{HASH}"}},"name":"test-cm","namespace":"test-namespace","ownerReferences":[{{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","blockOwnerDeletion":true,"kind":"AppliedWork","name":"test-namespace.example-placement-work","uid":"c84f46b5-b171-48e2-9b96-e42454d33e3d"}}]}}}}"#
            ) + "\n"
        );
    }

    fn applied(value: &str) -> Value {
        let mut live = prepare(&manifest(value), &anchor()).object;
        live["metadata"]["resourceVersion"] = json!("7");
        live
    }

    fn strategy(change: Value) -> ApplyStrategy {
        serde_json::from_value::<ApplyStrategy>(change).unwrap().defaulted()
    }

    fn reason(live: &Value, change: Value) -> String {
        let prepared = prepare(&manifest("value2"), &anchor());
        match decide(&prepared, Some(live), &anchor(), &strategy(change)) {
            Decision::Refuse(refusal) => refusal.reason.to_owned(),
            Decision::Patch(_) => "patch".into(),
            Decision::Nothing => "nothing".into(),
            Decision::Create => "create".into(),
            Decision::ServerSide { force } => format!("server side {force}"),
        }
    }

    #[test]
    fn who_owns_an_object_says_whether_it_is_taken_over() {
        let foreign = manifest("value1");
        let same = manifest("value2");
        let managed = |manager: &str| {
            let mut live = foreign.clone();
            live["metadata"]["managedFields"] =
                json!([{"manager": manager, "operation": "Update"}]);
            live
        };
        let owned = |uid: &str, kind: &str| {
            let mut live = applied("value2");
            let group = if kind == "AppliedWork" {
                "placement.kubernetes-fleet.io/v1beta1"
            } else {
                "apps/v1"
            };
            live["metadata"]["ownerReferences"] =
                json!([{"apiVersion": group, "kind": kind, "name": "n", "uid": uid}]);
            live
        };
        for (live, change, want) in [
            (foreign.clone(), json!({}), "patch"),
            (foreign.clone(), json!({"whenToTakeOver": "Never"}), "NotTakenOver"),
            (foreign.clone(), json!({"whenToTakeOver": "IfNoDiff"}), "FailedToTakeOver"),
            (same, json!({"whenToTakeOver": "IfNoDiff"}), "patch"),
            (owned("x", "AppliedWork"), json!({}), "FailedToTakeOver"),
            (owned("x", "AppliedWork"), json!({"allowCoOwnership": true}), "FailedToTakeOver"),
            (owned("x", "Deployment"), json!({}), "FailedToTakeOver"),
            (owned("x", "Deployment"), json!({"allowCoOwnership": true}), "patch"),
            (managed("kubectl"), json!({"type": "ServerSideApply"}), "server side false"),
            (managed(AGENT_MANAGER), json!({"type": "ServerSideApply"}), "server side true"),
            (
                applied("value2"),
                json!({"type": "ServerSideApply", "serverSideApplyConfig": {"force": true}}),
                "server side true",
            ),
        ] {
            assert_eq!(reason(&live, change.clone()), want, "{change} {live}");
        }
    }

    #[test]
    fn what_is_ours_is_kept_as_the_manifest_says() {
        let mut drifted = applied("value2");
        drifted["data"]["key"] = json!("by hand");
        let mut extended = applied("value2");
        extended["data"]["theirs"] = json!("1");
        for (live, change, want) in [
            (applied("value2"), json!({}), "nothing"),
            (applied("value1"), json!({}), "patch"),
            (drifted.clone(), json!({}), "patch"),
            (drifted, json!({"whenToApply": "IfNotDrifted"}), "FoundDrifts"),
            (applied("value1"), json!({"whenToApply": "IfNotDrifted"}), "patch"),
            (extended.clone(), json!({"whenToApply": "IfNotDrifted"}), "nothing"),
            (
                extended,
                json!({"whenToApply": "IfNotDrifted", "comparisonOption": "FullComparison"}),
                "FoundDrifts",
            ),
        ] {
            assert_eq!(reason(&live, change.clone()), want, "{change} {live}");
        }
    }

    #[test]
    fn a_manifest_too_large_for_an_annotation_is_applied_by_the_server() {
        let large = prepare(&manifest(&"x".repeat(ANNOTATION_BYTES)), &anchor());
        assert!(!large.has_base);
        assert_eq!(large.object["metadata"]["annotations"][meta::LAST_APPLIED], "");
        let decision = decide(&large, Some(&applied("value1")), &anchor(), &strategy(json!({})));
        assert_eq!(decision, Decision::ServerSide { force: true });
    }

    #[test]
    fn what_the_system_wrote_is_not_applied() {
        let mut manifest = manifest("value2");
        manifest["status"] = json!({"a": 1});
        manifest["metadata"]["uid"] = json!("u");
        manifest["metadata"]["finalizers"] = json!(["f"]);
        manifest["metadata"]["annotations"] = json!({"kubernetes-fleet.io/x": "1", "deployment.kubernetes.io/revision": "1", "mine": "1"});
        let object = prepare(&manifest, &anchor()).object;
        assert!(object.get("status").is_none() && object["metadata"].get("uid").is_none());
        assert_eq!(object["metadata"]["finalizers"], json!(["f"]));
        let annotations: Vec<_> =
            object["metadata"]["annotations"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(annotations, [meta::LAST_APPLIED, meta::SPEC_HASH, "mine"]);
    }
}
