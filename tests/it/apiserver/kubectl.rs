//! The real kubectl, with a fresh discovery cache for every command.

use std::path::Path;

use super::served::{Served, run};
use crate::support::process::{asset, kubectl, say_skipped};

const WIDGETS: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.example.com
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList, shortNames: [wd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    schema:
      openAPIV3Schema:
        type: object
        description: Widget is a thing with a size.
        properties:
          spec:
            type: object
            properties:
              size: {type: integer, minimum: 1, default: 1, description: How large the widget is.}
              color: {type: string}
          status:
            type: object
            properties:
              size: {type: integer}
              conditions:
                type: array
                items:
                  type: object
                  properties: {type: {type: string}, status: {type: string}}
"#;

const WIDGET: &str = "
apiVersion: example.com/v1
kind: Widget
metadata: {name: w, namespace: default}
spec: {size: 3, color: red}
";

/// One command: its words, whether it succeeds, and what its output holds.
pub(super) type Step = (&'static str, bool, &'static [&'static str]);

const STEPS: &[Step] = &[
    ("version", true, &["Server Version: v1."]),
    ("create namespace shop", true, &["namespace/shop created"]),
    (
        "get namespaces",
        true,
        &["NAME", "STATUS", "AGE", "default", "Active", "kube-system", "shop"],
    ),
    ("create configmap cm -n shop --from-literal=k=v", true, &["configmap/cm created"]),
    (
        "create configmap cm -n shop --from-literal=k=v",
        false,
        &["configmaps \"cm\" already exists"],
    ),
    ("create configmap cm -n nowhere", false, &["namespaces \"nowhere\" not found"]),
    ("get configmap cm -n shop", true, &["NAME   DATA   AGE", "cm     1"]),
    ("get configmap cm -n shop -o jsonpath={.data.k}", true, &["v"]),
    (
        "get configmap nothing -n shop",
        false,
        &["Error from server (NotFound): configmaps \"nothing\" not found"],
    ),
    ("create secret generic s -n shop --from-literal=k=v", true, &["secret/s created"]),
    ("get secret s -n shop -o jsonpath={.data.k}", true, &["dg=="]),
    (
        "create deployment web -n shop --image=nginx --replicas=2",
        true,
        &["deployment.apps/web created"],
    ),
    ("get deployment -n shop", true, &["READY", "UP-TO-DATE", "AVAILABLE", "web    0/2"]),
    ("scale deployment web -n shop --replicas=5", true, &["deployment.apps/web scaled"]),
    (
        "get deployment web -n shop -o jsonpath={.spec.replicas}/{.metadata.generation}",
        true,
        &["5/2"],
    ),
    (
        "set image deployment/web -n shop nginx=nginx:2",
        true,
        &["deployment.apps/web image updated"],
    ),
    ("create service clusterip svc -n shop --tcp=80:80", true, &["service/svc created"]),
    ("get service svc -n shop", true, &["ClusterIP", "80/TCP"]),
    ("create serviceaccount sa -n shop", true, &["serviceaccount/sa created"]),
    (
        "create role r -n shop --verb=get --resource=configmaps",
        true,
        &["role.rbac.authorization.k8s.io/r created"],
    ),
    (
        "create clusterrolebinding b --clusterrole=view --serviceaccount=shop:sa",
        true,
        &["clusterrolebinding.rbac.authorization.k8s.io/b created"],
    ),
    (
        "apply -f crd.yaml",
        true,
        &["customresourcedefinition.apiextensions.k8s.io/widgets.example.com created"],
    ),
    (
        "wait --for=condition=Established crd/widgets.example.com --timeout=10s",
        true,
        &["condition met"],
    ),
    (
        "api-resources --api-group=example.com",
        true,
        &["widgets", "wd", "example.com/v1", "true", "Widget"],
    ),
    ("api-versions", true, &["apps/v1", "example.com/v1"]),
    ("apply -f widget.yaml", true, &["widget.example.com/w created"]),
    ("apply -f widget.yaml", true, &["widget.example.com/w unchanged"]),
    ("apply --validate=false -f widget.yaml", true, &["widget.example.com/w unchanged"]),
    ("get wd", true, &["NAME   SIZE   READY", "w      3"]),
    ("get wd -A", true, &["NAMESPACE   NAME", "default     w"]),
    ("get wd w -o yaml", true, &["color: red", "size: 3", "generation: 1"]),
    ("explain widget.spec.size", true, &["How large the widget is."]),
    ("explain configmap.data", true, &["FIELD: data"]),
    (
        "apply -f widget-unknown.yaml",
        false,
        &["strict decoding error: unknown field \"spec.unknown\""],
    ),
    (
        "apply -f widget-unknown.yaml --validate=warn",
        true,
        &["Warning: unknown field \"spec.unknown\"", "widget.example.com/w "],
    ),
    (
        "apply -f widget-invalid.yaml",
        false,
        &[
            "The Widget \"w\" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
        ],
    ),
    (
        "apply --server-side --dry-run=server -f widget-server.yaml",
        true,
        &["widget.example.com/server serverside-applied (server dry run)"],
    ),
    ("get widget server", false, &["widgets.example.com \"server\" not found"]),
    (
        "apply --server-side -f widget-server.yaml",
        true,
        &["widget.example.com/server serverside-applied"],
    ),
    (
        "apply --server-side --field-manager=other -f widget-server-changed.yaml",
        false,
        &["Apply failed with 1 conflict", ".spec.size"],
    ),
    (
        "apply --server-side --field-manager=other --force-conflicts -f widget-server-changed.yaml",
        true,
        &["serverside-applied"],
    ),
    ("get widgets server -o jsonpath={.spec.size}", true, &["9"]),
    ("diff -f widget.yaml", false, &["+  color: red"]),
    ("apply -f widget.yaml", true, &["widget.example.com/w configured"]),
    ("diff -f widget.yaml", true, &[]),
    ("diff -f widget-changed.yaml", false, &["size: 7"]),
    (
        "patch widget w --type=merge -p {\"spec\":{\"color\":\"blue\"}}",
        true,
        &["widget.example.com/w patched"],
    ),
    (
        "patch widget w --type=json -p [{\"op\":\"replace\",\"path\":\"/spec/size\",\"value\":4}]",
        true,
        &["patched"],
    ),
    (
        "patch widget w -p {\"spec\":{\"color\":\"blue\"}}",
        false,
        &["application/strategic-merge-patch+json is not supported by example.com/v1, Kind=Widget"],
    ),
    (
        "patch widget w --subresource=status --type=merge -p {\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}",
        true,
        &["patched"],
    ),
    ("wait --for=condition=Ready widget/w --timeout=10s", true, &["condition met"]),
    (
        "get widget w --subresource=status -o jsonpath={.spec.color}/{.spec.size}/{.metadata.generation}",
        true,
        &["blue/4/"],
    ),
    ("get deployment web -n shop --subresource=scale", true, &["DESIRED   AVAILABLE", "web    5"]),
    (
        "create -f unknown.yaml",
        false,
        &["no matches for kind \"Gadget\" in version \"example.com/v1\""],
    ),
    (
        "explain deployment.spec.replicas --output=plaintext-openapiv2",
        true,
        &["FIELD:    replicas <integer>"],
    ),
    ("scale widget w --replicas=6", true, &["scaled"]),
    ("get widget w -o jsonpath={.spec.size}", true, &["6"]),
    (
        "patch configmap cm -n shop -p {\"data\":{\"k\":null,\"l\":\"w\"}}",
        true,
        &["configmap/cm patched"],
    ),
    ("get configmap cm -n shop -o jsonpath={.data}", true, &["{\"l\":\"w\"}"]),
    ("label configmap cm -n shop a=b", true, &["configmap/cm labeled"]),
    ("annotate configmap cm -n shop a=b", true, &["configmap/cm annotated"]),
    ("get configmap -A -l a=b", true, &["shop        cm"]),
    ("get configmap -n shop --field-selector metadata.name=cm -o name", true, &["configmap/cm"]),
    ("get configmap -n shop --field-selector data.x=1", false, &["is not a known field selector"]),
    ("edit configmap cm -n shop", true, &["configmap/cm edited"]),
    ("get configmap cm -n shop -o jsonpath={.data.l}", true, &["edited"]),
    (
        "wait --for=jsonpath={.data.l}=edited configmap/cm -n shop --timeout=10s",
        true,
        &["condition met"],
    ),
    ("get --raw /api/v1/namespaces/shop/configmaps/cm", true, &["\"l\":\"edited\""]),
    ("rollout status deployment/web -n shop --watch=false", true, &["Waiting for deployment"]),
    ("describe configmap cm -n shop", true, &["Name:         cm", "edited", "Events:"]),
    ("describe deployment web -n shop", true, &["Replicas:", "Image:"]),
    ("describe namespace shop", true, &["Status:       Active"]),
    ("describe widget w", true, &["Kind:         Widget", "Events:"]),
    ("replace -f replaced.yaml", true, &["configmap/cm replaced"]),
    (
        "replace -f stale.yaml",
        false,
        &["Error from server (Conflict)", "the object has been modified"],
    ),
    ("create -f generated.yaml", true, &["configmap/gen-"]),
    ("delete widget w", true, &["widget.example.com \"w\" deleted"]),
    ("wait --for=delete widget/w --timeout=10s", true, &[]),
    // Newer ones say from where in between.
    (
        "delete configmap cm -n shop --dry-run=server",
        true,
        &["configmap \"cm\" deleted", "(server dry run)"],
    ),
    ("get configmap cm -n shop -o name", true, &["configmap/cm"]),
    (
        "delete deployment,service --all -n shop",
        true,
        &["deployment.apps \"web\" deleted", "service \"svc\" deleted"],
    ),
    ("auth can-i create pods", true, &["yes"]),
    ("get events -n shop", true, &["No resources found in shop namespace."]),
    ("delete namespace shop", true, &["namespace \"shop\" deleted"]),
    ("get configmap -n shop", true, &["No resources found in shop namespace."]),
    ("get namespace shop", false, &["namespaces \"shop\" not found"]),
    ("delete crd widgets.example.com", true, &["\"widgets.example.com\" deleted"]),
    ("get widgets", false, &["the server doesn't have a resource type \"widgets\""]),
    (
        "delete namespace default",
        false,
        &["namespaces \"default\" is forbidden: this namespace may not be deleted"],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_works() {
    let Some(program) = kubectl("kubectl against the API server") else { return };
    every_command_works_with(&program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_kubectl_works() {
    match asset("kubectl-oldest") {
        Ok(program) => every_command_works_with(&program).await,
        Err(why) => say_skipped("the oldest kubectl against the API server", &why),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_kubectl_works() {
    match asset("kubectl-newest") {
        Ok(program) => every_command_works_with(&program).await,
        Err(why) => say_skipped("the newest kubectl against the API server", &why),
    }
}

async fn every_command_works_with(program: &Path) {
    let served = Served::start().await;
    served.write("crd.yaml", WIDGETS);
    served.write("widget.yaml", WIDGET);
    served.write("unknown.yaml", &WIDGET.replace("kind: Widget", "kind: Gadget"));
    served.write("widget-unknown.yaml", &WIDGET.replace("color: red", "unknown: 1"));
    served.write("widget-invalid.yaml", &WIDGET.replace("size: 3", "size: 0"));
    served.write("widget-changed.yaml", &WIDGET.replace("size: 3", "size: 7"));
    let server_side = WIDGET.replace("name: w,", "name: server,");
    served.write("widget-server.yaml", &server_side);
    served.write("widget-server-changed.yaml", &server_side.replace("size: 3", "size: 9"));
    let replaced =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm, namespace: shop}\ndata: {z: z}\n";
    served.write("replaced.yaml", replaced);
    served.write(
        "stale.yaml",
        &replaced.replace("namespace: shop", "namespace: shop, resourceVersion: '1'"),
    );
    served.write(
        "generated.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: gen-}\n",
    );
    play(program, &served, STEPS).await;
}

/// Types every command and looks at what it says.
pub(super) async fn play(program: &Path, served: &Served, steps: &[Step]) {
    let mut wrong = Vec::new();
    for (words, succeeds, holds) in steps {
        let arguments: Vec<&str> = words.split(' ').collect();
        let mut command = served.kubectl(program, &arguments);
        command.env("KUBE_EDITOR", "sed -i s/^..l:.w$/\\ \\ l:\\ edited/");
        let output = run(command).await;
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let missing: Vec<_> = holds.iter().filter(|text| !said.contains(**text)).collect();
        if output.status.success() != *succeeds || !missing.is_empty() {
            wrong.push(format!(
                "$ kubectl {words}\n{said}\n(exit {:?}, lacks {missing:?})",
                output.status.code()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} commands:\n\n{}",
        wrong.len(),
        steps.len(),
        wrong.join("\n\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_watches() {
    let Some(program) = kubectl("kubectl get --watch") else { return };
    let served = Served::start().await;
    let watching = served.kubectl(&program, &["get", "configmaps", "-w"]);
    let mut watching = crate::support::process::Running::start(watching);
    for name in ["a", "b"] {
        let made =
            run(served.kubectl(&program, &["create", "configmap", name, "--from-literal=k=v"]))
                .await;
        assert!(made.status.success());
        watching = tokio::task::spawn_blocking(move || {
            watching.wait_for(&format!("{name}      1"));
            watching
        })
        .await
        .unwrap();
    }
    watching.signal("KILL");
}
