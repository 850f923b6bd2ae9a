//! Cells of HorizontalPodAutoscalers.

use jiff::Timestamp;
use serde_json::Value;

use super::super::autoscaler;

/// `Kind/name` of what is scaled.
pub(super) fn reference(hpa: &Value, _: Timestamp) -> Value {
    let text = |path: &str| hpa.pointer(path).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}", text("/spec/scaleTargetRef/kind"), text("/spec/scaleTargetRef/name")).into()
}

/// At most two `current/target` pairs.
pub(super) fn targets(hpa: &Value, _: Timestamp) -> Value {
    const SHOWN: usize = 2;
    let converted;
    let hpa = match hpa.get("apiVersion").and_then(Value::as_str) {
        Some("autoscaling/v1") => {
            converted = autoscaler::from_v1(hpa.clone());
            &converted
        }
        _ => hpa,
    };
    let list = |path: &str| {
        hpa.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    };
    let (specs, statuses) = (list("/spec/metrics"), list("/status/currentMetrics"));
    if specs.is_empty() {
        return "<none>".into();
    }
    let texts: Vec<String> =
        specs.iter().enumerate().map(|(i, spec)| metric(spec, statuses.get(i))).collect();
    let shown = texts.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(SHOWN) {
        0 => shown.into(),
        more => format!("{shown} + {more} more...").into(),
    }
}

/// One metric: the current value (or share) and the one that is aimed at.
fn metric(spec: &Value, status: Option<&Value>) -> String {
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default();
    let field = match kind {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let target = |name: &str| spec.get(field)?.get("target")?.get(name).filter(|v| !v.is_null());
    let current = |name: &str| status?.get(field)?.get("current")?.get(name);
    let print = |value: Option<&Value>, absent: &str| match value {
        None | Some(Value::Null) => absent.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let pair = |name: &str, absent: &str| {
        format!("{}/{}", print(current(name), "<unknown>"), print(target(name), absent))
    };
    match field {
        "resource" | "containerResource" => {
            let name = print(spec.get(field).and_then(|f| f.get("name")), "");
            if target("averageValue").is_some() {
                return format!("{name}: {}", pair("averageValue", ""));
            }
            let share = |value: Option<&Value>, absent: &str| {
                value.and_then(Value::as_i64).map_or(absent.to_owned(), |n| format!("{n}%"))
            };
            let (now, aim) = (current("averageUtilization"), target("averageUtilization"));
            format!("{name}: {}/{}", share(now, "<unknown>"), share(aim, "<auto>"))
        }
        "pods" => pair("averageValue", "0"),
        _ if target("averageValue").is_some() => format!("{} (avg)", pair("averageValue", "0")),
        _ => pair("value", "0"),
    }
}

/// The lower bound.
pub(super) fn min_replicas(hpa: &Value, _: Timestamp) -> Value {
    match hpa.pointer("/spec/minReplicas").and_then(Value::as_i64) {
        None => "<unset>".into(),
        Some(n) => n.to_string().into(),
    }
}

/// The upper bound.
pub(super) fn max_replicas(hpa: &Value, _: Timestamp) -> Value {
    hpa.pointer("/spec/maxReplicas").and_then(Value::as_i64).unwrap_or_default().into()
}

/// How many there are.
pub(super) fn current_replicas(hpa: &Value, _: Timestamp) -> Value {
    hpa.pointer("/status/currentReplicas").and_then(Value::as_i64).unwrap_or_default().into()
}
