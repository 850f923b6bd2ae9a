//! How much a pod uses, and which quotas look at it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::{
        types::Quantity,
        value::{list, number, text},
    },
    amounts::Amounts,
};

/// What pods are counted by.
const NAMES: [&str; 10] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
];

/// What every container of a pod has to say once a quota counts it.
const TO_BE_SAID: [&str; 6] =
    ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// Whether this name in a quota is about pods.
pub(super) fn is_about(name: &str) -> bool {
    let requested = name.strip_prefix("requests.").unwrap_or_default();
    let is_extended = requested.contains('/') && !requested.contains("kubernetes.io/");
    NAMES.contains(&name)
        || is_extended
        || name.starts_with("hugepages-")
        || requested.starts_with("hugepages-")
        || requested.starts_with("deviceclass.resource.kubernetes.io/")
}

/// How much a pod uses, unless it has ended.
pub(super) fn usage(pod: &Value) -> Amounts {
    if matches!(text(pod, "/status/phase"), "Failed" | "Succeeded") {
        return Amounts::default();
    }
    of_resources(&total(pod, "requests"), &total(pod, "limits"))
}

/// Requests or limits of a whole pod: of its containers together, or of the one that starts before them, if that needs
/// more.
pub(in crate::apiserver::builtin) fn total(pod: &Value, which: &str) -> Amounts {
    let of = |container: &Value| Amounts::read(container.pointer(&format!("/resources/{which}")));
    let mut all = Amounts::default();
    for container in list(pod, "/spec/containers") {
        all.add(&of(container));
    }
    let (mut beside, mut first) = (Amounts::default(), Amounts::default());
    for container in list(pod, "/spec/initContainers") {
        let mut needed = of(container);
        if text(container, "/restartPolicy") == "Always" {
            all.add(&needed);
            beside.add(&needed);
            needed = beside.clone();
        } else {
            needed.add(&beside);
        }
        first.raise(&needed);
    }
    all.raise(&first);
    let whole = Amounts::read(pod.pointer(&format!("/spec/resources/{which}")));
    all.0.extend(whole.0);
    if which == "requests" {
        // What the pod takes beside its containers.
        all.add(&Amounts::read(pod.pointer("/spec/overhead")));
    }
    all
}

fn of_resources(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut amounts = Amounts::default();
    amounts.put("pods", Quantity::of(1));
    for (name, amount) in &requests.0 {
        let is_plain = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage")
            || name.starts_with("hugepages-");
        if is_plain {
            amounts.put(name.as_str(), *amount);
        }
        amounts.put(format!("requests.{name}"), *amount);
    }
    for name in ["cpu", "memory", "ephemeral-storage"] {
        if let Some(amount) = limits.0.get(name) {
            amounts.put(format!("limits.{name}"), *amount);
        }
    }
    amounts
}

/// What of these names some container does not say and has to: `limits.cpu for: a,b; …`.
pub(super) fn unsaid(pod: &Value, names: &Amounts) -> Option<String> {
    if pod.pointer("/spec/resources").is_some_and(Value::is_object) {
        return None;
    }
    let mut missing = Vec::new();
    for name in TO_BE_SAID.iter().filter(|name| names.0.contains_key(**name)) {
        let containers = list(pod, "/spec/containers").iter();
        let silent: BTreeSet<&str> = containers
            .chain(list(pod, "/spec/initContainers"))
            .filter(|container| {
                let of =
                    |which: &str| Amounts::read(container.pointer(&format!("/resources/{which}")));
                !of_resources(&of("requests"), &of("limits")).0.contains_key(*name)
            })
            .map(|container| text(container, "/name"))
            .collect();
        if !silent.is_empty() {
            let silent: Vec<&str> = silent.into_iter().collect();
            missing.push(format!("{name} for: {}", silent.join(",")));
        }
    }
    missing.sort();
    (!missing.is_empty()).then(|| format!("must specify {}", missing.join("; ")))
}

/// Whether a scope of a quota takes a pod in.
pub(super) fn is_in(pod: &Value, scope: &Value) -> bool {
    let class = text(pod, "/spec/priorityClassName");
    let is_terminating = number(pod, "/spec/activeDeadlineSeconds").is_some_and(|n| n >= 0);
    match text(scope, "/scopeName") {
        "Terminating" => is_terminating,
        "NotTerminating" => !is_terminating,
        "BestEffort" => is_best_effort(pod),
        "NotBestEffort" => !is_best_effort(pod),
        "PriorityClass" => {
            let listed = list(scope, "/values").iter().any(|value| value == class);
            match text(scope, "/operator") {
                "Exists" => !class.is_empty(),
                "DoesNotExist" => class.is_empty(),
                "In" => !class.is_empty() && listed,
                "NotIn" => class.is_empty() || !listed,
                _ => false,
            }
        }
        "CrossNamespacePodAffinity" => crosses_namespaces(pod),
        _ => false,
    }
}

/// Whether a pod asks for a deadline, which moves it from one scope to another.
pub(super) fn is_terminating(pod: &Value) -> bool {
    number(pod, "/spec/activeDeadlineSeconds").is_some_and(|seconds| seconds >= 0)
}

fn is_best_effort(pod: &Value) -> bool {
    match text(pod, "/status/qosClass") {
        "" => ["requests", "limits"].iter().all(|which| {
            let of_pod = total(pod, which).positive();
            !of_pod.0.contains_key("cpu") && !of_pod.0.contains_key("memory")
        }),
        class => class == "BestEffort",
    }
}

fn crosses_namespaces(pod: &Value) -> bool {
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let at = |field: &str| list(pod, &format!("/spec/affinity/{kind}/{field}")).iter();
        let weighted = at("preferredDuringSchedulingIgnoredDuringExecution");
        let weighted = weighted.filter_map(|term| term.get("podAffinityTerm"));
        at("requiredDuringSchedulingIgnoredDuringExecution").chain(weighted).any(|term| {
            !list(term, "/namespaces").is_empty()
                || term.get("namespaceSelector").is_some_and(|selector| !selector.is_null())
        })
    })
}
