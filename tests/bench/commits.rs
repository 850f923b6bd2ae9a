//! From a commit to a run, and to the hub.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tidegate::{
    api::{Run, kind, meta},
    clock,
    config::Repository,
    daemon::{self, FirstPolicy, Options, Source},
    local::{Fleet, Storage, tutorial_members},
};
use tokio_util::sync::CancellationToken;

use crate::{median, ninetieth, report, seconds};

const COMMITS: usize = 20;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@example.com",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

pub async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("fleet");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo/cluster-scoped"), &work);
    git(&work, &["init", "--quiet", "--initial-branch=main"]);
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "--quiet", "-m", "first"]);
    let fleet = Fleet::start(Storage::Memory, tutorial_members(3), clock::system()).await.unwrap();
    let stop = CancellationToken::new();
    let settings = Repository::new(work.to_string_lossy());
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
    for number in 0..COMMITS {
        let file = work.join("apps/web/manifests/configmap.yaml");
        let value = format!("bench{number}");
        let text = std::fs::read_to_string(&file).unwrap();
        let line =
            text.lines().find(|line| line.trim_start().starts_with("key:")).unwrap().to_owned();
        std::fs::write(&file, text.replace(&line, &format!("  key: {value}"))).unwrap();
        git(&work, &["commit", "--quiet", "-am", "next"]);
        let commit = git(&work, &["rev-parse", "HEAD"]);
        let started = Instant::now();
        while maps.try_next().await.unwrap().unwrap().data.and_then(|data| data.get("key").cloned())
            != Some(value.clone())
        {}
        applied.push(started.elapsed());
        while runs.try_next().await.unwrap().unwrap().annotations().get(meta::COMMIT)
            != Some(&commit)
        {}
        created.push(started.elapsed());
    }
    report(
        "commit to a local repository: applied on the hub",
        &seconds(median(applied)),
        "Flux, triggered by hand: 0.26 s (recorded)",
    );
    report(
        "commit to a local repository: run created, median",
        &seconds(median(created.clone())),
        "",
    );
    report("  nine in ten", &seconds(ninetieth(created)), "target: 0.100 s");
    stop.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(5), running).await;
    fleet.shut_down().await;
}
