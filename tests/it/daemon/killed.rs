//! The daemon, killed at each of its writes in turn, whether the write arrived or not: the next one goes on, and nothing is
//! done twice.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::TryStreamExt as _;
use kube::{
    Api, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;
use tidegate::{
    api::{
        Run,
        condition::{is_true, truth},
        kind, meta,
        run::{INITIALIZED, SUCCEEDED},
    },
    engine::SnapshotMode,
    model::CommitId,
};

use super::{
    failure::failing,
    stage::{GATED, ROLLOUT, Stage, TWO_STAGES, is, reason, waits_for_approval},
};
use crate::support::wire::{Fate, Wire};

/// Starts the daemon so that it is killed at its `nth` write, and then another one, until `reached` is so. Returns whether
/// the first lived to see it.
async fn survive(
    stage: &mut Stage,
    nth: usize,
    fate: Fate,
    what: &str,
    reached: impl Fn(&Value) -> bool,
) -> (bool, Value) {
    let wire = Wire::cut_at(nth, fate);
    stage.wire(&wire);
    stage.start();
    let lived = tokio::select! {
        () = wire.cut() => false,
        _ = stage.until_rollout("web", what, &reached) => true,
    };
    stage.kill().await;
    stage.daemons = None;
    stage.start();
    let status = stage.until_rollout("web", what, &reached).await;
    stage.stop().await;
    (lived, status)
}

/// Whoever watches the runs of a placement: two of them never move clusters at the same time.
struct Witness {
    told: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Witness {
    fn of(stage: &Stage) -> Self {
        let runs: Api<Run> =
            Api::all_with(stage.hub.client().clone(), &kind::CLUSTER_STAGED_UPDATE_RUN.resource());
        let told = Arc::<Mutex<Vec<String>>>::default();
        let held = told.clone();
        let task = tokio::spawn(async move {
            let mut moving: BTreeMap<String, bool> = BTreeMap::new();
            let mut events = Box::pin(watcher(runs, watcher::Config::default()).applied_objects());
            while let Ok(Some(run)) = events.try_next().await {
                moving.insert(run.name_any(), moves(&run));
                let at_once: Vec<&str> = moving
                    .iter()
                    .filter(|(_, moves)| **moves)
                    .map(|(name, _)| name.as_str())
                    .collect();
                if at_once.len() > 1 {
                    held.lock().unwrap().push(at_once.join(" and "));
                }
            }
        });
        Self { told, task }
    }

    fn end(self) {
        self.task.abort();
        let told = self.told.lock().unwrap();
        assert!(told.is_empty(), "moved clusters at the same time: {told:?}");
    }
}

fn moves(run: &Run) -> bool {
    let conditions = run.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let over = truth(conditions, SUCCEEDED).is_some();
    run.spec.state.as_deref() == Some("Run") && is_true(conditions, INITIALIZED) && !over
}

/// Every commit has one run, which was made for it.
async fn assert_one_run_each(stage: &Stage, commits: &[CommitId]) {
    let mut runs: Vec<String> = stage
        .list("ClusterStagedUpdateRun")
        .await
        .iter()
        .map(|run| run["metadata"]["annotations"][meta::COMMIT].as_str().unwrap().to_owned())
        .collect();
    runs.sort();
    let mut expected: Vec<String> = commits.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(runs, expected);
}

async fn calm(strategy: &str, rollout: &str) -> (Stage, Vec<CommitId>) {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.write_web(strategy);
    stage.repository.write("apps/web/rollout.yaml", rollout);
    let alice = stage.repository.sign_as("alice");
    stage.repository.write("policy/allowed_signers", &alice);
    let first = stage.repository.commit("first");
    stage.start();
    (stage, vec![first])
}

/// Another content each time: one run, and one snapshot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_is_one_run_of_one_snapshot_wherever_the_daemon_is_killed() {
    let (mut stage, mut commits) = calm(TWO_STAGES, ROLLOUT).await;
    stage.until_done(&commits[0]).await;
    stage.stop().await;
    let witness = Witness::of(&stage);
    for fate in [Fate::Lost, Fate::Unanswered] {
        for nth in 1.. {
            let commit = stage.push(&format!("{fate:?}-{nth}"));
            let done =
                |status: &Value| status["commit"] == commit.as_str() && is(status, "Ready", "True");
            let what = format!("done, killed at write {nth} ({fate:?})");
            let (lived, status) = survive(&mut stage, nth, fate, &what, done).await;
            assert_eq!(status["index"], commits.len().to_string(), "{what}");
            commits.push(commit);
            assert_one_run_each(&stage, &commits).await;
            if lived {
                assert!(nth > 8, "{nth} writes are too few to be the whole story");
                break;
            }
        }
    }
    witness.end();
}

/// A newer commit takes over at the gate of the one before, back and forth: of two contents, there are two snapshots.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_commit_takes_over_wherever_the_daemon_is_killed() {
    let (mut stage, mut commits) = calm(GATED, ROLLOUT).await;
    stage.until_rollout("web", "at the gate", waits_for_approval).await;
    stage.stop().await;
    let witness = Witness::of(&stage);
    for fate in [Fate::Lost, Fate::Unanswered] {
        for nth in 1.. {
            let commit = stage.push(["one", "two"][commits.len() % 2]);
            let gate =
                |status: &Value| status["commit"] == commit.as_str() && waits_for_approval(status);
            let what = format!("at its gate, killed at write {nth} ({fate:?})");
            let (lived, status) = survive(&mut stage, nth, fate, &what, gate).await;
            assert_eq!(status["index"], (commits.len() % 2).to_string(), "{what}");
            commits.push(commit);
            assert_one_run_each(&stage, &commits).await;
            assert_eq!(stage.count("ClusterResourceSnapshot").await, 2, "{what}");
            if lived {
                assert!(nth > 8, "{nth} writes are too few to be the whole story");
                break;
            }
        }
    }
    witness.end();
}

/// A signed approval opens its gate once, and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_used_once_wherever_the_daemon_is_killed() {
    let (mut stage, _) = calm(GATED, ROLLOUT).await;
    for fate in [Fate::Lost, Fate::Unanswered] {
        for nth in 1.. {
            let commit = stage.push(&format!("{fate:?}-{nth}"));
            if nth > 1 || fate == Fate::Unanswered {
                stage.start();
            }
            let gate =
                |status: &Value| status["commit"] == commit.as_str() && waits_for_approval(status);
            stage.until_rollout("web", "at the gate", gate).await;
            stage.stop().await;
            let path = format!("approvals/web/{}.yaml", commit.short());
            stage.repository.write(&path, &Stage::approval(&commit, "canary", "web"));
            let approval = stage.repository.commit_signed("approve");
            let done =
                |status: &Value| status["commit"] == commit.as_str() && is(status, "Ready", "True");
            let what = format!("approved, killed at write {nth} ({fate:?})");
            let (lived, status) = survive(&mut stage, nth, fate, &what, done).await;
            let used: Vec<_> = status["approvals"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|record| record["commit"] == approval.as_str())
                .map(|record| (record["state"].as_str(), record["run"].as_str()))
                .collect();
            let run = format!("web-{}", commit.short());
            assert_eq!(used, [(Some("Applied"), Some(run.as_str()))], "{what}: {status}");
            if lived {
                assert!(nth > 3, "{nth} writes are too few to be the whole story");
                break;
            }
        }
    }
}

/// One content after the other fails and is taken back, each to the same good one.
async fn ways_back(fate: Fate) {
    let mut stage = failing("{progressDeadline: 1s, action: Rollback}").await;
    for nth in 1_usize.. {
        let bad = stage.repository.head();
        let back = |status: &Value| {
            reason(status, "Ready") == "RolledBack" && status["pinned"]["commit"] == bad.as_str()
        };
        stage.stop().await;
        let what = format!("rolled back, killed at write {nth} ({fate:?})");
        let (lived, status) = survive(&mut stage, nth, fate, &what, back).await;
        stage.until_values([Some("one"); 3]).await;
        assert_eq!(status["index"], "0", "{what}: {status}");
        let runs = stage.list("ClusterStagedUpdateRun").await;
        let made = |commit: &str| {
            runs.iter().filter(|run| run["metadata"]["annotations"][meta::COMMIT] == commit).count()
        };
        assert_eq!((runs.len(), made(bad.as_str())), (1 + 2 * nth, 1), "{what}");
        if lived {
            assert!(nth > 8, "{nth} writes are too few to be the whole story");
            break;
        }
        stage.push(&format!("bad-{nth}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_is_taken_once_wherever_the_daemon_is_killed_and_its_write_lost() {
    ways_back(Fate::Lost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_is_taken_once_wherever_the_daemon_is_killed_and_its_write_unanswered() {
    ways_back(Fate::Unanswered).await;
}
