//! Kill the process in the middle of a stage: the next one goes on, loses nothing and repeats nothing. Kill the hub: whoever
//! works on it waits for the next one.

use std::path::Path;

use futures::{StreamExt, TryStreamExt};
use kube::{
    Api, Client, Config, ResourceExt,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt, watcher},
};
use tidegate::{
    api::{
        self, ResourceSnapshot, Run,
        condition::is_true,
        kind::{self},
        meta,
        run::{STARTED, SUCCEEDED},
    },
    rollout::{self, Cause},
};

use crate::support::{
    process::{PATIENCE, Running, tidegate},
    repository::TestRepository,
};

pub(super) async fn client(kubeconfig: &Path) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    Client::try_from(
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap(),
    )
    .unwrap()
}

fn runs(client: &Client) -> Api<Run> {
    Api::all_with(client.clone(), &kind::CLUSTER_STAGED_UPDATE_RUN.resource())
}

async fn wait(client: &Client, wanted: impl Fn(&Run) -> bool) -> Run {
    let mut events = watcher(runs(client), watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    let found = async {
        loop {
            let run = events.try_next().await.unwrap().unwrap();
            if wanted(&run) {
                return run;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the run gets there")
}

fn local(home: &Path, repository: &Path) -> Running {
    let mut command = tidegate(home);
    command.arg("local").arg(repository).arg("--data-dir").arg(home.join("data"));
    let mut local = Running::start(command);
    local.wait_for("ready");
    local
}

fn started(run: &Run, cluster: &str) -> Option<jiff::Timestamp> {
    let stages = run.status.as_ref()?.stages_status.as_ref()?;
    let cluster =
        stages.iter().flat_map(|stage| &stage.clusters).find(|c| c.cluster_name == cluster)?;
    api::condition::find(&cluster.conditions, STARTED)
        .map(|condition| condition.last_transition_time.0)
}

fn waits_for_approval(run: &Run) -> bool {
    let progress = rollout::progress(&rollout::Run::from(run), jiff::Timestamp::now());
    progress.waiting_on.iter().any(|cause| matches!(cause, Cause::Approval { since: Some(_), .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_stage_loses_and_repeats_nothing() {
    let repository = TestRepository::new();
    repository.copy("examples-repo/cluster-scoped");
    // Long enough to be killed in, short enough to wait for.
    repository.replace("strategies/example-strategy.yaml", "waitTime: 1m", "waitTime: 4s");
    let allowed = repository.sign_as("alice@example.com");
    repository.write("policy/allowed_signers", &allowed);
    let commit = repository.commit("the fleet");
    let home = tempfile::tempdir().unwrap();
    let kubeconfig = home.path().join("data/kubeconfig");

    let first = local(home.path(), &repository.path());
    let hub = client(&kubeconfig).await;
    let before = wait(&hub, |run| started(run, "member2").is_some()).await;
    first.signal("KILL");
    drop(first);

    let second = local(home.path(), &repository.path());
    let hub = client(&kubeconfig).await;
    let waiting = wait(&hub, waits_for_approval).await;
    assert_eq!(waiting.uid(), before.uid(), "the same run goes on");
    assert_eq!(
        started(&waiting, "member2"),
        started(&before, "member2"),
        "member2 is not started again"
    );
    assert!(started(&waiting, "member3").is_none(), "nobody approved yet");

    let approval = format!(
        "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Approval\nmetadata: {{name: canary}}\nspec: {{rollout: web, commit: {commit}, stage: canary, task: BeforeStage, decision: Approve}}\n"
    );
    repository.write("approvals/web/canary.yaml", &approval);
    repository.commit_signed("approve canary");
    second.signal("KILL");
    drop(second);

    let third = local(home.path(), &repository.path());
    let hub = client(&kubeconfig).await;
    let done = wait(&hub, |run| {
        run.status.as_ref().is_some_and(|status| is_true(&status.conditions, SUCCEEDED))
    })
    .await;
    assert_eq!(done.uid(), before.uid());
    assert_eq!(
        runs(&hub).list(&ListParams::default()).await.unwrap().items.len(),
        1,
        "one run for one commit"
    );
    let snapshots: Api<ResourceSnapshot> =
        Api::all_with(hub.clone(), &kind::CLUSTER_RESOURCE_SNAPSHOT.resource());
    assert_eq!(
        snapshots.list(&ListParams::default()).await.unwrap().items.len(),
        1,
        "one snapshot for one content"
    );
    drop(third);
}

/// With the hub down, nothing is forgotten: what is pushed meanwhile is rolled out by the daemon that lived on.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_outlives_its_hub() {
    let repository = TestRepository::new();
    repository.copy("examples-repo/cluster-scoped");
    repository.replace("strategies/example-strategy.yaml", "waitTime: 1m", "waitTime: 1s");
    repository.commit("the fleet");
    let home = tempfile::tempdir().unwrap();
    let kubeconfig = home.path().join("data/kubeconfig");
    let fleet = || {
        let mut command = tidegate(home.path());
        command.args(["local", "--data-dir"]).arg(home.path().join("data"));
        let mut fleet = Running::start(command);
        fleet.wait_for("ready");
        fleet
    };
    let first = fleet();
    let mut daemon = tidegate(home.path());
    daemon.args(["run", "--engine", "none", "--interval", "1s", "--kubeconfig"]).arg(&kubeconfig);
    daemon.arg("--repository").arg(repository.path());
    let mut daemon = Running::start(daemon);
    let hub = client(&kubeconfig).await;
    let before = wait(&hub, waits_for_approval).await;
    first.signal("KILL");
    drop(first);

    repository.replace("apps/web/manifests/configmap.yaml", "value1", "value2");
    let second = repository.commit("value2");
    daemon.wait_for("a new tip was read");
    let _again = fleet();
    let hub = client(&kubeconfig).await;
    let after = wait(&hub, |run| {
        waits_for_approval(run)
            && run.annotations().get(meta::COMMIT).is_some_and(|of| of == second.as_str())
    })
    .await;
    assert_ne!(after.uid(), before.uid());
    let older = runs(&hub).get(&before.name_any()).await.unwrap();
    assert_eq!(older.spec.state.as_deref(), Some("Stop"));
    assert_eq!(runs(&hub).list(&ListParams::default()).await.unwrap().items.len(), 2);
    daemon.signal("TERM");
    assert!(daemon.wait().success(), "{}", daemon.everything());
}
