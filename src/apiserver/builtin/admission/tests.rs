//! What is stored for what is sent, and what is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{catalog, from_crd},
    *,
};
use crate::apiserver::testing::any_json;

fn definition(group: &str, kind: &str) -> ResourceDefinition {
    catalog().into_iter().find(|d| d.group == group && d.kind == kind).unwrap()
}

fn with_context<T>(act: impl FnOnce(&Context<'_>) -> T) -> T {
    let served = catalog();
    act(&Context {
        user: &crate::apiserver::user::User::admin(),
        priority_class: &|_| None,
        now: "2026-11-23T10:00:00Z".parse().unwrap(),
        served: &served,
        cluster_ip_taken: &|_| false,
        node_port_taken: &|_| false,
    })
}

fn created(group: &str, kind: &str, object: &Value) -> Value {
    let definition = definition(group, kind);
    let mut object = object.clone();
    with_context(|context| prepare_create(&definition, &mut object, context));
    definition.schema().apply_defaults(&mut object);
    object
}

fn updated(group: &str, kind: &str, old: &Value, new: &Value) -> Value {
    let mut new = new.clone();
    with_context(|context| prepare_update(&definition(group, kind), old, &mut new, context));
    new
}

/// Everything that is wrong with a new object, by admission and by its schema.
fn faults(group: &str, kind: &str, object: &Value) -> Vec<String> {
    let definition = definition(group, kind);
    let object = created(group, kind, object);
    let mut errors = validate(&definition, &object, None);
    errors.extend(definition.schema().validate(&object, None));
    errors.iter().map(ToString::to_string).collect()
}

fn faults_of_update(group: &str, kind: &str, old: &Value, new: &Value) -> Vec<String> {
    let definition = definition(group, kind);
    let old = created(group, kind, old);
    let new = updated(group, kind, &old, new);
    let mut errors = validate(&definition, &new, Some(&old));
    errors.extend(definition.schema().validate(&new, Some(&old)));
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn namespaces_are_labelled_and_active() {
    assert_eq!(
        created("", "Namespace", &json!({"metadata": {"name": "prod", "labels": {"a": "b"}}})),
        json!({
            "metadata": {"name": "prod", "labels": {"a": "b", "kubernetes.io/metadata.name": "prod"}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        })
    );
}

#[test]
fn secrets_fold_their_texts() {
    let secret = json!({"metadata": {"name": "s", "namespace": "n"}, "data": {"a": "MQ==", "b": "Mg=="},
                        "stringData": {"b": "two", "c": ""}});
    assert_eq!(
        created("", "Secret", &secret),
        json!({"metadata": {"name": "s", "namespace": "n"}, "type": "Opaque",
               "data": {"a": "MQ==", "b": "dHdv", "c": ""}})
    );
}

#[test]
fn deployments_are_defaulted_as_by_kube_apiserver() {
    let sent = json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}, "creationTimestamp": null},
                "spec": {
                    "serviceAccountName": "robot",
                    "volumes": [{"name": "c", "configMap": {"name": "c"}}, {"name": "e"}],
                    "containers": [{
                        "name": "nginx", "image": "nginx:1.27",
                        "ports": [{"containerPort": 80}],
                        "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                        "resources": {"limits": {"memory": "0.5Gi"}},
                        "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 5},
                    }],
                },
            },
        },
    });
    assert_eq!(
        created("apps", "Deployment", &sent),
        json!({
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10,
                "selector": {"matchLabels": {"app": "web"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {
                        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                        "securityContext": {}, "terminationGracePeriodSeconds": 30,
                        "serviceAccount": "robot", "serviceAccountName": "robot",
                        "volumes": [
                            {"name": "c", "configMap": {"name": "c", "defaultMode": 420}},
                            {"name": "e", "emptyDir": {}},
                        ],
                        "containers": [{
                            "name": "nginx", "image": "nginx:1.27", "imagePullPolicy": "IfNotPresent",
                            "ports": [{"containerPort": 80, "protocol": "TCP"}],
                            "env": [{"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}],
                            "resources": {"limits": {"memory": "512Mi"}},
                            "readinessProbe": {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}, "failureThreshold": 3,
                                               "periodSeconds": 5, "successThreshold": 1, "timeoutSeconds": 1},
                            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                        }],
                    },
                },
            },
            "status": {},
        })
    );
}

#[test]
fn services_get_defaults_and_addresses() {
    let sent = json!({"metadata": {"name": "web", "namespace": "default"},
                      "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}, {"port": 443, "name": "s"}]}});
    let service = created("", "Service", &sent);
    let address = service["spec"]["clusterIP"].as_str().unwrap().to_owned();
    assert!(address.starts_with("10.96."), "{address}");
    assert_eq!(
        service["spec"],
        json!({
            "clusterIP": address, "clusterIPs": [address], "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "selector": {"app": "web"}, "sessionAffinity": "None", "type": "ClusterIP",
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": "http"},
                      {"name": "s", "port": 443, "protocol": "TCP", "targetPort": 443}],
        })
    );
    assert_eq!(created("", "Service", &sent), service, "addresses depend on the name only");
    // A manifest applied again has no address, and keeps the one it got.
    assert_eq!(updated("", "Service", &service, &sent)["spec"]["clusterIP"], address.as_str());
}

#[test]
fn taken_addresses_and_ports_are_passed_over() {
    let sent = json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
    let first = created("", "Service", &sent);
    let (ip, port) =
        (first["spec"]["clusterIP"].clone(), first["spec"]["ports"][0]["nodePort"].clone());
    let number = port.as_u64().unwrap();
    assert!((30000..=32767).contains(&number), "{port}");
    let served = catalog();
    let context = Context {
        user: &crate::apiserver::user::User::admin(),
        priority_class: &|_| None,
        now: jiff::Timestamp::UNIX_EPOCH,
        served: &served,
        cluster_ip_taken: &|address| ip == address,
        node_port_taken: &|taken| port == taken,
    };
    let mut second = sent.clone();
    prepare_create(&definition("", "Service"), &mut second, &context);
    assert_ne!(second["spec"]["clusterIP"], ip);
    assert_ne!(second["spec"]["ports"][0]["nodePort"], port);
}

#[test]
fn headless_and_external_services_have_no_address() {
    let spec = |spec: Value| {
        created("", "Service", &json!({"metadata": {"name": "s", "namespace": "n"}, "spec": spec}))
            ["spec"]
            .clone()
    };
    let headless = spec(json!({"clusterIP": "None", "selector": {"a": "b"}}));
    assert_eq!(
        (&headless["clusterIPs"], &headless["ipFamilies"]),
        (&json!(["None"]), &json!(["IPv4"]))
    );
    let bare = spec(json!({"clusterIP": "None"}));
    assert_eq!(
        (&bare["ipFamilyPolicy"], &bare["ipFamilies"]),
        (&json!("RequireDualStack"), &json!(["IPv4", "IPv6"]))
    );
    let external = spec(json!({"type": "ExternalName", "externalName": "example.com"}));
    assert_eq!(
        external,
        json!({"type": "ExternalName", "externalName": "example.com", "sessionAffinity": "None"})
    );
}

#[test]
fn jobs_select_their_own_pods() {
    let job = json!({"metadata": {"name": "j", "namespace": "n", "uid": "u-1"}, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}});
    let job = created("batch", "Job", &job);
    assert_eq!(
        job["spec"]["selector"],
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}})
    );
    assert_eq!(
        job["spec"]["template"]["metadata"]["labels"],
        json!({"batch.kubernetes.io/controller-uid": "u-1", "batch.kubernetes.io/job-name": "j",
               "controller-uid": "u-1", "job-name": "j"})
    );
    assert_eq!((&job["spec"]["backoffLimit"], &job["spec"]["completions"]), (&json!(6), &json!(1)));
}

fn widgets() -> Value {
    json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    })
}

#[test]
fn definitions_are_established() {
    let crd = created("apiextensions.k8s.io", "CustomResourceDefinition", &widgets());
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": "True", "reason": reason, "message": message,
               "lastTransitionTime": "2026-11-23T10:00:00Z"})
    };
    assert_eq!(
        crd["spec"]["names"],
        json!({"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"})
    );
    assert_eq!(crd["spec"]["conversion"], json!({"strategy": "None"}));
    assert_eq!(
        crd["status"],
        json!({
            "acceptedNames": crd["spec"]["names"], "storedVersions": ["v1"],
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
        })
    );
    // A new storage version is added to those that may be stored; the times of conditions stay.
    let mut next = crd.clone();
    next["spec"]["versions"][0]["storage"] = false.into();
    next["spec"]["versions"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "v2", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object"}}}));
    let next = updated("apiextensions.k8s.io", "CustomResourceDefinition", &crd, &next);
    assert_eq!(next["status"]["storedVersions"], json!(["v1", "v2"]));
    assert_eq!(next["status"]["conditions"], crd["status"]["conditions"]);
}

#[test]
fn names_of_others_are_not_accepted() {
    let mut other = widgets();
    other["spec"]["names"] =
        json!({"plural": "gadgets", "kind": "Widget", "singular": "gadget", "shortNames": ["wd"]});
    let served = from_crd(&widgets()).unwrap();
    let context = Context {
        user: &crate::apiserver::user::User::admin(),
        priority_class: &|_| None,
        now: jiff::Timestamp::UNIX_EPOCH,
        served: &served,
        cluster_ip_taken: &|_| false,
        node_port_taken: &|_| false,
    };
    prepare_create(
        &definition("apiextensions.k8s.io", "CustomResourceDefinition"),
        &mut other,
        &context,
    );
    let conditions = &other["status"]["conditions"];
    assert_eq!(conditions[0]["reason"], "KindConflict");
    assert_eq!(conditions[0]["message"], "\"Widget\" is already in use");
    assert_eq!(
        (&conditions[1]["type"], &conditions[1]["status"]),
        (&json!("Established"), &json!("False"))
    );
    assert!(from_crd(&other).unwrap().is_empty());
}

#[test]
fn bad_objects_are_refused_in_the_words_of_kubernetes() {
    const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    let meta = || json!({"name": "x", "namespace": "n"});
    let template = |spec: Value| json!({"metadata": {"labels": {"a": "b"}}, "spec": spec});
    let containers = || json!({"containers": [{"name": "c", "image": "i"}]});
    let deployment = |spec: Value| json!({"metadata": meta(), "spec": spec});
    let selector = || json!({"matchLabels": {"a": "b"}});
    let table: Vec<(&str, &str, Value, Vec<String>)> = vec![
        ("", "Namespace", json!({"metadata": {"name": "A"}}), vec![format!("metadata.name: Invalid value: \"A\": {LABEL}")]),
        ("", "ConfigMap", json!({"metadata": {"namespace": "n"}}), vec!["metadata.name: Required value: name or generateName is required".into()]),
        ("", "ConfigMap", json!({"metadata": meta(), "data": {"a": ""}, "binaryData": {"a": ""}}), vec!["data[a]: Invalid value: \"a\": duplicate of key present in binaryData".into()]),
        ("", "Secret", json!({"metadata": meta(), "type": "kubernetes.io/tls", "data": {"tls.crt": ""}}), vec!["data[tls.key]: Required value".into()]),
        ("", "Service", json!({"metadata": meta(), "spec": {}}), vec!["spec.ports: Required value".into()]),
        ("", "Service", json!({"metadata": meta(), "spec": {"type": "Odd", "ports": [{"port": 70000}]}}), vec![
            "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive".into(),
            "spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive".into(),
            "spec.type: Unsupported value: \"Odd\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"".into(),
        ]),
        ("", "Service", json!({"metadata": meta(), "spec": {"ports": [{"port": 80}, {"port": 80, "name": "b"}]}}), vec![
            "spec.ports[0].name: Required value".into(),
            "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\"NodePort\":0}".into(),
            "spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}".into(),
        ]),
        ("apps", "Deployment", deployment(json!({"selector": selector(), "template": template(json!({"containers": []}))})), vec!["spec.template.spec.containers: Required value".into()]),
        ("apps", "Deployment", deployment(json!({"template": template(containers())})), vec![
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`".into(),
            "spec.selector: Required value".into(),
        ]),
        ("apps", "Deployment", deployment(json!({"selector": {"matchLabels": {"a": "c"}}, "template": template(containers())})), vec!["spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`".into()]),
        ("apps", "Deployment", deployment(json!({"selector": {}, "template": template(containers())})), vec!["spec.selector: Invalid value: {}: empty selector is invalid for deployment".into()]),
        ("apps", "Deployment", deployment(json!({"replicas": -1, "selector": selector(), "template": template(containers())})), vec!["spec.replicas: Invalid value: -1: must be greater than or equal to 0".into()]),
        ("apps", "Deployment", deployment(json!({"selector": selector(), "template": template(json!({"restartPolicy": "Never", "containers": [
            {"name": "C", "ports": [{"containerPort": 0}], "volumeMounts": [{"name": "v", "mountPath": "/v"}],
             "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}, "livenessProbe": {}}]}))})), vec![
            format!("spec.template.spec.containers[0].name: Invalid value: \"C\": {LABEL}"),
            "spec.template.spec.containers[0].image: Required value".into(),
            "spec.template.spec.containers[0].ports[0].containerPort: Required value".into(),
            "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"v\"".into(),
            "spec.template.spec.containers[0].livenessProbe: Required value: must specify a handler type".into(),
            "spec.template.spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1500m".into(),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"".into(),
        ]),
        ("apps", "Deployment", deployment(json!({"selector": selector(), "template": template(containers()), "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}})), vec!["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0".into()]),
        ("batch", "Job", json!({"metadata": {"name": "x", "namespace": "n", "uid": "u"}, "spec": {"template": {"spec": containers()}}}), vec!["spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"".into()]),
        ("rbac.authorization.k8s.io", "Role", json!({"metadata": {"name": "a:b", "namespace": "n"}, "rules": [{"verbs": [], "resources": ["pods"]}]}), vec![
            "rules[0].verbs: Required value: verbs must contain at least one value".into(),
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group".into(),
        ]),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding", json!({"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "Robot", "name": "u"}]}), vec![
            "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"".into(),
            "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\"".into(),
        ]),
        ("coordination.k8s.io", "Lease", json!({"metadata": meta(), "spec": {"leaseDurationSeconds": 0}}), vec!["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0".into()]),
        ("", "Event", json!({"metadata": meta(), "involvedObject": {"namespace": "other"}}), vec!["involvedObject.namespace: Invalid value: \"other\": does not match event.namespace".into()]),
        ("scheduling.k8s.io", "PriorityClass", json!({"metadata": {"name": "p"}, "value": 2_000_000_000}), vec!["value: Forbidden: maximum allowed value of a user defined priority is 1000000000".into()]),
    ];
    for (group, kind, object, said) in table {
        assert_eq!(faults(group, kind, &object), said, "{kind} {object}");
    }
}

#[test]
fn bad_definitions_are_refused() {
    let change = |path: &str, value: Value| {
        let mut crd = widgets();
        *crd.pointer_mut(path).unwrap() = value;
        faults("apiextensions.k8s.io", "CustomResourceDefinition", &crd)
    };
    assert_eq!(faults("apiextensions.k8s.io", "CustomResourceDefinition", &widgets()), [""; 0]);
    assert_eq!(
        change("/metadata/name", json!("x.example.com")),
        [
            "metadata.name: Invalid value: \"x.example.com\": must be spec.names.plural+\".\"+spec.group"
        ]
    );
    assert_eq!(
        change("/spec/scope", json!("World")),
        ["spec.scope: Unsupported value: \"World\": supported values: \"Cluster\", \"Namespaced\""]
    );
    assert!(
        change("/spec/versions/0/storage", json!(false))[0]
            .ends_with(": must have exactly one version marked as storage version")
    );
    assert_eq!(
        change("/spec/versions/0/schema", json!({})),
        ["spec.versions[0].schema.openAPIV3Schema: Required value"]
    );
    assert_eq!(
        change(
            "/spec/versions/0/schema/openAPIV3Schema",
            json!({"type": "object", "properties": {"a": {}}})
        ),
        [
            "spec.versions[0].schema.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields"
        ]
    );
}

#[test]
fn what_is_immutable_stays() {
    let meta = || json!({"name": "x", "namespace": "n"});
    let deployment = |label: &str| {
        json!({"metadata": meta(), "spec": {"selector": {"matchLabels": {"a": label}},
        "template": {"metadata": {"labels": {"a": label}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
    };
    let binding =
        |role: &str| json!({"metadata": meta(), "roleRef": {"kind": "Role", "name": role}});
    let service =
        |ip: &str| json!({"metadata": meta(), "spec": {"clusterIP": ip, "ports": [{"port": 80}]}});
    let table = [
        (
            "apps",
            "Deployment",
            deployment("b"),
            deployment("c"),
            "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"c\"}}: field is immutable",
        ),
        (
            "rbac.authorization.k8s.io",
            "RoleBinding",
            binding("a"),
            binding("b"),
            "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"Role\",\"Name\":\"b\"}: cannot change roleRef",
        ),
        (
            "",
            "Service",
            service("10.96.0.9"),
            service("10.96.0.10"),
            "spec.clusterIPs[0]: Invalid value: [\"10.96.0.10\"]: may not change once set",
        ),
        (
            "",
            "Secret",
            json!({"metadata": meta(), "type": "a"}),
            json!({"metadata": meta(), "type": "b"}),
            "type: Invalid value: \"b\": field is immutable",
        ),
        (
            "",
            "ConfigMap",
            json!({"metadata": meta(), "data": {"a": "1"}, "immutable": true}),
            json!({"metadata": meta(), "data": {"a": "2"}, "immutable": true}),
            "data: Forbidden: field is immutable when `immutable` is set",
        ),
        (
            "",
            "ConfigMap",
            json!({"metadata": meta(), "immutable": true}),
            json!({"metadata": meta()}),
            "immutable: Forbidden: field is immutable when `immutable` is set",
        ),
        (
            "scheduling.k8s.io",
            "PriorityClass",
            json!({"metadata": {"name": "p"}, "value": 1}),
            json!({"metadata": {"name": "p"}, "value": 2}),
            "value: Forbidden: may not be changed in an update.",
        ),
    ];
    for (group, kind, old, new, said) in table {
        assert_eq!(faults_of_update(group, kind, &old, &new), [said], "{kind}");
        assert_eq!(faults_of_update(group, kind, &old, &old), [""; 0], "{kind} unchanged");
    }
}

#[test]
fn labels_owners_and_finalizers_are_judged() {
    let object = json!({"metadata": {
        "name": "x", "namespace": "n", "labels": {"a b": "c d"}, "annotations": {"Example.COM/Key": "fine", "/x": ""},
        "finalizers": ["no slash is fine here, spaces are not"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": ""}],
    }});
    let paths: Vec<String> =
        validate(&definition("", "ConfigMap"), &object, None).into_iter().map(|e| e.path).collect();
    assert_eq!(
        paths,
        [
            "metadata.finalizers",
            "metadata.finalizers[0]",
            "metadata.labels",
            "metadata.labels",
            "metadata.annotations",
            "metadata.ownerReferences.uid",
        ]
    );
}

#[test]
fn custom_objects_have_metadata_in_stored_form() {
    let definition = from_crd(&widgets()).unwrap().remove(0);
    let mut object = json!({"metadata": {"name": "w", "namespace": "n", "labels": {}, "creationTimestamp": null}, "spec": {"a": ""}});
    with_context(|context| prepare_create(&definition, &mut object, context));
    assert_eq!(object, json!({"metadata": {"name": "w", "namespace": "n"}, "spec": {"a": ""}}));
    assert_eq!(validate(&definition, &object, None), []);
    let bad = json!({"metadata": {"name": "W", "namespace": "n"}});
    assert_eq!(validate(&definition, &bad, None).len(), 1);
}

#[test]
fn wrong_types_are_a_bad_request() {
    assert_eq!(
        check_types(&definition("apps", "Deployment"), &json!({"spec": {"replicas": "many"}})),
        Err("json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32".to_owned())
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..crate::properties::config() })]

    #[test]
    fn any_object_is_prepared_once_and_for_all(parts in prop::collection::vec(any_json(), 4), at in 0_usize..64) {
        let catalog = catalog();
        let definition = &catalog[at % catalog.len()];
        let object = json!({
            "metadata": parts[0], "spec": parts[1], "data": parts[2], "rules": parts[3], "subjects": parts[2],
        });
        with_context(|context| {
            for mut object in [object, parts[0].clone()] {
                prepare_create(definition, &mut object, context);
                let _ = (validate(definition, &object, None), check_types(definition, &object));
                let mut again = object.clone();
                prepare_update(definition, &object, &mut again, context);
                prop_assert_eq!(&again, &object, "{}", definition.kind);
                let _ = validate(definition, &again, Some(&object));
            }
            Ok(())
        })?;
    }
}
