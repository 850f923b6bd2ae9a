//! Orders, carried out. What the hub answers is in the collections when they return.

use std::collections::BTreeSet;

use super::{apply::Bringing, reconcile::Daemon};
use crate::{
    api::{ApprovalRequest, Rollout, Run, kind, meta, rollout::InventoryEntry},
    engine::EngineError,
    hub::{Delete, HubError},
    model::{Hint as _, ObjectKey, ObjectName, Scope},
    sync::{ApplyOutcome, Git, Order, Seen},
};

impl Daemon {
    pub(super) async fn carry_out(
        &self,
        name: &ObjectName,
        seen: &Seen,
        order: Order,
    ) -> Result<(), EngineError> {
        let scope = Scope::of(Some(&name.namespace));
        match order {
            Order::WriteRollout(object) => {
                let applied = self.hub.apply(&object, meta::GITOPS_MANAGER, true).await;
                if let Err(error @ HubError::NotFound { .. }) = &applied {
                    // Without its namespace it has no status to say so in.
                    let hint = error.hint().unwrap_or_default();
                    tracing::warn!("the Rollout cannot be written to the hub: {error} ({hint})");
                }
                let stored = applied?;
                if let Ok(rollout) = serde_json::from_value::<Rollout>(stored) {
                    self.world.rollouts.absorb(rollout);
                }
            }
            Order::Apply(apply) => {
                let before = self.take_outcome(name);
                let content = before.as_ref().and_then(|before| match &before.outcome {
                    ApplyOutcome::Done(content) => Some((content, before.key == apply.key)),
                    ApplyOutcome::Failed { .. } => None,
                });
                let bringing = Bringing {
                    hub: &self.hub,
                    world: &self.world,
                    marks: &self.marks,
                    name,
                    apply: &apply,
                    before: content,
                    is_known: is_known(seen),
                    inventory: inventory(seen),
                    now: self.options.clock.now(),
                };
                let brought = bringing.bring().await;
                self.remember(name, apply.key.clone(), brought);
            }
            Order::CreateRun(object) => {
                match self.hub.create_object(&object, meta::GITOPS_MANAGER).await {
                    Ok(stored) => {
                        tracing::info!(run = %object["metadata"]["name"], index = %object["spec"]["resourceSnapshotIndex"], "run made");
                        if let Ok(run) = serde_json::from_value::<Run>(stored) {
                            self.world.runs.absorb(run);
                        }
                    }
                    Err(HubError::AlreadyExists { .. }) => {
                        let run = object["metadata"]["name"].as_str().unwrap_or_default();
                        self.reread_run(&scope, run).await?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Order::SetRunState { run, state, annotations } => {
                let patch = serde_json::json!({
                    "metadata": {"annotations": annotations},
                    "spec": {"state": state},
                });
                let kind = kind::run(&scope);
                let merged =
                    self.hub.merge::<Run>(kind, &scope, &run, &patch, meta::GITOPS_MANAGER).await;
                match merged {
                    Ok(merged) => {
                        tracing::info!(%run, state, "run state set");
                        self.world.runs.absorb(merged);
                    }
                    Err(error) => {
                        self.reread_run(&scope, &run).await?;
                        return Err(error.into());
                    }
                }
            }
            Order::DeleteRun { run, uid } => {
                let how = Delete { uid: uid.as_deref(), foreground: false };
                self.hub.delete(kind::run(&scope), &scope, &run, &how).await?;
                tracing::info!(%run, "run deleted: it had not begun");
            }
            Order::Approve { request, patch } => {
                let kind = kind::approval_request(&scope);
                let patched = self
                    .hub
                    .patch_status::<ApprovalRequest>(
                        kind,
                        &scope,
                        &request,
                        &patch,
                        meta::GITOPS_MANAGER,
                    )
                    .await?;
                tracing::info!(%request, "approved by a signed commit");
                self.world.requests.absorb(patched);
            }
        }
        Ok(())
    }

    async fn reread_run(&self, scope: &Scope, run: &str) -> Result<(), EngineError> {
        if let Some(run) = self.hub.find::<Run>(kind::run(scope), scope, run).await? {
            self.world.runs.absorb(run);
        }
        Ok(())
    }
}

/// Returns what the status names as applied.
fn inventory(seen: &Seen) -> BTreeSet<ObjectKey> {
    let status = seen.rollout.as_ref().and_then(|rollout| rollout.status.as_ref());
    let entries = status.into_iter().flat_map(|status| &status.inventory);
    let key = |entry: &InventoryEntry| ObjectKey {
        group: entry.group.clone(),
        kind: entry.kind.clone(),
        namespace: entry.namespace.clone(),
        name: entry.name.clone(),
    };
    entries.map(key).collect()
}

/// Returns whether what is to be applied was applied once before, to the last object.
fn is_known(seen: &Seen) -> bool {
    let digest = seen.rollout.as_ref().and_then(|r| r.status.as_ref()?.content_digest.as_deref());
    let Git::Tip(tip) = &seen.git else { return false };
    let wanted = match &tip.earlier {
        Some((_, earlier)) => earlier.as_ref().ok(),
        None => tip.wanted.as_ref().ok(),
    };
    wanted.is_some_and(|wanted| digest == Some(wanted.digest.as_str()))
}
