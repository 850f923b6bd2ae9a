//! What a Secret holds is for the members, and for nobody who reads logs, statuses or events.

use std::{fs::File, path::Path, process::Stdio};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tidegate::hub::{Hub, HubError};

use super::crash::client;
use crate::support::{
    hub::{key, until},
    process::tidegate,
    repository::TestRepository,
};

const OURS: &str = "hunter2-of-the-repository";
const THEIRS: &str = "hunter2-of-somebody-else";
const FILE: &str = "apps/web/manifests/secret.yaml";

fn secret(data: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: password, namespace: test-namespace}}\n{data}\n"
    )
}

/// What is written to be read by people and programs: everything but the objects that carry content.
async fn statuses(hub: &Hub) -> String {
    let mut told = String::new();
    for (group, kind) in [
        ("gitops.tidegate.dev", "Rollout"),
        ("placement.kubernetes-fleet.io", "ClusterResourcePlacement"),
        ("placement.kubernetes-fleet.io", "ClusterStagedUpdateRun"),
        ("placement.kubernetes-fleet.io", "ClusterResourceBinding"),
        ("placement.kubernetes-fleet.io", "ClusterApprovalRequest"),
        ("placement.kubernetes-fleet.io", "Work"),
        ("cluster.kubernetes-fleet.io", "MemberCluster"),
        ("", "Event"),
    ] {
        let resource = match hub.locate_any(group, kind).await {
            Err(HubError::UnknownKind { .. }) => continue,
            found => found.unwrap(),
        };
        for mut object in hub.list_objects(&resource, None, None).await.unwrap() {
            if kind == "Work" {
                object["spec"].take();
            }
            told += &object.to_string();
        }
    }
    told
}

fn assert_untold(what: &str, text: &str) {
    for secret in [OURS, THEIRS] {
        for form in [secret.to_owned(), STANDARD.encode(secret)] {
            let at = text.find(&form);
            let around =
                at.map(|at| text.get(at.saturating_sub(300)..at).unwrap_or_default().to_owned());
            assert_eq!(around, None, "{what} tells `{form}`");
        }
    }
}

fn start(home: &Path, repository: &TestRepository) -> std::process::Child {
    let mut command = tidegate(home);
    command.arg("local").arg(repository.path()).arg("--data-dir").arg(home.join("data"));
    let log = File::create(home.join("log")).unwrap();
    command
        .env("RUST_LOG", "trace")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    command.spawn().unwrap()
}

struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_secret_holds_is_never_told_whatever_goes_wrong() {
    let repository = TestRepository::new();
    repository.copy("examples-repo/cluster-scoped");
    repository.replace("strategies/example-strategy.yaml", "waitTime: 1m", "waitTime: 1s");
    repository.write(FILE, &secret(&format!("stringData: {{word: {OURS}}}")));
    repository.commit("with a secret");
    let home = tempfile::tempdir().unwrap();
    let _local = Ended(start(home.path(), &repository));
    let kubeconfig = home.path().join("data/kubeconfig");
    let log = || std::fs::read_to_string(home.path().join("log")).unwrap();
    let ready = key("", "ConfigMap", "", "the log");
    until(
        &ready,
        "ready",
        async || Some(json!({"ready": log().contains("Press Ctrl-C")})),
        |log| log["ready"] == true,
    )
    .await;
    let hub = Hub::new(client(&kubeconfig).await);
    let rollout = key("gitops.tidegate.dev", "Rollout", "default", "web");
    let until_told = async |what: &str, wanted: &dyn Fn(&Value) -> bool| {
        until(&rollout, what, async || hub.get_object(&rollout).await.unwrap(), wanted).await
    };
    let says = |text: &'static str| {
        move |rollout: &Value| {
            rollout["status"]["message"].as_str().unwrap_or_default().contains(text)
        }
    };
    until_told("at the gate", &says("waits for approval")).await;

    let theirs = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "password", "namespace": "test-namespace"},
        "data": {"word": STANDARD.encode(THEIRS)}});
    hub.apply(&theirs, "somebody", true).await.unwrap();
    until_told("in conflict", &says("somebody")).await;
    for (data, told) in [
        (format!("stringData: {{word: [{OURS}"), "secret.yaml:"),
        (format!("stringData: {{word: {OURS}, word: {THEIRS}}}"), "secret.yaml:"),
        (format!("stringData: {OURS}"), "secret.yaml:"),
        (format!("data: {{word: \"{OURS}\"}}"), "secret.yaml:"),
        (format!("data: {{word: {{{OURS}: {THEIRS}}}}}"), "secret.yaml:"),
        (format!("word: {OURS}"), "secret.yaml:"),
        (format!("stringData: {{word: {OURS}}}\ntype: [{THEIRS}]"), "secret.yaml:"),
    ] {
        repository.write(FILE, &secret(&data));
        let commit = repository.commit("worse");
        let told = says(told);
        let read = |rollout: &Value| {
            rollout["status"]["source"]["commit"] == commit.as_str() && told(rollout)
        };
        let object = until_told(&data, &read).await;
        assert_untold(&data, &object.to_string());
    }
    assert_untold("the hub", &statuses(&hub).await);
    assert_untold("the log", &log());
}
