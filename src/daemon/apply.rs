//! A commit's objects, brought to the hub: content, what goes, strategy, placement, in this order.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use kube::core::GroupVersionKind;
use serde_json::Value;

use super::{
    marks::{Marks, has_collection},
    world::World,
};
use crate::{
    api::{Placement, Strategy, kind, meta, rollout::reason},
    engine::Key,
    hub::{Delete, FieldConflict, Hub, HubError, Recovery, Resource},
    model::{Hint as _, ObjectKey, ObjectName, Scope},
    release::{Applied, Content, bind::applied, key_of},
    sync::{
        Apply, ApplyOutcome,
        drift::{Drift, Mark, Sight, Trace, takes_back},
        standing::stands,
    },
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
    /// Until when there is no use in trying again, if that is known.
    until: Option<Timestamp>,
    /// The object that others claim.
    claimed: Option<ObjectKey>,
}

/// Brings a Rollout's objects to the hub.
pub(super) struct Bringing<'a> {
    pub(super) hub: &'a Hub,
    pub(super) world: &'a World,
    pub(super) marks: &'a Marks,
    pub(super) name: &'a ObjectName,
    pub(super) apply: &'a Apply,
    /// What was applied last, and whether it was the same as now.
    pub(super) before: Option<(&'a Content, bool)>,
    /// Whether all of the content was applied before, by this process or another.
    pub(super) is_known: bool,
    /// What was applied before, by this process or another, as far as the status tells.
    pub(super) inventory: BTreeSet<ObjectKey>,
    pub(super) now: Timestamp,
}

/// What came of it, and until when there is no use in trying again, if that is known.
pub(super) struct Brought {
    pub(super) outcome: ApplyOutcome,
    pub(super) until: Option<Timestamp>,
}

impl Bringing<'_> {
    /// Applies everything that the hub may not have, and returns all objects as the hub has them.
    pub(super) async fn bring(self) -> Brought {
        let mut content = Content::default();
        let mut count = 0;
        self.marks.contest(self.name, None);
        match self.everything(&mut content, &mut count).await {
            Ok(()) => Brought { outcome: ApplyOutcome::Done(content), until: None },
            Err(Failure { reason, message, retried, until, claimed }) => {
                self.marks.contest(self.name, claimed);
                let outcome = ApplyOutcome::Failed { reason, message, applied: count, retried };
                Brought { outcome, until }
            }
        }
    }

    async fn everything(&self, content: &mut Content, count: &mut usize) -> Result<(), Failure> {
        let (hub, apply) = (self.hub, self.apply);
        let defines = apply.content.iter().any(|(object, _)| {
            object.get("kind").and_then(Value::as_str) == Some("CustomResourceDefinition")
        });
        let before: BTreeMap<&ObjectKey, &Applied> = match self.before {
            Some((content, _)) => content.objects.iter().map(|held| (&held.key, held)).collect(),
            None => BTreeMap::new(),
        };
        let mut keys = BTreeSet::new();
        for (object, place) in &apply.content {
            let object = located(hub, object, place, apply.namespace.as_deref(), defines).await?;
            let key = key_of(&object);
            keys.insert(key.clone());
            // What a watch shows to be as we left it is not applied again.
            let held = before.get(&key).filter(|held| held.wanted == object);
            let held = held.filter(|_| self.marks.is_untouched(self.name, &key));
            content.objects.push(match held {
                Some(held) => Applied::clone(held),
                None => {
                    let stored = self.one(&object, &key, place).await?;
                    applied(object, stored)
                }
            });
            *count += 1;
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
            let key = key_of(object);
            keys.insert(key.clone());
            *count += 1;
            let same = self.marks.was_applied(self.name, &key, object);
            if same && self.marks.is_untouched(self.name, &key) {
                continue;
            }
            let stored = self.one(object, &key, place).await?;
            if let Ok(placement) = serde_json::from_value::<Placement>(stored.clone())
                && stored["kind"].as_str().is_some_and(|kind| kind.ends_with("Placement"))
            {
                self.world.placements.absorb(placement);
            } else if let Ok(strategy) = serde_json::from_value::<Strategy>(stored) {
                self.world.strategies.absorb(strategy);
            }
        }
        self.marks.keep_only(self.name, &keys);
        Ok(())
    }

    /// Applies one object, and puts back what somebody did to it by hand.
    async fn one(&self, object: &Value, key: &ObjectKey, place: &str) -> Result<Value, Failure> {
        let (name, marks) = (self.name, self.marks);
        if let Some(stored) = self.standing(object, key).await {
            marks.expect(name, key);
            let mark = Mark::new(object, &stored);
            let sight = Sight::There(mark.trace.clone());
            marks.mark(name, key, mark);
            marks.saw(key, sight);
            return Ok(stored);
        }
        let drift = marks.drift_of(name, key);
        if let Some(drift) = &drift {
            let again = self.before.is_some_and(|(_, same)| same);
            if let Err(until) = marks.put_back(key, self.now)
                && again
            {
                return Err(fight(key, place, drift, until));
            }
        }
        marks.expect(name, key);
        let manager = meta::GITOPS_MANAGER;
        let stored = match self.hub.apply(object, manager, false).await {
            Err(HubError::Conflict { what, conflicts }) => {
                let fields = conflicts.iter().map(|conflict| conflict.path.as_str());
                let were_ours = self.is_known || marks.were_ours(name, key, fields);
                let owners = || conflicts.iter().map(|conflict| conflict.manager.as_str());
                let ours = were_ours || self.has_fields_of_ours(key).await;
                if !takes_back(owners(), were_ours, ours) {
                    return Err(Failure {
                        claimed: Some(key.clone()),
                        ..failure(&HubError::Conflict { what, conflicts }, place)
                    });
                }
                if drift.is_none()
                    && let Err(until) = marks.put_back(key, self.now)
                {
                    return Err(fight(key, place, &Drift::Edited(paths(&conflicts)), until));
                }
                let by: Vec<&str> = owners().collect();
                tracing::info!(object = %key, by = by.join(", "), fields = paths(&conflicts).join(", "), "put back: somebody changed it by hand");
                self.hub.apply(object, manager, true).await
            }
            other => {
                match &drift {
                    Some(Drift::Deleted) => {
                        tracing::info!(object = %key, "put back: somebody deleted it");
                    }
                    Some(Drift::Edited(fields)) => {
                        tracing::info!(object = %key, fields = fields.join(", "), "put back: somebody removed fields");
                    }
                    None => {}
                }
                other
            }
        };
        let stored = stored.map_err(|error| failure(&error, place))?;
        marks.mark(name, key, Mark::new(object, &stored));
        Ok(stored)
    }

    /// Returns the object as the hub has it, if an earlier process left it as it is wanted, and this one has not seen it yet.
    async fn standing(&self, object: &Value, key: &ObjectKey) -> Option<Value> {
        if !self.inventory.contains(key) || !self.marks.is_new(self.name, key) {
            return None;
        }
        let stored = match self.world.known(key) {
            Some(known) => known,
            None if has_collection(key) => return None,
            None => {
                let resource = resource(self.hub, object, false).await.ok()?;
                self.hub.get_object_at(&resource, key).await.ok()??
            }
        };
        stands(object, &stored).then_some(stored)
    }

    /// Returns whether we applied fields of this object once.
    async fn has_fields_of_ours(&self, key: &ObjectKey) -> bool {
        let scope = Scope::of(Some(&key.namespace));
        let held = Key::new(scope.clone(), &key.name);
        let metadata = if key.group == kind::PLACEMENT_GROUP {
            let placement = self.world.placements.get(&held).map(|held| held.metadata.clone());
            let strategy = self.world.strategies.get(&held).map(|held| held.metadata.clone());
            if key.kind == kind::strategy(&scope).name { strategy } else { placement }
        } else {
            let object = self.hub.get_object(key).await.ok().flatten();
            object.and_then(|mut object| serde_json::from_value(object["metadata"].take()).ok())
        };
        metadata.is_some_and(|metadata| !Trace::of(&metadata).ours.is_null())
    }
}

fn paths(conflicts: &[FieldConflict]) -> Vec<String> {
    conflicts.iter().take(5).map(|conflict| conflict.path.clone()).collect()
}

/// Somebody changes an object again and again.
fn fight(key: &ObjectKey, place: &str, drift: &Drift, until: Timestamp) -> Failure {
    let what = match drift {
        Drift::Deleted => "deleted".to_owned(),
        Drift::Edited(fields) if fields.is_empty() => "changed".to_owned(),
        Drift::Edited(fields) => format!("changed ({})", fields.join(", ")),
    };
    Failure {
        reason: reason::CONFLICT,
        message: format!(
            "{place}: {key} is {what} by somebody else each time that it is put back; it is left so until {until:.0}, or the next commit (`kubectl get -o yaml --show-managed-fields` tells who it is: let only one of you set it)"
        ),
        retried: false,
        until: Some(until),
        claimed: None,
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
        until: None,
        claimed: None,
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
    if !is_still_ours(&held) {
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
fn is_still_ours(object: &Value) -> bool {
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
    let message = format!("{place}: {error}{hint}");
    Failure { reason, message, retried, until: None, claimed: None }
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
            assert_eq!(is_still_ours(&object), ours, "{object}");
        }
    }
}
