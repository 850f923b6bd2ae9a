//! HorizontalPodAutoscalers: one store, two versions.
//!
//! What is stored is `autoscaling/v2`. `autoscaling/v1` knows of one measure, the use of CPU; it keeps all others in
//! annotations, in forms of its own, so that nothing is lost for those who write back what they read.

use serde_json::{Map, Value, json};

use super::{
    types::{self, TYPES},
    value::{entries, fill, list, object_at, set, text},
};

const V1: &str = "autoscaling/v1";
const V2: &str = "autoscaling/v2";
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// Where a part of a metric is in v2, and its name in v1.
type Part = (&'static str, &'static str);
type Parts = &'static [Part];

/// The kinds of metrics: the word for `type`, the field, and where each part is in v2 and in v1, in the order of v1. `N` stands for
/// the word for its numbers: `target` for what is wanted, `current` for what is there.
const KINDS: &[(&str, &str, Parts)] = &[
    ("Resource", "resource", &[("/name", "name"), UTILIZATION, AVERAGE]),
    (
        "ContainerResource",
        "containerResource",
        &[("/name", "name"), UTILIZATION, AVERAGE, ("/container", "container")],
    ),
    ("Pods", "pods", &[NAME, AVERAGE, ("/metric/selector", "selector")]),
    (
        "Object",
        "object",
        &[
            ("/describedObject", "target"),
            NAME,
            ("/N/value", "NValue"),
            ("/metric/selector", "selector"),
            ("/N/averageValue", "averageValue"),
        ],
    ),
    (
        "External",
        "external",
        &[NAME, ("/metric/selector", "metricSelector"), ("/N/value", "NValue"), AVERAGE],
    ),
];
const NAME: Part = ("/metric/name", "metricName");
const AVERAGE: Part = ("/N/averageValue", "NAverageValue");
const UTILIZATION: Part = ("/N/averageUtilization", "NAverageUtilization");

/// Fills the defaults of a HorizontalPodAutoscaler.
pub(super) fn fill_defaults(object: &mut Value) {
    let Some(spec) = object_at(object, "spec") else { return };
    fill(spec, "minReplicas", 1);
    if list(spec, "/metrics").is_empty() {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        set(spec, "metrics", json!([metric]));
    }
    let Some(behavior) = spec.get_mut("behavior").filter(|b| b.is_object()) else { return };
    let up = [("Pods", 4, 15), ("Percent", 100, 15)];
    let down = [("Percent", 100, 15)];
    for (direction, policies) in [("scaleUp", &up[..]), ("scaleDown", &down[..])] {
        if let Some(rules) = object_at(behavior, direction) {
            fill(rules, "selectPolicy", "Max");
            if direction == "scaleUp" {
                fill(rules, "stabilizationWindowSeconds", 0);
            }
            if list(rules, "/policies").is_empty() {
                let policies: Vec<Value> = policies
                    .iter()
                    .map(|(kind, value, seconds)| {
                        json!({"type": kind, "value": value, "periodSeconds": seconds})
                    })
                    .collect();
                set(rules, "policies", policies);
            }
        }
    }
}

/// The v1 form of a stored object.
pub(in crate::apiserver) fn to_v1(mut object: Value) -> Value {
    set(&mut object, "apiVersion", V1);
    let mut kept = Map::new();
    if let Some(spec) = object_at(&mut object, "spec") {
        let (metrics, behavior) = (take(spec, "metrics"), take(spec, "behavior"));
        let (cpu, others) = split(&metrics, "target");
        if let Some(cpu) = cpu {
            set(spec, "targetCPUUtilizationPercentage", cpu);
        }
        if !others.is_empty() {
            let others: Vec<String> = others.iter().map(|m| metric_to_v1(m, "target")).collect();
            kept.insert(METRICS.to_owned(), format!("[{}]", others.join(",")).into());
        }
        if behavior.is_object() {
            kept.insert(BEHAVIOR.to_owned(), behavior_to_v1(&behavior).into());
        }
    }
    if let Some(status) = object_at(&mut object, "status") {
        let (metrics, conditions) = (take(status, "currentMetrics"), take(status, "conditions"));
        if let (Some(cpu), _) = split(&metrics, "current") {
            set(status, "currentCPUUtilizationPercentage", cpu);
        }
        let all: Vec<String> =
            list(&metrics, "").iter().map(|m| metric_to_v1(m, "current")).collect();
        if !all.is_empty() {
            kept.insert(CURRENT.to_owned(), format!("[{}]", all.join(",")).into());
        }
        if !list(&conditions, "").is_empty() {
            kept.insert(CONDITIONS.to_owned(), conditions.to_string().into());
        }
    }
    if !kept.is_empty()
        && let Some(metadata) = object_at(&mut object, "metadata")
        && let Some(Value::Object(annotations)) = object_at(metadata, "annotations")
    {
        annotations.extend(kept);
    }
    normal("v1", object)
}

/// The stored form of a v1 object.
pub(in crate::apiserver) fn from_v1(mut object: Value) -> Value {
    set(&mut object, "apiVersion", V2);
    let mut kept = |name: &str| -> Value {
        let annotations =
            object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
        let text = annotations.and_then(|all| all.remove(name)).unwrap_or_default();
        text.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    };
    let (metrics, behavior) = (kept(METRICS), kept(BEHAVIOR));
    let (current, conditions) = (kept(CURRENT), kept(CONDITIONS));
    if entries(&object, "/metadata/annotations").next().is_none()
        && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.remove("annotations");
    }
    if let Some(spec) = object_at(&mut object, "spec") {
        let cpu = take(spec, "targetCPUUtilizationPercentage");
        let cpu = cpu.is_number().then(|| {
            let target = json!({"type": "Utilization", "averageUtilization": cpu});
            json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
        });
        let others = list(&metrics, "").iter().map(|m| metric_to_v2(m, "target"));
        let all: Vec<Value> = cpu.into_iter().chain(others).collect();
        if !all.is_empty() {
            set(spec, "metrics", all);
        }
        if behavior.is_object() {
            set(spec, "behavior", uncapitalized(behavior));
        }
    }
    if let Some(status) = object_at(&mut object, "status") {
        let cpu = take(status, "currentCPUUtilizationPercentage");
        let mut all: Vec<Value> =
            list(&current, "").iter().map(|m| metric_to_v2(m, "current")).collect();
        if all.is_empty() && cpu.is_number() {
            let current = json!({"averageUtilization": cpu, "averageValue": "0"});
            all =
                vec![json!({"type": "Resource", "resource": {"name": "cpu", "current": current}})];
        }
        if !all.is_empty() {
            set(status, "currentMetrics", all);
        }
        if conditions.is_array() {
            set(status, "conditions", conditions);
        }
    }
    fill_defaults(&mut object);
    normal("v2", object)
}

fn normal(version: &str, mut object: Value) -> Value {
    if let Some(id) = TYPES.kind("autoscaling", version, "HorizontalPodAutoscaler") {
        types::normalize(id, &mut object);
    }
    object
}

fn take(object: &mut Value, field: &str) -> Value {
    object.as_object_mut().and_then(|fields| fields.remove(field)).unwrap_or_default()
}

/// The share of CPU in v2 metrics, and all that say something else.
fn split<'v>(metrics: &'v Value, numbers: &str) -> (Option<Value>, Vec<&'v Value>) {
    let at = format!("/resource/{numbers}/averageUtilization");
    let share = |metric: &Value| {
        let is_cpu = text(metric, "/type") == "Resource" && text(metric, "/resource/name") == "cpu";
        metric.pointer(&at).filter(|share| is_cpu && share.is_number()).cloned()
    };
    let first = list(metrics, "").iter().find_map(share);
    (first, list(metrics, "").iter().filter(|metric| share(metric).is_none()).collect())
}

/// The field of v1 for numbers that are called `target` or `current`.
fn field_of(field: &str, numbers: &str) -> String {
    match field.strip_prefix('N') {
        Some(rest) => format!("{numbers}{rest}"),
        None => field.to_owned(),
    }
}

/// A metric as v1 writes it, with its fields in order: clients read the text.
fn metric_to_v1(metric: &Value, numbers: &str) -> String {
    let kind = text(metric, "/type");
    let Some((_, field, parts)) = KINDS.iter().find(|(of, ..)| *of == kind) else {
        return metric.to_string();
    };
    let within = metric.get(*field).unwrap_or(&Value::Null);
    let parts = parts.iter().filter_map(|(from, to)| {
        let value = within.pointer(&from.replace("/N/", &format!("/{numbers}/")))?;
        let printed = match *to {
            "target" => ordered(value, &["kind", "name", "apiVersion"]),
            _ => value.to_string(),
        };
        Some(format!("\"{}\":{printed}", field_of(to, numbers)))
    });
    let parts: Vec<String> = parts.collect();
    format!("{{\"type\":\"{kind}\",\"{field}\":{{{}}}}}", parts.join(","))
}

fn metric_to_v2(metric: &Value, numbers: &str) -> Value {
    let kind = text(metric, "/type");
    let Some((_, field, parts)) = KINDS.iter().find(|(of, ..)| *of == kind) else {
        return metric.clone();
    };
    let mut made = json!({});
    for (to, from) in *parts {
        let Some(value) = metric.get(*field).and_then(|m| m.get(field_of(from, numbers))) else {
            continue;
        };
        let to = to.replace("/N/", &format!("/{numbers}/"));
        let mut at = &mut made;
        for step in to.split('/').skip(1) {
            at = &mut at[step];
        }
        *at = value.clone();
    }
    if numbers == "target" && made["target"].is_object() {
        let has = |field: &str| made["target"].get(field).is_some();
        let word = match (has("averageUtilization"), has("averageValue")) {
            (true, _) => "Utilization",
            (_, true) => "AverageValue",
            _ => "Value",
        };
        made["target"]["type"] = word.into();
    }
    json!({"type": kind, *field: made})
}

fn ordered(value: &Value, fields: &[&str]) -> String {
    let given = fields.iter().filter_map(|field| Some((field, value.get(field)?)));
    let given: Vec<String> = given.map(|(field, value)| format!("\"{field}\":{value}")).collect();
    format!("{{{}}}", given.join(","))
}

/// How fast to scale, under the names that it has within kube-apiserver.
fn behavior_to_v1(behavior: &Value) -> String {
    let at = |value: &Value, field: &str| value.get(field).cloned().unwrap_or_default().to_string();
    let rules = |direction: &str| {
        let Some(rules) = behavior.get(direction).filter(|rules| rules.is_object()) else {
            return "null".to_owned();
        };
        let policies: Vec<String> = list(rules, "/policies")
            .iter()
            .map(|policy| {
                let [kind, value, seconds] =
                    ["type", "value", "periodSeconds"].map(|field| at(policy, field));
                format!("{{\"Type\":{kind},\"Value\":{value},\"PeriodSeconds\":{seconds}}}")
            })
            .collect();
        let [window, select, tolerance] =
            ["stabilizationWindowSeconds", "selectPolicy", "tolerance"].map(|f| at(rules, f));
        format!(
            "{{\"StabilizationWindowSeconds\":{window},\"SelectPolicy\":{select},\"Policies\":[{}],\
             \"Tolerance\":{tolerance}}}",
            policies.join(",")
        )
    };
    format!("{{\"ScaleUp\":{},\"ScaleDown\":{}}}", rules("scaleUp"), rules("scaleDown"))
}

fn uncapitalized(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(uncapitalized).collect(),
        Value::Object(fields) => {
            let named =
                fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
                    let mut letters = name.chars();
                    let first = letters.next().map(|first| first.to_ascii_lowercase());
                    (first.into_iter().chain(letters).collect(), uncapitalized(value))
                });
            Value::Object(named.collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_on_the_way_there_and_back() {
        let selector = json!({"matchLabels": {"a": "b"}});
        let stored = from_v1(to_v1(json!({
            "apiVersion": V2, "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "a", "annotations": {"k": "v"}},
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
                "minReplicas": 1, "maxReplicas": 3,
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 30}},
                "metrics": [
                    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 40}}},
                    {"type": "Pods", "pods": {"metric": {"name": "m", "selector": selector}, "target": {"type": "AverageValue", "averageValue": "5"}}},
                    {"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "o"}, "target": {"type": "Value", "value": "10"}}},
                    {"type": "External", "external": {"metric": {"name": "e"}, "target": {"type": "AverageValue", "averageValue": "7"}}},
                    {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": {"type": "Utilization", "averageUtilization": 40}}},
                ],
            },
            "status": {
                "desiredReplicas": 2, "currentReplicas": 1,
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 9, "averageValue": "1"}}}],
                "conditions": [{"type": "AbleToScale", "status": "True", "lastTransitionTime": null}],
            },
        })));
        let again = from_v1(to_v1(stored.clone()));
        assert_eq!(again, stored);
        assert_eq!(stored["metadata"]["annotations"], json!({"k": "v"}));
        assert_eq!(list(&stored, "/spec/metrics").len(), 5);
        assert_eq!(
            stored["spec"]["metrics"][2]["object"]["target"],
            json!({"type": "Value", "value": "10"})
        );
        let old = to_v1(stored);
        assert_eq!(old["spec"]["targetCPUUtilizationPercentage"], 40);
        assert_eq!(old["status"]["currentCPUUtilizationPercentage"], 9);
    }
}
