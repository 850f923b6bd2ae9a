//! From a commit to a run, and to the hub.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tidegate::{
    api::{Run, kind, meta},
    config::Repository,
    daemon::{self, FirstPolicy, Options, Source},
    engine,
    local::{Fleet, Storage, tutorial_members},
};
use tokio_util::sync::CancellationToken;

use crate::{median, ninetieth, report, seconds, support::repository::TestRepository};

const COMMITS: usize = 20;

/// Adds 100,000 files and 50,000 commits that are none of a Rollout's business.
pub fn enlarge(work: &TestRepository) {
    use std::{fmt::Write as _, io::Write as _};
    let mut stream = String::new();
    let author = "committer Test <test@example.com> 1700000000 +0000";
    let file = |number: usize, text: &str| {
        let path = format!("elsewhere/{}/{}/{number}.txt", number % 100, number / 100 % 100);
        format!("M 644 inline {path}\ndata {}\n{text}\n", text.len())
    };
    let _ =
        write!(stream, "commit refs/heads/main\n{author}\ndata 4\nmany\nfrom refs/heads/main^0\n");
    for number in 0..FILES {
        stream.push_str(&file(number, &format!("page {number}\n")));
    }
    for number in 0..HISTORY {
        let _ = write!(stream, "commit refs/heads/main\n{author}\ndata 4\nnext\n");
        stream.push_str(&file(number % FILES, &format!("page {number}, once more\n")));
    }
    let mut import = work.command();
    import.args(["fast-import", "--quiet"]).stdin(std::process::Stdio::piped());
    let mut import = import.spawn().unwrap();
    import.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
    work.git(&["reset", "--quiet", "--hard"]);
}

const FILES: usize = 100_000;
const HISTORY: usize = 50_000;

/// Measures commits to a repository that `prepare` has changed.
pub async fn measure(which: &str, prepare: impl Fn(&TestRepository)) {
    let folder = tempfile::tempdir().unwrap();
    let work = TestRepository::new();
    work.copy("examples-repo/cluster-scoped").commit("first");
    prepare(&work);
    let fleet =
        Fleet::start(Storage::Memory, tutorial_members(3), Some(engine::Options::default()))
            .await
            .unwrap();
    let stop = CancellationToken::new();
    let settings = Repository::new(work.path().to_string_lossy());
    let source = Source::new(&settings, folder.path(), FirstPolicy::FirstCommit).unwrap();
    let running =
        tokio::spawn(daemon::run(fleet.hub(), vec![source], Options::default(), stop.clone()));

    let runs: Api<Run> = Api::all_with(fleet.hub(), &kind::CLUSTER_STAGED_UPDATE_RUN.resource());
    let maps: Api<ConfigMap> = Api::namespaced(fleet.hub(), "test-namespace");
    let mut runs = watcher(runs, watcher::Config::default()).applied_objects().boxed();
    let mut maps = watcher(maps, watcher::Config::default()).applied_objects().boxed();
    // The first run is there: everything is warm.
    runs.try_next().await.unwrap().unwrap();
    let (mut applied, mut created) = (Vec::new(), Vec::new());
    let mut last = "value1".to_owned();
    for number in 0..COMMITS {
        let value = format!("bench{number}");
        let line = |value: &str| format!("  key: {value}\n");
        let file = "apps/web/manifests/configmap.yaml";
        work.replace(file, &line(&last), &line(&value));
        let commit = work.commit("next");
        last.clone_from(&value);
        let started = Instant::now();
        while maps.try_next().await.unwrap().unwrap().data.and_then(|data| data.get("key").cloned())
            != Some(value.clone())
        {}
        applied.push(started.elapsed());
        while runs
            .try_next()
            .await
            .unwrap()
            .unwrap()
            .annotations()
            .get(meta::COMMIT)
            .is_none_or(|of| of != commit.as_str())
        {}
        created.push(started.elapsed());
    }
    report(
        &format!("commit to a local repository{which}: applied on the hub"),
        &seconds(median(applied)),
        "Flux, triggered by hand: 0.26 s (recorded)",
    );
    report(
        &format!("commit to a local repository{which}: run created, median"),
        &seconds(median(created.clone())),
        "",
    );
    report("  nine in ten", &seconds(ninetieth(created)), "target: 0.100 s");
    stop.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(5), running).await;
    fleet.shut_down().await;
}
