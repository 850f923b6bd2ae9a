//! Cells of the kinds that run pods.

use jiff::Timestamp;
use serde_json::Value;

use super::{age::age_of, selector_text};
use crate::model::human_age;

/// A number at `path`, zero where there is none.
fn number(object: &Value, path: &str) -> i64 {
    object.pointer(path).and_then(Value::as_i64).unwrap_or_default()
}

/// `ready/wanted` replicas.
pub(super) fn ready(object: &Value, _: Timestamp) -> Value {
    let (ready, wanted) =
        (number(object, "/status/readyReplicas"), number(object, "/spec/replicas"));
    format!("{ready}/{wanted}").into()
}

/// Replicas of the newest template.
pub(super) fn up_to_date(object: &Value, _: Timestamp) -> Value {
    number(object, "/status/updatedReplicas").into()
}

/// Replicas that have been ready for long enough.
pub(super) fn available(object: &Value, _: Timestamp) -> Value {
    number(object, "/status/availableReplicas").into()
}

/// Replicas that are wanted.
pub(super) fn desired(object: &Value, _: Timestamp) -> Value {
    number(object, "/spec/replicas").into()
}

/// Replicas that there are.
pub(super) fn current(object: &Value, _: Timestamp) -> Value {
    number(object, "/status/replicas").into()
}

/// Replicas that are ready.
pub(super) fn ready_count(object: &Value, _: Timestamp) -> Value {
    number(object, "/status/readyReplicas").into()
}

/// Numbers of a DaemonSet's status.
pub(super) fn daemons_desired(object: &Value, _: Timestamp) -> Value {
    number(object, "/status/desiredNumberScheduled").into()
}

/// Nodes that run at least one daemon pod.
pub(super) fn daemons_current(object: &Value, _: Timestamp) -> Value {
    number(object, "/status/currentNumberScheduled").into()
}

/// Nodes whose daemon pod is ready.
pub(super) fn daemons_ready(object: &Value, _: Timestamp) -> Value {
    number(object, "/status/numberReady").into()
}

/// Nodes whose daemon pod has the newest template.
pub(super) fn daemons_updated(object: &Value, _: Timestamp) -> Value {
    number(object, "/status/updatedNumberScheduled").into()
}

/// Nodes whose daemon pod is available.
pub(super) fn daemons_available(object: &Value, _: Timestamp) -> Value {
    number(object, "/status/numberAvailable").into()
}

/// Labels of the nodes that daemons run on.
pub(super) fn node_selector(object: &Value, _: Timestamp) -> Value {
    selector_text::labels(object.pointer("/spec/template/spec/nodeSelector")).into()
}

/// Where the pod template stands: CronJobs have it two steps deeper.
fn template(object: &Value) -> Option<&Value> {
    let paths = ["/spec/jobTemplate/spec/template", "/spec/template"];
    paths.iter().find_map(|path| object.pointer(path))
}

/// A field of the containers of a pod template.
pub(super) fn of_containers(template: Option<&Value>, field: &str) -> Value {
    let containers = template.and_then(|t| t.pointer("/spec/containers")?.as_array());
    let texts: Vec<&str> = containers
        .into_iter()
        .flatten()
        .map(|c| c.get(field).and_then(Value::as_str).unwrap_or_default())
        .collect();
    texts.join(",").into()
}

/// Names of the template's containers.
pub(super) fn containers(object: &Value, _: Timestamp) -> Value {
    of_containers(template(object), "name")
}

/// Images of the template's containers.
pub(super) fn images(object: &Value, _: Timestamp) -> Value {
    of_containers(template(object), "image")
}

/// The selector of a Deployment, empty when it selects everything.
pub(super) fn deployment_selector(object: &Value, _: Timestamp) -> Value {
    match selector_text::requirements(object.pointer("/spec/selector")) {
        None => "<invalid>".into(),
        Some(parts) => parts.join(",").into(),
    }
}

/// The selector of the other kinds.
pub(super) fn selector(object: &Value, _: Timestamp) -> Value {
    selector_text::selector(object.pointer("/spec/selector")).into()
}

/// The selector in a CronJob's template.
pub(super) fn cron_selector(object: &Value, _: Timestamp) -> Value {
    selector_text::selector(object.pointer("/spec/jobTemplate/spec/selector")).into()
}

/// What a Job is doing.
pub(super) fn job_status(job: &Value, _: Timestamp) -> Value {
    let conditions = job.pointer("/status/conditions").and_then(Value::as_array);
    let has = |name: &str| {
        conditions.is_some_and(|list| {
            list.iter().any(|c| {
                c.get("type").and_then(Value::as_str) == Some(name)
                    && c.get("status").and_then(Value::as_str) == Some("True")
            })
        })
    };
    let deleted = job.pointer("/metadata/deletionTimestamp").is_some();
    let status = match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if deleted => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    };
    status.into()
}

/// `done/wanted` completions.
pub(super) fn completions(job: &Value, _: Timestamp) -> Value {
    let done = number(job, "/status/succeeded");
    let parallelism = number(job, "/spec/parallelism");
    match job.pointer("/spec/completions").and_then(Value::as_i64) {
        Some(wanted) => format!("{done}/{wanted}").into(),
        None if parallelism > 1 => format!("{done}/1 of {parallelism}").into(),
        None => format!("{done}/1").into(),
    }
}

/// How long a Job ran, or has been running.
pub(super) fn duration(job: &Value, now: Timestamp) -> Value {
    let time = |path: &str| job.pointer(path)?.as_str()?.parse::<Timestamp>().ok();
    match time("/status/startTime") {
        None => "".into(),
        Some(start) => human_age(start, time("/status/completionTime").unwrap_or(now)).into(),
    }
}

/// The schedule of a CronJob.
pub(super) fn schedule(cron: &Value, _: Timestamp) -> Value {
    cron.pointer("/spec/schedule").and_then(Value::as_str).unwrap_or_default().into()
}

/// The time zone of the schedule.
pub(super) fn time_zone(cron: &Value, _: Timestamp) -> Value {
    cron.pointer("/spec/timeZone").and_then(Value::as_str).unwrap_or("<none>").into()
}

/// Whether the schedule rests, in the words of upstream's printer.
pub(super) fn suspend(cron: &Value, _: Timestamp) -> Value {
    match cron.pointer("/spec/suspend").and_then(Value::as_bool) {
        None => "<unset>".into(),
        Some(true) => "True".into(),
        Some(false) => "False".into(),
    }
}

/// How many jobs of a CronJob run.
pub(super) fn active(cron: &Value, _: Timestamp) -> Value {
    cron.pointer("/status/active").and_then(Value::as_array).map_or(0, Vec::len).into()
}

/// Since a CronJob last started a job.
pub(super) fn last_schedule(cron: &Value, now: Timestamp) -> Value {
    match cron.pointer("/status/lastScheduleTime") {
        None | Some(Value::Null) => "<none>".into(),
        time => age_of(time, now).into(),
    }
}

/// What an object belongs to: `daemonset.apps/web`.
pub(super) fn controller(object: &Value, _: Timestamp) -> Value {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let owner = owners
        .into_iter()
        .flatten()
        .find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true));
    let Some(owner) = owner else { return "<none>".into() };
    let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
    let kind = text("kind").to_lowercase();
    match text("apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", text("name")).into(),
        None => format!("{kind}/{}", text("name")).into(),
    }
}
