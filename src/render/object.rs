//! The objects that go to the hub.

use serde_json::{Value, json};

use super::{Start, Wanted};
use crate::{
    api::{
        kind, meta,
        run::{STATE_INITIALIZE, STATE_RUN},
    },
    manifest::{Manifest, canonical::canonical},
    model::{CommitId, Digest, SnapshotIndex},
    release::ledger::{RELEASE, RESOURCE_HASH},
};

/// Because the Rollout is suspended: it is resumed with the Rollout.
pub const STOPPED_SUSPEND: &str = "suspend";
/// Because the failure policy says so: a person resumes it.
pub const STOPPED_FAILURE: &str = "failure-policy";

/// Returns the Rollout as it is kept on the hub, in `namespace` if it has none of its own.
pub fn rollout(wanted: &Wanted, namespace: &str) -> Value {
    let mut object = canonical(&wanted.rollout.object);
    if wanted.name.namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    annotate(&mut object, meta::ROLLOUT, &wanted.name.to_string());
    object
}

/// Returns one of the Rollout's strategies as it is applied.
/// Rollouts that share one apply the same.
pub fn strategy(manifest: &Manifest) -> Value {
    sealed(canonical(&manifest.object))
}

/// Returns the placement as it is applied, last of all: its content digest tells the engine that the content is
/// complete.
pub fn placement(wanted: &Wanted, commit: &CommitId) -> Option<Value> {
    let mut object = canonical(&wanted.placement.as_ref()?.object);
    annotate(&mut object, meta::ROLLOUT, &wanted.name.to_string());
    annotate(&mut object, meta::COMMIT, commit.as_str());
    annotate(&mut object, meta::CONTENT_DIGEST, wanted.digest.as_str());
    Some(sealed(object))
}

/// Writes on an object what it is like, so that it can be told later what was applied, whatever a hub filled in since.
fn sealed(mut object: Value) -> Value {
    let digest = Digest::of(object.to_string().as_bytes());
    annotate(&mut object, meta::SPEC_DIGEST, digest.as_str());
    object
}

/// Returns an object of the content as it is applied.
pub fn content(manifest: &Manifest) -> Value {
    canonical(&manifest.object)
}

/// What a run is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFor<'a> {
    /// Name of the run.
    pub name: &'a str,
    /// Commit whose content it rolls out.
    pub commit: &'a CommitId,
    /// Digest of that content.
    pub digest: &'a Digest,
    /// Name of the strategy.
    pub strategy: &'a str,
    /// The index that was proved to hold it; nothing to have the content captured, and proved afterwards.
    pub index: Option<SnapshotIndex>,
    /// Fleet's hash of it.
    pub hash: &'a str,
    /// Number in the ledger.
    pub number: u64,
}

/// Returns a staged update run. It goes at once only when its content is proved and nobody wants to start it by hand.
pub fn run(wanted: &Wanted, of: &RunFor<'_>) -> Value {
    let kind = kind::run(&wanted.scope);
    let state = match (of.index, wanted.intent.start) {
        (Some(_), Start::Automatic) => STATE_RUN,
        _ => STATE_INITIALIZE,
    };
    let mut spec = json!({
        "placementName": wanted.intent.placement,
        "stagedRolloutStrategyName": of.strategy,
        "state": state,
    });
    if let Some(index) = of.index {
        spec["resourceSnapshotIndex"] = index.to_string().into();
    }
    let mut object = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.name,
        "metadata": {"name": of.name},
        "spec": spec,
    });
    if let Some(namespace) = wanted.scope.namespace() {
        object["metadata"]["namespace"] = namespace.into();
    }
    for (key, value) in [
        (meta::ROLLOUT, wanted.name.to_string().as_str()),
        (meta::COMMIT, of.commit.as_str()),
        (meta::CONTENT_DIGEST, of.digest.as_str()),
        (RELEASE, &of.number.to_string()),
        (RESOURCE_HASH, of.hash),
    ] {
        annotate(&mut object, key, value);
    }
    object
}

fn annotate(object: &mut Value, key: &str, value: &str) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if !annotations.is_object() {
            *annotations = json!({});
        }
        annotations[key] = value.into();
    }
}
