//! Applies works to member clusters, for real.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _, stream};
use jiff::Timestamp;
use kube::core::{GroupVersionKind, ObjectMeta};
use serde_json::{Value, json};

use super::{Again, Change, Context, EngineError, Key, Queue, agent::Agent};
use crate::{
    api::{
        AppliedWork, Work, kind, meta,
        placement::ApplyStrategy,
        work::{
            AppliedResource, AppliedWorkSpec, AppliedWorkStatus, WorkResourceIdentifier, WorkStatus,
        },
    },
    hub::{Apply, Delete, HubError, Resource},
    model::{ObjectKey, Scope},
    placement::{
        apply::{self, AGENT_MANAGER, Anchor, Decision, Prepared, Refusal, prepare},
        availability::availability,
        compare,
        plan::types,
        wave::wave,
        work::{Done, Outcome, announce, identify, leftovers, malformed, status},
    },
};

/// How many objects of a wave are applied at the same time.
const WIDTH: usize = 16;
/// What failed is tried again first so soon, then ever more rarely.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);
/// A deletion is looked at again so often, beside every change.
const LINGER: Duration = Duration::from_secs(30);
/// A write that met somebody else's is decided anew so often.
const ATTEMPTS: usize = 5;

/// Listens for works to apply, and returns the queue of works to look at.
pub fn subscribe(ctx: &Arc<Context>) -> Arc<Queue<Key>> {
    let queue = Queue::new("work");
    let on_work = queue.clone();
    ctx.works.listen(move |change: &Change<'_, Work>| {
        let facet = |work: &Work| {
            let meta = &work.metadata;
            (meta.generation, meta.deletion_timestamp.is_some(), meta.finalizers.clone())
        };
        if change.new.is_some() && change.differs(facet) {
            on_work.add(change.key.clone());
        }
    });
    queue
}

/// Returns the member whose namespace on the hub this is.
pub(super) fn member_of(work: &Key) -> Option<&str> {
    work.scope.namespace()?.strip_prefix(meta::MEMBER_NAMESPACE_PREFIX)
}

/// Returns whether the work's cluster leaves, or has left. It keeps what it has.
pub(super) fn leaving(ctx: &Context, work: &Key) -> bool {
    member_of(work).is_none_or(|name| {
        let cluster = ctx.clusters.get(&Key::new(Scope::Cluster, name));
        cluster.is_none_or(|cluster| cluster.metadata.deletion_timestamp.is_some())
    })
}

/// Brings a member to what a work says, and tells in the work's status what came of it.
///
/// # Errors
/// When hub or member do not answer. What a member refuses is no error: the status tells it.
pub(super) async fn reconcile(
    ctx: Arc<Context>,
    agent: Arc<Agent>,
    key: Key,
) -> Result<Again, EngineError> {
    agent.compare_nothing(&key);
    let Some(work) = ctx.works.get(&key) else { return Ok(Again::No) };
    if leaving(&ctx, &key) {
        ctx.works.remove_finalizer(&work, meta::WORK_FINALIZER).await?;
        return Ok(Again::No);
    }
    agent.anchors.ready().await;
    if work.metadata.deletion_timestamp.is_some() {
        return clean_up(&ctx, &agent, &key, &work).await;
    }
    let work = ctx.works.add_finalizer(&work, meta::WORK_FINALIZER).await?;
    let held = ensure_anchor(&agent, &work).await?;
    let anchor =
        Anchor { name: key.name.clone(), uid: held.metadata.uid.clone().unwrap_or_default() };
    let wanted = identifiers(&agent, &work).await?;
    if let Some(status) = announce(&work, &wanted, ctx.now()) {
        ctx.works.merge_status(&key, &json!(status)).await?;
    }
    for left in leftovers(&work, &wanted) {
        remove(&agent, &anchor, &left).await?;
    }
    let (outcomes, applied) = apply_all(&agent, &work, &wanted, &anchor).await?;
    let told = status(&work, &outcomes, ctx.now());
    if work.status.as_ref() != Some(&told) {
        // Lists are written even when they are empty: a merge would keep the old ones.
        let status =
            json!({"conditions": told.conditions, "manifestConditions": told.manifest_conditions});
        ctx.works.merge_status(&key, &status).await?;
    }
    record(&agent, &held, applied).await?;
    Ok(again(&told, ctx.now()))
}

/// Returns when to look at a work again: after a quarter of the time that it has not been well.
fn again(status: &WorkStatus, now: Timestamp) -> Again {
    let unwell = status.conditions.iter().filter(|held| held.status != "True");
    let Some(since) = unwell.map(|held| held.last_transition_time.0).min() else {
        return Again::No;
    };
    let unwell = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    Again::After((unwell / 4).clamp(FIRST_RETRY, LAST_RETRY))
}

/// Deletes the AppliedWork of a work that goes, with everything it owns, and lets the work go when it is gone.
async fn clean_up(
    ctx: &Context,
    agent: &Agent,
    key: &Key,
    work: &Work,
) -> Result<Again, EngineError> {
    let anchor = Key::new(Scope::Cluster, &key.name);
    match agent.anchors.get(&anchor) {
        None => {
            ctx.works.remove_finalizer(work, meta::WORK_FINALIZER).await?;
            return Ok(Again::No);
        }
        Some(held) if held.metadata.deletion_timestamp.is_none() => {
            let how = Delete { uid: held.metadata.uid.as_deref(), foreground: true };
            agent.anchors.delete(&anchor, &how).await?;
        }
        Some(_) => {}
    }
    Ok(Again::After(LINGER))
}

async fn ensure_anchor(agent: &Agent, work: &Work) -> Result<Arc<AppliedWork>, EngineError> {
    let name = work.metadata.name.clone().unwrap_or_default();
    if let Some(held) = agent.anchors.get(&Key::new(Scope::Cluster, &name)) {
        return match held.metadata.deletion_timestamp {
            None => Ok(held),
            Some(_) => Err(EngineError::Awaited(format!("the end of AppliedWork `{name}`"))),
        };
    }
    let anchor = AppliedWork {
        types: types(kind::APPLIED_WORK),
        metadata: ObjectMeta { name: Some(name.clone()), ..Default::default() },
        spec: AppliedWorkSpec {
            work_name: name,
            work_namespace: work.metadata.namespace.clone().unwrap_or_default(),
        },
        status: None,
    };
    Ok(agent.anchors.create(&Scope::Cluster, &anchor).await?)
}

fn gvk(id: &WorkResourceIdentifier) -> GroupVersionKind {
    GroupVersionKind::gvk(&id.group, &id.version, &id.kind)
}

/// Returns the identifiers of a work's manifests, with their resources where the member knows them.
async fn identifiers(
    agent: &Agent,
    work: &Work,
) -> Result<Vec<WorkResourceIdentifier>, EngineError> {
    let mut wanted = Vec::new();
    for (ordinal, manifest) in work.spec.workload.manifests.iter().enumerate() {
        let mut id = identify(ordinal, manifest);
        match agent.hub.locate(&gvk(&id)).await {
            Ok(resource) => id.resource = resource.api.plural,
            // Its definition may be in an earlier wave.
            Err(HubError::UnknownKind { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        wanted.push(id);
    }
    Ok(wanted)
}

/// Applies all manifests, wave after wave.
async fn apply_all(
    agent: &Arc<Agent>,
    work: &Work,
    wanted: &[WorkResourceIdentifier],
    anchor: &Anchor,
) -> Result<(Vec<Outcome>, Vec<AppliedResource>), EngineError> {
    let strategy = work.spec.apply_strategy.clone().unwrap_or_default().defaulted();
    let mut seen = BTreeSet::new();
    let (mut outcomes, mut sound) = (Vec::new(), Vec::new());
    for (id, manifest) in wanted.iter().zip(&work.spec.workload.manifests) {
        match malformed(manifest, &mut seen) {
            Some(refusal) => outcomes.push(Outcome {
                identifier: id.clone(),
                generation: None,
                result: Err(refusal),
            }),
            None => sound.push((wave(&id.group, &id.kind), id, manifest)),
        }
    }
    sound.sort_by_key(|(wave, ..)| *wave);
    let mut applied = Vec::new();
    for wave in sound.chunk_by(|(a, ..), (b, ..)| a == b) {
        let mut writes = Vec::new();
        for (_, id, manifest) in wave {
            writes.push(process(agent, work, id, manifest, anchor, &strategy).boxed());
        }
        let done: Vec<Result<(Outcome, Option<AppliedResource>), EngineError>> =
            stream::iter(writes).buffer_unordered(WIDTH).collect().await;
        for done in done {
            let (outcome, resource) = done?;
            applied.extend(resource);
            outcomes.push(outcome);
        }
        if wave.iter().any(|(_, id, _)| id.kind == "CustomResourceDefinition") {
            agent.hub.forget_resources();
        }
    }
    outcomes.sort_by_key(|outcome| outcome.identifier.ordinal);
    applied.sort_by_key(|resource| resource.identifier.ordinal);
    Ok((outcomes, applied))
}

/// Applies a manifest, or compares it. What the member refuses is an outcome; only silence is an error.
async fn process(
    agent: &Arc<Agent>,
    work: &Work,
    id: &WorkResourceIdentifier,
    manifest: &Value,
    anchor: &Anchor,
    strategy: &ApplyStrategy,
) -> Result<(Outcome, Option<AppliedResource>), EngineError> {
    let refused = |refusal: Refusal, generation: Option<i64>| {
        (Outcome { identifier: id.clone(), generation, result: Err(refusal) }, None)
    };
    let resource = match agent.hub.locate(&gvk(id)).await {
        Ok(resource) => resource,
        Err(error @ HubError::UnknownKind { .. }) => {
            return Ok(refused(Refusal::new("DecodingErred", error.to_string()), None));
        }
        Err(error) => return Err(error.into()),
    };
    let mut identifier = id.clone();
    identifier.resource.clone_from(&resource.api.plural);
    let brought = match strategy.only_reports() {
        true => compare(agent, &resource, work, id, manifest, strategy).await,
        false => apply_one(agent, &resource, id, manifest, anchor, strategy).await,
    };
    match brought {
        Ok(Brought { object, done }) => {
            let applied = matches!(done, Done::Applied { .. });
            let uid = object.as_ref().and_then(|object| object.pointer("/metadata/uid"));
            let uid = uid.and_then(Value::as_str).unwrap_or_default().to_owned();
            let resource = applied.then(|| AppliedResource { identifier: identifier.clone(), uid });
            let generation = object.as_ref().map(generation);
            Ok((Outcome { identifier, generation, result: Ok(done) }, resource))
        }
        Err(Failure::Refused(refusal, generation)) => Ok(refused(refusal, generation)),
        Err(Failure::Hub(
            error @ (HubError::Unreachable { .. } | HubError::Unavailable { .. }),
        )) => Err(error.into()),
        Err(Failure::Hub(error)) => {
            let reason = match strategy.only_reports() {
                true => "FailedToFindObjInMemberCluster",
                false => "ManifestApplyFailed",
            };
            Ok(refused(Refusal::new(reason, error.to_string()), None))
        }
    }
}

/// What became of a manifest, and the object as the member has it.
struct Brought {
    object: Option<Value>,
    done: Done,
}

fn generation(object: &Value) -> i64 {
    object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default()
}

/// Compares a manifest with what the member has, and writes nothing.
async fn compare(
    agent: &Arc<Agent>,
    resource: &Resource,
    work: &Work,
    id: &WorkResourceIdentifier,
    manifest: &Value,
    strategy: &ApplyStrategy,
) -> Result<Brought, Failure> {
    let key = key_of(id);
    // Before it is read: no change in between is missed.
    agent.compare(&resource.api, &key, &Key::of(&work.metadata));
    let object = agent.hub.get_object_at(resource, &key).await?;
    let diffs = compare::report(manifest, object.as_ref(), strategy.compares_all());
    Ok(Brought { object, done: Done::Compared(diffs) })
}

async fn apply_one(
    agent: &Arc<Agent>,
    resource: &Resource,
    id: &WorkResourceIdentifier,
    manifest: &Value,
    anchor: &Anchor,
    strategy: &ApplyStrategy,
) -> Result<Brought, Failure> {
    let object = bring(agent, resource, id, &prepare(manifest, anchor), anchor, strategy).await?;
    agent.note(&resource.api, &object);
    // What was applied differs no more, but in fields that only the member has.
    let drifts = match strategy.compares_all() {
        true => compare::differences(manifest, &object, true),
        false => Vec::new(),
    };
    let availability = availability(&object);
    Ok(Brought { object: Some(object), done: Done::Applied { availability, drifts } })
}

enum Failure {
    /// With the generation of the object that is left alone.
    Refused(Refusal, Option<i64>),
    Hub(HubError),
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Self::Hub(error)
    }
}

/// Brings an object to what its manifest says, and returns it as the member has it then.
async fn bring(
    agent: &Agent,
    resource: &Resource,
    id: &WorkResourceIdentifier,
    prepared: &Prepared,
    anchor: &Anchor,
    strategy: &ApplyStrategy,
) -> Result<Value, Failure> {
    let key = key_of(id);
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let live = agent.hub.get_object_at(resource, &key).await?;
        let written = match apply::decide(prepared, live.as_ref(), anchor, strategy) {
            Decision::Refuse(refusal) => {
                return Err(Failure::Refused(refusal, live.as_ref().map(generation)));
            }
            Decision::Nothing => return Ok(live.unwrap_or_default()),
            Decision::Create => agent.hub.create_object(&prepared.object, AGENT_MANAGER).await,
            Decision::Patch(patch) => {
                agent.hub.merge_object(resource, &key, &patch, AGENT_MANAGER).await
            }
            Decision::ServerSide { force } => {
                let how = Apply { manager: AGENT_MANAGER, force, dry_run: false };
                agent.hub.apply_with(&prepared.object, how).await
            }
        };
        match written {
            Ok(object) => return Ok(object),
            // Somebody else was faster.
            Err(error @ (HubError::Stale { .. } | HubError::AlreadyExists { .. })) => {
                last = Some(error);
            }
            Err(HubError::NotFound { .. }) if live.is_none() && resource.namespaced => {
                let why = format!("namespaces \"{}\" not found", key.namespace);
                return Err(Failure::Refused(Refusal::new("ManifestApplyFailed", why), None));
            }
            Err(error @ HubError::NotFound { .. }) => last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(last.map_or_else(
        || Failure::Refused(Refusal::new("ManifestApplyFailed", "no attempt was made"), None),
        Failure::Hub,
    ))
}

fn key_of(id: &WorkResourceIdentifier) -> ObjectKey {
    ObjectKey {
        group: id.group.clone(),
        kind: id.kind.clone(),
        namespace: id.namespace.clone(),
        name: id.name.clone(),
    }
}

/// Removes an object that the work no longer has: deletes it if the work alone owns it, else gives it up.
async fn remove(
    agent: &Agent,
    anchor: &Anchor,
    id: &WorkResourceIdentifier,
) -> Result<(), EngineError> {
    let key = key_of(id);
    let resource = match agent.hub.locate(&gvk(id)).await {
        Ok(resource) => resource,
        Err(HubError::UnknownKind { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let Some(live) = agent.hub.get_object_at(&resource, &key).await? else { return Ok(()) };
    let owners = apply::owners(&live);
    let ours = |owner: &Value| owner.get("uid").and_then(Value::as_str) == Some(&anchor.uid);
    if !owners.iter().any(|owner| ours(owner)) {
        return Ok(());
    }
    let others: Vec<&Value> = owners.iter().copied().filter(|owner| !ours(owner)).collect();
    if others.is_empty() {
        let uid = live.pointer("/metadata/uid").and_then(Value::as_str);
        agent.hub.delete_object(&key, &Delete { uid, foreground: false }).await?;
    } else {
        let patch = json!({"metadata": {
            "ownerReferences": others,
            "resourceVersion": live["metadata"]["resourceVersion"],
        }});
        agent.hub.merge_object(&resource, &key, &patch, AGENT_MANAGER).await?;
    }
    Ok(())
}

/// Tells in the AppliedWork what is applied.
async fn record(
    agent: &Agent,
    held: &AppliedWork,
    applied_resources: Vec<AppliedResource>,
) -> Result<(), EngineError> {
    let status = AppliedWorkStatus { applied_resources };
    if held.status.clone().unwrap_or_default() != status {
        let status = json!({"appliedResources": status.applied_resources});
        agent.anchors.merge_status(&Key::of(&held.metadata), &status).await?;
    }
    Ok(())
}
