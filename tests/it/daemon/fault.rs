//! Bad input, and what goes on beside it.

use serde_json::{Value, json};
use tidegate::{engine::SnapshotMode, hub::Delete, model::CommitId};

use super::stage::{
    GATED, ROLLOUT, Stage, TWO_STAGES, condition, config_map, fleet, is, key, message, reason,
    waits_for_approval,
};
use crate::support::hub;

const OTHER: &str = "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {name: api}\nspec:\n  manifests: ./manifests\n  placementName: api\n  strategyName: nowhere\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_rollout_says_where_and_never_delays_a_good_one() {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    stage.repository.write("apps/api/rollout.yaml", OTHER).write(
        "apps/api/manifests/x.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [\n",
    );
    let second = stage.push("two");
    stage.until_done(&second).await;
    let status =
        stage.until_rollout("api", "stalled", |status| is(status, "Stalled", "True")).await;
    assert!(message(&status).contains("apps/api/manifests/x.yaml:"), "{}", message(&status));
    assert_eq!(reason(&status, "Rendered"), "Invalid");

    // The last good state of a Rollout stays when its next commit cannot be read.
    stage.repository.write("apps/web/manifests/settings.yaml", "a: [1\nb: 2\n");
    stage.repository.commit("broken");
    let status =
        stage.until_rollout("web", "stalled", |status| reason(status, "Ready") == "Invalid").await;
    assert!(message(&status).contains("apps/web/manifests/settings.yaml:"));
    stage.until_values([Some("two"); 3]).await;
    assert!(stage.get(&key("", "ConfigMap", "web", "settings")).await.is_some());
    let fixed = stage.push("three");
    stage.until_done(&fixed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fleet_would_refuse_is_told_before_there_is_a_run() {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    let strategy = |stages: &str| {
        format!(
            "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateStrategy\nmetadata: {{name: slow}}\nspec:\n  stages:\n{stages}"
        )
    };
    let mut runs = 1;
    for (value, stages, want, told) in [
        ("a", "  - {name: Stage-1, labelSelector: {}}\n", "Invalid", "strategies/slow.yaml:6"),
        (
            "b",
            "  - {name: a, labelSelector: {}}\n  - {name: b, labelSelector: {}}\n",
            "PreflightFailed",
            "appears in more than one stages",
        ),
        (
            "c",
            "  - {name: a, labelSelector: {matchLabels: {environment: staging}}}\n",
            "PreflightFailed",
            "are not placed in any stage",
        ),
    ] {
        stage.repository.write("strategies/slow.yaml", &strategy(stages));
        stage.push(value);
        let status =
            stage.until_rollout("web", told, |status| message(status).contains(told)).await;
        assert_eq!(reason(&status, "Ready"), want);
        assert_eq!(stage.count("ClusterStagedUpdateRun").await, runs);
    }
    stage.repository.write("strategies/slow.yaml", TWO_STAGES);
    let fixed = stage.push("d");
    stage.until_done(&fixed).await;
    runs += 1;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, runs);
    stage.repository.replace("apps/web/rollout.yaml", "strategyName: slow", "strategyName: quick");
    stage.push("e");
    let status = stage
        .until_rollout("web", "stalled", |status| reason(status, "Ready") == "PreflightFailed")
        .await;
    assert!(message(&status).contains("referenced updateStrategy not found"));
}

/// A strategy that no run could be made with is told with the commit that brings it, not with the next content; what runs,
/// or ran, stays as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_strategy_is_told_at_once_and_stops_nothing() {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    let strategy = |name: &str, stages: &str| {
        format!(
            "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateStrategy\nmetadata: {{name: {name}}}\nspec:\n  stages:\n{stages}"
        )
    };
    const OVERLAP: &str = "  - {name: a, labelSelector: {}}\n  - {name: b, labelSelector: {}}\n";
    let until_told = async |commit: &CommitId, told: &str| {
        let status = stage
            .until_rollout("web", told, |status| {
                message(status).contains(told)
                    && message(status).contains(&format!("commit {}", commit.short()))
            })
            .await;
        assert!(is(&status, "Stalled", "True"), "{status}");
        assert_eq!(status["commit"], first.as_str(), "{status}");
        assert_eq!(status["history"][0]["outcome"], "Succeeded");
        assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
        status
    };
    for (stages, want, told) in [
        ("  - {name: Stage-1, labelSelector: {}}\n", "Invalid", "strategies/slow.yaml:6:6"),
        (
            OVERLAP,
            "PreflightFailed",
            "strategies/slow.yaml:1:1: cluster `member1` appears in more than one stages (make the stages' label selectors exclude each other)",
        ),
        (
            "  - {name: a, labelSelector: {matchLabels: {environment: staging}}}\n",
            "PreflightFailed",
            "strategies/slow.yaml:1:1: some clusters are not placed in any stage",
        ),
    ] {
        stage.repository.write("strategies/slow.yaml", &strategy("slow", stages));
        let broken = stage.repository.commit("strategy alone");
        let status = until_told(&broken, told).await;
        assert_eq!(reason(&status, "Ready"), want);
    }
    stage.repository.write("strategies/slow.yaml", TWO_STAGES);
    stage.repository.commit("mended");
    stage.until_done(&first).await;

    // The lane of rollbacks is found out while nobody needs it.
    let quick = format!("{ROLLOUT}  rollback: {{strategyName: quick}}\n");
    stage.repository.write("apps/web/rollout.yaml", &quick);
    stage.repository.write("strategies/quick.yaml", &strategy("quick", OVERLAP));
    let broken = stage.repository.commit("a quick lane");
    until_told(&broken, "strategies/quick.yaml:1:1: cluster `member1`").await;
    stage.repository.git(&["rm", "-q", "strategies/quick.yaml"]);
    let broken = stage.repository.commit("no quick lane");
    until_told(&broken, "apps/web/rollout.yaml:1:1: referenced updateStrategy not found: `/quick`")
        .await;
    stage.until_values([Some("one"); 3]).await;
}

/// What waits at a gate goes on waiting there, and can be approved, while the next strategy is mended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_strategy_neither_ends_nor_holds_the_run_before_it() {
    let stage = Stage::web(GATED).await;
    let first = stage.repository.head();
    stage.until_rollout("web", "at the gate", waits_for_approval).await;
    let broken = format!("{GATED}  - {{name: rest, labelSelector: {{}}}}\n");
    stage.repository.write("strategies/slow.yaml", &broken);
    for (content, value) in [(false, "one"), (true, "two")] {
        let commit = match content {
            false => stage.repository.commit("strategy alone"),
            true => stage.push(value),
        };
        let status = stage
            .until_rollout("web", "told", |status| {
                reason(status, "Ready") == "PreflightFailed"
                    && message(status).contains(&format!("commit {}", commit.short()))
            })
            .await;
        assert!(message(&status).contains("strategies/slow.yaml:1:1: cluster"), "{status}");
        let name = format!("web-{}", first.short());
        assert!(message(&status).contains(&format!("run {name}")), "{status}");
        let run = stage.get(&fleet("ClusterStagedUpdateRun", &name)).await.unwrap();
        assert_eq!(run["spec"]["state"], "Run");
    }
    stage.approve_on_the_hub(&first).await;
    let run = fleet("ClusterStagedUpdateRun", &format!("web-{}", first.short()));
    stage.until(&run, "succeeded", |run| is(&run["status"], "Succeeded", "True")).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
    stage.repository.write("strategies/slow.yaml", TWO_STAGES);
    stage.repository.commit("mended");
    stage.until_values([Some("two"); 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_repository_and_one_that_is_not_there_are_waited_for() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.start();
    stage.write_web(TWO_STAGES);
    let first = stage.repository.commit("first");
    stage.until_done(&first).await;
    // Git goes away: what is there stays.
    let away = stage.repository.path().with_file_name("away");
    std::fs::rename(stage.repository.path(), &away).unwrap();
    stage.restart().await;
    let status = stage
        .until_rollout("web", "waiting for Git", |status| {
            message(status).contains("cannot be read")
        })
        .await;
    assert_eq!(status["commit"], first.as_str());
    std::fs::rename(&away, stage.repository.path()).unwrap();
    stage.until_done(&first).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rewritten_history_holds_until_somebody_accepts_it() {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    let second = stage.push("two");
    stage.until_done(&second).await;
    stage.repository.git(&["reset", "-q", "--hard", first.as_str()]);
    let third = stage.push("three");
    let status = stage
        .until_rollout("web", "held", |status| reason(status, "Ready") == "HistoryRewritten")
        .await;
    assert!(message(&status).contains("kubectl annotate"), "{}", message(&status));
    stage.until_values([Some("two"); 3]).await;
    let rollout = key("gitops.tidegate.dev", "Rollout", "default", "web");
    let accept =
        json!({"metadata": {"annotations": {"gitops.tidegate.dev/accept": third.as_str()}}});
    stage.patch(&rollout, accept).await;
    stage.until_done(&third).await;
    stage.until_values([Some("three"); 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_is_told_with_manager_and_field() {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "web"}, "data": {"key": "by hand"}});
    stage.hub.apply(&theirs, "somebody", true).await.unwrap();
    stage.push("two");
    let status = stage
        .until_rollout("web", "in conflict", |status| reason(status, "Applied") == "Conflict")
        .await;
    assert!(message(&status).contains("somebody") && message(&status).contains(".data.key"));
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}

/// What somebody puts beside the commit's objects would be rolled out with them: it is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_with_a_stranger_in_it_is_never_run() {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    let stranger = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stranger", "namespace": "web"}});
    stage.hub.create_object(&stranger, "somebody").await.unwrap();
    let second = stage.push("two");
    let differs = |status: &Value| reason(status, "Bound") == "ContentDiffers";
    let status = stage.until_rollout("web", "unbound", differs).await;
    let told = message(&status);
    assert!(told.contains("ConfigMap web/stranger is in it, and not in the commit"), "{told}");
    assert!(is(&status, "Stalled", "True"), "{status}");
    // A run was made to capture the content, and deleted before any cluster had seen it.
    let second_run = fleet("ClusterStagedUpdateRun", &format!("web-{}", second.short()));
    hub::until(
        &second_run,
        "gone",
        async || Some(stage.get(&second_run).await.into()),
        Value::is_null,
    )
    .await;
    stage.until_values([Some("one"); 3]).await;
    let stranger = key("", "ConfigMap", "web", "stranger");
    stage.hub.delete_object(&stranger, &Delete::default()).await.unwrap();
    stage.until_done(&second).await;
    stage.until_values([Some("two"); 3]).await;
    for member in stage.members.values() {
        assert_eq!(member.get_object(&stranger).await.unwrap(), None, "nobody ever had it");
    }
}

/// A file that is larger than anybody reads stops the Rollout that it belongs to, at the first sight of it and later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_too_large_is_its_own_rollouts_fault() {
    let mut stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    let big = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: big, namespace: api}}\ndata: {{key: {}}}\n",
        "x".repeat(5 << 20)
    );
    stage.repository.write("apps/api/rollout.yaml", OTHER);
    stage.repository.write("apps/api/manifests/big.yaml", &big);
    let second = stage.push("two");
    stage.until_done(&second).await;
    let told = |status: &Value| {
        message(status)
            .contains("apps/api/manifests/big.yaml: the file has more than 4194304 bytes")
            && is(status, "Stalled", "True")
    };
    stage.until_rollout("api", "stalled", told).await;
    let third = stage.push("three");
    stage.until_done(&third).await;
    stage.stop().await;
    let fourth = stage.push("four");
    stage.start();
    stage.until_done(&fourth).await;
    stage.until_rollout("api", "stalled", told).await;
}

/// Nobody says how deep folders may be: git takes them, and so do we, first and later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deep_folder_is_a_folder() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.write_web(TWO_STAGES);
    let deep = |top: &str| format!("{top}/{}", "d/".repeat(200));
    let settings = deep("apps/web/manifests") + "settings.yaml";
    std::fs::remove_file(stage.repository.path().join("apps/web/manifests/settings.yaml")).unwrap();
    stage
        .repository
        .write(&settings, &config_map("one"))
        .write(&(deep("notes") + "a.txt"), "words");
    let first = stage.repository.commit("first");
    stage.start();
    stage.until_done(&first).await;
    stage.until_values([Some("one"); 3]).await;
    stage.repository.write(&settings, &config_map("two"));
    let second = stage.repository.commit("second");
    stage.until_done(&second).await;
    stage.until_values([Some("two"); 3]).await;
}

/// Nothing is deleted because it is not found: neither a Rollout's file, nor all of the folder that is followed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_from_git_as_a_whole_stays_on_the_hub() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.path = "fleet";
    stage.write_web(TWO_STAGES);
    stage.repository.move_all_to("fleet");
    let first = stage.repository.commit("first");
    stage.start();
    stage.until_done(&first).await;
    let everything_is_there = async |stage: &Stage| {
        stage.until_values([Some("one"); 3]).await;
        for object in [
            key("", "ConfigMap", "web", "settings"),
            fleet("ClusterResourcePlacement", "web"),
            fleet("ClusterStagedUpdateStrategy", "slow"),
            fleet("ClusterStagedUpdateRun", &format!("web-{}", first.short())),
        ] {
            assert!(stage.get(&object).await.is_some(), "{object}");
        }
    };
    stage.repository.git(&["rm", "-q", "fleet/apps/web/rollout.yaml"]);
    stage.repository.commit("no Rollout");
    let lost = |status: &Value| reason(status, "Ready") == "NotInRepository";
    let status = stage.until_rollout("web", "not in the repository", lost).await;
    assert!(
        message(&status).contains("nothing of it is changed or deleted"),
        "{}",
        message(&status)
    );
    everything_is_there(&stage).await;
    stage.repository.git(&["rm", "-rq", "fleet"]);
    let third = stage.repository.commit("no folder");
    // One that has read nothing else finds nothing to read.
    stage.restart().await;
    stage
        .until_rollout("web", "without its folder", |status| {
            let verified = condition(status, "SourceVerified").unwrap();
            verified["message"]
                .as_str()
                .unwrap()
                .contains(&format!("there is no folder `fleet` in commit {}", third.short()))
        })
        .await;
    everything_is_there(&stage).await;
    stage.repository.git(&["revert", "--no-edit", "--no-gpg-sign", "HEAD", "HEAD~1"]);
    stage.until_rollout("web", "back", |status| is(status, "Ready", "True")).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}

/// While nobody can read Git, what runs goes on, and people may say yes on the hub.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_while_git_is_down() {
    let mut stage = Stage::web(GATED).await;
    let first = stage.repository.head();
    stage.until_rollout("web", "at the gate", waits_for_approval).await;
    let away = stage.repository.path().with_file_name("away");
    std::fs::rename(stage.repository.path(), &away).unwrap();
    // Neither a daemon that had read it, nor one that has not, forgets what runs.
    for restarted in [false, true] {
        if restarted {
            stage.restart().await;
        }
        stage
            .until_rollout("web", "without Git", |status| {
                let verified = condition(status, "SourceVerified").unwrap();
                verified["message"].as_str().unwrap().contains("there is nothing at that path")
            })
            .await;
    }
    stage.approve_on_the_hub(&first).await;
    stage.until_values([Some("one"); 3]).await;
    let run = fleet("ClusterStagedUpdateRun", &format!("web-{}", first.short()));
    stage.until(&run, "succeeded", |run| is(&run["status"], "Succeeded", "True")).await;
    stage
        .until_rollout("web", "everywhere", |status| {
            status["clusters"] == "3/3" && status["history"][0]["outcome"] == "Succeeded"
        })
        .await;
    std::fs::rename(&away, stage.repository.path()).unwrap();
    stage.until_done(&first).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placement_that_rolls_out_by_itself_is_refused_with_its_place_and_a_way_out() {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    let file = "apps/web/placement.yaml";
    stage.repository.replace(file, "strategy: {type: External}", "strategy: {type: RollingUpdate}");
    let second = stage.push("two");
    let status =
        stage.until_rollout("web", "stalled", |status| reason(status, "Ready") == "Invalid").await;
    let told = message(&status);
    assert!(told.contains("apps/web/placement.yaml:7:14"), "{told}");
    assert!(told.contains("set spec.strategy.type to External"), "{told}");
    stage.until_values([Some("one"); 3]).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
    stage.repository.replace(file, "strategy: {type: RollingUpdate}", "strategy: {type: External}");
    stage.repository.commit("External again");
    // What is released is the content of the commit before.
    stage.until_done(&second).await;
    stage.until_values([Some("two"); 3]).await;
}
