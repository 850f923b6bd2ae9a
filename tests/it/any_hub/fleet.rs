//! `tidegate run --engine fleet`: the daemon beside controllers of others, who alone execute runs.
//!
//! Fleet's controllers are played by our own engine in a process of its own. Daemon and engine share the hub's API, and
//! nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidegate::{
    hub::{Delete, Hub},
    model::CommitId,
};

use super::{
    rights,
    world::{ACCOUNT, PLACEMENT, World, is_healthy, key, member},
};
use crate::support::{hub, process::Running, repository::TestRepository};

const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n";

fn config_map(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: web}}\ndata: {{key: {value}}}\n"
    )
}

/// A Rollout `web` to staging, and, once approved, to canary.
fn web() -> TestRepository {
    let repository = TestRepository::new();
    repository
        .write("web/rollout.yaml", "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec:\n  manifests: ./manifests\n  placementName: web\n  strategyName: gated\n")
        .write("web/placement.yaml", "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterResourcePlacement\nmetadata: {name: web}\nspec:\n  resourceSelectors: [{group: '', version: v1, kind: Namespace, name: web}]\n  policy: {placementType: PickAll}\n  strategy: {type: External}\n")
        .write("web/manifests/namespace.yaml", NAMESPACE)
        .write("web/manifests/settings.yaml", &config_map("one"))
        .write("strategies/gated.yaml", "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateStrategy\nmetadata: {name: gated}\nspec:\n  stages:\n  - {name: staging, labelSelector: {matchLabels: {environment: staging}}}\n  - name: canary\n    labelSelector: {matchLabels: {environment: canary}}\n    sortingLabelKey: order\n    beforeStageTasks: [{type: Approval}]\n");
    let alice = repository.sign_as("alice");
    repository.write("policy/allowed_signers", &alice);
    repository
}

fn push(repository: &TestRepository, value: &str) -> CommitId {
    repository.write("web/manifests/settings.yaml", &config_map(value));
    repository.commit(&format!("value {value}"))
}

fn daemon(world: &World, engine: &str, repository: &TestRepository) -> Running {
    let mut command =
        world.tidegate(&["run", "--engine", engine, "--interval", "1s", "--repository"]);
    command.arg(repository.path());
    command.arg("--allowed-signers").arg(repository.path().join("policy/allowed_signers"));
    command.env("KUBECONFIG", &world.account_kubeconfig);
    Running::start(command)
}

async fn until_status(world: &World, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until_status_of(world, "default/web", what, wanted).await
}

async fn until_status_of(
    world: &World,
    rollout: &str,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let (namespace, name) = rollout.split_once('/').unwrap();
    let rollout = key("gitops.tidegate.dev", "Rollout", namespace, name);
    world.until(&rollout, what, |object| wanted(&object["status"])).await["status"].clone()
}

fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Approves a commit's canary stage in Git, and waits until the commit is everywhere.
async fn approve_and_finish(
    world: &World,
    repository: &TestRepository,
    commit: &CommitId,
) -> Value {
    until_status(world, "at the gate", |status| {
        status["commit"] == commit.as_str()
            && condition(status, "Ready")
                .is_some_and(|ready| ready["reason"] == "WaitingForApproval")
    })
    .await;
    repository.write("approvals/canary.yaml", &format!("apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Approval\nmetadata: {{name: canary}}\nspec: {{rollout: web, commit: {commit}, stage: canary, task: BeforeStage, decision: Approve}}\n"));
    repository.commit_signed("approve");
    until_status(world, &format!("done with {commit}"), |status| {
        status["commit"] == commit.as_str()
            && condition(status, "Ready").is_some_and(|ready| ready["status"] == "True")
    })
    .await
}

async fn until_values(world: &World, value: &str) {
    let members = ["member1", "member2", "member3"]
        .map(|name| (name.to_owned(), world.clusters[name].clone()));
    hub::until_values(&members.into(), &key("", "ConfigMap", "web", "settings"), &[Some(value); 3])
        .await;
}

/// Returns who wrote objects of a kind, and who their status.
async fn writers(hub: &Hub, group: &str, kind: &str) -> [BTreeSet<String>; 2] {
    let resource = hub.locate_any(group, kind).await.unwrap();
    let mut writers = [BTreeSet::new(), BTreeSet::new()];
    let objects = hub.list_objects(&resource, None, None).await.unwrap();
    assert!(!objects.is_empty(), "no {kind} to look at");
    for object in objects {
        for entry in object["metadata"]["managedFields"].as_array().unwrap() {
            let of_status = entry["subresource"] == "status";
            writers[usize::from(of_status)].insert(entry["manager"].as_str().unwrap().to_owned());
        }
    }
    writers
}

/// Checks that the daemon wrote nothing of what belongs to Fleet's controllers.
async fn assert_only_controllers_wrote(world: &World) {
    let engine = || BTreeSet::from(["tidegate-engine".to_owned()]);
    for kind in [
        "ClusterSchedulingPolicySnapshot",
        "ClusterResourceSnapshot",
        "ClusterResourceBinding",
        "Work",
    ] {
        let [all, statuses] = writers(world.hub(), PLACEMENT, kind).await;
        assert_eq!(all, engine(), "{kind}");
        assert!(statuses.is_subset(&engine()), "{kind}: {statuses:?}");
    }
    for kind in ["ClusterStagedUpdateRun", "ClusterResourcePlacement"] {
        let [all, statuses] = writers(world.hub(), PLACEMENT, kind).await;
        assert!(all.contains("tidegate"), "{kind}: {all:?}");
        assert_eq!(statuses, engine(), "{kind}");
    }
    let [all, statuses] = writers(world.hub(), PLACEMENT, "ClusterApprovalRequest").await;
    assert_eq!(all, engine(), "requests are the controllers'");
    assert!(statuses.contains("tidegate"), "approving is ours: {statuses:?}");
}

/// A push, another, and its revert, with the stand-in for Fleet's controllers cutting snapshots in one way.
async fn pushes_and_a_revert(mode: &str) {
    let world = World::embedded(3).await;
    world.install(&[]).await;
    let _controllers = world.controllers(&["--snapshot-mode", mode]);
    world.join_tutorial_members();
    world.until(&member("member3"), "well", is_healthy).await;
    let repository = web();
    let first = repository.commit("first");
    let daemon = daemon(&world, "fleet", &repository);
    let one = approve_and_finish(&world, &repository, &first).await;
    until_values(&world, "one").await;
    let second = push(&repository, "two");
    let two = approve_and_finish(&world, &repository, &second).await;
    until_values(&world, "two").await;
    assert_ne!(one["index"], two["index"], "{one} {two}");
    let revert = repository.revert(&second);
    let back = approve_and_finish(&world, &repository, &revert).await;
    until_values(&world, "one").await;
    assert_eq!(back["index"], one["index"], "the snapshot of the first commit is found again");
    assert_only_controllers_wrote(&world).await;
    assert!(!daemon.everything().contains("executes runs\n"), "{}", daemon.everything());
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_that_others_cut_on_change_are_found() {
    pushes_and_a_revert("on-change").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_that_others_cut_on_a_run_are_asked_for() {
    pushes_and_a_revert("on-run").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_stands_by_where_another_engine_executes_runs() {
    let world = World::embedded(0).await;
    world.install(&[]).await;
    let mut controllers = world.engine(&[]);
    controllers.wait_for("this engine executes runs");
    let repository = web();
    repository.commit("first");
    let mut daemon = daemon(&world, "auto", &repository);
    daemon.wait_for("standing by: ");
    let lease = key("coordination.k8s.io", "Lease", "tidegate-system", "tidegate-engine");
    let held = world.hub().get_object(&lease).await.unwrap().unwrap();
    assert_eq!(held["spec"]["leaseTransitions"], json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_gives_way_when_fleets_controllers_come() {
    let world = World::embedded(0).await;
    world.install(&[]).await;
    let mut engine = world.engine(&[]);
    engine.wait_for("this engine executes runs");
    world
        .create(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fleet-system"}}),
        )
        .await;
    world
        .create(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "hub-agent", "namespace": "fleet-system"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}}}))
        .await;
    engine.wait_for("Fleet's controllers have come to this hub");
    assert_eq!(engine.wait().code(), Some(1));
    assert!(engine.everything().contains("--engine fleet"), "{}", engine.everything());
}

/// One object of every kind that the role for content names, in namespace `kinds`.
fn every_kind() -> Vec<(&'static str, Value)> {
    let pods = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    let once = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}});
    let selector = json!({"matchLabels": {"a": "b"}});
    vec![
        ("v1 ConfigMap", json!({"data": {"a": "b"}})),
        ("v1 Secret", json!({"data": {"a": "Yg=="}})),
        ("v1 Service", json!({"spec": {"ports": [{"port": 80}]}})),
        ("v1 ServiceAccount", json!({})),
        ("apps/v1 Deployment", json!({"spec": {"selector": selector, "template": pods}})),
        (
            "apps/v1 StatefulSet",
            json!({"spec": {"serviceName": "a", "selector": selector, "template": pods}}),
        ),
        ("apps/v1 DaemonSet", json!({"spec": {"selector": selector, "template": pods}})),
        ("batch/v1 Job", json!({"spec": {"template": once}})),
        (
            "batch/v1 CronJob",
            json!({"spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": once}}}}),
        ),
        (
            "networking.k8s.io/v1 Ingress",
            json!({"spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}}),
        ),
        ("networking.k8s.io/v1 NetworkPolicy", json!({"spec": {"podSelector": {}}})),
    ]
}

/// A Rollout `kinds` that is applied and waits for a start: nothing runs these pods here.
fn write_kinds(repository: &TestRepository) {
    repository
        .write("kinds/rollout.yaml", "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {name: kinds}\nspec:\n  manifests: ./manifests\n  placementName: kinds\n  strategyName: gated\n  start: Manual\n")
        .write("kinds/placement.yaml", "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterResourcePlacement\nmetadata: {name: kinds}\nspec:\n  resourceSelectors: [{group: '', version: v1, kind: Namespace, name: kinds}, {group: '', version: v1, kind: Namespace, name: kinds-too}]\n  policy: {placementType: PickAll}\n  strategy: {type: External}\n")
        .write("kinds/manifests/namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: kinds}\n")
        .write("kinds/manifests/stays.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stays, namespace: kinds}\n");
    for (kind, mut object) in every_kind() {
        let (api_version, kind) = kind.split_once(' ').unwrap();
        object["apiVersion"] = api_version.into();
        object["kind"] = kind.into();
        object["metadata"] = json!({"name": "a", "namespace": "kinds"});
        repository.write(&format!("kinds/manifests/every/{kind}.yaml"), &object.to_string());
    }
    // A namespace of its own, to be deleted.
    repository.write(
        "kinds/manifests/every/Namespace.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: kinds-too}\n",
    );
}

fn waits_for_start(commit: &CommitId) -> impl Fn(&Value) -> bool {
    move |status| {
        status["commit"] == commit.as_str()
            && condition(status, "Ready").is_some_and(|ready| ready["reason"] == "WaitingForStart")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_real_servers_following_repositories_needs_its_rights_and_no_more() {
    let Some(world) = World::real("following a repository on real API servers", 3).await else {
        return;
    };
    let arguments = ["--engine", "fleet", "--repository", "https://git.example.com/fleet.git"];
    let manifests = world.manifests(&arguments);
    world.install(&[]).await;
    // The engine's rights would hide that the daemon needs its own.
    let binding = key("rbac.authorization.k8s.io", "ClusterRoleBinding", "", "tidegate-engine");
    world.hub().delete_object(&binding, &Delete::default()).await.unwrap();
    world.install(&arguments).await;
    let _controllers = world.controllers(&["--snapshot-mode", "on-run"]);
    world.join_tutorial_members();
    world.until(&member("member3"), "well", is_healthy).await;

    let repository = web();
    repository.copy("examples-repo/namespace-scoped");
    repository.replace("strategies/example-strategy.yaml", "waitTime: 1m", "waitTime: 1s");
    std::fs::rename(repository.path().join("apps/web"), repository.path().join("apps/team"))
        .unwrap();
    let alice = repository.sign_as("alice");
    repository.write("policy/allowed_signers", &alice);
    write_kinds(&repository);
    let first = repository.commit("first");
    let _daemon = daemon(&world, "fleet", &repository);

    // Approvals of both scopes, in Git.
    let gate = |status: &Value| {
        condition(status, "Ready").is_some_and(|ready| ready["reason"] == "WaitingForApproval")
    };
    until_status_of(&world, "test-namespace/web", "at the gate", gate).await;
    let team = "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Approval\nmetadata: {name: team}\nspec: {rollout: test-namespace/web, commit: COMMIT, stage: canary, task: BeforeStage, decision: Approve}\n";
    repository.write("approvals/team.yaml", &team.replace("COMMIT", first.as_str()));
    approve_and_finish(&world, &repository, &first).await;
    let done =
        |status: &Value| condition(status, "Ready").is_some_and(|ready| ready["status"] == "True");
    until_status_of(&world, "test-namespace/web", "done", done).await;

    // Runs of both scopes that wait for their start, and are deleted when the content goes back or on.
    until_status_of(&world, "default/kinds", "waiting for a start", waits_for_start(&first)).await;
    let rollout = "apps/team/rollout.yaml";
    let text = std::fs::read_to_string(repository.path().join(rollout)).unwrap();
    repository.write(rollout, &format!("{text}  start: Manual\n"));
    repository.replace("apps/team/manifests/configmap.yaml", "value1", "value2");
    repository.replace("kinds/manifests/every/ConfigMap.yaml", "\"b\"", "\"c\"");
    let second = repository.commit("second");
    for rollout in ["test-namespace/web", "default/kinds"] {
        until_status_of(&world, rollout, "waiting for a start", waits_for_start(&second)).await;
    }
    repository.replace("apps/team/manifests/configmap.yaml", "value2", "value1");
    repository.git(&["rm", "-rq", "kinds/manifests/every"]);
    let third = repository.commit("third");
    let back = |status: &Value| {
        condition(status, "Ready").is_some_and(|ready| ready["reason"] == "NoChange")
    };
    until_status_of(&world, "test-namespace/web", "back", back).await;
    let kinds = key("gitops.tidegate.dev", "Rollout", "default", "kinds");
    let allow =
        json!({"metadata": {"annotations": {"gitops.tidegate.dev/allow-prune": third.as_str()}}});
    world.patch(&kinds, &allow).await;
    let too = key("", "Namespace", "", "kinds-too");
    let gone = async || {
        let found = world.hub().get_object(&too).await.unwrap();
        Some(found.unwrap_or(Value::Null))
    };
    hub::until(&too, "gone", gone, Value::is_null).await;
    until_status_of(&world, "default/kinds", "pruned", waits_for_start(&third)).await;

    let real = world.real.as_ref().unwrap();
    rights::hold_against(&rights::granted(&manifests), &real.audited("hub"), ACCOUNT);
    assert_only_controllers_wrote(&world).await;
}
