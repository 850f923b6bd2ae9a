//! All of it on real API servers, with the rights of the account that `tidegate install` makes and no other.

use std::{path::Path, process::Command};

use serde_json::json;
use tokio::{runtime::Handle, task::spawn_blocking};

use super::{
    rights,
    world::{ACCOUNT, PLACEMENT, World, is_healthy, key, member},
};
use crate::support::{
    kubernetes::Audited,
    process::{Running, kubectl},
};

const SUITE: &str = "the tutorial on real API servers";

/// Each tab has a fleet of its own: most of the time goes by in the minutes that the tutorial waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tutorial_passes_with_the_rights_of_the_account_and_needs_each_of_them() {
    let Some(kubectl) = kubectl(SUITE) else { return };
    let beside = |transcript: &'static str| {
        let (runtime, kubectl) = (Handle::current(), kubectl.clone());
        spawn_blocking(move || runtime.block_on(fleet_that_plays(transcript, &kubectl)))
    };
    let (cluster_scoped, namespaced) =
        (beside("tutorial-cluster.txt"), beside("tutorial-namespace.txt"));
    let (Some(first), Some(second)) = (cluster_scoped.await.unwrap(), namespaced.await.unwrap())
    else {
        return;
    };
    change_policies(&first.world).await;
    let manifests = first.world.manifests(&[]);
    let asked = [first.leave_and_end().await, second.leave_and_end().await].concat();
    rights::hold_against(&rights::granted(&manifests), &asked, ACCOUNT);
}

struct Fleet {
    world: World,
    engine: Running,
}

async fn fleet_that_plays(transcript: &str, kubectl: &Path) -> Option<Fleet> {
    let world = World::real(SUITE, 3).await?;
    install_as_documented(&world, kubectl);
    let mut engine = world.engine(&[]);
    engine.wait_for("this engine executes runs");
    world.join_tutorial_members();
    for name in ["member1", "member2", "member3"] {
        world.until(&member(name), "well", is_healthy).await;
    }
    world.play(transcript, kubectl);
    world.until(&member("member3"), "well", is_healthy).await;
    Some(Fleet { world, engine })
}

impl Fleet {
    /// A member leaves, and all that the hub has of it goes. Returns what the hub was asked for, all in all.
    async fn leave_and_end(mut self) -> Vec<Audited> {
        let (code, said) = self.world.run(&["leave", "member3", "--context", "hub"]);
        assert_eq!(code, Some(0), "{said}");
        let gone = self.world.hub().get_object(&member("member3")).await.unwrap();
        assert_eq!(gone, None);
        self.engine.signal("TERM");
        assert!(self.engine.wait().success(), "{}", self.engine.everything());
        self.world.real.as_ref().unwrap().audited("hub")
    }
}

/// `tidegate install | kubectl apply --server-side -f -`, and once more, as after an upgrade.
fn install_as_documented(world: &World, kubectl: &Path) {
    for _ in 0..2 {
        let printed = world.tidegate(&["install"]).output().unwrap();
        let file = world.home.path().join("install.yaml");
        std::fs::write(&file, printed.stdout).unwrap();
        let mut apply = Command::new(kubectl);
        apply.env("KUBECONFIG", &world.kubeconfig).args(["apply", "--server-side", "-f"]).arg(file);
        let output = apply.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(printed.lines().all(|line| line.ends_with("serverside-applied")), "{printed}");
    }
}

/// Gives a placement of each scope another policy: the tutorial never does.
async fn change_policies(world: &World) {
    world
        .create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "policies"}}))
        .await;
    for (kind, namespace) in [("ClusterResourcePlacement", ""), ("ResourcePlacement", "policies")] {
        let selector = match namespace {
            "" => json!({"group": "", "version": "v1", "kind": "Namespace", "name": "policies"}),
            _ => json!({"group": "", "version": "v1", "kind": "ConfigMap", "name": "none"}),
        };
        world
            .create(json!({"apiVersion": format!("{PLACEMENT}/v1beta1"), "kind": kind,
                "metadata": {"name": "changing", "namespace": namespace},
                "spec": {"resourceSelectors": [selector], "policy": {"placementType": "PickAll"}}}))
            .await;
        let placement = key(PLACEMENT, kind, namespace, "changing");
        let snapshot = kind.replace("ResourcePlacement", "SchedulingPolicySnapshot");
        let latest = |number: usize| {
            let key = key(PLACEMENT, &snapshot, namespace, &format!("changing-{number}"));
            async move {
                let told = |object: &serde_json::Value| {
                    object["metadata"]["labels"]["kubernetes-fleet.io/is-latest-snapshot"] == "true"
                };
                world.until(&key, "the latest", told).await
            }
        };
        latest(0).await;
        let fixed = json!({"spec": {"policy": {"placementType": "PickAll", "affinity": {"clusterAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"clusterSelectorTerms": [
                {"labelSelector": {"matchLabels": {"environment": "staging"}}}]}}}}}});
        world.patch(&placement, &fixed).await;
        latest(1).await;
    }
}
