//! What things cost: commits, polls and bad neighbors, in requests to the hub.

use futures::TryStreamExt as _;
use kube::{
    Api,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use tidegate::{
    api::{Rollout, kind},
    engine::SnapshotMode,
};

use super::stage::{
    NAMESPACE, PLACEMENT_FILE, ROLLOUT, Stage, TWO_STAGES, condition, config_map, is, key, reason,
};
use crate::support::{git_server::GitServer, wire::Wire};

/// So often somebody may be busy still after everything is said to be done.
const PATIENCE_POLLS: usize = 50;
/// How long between two looks at what was asked.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(10);

/// Rollouts `web` and `api`, everywhere, beside each other.
async fn two() -> (Stage, Wire) {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.write_web(TWO_STAGES);
    let api = |text: &str| text.replace("web", "api");
    stage
        .repository
        .write("apps/api/rollout.yaml", &api(ROLLOUT))
        .write("apps/api/placement.yaml", &api(PLACEMENT_FILE))
        .write("apps/api/manifests/namespace.yaml", &api(NAMESPACE))
        .write("apps/api/manifests/settings.yaml", &api(&config_map("one")));
    let first = stage.repository.commit("first");
    let calls = Wire::default();
    stage.wire(&calls);
    stage.start();
    for name in ["web", "api"] {
        until_everywhere(&stage, name, first.as_str()).await;
    }
    calls.take();
    (stage, calls)
}

async fn until_everywhere(stage: &Stage, name: &str, commit: &str) {
    stage
        .until_rollout(name, "everywhere", |status| {
            status["commit"] == commit && is(status, "Ready", "True")
        })
        .await;
}

/// Returns what was asked about objects of a Rollout, or in its namespace. Writes of its own status do not count: the
/// engine's last write for the commit before may still bring a look, which then writes down how far Git was read.
fn about<'a>(calls: &'a [String], name: &str) -> Vec<&'a String> {
    let own_status = format!("/rollouts/{name}/status");
    let is_its = |call: &&String| {
        let path = call.split(['?', ' ']).nth(1).unwrap_or_default();
        if path.ends_with(&own_status) {
            return false;
        }
        path.split('/').any(|word| word == name || word.starts_with(&format!("{name}-")))
    };
    calls.iter().filter(is_its).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_costs_the_rollouts_that_it_concerns_and_no_other() {
    let (stage, calls) = two().await;
    // Neither a file that nobody reads, nor one that is read and belongs to nobody, costs anybody anything.
    stage.repository.write("README.md", "words\n").write("notes/a.yaml", "# words\n");
    stage.repository.commit("words");
    stage
        .repository
        .write("apps/api/manifests/settings.yaml", &config_map("two").replace("web", "api"));
    let second = stage.repository.commit("api only");
    until_everywhere(&stage, "api", second.as_str()).await;
    let made = calls.take();
    assert_eq!(about(&made, "web"), Vec::<&String>::new(), "of {made:#?}");
    // What the commit did not change is not applied again. The strategy, which both Rollouts share, may be, once, when the
    // watch has not shown yet that the other one's apply changed nothing.
    let again: Vec<_> = made
        .iter()
        .filter(|call| call.contains("fieldManager=tidegate") && call.contains("/namespaces/api?"))
        .collect();
    assert!(again.is_empty(), "{again:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_rollout_costs_the_good_one_nothing() {
    let (stage, calls) = two().await;
    for text in ["a: [1\nb: 2\n", "kind: ConfigMap\n"] {
        stage.repository.write("apps/api/manifests/settings.yaml", text);
        let broken = stage.repository.commit("broken");
        stage
            .until_rollout("api", "stalled", |status| {
                reason(status, "Ready") == "Invalid"
                    && status["source"]["commit"] == broken.as_str()
            })
            .await;
        let made = calls.take();
        assert_eq!(about(&made, "web"), Vec::<&String>::new(), "of {made:#?}");
    }
    let web = stage.until_rollout("web", "ready", |status| is(status, "Ready", "True")).await;
    assert_eq!(web["clusters"], "3/3");
}

/// A server's repository is asked again and again; hub and members are not, neither by the daemon nor by the engine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_idle_asks_nothing() {
    const POLLS: usize = 15;
    let server = GitServer::start().await;
    let calls = Wire::default();
    let mut stage = Stage::bare_over(SnapshotMode::Both, Some(&calls)).await;
    stage.interval = "100ms";
    stage.write_web(TWO_STAGES);
    let work = stage.repository.path();
    let first = stage.repository.commit("first");
    server.repository.git(&["pull", "--quiet", &work.to_string_lossy(), "main"]);
    stage.wire(&calls);
    stage.start_on_server(&server);
    until_everywhere(&stage, "web", first.as_str()).await;
    let quiet_for = async |polls: usize| {
        let asked = server.asked();
        while server.asked() < asked + polls && calls.is_quiet() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        calls.is_quiet()
    };
    // The engine's last writes come after the Rollout's last word. They come to an end.
    let mut last = Vec::new();
    for _ in 0..PATIENCE_POLLS {
        last = calls.take();
        if quiet_for(3).await {
            break;
        }
    }
    assert!(calls.is_quiet(), "it never rests: {last:#?}");
    assert!(quiet_for(POLLS).await, "{:#?}", calls.take());
    // It was no deafness.
    stage.push("two");
    server.repository.git(&["pull", "--quiet", &work.to_string_lossy(), "main"]);
    stage.until_values([Some("two"); 3]).await;
    assert!(!calls.is_quiet());
}

/// A daemon that begins looks at everything, and writes only where something is not as it should be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_writes_nothing_where_nothing_changed() {
    let (mut stage, calls) = two().await;
    stage.stop().await;
    let web = key("gitops.tidegate.dev", "Rollout", "default", "web");
    let before = stage.get(&web).await.unwrap()["status"].clone();
    let said = statuses(&stage, "web");
    calls.take();
    stage.start();
    let mut asked = Vec::new();
    while !asked.iter().any(|call: &String| call.contains("/namespaces/web/configmaps/settings")) {
        tokio::time::sleep(LOOK_AGAIN).await;
        asked.extend(calls.take());
    }
    // Then comes something to write: by it, whatever there was to be said about the commit before has been said.
    let second = stage.push("two");
    stage.until_done(&second).await;
    let said = said.await.unwrap();
    let of_before: Vec<&Value> =
        said.iter().filter(|status| status["source"] == before["source"]).collect();
    assert_eq!(of_before, [&before], "anything but what was said before the restart");
    asked.extend(calls.take());
    let written = |what: &str| {
        let is = |call: &&String| !call.starts_with("GET ") && call.contains(what);
        asked.iter().filter(is).count()
    };
    for (what, times) in [
        ("/namespaces/web?", 0),
        ("/namespaces/api?", 0),
        ("/configmaps/settings?", 1),
        ("/clusterstagedupdatestrategies/slow?", 0),
        ("/clusterresourceplacements/web?", 1),
        ("/clusterresourceplacements/api?", 0),
        ("/rollouts/web?", 0),
        ("/clusterstagedupdateruns?", 1),
    ] {
        assert_eq!(written(what), times, "writes of {what}: {asked:#?}");
    }
}

/// Returns every status that a Rollout has had, from now to the first that is about another commit.
fn statuses(stage: &Stage, name: &str) -> tokio::task::JoinHandle<Vec<Value>> {
    let all: Api<Rollout> = Api::all_with(stage.hub.client().clone(), &kind::ROLLOUT.resource());
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    tokio::spawn(async move {
        let mut statuses: Vec<Value> = Vec::new();
        let mut events = Box::pin(watcher(all, only).applied_objects());
        while let Ok(Some(rollout)) = events.try_next().await {
            let status = serde_json::to_value(rollout.status).unwrap();
            statuses.push(status);
            if statuses[0]["source"] != statuses.last().unwrap()["source"] {
                break;
            }
        }
        statuses
    })
}

/// What somebody did while nobody looked is put back, without a word about the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_puts_back_what_was_changed_meanwhile_and_no_more() {
    let (mut stage, calls) = two().await;
    let settings = key("", "ConfigMap", "web", "settings");
    let web = key("gitops.tidegate.dev", "Rollout", "default", "web");
    let ready = |object: &Value| condition(&object["status"], "Ready").unwrap().clone();
    stage.stop().await;
    let before = stage.get(&web).await.unwrap();
    stage.patch(&settings, json!({"data": {"key": "by hand"}})).await;
    calls.take();
    stage.start();
    stage.until(&settings, "put back", |map| map["data"]["key"] == "one").await;
    let written: Vec<String> = calls
        .take()
        .into_iter()
        .filter(|call| !call.starts_with("GET ") && !call.contains("/configmaps/settings?"))
        .collect();
    assert!(written.is_empty(), "{written:#?}");
    assert_eq!(ready(&stage.get(&web).await.unwrap()), ready(&before));
}
