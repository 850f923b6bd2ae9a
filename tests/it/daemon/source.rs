//! What the hub is told of a source: how far it was read, for whom, and what it was refused.

use serde_json::{Value, json};
use tidegate::{engine::SnapshotMode, hub::Delete, model::CommitId};

use super::stage::{Stage, TWO_STAGES, is, key, reason};
use crate::support::{hub::until, wire::Wire};

/// Returns what is told of a folder of the repository; null when nothing is.
async fn told(stage: &Stage, folder: Option<&str>) -> Value {
    let resource = stage.hub.locate_any("gitops.tidegate.dev", "Source").await.unwrap();
    let all = stage.hub.list_objects(&resource, None, None).await.unwrap();
    let repository = stage.repository.path().display().to_string();
    let is_it = |source: &&Value| {
        source["spec"]["repository"] == repository.as_str()
            && source["spec"]["ref"] == "main"
            && source["spec"]["folder"].as_str() == folder
    };
    all.iter().find(is_it).map_or(Value::Null, |source| source["status"].clone())
}

async fn until_told(
    stage: &Stage,
    folder: Option<&str>,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let source = key("gitops.tidegate.dev", "Source", "", "of the stage");
    until(&source, what, async || Some(told(stage, folder).await), wanted).await
}

async fn until_read(stage: &Stage, commit: &CommitId) -> Value {
    until_told(stage, None, &format!("read up to {commit}"), |status| {
        status["commit"] == commit.as_str()
    })
    .await
}

fn writes(calls: &[String]) -> Vec<&String> {
    let is_write = |call: &&String| call.contains("/sources/") && !call.starts_with("GET ");
    calls.iter().filter(is_write).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tip_is_told_once_with_those_whom_it_concerns() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    let wire = Wire::default();
    stage.wire(&wire);
    stage.write_web(TWO_STAGES);
    let first = stage.repository.commit("first");
    stage.start();
    stage.until_done(&first).await;
    let status = until_read(&stage, &first).await;
    assert_eq!(status["readings"], json!([{"commit": first.as_str()}]), "all, and nothing before");

    let words = stage.repository.write("README.md", "words\n").commit("words");
    let status = until_read(&stage, &words).await;
    assert_eq!(status["readings"][0], json!({"commit": words.as_str(), "rollouts": []}));
    let second = stage.push("two");
    stage.until_done(&second).await;
    let status = until_read(&stage, &second).await;
    let concerned = json!({"commit": second.as_str(), "rollouts": ["default/web"]});
    assert_eq!(status["readings"][0], concerned);
    assert_eq!(writes(&wire.take()).len(), 3, "once a tip");

    // A restart that finds what was told writes nothing; one that finds more tells of it, and of all that it passed.
    stage.restart().await;
    stage.stop().await;
    let on_the_way = stage.repository.write("README.md", "more\n").commit("on the way");
    let third = stage.push("three");
    stage.start();
    stage.until_done(&third).await;
    let status = until_read(&stage, &third).await;
    let all = json!({"commit": third.as_str(), "passed": [on_the_way.as_str()]});
    assert_eq!(status["readings"][0], all);
    assert_eq!(status["readings"][1], concerned);
    assert_eq!(writes(&wire.take()).len(), 1);

    // What was rewritten away is not the history of what is there.
    stage.repository.git(&["reset", "--quiet", "--hard", second.as_str()]);
    let other = stage.push("other");
    let status = until_read(&stage, &other).await;
    let told = status["readings"].to_string();
    assert!(told.contains(other.as_str()) && !told.contains(third.as_str()), "{told}");
}

/// Definitions of another release lack the kind: that costs what only it can tell, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_does_not_know_sources_is_served_all_the_same() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    let definition =
        key("apiextensions.k8s.io", "CustomResourceDefinition", "", "sources.gitops.tidegate.dev");
    stage.hub.delete_object(&definition, &Delete::default()).await.unwrap();
    stage.write_web(TWO_STAGES);
    let first = stage.repository.commit("first");
    stage.start();
    stage.until_done(&first).await;
    let second = stage.push("two");
    stage.until_done(&second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_tells_what_it_leaves_to_another_as_long_as_it_does() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.path = "one";
    stage.write_web(TWO_STAGES);
    stage.repository.move_all_to("one");
    stage.write_web_into("two/", TWO_STAGES, "theirs");
    let first = stage.repository.commit("first");
    stage.start();
    stage.until_done(&first).await;

    let _another = stage.start_another("two");
    let place = stage.repository.path().display().to_string();
    let refused = json!([{"rollout": "default/web", "owner": format!("{place} main one")}]);
    until_told(&stage, Some("two"), "refused", |status| status["refused"] == refused).await;
    assert_eq!(told(&stage, Some("one")).await["refused"], Value::Null);

    let web = key("gitops.tidegate.dev", "Rollout", "default", "web");
    let take_over = json!({"metadata": {"annotations": {
        "gitops.tidegate.dev/take-over": format!("{place} main two")}}});
    stage.patch(&web, take_over).await;
    until_told(&stage, Some("two"), "not refused", |status| status["refused"].is_null()).await;
    let other_way = json!([{"rollout": "default/web", "owner": format!("{place} main two")}]);
    until_told(&stage, Some("one"), "refused", |status| status["refused"] == other_way).await;
    stage
        .until_rollout("web", "taken over", |status| {
            status["source"]["folder"] == "two" && is(status, "Ready", "True")
        })
        .await;
    // One that is gone is nobody's.
    stage.repository.git(&["rm", "-rq", "one/apps/web", "two/apps/web"]);
    stage.repository.write("one/README.md", "nothing is left\n").commit("nobody's");
    stage
        .until_rollout("web", "not in Git", |status| reason(status, "Ready") == "NotInRepository")
        .await;
    stage.hub.delete_object(&web, &Delete::default()).await.unwrap();
    until_told(&stage, Some("one"), "nothing to refuse", |status| status["refused"].is_null())
        .await;
}
