//! `tidegate run --engine builtin`: members from Secrets, one engine at a time, refusals.

use serde_json::json;

use super::world::{PLACEMENT, SYSTEM, TOKEN, World, health, is_healthy, key, member};
use crate::support::hub;

fn because<'a>(reason: &'a str, part: &'a str) -> impl Fn(&serde_json::Value) -> bool + 'a {
    move |cluster| {
        let (status, why, message) = health(cluster);
        status == "False" && why == reason && message.contains(part)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_change_with_their_secrets() {
    let world = World::embedded(3).await;
    world.install(&[]).await;
    let mut engine = world.engine(&[]);
    engine.wait_for("this engine executes runs");

    // A member without a Secret says what to do, and joins as soon as there is one.
    world.create_member("member1").await;
    let missing = because("KubeconfigMissing", "run `tidegate join member1");
    world.until(&member("member1"), "without a kubeconfig", missing).await;
    world.create_secret("member1", &world.kubeconfig_of("member1", TOKEN)).await;
    let undefined = because("DefinitionMissing", "does not know the kind AppliedWork");
    world.until(&member("member1"), "without the definition", undefined).await;
    world.define_on_members().await;
    world.until(&member("member1"), "well", is_healthy).await;

    // Broken ones, each in its own way, disturb nobody.
    world.create_member("member2").await;
    world.create_secret("member2", "not: [a kubeconfig").await;
    let broken = because("KubeconfigInvalid", "it is not a kubeconfig");
    world.until(&member("member2"), "broken", broken).await;
    world.create_member("member3").await;
    world.create_secret("member3", &world.kubeconfig_of("member3", "expired")).await;
    let expired = because("CredentialsRefused", "run `tidegate join member3` again");
    world.until(&member("member3"), "refused", expired).await;
    world.create_member("member4").await;
    let nowhere = world.kubeconfig_of("member1", TOKEN);
    let nowhere = nowhere.replace(world.server("member1"), "https://127.0.0.1:1");
    world.create_secret("member4", &nowhere).await;
    let unreachable = because("Unreachable", "cannot be reached");
    world.until(&member("member4"), "unreachable", unreachable).await;
    assert!(is_healthy(&world.hub().get_object(&member("member1")).await.unwrap().unwrap()));

    // A changed Secret is taken up at once.
    for name in ["member2", "member3"] {
        let secret = key("", "Secret", SYSTEM, &format!("tidegate-member-{name}"));
        let mended = world.kubeconfig_of(name, TOKEN);
        world.patch(&secret, &json!({"stringData": {"kubeconfig": mended}})).await;
        world.until(&member(name), "well", is_healthy).await;
    }
    let said = engine.everything();
    assert!(!said.contains(TOKEN) && !said.contains("a kubeconfig]"), "{said}");
    engine.signal("TERM");
    assert!(engine.wait().success());
    let lease = key("coordination.k8s.io", "Lease", SYSTEM, "tidegate-engine");
    world.until(&lease, "given back", |lease| lease["spec"]["holderIdentity"].is_null()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_engines_one_works() {
    let world = World::embedded(1).await;
    world.install(&[]).await;
    let mut first = world.engine(&[]);
    first.wait_for("this engine executes runs");
    let mut second = world.engine(&[]);
    second.wait_for("standing by");
    first.signal("TERM");
    second.wait_for("this engine executes runs");
    assert!(first.wait().success());

    // One that dies keeps its Lease for a while, and no longer.
    second.signal("KILL");
    second.wait();
    let mut third = world.engine(&[]);
    third.wait_for("standing by");
    third.wait_for("this engine executes runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_not_ready_is_refused_with_a_hint() {
    let world = World::embedded(0).await;
    let refused = |parts: &[&str]| {
        let (code, said) = world.run(&["run", "--engine", "builtin"]);
        assert_eq!(code, Some(1), "{said}");
        for part in parts {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
    };
    refused(&[
        "the hub does not know AppliedWork, ApprovalRequest, ClusterApprovalRequest and 17 more",
        "hint: ",
        "tidegate install",
    ]);
    world.install(&[]).await;

    let name = "clusterstagedupdateruns.placement.kubernetes-fleet.io";
    let definition = key("apiextensions.k8s.io", "CustomResourceDefinition", "", name);
    let held = world.hub().get_object(&definition).await.unwrap().unwrap();
    let mut versions = held["spec"]["versions"].clone();
    for version in versions.as_array_mut().unwrap() {
        let status = &mut version["schema"]["openAPIV3Schema"]["properties"]["status"];
        status["properties"].as_object_mut().unwrap().remove("resourceSnapshotIndexUsed");
    }
    world.patch(&definition, &json!({"spec": {"versions": versions}})).await;
    refused(&[
        "definition of ClusterStagedUpdateRun is of another version",
        "status.resourceSnapshotIndexUsed",
        "--force-conflicts",
    ]);
    world.patch(&definition, &json!({"spec": {"versions": held["spec"]["versions"]}})).await;

    let now = jiff::Timestamp::now();
    world
        .create(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fleet-system"}}),
        )
        .await;
    world
        .create(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "136224848560.hub.fleet.azure.com", "namespace": "fleet-system"},
            "spec": {"holderIdentity": "hub-agent-1", "leaseDurationSeconds": 60, "renewTime": format!("{now:.6}")}}))
        .await;
    refused(&["Fleet's controllers execute the runs on this hub: `hub-agent-1`", "--engine fleet"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_never_answers_holds_up_no_other_and_catches_up() {
    // More works than the engine looks at at once.
    const PLACEMENTS: usize = 40;
    let world = World::embedded(2).await;
    world.install(&[]).await;
    let mut engine = world.engine(&[]);
    engine.wait_for("this engine executes runs");
    for name in ["member1", "member2"] {
        let (code, said) = world.run(&["join", name, "--member-context", name]);
        assert_eq!(code, Some(0), "{said}");
        world.until(&member(name), "well", is_healthy).await;
    }
    // It takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("https://{}", silent.local_addr().unwrap());
    let secret = key("", "Secret", SYSTEM, "tidegate-member-member2");
    let good = world.kubeconfig_of("member2", TOKEN);
    let mute = good.replace(world.server("member2"), &silent);
    world.patch(&secret, &json!({"stringData": {"kubeconfig": mute}})).await;
    world.until(&member("member2"), "mute", because("Unreachable", "did not answer")).await;

    let name = |number: usize| format!("placed-{number}");
    for number in 0..PLACEMENTS {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name(number)}});
        world.create(namespace).await;
        world
            .create(json!({"apiVersion": format!("{PLACEMENT}/v1beta1"), "kind": "ClusterResourcePlacement",
                "metadata": {"name": name(number)},
                "spec": {"resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": name(number)}],
                    "policy": {"placementType": "PickAll"}}}))
            .await;
    }
    let placed = async |cluster: &str| {
        for number in 0..PLACEMENTS {
            let namespace = key("", "Namespace", "", &name(number));
            let found = async || world.clusters[cluster].get_object(&namespace).await.unwrap();
            hub::until(&namespace, "placed", found, |_| true).await;
        }
    };
    placed("member1").await;
    world.patch(&secret, &json!({"stringData": {"kubeconfig": good}})).await;
    placed("member2").await;
    world.until(&member("member2"), "well", is_healthy).await;
}
