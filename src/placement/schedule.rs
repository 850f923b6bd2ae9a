//! Which clusters a placement goes to, and the bindings that say so (fleet-semantics §4).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use kube::core::ObjectMeta;

use super::{
    eligible::{Filter, ineligible},
    plan::{annotation, pairs, types},
};
use crate::{
    api::{
        Binding, MemberCluster, PolicySnapshot,
        binding::{BindingSpec, ClusterDecision, ClusterScore, STATE_SCHEDULED, STATE_UNSCHEDULED},
        condition::{self, Claim, Truth},
        kind, meta,
        placement::{PICK_ALL, PICK_FIXED, PICK_N, PlacementPolicy},
        snapshot::{PolicySnapshotStatus, SCHEDULED},
    },
    model::Scope,
};

/// How many decisions against a cluster are reported.
const REPORTED_UNSELECTED: usize = 20;

/// What a scheduling cycle wants written.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    /// New bindings.
    pub create: Vec<Binding>,
    /// Bindings with another spec or annotation than they have.
    pub replace: Vec<Binding>,
    /// The policy snapshot's status.
    pub status: PolicySnapshotStatus,
}

/// What the scheduler looks at.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    /// The placement's name.
    pub placement: &'a str,
    /// Where the placement lives.
    pub scope: &'a Scope,
    /// The latest policy snapshot.
    pub policy: &'a PolicySnapshot,
    /// All member clusters.
    pub clusters: &'a [Arc<MemberCluster>],
    /// The placement's bindings.
    pub bindings: &'a [Arc<Binding>],
}

struct Verdict {
    picked: Vec<ClusterDecision>,
    unpicked: Vec<ClusterDecision>,
    fulfilled: bool,
    unsupported: Option<String>,
}

/// Runs a scheduling cycle. `suffix` gives the random part of a new binding's name.
pub fn schedule(fleet: Fleet<'_>, now: Timestamp, suffix: &mut dyn FnMut() -> u32) -> Schedule {
    let verdict = decide(fleet, now);
    let mut schedule = Schedule::default();
    let mut held: BTreeMap<&str, Vec<&Arc<Binding>>> = BTreeMap::new();
    for binding in fleet.bindings {
        if binding.metadata.deletion_timestamp.is_none() {
            held.entry(&binding.spec.target_cluster).or_default().push(binding);
        }
    }
    let chosen: BTreeSet<&str> =
        verdict.picked.iter().map(|decision| decision.cluster_name.as_str()).collect();
    for decision in &verdict.picked {
        match held.get(decision.cluster_name.as_str()).and_then(|held| held.first()) {
            None => schedule.create.push(binding(fleet, decision, suffix())),
            Some(held) => schedule.replace.extend(keep(fleet, held, decision)),
        }
    }
    // An unsupported policy decides nothing: what is there stays.
    if verdict.unsupported.is_none() {
        for (cluster, bindings) in &held {
            let surplus = usize::from(chosen.contains(cluster));
            schedule.replace.extend(bindings.iter().skip(surplus).filter_map(|held| drop_it(held)));
        }
    }
    schedule.status = status(fleet, verdict, now);
    schedule
}

fn decide(fleet: Fleet<'_>, now: Timestamp) -> Verdict {
    let policy = fleet.policy.spec.policy.as_ref();
    let filter = match Filter::new(policy, fleet.scope) {
        Ok(filter) => filter,
        Err(why) => return unsupported(why),
    };
    match policy.and_then(|policy| policy.placement_type.as_deref()).unwrap_or(PICK_ALL) {
        PICK_ALL => pick_all(fleet, &filter, now),
        PICK_FIXED => pick_fixed(fleet, policy, now),
        PICK_N => pick_n(fleet, policy, &filter, now),
        other => unsupported(format!("placement type {other} is not known")),
    }
}

fn unsupported(why: String) -> Verdict {
    Verdict { picked: Vec::new(), unpicked: Vec::new(), fulfilled: false, unsupported: Some(why) }
}

fn bound_to(fleet: Fleet<'_>, cluster: &str) -> Option<Arc<Binding>> {
    let found = fleet.bindings.iter().find(|binding| {
        binding.spec.target_cluster == cluster
            && binding.spec.state != STATE_UNSCHEDULED
            && binding.metadata.deletion_timestamp.is_none()
    });
    found.cloned()
}

/// Returns whether the cluster was picked by this very policy: then its labels, taints and health may change.
fn kept(fleet: Fleet<'_>, cluster: &MemberCluster) -> bool {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let policy = fleet.policy.metadata.name.as_deref().unwrap_or_default();
    cluster.metadata.deletion_timestamp.is_none()
        && bound_to(fleet, name)
            .is_some_and(|binding| binding.spec.scheduling_policy_snapshot_name == policy)
}

fn name(cluster: &MemberCluster) -> &str {
    cluster.metadata.name.as_deref().unwrap_or_default()
}

fn picked(cluster: &str, scored: bool) -> ClusterDecision {
    let scores = if scored { " (affinity score: 0, topology spread score: 0)" } else { "" };
    ClusterDecision {
        cluster_name: cluster.to_owned(),
        selected: true,
        cluster_score: scored
            .then_some(ClusterScore { affinity_score: Some(0), priority_score: Some(0) }),
        reason: format!(
            "Successfully scheduled resources for placement in \"{cluster}\"{scores}: picked by scheduling policy"
        ),
    }
}

fn unpicked(cluster: &str, why: &str) -> ClusterDecision {
    ClusterDecision {
        cluster_name: cluster.to_owned(),
        selected: false,
        cluster_score: None,
        reason: why.to_owned(),
    }
}

/// Parts the clusters that may hold the placement from those that may not, and says why not.
fn sift<'a>(
    fleet: Fleet<'a>,
    filter: &Filter,
    now: Timestamp,
) -> (Vec<&'a Arc<MemberCluster>>, Vec<ClusterDecision>) {
    let (mut fit, mut out) = (Vec::new(), Vec::new());
    for cluster in fleet.clusters {
        let refusal = match kept(fleet, cluster) {
            true => None,
            false => {
                ineligible(cluster, now).or_else(|| filter.refuses(cluster).map(str::to_owned))
            }
        };
        match refusal {
            None => fit.push(cluster),
            Some(why) => out.push(unpicked(name(cluster), &why)),
        }
    }
    (fit, out)
}

fn pick_all(fleet: Fleet<'_>, filter: &Filter, now: Timestamp) -> Verdict {
    let (fit, unpicked) = sift(fleet, filter, now);
    let picked = fit.into_iter().map(|cluster| picked(name(cluster), true)).collect();
    Verdict { picked, unpicked, fulfilled: true, unsupported: None }
}

fn pick_fixed(fleet: Fleet<'_>, policy: Option<&PlacementPolicy>, now: Timestamp) -> Verdict {
    let names = policy.and_then(|policy| policy.cluster_names.clone()).unwrap_or_default();
    let mut verdict =
        Verdict { picked: Vec::new(), unpicked: Vec::new(), fulfilled: true, unsupported: None };
    for wanted in names.iter().collect::<BTreeSet<_>>() {
        let cluster = fleet.clusters.iter().find(|cluster| name(cluster) == wanted);
        let refusal = match cluster {
            None => Some("cluster is not found in the fleet".to_owned()),
            Some(cluster) if kept(fleet, cluster) => None,
            Some(cluster) => ineligible(cluster, now),
        };
        match refusal {
            None => verdict.picked.push(picked(wanted, false)),
            Some(why) => {
                verdict.fulfilled = false;
                let why =
                    format!("Failed to schedule resources for placement in \"{wanted}\": {why}");
                verdict.unpicked.push(unpicked(wanted, &why));
            }
        }
    }
    verdict
}

fn pick_n(
    fleet: Fleet<'_>,
    policy: Option<&PlacementPolicy>,
    filter: &Filter,
    now: Timestamp,
) -> Verdict {
    let spread = policy.and_then(|policy| policy.topology_spread_constraints.as_ref());
    if spread.is_some_and(|constraints| !constraints.is_empty()) {
        return unsupported("topology spread constraints are not supported by this engine".into());
    }
    let count = annotation(&fleet.policy.metadata, meta::CLUSTER_COUNT);
    let count = count.and_then(|text| text.parse::<usize>().ok()).unwrap_or_default();
    let (mut fit, out) = sift(fleet, filter, now);
    // Clusters that hold the placement stay; among equals Fleet takes the last name first.
    fit.sort_by_key(|cluster| {
        let held = bound_to(fleet, name(cluster)).is_some();
        std::cmp::Reverse((held, name(cluster).to_owned()))
    });
    let rest = fit.split_off(count.min(fit.len()));
    let not_needed = |cluster: &Arc<MemberCluster>| {
        unpicked(name(cluster), "cluster is not needed to reach the number of clusters")
    };
    let fulfilled = fit.len() == count;
    fit.sort_by(|a, b| name(a).cmp(name(b)));
    Verdict {
        picked: fit.iter().map(|cluster| picked(name(cluster), true)).collect(),
        unpicked: rest.into_iter().map(not_needed).chain(out).collect(),
        fulfilled,
        unsupported: None,
    }
}

fn status(fleet: Fleet<'_>, verdict: Verdict, now: Timestamp) -> PolicySnapshotStatus {
    let mut status = fleet.policy.status.clone().unwrap_or_default();
    let generation = annotation(&fleet.policy.metadata, meta::PLACEMENT_GENERATION);
    let generation = generation.and_then(|text| text.parse().ok()).unwrap_or_default();
    status.observed_placement_generation = generation;
    let count = verdict.picked.len();
    let claim = match (verdict.fulfilled, verdict.unsupported) {
        (_, Some(why)) => Claim::new(
            SCHEDULED,
            Truth::False,
            "SchedulingPolicyUnsupported",
            format!("the scheduling policy cannot be carried out: {why}"),
        ),
        (true, None) => Claim::new(
            SCHEDULED,
            Truth::True,
            "SchedulingPolicyFulfilled",
            format!(
                "found all cluster needed as specified by the scheduling policy, found {count} cluster(s)"
            ),
        ),
        (false, None) => Claim::new(
            SCHEDULED,
            Truth::False,
            "SchedulingPolicyUnfulfilled",
            format!(
                "could not find all clusters needed as specified by the scheduling policy, found {count} cluster(s) instead"
            ),
        ),
    };
    let own = fleet.policy.metadata.generation.unwrap_or_default();
    condition::set(&mut status.conditions, claim, own, now);
    let mut decisions = verdict.picked;
    decisions.extend(verdict.unpicked.into_iter().take(REPORTED_UNSELECTED));
    status.target_clusters = (!decisions.is_empty()).then_some(decisions);
    status
}

/// Returns a binding's name: `<placement ≤ 26>-<cluster ≤ 27>-<8 hexadecimal digits>`, a DNS label.
pub fn binding_name(placement: &str, cluster: &str, suffix: u32) -> String {
    let part = |text: &str, most: usize| {
        text.chars()
            .take(most)
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect::<String>()
    };
    format!("{}-{}-{suffix:08x}", part(placement, 26), part(cluster, 27))
}

fn binding(fleet: Fleet<'_>, decision: &ClusterDecision, suffix: u32) -> Binding {
    Binding {
        types: types(kind::binding(fleet.scope)),
        metadata: ObjectMeta {
            name: Some(binding_name(fleet.placement, &decision.cluster_name, suffix)),
            namespace: fleet.scope.namespace().map(str::to_owned),
            labels: Some(pairs([(meta::PARENT_PLACEMENT, fleet.placement.to_owned())])),
            finalizers: Some(vec![meta::BINDING_FINALIZER.to_owned()]),
            ..Default::default()
        },
        spec: BindingSpec {
            state: STATE_SCHEDULED.to_owned(),
            scheduling_policy_snapshot_name: fleet.policy.metadata.name.clone().unwrap_or_default(),
            target_cluster: decision.cluster_name.clone(),
            cluster_decision: decision.clone(),
            ..Default::default()
        },
        status: None,
    }
}

/// Returns the binding as it must be to stay picked, if it is not.
fn keep(fleet: Fleet<'_>, held: &Binding, decision: &ClusterDecision) -> Option<Binding> {
    let mut next = held.clone();
    next.spec.scheduling_policy_snapshot_name =
        fleet.policy.metadata.name.clone().unwrap_or_default();
    next.spec.cluster_decision = decision.clone();
    if held.spec.state == STATE_UNSCHEDULED {
        let before = annotation(&held.metadata, meta::PREVIOUS_BINDING_STATE);
        next.spec.state = before.unwrap_or(STATE_SCHEDULED).to_owned();
        if let Some(annotations) = &mut next.metadata.annotations {
            annotations.remove(meta::PREVIOUS_BINDING_STATE);
        }
    }
    (next.spec != held.spec).then_some(next)
}

/// Returns the binding as no longer picked, if it is not yet.
fn drop_it(held: &Binding) -> Option<Binding> {
    if held.spec.state == STATE_UNSCHEDULED {
        return None;
    }
    let mut next = held.clone();
    next.spec.state = STATE_UNSCHEDULED.to_owned();
    next.metadata
        .annotations
        .get_or_insert_default()
        .insert(meta::PREVIOUS_BINDING_STATE.to_owned(), held.spec.state.clone());
    Some(next)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn cluster(name: &str, change: Value) -> Arc<MemberCluster> {
        let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "r", "message": "", "lastTransitionTime": at(NOW).to_string()});
        let mut object = json!({
            "metadata": {"name": name, "labels": {"env": name}},
            "spec": {"identity": {"kind": "ServiceAccount", "name": "a"}},
            "status": {"agentStatus": [{"type": "MemberAgent", "lastReceivedHeartbeat": at(NOW).to_string(),
                "conditions": [condition("Joined"), condition("Healthy")]}]},
        });
        json_patch::merge(&mut object, &change);
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn policy(index: u32, spec: Value, count: &str) -> PolicySnapshot {
        serde_json::from_value(json!({
            "metadata": {"name": format!("web-{index}"), "generation": 1, "annotations": {meta::PLACEMENT_GENERATION: "4", meta::CLUSTER_COUNT: count}},
            "spec": {"policy": spec, "policyHash": ""},
        }))
        .unwrap()
    }

    /// Runs a cycle and returns `cluster:state` of every binding after it, and the Scheduled condition.
    fn cycle(
        policy: &PolicySnapshot,
        clusters: &[Arc<MemberCluster>],
        bindings: &mut Vec<Arc<Binding>>,
    ) -> (String, String) {
        let fleet = Fleet { placement: "web", scope: &Scope::Cluster, policy, clusters, bindings };
        let mut random = u32::try_from(bindings.len()).unwrap();
        let schedule = schedule(fleet, at(NOW), &mut || {
            random += 1;
            random
        });
        bindings.extend(schedule.create.into_iter().map(Arc::new));
        for replaced in schedule.replace {
            let held = bindings.iter_mut().find(|b| b.metadata.name == replaced.metadata.name);
            *held.unwrap() = Arc::new(replaced);
        }
        let mut text: Vec<_> = bindings
            .iter()
            .map(|b| format!("{}:{}", b.spec.target_cluster, b.spec.state))
            .collect();
        text.sort();
        let scheduled = &schedule.status.conditions[0];
        (text.join(" "), format!("{} {}", scheduled.status, scheduled.reason))
    }

    #[test]
    fn pick_all_takes_eligible_clusters_and_keeps_them() {
        let all = policy(0, json!({"placementType": "PickAll"}), "");
        let mut bindings = Vec::new();
        let (a, b) = (cluster("a", json!({})), cluster("b", json!({})));
        let late = cluster("late", json!({"status": {"agentStatus": []}}));
        let fleet = [a.clone(), b.clone(), late];
        assert_eq!(
            cycle(&all, &fleet, &mut bindings),
            ("a:Scheduled b:Scheduled".into(), "True SchedulingPolicyFulfilled".into())
        );
        let tainted =
            cluster("a", json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}));
        assert_eq!(
            cycle(&all, &[tainted.clone(), b.clone()], &mut bindings).0,
            "a:Scheduled b:Scheduled"
        );
        assert_eq!(
            cycle(&all, std::slice::from_ref(&b), &mut bindings).0,
            "a:Unscheduled b:Scheduled"
        );
        assert_eq!(cycle(&all, &[a, b.clone()], &mut bindings).0, "a:Scheduled b:Scheduled");
        // Another policy judges anew.
        let picky = policy(
            1,
            json!({"placementType": "PickAll", "affinity": {"clusterAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"clusterSelectorTerms": [{"labelSelector": {"matchLabels": {"env": "a"}}}]}}},
            "tolerations": [{"key": "k", "operator": "Exists"}]}),
            "",
        );
        assert_eq!(cycle(&picky, &[tainted, b], &mut bindings).0, "a:Scheduled b:Unscheduled");
    }

    #[test]
    fn nothing_changes_when_nothing_changed() {
        let all = policy(0, json!(null), "");
        let clusters = [cluster("a", json!({}))];
        let mut bindings = Vec::new();
        cycle(&all, &clusters, &mut bindings);
        let fleet = Fleet {
            placement: "web",
            scope: &Scope::Cluster,
            policy: &all,
            clusters: &clusters,
            bindings: &bindings,
        };
        let again = schedule(fleet, at(NOW), &mut || 0);
        assert!(again.create.is_empty() && again.replace.is_empty());
        assert_eq!(again.status.observed_placement_generation, 4);
    }

    #[test]
    fn fixed_names_and_counts() {
        let clusters = [cluster("a", json!({})), cluster("b", json!({})), cluster("c", json!({}))];
        for (policy, want) in [
            (
                policy(0, json!({"placementType": "PickFixed", "clusterNames": ["c", "x"]}), ""),
                ("c:Scheduled", "False SchedulingPolicyUnfulfilled"),
            ),
            (
                policy(0, json!({"placementType": "PickFixed", "clusterNames": ["c"]}), ""),
                ("c:Scheduled", "True SchedulingPolicyFulfilled"),
            ),
            (
                policy(0, json!({"placementType": "PickN"}), "2"),
                ("b:Scheduled c:Scheduled", "True SchedulingPolicyFulfilled"),
            ),
            (
                policy(0, json!({"placementType": "PickN"}), "4"),
                ("a:Scheduled b:Scheduled c:Scheduled", "False SchedulingPolicyUnfulfilled"),
            ),
            (
                policy(
                    0,
                    json!({"placementType": "PickN", "topologySpreadConstraints": [{"topologyKey": "z"}]}),
                    "1",
                ),
                ("", "False SchedulingPolicyUnsupported"),
            ),
        ] {
            let got = cycle(&policy, &clusters, &mut Vec::new());
            assert_eq!((got.0.as_str(), got.1.as_str()), want);
        }
    }

    #[test]
    fn who_is_not_connected_is_not_picked() {
        let old = at(NOW - 301).to_string();
        for (change, want) in [
            (
                json!({"metadata": {"deletionTimestamp": at(NOW).to_string()}}),
                "cluster has left the fleet",
            ),
            (
                json!({"status": null}),
                "cluster is not connected to the fleet: member agent not online yet",
            ),
            (
                json!({"status": {"agentStatus": [{"type": "MemberAgent", "lastReceivedHeartbeat": old, "conditions":
                    [{"type": "Joined", "status": "True", "reason": "", "message": "", "lastTransitionTime": old}]}]}}),
                "cluster is not connected to the fleet: no recent heartbeat signals",
            ),
        ] {
            assert_eq!(ineligible(&cluster("a", change), at(NOW)).as_deref(), Some(want));
        }
    }

    #[test]
    fn names_fit_a_label() {
        let name = binding_name(&"p".repeat(63), &"c.".repeat(40), 0xbeef);
        assert_eq!(name, format!("{}-{}-0000beef", "p".repeat(26), "c-".repeat(13) + "c"));
        assert_eq!(name.len(), 63);
    }
}
