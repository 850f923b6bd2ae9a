//! Runs that fail by the Rollout's own measure, and what becomes of their commits.

use serde_json::{Value, json};
use tidegate::model::CommitId;

use super::stage::{ROLLOUT, Stage, TWO_STAGES, condition, fleet, is, key, message, reason};
use crate::support::hub;

/// Nothing on the members makes it available.
const NEVER_READY: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: server, namespace: web}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: server}}\n  template:\n    metadata: {labels: {app: server}}\n    spec: {containers: [{name: server, image: server}]}\n";
const DEPLOYMENT: &str = "apps/web/manifests/deployment.yaml";

/// A Rollout with this failure policy, everywhere; and then a commit that never becomes available.
pub(super) async fn failing(policy: &str) -> Stage {
    let stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    let rollout = format!("{ROLLOUT}  failure: {policy}\n");
    stage.repository.write("apps/web/rollout.yaml", &rollout).write(DEPLOYMENT, NEVER_READY);
    stage.push("two");
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_acts_by_itself_and_once() {
    let mut stage = failing("{progressDeadline: 2s}").await;
    let second = stage.repository.head();
    let stopped = |status: &serde_json::Value| {
        reason(status, "Stalled") == "FailurePolicy" && is(status, "Stalled", "True")
    };
    let status = stage.until_rollout("web", "stopped", stopped).await;
    let told = message(&status);
    assert!(
        told.contains("nothing moved for 2s") && told.contains("member2 (stage staging)"),
        "{told}"
    );
    assert!(told.contains("kubectl patch clusterstagedupdaterun web-"), "{told}");
    assert!(is(&status, "Stalled", "True"));
    let run = fleet("ClusterStagedUpdateRun", &format!("web-{}", second.short()));
    assert_eq!(stage.get(&run).await.unwrap()["spec"]["state"], "Stop");
    stage.until_values([Some("one"), Some("two"), Some("one")]).await;

    // Whoever resumes it has seen that it is late: not even a restart stops it again.
    stage.patch(&run, json!({"spec": {"state": "Run"}})).await;
    stage.restart().await;
    let going = |status: &serde_json::Value| reason(status, "Ready") == "RollingOut";
    let status = stage.until_rollout("web", "going", going).await;
    assert!(status["history"][1]["failure"].as_str().unwrap().contains("nothing moved for 2s"));
    stage.repository.git(&["rm", "-q", DEPLOYMENT]);
    let third = stage.push("three");
    stage.until_done(&third).await;
    stage.until_values([Some("three"); 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_goes_to_what_was_everywhere_and_stays_there() {
    let mut stage = failing("{progressDeadline: 2s, action: Rollback}").await;
    let second = stage.repository.head();
    let first = stage.repository.git(&["rev-parse", "HEAD~1"]).trim().to_owned();
    let snapshots = async |stage: &Stage| stage.count("ClusterResourceSnapshot").await;
    let back = |status: &serde_json::Value| reason(status, "Ready") == "RolledBack";
    let status = stage.until_rollout("web", "rolled back", back).await;
    let told = message(&status);
    let short: String = first.chars().take(8).collect();
    assert!(told.starts_with(&format!("{} was rolled back", second.short())), "{told}");
    assert!(told.contains("member2 (stage staging)") && told.contains("push a commit"), "{told}");
    assert_eq!((&status["commit"], &status["index"]), (&json!(first), &json!("0")));
    assert_eq!(status["run"], format!("web-{short}-2"));
    assert!(is(&status, "Stalled", "True") && is(&status, "Pinned", "True"));
    assert_eq!(status["pinned"]["commit"], second.as_str());
    let outcomes: Vec<_> =
        status["history"].as_array().unwrap().iter().map(|r| &r["outcome"]).collect();
    assert_eq!(outcomes, ["Succeeded", "RolledBack", "Succeeded"]);
    stage.until_values([Some("one"); 3]).await;
    // The hub agrees with what is everywhere.
    let settings = stage.get(&key("", "ConfigMap", "web", "settings")).await.unwrap();
    assert_eq!(settings["data"]["key"], "one");
    assert!(stage.get(&key("apps", "Deployment", "web", "server")).await.is_none());

    let (runs, cut) = (stage.count("ClusterStagedUpdateRun").await, snapshots(&stage).await);
    stage.stop().await;
    // What concerns no content changes nothing about it. A daemon that is there would not look at the Rollout for it.
    stage.repository.write("README.md", "more words");
    let words = stage.repository.commit("words");
    stage.start();
    stage
        .until_rollout("web", "still rolled back", |status| {
            status["source"]["commit"] == words.as_str() && back(status)
        })
        .await;
    assert_eq!((stage.count("ClusterStagedUpdateRun").await, snapshots(&stage).await), (runs, cut));

    stage.repository.git(&["rm", "-q", DEPLOYMENT]);
    let third = stage.push("three");
    let status = stage.until_done(&third).await;
    assert!(condition(&status, "Pinned").is_none() && status["pinned"].is_null());
    stage.until_values([Some("three"); 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_anything_to_go_back_to_a_rollback_is_a_stop() {
    let mut stage = Stage::bare(tidegate::engine::SnapshotMode::Both).await;
    stage.write_web(TWO_STAGES);
    let rollout = format!("{ROLLOUT}  failure: {{progressDeadline: 1s, action: Rollback}}\n");
    stage.repository.write("apps/web/rollout.yaml", &rollout).write(DEPLOYMENT, NEVER_READY);
    stage.repository.commit("first");
    stage.start();
    let stopped = |status: &serde_json::Value| {
        reason(status, "Stalled") == "FailurePolicy" && is(status, "Stalled", "True")
    };
    let status = stage.until_rollout("web", "stopped", stopped).await;
    assert!(status["pinned"].is_null());
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}

/// Taken back and committed again in one push: another commit, which is tried like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_after_its_revert_is_tried_again() {
    let stage = failing("{progressDeadline: 2s, action: Rollback}").await;
    let second = stage.repository.head();
    let back = |commit: String| {
        move |status: &serde_json::Value| {
            reason(status, "Ready") == "RolledBack" && status["pinned"]["commit"] == commit
        }
    };
    stage.until_rollout("web", "rolled back", back(second.to_string())).await;
    let aside = stage.repository.path().with_file_name("aside");
    stage.repository.git(&["worktree", "add", "-q", "--detach", aside.to_str().unwrap()]);
    let beside = |arguments: &[&str]| {
        let arguments: Vec<&str> =
            ["-C", aside.to_str().unwrap()].iter().chain(arguments).copied().collect();
        stage.repository.git(&arguments)
    };
    for _ in 0..2 {
        beside(&["revert", "--no-edit", "--no-gpg-sign", "HEAD"]);
    }
    let again = beside(&["rev-parse", "HEAD"]);
    stage.repository.git(&["merge", "-q", "--ff-only", &again]);
    let status = stage.until_rollout("web", "tried and rolled back", back(again.clone())).await;
    let commits: Vec<_> = status["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["commit"].as_str().unwrap())
        .collect();
    assert!(commits.contains(&again.as_str()), "{status}");
}

/// A newer commit takes over while a cluster is in flight: that one settles first, and nobody else begins anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_commit_waits_for_the_clusters_in_flight_of_the_older_one() {
    let stage = failing("{}").await;
    let second = stage.repository.head();
    let run =
        |commit: &CommitId| fleet("ClusterStagedUpdateRun", &format!("web-{}", commit.short()));
    stage.until_values([Some("one"), Some("two"), Some("one")]).await;
    let in_flight = |run: &Value| {
        let clusters = run["status"]["stagesStatus"][0]["clusters"].as_array();
        clusters.is_some_and(|clusters| is(&clusters[0], "Started", "True"))
    };
    stage.until(&run(&second), "in flight", in_flight).await;
    let third = stage.push("three");
    let settles = format!(
        "commit {} takes over as soon as the clusters in flight of run web-{} have settled",
        third.short(),
        second.short()
    );
    let waits = |status: &Value| message(status).contains(&settles);
    let status = stage.until_rollout("web", "superseding", waits).await;
    assert_eq!(reason(&status, "Ready"), "Superseding");
    let older = stage.get(&run(&second)).await.unwrap();
    assert_eq!(older["spec"]["state"], "Stop");
    assert!(!is(&older["status"]["stagesStatus"][0]["clusters"][0], "Succeeded", "True"));
    assert_eq!(stage.get(&run(&third)).await, None, "made before the older one is at rest");
    stage.until_values([Some("one"), Some("two"), Some("one")]).await;

    // It settles, and that is all that the older one does.
    let server = key("apps", "Deployment", "web", "server");
    let available = json!({"status": {"observedGeneration": 1, "replicas": 1,
        "availableReplicas": 1, "updatedReplicas": 1, "readyReplicas": 1}});
    let becomes_available = async |member: &str| {
        let hub = &stage.members[member];
        let there = async || hub.get_object(&server).await.unwrap();
        hub::until(&server, "there", there, |_| true).await;
        hub.merge_object_status(&server, &available, "test").await.unwrap();
    };
    becomes_available("member2").await;
    stage.until(&run(&third), "made", |_| true).await;
    let older = stage.get(&run(&second)).await.unwrap();
    let canary = &older["status"]["stagesStatus"][1];
    let begun = canary["clusters"].as_array().unwrap().iter();
    let begun = begun.filter(|cluster| is(cluster, "Started", "True")).count();
    assert_eq!(begun, 0, "{canary}");
    stage.until_values([Some("one"), Some("three"), Some("one")]).await;
    // By the number in their labels: member3, then member1.
    becomes_available("member3").await;
    becomes_available("member1").await;
    stage.until_done(&third).await;
    stage.until_values([Some("three"); 3]).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 3);
}
