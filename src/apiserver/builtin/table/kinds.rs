//! The columns of the built-in kinds, in the order and with the headings of kube-apiserver 1.36's printers.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    super::value::texts,
    Column, ColumnType, autoscaling as hpa, endpoint, event, flow, node, pod, request,
    selector_text, service as svc,
    shared::{Compute, age, column, created_at, marked_name, name, text, whole, wide},
    storage, webhook, workload as work,
};

/// Containers and images of the pod template.
fn of_template() -> [Column; 2] {
    [
        wide("Containers", "Names of the containers in the pod template.", work::containers),
        wide("Images", "Images of the containers in the pod template.", work::images),
    ]
}

fn selector(cell: Compute) -> Column {
    wide("Selector", "Labels of the pods that belong to the object.", cell)
}

fn string_at(object: &Value, path: &str) -> Value {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default().into()
}

fn count_at(object: &Value, paths: &[&str]) -> usize {
    paths.iter().filter_map(|p| object.pointer(p)?.as_object()).map(serde_json::Map::len).sum()
}

/// The columns of a built-in kind. Kinds without columns of their own get the name and the creation time.
pub(in crate::apiserver::builtin) fn columns_of(group: &str, kind: &str) -> Vec<Column> {
    let mut columns = Vec::with_capacity(10);
    if !matches!(kind, "Event" | "IngressClass") && group != "storage.k8s.io" {
        columns.push(name());
    }
    columns.extend(match group {
        "" => core(kind),
        "apps" | "batch" => workload(kind),
        "storage.k8s.io" => storage::of_group(kind),
        "admissionregistration.k8s.io" => webhook::columns(kind),
        "certificates.k8s.io" => request::certificate(),
        "resource.k8s.io" => request::device(kind),
        _ => other(kind),
    });
    columns
}

fn core(kind: &str) -> Vec<Column> {
    match kind {
        "Namespace" => vec![
            text("Status", "Whether the namespace is active or terminating.", |o, _| {
                string_at(o, "/status/phase")
            }),
            age(),
        ],
        "ConfigMap" => vec![
            text("Data", "Number of entries.", |o, _| {
                count_at(o, &["/data", "/binaryData"]).into()
            }),
            age(),
        ],
        "Secret" => vec![
            text("Type", "What the secret is for.", |o, _| string_at(o, "/type")),
            text("Data", "Number of entries.", |o, _| count_at(o, &["/data"]).into()),
            age(),
        ],
        "ServiceAccount" => vec![age()],
        "Service" => vec![
            text("Type", "How the service is reached.", svc::service_type),
            text("Cluster-IP", "Address of the service in the cluster.", svc::cluster_ip),
            text("External-IP", "Addresses from outside the cluster.", svc::external_ip),
            text("Port(s)", "Ports that the service listens on.", svc::ports),
            age(),
            wide("Selector", "Labels of the pods behind the service.", svc::selector),
        ],
        "Event" => events(),
        "ResourceQuota" => vec![
            text("Request", "Used and allowed amounts.", |o, _| quota(o, false)),
            text("Limit", "Used and allowed limits.", |o, _| quota(o, true)),
            age(),
        ],
        "PersistentVolumeClaim" => volume_claim(),
        "PersistentVolume" => storage::volume(),
        "Pod" => pod::columns(),
        "Node" => node::columns(),
        "Endpoints" => endpoint::columns(),
        "PodTemplate" => vec![
            text("Containers", "Names of the containers.", |o, _| {
                work::of_containers(o.get("template"), "name")
            }),
            text("Images", "Images of the containers.", |o, _| {
                work::of_containers(o.get("template"), "image")
            }),
            text("Pod Labels", "Labels of the pods.", |o, _| {
                selector_text::labels(o.pointer("/template/metadata/labels")).into()
            }),
        ],
        "ReplicationController" => {
            let [containers, images] = of_template();
            vec![
                whole("Desired", "Pods that are wanted.", work::desired),
                whole("Current", "Pods that there are.", work::current),
                whole("Ready", "Pods that are ready.", work::ready_count),
                age(),
                containers,
                images,
                selector(|o, _| selector_text::labels(o.pointer("/spec/selector")).into()),
            ]
        }
        _ => vec![created_at()],
    }
}

fn events() -> Vec<Column> {
    vec![
        text("Last Seen", "Since it last happened.", event::last_seen),
        text("Type", "Normal or Warning.", event::event_type),
        text("Reason", "Why, in one word.", event::reason),
        text("Object", "What it happened to.", event::object),
        wide("Subobject", "Which part of the object.", event::sub_object),
        wide("Source", "Who reported it.", event::source),
        text("Message", "What happened.", event::message),
        wide("First Seen", "Since it first happened.", event::first_seen),
        wide("Count", "How often it happened.", event::count),
        wide("Name", "Name of the event.", |o, _| string_at(o, "/metadata/name")),
    ]
}

/// `name: used/hard` of the resources that are limits, or of the others.
fn quota(object: &Value, limits: bool) -> Value {
    let at = |path: &str| object.pointer(path).and_then(Value::as_object);
    let amount = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(n)) => n.to_string(),
        _ => "0".to_owned(),
    };
    let used = at("/status/used");
    let parts: Vec<String> = at("/status/hard")
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.starts_with("limits.") == limits)
        .map(|(name, hard)| {
            format!("{name}: {}/{}", amount(used.and_then(|u| u.get(name))), amount(Some(hard)))
        })
        .collect();
    parts.join(", ").into()
}

fn volume_claim() -> Vec<Column> {
    /// Status numbers only count for a claim that has a volume.
    fn bound(claim: &Value) -> bool {
        string_at(claim, "/spec/volumeName") != ""
    }
    fn or_unset(claim: &Value, path: &str) -> Value {
        claim.pointer(path).and_then(Value::as_str).unwrap_or("<unset>").into()
    }
    vec![
        text("Status", "Whether the claim is bound.", |o, _| {
            match o.pointer("/metadata/deletionTimestamp") {
                None => string_at(o, "/status/phase"),
                Some(_) => "Terminating".into(),
            }
        }),
        text("Volume", "The volume that serves the claim.", |o, _| {
            string_at(o, "/spec/volumeName")
        }),
        text("Capacity", "Size of the volume.", |o, _| {
            if bound(o) { string_at(o, "/status/capacity/storage") } else { "".into() }
        }),
        text("Access Modes", "How the volume may be mounted.", |o, _| {
            let modes = o.pointer("/status/accessModes").and_then(Value::as_array);
            match modes {
                Some(modes) if bound(o) => storage::access_modes(modes).into(),
                _ => "".into(),
            }
        }),
        text("StorageClass", "Class that provides the volume.", |o, _| {
            string_at(o, "/spec/storageClassName")
        }),
        text("VolumeAttributesClass", "Class of the volume's attributes.", |o, _| {
            or_unset(o, "/spec/volumeAttributesClassName")
        }),
        age(),
        wide("VolumeMode", "Filesystem or Block.", |o, _| or_unset(o, "/spec/volumeMode")),
    ]
}

fn workload(kind: &str) -> Vec<Column> {
    let [containers, images] = of_template();
    match kind {
        "Deployment" => vec![
            text("Ready", "Pods that are ready, of those wanted.", work::ready),
            text("Up-to-date", "Pods of the newest template.", work::up_to_date),
            text("Available", "Pods that are available.", work::available),
            age(),
            containers,
            images,
            selector(work::deployment_selector),
        ],
        "ReplicaSet" => vec![
            whole("Desired", "Pods that are wanted.", work::desired),
            whole("Current", "Pods that there are.", work::current),
            whole("Ready", "Pods that are ready.", work::ready_count),
            age(),
            containers,
            images,
            selector(work::selector),
        ],
        "StatefulSet" => vec![
            text("Ready", "Pods that are ready, of those wanted.", work::ready),
            age(),
            containers,
            images,
        ],
        "DaemonSet" => vec![
            whole("Desired", "Nodes that should run a pod.", work::daemons_desired),
            whole("Current", "Nodes that run a pod.", work::daemons_current),
            whole("Ready", "Nodes whose pod is ready.", work::daemons_ready),
            whole("Up-to-date", "Nodes with the newest template.", work::daemons_updated),
            whole("Available", "Nodes whose pod is available.", work::daemons_available),
            text("Node Selector", "Labels of the nodes.", work::node_selector),
            age(),
            containers,
            images,
            selector(work::selector),
        ],
        "Job" => vec![
            text("Status", "What the job is doing.", work::job_status),
            text("Completions", "Pods that succeeded, of those wanted.", work::completions),
            text("Duration", "How long the job ran.", work::duration),
            age(),
            containers,
            images,
            selector(work::selector),
        ],
        "CronJob" => vec![
            text("Schedule", "When jobs start.", work::schedule),
            text("Timezone", "Time zone of the schedule.", work::time_zone),
            column("Suspend", ColumnType::Boolean, 0, "Whether the schedule rests.", work::suspend),
            whole("Active", "Jobs that run.", work::active),
            text("Last Schedule", "Since a job last started.", work::last_schedule),
            age(),
            containers,
            images,
            selector(work::cron_selector),
        ],
        "ControllerRevision" => vec![
            text("Controller", "What it is a revision of.", work::controller),
            text("Revision", "Which revision it is.", |o, _| {
                o.get("revision").and_then(Value::as_i64).unwrap_or(0).into()
            }),
            age(),
        ],
        _ => vec![created_at()],
    }
}

fn other(kind: &str) -> Vec<Column> {
    match kind {
        "Event" => events(),
        "Lease" => vec![
            text("Holder", "Who holds the lease.", |o, _| string_at(o, "/spec/holderIdentity")),
            age(),
        ],
        "RoleBinding" | "ClusterRoleBinding" => vec![
            text("Role", "The role that is granted.", |o, _| {
                let part = |path: &str| o.pointer(path).and_then(Value::as_str).unwrap_or_default();
                format!("{}/{}", part("/roleRef/kind"), part("/roleRef/name")).into()
            }),
            age(),
            wide("Users", "Users that get it.", |o, _| subjects(o, "User")),
            wide("Groups", "Groups that get it.", |o, _| subjects(o, "Group")),
            wide("ServiceAccounts", "Service accounts that get it.", |o, _| {
                subjects(o, "ServiceAccount")
            }),
        ],
        "Ingress" => vec![
            text("Class", "Class of the controller.", svc::ingress_class),
            text("Hosts", "Hosts that rules match.", svc::hosts),
            text("Address", "Addresses of the load balancer.", svc::address),
            text("Ports", "Ports that are open.", svc::ingress_ports),
            age(),
        ],
        "IngressClass" => vec![
            marked_name(|class| {
                let annotations = class.pointer("/metadata/annotations");
                annotations
                    .and_then(|a| a.get("ingressclass.kubernetes.io/is-default-class"))
                    .is_some_and(|value| value == "true")
            }),
            text("Controller", "Who acts on ingresses.", |o, _| string_at(o, "/spec/controller")),
            text("Parameters", "More settings.", svc::class_parameters),
            age(),
        ],
        "EndpointSlice" => endpoint::slice(),
        "APIService" => vec![
            text("Service", "Who answers.", |o, _| match o.pointer("/spec/service") {
                Some(service) if service.is_object() => {
                    let part = |field: &str| service[field].as_str().unwrap_or_default();
                    format!("{}/{}", part("namespace"), part("name")).into()
                }
                _ => "Local".into(),
            }),
            text("Available", "Whether it answers.", available),
            age(),
        ],
        "FlowSchema" => flow::schema(),
        "PriorityLevelConfiguration" => flow::level(),
        "ServiceCIDR" => vec![
            text("CIDRs", "The ranges.", |o, _| texts(o, "/spec/cidrs").join(",").into()),
            age(),
        ],
        "IPAddress" => vec![text("ParentRef", "Who has the address.", parent)],
        "RuntimeClass" => node::runtime_class(),
        "NetworkPolicy" => vec![
            text("Pod-Selector", "Labels of the pods it applies to.", |o, _| {
                selector_text::selector(o.pointer("/spec/podSelector")).into()
            }),
            age(),
        ],
        "PodDisruptionBudget" => vec![
            text("Min Available", "Pods that must stay available.", |o, _| {
                bound(o, "minAvailable")
            }),
            text("Max Unavailable", "Pods that may be unavailable.", |o, _| {
                bound(o, "maxUnavailable")
            }),
            whole("Allowed Disruptions", "Pods that may be disrupted now.", |o, _| {
                o.pointer("/status/disruptionsAllowed").and_then(Value::as_i64).unwrap_or(0).into()
            }),
            age(),
        ],
        "HorizontalPodAutoscaler" => vec![
            text("Reference", "What is scaled.", hpa::reference),
            text("Targets", "Metrics: current and wanted.", hpa::targets),
            text("MinPods", "Fewest pods.", hpa::min_replicas),
            text("MaxPods", "Most pods.", hpa::max_replicas),
            text("Replicas", "Pods that there are.", hpa::current_replicas),
            age(),
        ],
        "PriorityClass" => vec![
            whole("Value", "The priority; higher goes first.", |o, _| {
                o.get("value").and_then(Value::as_i64).unwrap_or_default().into()
            }),
            column(
                "Global-Default",
                ColumnType::Boolean,
                0,
                "Whether pods get it by default.",
                |o, _| o.get("globalDefault").and_then(Value::as_bool).unwrap_or_default().into(),
            ),
            age(),
            text("PreemptionPolicy", "Whether lower priorities give way.", |o, _| {
                string_at(o, "/preemptionPolicy")
            }),
        ],
        _ => vec![created_at()],
    }
}

/// `True`, or what else is said of the condition and why.
fn available(service: &Value, _: Timestamp) -> Value {
    let conditions = service.pointer("/status/conditions").and_then(Value::as_array);
    let found = conditions.into_iter().flatten().find(|c| c["type"] == "Available");
    let Some(condition) = found else { return "Unknown".into() };
    let part = |field: &str| condition[field].as_str().unwrap_or_default();
    match (part("status"), part("reason")) {
        (status, "") | (status @ "True", _) => status.into(),
        (status, reason) => format!("{status} ({reason})").into(),
    }
}

/// `services/namespace/name`.
fn parent(address: &Value, _: Timestamp) -> Value {
    let part = |field: &str| {
        let at = address.pointer("/spec/parentRef").and_then(|parent| parent.get(field));
        at.and_then(Value::as_str).unwrap_or_default()
    };
    if part("resource").is_empty() {
        return "<none>".into();
    }
    let mut whole = part("resource").to_owned();
    for (before, field) in [(".", "group"), ("/", "namespace")] {
        if !part(field).is_empty() {
            whole = format!("{whole}{before}{}", part(field));
        }
    }
    format!("{}/{}", whole.to_lowercase(), part("name")).into()
}

fn bound(object: &Value, name: &str) -> Value {
    match object.get("spec").and_then(|spec| spec.get(name)) {
        Some(Value::String(text)) => text.as_str().into(),
        Some(Value::Number(n)) => n.to_string().into(),
        _ => "N/A".into(),
    }
}

fn subjects(binding: &Value, kind: &str) -> Value {
    let subjects = binding.get("subjects").and_then(Value::as_array);
    let names: Vec<String> = subjects
        .into_iter()
        .flatten()
        .filter(|s| s.get("kind").and_then(Value::as_str) == Some(kind))
        .map(|s| {
            let text = |name: &str| s.get(name).and_then(Value::as_str).unwrap_or_default();
            match text("namespace") {
                "" => text("name").to_owned(),
                namespace if kind == "ServiceAccount" => format!("{namespace}/{}", text("name")),
                _ => text("name").to_owned(),
            }
        })
        .collect();
    names.join(", ").into()
}
