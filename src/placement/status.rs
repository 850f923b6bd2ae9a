//! A placement's status (fleet-semantics §6).

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    plan::{annotation, label},
    report::rebuild,
    select::identifier,
    snapshot::{Group, latest},
};
use crate::{
    api::{
        Binding, Placement, PolicySnapshot,
        binding::{
            APPLIED, AVAILABLE, ClusterDecision, DIFF_REPORTED, OVERRIDDEN, ROLLOUT_STARTED,
            WORK_SYNCHRONIZED,
        },
        condition::{self, Claim, Truth},
        meta,
        placement::{ClusterPlacementStatus, EXTERNAL, PlacementStatus},
        reference::ResourceIdentifier,
        snapshot::SCHEDULED,
    },
    model::Scope,
};

/// What a placement's status is judged from.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The placement.
    pub placement: &'a Placement,
    /// Its latest policy snapshot.
    pub policy: Option<&'a PolicySnapshot>,
    /// Its bindings.
    pub bindings: &'a [Arc<Binding>],
    /// Its resource snapshots.
    pub groups: &'a [Group],
    /// Why its selectors cannot be met, if so.
    pub invalid: Option<&'a str>,
}

/// The words of one condition type, at the cluster and at the placement.
struct Words {
    kind: &'static str,
    cluster_placement: &'static str,
    placement: &'static str,
    /// Reason and message while a cluster has not said anything.
    pending: (&'static str, &'static str),
    yes: (&'static str, &'static str),
    no: (&'static str, &'static str),
    unknown: (&'static str, &'static str),
}

const ROLLOUT: Words = Words {
    kind: ROLLOUT_STARTED,
    cluster_placement: "ClusterResourcePlacementRolloutStarted",
    placement: "ResourcePlacementRolloutStarted",
    pending: (
        "RolloutStartedUnknown",
        "In the process of deciding whether to roll out some version of the resources or not",
    ),
    yes: ("RolloutStarted", "All {n} cluster(s) start rolling out the latest resource"),
    no: (
        "RolloutNotStartedYet",
        "The rollout is being blocked by the rollout strategy in {n} cluster(s)",
    ),
    unknown: (
        "RolloutStartedUnknown",
        "There are still {n} cluster(s) in the process of deciding whether to roll out the latest resources or not",
    ),
};
const OVERRIDE: Words = Words {
    kind: OVERRIDDEN,
    cluster_placement: "ClusterResourcePlacementOverridden",
    placement: "ResourcePlacementOverridden",
    pending: (
        "OverriddenPending",
        "In the process of overriding the selected resources if there is any override defined",
    ),
    yes: (
        "OverriddenSucceeded",
        "The selected resources are successfully overridden in {n} cluster(s)",
    ),
    no: ("OverriddenFailed", "Failed to override resources in {n} cluster(s)"),
    unknown: (
        "OverriddenPending",
        "There are still {n} cluster(s) in the process of overriding the selected resources if there is any override defined",
    ),
};
const SYNC: Words = Words {
    kind: WORK_SYNCHRONIZED,
    cluster_placement: "ClusterResourcePlacementWorkSynchronized",
    placement: "ResourcePlacementWorkSynchronized",
    pending: (
        "WorkSynchronizedUnknown",
        "In the process of creating or updating the work object(s) in the hub cluster",
    ),
    yes: (
        "WorkSynchronized",
        "Work(s) are successfully created or updated in {n} target cluster(s)' namespaces",
    ),
    no: (
        "WorkNotSynchronizedYet",
        "There are {n} cluster(s) which have not finished creating or updating work(s) yet",
    ),
    unknown: (
        "WorkSynchronizedUnknown",
        "There are still {n} cluster(s) in the process of creating or updating the work object(s) in the hub cluster",
    ),
};
const APPLY: Words = Words {
    kind: APPLIED,
    cluster_placement: "ClusterResourcePlacementApplied",
    placement: "ResourcePlacementApplied",
    pending: ("ApplyPending", "In the process of applying the resources on the member cluster"),
    yes: ("ApplySucceeded", "The selected resources are successfully applied to {n} cluster(s)"),
    no: (
        "ApplyFailed",
        "Failed to apply resources to {n} cluster(s), please check the `failedPlacements` status",
    ),
    unknown: (
        "ApplyPending",
        "There are still {n} cluster(s) in the process of applying the resources on the member cluster",
    ),
};
const AVAILABILITY: Words = Words {
    kind: AVAILABLE,
    cluster_placement: "ClusterResourcePlacementAvailable",
    placement: "ResourcePlacementAvailable",
    // The space at the end is Fleet's.
    pending: (
        "ResourceAvailableUnknown",
        "The availability of the selected resources is unknown yet ",
    ),
    yes: ("ResourceAvailable", "The selected resources in {n} cluster(s) are available now"),
    no: (
        "ResourceNotAvailableYet",
        "The selected resources in {n} cluster(s) are still not available yet",
    ),
    unknown: (
        "ResourceAvailableUnknown",
        "There are still {n} cluster(s) in the process of checking the availability of the selected resources",
    ),
};
const DIFF: Words = Words {
    kind: DIFF_REPORTED,
    cluster_placement: "ClusterResourcePlacementDiffReported",
    placement: "ResourcePlacementDiffReported",
    pending: (
        "DiffReportingPending",
        "Diff reporting has just started; its status is not yet to be known",
    ),
    yes: ("DiffReportingCompleted", "Diff reporting in {n} cluster(s) has been completed"),
    no: (
        "DiffReportingIncompleteOrFailed",
        "Diff reporting in {n} clusters is still in progress or has failed",
    ),
    unknown: (
        "DiffReportingPending",
        "There are still {n} cluster(s) in the process of checking for configuration differences",
    ),
};

const APPLY_SEQUENCE: [&Words; 5] = [&ROLLOUT, &OVERRIDE, &SYNC, &APPLY, &AVAILABILITY];
const DIFF_SEQUENCE: [&Words; 4] = [&ROLLOUT, &OVERRIDE, &SYNC, &DIFF];

/// Returns the condition type that says whether a placement is scheduled.
pub fn scheduled_kind(scope: &Scope) -> &'static str {
    match scope {
        Scope::Cluster => "ClusterResourcePlacementScheduled",
        Scope::Namespace(_) => "ResourcePlacementScheduled",
    }
}

/// Returns the placement's status.
pub fn status(seen: Seen<'_>, now: Timestamp) -> PlacementStatus {
    let scope = Scope::of(seen.placement.metadata.namespace.as_deref());
    let generation = seen.placement.metadata.generation.unwrap_or_default();
    let mut status = seen.placement.status.clone().unwrap_or_default();
    let scheduled = match (seen.invalid, scheduled(seen, generation)) {
        (Some(why), _) => Claim::new(
            scheduled_kind(&scope),
            Truth::False,
            "InvalidResourceSelectors",
            format!("The resource selectors are invalid: {why}"),
        ),
        (None, Some(condition)) => Claim {
            kind: scheduled_kind(&scope),
            truth: truth(condition),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
        },
        (None, None) => {
            status.placement_statuses = None;
            status.selected_resources = latest(seen.groups).map(resources);
            Claim::new(
                scheduled_kind(&scope),
                Truth::Unknown,
                "SchedulePending",
                "Scheduling has not completed",
            )
        }
    };
    let settled = scheduled.reason != "SchedulePending" && seen.invalid.is_none();
    condition::set(&mut status.conditions, scheduled, generation, now);
    if settled {
        fill(&mut status, seen, &scope, now);
    }
    status
}

fn truth(condition: &Condition) -> Truth {
    match condition.status.as_str() {
        "True" => Truth::True,
        "False" => Truth::False,
        _ => Truth::Unknown,
    }
}

/// Returns the policy snapshot's verdict, if it is about the placement as it is.
fn scheduled<'a>(seen: Seen<'a>, generation: i64) -> Option<&'a Condition> {
    let policy = seen.policy?;
    let status = policy.status.as_ref()?;
    let current = annotation(&policy.metadata, meta::PLACEMENT_GENERATION)
        .and_then(|text| text.parse::<i64>().ok());
    if current != Some(generation) || status.observed_placement_generation < generation {
        return None;
    }
    let verdict = condition::find(&status.conditions, SCHEDULED)?;
    let fresh = verdict.observed_generation == policy.metadata.generation;
    (fresh && truth(verdict) != Truth::Unknown).then_some(verdict)
}

/// How the placement goes on one cluster.
struct Cluster<'a> {
    decision: &'a ClusterDecision,
    binding: Option<&'a Arc<Binding>>,
    index: Option<&'a Group>,
    claims: Vec<Claim>,
}

fn sequence(placement: &Placement) -> &'static [&'static Words] {
    match placement.spec.apply_strategy().only_reports() {
        true => &DIFF_SEQUENCE,
        false => &APPLY_SEQUENCE,
    }
}

/// Fills in everything but `Scheduled`.
fn fill(status: &mut PlacementStatus, seen: Seen<'_>, scope: &Scope, now: Timestamp) {
    let generation = seen.placement.metadata.generation.unwrap_or_default();
    let decisions = seen.policy.and_then(|policy| policy.status.as_ref());
    let decisions = decisions.and_then(|status| status.target_clusters.as_deref()).unwrap_or(&[]);
    let clusters: Vec<Cluster<'_>> = decisions
        .iter()
        .filter(|decision| decision.selected)
        .map(|decision| cluster(seen, decision))
        .collect();
    let held = status.placement_statuses.take().unwrap_or_default();
    let entries = clusters.iter().map(|cluster| entry(cluster, &held, generation, now));
    let mut entries: Vec<ClusterPlacementStatus> = entries.collect();
    entries.extend(shortfall(seen, decisions, generation, now));
    status.placement_statuses = (!entries.is_empty()).then_some(entries);

    let (shared, mut claims) = placement_claims(seen, scope, &clusters);
    status.observed_resource_index = shared.map(|group| group.index.to_string());
    status.selected_resources = shared.map(resources).filter(|resources| !resources.is_empty());
    let scheduled = condition::find(&status.conditions, scheduled_kind(scope)).cloned();
    if clusters.is_empty() {
        claims.clear();
    }
    let mut conditions: Vec<Condition> = scheduled.into_iter().collect();
    conditions.extend(rebuild(&status.conditions, claims, generation, now));
    status.conditions = conditions;
}

fn resources(group: &Group) -> Vec<ResourceIdentifier> {
    group.content().map(identifier).collect()
}

fn cluster<'a>(seen: Seen<'a>, decision: &'a ClusterDecision) -> Cluster<'a> {
    let policy = seen.policy.and_then(|policy| policy.metadata.name.as_deref());
    let binding = seen.bindings.iter().find(|binding| {
        binding.spec.target_cluster == decision.cluster_name
            && binding.metadata.deletion_timestamp.is_none()
            && Some(binding.spec.scheduling_policy_snapshot_name.as_str()) == policy
    });
    let index = binding.and_then(|binding| {
        let wanted = &binding.spec.resource_snapshot_name;
        seen.groups.iter().find(|group| {
            group.pieces.iter().any(|piece| piece.metadata.name.as_ref() == Some(wanted))
        })
    });
    Cluster { decision, binding, index, claims: cluster_claims(seen, binding) }
}

fn cluster_claims(seen: Seen<'_>, binding: Option<&Arc<Binding>>) -> Vec<Claim> {
    let mut claims = Vec::new();
    for words in sequence(seen.placement) {
        let said = binding.and_then(|binding| {
            let conditions = &binding.status.as_ref()?.conditions;
            let said = condition::find(conditions, words.kind)?;
            let fresh = said.observed_generation == binding.metadata.generation;
            (fresh && truth(said) != Truth::Unknown).then_some(said)
        });
        let claim = match said {
            Some(said) => {
                Claim::new(words.kind, truth(said), said.reason.clone(), said.message.clone())
            }
            None => Claim::new(words.kind, Truth::Unknown, words.pending.0, words.pending.1),
        };
        let stop = claim.truth != Truth::True;
        claims.push(claim);
        if stop {
            break;
        }
    }
    claims
}

fn entry(
    cluster: &Cluster<'_>,
    held: &[ClusterPlacementStatus],
    generation: i64,
    now: Timestamp,
) -> ClusterPlacementStatus {
    let name = Some(cluster.decision.cluster_name.clone());
    let before = held.iter().find(|entry| entry.cluster_name == name);
    let before = before.map(|entry| entry.conditions.as_slice()).unwrap_or_default();
    let scheduled =
        Claim::new(SCHEDULED, Truth::True, "Scheduled", cluster.decision.reason.clone());
    let claims = std::iter::once(scheduled).chain(cluster.claims.iter().cloned()).collect();
    let spec = cluster.binding.map(|binding| &binding.spec);
    let status = cluster.binding.and_then(|binding| binding.status.as_ref());
    ClusterPlacementStatus {
        cluster_name: name,
        observed_resource_index: cluster.index.map(|group| group.index.to_string()),
        applicable_cluster_resource_overrides: spec
            .and_then(|spec| spec.cluster_resource_override_snapshots.clone()),
        applicable_resource_overrides: spec
            .and_then(|spec| spec.resource_override_snapshots.clone()),
        failed_placements: status.and_then(|status| status.failed_placements.clone()),
        drifted_placements: status.and_then(|status| status.drifted_placements.clone()),
        diffed_placements: status.and_then(|status| status.diffed_placements.clone()),
        conditions: rebuild(before, claims, generation, now),
    }
}

/// Returns entries without a cluster, for what PickN and PickFixed did not find.
fn shortfall(
    seen: Seen<'_>,
    decisions: &[ClusterDecision],
    generation: i64,
    now: Timestamp,
) -> Vec<ClusterPlacementStatus> {
    let policy = seen.placement.spec.policy.as_ref();
    let wanted = policy.map_or(0, |policy| {
        let count = policy.number_of_clusters.and_then(|count| usize::try_from(count).ok());
        count.or(policy.cluster_names.as_ref().map(Vec::len)).unwrap_or_default()
    });
    let selected = decisions.iter().filter(|decision| decision.selected).count();
    let unselected = decisions.iter().filter(|decision| !decision.selected);
    unselected
        .take(wanted.saturating_sub(selected))
        .map(|decision| ClusterPlacementStatus {
            conditions: rebuild(
                &[],
                vec![Claim::new(
                    SCHEDULED,
                    Truth::False,
                    "ScheduleFailed",
                    decision.reason.clone(),
                )],
                generation,
                now,
            ),
            ..Default::default()
        })
        .collect()
}

/// Returns the snapshot group that all clusters share, and the placement's conditions after `Scheduled`.
fn placement_claims<'a>(
    seen: Seen<'a>,
    scope: &Scope,
    clusters: &[Cluster<'a>],
) -> (Option<&'a Group>, Vec<Claim>) {
    if seen.placement.spec.strategy_type() != EXTERNAL {
        return (latest(seen.groups), aggregate(seen, scope, clusters));
    }
    let Some(first) = clusters.first() else { return (None, Vec::new()) };
    let index = |cluster: &Cluster<'_>| cluster.index.map(|group| group.index);
    let external = |why: String| {
        let kind = kind_of(&ROLLOUT, scope);
        vec![Claim::new(
            kind,
            Truth::Unknown,
            "RolloutControlledByExternalController",
            format!("Rollout is controlled by an external controller and {why}"),
        )]
    };
    if clusters.iter().any(|cluster| index(cluster) != index(first)) {
        let why = "different resource snapshot versions are observed across clusters";
        return (None, external(why.to_owned()));
    }
    let Some(shared) = first.index else {
        let run = match scope {
            Scope::Cluster => "ClusterStagedUpdateRun",
            Scope::Namespace(_) => "StagedUpdateRun",
        };
        return (
            None,
            external(format!(
                "no resource snapshot name is observed across clusters. To determine rollout status, check the {run} resources with spec.placementName matching this placement"
            )),
        );
    };
    let unknown = clusters
        .iter()
        .find(|cluster| cluster.claims.first().is_none_or(|claim| claim.truth == Truth::Unknown));
    if let Some(cluster) = unknown {
        let name = &cluster.decision.cluster_name;
        return (
            Some(shared),
            external(format!("cluster {name} is in RolloutStarted Unknown state")),
        );
    }
    (Some(shared), aggregate(seen, scope, clusters))
}

fn kind_of(words: &Words, scope: &Scope) -> &'static str {
    match scope {
        Scope::Cluster => words.cluster_placement,
        Scope::Namespace(_) => words.placement,
    }
}

fn aggregate(seen: Seen<'_>, scope: &Scope, clusters: &[Cluster<'_>]) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (at, words) in sequence(seen.placement).iter().enumerate() {
        let count = |truth: Truth| {
            clusters
                .iter()
                .filter(|cluster| {
                    cluster.claims.get(at).map_or(Truth::Unknown, |claim| claim.truth) == truth
                })
                .count()
        };
        let (unknown, no) = (count(Truth::Unknown), count(Truth::False));
        let overridden = clusters.iter().any(|cluster| {
            cluster.claims.get(at).is_some_and(|claim| claim.reason != "NoOverrideSpecified")
        });
        let (truth, count, (reason, message)) = match (unknown, no) {
            (1.., _) => (Truth::Unknown, unknown, words.unknown),
            (0, 1..) => (Truth::False, no, words.no),
            (0, 0) if words.kind == OVERRIDDEN && !overridden => (
                Truth::True,
                0,
                (
                    "NoOverrideSpecified",
                    "No override rules are configured for the selected resources",
                ),
            ),
            (0, 0) => (Truth::True, clusters.len(), words.yes),
        };
        let message = message.replace("{n}", &count.to_string());
        claims.push(Claim::new(kind_of(words, scope), truth, reason, message));
        if truth != Truth::True {
            break;
        }
    }
    claims
}

/// Returns the placement that an object belongs to, by label.
pub fn parent(metadata: &kube::core::ObjectMeta) -> Option<&str> {
    label(metadata, meta::PARENT_PLACEMENT)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn placement(external: bool) -> Placement {
        let kind = if external { "External" } else { "RollingUpdate" };
        serde_json::from_value(json!({"metadata": {"name": "web", "generation": 1}, "spec": {"resourceSelectors": [], "strategy": {"type": kind}}})).unwrap()
    }

    fn policy(clusters: &[&str]) -> PolicySnapshot {
        let targets: Vec<Value> = clusters
            .iter()
            .map(|name| json!({"clusterName": name, "selected": true, "reason": format!("picked {name}")}))
            .collect();
        serde_json::from_value(json!({"metadata": {"name": "web-0", "generation": 1, "annotations": {meta::PLACEMENT_GENERATION: "1"}},
            "spec": {"policyHash": ""}, "status": {"observedCRPGeneration": 1, "targetClusters": targets, "conditions": [{"type": "Scheduled",
            "status": "True", "reason": "SchedulingPolicyFulfilled", "message": "found", "observedGeneration": 1, "lastTransitionTime": at(1).to_string()}]}}))
        .unwrap()
    }

    /// A binding to a snapshot with the first so many conditions of the sequence True, and perhaps one False.
    fn binding(cluster: &str, snapshot: &str, yes: usize, no: bool) -> Arc<Binding> {
        let kinds = ["RolloutStarted", "Overridden", "WorkSynchronized", "Applied", "Available"];
        let conditions: Vec<Value> = kinds
            .iter()
            .take(yes + usize::from(no))
            .enumerate()
            .map(|(at_place, kind)| {
                let status = if at_place < yes { "True" } else { "False" };
                let reason = if *kind == "Overridden" { "NoOverrideSpecified" } else { "R" };
                json!({"type": kind, "status": status, "reason": reason, "message": "", "observedGeneration": 2, "lastTransitionTime": at(1).to_string()})
            })
            .collect();
        Arc::new(serde_json::from_value(json!({"metadata": {"generation": 2}, "spec": {"state": "Bound", "targetCluster": cluster, "resourceSnapshotName": snapshot,
            "schedulingPolicySnapshotName": "web-0", "clusterDecision": {"clusterName": cluster}}, "status": {"conditions": conditions}})).unwrap())
    }

    fn groups() -> Vec<Group> {
        let snapshot = |index: &str| {
            Arc::new(serde_json::from_value(json!({"metadata": {"name": format!("web-{index}-snapshot"), "labels": {meta::RESOURCE_INDEX: index},
                "annotations": {meta::RESOURCE_HASH: "h", meta::SNAPSHOT_COUNT: "1"}},
                "spec": {"selectedResources": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}}]}})).unwrap())
        };
        Group::all(&[snapshot("0"), snapshot("1")])
    }

    fn judge(external: bool, bindings: &[Arc<Binding>]) -> PlacementStatus {
        let (placement, policy, groups) = (placement(external), policy(&["a", "b"]), groups());
        let seen = Seen {
            placement: &placement,
            policy: Some(&policy),
            bindings,
            groups: &groups,
            invalid: None,
        };
        status(seen, at(9))
    }

    fn last(status: &PlacementStatus) -> String {
        let last = status.conditions.last().unwrap();
        let kind = last.type_.trim_start_matches("ClusterResourcePlacement");
        format!("{kind}={} {}: {}", last.status, last.reason, last.message)
    }

    #[test]
    fn the_situations_of_an_external_placement() {
        const BY: &str = "RolloutStarted=Unknown RolloutControlledByExternalController: Rollout is controlled by an external controller and ";
        const ONE: &str = "web-1-snapshot";
        for (bindings, index, want) in [
            (
                vec![binding("a", "", 0, false), binding("b", "", 0, false)],
                None,
                format!("{BY}no resource snapshot name is observed across clusters. To determine rollout status, check the ClusterStagedUpdateRun resources with spec.placementName matching this placement"),
            ),
            (
                vec![binding("a", ONE, 5, false), binding("b", "", 0, false)],
                None,
                format!("{BY}different resource snapshot versions are observed across clusters"),
            ),
            (
                vec![binding("a", ONE, 5, false), binding("b", "web-0-snapshot", 5, false)],
                None,
                format!("{BY}different resource snapshot versions are observed across clusters"),
            ),
            (
                vec![binding("a", ONE, 5, false), binding("b", ONE, 0, false)],
                Some("1"),
                format!("{BY}cluster b is in RolloutStarted Unknown state"),
            ),
            (
                vec![binding("a", ONE, 5, false), binding("b", ONE, 3, true)],
                Some("1"),
                "Applied=False ApplyFailed: Failed to apply resources to 1 cluster(s), please check the `failedPlacements` status".into(),
            ),
            (
                vec![binding("a", ONE, 5, false), binding("b", ONE, 2, false)],
                Some("1"),
                "WorkSynchronized=Unknown WorkSynchronizedUnknown: There are still 1 cluster(s) in the process of creating or updating the work object(s) in the hub cluster".into(),
            ),
            (
                vec![binding("a", ONE, 5, false), binding("b", ONE, 5, false)],
                Some("1"),
                "Available=True ResourceAvailable: The selected resources in 2 cluster(s) are available now".into(),
            ),
            (
                vec![binding("a", "web-9-snapshot", 5, false), binding("b", "web-9-snapshot", 5, false)],
                None,
                format!("{BY}no resource snapshot name is observed across clusters. To determine rollout status, check the ClusterStagedUpdateRun resources with spec.placementName matching this placement"),
            ),
        ] {
            let status = judge(true, &bindings);
            assert_eq!(last(&status), want);
            assert_eq!(status.observed_resource_index.as_deref(), index);
            assert_eq!(status.selected_resources.is_some(), index.is_some());
            assert_eq!(status.conditions[0].reason, "SchedulingPolicyFulfilled");
        }
    }

    #[test]
    fn later_conditions_go_when_an_earlier_one_is_not_true() {
        let all =
            [binding("a", "web-1-snapshot", 5, false), binding("b", "web-1-snapshot", 5, false)];
        let mut placement = placement(true);
        placement.status = Some(judge(true, &all));
        assert_eq!(placement.status.as_ref().unwrap().conditions.len(), 6);
        let (policy, groups) = (policy(&["a", "b"]), groups());
        let bindings = [all[0].clone(), binding("b", "web-0-snapshot", 1, false)];
        let seen = Seen {
            placement: &placement,
            policy: Some(&policy),
            bindings: &bindings,
            groups: &groups,
            invalid: None,
        };
        let next = status(seen, at(20));
        assert_eq!(next.conditions.len(), 2);
        assert_eq!(
            next.conditions[0].last_transition_time.0,
            at(9),
            "it was scheduled all the time"
        );
        let entries = next.placement_statuses.unwrap();
        assert_eq!((entries[0].conditions.len(), entries[1].conditions.len()), (6, 3));
    }

    #[test]
    fn a_rolling_update_reports_the_latest() {
        let bindings =
            [binding("a", "web-0-snapshot", 0, true), binding("b", "web-1-snapshot", 5, false)];
        let status = judge(false, &bindings);
        assert_eq!(
            last(&status),
            "RolloutStarted=False RolloutNotStartedYet: The rollout is being blocked by the rollout strategy in 1 cluster(s)"
        );
        assert_eq!(status.observed_resource_index.as_deref(), Some("1"));
    }

    #[test]
    fn nothing_is_said_before_the_scheduler_spoke() {
        let (placement, groups) = (placement(true), groups());
        let seen = Seen {
            placement: &placement,
            policy: None,
            bindings: &[],
            groups: &groups,
            invalid: None,
        };
        let pending = status(seen, at(9));
        assert_eq!(
            last(&pending),
            "Scheduled=Unknown SchedulePending: Scheduling has not completed"
        );
        let invalid = status(Seen { invalid: Some("no"), ..seen }, at(9));
        assert_eq!(
            last(&invalid),
            "Scheduled=False InvalidResourceSelectors: The resource selectors are invalid: no"
        );
    }
}
