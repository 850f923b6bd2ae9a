//! An approval as the tutorial gives it: a condition on the request.

use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::gate::Gate;
use crate::{
    api::{
        self, ApprovalRequest,
        approval::APPROVED,
        condition::{Truth, truth, whole_seconds},
        kind,
    },
    cli::{args::ApproveArgs, exit::Exit, hub::Hub, output},
    clock::{Clock, SystemClock},
    model::Scope,
};

/// Sets the request's condition, as `kubectl patch --subresource=status` would. What somebody else has said stays.
pub(super) async fn approve(
    hub: &Hub,
    name: &str,
    run: &api::Run,
    gate: &Gate,
    args: &ApproveArgs,
) -> anyhow::Result<Exit> {
    let scope = Scope::of(run.metadata.namespace.as_deref());
    let resource = kind::approval_request(&scope).resource();
    let requests: Api<ApprovalRequest> = match scope.namespace() {
        Some(namespace) => Api::namespaced_with(hub.client.clone(), namespace, &resource),
        None => Api::all_with(hub.client.clone(), &resource),
    };
    let refused = |error| hub.refused(&format!("cannot approve `{}`", gate.request), error);
    let request = requests.get(&gate.request).await.map_err(refused)?;
    let held = request.status.map(|status| status.conditions).unwrap_or_default();
    if truth(&held, APPROVED) == Some(Truth::True) {
        return output::write(format!("{} is approved already\n", gate.request).as_bytes());
    }
    let message = args.message.clone();
    let condition = json!({
        "type": APPROVED,
        "status": "True",
        "reason": "Approved",
        "message": message.unwrap_or_else(|| "approved with tidegate approve --patch".to_owned()),
        "observedGeneration": request.metadata.generation,
        "lastTransitionTime": whole_seconds(SystemClock.now()).to_string(),
    });
    // A merge patch replaces a list as a whole.
    let others = held.iter().filter(|condition| condition.type_ != APPROVED).map(|c| json!(c));
    let conditions: Vec<_> = others.chain([condition]).collect();
    // Whatever was said in between is not overwritten: the version must be the one that was read.
    let patch = Patch::Merge(json!({
        "metadata": {"resourceVersion": request.metadata.resource_version},
        "status": {"conditions": conditions},
    }));
    requests.patch_status(&gate.request, &PatchParams::default(), &patch).await.map_err(refused)?;
    output::write(format!("approved {name} {gate}: {}\n", gate.request).as_bytes())
}
