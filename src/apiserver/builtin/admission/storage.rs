//! Volumes and what provides them.

use serde_json::{Value, json};

use super::{
    super::{
        types::quantity_amount,
        value::{absent, entries, fill, list, object_at, set, text},
    },
    Context,
    format::{self, all},
};
use crate::apiserver::{
    object,
    schema::{FieldError, FieldErrorKind},
};

/// Fills the defaults of a PersistentVolume, and gives a new one its first status.
pub(super) fn prepare_volume(volume: &mut Value, old: Option<&Value>, context: &Context<'_>) {
    if let Some(spec) = object_at(volume, "spec") {
        fill(spec, "persistentVolumeReclaimPolicy", "Retain");
        fill(spec, "volumeMode", "Filesystem");
        if let Some(path) = spec.get_mut("hostPath").filter(|p| p.is_object())
            && absent(path, "/type")
        {
            set(path, "type", "");
        }
    }
    let now = object::time(context.now);
    let Some(old) = old else {
        // No finalizer that protects volumes in use: no controller here would ever take it away.
        set(volume, "status", json!({"phase": "Pending", "lastPhaseTransitionTime": now}));
        return;
    };
    const TIME: &str = "lastPhaseTransitionTime";
    let before = old.pointer("/status/lastPhaseTransitionTime").cloned();
    let same = text(old, "/status/phase") == text(volume, "/status/phase");
    let Some(status) = object_at(volume, "status") else { return };
    fill(status, "phase", "Pending");
    let given = status.get(TIME).filter(|time| !time.is_null()).cloned();
    if same && given.is_none() {
        if let Some(before) = before {
            set(status, TIME, before);
        }
    } else if !same && (given.is_none() || given == before) {
        set(status, TIME, now);
    }
}

/// Fills the defaults of a kind of `storage.k8s.io`.
pub(super) fn prepare(kind: &str, object: &mut Value, is_new: bool) {
    match kind {
        "StorageClass" => {
            fill(object, "reclaimPolicy", "Delete");
            fill(object, "volumeBindingMode", "Immediate");
        }
        "CSIDriver" => {
            let Some(spec) = object_at(object, "spec") else { return };
            fill(spec, "attachRequired", true);
            for field in ["podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"]
            {
                fill(spec, field, false);
            }
            fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
            fill(spec, "volumeLifecycleModes", json!(["Persistent"]));
        }
        "VolumeAttachment" if is_new => set(object, "status", json!({"attached": false})),
        _ => {}
    }
}

/// The ways to mount a volume, sorted.
const ACCESS_MODES: [&str; 4] =
    ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// What the writer of a CSIDriver is warned of.
pub(super) fn warnings(driver: &Value) -> Vec<String> {
    let asks = !list(driver, "/spec/tokenRequests").is_empty();
    if asks && absent(driver, "/spec/serviceAccountTokenInSecrets") {
        let said = "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to \
                    prevent possible logging of tokens in volume attributes";
        return vec![said.to_owned()];
    }
    Vec::new()
}

/// Validates a PersistentVolume.
pub(super) fn validate_volume(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = new.get("spec").unwrap_or(&Value::Null);
    let modes = list(spec, "/accessModes");
    if modes.is_empty() {
        errors.push(FieldError::required("spec.accessModes", ""));
    }
    for mode in modes.iter().filter(|mode| !ACCESS_MODES.iter().any(|known| mode == known)) {
        let known = ACCESS_MODES.map(str::to_owned);
        errors.push(FieldError::not_supported("spec.accessModes", mode, &known));
    }
    if modes.len() > 1 && modes.iter().any(|mode| mode == "ReadWriteOncePod") {
        let said = "may not use ReadWriteOncePod with other access modes";
        errors.push(FieldError::forbidden("spec.accessModes", said));
    }
    capacity(spec, errors);
    let sources = sources(spec);
    if sources.is_empty() {
        errors.push(FieldError::required("spec", "must specify a volume type"));
    }
    for source in sources.iter().skip(1) {
        let said = "may not specify more than 1 volume type";
        errors.push(FieldError::forbidden(format!("spec.{source}"), said));
    }
    let Some(old) = old else { return };
    let before = old.get("spec").unwrap_or(&Value::Null);
    let same = |field: &str| spec.get(field) == before.get(field);
    if sources != self::sources(before) || !sources.iter().all(|source| same(source)) {
        let said = "spec.persistentvolumesource is immutable after creation";
        errors.push(FieldError::forbidden("spec.persistentvolumesource", said));
    }
    if !same("volumeMode") {
        let mode = spec.get("volumeMode").cloned().unwrap_or_default();
        errors.push(FieldError::invalid("volumeMode", &mode, "field is immutable"));
    }
}

fn capacity(spec: &Value, errors: &mut Vec<FieldError>) {
    let given: Vec<_> = entries(spec, "/capacity").collect();
    if given.is_empty() {
        errors.push(FieldError::required("spec.capacity", ""));
    }
    if given.len() != 1 || given.iter().any(|(name, _)| *name != "storage") {
        let value = spec.get("capacity").cloned().unwrap_or_default();
        errors.push(FieldError::not_supported("spec.capacity", &value, &["storage".to_owned()]));
    }
    for (name, amount) in given {
        if amount.as_str().and_then(quantity_amount).is_some_and(|n| n <= 0) {
            let path = format!("spec.capacity[{name}]");
            errors.push(FieldError::invalid(path, amount, "must be greater than zero"));
        }
    }
}

/// The fields of a volume's spec that say nothing of where it is.
const PLAIN: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

fn sources(spec: &Value) -> Vec<&str> {
    let fields = spec.as_object().into_iter().flatten();
    let sources =
        fields.filter(|(field, value)| !PLAIN.contains(&field.as_str()) && !value.is_null());
    sources.map(|(field, _)| field.as_str()).collect()
}

/// Validates a kind of `storage.k8s.io`.
pub(super) fn validate(kind: &str, new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    match kind {
        "StorageClass" => {
            let policy = text(new, "/reclaimPolicy");
            if !matches!(policy, "Delete" | "Retain") {
                let known = ["Delete", "Retain"].map(str::to_owned);
                errors.push(FieldError::not_supported("reclaimPolicy", &policy.into(), &known));
            }
            fixed(
                new,
                old,
                &["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"],
                errors,
            );
            let provisioner = text(new, "/provisioner");
            if !provisioner.is_empty() {
                let faults = format::qualified_name(&provisioner.to_lowercase());
                all(faults, "provisioner", provisioner, errors);
            }
        }
        "VolumeAttributesClass" => {
            for field in ["driverName", "parameters"] {
                if old.is_some_and(|old| old.get(field) != new.get(field)) {
                    let said = format!("updates to {field} are forbidden.");
                    errors.push(FieldError::forbidden(field, &said));
                }
            }
            if entries(new, "/parameters").next().is_none() {
                let said = "must contain at least one key/value pair";
                errors.push(FieldError::required("parameters", said));
            }
        }
        "CSIDriver" => {
            fixed(new, old, &["spec.attachRequired", "spec.volumeLifecycleModes"], errors);
            // kube-apiserver calls it so.
            for error in errors.iter_mut().filter(|error| error.path == "spec.attachRequired") {
                "spec.attachedRequired".clone_into(&mut error.path);
            }
        }
        "CSIStorageCapacity" => fixed(new, old, &["nodeTopology", "storageClassName"], errors),
        "VolumeAttachment" if old.is_some_and(|old| old.get("spec") != new.get("spec")) => {
            let at = |path: &str| new.pointer(path).cloned().unwrap_or_default();
            // As Go has it.
            let detail = format!(
                "Invalid value: {{\"Attacher\":{},\"Source\":{{\"PersistentVolumeName\":{},\"InlineVolumeSpec\":{}}},\
                 \"NodeName\":{}}}: field is immutable",
                at("/spec/attacher"),
                at("/spec/source/persistentVolumeName"),
                at("/spec/source/inlineVolumeSpec"),
                at("/spec/nodeName")
            );
            let kind = FieldErrorKind::Invalid;
            errors.push(FieldError { path: "spec".to_owned(), kind, detail });
        }
        _ => {}
    }
}

/// Refuses changes of these fields.
fn fixed(new: &Value, old: Option<&Value>, fields: &[&str], errors: &mut Vec<FieldError>) {
    for field in fields {
        let at = format!("/{}", field.replace('.', "/"));
        let now = new.pointer(&at).cloned().unwrap_or_default();
        if old.is_some_and(|old| old.pointer(&at).cloned().unwrap_or_default() != now) {
            errors.push(FieldError::invalid(*field, &now, "field is immutable"));
        }
    }
}
