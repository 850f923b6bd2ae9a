//! Kubernetes' own controllers at work on the embedded server: what they make, see and wait for is what they would on a
//! cluster. A task of this test places pods on a node and says that they run, as nobody else does here.

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};

use super::{
    kubectl::{Step, play},
    served::Served,
};
use crate::support::{
    process::{asset, kubectl, say_skipped},
    watchdog::{SweptFolder, Watched},
};

const CONTROLLERS: &str = "cronjob-controller,daemonset-controller,deployment-controller,disruption-controller,\
                           endpoints-controller,endpointslice-controller,job-controller,\
                           persistentvolume-binder-controller,replicaset-controller,\
                           replicationcontroller-controller,statefulset-controller";

const WORKLOADS: &str = "
apiVersion: v1
kind: Node
metadata: {name: n1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: 'web:1', ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec: {capacity: {storage: 2Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /disk}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: 'db:1'}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: c, image: 'agent:1'}], tolerations: [{operator: Exists}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {completions: 2, parallelism: 2, template: {spec: {restartPolicy: Never, containers: [{name: c, image: 'job:1'}]}}}
";

const STEPS: &[Step] = &[
    ("apply -f workloads.yaml", true, &["deployment.apps/web created", "job.batch/once created"]),
    (
        "rollout status deployment/web --timeout=60s",
        true,
        &["deployment \"web\" successfully rolled out"],
    ),
    ("rollout status statefulset/db --timeout=60s", true, &["partitioned roll out complete"]),
    (
        "rollout status daemonset/agent --timeout=60s",
        true,
        &["daemon set \"agent\" successfully rolled out"],
    ),
    ("wait --for=condition=Complete job/once --timeout=60s", true, &["condition met"]),
    (
        "wait --for=jsonpath={.status.phase}=Bound pvc/data-db-0 --timeout=60s",
        true,
        &["condition met"],
    ),
    ("get pv disk", true, &["Bound    default/data-db-0"]),
    ("get pods -l app=web", true, &["1/1     Running   0"]),
    ("get pods -l job-name=once", true, &["0/1     Completed"]),
    (
        "wait --for=jsonpath={.status.disruptionsAllowed}=1 pdb/web --timeout=60s",
        true,
        &["condition met"],
    ),
    (
        "wait --for=jsonpath={.endpoints[1].conditions.ready}=true endpointslice -l kubernetes.io/service-name=web \
         --timeout=60s",
        true,
        &["condition met"],
    ),
    ("get endpoints web", true, &[":80,"]),
    ("set image deployment/web c=web:2", true, &["image updated"]),
    ("rollout status deployment/web --timeout=60s", true, &["successfully rolled out"]),
    ("rollout history deployment/web", true, &["REVISION", "2"]),
    ("rollout undo deployment/web", true, &["deployment.apps/web rolled back"]),
    ("rollout status deployment/web --timeout=60s", true, &["successfully rolled out"]),
    ("get deployment web -o jsonpath={..image}/{.status.readyReplicas}", true, &["web:1/2"]),
    ("rollout restart statefulset/db", true, &["restarted"]),
    ("rollout status statefulset/db --timeout=60s", true, &["partitioned roll out complete"]),
    ("scale deployment/web --replicas=0", true, &["scaled"]),
    ("wait --for=delete pod -l app=web --timeout=60s", true, &[]),
    ("delete deployment,daemonset,statefulset,job --all", true, &["\"web\" deleted"]),
    ("wait --for=delete pod --all --timeout=60s", true, &[]),
    ("get all -l app", true, &["No resources found"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controllers_of_kubernetes_work() {
    const SUITE: &str = "controllers of Kubernetes on the API server";
    let Some(program) = kubectl(SUITE) else { return };
    let manager = match asset("kube-controller-manager") {
        Ok(manager) => manager,
        Err(why) => return say_skipped(SUITE, &why),
    };
    let served = Served::start().await;
    served.write("workloads.yaml", WORKLOADS);
    let folder = SweptFolder::new();
    let arguments = [
        format!("--kubeconfig={}", served.file("config").display()),
        format!("--controllers={CONTROLLERS}"),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
    ];
    let _manager = Watched::start(&manager, &arguments, folder.path(), "controllers");
    let node = tokio::spawn(run_pods(Client::new(served.server.clone(), "default")));
    play(&program, &served, STEPS).await;
    node.abort();
}

/// A scheduler and a kubelet: every pod gets the node, runs at once, and stops when it is told to.
async fn run_pods(client: Client) {
    let pods: Api<Pod> = Api::all(client.clone());
    let mut seen = std::pin::pin!(watcher(pods, watcher::Config::default()).touched_objects());
    let mut addresses = 0_u16;
    while let Some(pod) = seen.next().await {
        let Ok(pod) = pod else { continue };
        addresses += 1;
        let own: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap());
        // What changed in between comes again.
        let _ = look_after(&own, &pod, addresses).await;
    }
}

async fn look_after(pods: &Api<Pod>, pod: &Pod, address: u16) -> kube::Result<()> {
    let name = pod.name_any();
    let spec = pod.spec.as_ref().unwrap();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if spec.node_name.is_none() {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"kind": "Node", "name": "n1"},
        });
        let options = PostParams::default();
        let bound = pods.create_subresource::<Value, Value>("binding", &name, &options, &binding);
        bound.await?;
    } else if pod.metadata.deletion_timestamp.is_some() {
        pods.delete(&name, &DeleteParams::default().grace_period(0)).await?;
    } else if phase == Some("Pending") {
        let status = json!({"status": status_of(spec.restart_policy.as_deref(), address)});
        pods.patch_status(&name, &PatchParams::default(), &Patch::Strategic(status)).await?;
    }
    Ok(())
}

fn status_of(restart_policy: Option<&str>, address: u16) -> Value {
    let ends = restart_policy == Some("Never");
    let (phase, ready, state) = match ends {
        true => {
            ("Succeeded", "False", json!({"terminated": {"exitCode": 0, "reason": "Completed"}}))
        }
        false => ("Running", "True", json!({"running": {}})),
    };
    json!({
        "phase": phase, "podIP": format!("10.0.{}.{}", address / 256, address % 256),
        "conditions": [{"type": "Ready", "status": ready}],
        "containerStatuses": [{
            "name": "c", "ready": !ends, "restartCount": 0, "image": "i", "imageID": "i", "state": state,
        }],
    })
}
