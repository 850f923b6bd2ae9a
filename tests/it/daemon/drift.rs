//! Hand edits on the hub of what comes from Git.

use serde_json::{Value, json};
use tidegate::{hub::Delete, model::ObjectKey};

use super::stage::{Stage, TWO_STAGES, fleet, is, key, message, reason};
use crate::support::{hub::until, wire::Wire};

fn settings() -> ObjectKey {
    key("", "ConfigMap", "web", "settings")
}

async fn rolled_out() -> Stage {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    stage.until_values([Some("one"); 3]).await;
    stage
}

/// Once more as kubectl's `edit` does: a write that is no apply.
async fn edit(stage: &Stage, object: &ObjectKey, patch: Value) {
    let resource = stage.hub.locate_any(&object.group, &object.kind).await.unwrap();
    stage.hub.merge_object(&resource, object, &patch, "kubectl-edit").await.unwrap();
}

async fn until_as_before(stage: &Stage, object: &ObjectKey, pointer: &str, wanted: Value) {
    stage.until(object, "as Git says", |held| held.pointer(pointer) == Some(&wanted)).await;
}

/// Nothing more happened than had to: no other run, and every member has what Git says.
async fn until_calm(stage: &Stage) {
    let first = stage.repository.head();
    stage.until_done(&first).await;
    stage.until_values([Some("one"); 3]).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_and_deletions_are_put_back_without_a_new_run() {
    let stage = rolled_out().await;
    let before = stage.count("ClusterResourceSnapshot").await;
    edit(&stage, &settings(), json!({"data": {"key": "by hand"}})).await;
    until_as_before(&stage, &settings(), "/data/key", json!("one")).await;
    until_calm(&stage).await;
    // The engine may have seen the edit before it was put back; no more than that.
    let edited = stage.count("ClusterResourceSnapshot").await;
    assert!(edited <= before + 1, "{edited} snapshots, of {before}");

    // A removed field.
    edit(&stage, &settings(), json!({"data": {"key": null}})).await;
    until_as_before(&stage, &settings(), "/data/key", json!("one")).await;

    let gone = stage.get(&settings()).await.unwrap();
    stage.hub.delete_object(&settings(), &Delete::default()).await.unwrap();
    let back = stage
        .until(&settings(), "made again", |held| held["metadata"]["uid"] != gone["metadata"]["uid"])
        .await;
    assert_eq!(back["data"]["key"], "one");
    until_calm(&stage).await;

    let strategy = fleet("ClusterStagedUpdateStrategy", "slow");
    let stages = stage.get(&strategy).await.unwrap()["spec"]["stages"].clone();
    edit(&stage, &strategy, json!({"spec": {"stages": [{"name": "all", "labelSelector": {}}]}}))
        .await;
    until_as_before(&stage, &strategy, "/spec/stages", stages.clone()).await;
    stage.hub.delete_object(&strategy, &Delete::default()).await.unwrap();
    until_as_before(&stage, &strategy, "/spec/stages", stages).await;

    let placement = fleet("ClusterResourcePlacement", "web");
    edit(&stage, &placement, json!({"spec": {"resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": "other"}]}})).await;
    let selected = json!("web");
    until_as_before(&stage, &placement, "/spec/resourceSelectors/0/name", selected).await;
    until_calm(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_others_and_own_writes_cause_no_work() {
    let mut stage = rolled_out().await;
    let wire = Wire::default();
    stage.wire(&wire);
    stage.restart().await;
    until_calm(&stage).await;
    // The second of two edits that are put back proves that what came before the first was read, and nothing done about it.
    let put_back = async |stage: &Stage| {
        edit(
            stage,
            &fleet("ClusterStagedUpdateStrategy", "slow"),
            json!({"spec": {"stages": [{"name": "all", "labelSelector": {}}]}}),
        )
        .await;
        let strategy = fleet("ClusterStagedUpdateStrategy", "slow");
        let as_git_says = |held: &Value| held["spec"]["stages"].as_array().unwrap().len() == 2;
        stage.until(&strategy, "as Git says", as_git_says).await;
    };
    put_back(&stage).await;
    until_calm(&stage).await;
    wire.take();
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "web", "labels": {"team": "blue"}}});
    stage.hub.apply(&theirs, "labeller", false).await.unwrap();
    edit(&stage, &settings(), json!({"metadata": {"annotations": {"seen": "yes"}}})).await;
    let labelled = stage.get(&settings()).await.unwrap()["metadata"]["resourceVersion"].clone();
    put_back(&stage).await;
    // One look at what is no longer as it was left, which came with what had to be put back, and changed nothing.
    let looks = wire
        .take()
        .iter()
        .filter(|call| call.starts_with("PATCH") && call.contains("/configmaps/"))
        .count();
    assert!(looks <= 1, "{looks} writes for what others set");
    assert_eq!(stage.get(&settings()).await.unwrap()["metadata"]["resourceVersion"], labelled);
    stage.push("two");
    stage.until_done(&stage.repository.head()).await;
    let held = stage.get(&settings()).await.unwrap();
    assert_eq!(held["metadata"]["labels"]["team"], "blue", "a foreign label stays");
    assert_eq!(held["metadata"]["annotations"]["seen"], "yes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_edited_while_nobody_looked_is_put_back_at_the_start() {
    let mut stage = rolled_out().await;
    stage.stop().await;
    edit(&stage, &settings(), json!({"data": {"key": "by hand"}})).await;
    stage.start();
    until_as_before(&stage, &settings(), "/data/key", json!("one")).await;
    until_calm(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fight_ends_and_names_the_object() {
    let stage = rolled_out().await;
    let rollout = key("gitops.tidegate.dev", "Rollout", "default", "web");
    let both = async || {
        let (object, rollout) = (stage.get(&settings()).await?, stage.get(&rollout).await?);
        Some(json!({"data": object["data"], "status": rollout["status"]}))
    };
    let is_told = |seen: &Value| reason(&seen["status"], "Applied") == "Conflict";
    let mut told = None;
    for round in 0..10 {
        edit(&stage, &settings(), json!({"data": {"key": format!("mine {round}")}})).await;
        let over = |seen: &Value| is_told(seen) || seen["data"]["key"] == "one";
        let seen = until(&rollout, "put back or told", both, over).await;
        if is_told(&seen) {
            told = Some((round, message(&seen["status"]).to_owned()));
            break;
        }
    }
    let (round, told) = told.expect("the fight ended");
    assert_eq!(round, 3, "so often it is put back");
    assert!(told.contains("ConfigMap web/settings"), "{told}");
    assert!(told.contains(".data.key") && told.contains("each time"), "{told}");
    // A new commit is a new word on it.
    let commit = stage.push("two");
    stage.until_done(&commit).await;
    stage.until_values([Some("two"); 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_applies_is_a_conflict_at_once_and_over_when_they_let_go() {
    let stage = rolled_out().await;
    let theirs = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "web"}, "data": data});
    stage.hub.apply(&theirs(json!({"key": "theirs"})), "somebody", true).await.unwrap();
    let status = stage
        .until_rollout("web", "in conflict", |status| reason(status, "Applied") == "Conflict")
        .await;
    assert!(message(&status).contains("somebody") && message(&status).contains(".data.key"));
    assert_eq!(stage.get(&settings()).await.unwrap()["data"]["key"], "theirs");
    // They let go: who applies none of the data owns none. An empty map would still be theirs.
    let mut none = theirs(json!({}));
    none.as_object_mut().unwrap().remove("data");
    stage.hub.apply(&none, "somebody", true).await.unwrap();
    until_as_before(&stage, &settings(), "/data/key", json!("one")).await;
    let applied = |status: &Value| is(status, "Applied", "True") && is(status, "Ready", "True");
    stage.until_rollout("web", "well again", applied).await;
    until_calm(&stage).await;
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
    stage.hub.delete_object(&extra, &Delete::default()).await.unwrap();
    // The next thing that is done by hand is put right, and this one was not.
    let settings = key("", "ConfigMap", "web", "settings");
    stage.hub.delete_object(&settings, &Delete::default()).await.unwrap();
    stage.until(&settings, "made again", |object| object["data"]["key"] == "one").await;
    assert_eq!(stage.get(&extra).await, None);
    let status = stage.until_done(&without).await;
    assert!(is(&status, "Applied", "True"), "{status}");
}
