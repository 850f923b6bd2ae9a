//! What the server does to objects of its own kinds before it stores them, and what it refuses.
//!
//! The order of a write is: patch, drop unknown fields, [`check_types`], [`prepare_create`] or [`prepare_update`], the
//! schema's defaults, then the schema's validation together with [`validate`]. Preparing an object that was prepared
//! before changes nothing.

mod address;
mod aggregation;
mod bare_pod;
mod bare_pod_rules;
mod certificate;
mod config;
mod definition;
mod device;
mod endpoint;
mod flow;
mod format;
mod limit;
mod metadata;
mod namespace;
mod node;
mod pod;
mod pod_parts;
mod pod_rules;
mod policy;
mod rbac;
mod review;
mod service;
mod service_rules;
mod storage;
mod webhook;
mod workload;
mod workload_rules;

pub use self::{
    bare_pod::system_priority,
    certificate::{Decision, take_decision, validate_decision},
    limit::{exceeds, limit},
    metadata::selects as label_selector_matches,
    pod_parts::{take_sizes, validate_debugging, validate_resize},
    review::review_faults,
    service::{api_address, service_range},
};

use jiff::Timestamp;
use serde_json::Value;

use super::{ResourceDefinition, autoscaler, types, value::object_at};
use crate::apiserver::{schema::FieldError, user::User};

/// What admission must know beside the object.
pub struct Context<'a> {
    /// The time of the request.
    pub now: Timestamp,
    /// Who asks.
    pub user: &'a User,
    /// What is served now, to find names that a CustomResourceDefinition may not take.
    pub served: &'a [ResourceDefinition],
    /// Whether another Service has this cluster address.
    pub cluster_ip_taken: &'a dyn Fn(&str) -> bool,
    /// Whether another Service has this node port.
    pub node_port_taken: &'a dyn Fn(u16) -> bool,
    /// The PriorityClass of this name, or without a name the one that is taken unless said.
    pub priority_class: &'a dyn Fn(&str) -> Option<Value>,
}

/// Checks that every value of an object has a type that its field can hold. Custom kinds are checked by their schema
/// instead, but for their metadata.
///
/// # Errors
/// What Go's JSON decoder says.
pub fn check_types(definition: &ResourceDefinition, object: &Value) -> Result<(), String> {
    match (definition.type_id(), object.get("metadata")) {
        (Some(id), _) => types::check_types(id, object),
        (None, Some(metadata)) if !metadata.is_null() => {
            let of = types::TYPES.named("meta/v1", "ObjectMeta");
            of.map_or(Ok(()), |of| types::check_types(of, metadata))
        }
        (None, _) => Ok(()),
    }
}

/// Whether a strategically merged object of a built-in kind has the types that Go could restore it with.
///
/// # Errors
/// The first value that has not, in the words of Go's converter.
pub fn check_restored(definition: &ResourceDefinition, object: &Value) -> Result<(), String> {
    definition.type_id().map_or(Ok(()), |id| types::check_restored(id, object))
}

/// What the writer of a new or changed object is warned of.
#[must_use]
pub fn warnings(
    definition: &ResourceDefinition,
    object: &Value,
    old: Option<&Value>,
) -> Vec<String> {
    match (definition.builtin, definition.kind.as_str()) {
        (true, "Service") => service_rules::warnings(object),
        (true, "Pod") if old.is_none() => bare_pod_rules::warnings(object),
        (true, "EndpointSlice") if old.is_none() => endpoint::slice_warnings(object),
        (true, "CSIDriver") if old.is_none() => storage::warnings(object),
        (false, _) if old.is_none() => metadata::warnings(object),
        _ => Vec::new(),
    }
}

/// Whether the rules of a kind alone judge what stands at a path, in words that its schema does not have.
#[must_use]
pub fn judges_itself(definition: &ResourceDefinition, path: &str) -> bool {
    match (definition.group.as_str(), definition.kind.as_str()) {
        ("", "Node") => path.starts_with("spec.taints["),
        ("", "PersistentVolume") => path.starts_with("spec.accessModes"),
        ("storage.k8s.io", "StorageClass") => path == "reclaimPolicy",
        ("admissionregistration.k8s.io", _) => path.ends_with(".sideEffects"),
        _ => path.ends_with("spec.restartPolicy") || path.ends_with("spec.dnsPolicy"),
    }
}

/// Why a new object may not come at all.
#[must_use]
pub fn forbids(
    definition: &ResourceDefinition,
    object: &Value,
    context: &Context<'_>,
) -> Option<String> {
    match (definition.builtin, definition.group.as_str(), definition.kind.as_str()) {
        (true, "", "Pod") => bare_pod_rules::forbids(object, context),
        _ => None,
    }
}

/// Fills what the server itself gives to a new object of this kind, and brings it into its stored form.
pub fn prepare_create(definition: &ResourceDefinition, object: &mut Value, context: &Context<'_>) {
    prepare(definition, object, None, context);
}

/// Fills what the server itself gives to a changed object, keeps what a client may leave out, and brings it into its
/// stored form.
pub fn prepare_update(
    definition: &ResourceDefinition,
    old: &Value,
    new: &mut Value,
    context: &Context<'_>,
) {
    prepare(definition, new, Some(old), context);
}

fn prepare(
    definition: &ResourceDefinition,
    object: &mut Value,
    old: Option<&Value>,
    context: &Context<'_>,
) {
    // Empty values first become absent, so that defaults see them as such.
    normalize(definition, object);
    if !definition.builtin {
        return;
    }
    let is_new = old.is_none();
    match (definition.group.as_str(), definition.kind.as_str()) {
        ("", "Namespace") => namespace::prepare(object, is_new),
        ("", "Secret") => config::prepare_secret(object),
        ("", "Service") => service::prepare(object, old, context),
        ("", "PersistentVolumeClaim") => workload::prepare_volume_claim(object, is_new),
        ("", "LimitRange") => policy::prepare_limit_range(object),
        ("", "Pod") => bare_pod::prepare(object, old, context),
        ("", "PodTemplate") => {
            if let Some(template) = super::value::object_at(object, "template") {
                pod::default_template(template);
            }
        }
        ("", "ReplicationController") => workload::prepare_replication_controller(object),
        ("", "Node") => node::prepare(object, is_new),
        ("", "PersistentVolume") => storage::prepare_volume(object, old, context),
        ("", "Endpoints") => endpoint::prepare(object),
        ("storage.k8s.io", kind) => storage::prepare(kind, object, is_new),
        ("discovery.k8s.io", _) => endpoint::prepare_slice(object),
        ("networking.k8s.io", "IngressClass") => endpoint::prepare_class(object),
        ("admissionregistration.k8s.io", kind) => webhook::prepare(kind, object),
        ("apiregistration.k8s.io", _) => aggregation::prepare(object, is_new, context),
        ("certificates.k8s.io", _) => certificate::prepare(object, old, context),
        ("flowcontrol.apiserver.k8s.io", kind) => flow::prepare(kind, object),
        ("resource.k8s.io", kind) => device::prepare(kind, object, context),
        ("apps", "Deployment") => workload::prepare_deployment(object),
        ("apps", "ReplicaSet") => workload::prepare_replica_set(object),
        ("apps", "DaemonSet") => workload::prepare_daemon_set(object, old),
        ("apps", "StatefulSet") => workload::prepare_stateful_set(object),
        ("batch", "Job") => workload::prepare_job(object, is_new),
        ("batch", "CronJob") => workload::prepare_cron_job(object),
        // What the stored version adds, its writer owns.
        ("autoscaling", _) if definition.version == "v1" => {
            *object = autoscaler::to_v1(autoscaler::from_v1(std::mem::take(object)));
        }
        ("autoscaling", _) => autoscaler::fill_defaults(object),
        ("networking.k8s.io", "NetworkPolicy") => policy::prepare_network_policy(object),
        ("scheduling.k8s.io", _) => {
            super::value::fill(object, "preemptionPolicy", "PreemptLowerPriority");
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            rbac::prepare_binding(object);
        }
        ("apiextensions.k8s.io", _) => definition::prepare(object, context),
        _ => {}
    }
    // What defaults added is brought into form as well.
    normalize(definition, object);
}

/// Brings an object, of a custom kind at least its metadata, into its stored form.
fn normalize(definition: &ResourceDefinition, object: &mut Value) {
    match definition.type_id() {
        Some(id) => types::normalize(id, object),
        None => {
            if let Some(id) = types::TYPES.named("meta/v1", "ObjectMeta")
                && let Some(metadata) = object_at(object, "metadata")
            {
                types::normalize(id, metadata);
            }
        }
    }
}

/// What is wrong with a prepared object, beyond its schema: metadata, fields that must not be empty, the rules of its
/// kind, and with `old` the fields that may not change.
#[must_use]
pub fn validate(
    definition: &ResourceDefinition,
    new: &Value,
    old: Option<&Value>,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    metadata::validate(definition, new, old, &mut errors);
    let Some(id) = definition.type_id() else { return errors };
    let kind = definition.kind.as_str();
    match (definition.group.as_str(), kind) {
        ("", "Namespace") => namespace::validate(new, &mut errors),
        ("", "ConfigMap") => config::validate_config_map(new, old, &mut errors),
        ("", "Secret") => config::validate_secret(new, old, &mut errors),
        ("", "Service") => service_rules::validate(new, old, &mut errors),
        ("", "ResourceQuota") => policy::validate_quota(new, &mut errors),
        (_, "Event") => namespace::validate_event(new, &mut errors),
        ("", "Pod") => bare_pod_rules::validate(new, old, &mut errors),
        ("", "PodTemplate") => {
            if let Some(template) = new.get("template") {
                pod_rules::validate(template, "template", &[], &mut errors);
            }
        }
        ("", "ReplicationController") => workload_rules::validate_controller(new, &mut errors),
        ("", "Node") => node::validate(new, old, &mut errors),
        ("", "PersistentVolume") => storage::validate_volume(new, old, &mut errors),
        ("", "Endpoints") => endpoint::validate(new, old, &mut errors),
        ("storage.k8s.io", _) => storage::validate(kind, new, old, &mut errors),
        ("discovery.k8s.io", _) => endpoint::validate_slice(new, old, &mut errors),
        ("networking.k8s.io", "IngressClass") => endpoint::validate_class(new, old, &mut errors),
        ("networking.k8s.io", "NetworkPolicy") => {
            policy::validate_network_policy(new, &mut errors);
        }
        ("networking.k8s.io", "IPAddress") => address::validate_address(new, old, &mut errors),
        ("networking.k8s.io", "ServiceCIDR") => address::validate_range(new, old, &mut errors),
        ("apiregistration.k8s.io", _) => aggregation::validate(new, &mut errors),
        ("certificates.k8s.io", _) => certificate::validate(new, old, &mut errors),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => flow::validate_schema(new, &mut errors),
        ("flowcontrol.apiserver.k8s.io", _) => flow::validate_level(new, &mut errors),
        ("resource.k8s.io", _) => device::validate(kind, new, old, &mut errors),
        ("node.k8s.io", _) => node::validate_runtime_class(new, old, &mut errors),
        ("admissionregistration.k8s.io", _) => webhook::validate(kind, new, &mut errors),
        ("apps", "ControllerRevision") => workload_rules::validate_revision(new, old, &mut errors),
        ("apps", _) => workload_rules::validate(kind, new, old, &mut errors),
        ("batch", "Job") => workload_rules::validate_job(new, old, &mut errors),
        ("batch", "CronJob") => workload_rules::validate_cron_job(new, &mut errors),
        ("autoscaling", _) => policy::validate_autoscaler(new, &mut errors),
        ("policy", _) => policy::validate_disruption_budget(new, &mut errors),
        ("scheduling.k8s.io", _) => policy::validate_priority_class(new, old, &mut errors),
        ("coordination.k8s.io", _) => namespace::validate_lease(new, &mut errors),
        ("rbac.authorization.k8s.io", "Role") => rbac::validate_role(new, true, &mut errors),
        ("rbac.authorization.k8s.io", "ClusterRole") => {
            rbac::validate_role(new, false, &mut errors)
        }
        ("rbac.authorization.k8s.io", "RoleBinding") => {
            rbac::validate_binding(new, old, true, &mut errors);
        }
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => {
            rbac::validate_binding(new, old, false, &mut errors);
        }
        ("apiextensions.k8s.io", _) => definition::validate(new, old, &mut errors),
        _ => {}
    }
    // The rules of a kind say more about a missing field than the table does, unless it went though it may not change.
    for missing in types::missing(id, new) {
        let says_more = |error: &FieldError| {
            let of_change = ["is immutable", "may not add or remove containers"];
            error.path == missing.path && !of_change.iter().any(|end| error.detail.ends_with(end))
        };
        if !errors.iter().any(says_more) {
            errors.push(missing);
        }
    }
    errors
}

#[cfg(test)]
mod tests;
