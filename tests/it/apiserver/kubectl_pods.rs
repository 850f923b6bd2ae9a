//! kubectl on pods, nodes and what else a cluster has, of which none runs here.

use std::path::Path;

use super::{
    kubectl::{Step, play},
    served::Served,
};
use crate::support::process::{asset, kubectl, say_skipped};

const NODE: &str = "
apiVersion: v1
kind: Node
metadata: {name: n1}
status:
  nodeInfo: {kubeletVersion: v1.34.0}
";

const CONTROLLER: &str = "
apiVersion: v1
kind: ReplicationController
metadata: {name: rc}
spec:
  replicas: 1
  template:
    metadata: {labels: {app: rc}}
    spec: {containers: [{name: c, image: 'nginx:1'}]}
";

const ONE: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: one, labels: {app: set}}
";

const TWO: &str = "
apiVersion: v1
kind: Pod
metadata: {name: two, labels: {app: set}}
spec: {containers: [{name: c, image: 'nginx:1'}]}
";

const BOUND: &str = "
apiVersion: v1
kind: Pod
metadata: {name: bound}
spec: {nodeName: n1, containers: [{name: c, image: 'nginx:1'}]}
";

const STEPS: &[Step] = &[
    ("get pods", true, &["No resources found in default namespace."]),
    ("get nodes", true, &["No resources found"]),
    ("get all", true, &["service/kubernetes   ClusterIP   10.96.0.1"]),
    ("run x --image=nginx:1 --port=80", true, &["pod/x created"]),
    ("run x --image=nginx:1", false, &["pods \"x\" already exists"]),
    ("get pods", true, &["NAME   READY   STATUS    RESTARTS   AGE", "x      0/1     Pending   0"]),
    ("get po -o wide", true, &["NOMINATED NODE", "READINESS GATES", "<none>"]),
    ("get pod x -o jsonpath={.status.phase}/{.status.qosClass}", true, &["Pending/BestEffort"]),
    ("get pods -A --field-selector=status.phase=Running", true, &["No resources found"]),
    ("set image pod/x x=nginx:2", true, &["pod/x image updated"]),
    (
        "patch pod x -p {\"spec\":{\"hostname\":\"h\"}}",
        false,
        &["Forbidden: pod updates may not change fields other than"],
    ),
    ("expose pod x --port=80", true, &["service/x exposed"]),
    ("create -f rc.yaml", true, &["replicationcontroller/rc created"]),
    ("scale rc/rc --replicas=2", true, &["replicationcontroller/rc scaled"]),
    ("get all", true, &["pod/x", "replicationcontroller/rc   2", "service/x"]),
    ("create -f node.yaml", true, &["node/n1 created"]),
    ("get nodes", true, &["n1     Unknown   <none>", "v1.34.0"]),
    ("label node n1 node-role.kubernetes.io/worker=", true, &["node/n1 labeled"]),
    ("taint node n1 a=b:NoSchedule", true, &["node/n1 tainted"]),
    ("cordon n1", true, &["node/n1 cordoned"]),
    ("get no -o wide", true, &["Unknown,SchedulingDisabled   worker", "OS-IMAGE"]),
    ("uncordon n1", true, &["node/n1 uncordoned"]),
    ("describe node n1", true, &["Name:               n1", "Taints:", "a=b:NoSchedule"]),
    ("describe pod x", true, &["Name:", "Image:", "nginx:2", "QoS Class:"]),
    ("logs x", true, &[]),
    ("exec x -- ls", false, &["pod x does not have a host assigned"]),
    (
        "patch pod x --subresource=status -p {\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}",
        true,
        &["pod/x patched"],
    ),
    ("wait --for=condition=Ready pod/x --timeout=10s", true, &["pod/x condition met"]),
    (
        "create poddisruptionbudget p --selector=app=x --min-available=1",
        true,
        &["poddisruptionbudget.policy/p created"],
    ),
    // The kinds that are looked at by default are all served.
    ("apply --prune -l app=set -f both.yaml", true, &["configmap/one created", "pod/two created"]),
    ("apply --prune -l app=set -f one.yaml", true, &["configmap/one unchanged", "pod/two pruned"]),
    ("create -f bound.yaml", true, &["pod/bound created"]),
    ("logs bound", false, &["there is no kubelet on node n1"]),
    ("delete pod bound --wait=false", true, &["pod \"bound\" deleted"]),
    ("get pod bound", true, &["bound   0/1     Terminating"]),
    ("delete pod bound --force --grace-period=0", true, &["pod \"bound\" force deleted"]),
    ("get pod bound", false, &["pods \"bound\" not found"]),
    ("create -f bound.yaml", true, &["pod/bound created"]),
    (
        "drain n1 --force --grace-period=0 --disable-eviction --timeout=20s",
        true,
        &["node/n1 cordoned", "node/n1 drained"],
    ),
    ("delete pod x", true, &["pod \"x\" deleted"]),
    ("delete node n1", true, &["node \"n1\" deleted"]),
    (
        "get sc,pv,ep,endpointslices,ingressclasses,runtimeclasses,csidrivers,controllerrevisions",
        true,
        &["No resources found"],
    ),
    ("explain pod.spec.containers.image", true, &["The image to run."]),
    ("api-resources --namespaced=false", true, &["nodes", "persistentvolumes", "storageclasses"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_works_on_pods_and_nodes() {
    let Some(program) = kubectl("kubectl on pods and nodes") else { return };
    works_with(&program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_kubectl_works_on_pods_and_nodes() {
    match asset("kubectl-oldest") {
        Ok(program) => works_with(&program).await,
        Err(why) => say_skipped("the oldest kubectl on pods and nodes", &why),
    }
}

async fn works_with(program: &Path) {
    let served = Served::start().await;
    served.write("node.yaml", NODE);
    served.write("rc.yaml", CONTROLLER);
    served.write("one.yaml", ONE);
    served.write("both.yaml", &format!("{ONE}---{TWO}"));
    served.write("bound.yaml", BOUND);
    play(program, &served, STEPS).await;
}
