//! Pods themselves, beyond what a template says: defaults, what is given to them when they come, their status.

use serde_json::{Map, Value, json};

use super::{
    super::{
        types::quantity_amount,
        value::{absent, entries, fill, flag, items_mut, list, object_at, set, text},
    },
    Context, pod,
};
use crate::apiserver::object;

/// How long a pod stays on a node that fails, in seconds, unless it says otherwise.
const STAY: i64 = 300;

/// Fills the defaults of a Pod and, when it is new, gives it its first status.
pub(super) fn prepare(pod: &mut Value, old: Option<&Value>, context: &Context<'_>) {
    pod::default_template(pod);
    if let Some(spec) = object_at(pod, "spec") {
        default_spec(spec);
        prioritize(spec, old, context);
        tolerate_failing_nodes(spec);
    }
    match old {
        None => first_status(pod, context),
        Some(old) => keep_status(pod, old),
    }
}

fn default_spec(spec: &mut Value) {
    for kind in ["/containers", "/initContainers"] {
        for container in items_mut(spec, kind) {
            request_limits(container);
        }
    }
    fill(spec, "enableServiceLinks", true);
    if flag(spec, "/hostNetwork") {
        for kind in ["/containers", "/initContainers"] {
            for container in items_mut(spec, kind) {
                for port in items_mut(container, "/ports") {
                    if port.get("hostPort").and_then(Value::as_i64).unwrap_or(0) == 0 {
                        let own = port.get("containerPort").cloned().unwrap_or_default();
                        set(port, "hostPort", own);
                    }
                }
            }
        }
    }
}

/// What is limited and not requested is requested up to its limit.
fn request_limits(container: &mut Value) {
    let Some(limits) = container.pointer("/resources/limits").and_then(Value::as_object) else {
        return;
    };
    let limits: Map<String, Value> = limits.clone();
    if let Some(resources) = object_at(container, "resources")
        && let Some(requests) = object_at(resources, "requests").and_then(Value::as_object_mut)
    {
        for (name, limit) in limits {
            requests.entry(name).or_insert(limit);
        }
    }
}

/// Gives a pod the number of its priority class (the admission plugin Priority).
fn prioritize(spec: &mut Value, old: Option<&Value>, context: &Context<'_>) {
    if let Some(old) = old {
        for field in ["priority", "preemptionPolicy"] {
            if let Some(value) = old.pointer(&format!("/spec/{field}")) {
                fill(spec, field, value.clone());
            }
        }
        return;
    }
    let named = text(spec, "/priorityClassName").to_owned();
    let class = (context.priority_class)(&named);
    if let Some(class) = &class
        && named.is_empty()
    {
        set(spec, "priorityClassName", object::name(class));
    }
    let value = |field: &str| class.as_ref().and_then(|class| class.get(field)).cloned();
    fill(spec, "priority", value("value").unwrap_or(0.into()));
    let policy = value("preemptionPolicy").unwrap_or("PreemptLowerPriority".into());
    fill(spec, "preemptionPolicy", policy);
}

/// Lets a pod stay for a while on a node that fails (the admission plugin DefaultTolerationSeconds).
fn tolerate_failing_nodes(spec: &mut Value) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = list(spec, "/tolerations").iter().any(|toleration| {
            let (of, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
            (of.is_empty() || of == key) && matches!(effect, "" | "NoExecute")
        });
        if tolerated {
            continue;
        }
        let added = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": STAY});
        if absent(spec, "/tolerations") {
            set(spec, "tolerations", json!([]));
        }
        if let Some(list) = spec.get_mut("tolerations").and_then(Value::as_array_mut) {
            list.push(added);
        }
    }
}

fn first_status(pod: &mut Value, context: &Context<'_>) {
    let mut status = json!({"phase": "Pending", "qosClass": quality_of_service(pod)});
    if !list(pod, "/spec/schedulingGates").is_empty() {
        status["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastProbeTime": null, "lastTransitionTime": object::time(context.now),
        }]);
    }
    set(pod, "status", status);
}

/// Says in the status of a pod how safe it is by what it now asks for.
pub(super) fn classify(pod: &mut Value) {
    let class = quality_of_service(pod);
    if let Some(status) = object_at(pod, "status") {
        set(status, "qosClass", class);
    }
}

/// The priority classes that every cluster has.
pub fn system_priority(name: &str) -> Option<Value> {
    let value = match name {
        "system-cluster-critical" => 2_000_000_000,
        "system-node-critical" => 2_000_001_000,
        _ => return None,
    };
    Some(json!({"metadata": {"name": name}, "value": value}))
}

/// The one address of old is the first of all.
fn first_addresses(status: &mut Value) {
    for (one, all) in [("podIP", "podIPs"), ("hostIP", "hostIPs")] {
        let first = text(status, &format!("/{all}/0/ip")).to_owned();
        match text(status, &format!("/{one}")).to_owned() {
            only if !only.is_empty() && only != first => set(status, all, json!([{"ip": only}])),
            only if only.is_empty() && !first.is_empty() => set(status, one, first),
            _ => {}
        }
    }
}

/// What nobody may take from a status by leaving it out.
fn keep_status(pod: &mut Value, old: &Value) {
    let Some(status) = object_at(pod, "status") else { return };
    first_addresses(status);
    for field in ["qosClass", "observedGeneration"] {
        if let Some(value) = old.pointer(&format!("/status/{field}")) {
            fill(status, field, value.clone());
        }
    }
    let mut before: Vec<&Value> = list(old, "/status/conditions").iter().collect();
    for condition in items_mut(status, "/conditions") {
        let same = before.iter().position(|b| text(b, "/type") == text(condition, "/type"));
        if let Some(value) = same.and_then(|at| before.remove(at).get("observedGeneration")) {
            fill(condition, "observedGeneration", value.clone());
        }
    }
}

/// How safe a pod is when a node runs out of something: `Guaranteed` when every container may have exactly what it
/// asks for, `BestEffort` when none asks for anything.
pub(super) fn quality_of_service(pod: &Value) -> &'static str {
    const COUNTED: [&str; 2] = ["cpu", "memory"];
    let positive = |of: &Value| of.as_str().and_then(quantity_amount).is_some_and(|n| n > 0);
    let amounts = |of: &Value, at: &str| -> Vec<(String, Value)> {
        let given = entries(of, at)
            .filter(|(name, value)| COUNTED.contains(&name.as_str()) && positive(value));
        given.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    let whole = spec.get("resources").filter(|resources| resources.is_object());
    let mut parts: Vec<&Value> = Vec::new();
    match whole {
        Some(resources) => parts.push(resources),
        None => {
            let all = list(spec, "/containers").iter().chain(list(spec, "/initContainers"));
            parts.extend(all.map(|c| c.get("resources").unwrap_or(&Value::Null)));
        }
    }
    let (mut any, mut guaranteed) = (false, true);
    for part in parts {
        let (requests, limits) = (amounts(part, "/requests"), amounts(part, "/limits"));
        any |= !requests.is_empty() || !limits.is_empty();
        guaranteed &= limits.len() == COUNTED.len() && requests == limits;
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_of_service_follows_from_resources() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        let table = [
            (json!([{}]), "BestEffort"),
            (json!([{"resources": {"requests": {"cpu": "0"}}}]), "BestEffort"),
            (json!([{"resources": {"requests": {"cpu": "1"}}}]), "Burstable"),
            (json!([{"resources": {"requests": both, "limits": both}}]), "Guaranteed"),
            (json!([{"resources": {"requests": both, "limits": both}}, {}]), "Burstable"),
            (
                json!([{"resources": {"requests": {"cpu": "1", "memory": "1Mi"}, "limits": both}}]),
                "Burstable",
            ),
        ];
        for (containers, class) in table {
            let pod = json!({"spec": {"containers": containers}});
            assert_eq!(quality_of_service(&pod), class, "{pod}");
        }
    }
}
