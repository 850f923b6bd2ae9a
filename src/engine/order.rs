//! Carries out what a run orders.

use std::{collections::BTreeMap, sync::Arc};

use futures::{FutureExt as _, StreamExt as _, stream};
use jiff::Timestamp;
use kube::core::ObjectMeta;

use super::{Context, EngineError, Key, capture::capture};
use crate::{
    api::{
        self, ApprovalRequest, Binding, Kind,
        approval::{
            ACCEPTED_REASON, AFTER_STAGE, APPROVAL_ACCEPTED, ApprovalRequestSpec, BEFORE_STAGE,
        },
        binding::{ROLLOUT_STARTED, STATE_BOUND},
        condition::{self, Claim, Truth},
        kind, meta,
    },
    hub::{Delete, HubError},
    rollout::{Bind, Captured, Order, Seen, Task},
};

/// How many orders are carried out at the same time.
const WIDTH: usize = 32;

/// Carries out `orders` of a run: those about bindings and approvals at the same time, the rest in order.
///
/// # Errors
/// The first failure. Orders about other bindings are carried out all the same.
pub(super) async fn carry_out(
    ctx: &Context,
    key: &Key,
    run: &Arc<api::Run>,
    seen: &Seen,
    orders: &[Order],
) -> Result<Option<Captured>, EngineError> {
    let bindings: BTreeMap<&str, &Arc<Binding>> = seen
        .bindings
        .iter()
        .map(|binding| (binding.metadata.name.as_deref().unwrap_or_default(), binding))
        .collect();
    let mut captured = None;
    let mut at_once = Vec::new();
    for order in orders {
        match order {
            Order::AddFinalizer => {
                ctx.runs.add_finalizer(run, meta::RUN_FINALIZER).await?;
            }
            Order::RemoveFinalizer => ctx.runs.remove_finalizer(run, meta::RUN_FINALIZER).await?,
            Order::DeleteApprovals => delete_approvals(ctx, key).await?,
            Order::CaptureSnapshot => {
                let placement = Key::new(key.scope.clone(), &run.spec.placement_name);
                captured = Some(capture(ctx, &placement).await?);
            }
            _ => at_once.push(order),
        }
    }
    let mut writes = Vec::new();
    for order in at_once {
        writes.push(carry_out_one(ctx, key, &bindings, order).boxed());
    }
    let done: Vec<Result<(), EngineError>> =
        stream::iter(writes).buffer_unordered(WIDTH).collect().await;
    done.into_iter().collect::<Result<(), _>>()?;
    Ok(captured)
}

async fn carry_out_one(
    ctx: &Context,
    key: &Key,
    bindings: &BTreeMap<&str, &Arc<Binding>>,
    order: &Order,
) -> Result<(), EngineError> {
    match order {
        Order::Bind(wanted) => match bindings.get(wanted.binding.as_str()) {
            Some(binding) => bind(ctx, key, binding, wanted).await,
            None => Ok(()),
        },
        Order::MarkRolloutStarted { binding, message } => match bindings.get(binding.as_str()) {
            Some(binding) => announce(ctx, key, binding, message).await,
            None => Ok(()),
        },
        Order::DeleteBinding { binding } => {
            let binding = Key::new(key.scope.clone(), binding);
            Ok(ctx.bindings.delete(&binding, &Delete::default()).await?)
        }
        Order::CreateApproval { name, stage, task } => {
            create_approval(ctx, key, name, stage, *task).await
        }
        Order::AcceptApproval { name, generation } => {
            accept_approval(ctx, key, name, *generation).await
        }
        Order::AddFinalizer
        | Order::RemoveFinalizer
        | Order::DeleteApprovals
        | Order::CaptureSnapshot => Ok(()),
    }
}

async fn bind(
    ctx: &Context,
    key: &Key,
    binding: &Arc<Binding>,
    wanted: &Bind,
) -> Result<(), EngineError> {
    let mut bound = (**binding).clone();
    let spec = &mut bound.spec;
    STATE_BOUND.clone_into(&mut spec.state);
    wanted.snapshot.clone_into(&mut spec.resource_snapshot_name);
    spec.resource_override_snapshots = wanted.resource_overrides.clone();
    spec.cluster_resource_override_snapshots = wanted.cluster_overrides.clone();
    spec.apply_strategy = wanted.apply_strategy.clone();
    let bound = ctx.bindings.replace(&key.scope, &bound).await?;
    announce(ctx, key, &bound, &wanted.message).await
}

/// Sets `RolloutStarted` for the binding's generation. The condition is made anew, so that its time always moves.
async fn announce(
    ctx: &Context,
    key: &Key,
    binding: &Arc<Binding>,
    message: &str,
) -> Result<(), EngineError> {
    let mut announced = (**binding).clone();
    let generation = binding.metadata.generation.unwrap_or_default();
    let mut conditions = Vec::new();
    let claim = Claim::new(ROLLOUT_STARTED, Truth::True, ROLLOUT_STARTED, message);
    condition::set(&mut conditions, claim, generation, ctx.now());
    let status = announced.status.get_or_insert_default();
    condition::remove(&mut status.conditions, ROLLOUT_STARTED);
    conditions.append(&mut status.conditions);
    status.conditions = conditions;
    ctx.bindings.replace_status(&key.scope, &announced).await?;
    Ok(())
}

async fn create_approval(
    ctx: &Context,
    key: &Key,
    name: &str,
    stage: &str,
    task: Task,
) -> Result<(), EngineError> {
    let request = approval_request(kind::approval_request(&key.scope), key, name, stage, task);
    match ctx.approvals.create(&key.scope, &request).await {
        Ok(_) | Err(HubError::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Fleet's requests carry no owner reference: they are found by label when the run is deleted.
fn approval_request(kind: Kind, run: &Key, name: &str, stage: &str, task: Task) -> ApprovalRequest {
    let task = match task {
        Task::Before => BEFORE_STAGE,
        Task::After => AFTER_STAGE,
    };
    let labels = [
        (meta::TARGET_STAGE, stage),
        (meta::TARGET_RUN, &run.name),
        (meta::TASK_TYPE, task),
        (meta::IS_LATEST_APPROVAL, "true"),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    ApprovalRequest {
        types: Some(kube::core::TypeMeta {
            api_version: kind.api_version(),
            kind: kind.name.to_owned(),
        }),
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: run.scope.namespace().map(str::to_owned),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        },
        spec: ApprovalRequestSpec {
            parent_stage_rollout: run.name.clone(),
            target_stage: stage.to_owned(),
        },
        status: None,
    }
}

async fn accept_approval(
    ctx: &Context,
    key: &Key,
    name: &str,
    generation: i64,
) -> Result<(), EngineError> {
    let Some(request) = ctx.approvals.get(&Key::new(key.scope.clone(), name)) else {
        return Ok(());
    };
    let mut accepted = (*request).clone();
    accept(&mut accepted, generation, ctx.now());
    ctx.approvals.replace_status(&key.scope, &accepted).await?;
    Ok(())
}

fn accept(request: &mut ApprovalRequest, generation: i64, now: Timestamp) {
    let message = "The approval request has been approved and cannot be reverted";
    let claim = Claim::new(APPROVAL_ACCEPTED, Truth::True, ACCEPTED_REASON, message);
    let status = request.status.get_or_insert_default();
    condition::set(&mut status.conditions, claim, generation, now);
}

async fn delete_approvals(ctx: &Context, key: &Key) -> Result<(), EngineError> {
    let labels = format!("{}={}", meta::TARGET_RUN, key.name);
    for request in ctx.approvals.list_now(&key.scope, &labels).await? {
        ctx.approvals.delete(&Key::of(&request.metadata), &Delete::default()).await?;
    }
    Ok(())
}
