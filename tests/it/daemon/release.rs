//! Commits to runs.

use serde_json::{Value, json};
use tidegate::{engine::SnapshotMode, hub::Delete};

use super::stage::{
    GATED, ROLLOUT, Stage, TWO_STAGES, condition, fleet, is, key, message, reason,
    waits_for_approval,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_rolls_out_and_a_revert_goes_back_to_the_old_index() {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    let status = stage.until_done(&first).await;
    assert_eq!(status["index"], "0", "{status}");
    assert_eq!(status["clusters"], "3/3");
    stage.until_values([Some("one"); 3]).await;

    let second = stage.push("two");
    let status = stage.until_done(&second).await;
    assert_eq!(status["index"], "1");
    assert_eq!(status["run"], format!("web-{}", second.short()));
    stage.until_values([Some("two"); 3]).await;
    let run = stage.get(&fleet("ClusterStagedUpdateRun", status["run"].as_str().unwrap())).await;
    let run = run.unwrap();
    let annotations = &run["metadata"]["annotations"];
    assert_eq!(annotations["gitops.tidegate.dev/rollout"], "web");
    assert_eq!(annotations["gitops.tidegate.dev/commit"], second.as_str());
    assert_eq!(annotations["gitops.tidegate.dev/content-digest"], status["contentDigest"]);

    let snapshots = stage.count("ClusterResourceSnapshot").await;
    let third = stage.repository.revert(&second);
    let status = stage.until_done(&third).await;
    assert_eq!(status["index"], "0", "a revert runs on its old index");
    stage.until_values([Some("one"); 3]).await;
    assert_eq!(stage.count("ClusterResourceSnapshot").await, snapshots, "no new snapshot");
    let history: Vec<_> = status["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["index"].as_str().unwrap(), entry["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(history, [("0", "Succeeded"), ("1", "Succeeded"), ("0", "Succeeded")]);

    // The same content in other words is nothing to roll out.
    stage.repository.write("apps/web/manifests/settings.yaml", "# said so\nkind: ConfigMap\napiVersion: v1\nmetadata: {namespace: web, name: settings}\ndata: {key: 'one'}\n");
    let fourth = stage.repository.commit("other words");
    stage
        .until_rollout("web", "at the fourth commit", |status| {
            status["source"]["commit"] == fourth.as_str() && is(status, "Ready", "True")
        })
        .await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revert_takes_the_strategy_of_rollbacks() {
    const FAST: &str = "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateStrategy\nmetadata: {name: fast}\nspec:\n  stages: [{name: everywhere, labelSelector: {}}]\n";
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.write_web(TWO_STAGES);
    stage.repository.write("strategies/fast.yaml", FAST);
    stage.repository.replace(
        "apps/web/rollout.yaml",
        "strategyName: slow\n",
        "strategyName: slow\n  rollback: {strategyName: fast}\n",
    );
    let first = stage.repository.commit("first");
    stage.start();
    stage.until_done(&first).await;
    let second = stage.push("two");
    stage.until_done(&second).await;
    let third = stage.repository.revert(&second);
    stage.until_done(&third).await;
    for (commit, strategy) in [(first, "slow"), (second, "slow"), (third, "fast")] {
        let name = format!("web-{}", commit.short());
        let run = stage.get(&fleet("ClusterStagedUpdateRun", &name)).await.unwrap();
        assert_eq!(run["spec"]["stagedRolloutStrategyName"], strategy, "{name}");
    }
    stage.until_values([Some("one"); 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_commit_supersedes_and_a_revert_of_what_never_began_is_a_no_op() {
    let stage = Stage::web(GATED).await;
    let first = stage.repository.head();
    stage.until_rollout("web", "at the gate", waits_for_approval).await;
    let second = stage.push("two");
    let status = stage
        .until_rollout("web", "at the second gate", |status| {
            status["commit"] == second.as_str() && waits_for_approval(status)
        })
        .await;
    assert_eq!(status["history"][0]["outcome"], "Superseded", "{status}");
    assert_eq!(status["index"], "1");
    stage.until_values([None, Some("two"), None]).await;
    let older = fleet("ClusterStagedUpdateRun", &format!("web-{}", first.short()));
    assert_eq!(stage.get(&older).await.unwrap()["spec"]["state"], "Stop");
    assert!(message(&status).contains("approve with"), "{}", message(&status));

    // The inverse mid-stage: staging goes back, and canary is asked for again.
    let third = stage.repository.revert(&second);
    let status = stage
        .until_rollout("web", "at the third gate", |status| {
            status["commit"] == third.as_str() && waits_for_approval(status)
        })
        .await;
    assert_eq!(status["index"], "0");
    stage.until_values([None, Some("one"), None]).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_not_started_is_deleted_and_going_back_costs_nothing() {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    stage.repository.write("apps/web/rollout.yaml", &format!("{ROLLOUT}  start: Manual\n"));
    let second = stage.push("two");
    stage
        .until_rollout("web", "waiting for a start", |status| {
            status["commit"] == second.as_str() && reason(status, "Ready") == "WaitingForStart"
        })
        .await;
    stage.until_values([Some("one"); 3]).await;
    let third = stage.push("one");
    let status = stage.until_done(&third).await;
    assert_eq!(reason(&status, "Ready"), "NoChange", "{}", message(&status));
    assert!(message(&status).contains("nothing to roll out"));
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_starts_what_is_to_be_started_by_hand() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.write_web(TWO_STAGES);
    stage.repository.write("apps/web/rollout.yaml", &format!("{ROLLOUT}  start: Manual\n"));
    let first = stage.repository.commit("first");
    stage.start();
    let waiting = |status: &Value| reason(status, "Ready") == "WaitingForStart";
    let status = stage.until_rollout("web", "waiting for a start", waiting).await;
    let name = format!("web-{}", first.short());
    assert!(
        message(&status).ends_with(&format!(
            "kubectl patch clusterstagedupdaterun {name} --type merge --patch '{{\"spec\":{{\"state\":\"Run\"}}}}'"
        )),
        "{}",
        message(&status)
    );
    stage.restart().await;
    stage.until_rollout("web", "waiting for a start", waiting).await;
    let run = fleet("ClusterStagedUpdateRun", &name);
    assert_eq!(stage.get(&run).await.unwrap()["spec"]["state"], "Initialize");
    stage.until_values([None; 3]).await;
    stage.patch(&run, json!({"spec": {"state": "Run"}})).await;
    stage.until_done(&first).await;
    stage.until_values([Some("one"); 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_queues_waits_for_the_end_and_only_the_newest_of_them_runs() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.write_web(GATED);
    stage.repository.write("apps/web/rollout.yaml", &format!("{ROLLOUT}  whenSuperseded: Queue\n"));
    let first = stage.repository.commit("first");
    stage.start();
    stage.until_rollout("web", "at the gate", waits_for_approval).await;
    for value in ["two", "three"] {
        let newer = stage.push(value);
        let told =
            format!("commit {} waits until run web-{} is over", newer.short(), first.short());
        stage
            .until_rollout("web", &told, |status| {
                reason(status, "Ready") == "Queued" && message(status) == told
            })
            .await;
    }
    stage.restart().await;
    // The hub has what the run is about until it is over.
    let settings = stage.get(&key("", "ConfigMap", "web", "settings")).await.unwrap();
    assert_eq!(settings["data"]["key"], "one");
    stage.approve_on_the_hub(&first).await;
    let third = stage.repository.head();
    let status = stage
        .until_rollout("web", "at the third gate", |status| {
            status["commit"] == third.as_str() && waits_for_approval(status)
        })
        .await;
    assert_eq!(status["history"][0]["outcome"], "Succeeded", "{status}");
    stage.until_values([Some("one"), Some("three"), Some("one")]).await;
    stage.approve_on_the_hub(&third).await;
    let status = stage.until_done(&third).await;
    let commits: Vec<_> =
        status["history"].as_array().unwrap().iter().map(|run| run["commit"].clone()).collect();
    assert_eq!(commits, [json!(first.as_str()), json!(third.as_str())], "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_run_has_a_successor_for_the_rest() {
    let stage = Stage::web(GATED).await;
    let first = stage.repository.head();
    stage.until_rollout("web", "at the gate", waits_for_approval).await;
    // Fleet aborts a run whose stages are no longer what they were.
    let member = key("cluster.kubernetes-fleet.io", "MemberCluster", "", "member1");
    stage.patch(&member, json!({"metadata": {"labels": {"environment": "staging"}}})).await;
    let next = format!("web-{}-2", first.short());
    let status = stage
        .until_rollout("web", "at the gate of the successor", |status| {
            status["run"] == next.as_str() && waits_for_approval(status)
        })
        .await;
    let history = status["history"].as_array().unwrap();
    assert_eq!(
        (&history[0]["outcome"], &history[1]["outcome"]),
        (&json!("Failed"), &json!("Active"))
    );
    let why = history[0]["message"].as_str().unwrap();
    assert!(why.contains("the number of clusters in index `0` stage has changed"), "{why}");
    assert_eq!(history[0]["index"], history[1]["index"]);
    // The gate is asked again: the plan is another.
    stage.until_values([Some("one"), Some("one"), None]).await;
    let request = fleet("ClusterApprovalRequest", &format!("{next}-before-canary"));
    stage.approve_request(&request).await;
    stage.until_done(&first).await;
    stage.until_values([Some("one"); 3]).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_joins_later_gets_what_the_others_have() {
    let mut stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    stage.join("member4", "canary", "3").await;
    stage.until_values([Some("one"); 4]).await;
    let status = stage.until_done(&first).await;
    assert_eq!(status["run"], format!("web-{}-2", first.short()));
    assert_eq!(status["clusters"], "4/4");
    assert_eq!(stage.count("ClusterResourceSnapshot").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspension_stops_and_resumes() {
    let stage = Stage::web(GATED).await;
    let first = stage.repository.head();
    stage.until_rollout("web", "at the gate", waits_for_approval).await;
    stage.repository.write("apps/web/rollout.yaml", &format!("{ROLLOUT}  suspend: true\n"));
    stage.repository.commit("suspend");
    let run = fleet("ClusterStagedUpdateRun", &format!("web-{}", first.short()));
    stage.until(&run, "stopped", |run| run["spec"]["state"] == "Stop").await;
    let status = stage
        .until_rollout("web", "suspended", |status| reason(status, "Ready") == "Suspended")
        .await;
    assert!(message(&status).contains("set spec.suspend to false in apps/web/rollout.yaml"));
    stage.push("two");
    stage.repository.write("apps/web/rollout.yaml", ROLLOUT);
    stage.repository.write("apps/web/manifests/settings.yaml", &super::stage::config_map("one"));
    stage.repository.commit("resume");
    stage.until(&run, "running", |run| run["spec"]["state"] == "Run").await;
    stage.until_rollout("web", "at the gate again", waits_for_approval).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_cuts_only_on_runs_is_asked_by_one_and_its_answer_is_proved() {
    let mut stage = Stage::bare(SnapshotMode::OnRun).await;
    stage.write_web(TWO_STAGES);
    let first = stage.repository.commit("first");
    stage.start();
    let status = stage.until_done(&first).await;
    assert_eq!(status["index"], "0");
    stage.until_values([Some("one"); 3]).await;
    let second = stage.push("two");
    let status = stage.until_done(&second).await;
    assert_eq!(status["index"], "1");
    stage.until_values([Some("two"); 3]).await;
    let third = stage.push("one");
    assert_eq!(stage.until_done(&third).await["index"], "0");
    assert_eq!(stage.count("ClusterResourceSnapshot").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_at_any_phase_changes_nothing() {
    let mut stage = Stage::web(GATED).await;
    let first = stage.repository.head();
    let run = fleet("ClusterStagedUpdateRun", &format!("web-{}", first.short()));
    stage.until(&fleet("ClusterResourcePlacement", "web"), "applied", |_| true).await;
    stage.restart().await;
    for phase in ["Initialized", "Progressing"] {
        stage.until(&run, phase, |run| condition(&run["status"], phase).is_some()).await;
        stage.restart().await;
    }
    let before = stage.until_rollout("web", "at the gate", waits_for_approval).await;
    let uid = stage.get(&run).await.unwrap()["metadata"]["uid"].clone();
    // What comes and goes while it is away never was.
    stage.stop().await;
    stage.push("two");
    let third = stage.repository.revert(&stage.repository.head());
    stage.start();
    let after = stage
        .until_rollout("web", "at the gate", |status| {
            status["source"]["commit"] == third.as_str() && waits_for_approval(status)
        })
        .await;
    assert_eq!(before["run"], after["run"]);
    assert_eq!(stage.get(&run).await.unwrap()["metadata"]["uid"], uid);
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}

/// The status is no more than what Git, the runs and the snapshots tell: whoever deletes it, or the Rollout, starts nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_somebody_deleted_is_found_again_without_a_run() {
    let mut stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    let second = stage.push("two");
    let known = |status: &Value| {
        let of = |field: &str| status[field].clone();
        let history = status["history"].as_array().unwrap().iter().map(|release| {
            json!([release["run"], release["commit"], release["index"], release["outcome"]])
        });
        let columns =
            ["commit", "index", "run", "stage", "clusters", "contentDigest", "inventory", "plan"];
        (columns.map(of), history.collect::<Vec<_>>())
    };
    let before = stage.until_done(&second).await;
    assert_eq!(before["history"].as_array().unwrap().len(), 2);
    let rollout = key("gitops.tidegate.dev", "Rollout", "default", "web");
    let snapshots = stage.count("ClusterResourceSnapshot").await;
    for (what, away) in [("status", false), ("Rollout", false), ("status", true), ("Rollout", true)]
    {
        if away {
            stage.stop().await;
        }
        match what {
            "status" => {
                let none = json!({"status": null});
                let left = stage.hub.merge_object_status(&rollout, &none, "test").await.unwrap();
                assert_eq!(left["status"], Value::Null);
            }
            _ => stage.hub.delete_object(&rollout, &Delete::default()).await.unwrap(),
        }
        if away {
            stage.start();
        }
        let after = stage.until_done(&second).await;
        assert_eq!(known(&after), known(&before), "after the {what} was deleted, away: {away}");
        assert_eq!(stage.count("ClusterStagedUpdateRun").await, 2);
        assert_eq!(stage.count("ClusterResourceSnapshot").await, snapshots);
    }
    let third = stage.push("three");
    stage.until_done(&third).await;
    stage.until_values([Some("three"); 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_leaves_git_leaves_the_hub_and_a_large_prune_asks() {
    let stage = Stage::web(TWO_STAGES).await;
    let extra = |name: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: web}}\n")
    };
    for number in 0..8 {
        let name = format!("extra{number}");
        stage.repository.write(&format!("apps/web/manifests/{name}.yaml"), &extra(&name));
    }
    let second = stage.repository.commit("more");
    stage.until_done(&second).await;
    stage.repository.git(&["rm", "-q", "apps/web/manifests/extra0.yaml"]);
    let third = stage.repository.commit("one less");
    stage.until_done(&third).await;
    assert!(stage.get(&key("", "ConfigMap", "web", "extra0")).await.is_none());
    assert!(stage.get(&key("", "ConfigMap", "web", "extra1")).await.is_some());

    for number in 1..8 {
        stage.repository.git(&["rm", "-q", &format!("apps/web/manifests/extra{number}.yaml")]);
    }
    let fourth = stage.repository.commit("all gone");
    let status =
        stage.until_rollout("web", "asking", |status| reason(status, "Ready") == "PruneHeld").await;
    assert!(message(&status).contains("would delete 7 of"), "{}", message(&status));
    assert!(stage.get(&key("", "ConfigMap", "web", "extra1")).await.is_some());
    let rollout = key("gitops.tidegate.dev", "Rollout", "default", "web");
    let allow =
        json!({"metadata": {"annotations": {"gitops.tidegate.dev/allow-prune": fourth.as_str()}}});
    stage.patch(&rollout, allow).await;
    stage.until_done(&fourth).await;
    assert!(stage.get(&key("", "ConfigMap", "web", "extra1")).await.is_none());
}
