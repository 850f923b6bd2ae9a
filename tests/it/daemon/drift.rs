//! What people do by hand, on the hub, to objects that come from Git.

use serde_json::json;
use tidegate::hub::Delete;

use super::stage::{Stage, TWO_STAGES, fleet, is, key, message, reason};

const AT_ONCE: Delete<'_> = Delete { uid: None, foreground: false };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_by_hand_comes_back_and_makes_no_run() {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    let settings = key("", "ConfigMap", "web", "settings");
    let strategy = fleet("ClusterStagedUpdateStrategy", "slow");
    for object in [&settings, &strategy] {
        let uid = stage.get(object).await.unwrap()["metadata"]["uid"].clone();
        stage.hub.delete_object(object, &AT_ONCE).await.unwrap();
        stage.until(object, "made again", |made| made["metadata"]["uid"] != uid).await;
    }
    stage.patch(&settings, json!({"data": {"key": null}})).await;
    stage.until(&settings, "with its value", |object| object["data"]["key"] == "one").await;
    let status = stage.until_done(&first).await;
    assert_eq!(status["index"], "0");
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
    stage.until_values([Some("one"); 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_somebody_took_over_is_told_at_once_and_until_it_is_given_back() {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    let settings = key("", "ConfigMap", "web", "settings");
    stage.patch(&settings, json!({"data": {"key": "by hand"}})).await;
    let status = stage
        .until_rollout("web", "in conflict", |status| reason(status, "Applied") == "Conflict")
        .await;
    assert!(message(&status).contains("settings") && message(&status).contains(".data.key"));
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);

    stage.patch(&settings, json!({"data": {"key": "one"}})).await;
    stage.until_done(&first).await;
    stage.until_values([Some("one"); 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_add_is_theirs() {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    let strategy = fleet("ClusterStagedUpdateStrategy", "slow");
    stage.patch(&strategy, json!({"metadata": {"labels": {"team": "web"}}})).await;
    let settings = key("", "ConfigMap", "web", "settings");
    stage.hub.delete_object(&settings, &AT_ONCE).await.unwrap();
    // By now the label was seen, too: one look is for both.
    stage.until(&settings, "made again", |object| object["data"]["key"] == "one").await;
    stage.until_done(&first).await;
    let kept = stage.get(&strategy).await.unwrap();
    assert_eq!(kept["metadata"]["labels"]["team"], "web");
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}

/// What left Git with a commit is nobody's to bring back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_left_git_may_be_made_and_deleted_by_anybody() {
    let stage = Stage::web(TWO_STAGES).await;
    stage.repository.write(
        "apps/web/manifests/extra.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, namespace: web}\n",
    );
    let with = stage.repository.commit("extra");
    stage.until_done(&with).await;
    stage.repository.git(&["rm", "--quiet", "apps/web/manifests/extra.yaml"]);
    let without = stage.repository.commit("no extra");
    stage.until_done(&without).await;
    let extra = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra", "namespace": "web"}});
    stage.hub.create_object(&extra, "somebody").await.unwrap();
    let extra = key("", "ConfigMap", "web", "extra");
    stage.hub.delete_object(&extra, &AT_ONCE).await.unwrap();
    // The next thing that is done by hand is put right, and this one was not.
    let settings = key("", "ConfigMap", "web", "settings");
    stage.hub.delete_object(&settings, &AT_ONCE).await.unwrap();
    stage.until(&settings, "made again", |object| object["data"]["key"] == "one").await;
    assert_eq!(stage.get(&extra).await, None);
    let status = stage.until_done(&without).await;
    assert!(is(&status, "Applied", "True"));
}
