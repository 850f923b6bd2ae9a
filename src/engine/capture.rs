//! Cuts resource snapshots: when content changes, and for runs that ask for the content as it is.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{
    Context, EngineError, Key,
    content::gather,
    context::{Settling, SnapshotMode},
};
use crate::{
    api::{
        Placement, ResourceSnapshot,
        condition::{self, Truth},
        meta,
        run::{INITIALIZED, SUCCEEDED},
    },
    hub::{Delete, HubError},
    model::SnapshotIndex,
    placement::{
        Plan,
        select::SelectionError,
        snapshot::{Cut, Group, Haste, cut, latest},
    },
    rollout::Captured,
};

/// Returns the snapshot group for a run that names none (fleet-semantics §3.9).
///
/// # Errors
/// [`EngineError::Awaited`] while there is nothing to capture.
pub async fn capture(ctx: &Context, placement: &Key) -> Result<Captured, EngineError> {
    let awaited = || EngineError::Awaited(format!("a resource snapshot of placement {placement}"));
    let found = ctx.placements.get(placement).ok_or_else(awaited)?;
    if ctx.options.snapshot_mode == SnapshotMode::OnChange {
        let groups = Group::all(&ctx.snapshots.of(placement));
        let latest = latest(&groups).filter(|group| group.is_complete()).ok_or_else(awaited)?;
        return Ok(Captured::Group { index: latest.index.to_string() });
    }
    match take(ctx, placement, &found, true).await? {
        Taken::Index(index) => Ok(Captured::Group { index: index.to_string() }),
        Taken::Invalid(error) => Ok(Captured::Refused(error.why().to_owned())),
        Taken::Settling(_) => Err(awaited()),
    }
}

/// What came of looking at a placement's content.
#[derive(Clone, Debug)]
pub(super) enum Taken {
    /// This group is the latest and holds it.
    Index(SnapshotIndex),
    /// It may still change: look again then.
    Settling(Timestamp),
    /// The selectors cannot be met.
    Invalid(SelectionError),
}

/// Looks at a placement's content and cuts a snapshot if it is due, or if `at_once`.
///
/// # Errors
/// When the hub does not answer, or a snapshot could not be written.
pub(super) async fn take(
    ctx: &Context,
    key: &Key,
    placement: &Arc<Placement>,
    at_once: bool,
) -> Result<Taken, EngineError> {
    let content = ctx.content.of(key);
    let _cutting = content.cutting.lock().await;
    let selection = match gather(ctx, placement).await? {
        Ok(selection) => selection,
        Err(error) => return Ok(Taken::Invalid(error)),
    };
    let labels = format!("{}={}", meta::PARENT_PLACEMENT, key.name);
    let snapshots = ctx.snapshots.list_now(&key.scope, &labels).await?;
    let groups = Group::all(&snapshots);
    let now = ctx.now();
    let haste = if at_once { Haste::AtOnce } else { settle(ctx, key, &selection.hash, now) };
    let decided = cut(placement, &groups, &selection, haste, &referenced(ctx, key, &groups), now);
    let (index, plan) = match decided {
        Cut::Wait(until) => return Ok(Taken::Settling(until)),
        Cut::Unchanged(index, plan) => (index, plan),
        Cut::Reuse(index, plan) => {
            tracing::info!(placement = %key, %index, "content was seen before: its snapshot is the latest again");
            (index, plan)
        }
        Cut::New(index, plan) => {
            tracing::info!(placement = %key, %index, hash = selection.hash, "snapshot");
            (index, plan)
        }
    };
    ctx.content.note(key, |content| content.settling = None);
    write(ctx, key, plan).await?;
    Ok(Taken::Index(index))
}

/// Notes when content was first seen to be so, and returns how long it may settle.
fn settle(ctx: &Context, key: &Key, hash: &str, now: Timestamp) -> Haste {
    let held = ctx.content.of(key).settling;
    let settling = match held {
        Some(held) if held.hash == hash => held,
        held => Settling {
            hash: hash.to_owned(),
            first: held.map_or(now, |held| held.first),
            last: now,
        },
    };
    let haste = Haste::Settle { first: settling.first, last: settling.last };
    ctx.content.note(key, |content| content.settling = Some(settling));
    haste
}

/// Returns the indexes that bindings and unfinished runs of a placement name.
fn referenced(ctx: &Context, key: &Key, groups: &[Group]) -> BTreeSet<SnapshotIndex> {
    let named: BTreeSet<String> = ctx
        .bindings
        .of(key)
        .iter()
        .map(|binding| binding.spec.resource_snapshot_name.clone())
        .collect();
    let mut referenced: BTreeSet<SnapshotIndex> = groups
        .iter()
        .filter(|group| {
            group
                .pieces
                .iter()
                .any(|piece| piece.metadata.name.as_ref().is_some_and(|name| named.contains(name)))
        })
        .map(|group| group.index)
        .collect();
    for run in ctx.runs.of(key) {
        let status = run.status.as_ref();
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let over = condition::truth(conditions, SUCCEEDED).is_some()
            || condition::truth(conditions, INITIALIZED) == Some(Truth::False);
        let used = status.and_then(|status| status.resource_snapshot_index_used.as_deref());
        let index = used.or(run.spec.resource_snapshot_index.as_deref());
        if !over && let Some(index) = index.and_then(|text| text.parse().ok()) {
            referenced.insert(index);
        }
    }
    referenced
}

async fn write(ctx: &Context, key: &Key, plan: Plan<ResourceSnapshot>) -> Result<(), HubError> {
    for snapshot in &plan.create {
        ctx.snapshots.create(&key.scope, snapshot).await?;
    }
    for (name, patch) in &plan.edit {
        ctx.snapshots.merge(&Key::new(key.scope.clone(), name), patch).await?;
    }
    for name in &plan.delete {
        ctx.snapshots.delete(&Key::new(key.scope.clone(), name), &Delete::default()).await?;
    }
    Ok(())
}
