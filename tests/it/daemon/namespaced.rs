//! Rollouts in a namespace: the namespaced kinds, a whole life long.

use serde_json::{Value, json};
use tidegate::{engine::SnapshotMode, model::ObjectKey};

use super::stage::{PLACEMENT, Stage, is, key, message, waits_for_approval};
use crate::support::hub;

const TEAM: &str = "test-namespace";
const CONFIG_MAP: &str = "apps/web/manifests/configmap.yaml";

fn of_team(kind: &str, name: &str) -> ObjectKey {
    key(PLACEMENT, kind, TEAM, name)
}

fn rollout() -> ObjectKey {
    key("gitops.tidegate.dev", "Rollout", TEAM, "web")
}

/// The example repository, with alice as the one who approves, and without the minute's wait.
async fn example() -> Stage {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.repository.copy("examples-repo/namespace-scoped");
    let alice = stage.repository.sign_as("alice");
    stage.repository.write("policy/allowed_signers", &alice);
    stage.repository.replace("strategies/example-strategy.yaml", "waitTime: 1m", "waitTime: 1s");
    stage.repository.commit("first");
    stage.start();
    stage
}

async fn until_status(stage: &Stage, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    stage.until(&rollout(), what, |object| wanted(&object["status"])).await["status"].clone()
}

/// It asks for an approval, and names the request.
fn asks_for_approval(status: &Value) -> bool {
    waits_for_approval(status) && message(status).contains("waits for approval `")
}

async fn until_everywhere(stage: &Stage, value: &str) {
    let map = key("", "ConfigMap", TEAM, "test-cm");
    hub::until_values(&stage.members, &map, &[Some(value); 3]).await;
}

/// Approves canary of a commit in Git, and waits until it is everywhere.
async fn release(stage: &Stage, name: &str) -> Value {
    let commit = stage.repository.head();
    until_status(stage, "at the gate", |status| {
        asks_for_approval(status) && status["commit"] == commit.as_str()
    })
    .await;
    let approval = Stage::approval(&commit, "canary", &format!("{TEAM}/web"));
    stage.repository.write(&format!("approvals/web/{name}.yaml"), &approval);
    stage.repository.commit_signed(&format!("approve {name}"));
    until_status(stage, "done", |status| {
        status["commit"] == commit.as_str() && is(status, "Ready", "True")
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_pushes_approves_and_reverts_within_its_namespace() {
    let stage = example().await;
    let status = release(&stage, "one").await;
    assert_eq!(status["index"], "0", "{status}");
    assert_eq!((&status["clusters"], &status["stage"]), (&json!("3/3"), &json!("2/2 canary")));
    assert_eq!(status["approvals"][0]["state"], "Applied");
    assert_eq!(status["approvals"][0]["by"], "alice");
    until_everywhere(&stage, "value1").await;
    let run = status["run"].as_str().unwrap().to_owned();
    let made = stage.get(&of_team("StagedUpdateRun", &run)).await.unwrap();
    assert_eq!(
        made["metadata"]["annotations"]["gitops.tidegate.dev/rollout"],
        "test-namespace/web"
    );
    let request = format!("{run}-before-canary");
    let request = stage.get(&of_team("ApprovalRequest", &request)).await.unwrap();
    assert!(is(&request["status"], "Approved", "True"), "{request}");

    // The platform team's Rollout brings the namespace, by the cluster's kinds.
    stage.until_rollout(TEAM, "ready", |status| is(status, "Ready", "True")).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
    assert_eq!(stage.count("StagedUpdateRun").await, 1);

    stage.repository.replace(CONFIG_MAP, "value1", "value2");
    let second = stage.repository.commit("value2");
    let status = release(&stage, "two").await;
    assert_eq!(status["index"], "1");
    until_everywhere(&stage, "value2").await;

    let snapshots = stage.count("ResourceSnapshot").await;
    stage.repository.revert(&second);
    let status = release(&stage, "three").await;
    assert_eq!(status["index"], "0", "a revert runs on its old index");
    until_everywhere(&stage, "value1").await;
    assert_eq!(stage.count("ResourceSnapshot").await, snapshots);
    assert_eq!(stage.count("StagedUpdateRun").await, 3);
    assert_eq!(
        stage.count("ClusterStagedUpdateRun").await,
        1,
        "the namespace's own was left alone"
    );
    let outcomes: Vec<_> =
        status["history"].as_array().unwrap().iter().map(|entry| &entry["outcome"]).collect();
    assert_eq!(outcomes, ["Succeeded"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_without_the_namespace_is_another_rollouts() {
    let stage = example().await;
    let commit = stage.repository.head();
    until_status(&stage, "at the gate", asks_for_approval).await;
    for name in ["web", "other/web"] {
        let approval = Stage::approval(&commit, "canary", name);
        stage.repository.write(&format!("approvals/{}.yaml", name.replace('/', "-")), &approval);
    }
    stage.repository.commit_signed("approve");
    let status = until_status(&stage, "both judged", |status| {
        let records: Vec<_> = status["approvals"].as_array().into_iter().flatten().collect();
        records.len() == 2 && records.iter().all(|record| record["state"] != "Pending")
    })
    .await;
    for record in status["approvals"].as_array().unwrap() {
        assert_eq!(record["reason"], "ApprovalOtherRollout", "{status}");
    }
    assert!(asks_for_approval(&status), "{status}");
    let request = format!("{}-before-canary", status["run"].as_str().unwrap());
    let request = stage.get(&of_team("ApprovalRequest", &request)).await.unwrap();
    assert!(!is(&request["status"], "Approved", "True"), "{request}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_edit_in_the_namespace_is_put_back() {
    let stage = example().await;
    let map = key("", "ConfigMap", TEAM, "test-cm");
    until_status(&stage, "at the gate", asks_for_approval).await;
    stage.patch(&map, json!({"data": {"key": "by hand"}})).await;
    stage.until(&map, "as Git says", |map| map["data"]["key"] == "value1").await;
    let strategy = of_team("StagedUpdateStrategy", "example-strategy");
    stage
        .patch(&strategy, json!({"spec": {"stages": [{"name": "all", "labelSelector": {}}]}}))
        .await;
    let as_before = |strategy: &Value| strategy["spec"]["stages"].as_array().unwrap().len() == 2;
    stage.until(&strategy, "as Git says", as_before).await;
    assert_eq!(stage.count("StagedUpdateRun").await, 1);
}

/// What a namespace's team may not bring: things of the whole cluster, and of other namespaces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_beyond_the_namespace_is_refused() {
    let stage = example().await;
    until_status(&stage, "at the gate", asks_for_approval).await;
    for (file, text, said) in [
        (
            "namespace.yaml",
            "{apiVersion: v1, kind: Namespace, metadata: {name: mine}}\n",
            "that namespace only",
        ),
        (
            "elsewhere.yaml",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: other}}\n",
            "that namespace only",
        ),
    ] {
        stage.repository.write(&format!("apps/web/manifests/{file}"), text);
        stage.repository.commit(file);
        until_status(&stage, said, |status| {
            is(status, "Stalled", "True") && message(status).contains(said)
        })
        .await;
        assert!(stage.get(&key("", "ConfigMap", "other", "x")).await.is_none());
        assert!(stage.get(&key("", "Namespace", "", "mine")).await.is_none());
        std::fs::remove_file(stage.repository.path().join("apps/web/manifests").join(file))
            .unwrap();
        stage.repository.commit("without it");
        until_status(&stage, "well again", |status| is(status, "Stalled", "False")).await;
    }
}
