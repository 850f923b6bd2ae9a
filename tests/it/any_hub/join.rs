//! `tidegate join` and `tidegate leave`.

use serde_json::{Value, json};
use tidegate::hub::Hub;

use super::world::{PLACEMENT, SYSTEM, TOKEN, World, health, is_healthy, key, member};
use crate::support::{hub, kubernetes, process::Running};

fn secret(name: &str) -> tidegate::model::ObjectKey {
    key("", "Secret", SYSTEM, &format!("tidegate-member-{name}"))
}

async fn get(world: &World, key: &tidegate::model::ObjectKey) -> Option<Value> {
    world.hub().get_object(key).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_joins_and_leaves_again() {
    let world = World::embedded(1).await;
    world.install(&[]).await;
    let mut engine = world.engine(&[]);
    engine.wait_for("this engine executes runs");
    let join = |labels: &str| {
        let (code, said) = world.run(&[
            "join",
            "member1",
            "--context",
            "hub",
            "--member-context",
            "member1",
            "--labels",
            labels,
        ]);
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains(TOKEN), "{said}");
    };
    join("environment=canary,order=2");
    let joined = world.until(&member("member1"), "well", is_healthy).await;
    assert_eq!(joined["metadata"]["labels"]["order"], "2");

    // Joining again changes what is given, and nothing else.
    let before = get(&world, &secret("member1")).await.unwrap();
    join("environment=canary,order=3");
    let again = get(&world, &member("member1")).await.unwrap();
    assert_eq!(again["metadata"]["labels"]["order"], "3");
    assert_eq!(again["metadata"]["uid"], joined["metadata"]["uid"]);
    assert_eq!(get(&world, &secret("member1")).await.unwrap()["data"], before["data"]);

    // Its kubeconfig may stand elsewhere, and name it as nobody but itself can reach it.
    let elsewhere = world.home.path().join("member1.kubeconfig");
    let real = world.server("member1");
    let own = world.kubeconfig_of("member1", TOKEN).replace(real, "https://127.0.0.1:1");
    std::fs::write(&elsewhere, own).unwrap();
    let elsewhere = elsewhere.to_string_lossy();
    let (code, said) =
        world.run(&["join", "member1", "--member-kubeconfig", &elsewhere, "--member-server", real]);
    assert_eq!(code, Some(0), "{said}");
    let held = get(&world, &secret("member1")).await.unwrap();
    assert_eq!(held["data"], before["data"], "the address is the one that was named");
    world.until(&member("member1"), "well", is_healthy).await;

    let (code, said) = world.run(&["leave", "member1", "--context", "hub"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("What was applied to it stays there"), "{said}");
    assert_eq!(get(&world, &member("member1")).await, None);
    assert_eq!(get(&world, &secret("member1")).await, None);
    let (code, said) = world.run(&["leave", "member1", "--context", "hub"]);
    assert_eq!((code, said.as_str()), (Some(0), "member1 is not a member\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_leaving_times_out_and_keeps_the_credentials() {
    let world = World::embedded(1).await;
    world.install(&[]).await;
    let mut engine = world.engine(&[]);
    engine.wait_for("this engine executes runs");
    let (code, said) = world.run(&["join", "member1", "--member-context", "member1"]);
    assert_eq!(code, Some(0), "{said}");
    world.until(&member("member1"), "well", is_healthy).await;
    engine.signal("TERM");
    engine.wait();
    let (code, said) = world.run(&["leave", "member1", "--timeout", "500ms"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("tidegate run --engine builtin"), "{said}");
    assert!(get(&world, &secret("member1")).await.is_some());
    let (code, said) = world.run(&["join", "member1", "--member-context", "member1"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is about to leave the fleet"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_join_is_refused_and_leaves_nothing_behind() {
    let world = World::embedded(1).await;
    let refused = |arguments: &[&str], parts: &[&str]| {
        let (code, said) = world.run(&[&["join", "member1"], arguments].concat());
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        for part in parts.iter().chain(&["hint: "]) {
            assert!(said.contains(part), "{arguments:?}: no {part:?} in {said}");
        }
        assert!(!said.contains(TOKEN), "{said}");
    };
    refused(&["--member-context", "member1"], &["not ready for members", "tidegate install"]);
    world.install(&[]).await;

    let file = |name: &str, text: &str| {
        let path = world.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = world.kubeconfig_of("member1", TOKEN);
    let nowhere = file("nowhere", &good.replace(world.server("member1"), "https://127.0.0.1:1"));
    let expired = file("expired", &world.kubeconfig_of("member1", "expired"));
    let token = format!("\"token\":\"{TOKEN}\"");
    let plugin =
        r#""exec":{"apiVersion":"client.authentication.k8s.io/v1","command":"cloud-login"}"#;
    let plugin = file("plugin", &good.replace(&token, plugin));
    let unnamed = file("unnamed", &good.replace(&token, ""));
    let broken = file("broken", ": [");
    for (arguments, parts) in [
        (["--member-context", "nobody"], &["no context `nobody`; it has hub, member1"][..]),
        (["--member-kubeconfig", "/nowhere/file"], &["/nowhere/file"]),
        (["--member-kubeconfig", &broken], &["cannot read the member's kubeconfig"]),
        (["--member-kubeconfig", &nowhere], &["https://127.0.0.1:1", "cannot be reached"]),
        (["--member-kubeconfig", &expired], &["refuses the credentials"]),
        (["--member-kubeconfig", &plugin], &["`cloud-login`", "ServiceAccount"]),
        (["--member-kubeconfig", &unnamed], &["no credentials for user `user`"]),
    ] {
        refused(&arguments, parts);
    }
    refused(
        &["--member-context", "member1", "--labels", "environment"],
        &["`environment` is not a label"],
    );
    // The hub itself refuses this one, and is asked before the Secret is written.
    refused(
        &["--member-context", "member1", "--labels", "environment=not a value"],
        &["MemberCluster"],
    );
    let (code, said) = world.run(&["join", "member1", "--member-context", "member1", "--dry-run"]);
    assert_eq!(code, Some(0), "{said}");

    assert_eq!(get(&world, &member("member1")).await, None);
    assert_eq!(get(&world, &secret("member1")).await, None);
    let definitions = key(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "",
        "appliedworks.placement.kubernetes-fleet.io",
    );
    assert_eq!(world.clusters["member1"].get_object(&definitions).await.unwrap(), None);
    let (code, said) = world.run(&["join", "member1"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--member-kubeconfig"), "{said}");
}

/// Clusters of any kind may join what `tidegate local` embeds, also under the name of one that runs beside the hub.
#[tokio::test(flavor = "multi_thread")]
async fn clusters_join_an_embedded_hub() {
    let world = World::embedded(2).await;
    let mut local = world.tidegate(&["local", "--members", "1", "--data-dir"]);
    local.arg(world.home.path().join("data"));
    let mut local = Running::start(local);
    local.wait_for("1 member are ready");
    let kubeconfig = world.home.path().join("data/kubeconfig");
    let embedded = Hub::new(kubernetes::client(&kubeconfig, "hub").await);
    let until = async |name: &str, what: &str, wanted: &dyn Fn(&Value) -> bool| {
        let get = async || embedded.get_object(&member(name)).await.unwrap();
        hub::until(&member(name), what, get, wanted).await
    };
    let join = |name: &str, with: &str| {
        let file = world.home.path().join("kubeconfig");
        let mut command = world.tidegate(&["join", name, "--context", "hub", "--kubeconfig"]);
        command.arg(&kubeconfig).args(["--member-context", with, "--member-kubeconfig"]).arg(file);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };

    let mut unknown = embedded.get_object(&member("member1")).await.unwrap().unwrap();
    unknown["metadata"] = json!({"name": "kind-1"});
    embedded.create_object(&unknown, "test").await.unwrap();
    let nobodys = |cluster: &Value| health(cluster).2.contains("run `tidegate join kind-1");
    until("kind-1", "without a kubeconfig", &nobodys).await;
    join("kind-1", "member1");
    until("kind-1", "well", &is_healthy).await;

    join("member1", "member2");
    let config = key("", "ConfigMap", "web", "config");
    for object in [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config", "namespace": "web"}}),
        json!({"apiVersion": format!("{PLACEMENT}/v1beta1"), "kind": "ClusterResourcePlacement", "metadata": {"name": "web"},
            "spec": {"resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": "web"}]}}),
    ] {
        embedded.create_object(&object, "test").await.unwrap();
    }
    for joined in ["member1", "member2"] {
        let get = async || world.clusters[joined].get_object(&config).await.unwrap();
        hub::until(&config, "placed", get, |_| true).await;
    }
}
