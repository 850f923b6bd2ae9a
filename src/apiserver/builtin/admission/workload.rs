//! Defaults of the kinds that run pods.

use serde_json::{Value, json};

use super::{
    super::value::{absent, fill, flag, items_mut, object_at, set, text},
    pod,
};

/// Fills the defaults of a Deployment.
pub(super) fn prepare_deployment(object: &mut Value) {
    let Some(spec) = object_at(object, "spec") else { return };
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    if let Some(strategy) = object_at(spec, "strategy") {
        fill(strategy, "type", "RollingUpdate");
        if text(strategy, "/type") == "RollingUpdate"
            && let Some(rolling) = object_at(strategy, "rollingUpdate")
        {
            fill(rolling, "maxUnavailable", "25%");
            fill(rolling, "maxSurge", "25%");
        }
    }
    template(spec);
}

fn template(spec: &mut Value) {
    if let Some(template) = object_at(spec, "template") {
        pod::default_template(template);
    }
}

/// Fills the defaults of a ReplicaSet.
pub(super) fn prepare_replica_set(object: &mut Value) {
    let Some(spec) = object_at(object, "spec") else { return };
    fill(spec, "replicas", 1);
    template(spec);
}

/// Fills the defaults of a ReplicationController, which selects the labels of its pods unless it says otherwise.
pub(super) fn prepare_replication_controller(object: &mut Value) {
    inherit_labels(object);
    let Some(spec) = object_at(object, "spec") else { return };
    fill(spec, "replicas", 1);
    if spec.get("template").is_some_and(Value::is_object) {
        template(spec);
    }
    let labels = spec.pointer("/template/metadata/labels").cloned();
    if let Some(labels) = labels
        && spec.get("selector").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty)
    {
        set(spec, "selector", labels);
    }
}

fn inherit_labels(object: &mut Value) {
    let Some(labels) = object.pointer("/spec/template/metadata/labels").cloned() else { return };
    let own = object.pointer("/metadata/labels").and_then(Value::as_object);
    if own.is_none_or(serde_json::Map::is_empty)
        && let Some(metadata) = object_at(object, "metadata")
    {
        set(metadata, "labels", labels);
    }
}

/// Counts the templates of a DaemonSet, which nobody else may.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn template_generation(daemon_set: &Value) -> Option<i64> {
    let annotations = daemon_set.pointer("/metadata/annotations")?;
    annotations.get(TEMPLATE_GENERATION)?.as_str()?.parse().ok()
}

/// Sets the defaults of a DaemonSet, and which template it is.
pub(super) fn prepare_daemon_set(object: &mut Value, old: Option<&Value>) {
    default_daemon_set(object);
    let number = match old {
        None => template_generation(object).unwrap_or(1).max(1),
        Some(old) => {
            let is_another = old.pointer("/spec/template") != object.pointer("/spec/template");
            template_generation(old).unwrap_or(1) + i64::from(is_another)
        }
    };
    if let Some(metadata) = object_at(object, "metadata")
        && let Some(annotations) = object_at(metadata, "annotations")
    {
        set(annotations, TEMPLATE_GENERATION, number.to_string());
    }
}

fn default_daemon_set(object: &mut Value) {
    let Some(spec) = object_at(object, "spec") else { return };
    fill(spec, "revisionHistoryLimit", 10);
    if let Some(strategy) = object_at(spec, "updateStrategy") {
        fill(strategy, "type", "RollingUpdate");
        if text(strategy, "/type") == "RollingUpdate"
            && let Some(rolling) = object_at(strategy, "rollingUpdate")
        {
            fill(rolling, "maxUnavailable", 1);
            fill(rolling, "maxSurge", 0);
        }
    }
    template(spec);
}

/// Fills the defaults of a StatefulSet.
pub(super) fn prepare_stateful_set(object: &mut Value) {
    let Some(spec) = object_at(object, "spec") else { return };
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = object_at(spec, "updateStrategy") {
        if text(strategy, "/type").is_empty() {
            object_at(strategy, "rollingUpdate");
        }
        fill(strategy, "type", "RollingUpdate");
        if let Some(rolling) = strategy.get_mut("rollingUpdate").filter(|r| r.is_object()) {
            fill(rolling, "partition", 0);
        }
    }
    if let Some(retention) = object_at(spec, "persistentVolumeClaimRetentionPolicy") {
        fill(retention, "whenDeleted", "Retain");
        fill(retention, "whenScaled", "Retain");
    }
    for claim in items_mut(spec, "/volumeClaimTemplates") {
        fill(claim, "apiVersion", "v1");
        fill(claim, "kind", "PersistentVolumeClaim");
        if let Some(spec) = object_at(claim, "spec") {
            fill(spec, "volumeMode", "Filesystem");
        }
        if let Some(status) = object_at(claim, "status") {
            fill(status, "phase", "Pending");
        }
    }
    template(spec);
}

/// Fills the defaults of a Job and, when it is new, its selector. Labels that it does not have it takes from its pods.
pub(super) fn prepare_job(job: &mut Value, is_new: bool) {
    let owner = ["/metadata/name", "/metadata/uid"].map(|at| text(job, at).to_owned());
    let Some(spec) = object_at(job, "spec") else { return };
    default_job_spec(spec);
    fill(spec, "manualSelector", false);
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    let failures = !absent(spec, "/podFailurePolicy");
    fill(spec, "podReplacementPolicy", if failures { "Failed" } else { "TerminatingOrFailed" });
    if is_new && !flag(spec, "/manualSelector") {
        select_own_pods(spec, &owner);
    }
    inherit_labels(job);
}

fn default_job_spec(spec: &mut Value) {
    if absent(spec, "/completions") && absent(spec, "/parallelism") {
        fill(spec, "completions", 1);
    }
    fill(spec, "parallelism", 1);
    let per_index = !absent(spec, "/backoffLimitPerIndex");
    fill(spec, "backoffLimit", if per_index { i32::MAX } else { 6 });
    template(spec);
}

/// Labels the pods with the job's name and uid, and selects them by uid.
fn select_own_pods(spec: &mut Value, [name, uid]: &[String; 2]) {
    const UID: &str = "batch.kubernetes.io/controller-uid";
    let labels = [
        ("job-name", name),
        ("batch.kubernetes.io/job-name", name),
        ("controller-uid", uid),
        (UID, uid),
    ];
    if let Some(template) = object_at(spec, "template")
        && let Some(metadata) = object_at(template, "metadata")
        && let Some(own) = object_at(metadata, "labels")
    {
        for (key, value) in labels {
            fill(own, key, value.as_str());
        }
    }
    if let Some(selector) = object_at(spec, "selector")
        && let Some(labels) = object_at(selector, "matchLabels")
    {
        fill(labels, UID, uid.as_str());
    }
}

/// Fills the defaults of a CronJob. Its job template gets only those of the pod: the rest comes when a job is made.
pub(super) fn prepare_cron_job(object: &mut Value) {
    let Some(spec) = object_at(object, "spec") else { return };
    fill(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
    if let Some(job) = object_at(spec, "jobTemplate")
        && let Some(spec) = object_at(job, "spec")
    {
        template(spec);
    }
}

/// Fills the defaults of a PersistentVolumeClaim.
pub(super) fn prepare_volume_claim(claim: &mut Value, is_new: bool) {
    if let Some(spec) = object_at(claim, "spec") {
        fill(spec, "volumeMode", "Filesystem");
    }
    if !is_new {
        return;
    }
    // No finalizer that protects claims in use: no controller here would ever take it away.
    set(claim, "status", json!({"phase": "Pending"}));
}
