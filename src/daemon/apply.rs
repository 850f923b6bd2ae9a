//! A commit's objects, brought to the hub: content, what goes, strategy, placement, in this order.

use std::{collections::BTreeSet, time::Duration};

use kube::core::GroupVersionKind;
use serde_json::Value;

use super::{drift::Drift, world::World};
use crate::{
    api::{Placement, Strategy, meta, rollout::reason},
    hub::{Delete, Hub, HubError, Recovery, Resource},
    model::{Hint as _, ObjectKey, ObjectName},
    release::{Content, bind::applied, proof::key_of},
    sync::{Apply, ApplyOutcome},
};

/// A definition that was just applied is served after a moment.
const ESTABLISHING: Duration = Duration::from_millis(100);
const ESTABLISHING_ROUNDS: usize = 30;
/// Whom API servers name as the manager of what an object held before anybody's first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Why it stopped.
struct Failure {
    reason: &'static str,
    message: String,
    retried: bool,
}

/// The hub, and where it is noted what became of a Rollout's objects there.
pub(super) struct Applier<'a> {
    pub(super) hub: &'a Hub,
    pub(super) world: &'a World,
    pub(super) drift: &'a Drift,
    pub(super) rollout: &'a ObjectName,
}

/// Applies everything, and returns the objects as the hub has them.
pub(super) async fn apply(applier: &Applier<'_>, apply: &Apply) -> ApplyOutcome {
    let mut content = Content::default();
    let mut keys = BTreeSet::new();
    applier.drift.begin(applier.rollout);
    match applier.everything(apply, &mut content, &mut keys).await {
        Ok(()) => {
            applier.drift.end(applier.rollout, &keys);
            ApplyOutcome::Done(content)
        }
        Err(Failure { reason, message, retried }) => {
            ApplyOutcome::Failed { reason, message, applied: keys.len(), retried }
        }
    }
}

impl Applier<'_> {
    async fn everything(
        &self,
        apply: &Apply,
        content: &mut Content,
        keys: &mut BTreeSet<ObjectKey>,
    ) -> Result<(), Failure> {
        let (hub, world) = (self.hub, self.world);
        let defines = apply.content.iter().any(|(object, _)| {
            object.get("kind").and_then(Value::as_str) == Some("CustomResourceDefinition")
        });
        for (object, place) in &apply.content {
            let object = located(hub, object, place, apply.namespace.as_deref(), defines).await?;
            let stored = self.one(&object, place, keys).await?;
            content.objects.push(applied(object, stored));
        }
        for namespace in Content::implied(content.objects.iter().map(|object| &object.key)) {
            let key = ObjectKey {
                group: String::new(),
                kind: "Namespace".to_owned(),
                namespace: String::new(),
                name: namespace,
            };
            let found = hub.get_object(&key).await.map_err(|error| failure(&error, "the hub"))?;
            content.namespaces.extend(found);
        }
        for key in &apply.prune {
            prune(hub, key).await.map_err(|error| failure(&error, &format!("deleting {key}")))?;
        }
        for (object, place) in &apply.last {
            let stored = self.one(object, place, keys).await?;
            if let Ok(placement) = serde_json::from_value::<Placement>(stored.clone())
                && stored["kind"].as_str().is_some_and(|kind| kind.ends_with("Placement"))
            {
                world.placements.absorb(placement);
            } else if let Ok(strategy) = serde_json::from_value::<Strategy>(stored) {
                world.strategies.absorb(strategy);
            }
        }
        Ok(())
    }

    async fn one(
        &self,
        object: &Value,
        place: &str,
        keys: &mut BTreeSet<ObjectKey>,
    ) -> Result<Value, Failure> {
        let applied = self.hub.apply(object, meta::GITOPS_MANAGER, false).await;
        let stored = applied.map_err(|error| failure(&error, place))?;
        let key = key_of(&stored);
        self.drift.applied(self.rollout, &key, &stored);
        keys.insert(key);
        Ok(stored)
    }
}

/// Finds out where an object lives, and gives it the Rollout's namespace if it has none.
async fn located(
    hub: &Hub,
    object: &Value,
    place: &str,
    namespace: Option<&str>,
    defines: bool,
) -> Result<Value, Failure> {
    let resource = resource(hub, object, defines).await.map_err(|error| failure(&error, place))?;
    let text = |pointer: &str| {
        object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let (kind, name, own) = (text("/kind"), text("/metadata/name"), text("/metadata/namespace"));
    let refuse = |message: String| Failure {
        reason: reason::APPLY_FAILED,
        message: format!("{place}: {message}"),
        retried: false,
    };
    let mut object = object.clone();
    match (resource.namespaced, namespace) {
        (true, Some(namespace)) if own.is_empty() => {
            object["metadata"]["namespace"] = namespace.into();
        }
        (true, None) if own.is_empty() => {
            return Err(refuse(format!("{kind} {name} has no namespace (add metadata.namespace)")));
        }
        (false, Some(namespace)) => {
            return Err(refuse(format!(
                "{kind} {name} belongs to the whole cluster, and the Rollout to namespace `{namespace}`"
            )));
        }
        (false, None) if !own.is_empty() => {
            return Err(refuse(format!("{kind} {name} has a namespace, and its kind has none")));
        }
        _ => {}
    }
    Ok(object)
}

async fn resource(hub: &Hub, object: &Value, defines: bool) -> Result<Resource, HubError> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = text("apiVersion").rsplit_once('/').unwrap_or(("", text("apiVersion")));
    let gvk = GroupVersionKind::gvk(group, version, text("kind"));
    for _ in 0..ESTABLISHING_ROUNDS {
        match hub.locate(&gvk).await {
            Err(HubError::UnknownKind { .. }) if defines => {
                tokio::time::sleep(ESTABLISHING).await;
            }
            other => return other,
        }
    }
    hub.locate(&gvk).await
}

/// Deletes an object that we applied. What others made of it since is theirs.
async fn prune(hub: &Hub, key: &ObjectKey) -> Result<(), HubError> {
    let held = match hub.get_object(key).await {
        Ok(Some(held)) => held,
        Ok(None) | Err(HubError::UnknownKind { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_ours(&held) {
        tracing::info!(object = %key, "left alone: it is no longer in Git, and others have taken it over");
        return Ok(());
    }
    let uid = held.pointer("/metadata/uid").and_then(Value::as_str);
    match hub.delete_object(key, &Delete { uid, foreground: false }).await {
        // Somebody made another of that name: that one is not ours.
        Err(HubError::Stale { .. }) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            tracing::info!(object = %key, "deleted: it is no longer in Git");
            Ok(())
        }
    }
}

/// Returns whether an object of the inventory is still ours. One that sets no field has no manager, whoever applied it.
fn is_ours(object: &Value) -> bool {
    let managers = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let manager = |entry: &Value| entry.get("manager").and_then(Value::as_str).map(str::to_owned);
    managers.is_none_or(|managers| {
        // An object that sets no field has no manager; the next apply gives what the server filled in to this one.
        managers.iter().all(|entry| manager(entry).as_deref() == Some(BEFORE_FIRST_APPLY))
            || managers.iter().any(|entry| manager(entry).as_deref() == Some(meta::GITOPS_MANAGER))
    })
}

fn failure(error: &HubError, place: &str) -> Failure {
    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    let retried = match error {
        // The namespace may be another Rollout's, and on its way.
        HubError::NotFound { .. } => true,
        error => error.recovery() != Recovery::Stall,
    };
    let reason = match error {
        HubError::Conflict { .. } => reason::CONFLICT,
        _ => reason::APPLY_FAILED,
    };
    Failure { reason, message: format!("{place}: {error}{hint}"), retried }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_have_taken_over_is_not_ours() {
        for (managers, ours) in [
            (json!(null), true),
            (json!([]), true),
            (json!([{"manager": "tidegate"}, {"manager": "kubectl"}]), true),
            (json!([{"manager": "kubectl"}]), false),
            (json!([{"manager": "before-first-apply"}]), true),
            (json!([{"manager": "before-first-apply"}, {"manager": "kubectl"}]), false),
        ] {
            let object = json!({"metadata": {"managedFields": managers}});
            assert_eq!(is_ours(&object), ours, "{object}");
        }
    }
}
