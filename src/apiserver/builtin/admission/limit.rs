//! LimitRanges: what containers get that say nothing, and what they may ask for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    super::{
        ResourceDefinition,
        quota::pod_total,
        types::Quantity,
        value::{entries, items_mut, list, object_at, set, text},
    },
    bare_pod,
};

/// Where a pod says what was added to it.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Gives the containers of a new pod what the LimitRanges of its namespace say.
pub fn limit(definition: &ResourceDefinition, object: &mut Value, ranges: &[Value]) {
    if (definition.group.as_str(), definition.kind.as_str()) != ("", "Pod") {
        return;
    }
    for range in ranges {
        let defaults = |field: &str| -> Map<String, Value> {
            let limits = list(range, "/spec/limits").iter();
            let of_containers = limits.filter(|limit| text(limit, "/type") == "Container");
            let amounts = of_containers.filter_map(|limit| limit.get(field)?.as_object());
            amounts.flatten().map(|(name, amount)| (name.clone(), amount.clone())).collect()
        };
        let (limits, requests) = (defaults("default"), defaults("defaultRequest"));
        let mut said = Vec::new();
        for (kind, title) in [("containers", "container"), ("initContainers", "init container")] {
            for container in items_mut(object, &format!("/spec/{kind}")) {
                let name = text(container, "/name").to_owned();
                for (defaults, field, word) in
                    [(&requests, "requests", "request"), (&limits, "limits", "limit")]
                {
                    let added = fill(container, field, defaults);
                    if !added.is_empty() {
                        said.push(format!("{} {word} for {title} {name}", added.join(", ")));
                    }
                }
            }
        }
        if !said.is_empty()
            && let Some(annotations) =
                object_at(object, "metadata").and_then(|m| object_at(m, "annotations"))
        {
            set(annotations, ANNOTATION, format!("LimitRanger plugin set: {}", said.join("; ")));
        }
    }
    bare_pod::classify(object);
}

/// Puts amounts where a container says none. Answers which, sorted.
fn fill(container: &mut Value, field: &str, defaults: &Map<String, Value>) -> Vec<String> {
    if defaults.is_empty() {
        return Vec::new();
    }
    let Some(given) = object_at(container, "resources")
        .and_then(|resources| object_at(resources, field))
        .and_then(Value::as_object_mut)
    else {
        return Vec::new();
    };
    let mut added = Vec::new();
    for (name, amount) in defaults {
        if !given.contains_key(name) {
            given.insert(name.clone(), amount.clone());
            added.push(name.clone());
        }
    }
    added.sort();
    added
}

/// Why LimitRanges are against an object.
#[must_use]
pub fn exceeds(
    definition: &ResourceDefinition,
    object: &Value,
    ranges: &[Value],
) -> Option<String> {
    let judge = match (definition.group.as_str(), definition.kind.as_str()) {
        ("", "Pod") => of_pod,
        ("", "PersistentVolumeClaim") => of_claim,
        _ => return None,
    };
    let faults = ranges.iter().map(|range| {
        let mut faults: Vec<String> = Vec::new();
        for limit in list(range, "/spec/limits") {
            judge(object, limit, &mut faults);
        }
        let mut seen: Vec<String> = Vec::new();
        for fault in faults {
            if !seen.contains(&fault) {
                seen.push(fault);
            }
        }
        seen
    });
    let faults = faults.into_iter().find(|faults| !faults.is_empty())?;
    Some(match faults.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    })
}

type Amounts = BTreeMap<String, Quantity>;

fn amounts(value: &Value, pointer: &str) -> Amounts {
    let read = |amount: &Value| Quantity::read(amount.as_str()?);
    entries(value, pointer)
        .filter_map(|(name, amount)| Some((name.clone(), read(amount)?)))
        .collect()
}

fn of_pod(pod: &Value, limit: &Value, faults: &mut Vec<String>) {
    match text(limit, "/type") {
        "Container" => {
            let containers = list(pod, "/spec/containers").iter();
            for container in containers.chain(list(pod, "/spec/initContainers")) {
                let requests = amounts(container, "/resources/requests");
                let limits = amounts(container, "/resources/limits");
                bounds("Container", limit, &requests, &limits, faults);
            }
        }
        "Pod" => {
            let (requests, limits) = (pod_total(pod, "requests"), pod_total(pod, "limits"));
            bounds("Pod", limit, &requests, &limits, faults);
        }
        _ => {}
    }
}

fn of_claim(claim: &Value, limit: &Value, faults: &mut Vec<String>) {
    const KIND: &str = "PersistentVolumeClaim";
    if text(limit, "/type") != KIND {
        return;
    }
    let requests = amounts(claim, "/spec/resources/requests");
    for (name, bound) in amounts(limit, "/min") {
        faults.extend(below(KIND, &name, bound, &requests, &Amounts::new()));
    }
    for (name, bound) in amounts(limit, "/max") {
        let said = format!("maximum {name} usage per {KIND} is {bound}");
        match requests.get(&name) {
            None => faults.push(format!("{said}.  No request is specified")),
            Some(asked) if asked.nano > bound.nano => {
                faults.push(format!("{said}, but request is {asked}"));
            }
            Some(_) => {}
        }
    }
}

fn bounds(
    kind: &str,
    limit: &Value,
    requests: &Amounts,
    limits: &Amounts,
    faults: &mut Vec<String>,
) {
    for (name, bound) in amounts(limit, "/min") {
        faults.extend(below(kind, &name, bound, requests, limits));
    }
    for (name, bound) in amounts(limit, "/max") {
        faults.extend(above(kind, &name, bound, requests, limits));
    }
    for (name, bound) in amounts(limit, "/maxLimitRequestRatio") {
        faults.extend(apart(kind, &name, bound, requests, limits));
    }
}

fn below(
    kind: &str,
    name: &str,
    bound: Quantity,
    requests: &Amounts,
    limits: &Amounts,
) -> Option<String> {
    let said = format!("minimum {name} usage per {kind} is {bound}");
    match (requests.get(name), limits.get(name)) {
        (None, _) => Some(format!("{said}.  No request is specified")),
        (Some(asked), _) if asked.nano < bound.nano => {
            Some(format!("{said}, but request is {asked}"))
        }
        (_, Some(most)) if most.nano < bound.nano => Some(format!("{said}, but limit is {most}")),
        _ => None,
    }
}

fn above(
    kind: &str,
    name: &str,
    bound: Quantity,
    requests: &Amounts,
    limits: &Amounts,
) -> Option<String> {
    let said = format!("maximum {name} usage per {kind} is {bound}");
    match (requests.get(name), limits.get(name)) {
        (_, None) => Some(format!("{said}.  No limit is specified")),
        (_, Some(most)) if most.nano > bound.nano => Some(format!("{said}, but limit is {most}")),
        (Some(asked), _) if asked.nano > bound.nano => {
            Some(format!("{said}, but request is {asked}"))
        }
        _ => None,
    }
}

/// Whether a limit is too many times its request.
fn apart(
    kind: &str,
    name: &str,
    bound: Quantity,
    requests: &Amounts,
    limits: &Amounts,
) -> Option<String> {
    let said = format!("{name} max limit to request ratio per {kind} is {bound}, but");
    let some = |amounts: &Amounts| amounts.get(name).filter(|amount| amount.nano > 0).copied();
    let Some(asked) = some(requests) else {
        return Some(format!("{said} no request is specified or request is 0"));
    };
    let Some(most) = some(limits) else {
        return Some(format!("{said} no limit is specified or limit is 0"));
    };
    // As upstream, with the precision of a float.
    let ratio = most.nano as f64 / asked.nano as f64;
    (ratio > bound.nano as f64 / 1e9).then(|| format!("{said} provided ratio is {ratio:.6}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::builtin::catalog;

    fn pods() -> ResourceDefinition {
        catalog().into_iter().find(|d| d.plural == "pods").unwrap()
    }

    #[test]
    fn containers_get_what_they_do_not_say() {
        let range = json!({"spec": {"limits": [{"type": "Container",
            "default": {"cpu": "500m", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}]}});
        let mut pod = json!({"metadata": {}, "spec": {"containers": [
            {"name": "a"}, {"name": "b", "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}}]}});
        limit(&pods(), &mut pod, &[range]);
        let resources = |index: usize| pod["spec"]["containers"][index]["resources"].clone();
        assert_eq!(
            resources(0),
            json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "500m", "memory": "1Gi"}})
        );
        assert_eq!(
            resources(1),
            json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1"}})
        );
        assert_eq!(
            pod["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: cpu request for container a; cpu, memory limit for container a; memory limit \
             for container b"
        );
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let range = |limit: Value| json!({"spec": {"limits": [limit]}});
        let pod = json!({"spec": {"containers": [{"name": "a", "resources": {
            "requests": {"cpu": "100m"}, "limits": {"cpu": "1"}}}]}});
        let cases = [
            (json!({"type": "Container", "min": {"cpu": "50m"}, "max": {"cpu": "1"}}), None),
            (
                json!({"type": "Container", "min": {"cpu": "200m"}}),
                Some("minimum cpu usage per Container is 200m, but request is 100m"),
            ),
            (
                json!({"type": "Pod", "max": {"cpu": "500m"}}),
                Some("maximum cpu usage per Pod is 500m, but limit is 1"),
            ),
            (
                json!({"type": "Container", "max": {"memory": "1Gi"}}),
                Some("maximum memory usage per Container is 1Gi.  No limit is specified"),
            ),
            (
                json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}),
                Some(
                    "cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000",
                ),
            ),
        ];
        for (limit, fault) in cases {
            let found = exceeds(&pods(), &pod, &[range(limit.clone())]);
            assert_eq!(found.as_deref(), fault, "{limit}");
        }
    }
}
