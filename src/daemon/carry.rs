//! Orders, carried out. What the hub answers is in the collections when they return.

use super::{
    apply::{self, Applier},
    reconcile::Daemon,
};
use crate::{
    api::{ApprovalRequest, Rollout, Run, kind, meta},
    engine::EngineError,
    hub::{Delete, HubError},
    model::{ObjectName, Scope},
    sync::{Order, Seen},
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
                let stored = self.hub.apply(&object, meta::GITOPS_MANAGER, true).await?;
                if let Ok(rollout) = serde_json::from_value::<Rollout>(stored) {
                    self.world.rollouts.absorb(rollout);
                }
            }
            Order::Apply(apply) => {
                let (hub, world, drift) = (&self.hub, &*self.world, &*self.drift);
                let applier = Applier { hub, world, drift, rollout: name };
                let outcome = apply::apply(&applier, &apply).await;
                self.remember(name, apply.key.clone(), outcome);
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
                let _ = seen;
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
