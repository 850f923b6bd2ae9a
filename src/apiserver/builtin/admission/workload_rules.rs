//! The kinds that run pods: what is refused.

use serde_json::{Value, json};

use super::{
    super::value::{absent, flag, list, number, text},
    metadata::{label_selector, selects},
    pod_rules::{self, NOT_NEGATIVE},
};
use crate::apiserver::schema::FieldError;

/// Validates a Deployment, ReplicaSet, StatefulSet or DaemonSet.
pub(super) fn validate(kind: &str, new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"]
    {
        if let Some(n) = number(new, &format!("/spec/{field}")).filter(|n| *n < 0) {
            errors.push(FieldError::invalid(format!("spec.{field}"), &n.into(), NOT_NEGATIVE));
        }
    }
    selector(kind, new, errors);
    template(kind, new, errors);
    match kind {
        "Deployment" => deployment(new, errors),
        "StatefulSet" => {
            if let Some(old) = old {
                stateful_set_changes(new, old, errors);
            }
            return;
        }
        _ => {}
    }
    if let Some(old) = old
        && old.pointer("/spec/selector") != new.pointer("/spec/selector")
    {
        let value = new.pointer("/spec/selector").cloned().unwrap_or_default();
        errors.push(FieldError::invalid("spec.selector", &value, "field is immutable"));
    }
}

fn selector(kind: &str, object: &Value, errors: &mut Vec<FieldError>) {
    let labels = object.pointer("/spec/template/metadata/labels").cloned().unwrap_or_default();
    let unmatched = FieldError::invalid(
        "spec.template.metadata.labels",
        &labels,
        "`selector` does not match template `labels`",
    );
    let Some(selector) = object.pointer("/spec/selector").filter(|s| s.is_object()) else {
        // None selects nothing.
        errors.push(unmatched);
        return;
    };
    label_selector(selector, "spec.selector", errors);
    let size =
        selector.get("matchLabels").and_then(Value::as_object).map_or(0, serde_json::Map::len);
    if size + list(selector, "/matchExpressions").len() == 0 {
        // Upstream names a Deployment for ReplicaSets as well.
        let named =
            if kind == "ReplicaSet" { "deployment".to_owned() } else { kind.to_lowercase() };
        let said = format!("empty selector is invalid for {named}");
        errors.push(FieldError::invalid("spec.selector", selector, &said));
        return;
    }
    if !selects(selector, &labels) {
        errors.push(unmatched);
    }
}

fn template(kind: &str, object: &Value, errors: &mut Vec<FieldError>) {
    let Some(template) = object.pointer("/spec/template") else { return };
    pod_rules::validate(template, "spec.template", &claims(object), errors);
    let policy = text(template, "/spec/restartPolicy");
    if policy != "Always" && matches!(policy, "Never" | "OnFailure") {
        let path = "spec.template.spec.restartPolicy";
        errors.push(FieldError::not_supported(path, &policy.into(), &["Always".to_owned()]));
    }
    if !absent(template, "/spec/activeDeadlineSeconds") {
        let named = if kind == "Deployment" { "ReplicaSet" } else { kind };
        let said = format!("activeDeadlineSeconds in {named} is not Supported");
        errors.push(FieldError::forbidden("spec.template.spec.activeDeadlineSeconds", &said));
    }
}

/// Names of volumes that a StatefulSet's claims provide.
fn claims(object: &Value) -> Vec<&str> {
    let claims = list(object, "/spec/volumeClaimTemplates");
    claims.iter().map(|claim| text(claim, "/metadata/name")).collect()
}

fn deployment(object: &Value, errors: &mut Vec<FieldError>) {
    let rolling = object.pointer("/spec/strategy/rollingUpdate").filter(|r| r.is_object());
    let path = "spec.strategy.rollingUpdate";
    match (text(object, "/spec/strategy/type"), rolling) {
        ("Recreate", Some(_)) => {
            let said = "may not be specified when strategy `type` is 'Recreate'";
            errors.push(FieldError::forbidden(path, said));
        }
        ("RollingUpdate", Some(rolling)) => {
            let unavailable = share(rolling, "maxUnavailable", path, errors);
            let surge = share(rolling, "maxSurge", path, errors);
            let value = rolling.get("maxUnavailable").cloned().unwrap_or_default();
            let path = format!("{path}.maxUnavailable");
            if unavailable == Some(0) && surge == Some(0) {
                let said = "may not be 0 when `maxSurge` is 0";
                errors.push(FieldError::invalid(path.as_str(), &value, said));
            }
            if value.is_string() && unavailable.is_some_and(|n| n > 100) {
                errors.push(FieldError::invalid(path, &value, "must not be greater than 100%"));
            }
        }
        _ => {}
    }
    let ready = number(object, "/spec/minReadySeconds").unwrap_or_default();
    if let Some(deadline) = number(object, "/spec/progressDeadlineSeconds").filter(|n| *n <= ready)
    {
        let said = "must be greater than minReadySeconds";
        errors.push(FieldError::invalid("spec.progressDeadlineSeconds", &deadline.into(), said));
    }
}

/// A number or a percentage, which may not be negative.
fn share(of: &Value, field: &str, path: &str, errors: &mut Vec<FieldError>) -> Option<i64> {
    let value = of.get(field)?;
    let path = format!("{path}.{field}");
    match value {
        Value::String(text) => {
            let digits = text
                .strip_suffix('%')
                .filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
            if digits.is_none() {
                let said = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%', or \
                            '93%', regex used for validation is '[0-9]+%')";
                errors.push(FieldError::invalid(path, value, said));
            }
            digits?.parse().ok()
        }
        other => {
            let n = other.as_i64()?;
            if n < 0 {
                errors.push(FieldError::invalid(path, value, NOT_NEGATIVE));
            }
            Some(n)
        }
    }
}

fn stateful_set_changes(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    const MAY_CHANGE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let fixed = |of: &Value| {
        let mut spec = of.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
        spec.retain(|field, _| !MAY_CHANGE.contains(&field.as_str()));
        spec
    };
    if fixed(new) != fixed(old) {
        let said = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                    'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                    'minReadySeconds' are forbidden";
        errors.push(FieldError::forbidden("spec", said));
    }
}

/// Validates a ReplicationController.
pub(super) fn validate_controller(new: &Value, errors: &mut Vec<FieldError>) {
    for field in ["replicas", "minReadySeconds"] {
        if let Some(n) = number(new, &format!("/spec/{field}")).filter(|n| *n < 0) {
            errors.push(FieldError::invalid(format!("spec.{field}"), &n.into(), NOT_NEGATIVE));
        }
    }
    let selector = new.pointer("/spec/selector").cloned().unwrap_or_default();
    if selector.as_object().is_none_or(serde_json::Map::is_empty) {
        errors.push(FieldError::required("spec.selector", ""));
    }
    let Some(of) = new.pointer("/spec/template").filter(|of| of.is_object()) else {
        errors.push(FieldError::required("spec.template", ""));
        return;
    };
    let labels = of.pointer("/metadata/labels").cloned().unwrap_or_default();
    if !selects(&json!({"matchLabels": selector}), &labels) {
        let said = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid("spec.template.metadata.labels", &labels, said));
    }
    template("ReplicationController", new, errors);
}

/// Validates a ControllerRevision.
pub(super) fn validate_revision(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let data = new.get("data").cloned().unwrap_or_default();
    match old {
        None if data.is_null() => errors.push(FieldError::required("data", "data is mandatory")),
        Some(old) if old.get("data").cloned().unwrap_or_default() != data => {
            errors.push(FieldError::invalid("data", &data, "field is immutable"));
        }
        _ => {}
    }
    if let Some(n) = number(new, "/revision").filter(|n| *n < 0) {
        errors.push(FieldError::invalid("revision", &n.into(), NOT_NEGATIVE));
    }
}

/// Validates a Job.
pub(super) fn validate_job(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = new.get("spec").cloned().unwrap_or_default();
    job_spec(&spec, "spec", errors);
    let Some(old) = old else {
        let labels = new.pointer("/spec/template/metadata/labels").cloned().unwrap_or_default();
        if let Some(selector) = spec.get("selector").filter(|s| s.is_object())
            && !selects(selector, &labels)
        {
            let said = "`selector` does not match template `labels`";
            errors.push(FieldError::invalid("spec.template.metadata.labels", &labels, said));
        }
        return;
    };
    // A suspended job that never ran may still be aimed at other nodes.
    let suspended = flag(old, "/spec/suspend") && absent(old, "/status/startTime");
    for field in
        ["completions", "selector", "template", "completionMode", "podFailurePolicy", "managedBy"]
    {
        let now = spec.get(field).cloned().unwrap_or_default();
        let before = old.get("spec").and_then(|s| s.get(field)).cloned().unwrap_or_default();
        let indexed = field == "completions" && text(&spec, "/completionMode") == "Indexed";
        if now != before && !indexed && !(field == "template" && suspended) {
            errors.push(FieldError::invalid(format!("spec.{field}"), &now, "field is immutable"));
        }
    }
}

/// What is wrong with the name of a time zone. Where this machine knows no zones, every name may be one.
fn time_zone_faults(zone: &str) -> Vec<String> {
    if zone.is_empty() {
        return vec!["timeZone must be nil or non-empty string".to_owned()];
    }
    let mut faults = Vec::new();
    if zone.eq_ignore_ascii_case("local") {
        let said =
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        faults.push(said.to_owned());
    }
    let known = jiff::tz::db();
    let is_known = matches!(zone, "UTC" | "Local")
        || known.is_definitively_empty()
        || known.get(zone).is_ok_and(|found| found.iana_name() == Some(zone));
    if !is_known {
        faults.push(format!("unknown time zone {zone}"));
    }
    faults
}

/// Validates a CronJob.
pub(super) fn validate_cron_job(new: &Value, errors: &mut Vec<FieldError>) {
    if let Some(zone) = new.pointer("/spec/timeZone").and_then(Value::as_str) {
        let faults = time_zone_faults(zone);
        errors.extend(
            faults.iter().map(|fault| FieldError::invalid("spec.timeZone", &zone.into(), fault)),
        );
    }
    let schedule = text(new, "/spec/schedule");
    let fields = schedule.split_whitespace().count();
    let known = schedule.starts_with('@') || fields == 5;
    if schedule.contains("TZ") {
        let said = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.push(FieldError::invalid("spec.schedule", &schedule.into(), said));
    } else if !schedule.is_empty() && !known {
        let said = format!("expected exactly 5 fields, found {fields}: [{schedule}]");
        errors.push(FieldError::invalid("spec.schedule", &schedule.into(), &said));
    }
    if let Some(spec) = new.pointer("/spec/jobTemplate/spec") {
        job_spec(spec, "spec.jobTemplate.spec", errors);
    }
}

fn job_spec(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ] {
        if let Some(n) = number(spec, &format!("/{field}")).filter(|n| *n < 0) {
            errors.push(FieldError::invalid(format!("{path}.{field}"), &n.into(), NOT_NEGATIVE));
        }
    }
    let Some(template) = spec.get("template") else { return };
    pod_rules::validate(template, &format!("{path}.template"), &[], errors);
    if text(template, "/spec/restartPolicy") == "Always" {
        let path = format!("{path}.template.spec.restartPolicy");
        let said = "valid values: \"OnFailure\", \"Never\"";
        errors.push(FieldError::required(path, said));
    }
}
