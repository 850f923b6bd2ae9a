//! Who has something on the hub keeps it: another file, another folder and another daemon take nothing over unasked.

use serde_json::{Value, json};
use tidegate::engine::SnapshotMode;

use super::stage::{
    NAMESPACE, PLACEMENT_FILE, ROLLOUT, Stage, TWO_STAGES, config_map, is, key, message, reason,
};

/// A Rollout of this name that wants what `web` wants.
fn twin(name: &str) -> String {
    ROLLOUT
        .replace("name: web}", &format!("name: {name}}}"))
        .replace("./manifests", "../web/manifests")
}

async fn until_refused(stage: &Stage, name: &str, told: &str) {
    let status = stage
        .until_rollout(name, told, |status| {
            reason(status, "Ready") == "Invalid" && message(status).contains(told)
        })
        .await;
    assert!(is(&status, "Stalled", "True"), "{status}");
    assert_eq!(status["history"].as_array().map_or(0, Vec::len), 0, "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_rollout_does_not_get_the_placement_of_the_first() {
    let mut stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    // Its file comes before the other in every order.
    stage.repository.write("apps/a/rollout.yaml", &twin("a"));
    let second = stage.push("two");
    let told = "apps/a/rollout.yaml:1:1: Rollout `web` in apps/web/rollout.yaml:1:1 rolls out placement `web`, too: `web` has it, and keeps it (give each Rollout a placement of its own)";
    until_refused(&stage, "a", told).await;
    stage.until_done(&second).await;
    stage.restart().await;
    let third = stage.push("three");
    stage.until_done(&third).await;
    // That its file cannot be read takes nothing from it …
    stage.repository.write("apps/web/rollout.yaml", "a: [1\nb: 2\n");
    stage.repository.commit("broken");
    until_refused(
        &stage,
        "a",
        "Rollout `web` in apps/web/rollout.yaml, which has faults of its own",
    )
    .await;
    let runs = stage.count("ClusterStagedUpdateRun").await;
    // … and who takes its file out of Git gives everything away.
    stage.repository.git(&["rm", "-q", "apps/web/rollout.yaml"]);
    stage.repository.commit("web is called a");
    stage.until_rollout("a", "everywhere", |status| is(status, "Ready", "True")).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, runs, "the content is the same");
    stage.until_values([Some("three"); 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_come_at_once_none_gets_what_both_want() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.write_web(TWO_STAGES);
    stage.repository.write("apps/a/rollout.yaml", &twin("a"));
    stage.repository.commit("both");
    stage.start();
    for name in ["a", "web"] {
        until_refused(&stage, name, "none of them gets it as long as several want it").await;
    }
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 0);
    assert_eq!(stage.get(&key("", "ConfigMap", "web", "settings")).await, None);
    stage.repository.git(&["rm", "-q", "apps/a/rollout.yaml"]);
    stage.repository.commit("one");
    stage.until_rollout("web", "everywhere", |status| is(status, "Ready", "True")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_takes_over_what_it_is_given_and_nothing_else() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.path = "one";
    stage.write_web(TWO_STAGES);
    stage.repository.move_all_to("one");
    stage.write_web_into("two/", TWO_STAGES, "theirs");
    let api = |text: &str| text.replace("web", "api");
    stage
        .repository
        .write("two/apps/other/rollout.yaml", &twin("other"))
        .write("two/apps/api/rollout.yaml", &api(ROLLOUT).replace("slow", "quick"))
        .write("two/apps/api/placement.yaml", &api(PLACEMENT_FILE))
        .write("two/apps/api/manifests/namespace.yaml", &api(NAMESPACE))
        .write("two/apps/api/manifests/settings.yaml", &api(&config_map("one")))
        .write("two/strategies/quick.yaml", &TWO_STAGES.replace("slow", "quick"));
    let first = stage.repository.commit("first");
    stage.start();
    stage.until_done(&first).await;
    let web = key("gitops.tidegate.dev", "Rollout", "default", "web");
    let before = stage.get(&web).await.unwrap();

    let _another = stage.start_another("two");
    let ready = |status: &Value| is(status, "Ready", "True");
    stage.until_rollout("api", "everywhere", ready).await;
    // Not even under another name.
    let place = stage.repository.path().display().to_string();
    let whose = format!("belongs to Rollout `web` of {place} main one");
    until_refused(&stage, "other", &whose).await;
    assert_eq!(stage.get(&web).await.unwrap(), before);
    stage.until_values([Some("one"); 3]).await;

    let take_over = json!({"metadata": {"annotations": {
        "gitops.tidegate.dev/take-over": format!("{place} main two")}}});
    stage.patch(&web, take_over).await;
    stage
        .until_rollout("web", "taken over", |status| {
            status["source"]["folder"] == "two" && ready(status)
        })
        .await;
    stage.until_values([Some("theirs"); 3]).await;
    // Whoever had it has it no more.
    stage.repository.write("one/apps/web/manifests/settings.yaml", &config_map("late"));
    stage.repository.write("two/apps/web/manifests/settings.yaml", &config_map("later"));
    let later = stage.repository.commit("both");
    stage.until_done(&later).await;
    stage.until_values([Some("later"); 3]).await;
    let runs = stage.list("ClusterStagedUpdateRun").await;
    let of_web = runs.iter().filter(|run| run["spec"]["placementName"] == "web").count();
    assert_eq!(of_web, 3);
}

/// A path has many spellings: another one is no other repository.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_folder_by_another_path_is_the_same_repository() {
    let mut stage = Stage::web(TWO_STAGES).await;
    let first = stage.repository.head();
    stage.until_done(&first).await;
    stage.stop().await;
    let other = stage.repository.path().join(".").join("..").join("work");
    assert_ne!(other, stage.repository.path());
    stage.start_on(&other.display().to_string());
    let second = stage.push("two");
    let status = stage.until_done(&second).await;
    assert_eq!(status["source"]["repository"], other.display().to_string());
    assert_eq!(status["history"].as_array().unwrap().len(), 2);
}

/// Who moves a folder in Git, and says so to the daemon, has said enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moved_within_the_repository_is_followed() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.path = "one";
    stage.write_web(TWO_STAGES);
    stage.repository.move_all_to("one");
    let first = stage.repository.commit("first");
    stage.start();
    stage.until_done(&first).await;
    stage.stop().await;
    stage.repository.git(&["mv", "one", "two"]);
    stage.repository.commit("moved");
    stage.path = "two";
    stage.start();
    let moved = |status: &Value| status["source"]["folder"] == "two" && is(status, "Ready", "True");
    stage.until_rollout("web", "moved", moved).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}
