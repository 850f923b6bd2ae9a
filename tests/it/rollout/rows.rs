//! Every row of Fleet's tables of checks: what is wrong, and the literal message (fleet-semantics §5.4, §5.5, §5.6).

use serde_json::{Value, json};
use tidegate::{
    api::{
        condition::find,
        meta,
        run::{INITIALIZED, RunStatus, SUCCEEDED, StageStatus},
    },
    model::Scope,
    rollout::{Captured, Overrides, Run, Wake, rehearse},
};

use super::world::{STRATEGY, World, bump, object};

const ABORT: &str = "cannot continue the updateRun: ";
const VAL: &str = "cannot continue the updateRun: failed to validate the updateRun: ";
const USER: &str = "failed to process the request due to a client error: ";
const UNEXP: &str = "unexpected behavior which cannot be handled by the controller: ";

type Change = fn(&mut World);

/// Two members, a stage each.
fn ready(scope: Scope) -> World {
    let mut world = World::new(scope);
    world.join("a", &[("env", "one"), ("order", "1")]);
    world.join("b", &[("env", "two"), ("order", "x")]);
    set_stages(&mut world, |_| {});
    world
}

fn set_stages(world: &mut World, change: impl FnOnce(&mut Value)) {
    let mut stages = json!([
        {"name": "one", "labelSelector": {"matchLabels": {"env": "one"}}, "maxConcurrency": 1},
        {"name": "two", "labelSelector": {"matchLabels": {"env": "two"}}, "maxConcurrency": 1},
    ]);
    change(&mut stages);
    world.set_strategy(STRATEGY, stages);
}

fn run_with_index(index: &str) -> World {
    let mut world = ready(Scope::Cluster);
    world.create_run("r", index, "Run");
    world
}

fn initialized(world: &World) -> String {
    let status = world.run("r").status.as_ref().unwrap();
    let held = find(&status.conditions, INITIALIZED).unwrap();
    assert_eq!(
        (held.status.as_str(), held.reason.as_str()),
        ("False", "UpdateRunInitializedFailed")
    );
    held.message.clone()
}

#[test]
fn initialization_fails_with_fleets_words() {
    let rows: Vec<(&str, Change, String)> = vec![
        ("1", |w| w.placement = None, format!("{VAL}{USER}parent placement not found")),
        (
            "2",
            |w| w.placement.as_mut().unwrap().spec.strategy.as_mut().unwrap().kind = None,
            format!(
                "{VAL}{USER}parent placement does not have an external rollout strategy, current strategy: RollingUpdate"
            ),
        ),
        ("3 none", |w| w.policies.clear(), format!("{VAL}no latest policy snapshot found for placement /web")),
        (
            "3 several",
            |w| w.policies.push(w.policies[0].clone()),
            format!("{VAL}{UNEXP}multiple active policy snapshots found for placement /web: got 2, want 1"),
        ),
        (
            "4",
            |w| drop(w.policies[0].metadata.labels.as_mut().unwrap().remove(meta::POLICY_INDEX)),
            format!("{VAL}{UNEXP}policy snapshot `/web-0` does not have a policy index label"),
        ),
        (
            "5",
            |w| w.set_policy("1", json!({"placementType": "PickN"}), json!({meta::CLUSTER_COUNT: "two"})),
            "cannot continue the updateRun: failed to validate the updateRun, unexpected behavior which cannot be \
             handled by the controller: the policy snapshot `/web-1` doesn't have valid cluster count annotation"
                .to_owned(),
        ),
        (
            "6",
            |w| bump(&mut w.policies[0].metadata),
            format!("{VAL}policy snapshot `web-0` not fully scheduled yet"),
        ),
        (
            "7 none",
            |w| w.bindings.clear(),
            format!("{VAL}no scheduled or to-be-deleted bindings found for the latest policy snapshot /web-0"),
        ),
        (
            "7 PickN",
            |w| w.set_policy("1", json!({"placementType": "PickN"}), json!({meta::CLUSTER_COUNT: "3"})),
            format!("{VAL}{UNEXP}the number of selected bindings 2 is not equal to the observed cluster count 3"),
        ),
        (
            "7 PickFixed",
            |w| w.set_policy("1", json!({"placementType": "PickFixed", "clusterNames": ["a"]}), json!({})),
            format!("{VAL}{UNEXP}the number of selected bindings 2 is not equal to the observed cluster count 1"),
        ),
        ("8", |w| w.strategies.clear(), format!("{VAL}{USER}referenced updateStrategy not found: `/plan`")),
        (
            "11 master",
            |w| w.snapshots[1].metadata.annotations = None,
            format!("{VAL}{UNEXP}no master resourceSnapshot found for placement /web"),
        ),
    ];
    for (row, change, want) in rows {
        let mut world = run_with_index("1");
        change(&mut world);
        world.wait(5);
        assert_eq!(initialized(&world), want, "row {row}");
    }
}

#[test]
fn an_index_is_judged_by_its_text() {
    let invalid = |index: &str| {
        format!(
            "{VAL}{USER}invalid resource snapshot index `{index}` provided, expected an integer >= 0"
        )
    };
    let unknown = |index: &str| {
        format!("{VAL}{USER}no resourceSnapshots with index `{index}` found for placement `/web`")
    };
    for (index, want) in [
        ("x", invalid("x")),
        ("-1", invalid("-1")),
        ("1.0", invalid("1.0")),
        (" 1", invalid(" 1")),
        ("99999999999999999999", invalid("99999999999999999999")),
        ("9", unknown("9")),
        ("01", unknown("01")),
        ("+1", unknown("+1")),
    ] {
        let mut world = run_with_index(index);
        world.settle();
        assert_eq!(initialized(&world), want);
    }
}

#[test]
fn stages_are_refused_with_fleets_words() {
    let before = |err: &str| {
        format!(
            "{VAL}{USER}the before stage tasks are invalid, updateStrategy: `/plan`, stage: one, err: {err}"
        )
    };
    let after = |err: &str| {
        format!(
            "{VAL}{USER}the after stage tasks are invalid, updateStrategy: `/plan`, stage: one, err: {err}"
        )
    };
    let approval = || json!({"type": "Approval"});
    let wait = |time: &str| json!([{"type": "TimedWait", "waitTime": time}]);
    let rows = [
        (
            "beforeStageTasks",
            json!([approval(), approval()]),
            before("beforeStageTasks can have at most one task"),
        ),
        (
            "beforeStageTasks",
            wait("1m"),
            before(
                "task 0 of type TimedWait is not allowed in beforeStageTasks, allowed type: Approval",
            ),
        ),
        (
            "afterStageTasks",
            json!([approval(), approval()]),
            after("afterStageTasks cannot have two tasks of the same type: Approval"),
        ),
        (
            "afterStageTasks",
            json!([{"type": "TimedWait"}]),
            after("task 0 of type TimedWait has wait duration set to nil"),
        ),
        ("afterStageTasks", wait("0s"), after("task 0 of type TimedWait has wait duration <= 0")),
        ("afterStageTasks", wait("-5s"), after("task 0 of type TimedWait has wait duration <= 0")),
        ("afterStageTasks", wait("0.5s"), after("task 0 of type TimedWait has wait duration < 1s")),
        (
            "labelSelector",
            json!({"matchExpressions": [{"key": "env", "operator": "Like", "values": ["x"]}]}),
            format!(
                "{VAL}{USER}the stage label selector is invalid, updateStrategy: `/plan`, stage: one, err: \
                 \"Like\" is not a valid label selector operator"
            ),
        ),
        (
            "labelSelector",
            json!({}),
            format!("{VAL}{USER}cluster `b` appears in more than one stages"),
        ),
        (
            "labelSelector",
            Value::Null,
            format!(
                "{VAL}{USER}some clusters are not placed in any stage, total 1, showing up to 10: a"
            ),
        ),
        (
            "sortingLabelKey",
            json!("env"),
            format!(
                "{VAL}{USER}the sorting label `env:one` on cluster `a` is not valid: \
                 strconv.Atoi: parsing \"one\": invalid syntax"
            ),
        ),
        (
            "sortingLabelKey",
            json!("zone"),
            format!(
                "{VAL}{USER}the sorting label `zone:` on cluster `a` is not valid: \
                 strconv.Atoi: parsing \"\": invalid syntax"
            ),
        ),
    ];
    for (field, value, want) in rows {
        let mut world = run_with_index("1");
        set_stages(&mut world, |stages| stages[0][field] = value.clone());
        world.settle();
        assert_eq!(initialized(&world), want, "{field}: {value}");
    }
}

#[test]
fn an_approval_never_keeps_a_wait_and_a_wait_is_spelled_as_go_does() {
    let mut world = run_with_index("1");
    set_stages(&mut world, |stages| {
        stages[0]["afterStageTasks"] = json!([{"type": "Approval", "waitTime": "1h"}, {"type": "TimedWait", "waitTime": "90s"}]);
    });
    world.settle();
    let strategy = world.run("r").status.clone().unwrap().staged_update_strategy_snapshot.unwrap();
    let tasks = serde_json::to_value(&strategy.stages[0].after_stage_tasks).unwrap();
    assert_eq!(tasks, json!([{"type": "Approval"}, {"type": "TimedWait", "waitTime": "1m30s"}]));
}

#[test]
fn at_most_ten_clusters_without_a_stage_are_named() {
    let mut world = World::new(Scope::Namespace("team".to_owned()));
    for at in 0..12 {
        world.join(&format!("c{at:02}"), &[]);
    }
    set_stages(&mut world, |_| {});
    world.create_run("r", "1", "Run");
    world.settle();
    assert_eq!(
        initialized(&world),
        format!(
            "{VAL}{USER}some clusters are not placed in any stage, total 12, showing up to 10: \
             c00, c01, c02, c03, c04, c05, c06, c07, c08, c09"
        )
    );
}

#[test]
fn clusters_are_ordered_by_number_then_by_name() {
    let mut world = World::new(Scope::Cluster);
    for (name, order) in [("a", "10"), ("b", "-2"), ("c", "9"), ("d", "+9"), ("e", "0")] {
        world.join(name, &[("order", order)]);
    }
    world.set_strategy(
        STRATEGY,
        json!([{"name": "all", "labelSelector": {}, "sortingLabelKey": "order"}]),
    );
    world.create_run("r", "1", "Initialize");
    world.settle();
    let status = world.run("r").status.clone().unwrap();
    let names: Vec<_> =
        status.stages_status.unwrap()[0].clusters.iter().map(|c| c.cluster_name.clone()).collect();
    assert_eq!(names, ["b", "e", "c", "d", "a"]);
}

#[test]
fn a_young_run_waits_for_what_may_be_on_its_way() {
    let missing: [Change; 6] = [
        |w| w.placement = None,
        |w| w.policies.clear(),
        |w| bump(&mut w.policies[0].metadata),
        |w| w.bindings.clear(),
        |w| w.strategies.clear(),
        |w| w.snapshots.clear(),
    ];
    for (at, remove) in missing.into_iter().enumerate() {
        let mut world = run_with_index("1");
        let whole = world.clone();
        remove(&mut world);
        world.settle();
        world.wait(2);
        assert_eq!(world.run("r").status, None, "missing {at}");
        world.placement = whole.placement;
        world.policies = whole.policies;
        world.bindings = whole.bindings;
        world.strategies = whole.strategies;
        world.snapshots = whole.snapshots;
        world.settle();
        let progress = tidegate::rollout::progress(&world.run("r").into(), world.now);
        assert_eq!(progress.phase.to_string(), "succeeded", "missing {at}");
    }
}

#[test]
fn a_transient_state_of_the_scheduler_is_waited_out() {
    let mut world = run_with_index("1");
    world.settle();
    let policy = "web-0".to_owned();
    let mut other = run_with_index("1");
    other.bindings.get_mut("a").unwrap().spec.scheduling_policy_snapshot_name =
        "web-old".to_owned();
    other.pass("r");
    let step = other.look("r");
    assert_eq!((step.status, step.orders.len()), (None, 0));
    assert!(
        step.held
            .unwrap()
            .contains("with old policy snapshot `web-old` has state Scheduled, we might observe")
    );
    assert!(matches!(step.wake, Wake::At(_)));
    other.bindings.get_mut("a").unwrap().spec.scheduling_policy_snapshot_name = policy;
    other.settle();
    assert_eq!(other.run("r").status, world.run("r").status);
    // No more is a run ended by it that is under way (§5.6, 6).
    let mut world = under_way();
    world.bindings.get_mut("b").unwrap().spec.scheduling_policy_snapshot_name =
        "web-old".to_owned();
    let step = world.look("r");
    assert!(!step.verdict && step.orders.is_empty() && step.held.is_some(), "{step:?}");
}

#[test]
fn overrides_are_frozen_and_bound() {
    let mut world = run_with_index("1");
    world.pass("r");
    let run = world.run("r").clone();
    let mut seen = world.seen(&run);
    let frozen = Overrides { cluster: vec!["cro-0".to_owned()], resource: Vec::new() };
    seen.overrides.insert("a".to_owned(), frozen);
    let status = rehearse(&Run::from(&run), &seen).unwrap();
    let cluster = &status.stages_status.as_ref().unwrap()[0].clusters[0];
    assert_eq!(
        cluster.cluster_resource_override_snapshots.as_deref(),
        Some(&["cro-0".to_owned()][..])
    );
    assert_eq!(cluster.resource_override_snapshots, None);
}

#[test]
fn what_would_fail_is_known_before_the_run_exists() {
    let mut world = run_with_index("9");
    let rehearsed = |world: &World| {
        let run = world.run("r");
        rehearse(&Run::from(run), &world.seen(run)).map(|_| ())
    };
    let problem = rehearsed(&world).unwrap_err();
    world.settle();
    assert_eq!(initialized(&world), problem);
    world.create_run("r", "", "Run");
    world.content = Captured::Refused("no".to_owned());
    assert_eq!(rehearsed(&world), Ok(()), "content is judged when it is captured");
}

/// A run with stage one updated and stage two under way.
fn under_way() -> World {
    let mut world = run_with_index("1");
    world.agents.insert("b".to_owned(), super::world::Agent::Slow);
    world.settle();
    world
}

fn status(world: &mut World) -> &mut RunStatus {
    world.runs.get_mut("r").unwrap().status.as_mut().unwrap()
}

fn stage(world: &mut World, at: usize) -> &mut StageStatus {
    &mut status(world).stages_status.as_mut().unwrap()[at]
}

fn condition(
    kind: &str,
    truth: &str,
    message: &str,
) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition {
    object(json!({
        "type": kind, "status": truth, "reason": "Because", "message": message,
        "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
    }))
}

#[test]
fn a_run_is_aborted_with_fleets_words() {
    let rows: Vec<(&str, Change, String)> = vec![
        ("1 placement", |w| w.placement = None, format!("{VAL}{USER}parent placement not found")),
        (
            "3 policy",
            |w| w.policies.clear(),
            format!("{VAL}no latest policy snapshot found for placement /web"),
        ),
        (
            "1 strategy",
            |w| w.placement.as_mut().unwrap().spec.strategy.as_mut().unwrap().kind = None,
            format!(
                "{VAL}{USER}parent placement does not have an external rollout strategy, current strategy: RollingUpdate"
            ),
        ),
        (
            "3 several",
            |w| w.policies.push(w.policies[0].clone()),
            format!(
                "{VAL}{UNEXP}multiple active policy snapshots found for placement /web: got 2, want 1"
            ),
        ),
        (
            "3 scheduled",
            |w| bump(&mut w.policies[0].metadata),
            format!("{VAL}policy snapshot `web-0` not fully scheduled yet"),
        ),
        (
            "3 index",
            |w| drop(w.policies[0].metadata.labels.as_mut().unwrap().remove(meta::POLICY_INDEX)),
            format!("{VAL}{UNEXP}policy snapshot `/web-0` does not have a policy index label"),
        ),
        (
            "6",
            |w| w.bindings.clear(),
            format!(
                "{VAL}no scheduled or to-be-deleted bindings found for the latest policy snapshot /web-0"
            ),
        ),
        (
            "4",
            |w| w.set_policy("1", json!({"placementType": "PickAll"}), json!({})),
            format!(
                "{ABORT}the policy snapshot index used in the updateRun is outdated, latest: 1, recorded: 0"
            ),
        ),
        (
            "5",
            |w| {
                w.policies[0].spec.policy =
                    Some(object(json!({"placementType": "PickFixed", "clusterNames": ["a"]})))
            },
            format!(
                "{ABORT}the cluster count initialized in the updateRun is outdated, latest: 1, recorded: 2"
            ),
        ),
        (
            "7",
            |w| status(w).staged_update_strategy_snapshot = None,
            format!("{ABORT}{UNEXP}the updateRun has nil updateStrategySnapshot"),
        ),
        (
            "8",
            |w| drop(w.members.get_mut("b").unwrap().insert("env".to_owned(), "three".to_owned())),
            format!(
                "{VAL}{USER}some clusters are not placed in any stage, total 1, showing up to 10: b"
            ),
        ),
        (
            "9",
            |w| status(w).stages_status = None,
            format!("{ABORT}{UNEXP}the updateRun has nil stagesStatus"),
        ),
        (
            "10",
            |w| drop(status(w).stages_status.as_mut().unwrap().pop()),
            format!(
                "{ABORT}the number of stages in the updateRun has changed, new: 2, existing: 1"
            ),
        ),
        (
            "11",
            |w| "uno".clone_into(&mut stage(w, 0).stage_name),
            format!(
                "{ABORT}index `0` stage name in the updateRun has changed, new: one, existing: uno"
            ),
        ),
        (
            "12",
            |w| w.unschedule("b"),
            format!(
                "{ABORT}the number of clusters in index `1` stage has changed, new: 0, existing: 1"
            ),
        ),
        (
            "13",
            |w| "z".clone_into(&mut stage(w, 1).clusters[0].cluster_name),
            format!("{ABORT}the `0` cluster in the `1` stage has changed, new: b, existing: z"),
        ),
        (
            "14",
            |w| {
                stage(w, 0).conditions = vec![condition("Progressing", "True", "")];
                stage(w, 1).conditions = vec![condition("Succeeded", "True", "")];
            },
            format!("{ABORT}{UNEXP}the finished stage `1` is after the updating stage `0`"),
        ),
        (
            "15",
            |w| stage(w, 0).clusters[0].conditions.clear(),
            format!("{ABORT}{UNEXP}cluster `a` in the finished stage `one` has not succeeded"),
        ),
        (
            "16",
            |w| {
                stage(w, 0).conditions.clear();
                stage(w, 1).conditions = vec![condition("Succeeded", "True", "")];
                stage(w, 1).clusters[0].conditions = vec![condition("Succeeded", "True", "")];
            },
            format!(
                "{ABORT}{UNEXP}the finished stage `two` is not right after the last finished stage with index `-1`"
            ),
        ),
        (
            "17",
            |w| stage(w, 1).conditions = vec![condition("Succeeded", "False", "it rained")],
            format!("{ABORT}the stage `two` has failed, err: it rained"),
        ),
        (
            "18",
            |w| stage(w, 0).conditions = vec![condition("Progressing", "True", "")],
            format!(
                "{ABORT}{UNEXP}the stage `two` is updating, but there is already a stage with index `0` updating"
            ),
        ),
        (
            "19",
            |w| stage(w, 0).conditions.clear(),
            format!(
                "{ABORT}{UNEXP}the updating stage `two` is not right after the last finished stage with index `-1`"
            ),
        ),
        (
            "21",
            |w| status(w).deletion_stage_status = None,
            format!("{ABORT}{UNEXP}the updateRun has nil deletionStageStatus"),
        ),
        (
            "22",
            |w| {
                w.join("c", &[("env", "two")]);
                w.unschedule("c");
            },
            format!("{ABORT}{UNEXP}the cluster `c` to be deleted is not in the delete stage"),
        ),
        (
            "23",
            |w| {
                status(w).deletion_stage_status.as_mut().unwrap().conditions =
                    vec![condition("Progressing", "True", "")];
            },
            format!(
                "{ABORT}{UNEXP}the delete stage is active, but there are still stages updating, \
                 updatingStageIndex: 1, lastFinishedStageIndex: 0"
            ),
        ),
        (
            "24",
            |w| {
                status(w).deletion_stage_status.as_mut().unwrap().conditions =
                    vec![condition("Succeeded", "False", "it snowed")];
            },
            format!("{ABORT}the delete stage has failed, err: it snowed"),
        ),
        (
            "missing binding",
            |w| {
                stage(w, 1).clusters[0].conditions = vec![condition("Succeeded", "False", "no")];
            },
            format!("{ABORT}the cluster `b` in the stage two has failed"),
        ),
    ];
    for (row, change, want) in rows {
        let mut world = under_way();
        change(&mut world);
        let step = world.look("r");
        assert!(step.verdict, "row {row} goes on");
        let status = step.status.unwrap();
        let held = find(&status.conditions, SUCCEEDED).unwrap();
        let got = (held.status.as_str(), held.reason.as_str(), held.message.as_str());
        assert_eq!(got, ("False", "UpdateRunFailed", want.as_str()), "row {row}");
        assert_eq!(step.orders, [], "row {row}");
    }
}

#[test]
fn an_outdated_apply_strategy_and_a_crowded_stage_abort() {
    let mut world = under_way();
    let placement = &mut world.placement.as_mut().unwrap().spec;
    placement.strategy.as_mut().unwrap().apply_strategy =
        Some(object(json!({"type": "ServerSideApply"})));
    let message = |world: &World| {
        let status = world.look("r").status.unwrap();
        find(&status.conditions, SUCCEEDED).unwrap().message.clone()
    };
    assert!(message(&world).starts_with(&format!(
        "{ABORT}{USER}the applyStrategy in the updateRun is outdated, latest: "
    )));

    let mut world = World::new(Scope::Cluster);
    world.join("a", &[]);
    world.join("b", &[]);
    world
        .set_strategy(STRATEGY, json!([{"name": "all", "labelSelector": {}, "maxConcurrency": 2}]));
    for cluster in ["a", "b"] {
        world.agents.insert(cluster.to_owned(), super::world::Agent::Slow);
    }
    world.create_run("r", "1", "Run");
    world.settle();
    let frozen = status(&mut world).staged_update_strategy_snapshot.as_mut().unwrap();
    frozen.stages[0].max_concurrency = Some(object(json!(1)));
    assert_eq!(
        message(&world),
        format!(
            "{ABORT}{UNEXP}the number of updating clusters `2` in the updating stage `all` exceeds maxConcurrency `1`"
        )
    );
}

#[test]
fn a_foreign_request_ends_the_run() {
    let mut world = ready(Scope::Namespace("team".to_owned()));
    set_stages(&mut world, |stages| stages[0]["beforeStageTasks"] = json!([{"type": "Approval"}]));
    let metadata = world.metadata("r-before-one");
    let request = json!({"metadata": metadata, "spec": {"parentStageRollout": "other", "targetStage": "two"}});
    world.approvals.insert("r-before-one".to_owned(), object(request));
    world.create_run("r", "1", "Run");
    world.settle();
    let status = world.run("r").status.clone().unwrap();
    let want = format!(
        "{ABORT}{UNEXP}the approval request task `team/r-before-one` is targeting update run `team/other` and stage `two`, \
         want target update run `team/r and stage `one`"
    );
    assert_eq!(find(&status.conditions, SUCCEEDED).unwrap().message, want);
    let stage = &status.stages_status.unwrap()[0];
    assert_eq!(find(&stage.conditions, SUCCEEDED).unwrap().message, want);
    assert!(stage.end_time.is_some());
}

#[test]
fn a_removal_that_contradicts_its_status_ends_the_run() {
    let removing = || {
        let mut world = ready(Scope::Cluster);
        world.unschedule("b");
        world.agents.insert("b".to_owned(), super::world::Agent::Gone);
        world.create_run("r", "1", "Run");
        world.settle();
        world
    };
    let message = |world: &World| {
        let status = world.look("r").status.unwrap();
        let removal = status.deletion_stage_status.unwrap();
        find(&removal.conditions, SUCCEEDED).unwrap().message.clone()
    };
    let mut world = removing();
    world.bindings.get_mut("b").unwrap().metadata.deletion_timestamp = None;
    assert_eq!(
        message(&world),
        format!(
            "{ABORT}{UNEXP}the cluster `b` in the deleting stage is marked as deleting but its corresponding binding is not deleting"
        )
    );
    let mut world = removing();
    status(&mut world).deletion_stage_status.as_mut().unwrap().clusters[0]
        .conditions
        .push(condition("Succeeded", "True", ""));
    assert_eq!(
        message(&world),
        format!("{ABORT}{UNEXP}the deleted cluster `b` in the deleting stage still has a binding")
    );
}

// Members: `g` applies at once, `s` takes for ever. Clusters: `.` waiting, `>` updating, `+` updated.
#[test]
fn a_stage_starts_no_more_clusters_than_max_concurrency() {
    use super::world::Agent;

    for (members, max, picture) in [
        ("ssss", json!(1), ">..."),
        ("ssss", json!("50%"), ">>.."),
        // Rounds down, but never to zero.
        ("sss", json!("25%"), ">.."),
        ("sss", json!("100%"), ">>>"),
        // More than there are does no harm.
        ("ss", json!(9), ">>"),
        // An updated cluster frees its place; one that takes long keeps it.
        ("gsgs", json!(2), "+>+>"),
        ("sggg", json!(2), ">+++"),
        ("sssg", json!(3), ">>>."),
        ("gggg", json!(1), "++++"),
    ] {
        let mut world = World::new(Scope::Cluster);
        for (at, member) in members.chars().enumerate() {
            let name = format!("c{at}");
            world.join(&name, &[]);
            let agent = if member == 's' { Agent::Slow } else { Agent::Good };
            world.agents.insert(name, agent);
        }
        world.set_strategy(
            STRATEGY,
            json!([{"name": "all", "labelSelector": {}, "maxConcurrency": max}]),
        );
        world.create_run("r", "1", "Run");
        world.settle();
        let progress = tidegate::rollout::progress(&world.run("r").into(), world.now);
        assert_eq!(progress.stages[0].picture(), picture, "{members} with max {max}");
    }
}

#[test]
fn a_hundred_clusters_with_nothing_to_do_take_six_passes() {
    let mut world = World::new(Scope::Cluster);
    for at in 0..100 {
        world.join(&format!("c{at:03}"), &[("env", ["one", "two", "three"][at % 3])]);
    }
    let stage = |name: &str| json!({"name": name, "labelSelector": {"matchLabels": {"env": name}}, "maxConcurrency": "50%"});
    world.set_strategy(STRATEGY, json!([stage("one"), stage("two"), stage("three")]));
    world.create_run("first", "1", "Run");
    world.settle();
    world.create_run("r", "1", "Run");
    // The finalizer, the initialization, a pass a stage, and the removal of nothing.
    for _ in 0..6 {
        assert!(world.pass("r").0);
    }
    let progress = tidegate::rollout::progress(&world.run("r").into(), world.now);
    assert!(progress.is_over() && progress.updated == 100, "{progress}");
    assert!(!world.pass("r").0);
}
