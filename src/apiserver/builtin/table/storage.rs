//! Columns of volumes and of what provides them.

use serde_json::Value;

use super::{
    super::value::{absent, flag, list, text},
    Column, ColumnType,
    shared::{age, column, marked_name, text as words, whole, wide},
};

/// `RWO,ROX`: the short forms of access modes.
pub(super) fn access_modes(modes: &[Value]) -> String {
    let short = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let there = short.iter().filter(|(mode, _)| modes.iter().any(|given| given == mode));
    there.map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

/// The columns of PersistentVolumes.
pub(super) fn volume() -> Vec<Column> {
    vec![
        words("Capacity", "Size of the volume.", |o, _| match text(o, "/spec/capacity/storage") {
            "" => "0".into(),
            size => size.into(),
        }),
        words("Access Modes", "How the volume may be mounted.", |o, _| {
            access_modes(list(o, "/spec/accessModes")).into()
        }),
        words("Reclaim Policy", "What becomes of the volume without its claim.", |o, _| {
            text(o, "/spec/persistentVolumeReclaimPolicy").into()
        }),
        words("Status", "Whether the volume is bound.", |o, _| {
            match absent(o, "/metadata/deletionTimestamp") {
                true => text(o, "/status/phase").into(),
                false => "Terminating".into(),
            }
        }),
        words("Claim", "The claim that it is bound to.", |o, _| {
            match o.pointer("/spec/claimRef") {
                Some(claim) if claim.is_object() => {
                    format!("{}/{}", text(claim, "/namespace"), text(claim, "/name")).into()
                }
                _ => "".into(),
            }
        }),
        words("StorageClass", "Class that the volume belongs to.", |o, _| {
            let old = o.pointer("/metadata/annotations");
            let old = old.and_then(|a| a.get("volume.beta.kubernetes.io/storage-class"));
            old.and_then(Value::as_str).unwrap_or(text(o, "/spec/storageClassName")).into()
        }),
        words("VolumeAttributesClass", "Class of the volume's attributes.", |o, _| {
            or_unset(o, "/spec/volumeAttributesClassName")
        }),
        words("Reason", "Why the volume is in this phase.", |o, _| {
            text(o, "/status/reason").into()
        }),
        age(),
        wide("VolumeMode", "Filesystem or Block.", |o, _| or_unset(o, "/spec/volumeMode")),
    ]
}

fn or_unset(object: &Value, path: &str) -> Value {
    object.pointer(path).and_then(Value::as_str).unwrap_or("<unset>").into()
}

fn yes_or_no(name: &str, about: &str, cell: super::shared::Compute) -> Column {
    column(name, ColumnType::Boolean, 0, about, cell)
}

/// The columns of a kind of `storage.k8s.io`, with its name.
pub(super) fn of_group(kind: &str) -> Vec<Column> {
    let mut columns = match kind {
        "StorageClass" => return storage_class(),
        "VolumeAttachment" => attachment(),
        "CSIDriver" => driver(),
        "CSINode" => vec![
            whole("Drivers", "Number of drivers.", |o, _| list(o, "/spec/drivers").len().into()),
            age(),
        ],
        "CSIStorageCapacity" => vec![super::shared::created_at()],
        _ => vec![words("DriverName", "The driver.", |o, _| text(o, "/driverName").into()), age()],
    };
    columns.insert(0, super::name_column());
    columns
}

fn storage_class() -> Vec<Column> {
    vec![
        marked_name(|class| {
            let marked = |key: &str| {
                let annotations = class.pointer("/metadata/annotations");
                annotations.and_then(|a| a.get(key)).is_some_and(|value| value == "true")
            };
            marked("storageclass.kubernetes.io/is-default-class")
                || marked("storageclass.beta.kubernetes.io/is-default-class")
        }),
        words("Provisioner", "Who provides the volumes.", |o, _| text(o, "/provisioner").into()),
        words("ReclaimPolicy", "What becomes of volumes without their claim.", |o, _| {
            o.get("reclaimPolicy").and_then(Value::as_str).unwrap_or("Delete").into()
        }),
        words("VolumeBindingMode", "When volumes are provided.", |o, _| {
            o.get("volumeBindingMode").and_then(Value::as_str).unwrap_or("Immediate").into()
        }),
        words("AllowVolumeExpansion", "Whether claims may grow.", |o, _| {
            flag(o, "/allowVolumeExpansion").into()
        }),
        age(),
    ]
}

fn attachment() -> Vec<Column> {
    let mut attacher =
        words("Attacher", "Who attaches the volume.", |o, _| text(o, "/spec/attacher").into());
    "name".clone_into(&mut attacher.format);
    vec![
        attacher,
        words("PV", "The volume.", |o, _| text(o, "/spec/source/persistentVolumeName").into()),
        words("Node", "The node.", |o, _| text(o, "/spec/nodeName").into()),
        yes_or_no("Attached", "Whether it is attached.", |o, _| flag(o, "/status/attached").into()),
        age(),
    ]
}

fn driver() -> Vec<Column> {
    vec![
        yes_or_no("AttachRequired", "Whether volumes are attached first.", |o, _| {
            o.pointer("/spec/attachRequired").and_then(Value::as_bool).unwrap_or(true).into()
        }),
        yes_or_no("PodInfoOnMount", "Whether the driver is told of the pod.", |o, _| {
            flag(o, "/spec/podInfoOnMount").into()
        }),
        yes_or_no("StorageCapacity", "Whether capacity counts for scheduling.", |o, _| {
            flag(o, "/spec/storageCapacity").into()
        }),
        words("TokenRequests", "For whom tokens are made.", |o, _| {
            match o.pointer("/spec/tokenRequests").and_then(Value::as_array) {
                None => "<unset>".into(),
                Some(requests) => {
                    let audiences: Vec<&str> =
                        requests.iter().map(|request| text(request, "/audience")).collect();
                    audiences.join(",").into()
                }
            }
        }),
        yes_or_no("RequiresRepublish", "Whether mounts are made again and again.", |o, _| {
            flag(o, "/spec/requiresRepublish").into()
        }),
        words("Modes", "How volumes live.", |o, _| {
            let modes = super::super::value::texts(o, "/spec/volumeLifecycleModes");
            if modes.is_empty() { "<none>".into() } else { modes.join(",").into() }
        }),
        age(),
    ]
}
