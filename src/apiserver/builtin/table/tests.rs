//! Tables of built-in and custom kinds, cell by cell.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    super::{ResourceDefinition, catalog, from_crd},
    IncludeObject, render,
};

fn now() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

fn builtin(group: &str, kind: &str) -> ResourceDefinition {
    catalog().into_iter().find(|d| d.group == group && d.kind == kind).unwrap()
}

/// The headings (wide ones in parentheses) and cells of one object.
fn line(definition: &ResourceDefinition, object: &Value) -> (String, Value) {
    let mut object = object.clone();
    object["metadata"]["creationTimestamp"] = "2026-11-23T09:55:00Z".into();
    object["metadata"]["name"] = "x".into();
    let table = render(&definition.columns, &[&object], &Value::Null, IncludeObject::None, now());
    let headings: Vec<String> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            let name = c["name"].as_str().unwrap().to_uppercase();
            if c["priority"] == 0 { name } else { format!("({name})") }
        })
        .collect();
    (headings.join(" "), table["rows"][0]["cells"].clone())
}

#[test]
fn built_in_kinds_have_the_columns_of_kubectl() {
    let pods = json!({"spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j"}]}});
    let table = [
        (
            "",
            "Namespace",
            json!({"status": {"phase": "Active"}}),
            "NAME STATUS AGE",
            json!(["x", "Active", "5m"]),
        ),
        (
            "",
            "ConfigMap",
            json!({"data": {"a": "b"}, "binaryData": {"c": "ZA==", "e": "Zg=="}}),
            "NAME DATA AGE",
            json!(["x", 3, "5m"]),
        ),
        (
            "",
            "Secret",
            json!({"type": "Opaque", "data": {"a": "Yg=="}}),
            "NAME TYPE DATA AGE",
            json!(["x", "Opaque", 1, "5m"]),
        ),
        ("", "ServiceAccount", json!({}), "NAME AGE", json!(["x", "5m"])),
        ("", "LimitRange", json!({}), "NAME CREATED AT", json!(["x", "2026-11-23T09:55:00Z"])),
        (
            "",
            "ResourceQuota",
            json!({"status": {"hard": {"pods": "5", "limits.cpu": "2"}, "used": {"pods": "1"}}}),
            "NAME REQUEST LIMIT AGE",
            json!(["x", "pods: 1/5", "limits.cpu: 0/2", "5m"]),
        ),
        (
            "",
            "Service",
            json!({"spec": {"type": "NodePort", "clusterIP": "10.96.0.7", "selector": {"app": "a"},
            "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}}),
            "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE (SELECTOR)",
            json!(["x", "NodePort", "10.96.0.7", "<none>", "80:30080/TCP,53/UDP", "5m", "app=a"]),
        ),
        (
            "",
            "Event",
            json!({"involvedObject": {"kind": "Pod", "name": "p"}, "type": "Warning", "reason": "Bad",
            "message": " said \n", "lastTimestamp": "2026-11-23T09:59:00Z", "firstTimestamp": "2026-11-23T09:58:00Z",
            "source": {"component": "kubelet", "host": "n1"}, "count": 3}),
            "LAST SEEN TYPE REASON OBJECT (SUBOBJECT) (SOURCE) MESSAGE (FIRST SEEN) (COUNT) (NAME)",
            json!(["60s", "Warning", "Bad", "pod/p", "", "kubelet, n1", "said", "2m", 3, "x"]),
        ),
        (
            "apps",
            "Deployment",
            json!({"spec": {"replicas": 3, "template": pods, "selector": {"matchLabels": {"a": "b"}}},
            "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}}),
            "NAME READY UP-TO-DATE AVAILABLE AGE (CONTAINERS) (IMAGES) (SELECTOR)",
            json!(["x", "2/3", 3, 1, "5m", "a,b", "i:1,j", "a=b"]),
        ),
        (
            "apps",
            "StatefulSet",
            json!({"spec": {"replicas": 1, "template": pods}}),
            "NAME READY AGE (CONTAINERS) (IMAGES)",
            json!(["x", "0/1", "5m", "a,b", "i:1,j"]),
        ),
        (
            "batch",
            "Job",
            json!({"spec": {"completions": 2, "template": pods},
            "status": {"succeeded": 1, "startTime": "2026-11-23T09:58:00Z"}}),
            "NAME STATUS COMPLETIONS DURATION AGE (CONTAINERS) (IMAGES) (SELECTOR)",
            json!(["x", "Running", "1/2", "2m", "5m", "a,b", "i:1,j", "<none>"]),
        ),
        (
            "batch",
            "CronJob",
            json!({"spec": {"schedule": "* * * * *", "suspend": false,
            "jobTemplate": {"spec": {"template": pods}}}}),
            "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE (CONTAINERS) (IMAGES) (SELECTOR)",
            json!([
                "x",
                "* * * * *",
                "<none>",
                "False",
                0,
                "<none>",
                "5m",
                "a,b",
                "i:1,j",
                "<none>"
            ]),
        ),
        (
            "coordination.k8s.io",
            "Lease",
            json!({"spec": {"holderIdentity": "me"}}),
            "NAME HOLDER AGE",
            json!(["x", "me", "5m"]),
        ),
        (
            "rbac.authorization.k8s.io",
            "Role",
            json!({}),
            "NAME CREATED AT",
            json!(["x", "2026-11-23T09:55:00Z"]),
        ),
        (
            "rbac.authorization.k8s.io",
            "RoleBinding",
            json!({"roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "ServiceAccount", "name": "s", "namespace": "n"}, {"kind": "User", "name": "u"}]}),
            "NAME ROLE AGE (USERS) (GROUPS) (SERVICEACCOUNTS)",
            json!(["x", "Role/r", "5m", "u", "", "n/s"]),
        ),
        (
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            json!({}),
            "NAME CREATED AT",
            json!(["x", "2026-11-23T09:55:00Z"]),
        ),
        (
            "networking.k8s.io",
            "Ingress",
            json!({"spec": {"rules": [{"host": "a"}, {"host": "b"}, {"host": "c"}, {"host": "d"}]}}),
            "NAME CLASS HOSTS ADDRESS PORTS AGE",
            json!(["x", "<none>", "a,b,c + 1 more...", "", "80", "5m"]),
        ),
        (
            "policy",
            "PodDisruptionBudget",
            json!({"spec": {"maxUnavailable": "25%"}}),
            "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE",
            json!(["x", "N/A", "25%", 0, "5m"]),
        ),
        (
            "autoscaling",
            "HorizontalPodAutoscaler",
            json!({"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"},
            "maxReplicas": 9, "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}}]}}),
            "NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE",
            json!(["x", "Deployment/d", "cpu: <unknown>/80%", "<unset>", 9, 0, "5m"]),
        ),
    ];
    for (group, kind, object, headings, cells) in table {
        let (found_headings, found_cells) = line(&builtin(group, kind), &object);
        assert_eq!(found_headings, headings, "{kind}");
        assert_eq!(found_cells, cells, "{kind}");
    }
}

#[test]
fn services_say_where_they_are_reached() {
    let table = [
        (json!({"type": "ClusterIP"}), json!({}), "<none>"),
        (
            json!({"type": "ClusterIP", "externalIPs": ["1.2.3.4", "5.6.7.8"]}),
            json!({}),
            "1.2.3.4,5.6.7.8",
        ),
        (json!({"type": "LoadBalancer"}), json!({}), "<pending>"),
        (
            json!({"type": "LoadBalancer", "externalIPs": ["1.2.3.4"]}),
            json!({"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}, {"hostname": "h"}]}}),
            "9.9.9.9,h,1.2.3.4",
        ),
        (json!({"type": "ExternalName", "externalName": "example.com"}), json!({}), "example.com"),
        (json!({}), json!({}), "<unknown>"),
    ];
    for (spec, status, external) in table {
        let (_, cells) = line(&builtin("", "Service"), &json!({"spec": spec, "status": status}));
        assert_eq!(cells[3], external, "{spec}");
    }
}

fn custom(columns: &Value) -> ResourceDefinition {
    let crd = json!({"spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": true, "storage": true, "additionalPrinterColumns": columns,
                      "schema": {"openAPIV3Schema": {"type": "object"}}}],
    }});
    from_crd(&crd).unwrap().remove(0)
}

#[test]
fn custom_columns_fit_their_type_or_stay_empty() {
    let object = json!({"spec": {
        "text": "t", "whole": 3, "part": 2.5, "yes": true, "when": "2026-11-23T09:00:00Z", "list": [1, "a"],
        "map": {"k": "v"}, "conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "False"}],
    }});
    let table = [
        ("string", ".spec.text", json!("t")),
        ("string", ".spec.whole", json!("3")),
        ("string", ".spec.yes", json!("true")),
        ("string", ".spec.list", json!("[1,\"a\"]")),
        ("string", ".spec.map", json!("{\"k\":\"v\"}")),
        ("string", ".spec.missing", Value::Null),
        ("integer", ".spec.whole", json!(3)),
        ("integer", ".spec.part", json!(2)),
        ("integer", ".spec.text", Value::Null),
        ("number", ".spec.part", json!(2.5)),
        ("number", ".spec.yes", Value::Null),
        ("boolean", ".spec.yes", json!(true)),
        ("boolean", ".spec.text", Value::Null),
        ("date", ".spec.when", json!("60m")),
        ("date", ".spec.text", json!("<invalid>")),
        ("date", ".spec.whole", Value::Null),
        ("date", ".spec.missing", Value::Null),
        ("date", ".metadata.creationTimestamp", json!("5m")),
        ("string", ".spec.conditions[?(@.type=='B')].status", json!("False")),
        ("string", ".spec.conditions[*].type", json!("A")),
    ];
    for (column_type, path, cell) in table {
        let columns = json!([{"name": "C", "type": column_type, "jsonPath": path}]);
        let (headings, cells) = line(&custom(&columns), &object);
        assert_eq!((headings.as_str(), &cells[1]), ("NAME C", &cell), "{column_type} {path}");
    }
}

#[test]
fn a_kind_without_columns_shows_its_age() {
    assert_eq!(line(&custom(&json!([])), &json!({})), ("NAME AGE".to_owned(), json!(["x", "5m"])));
}

#[test]
fn rows_carry_what_was_asked_for() {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "resourceVersion": "7"}, "data": {}});
    let definition = builtin("", "ConfigMap");
    let row = |include| {
        render(&definition.columns, &[&object], &Value::Null, include, now())["rows"][0]["object"]
            .clone()
    };
    assert_eq!(row(IncludeObject::None), Value::Null);
    assert_eq!(row(IncludeObject::Object), object);
    assert_eq!(
        row(IncludeObject::Metadata),
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
    );
    let list_meta = json!({"resourceVersion": "9", "continue": "c", "remainingItemCount": 4});
    let table = render(&definition.columns, &[], &list_meta, IncludeObject::Metadata, now());
    assert_eq!((&table["metadata"], &table["rows"]), (&list_meta, &json!([])));
    let one = render(&definition.columns, &[&object], &Value::Null, IncludeObject::Metadata, now());
    assert_eq!(one["metadata"], json!({"resourceVersion": "7"}));
    assert_eq!(IncludeObject::parse("Object"), Some(IncludeObject::Object));
    assert_eq!(IncludeObject::parse("all"), None);
}
