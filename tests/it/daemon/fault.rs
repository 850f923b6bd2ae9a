//! Bad input, and what goes on beside it.

use serde_json::json;
use tidegate::engine::SnapshotMode;

use super::stage::{NAMESPACE, Stage, TWO_STAGES, is, key, message, reason, waits_for_approval};

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
async fn conflicts_and_strangers_in_the_content_are_reported() {
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
    assert!(!waits_for_approval(&status));
    assert!(NAMESPACE.contains("web"));
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
