//! Defaults of pod templates.

use serde_json::{Value, json};

use super::super::value::{absent, fill, items_mut, object_at, set, text};

/// Read and write for the owner, read for the others: 0644.
const FILE_MODE: i64 = 0o644;

/// Fills the defaults of the pod spec in `template`.
pub(super) fn default_template(template: &mut Value) {
    let Some(spec) = object_at(template, "spec") else { return };
    fill(spec, "restartPolicy", "Always");
    fill(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "schedulerName", "default-scheduler");
    fill(spec, "terminationGracePeriodSeconds", 30);
    object_at(spec, "securityContext");
    // The old name of the field mirrors the new one.
    let account = [text(spec, "/serviceAccountName"), text(spec, "/serviceAccount")]
        .into_iter()
        .find(|name| !name.is_empty())
        .map(str::to_owned);
    if let Some(account) = account {
        set(spec, "serviceAccountName", account.as_str());
        set(spec, "serviceAccount", account);
    }
    for kind in ["/containers", "/initContainers", "/ephemeralContainers"] {
        for container in items_mut(spec, kind) {
            default_container(container);
        }
    }
    for volume in items_mut(spec, "/volumes") {
        default_volume(volume);
    }
}

fn default_container(container: &mut Value) {
    let policy = if is_latest(text(container, "/image")) { "Always" } else { "IfNotPresent" };
    fill(container, "imagePullPolicy", policy);
    fill(container, "terminationMessagePath", "/dev/termination-log");
    fill(container, "terminationMessagePolicy", "File");
    for port in items_mut(container, "/ports") {
        fill(port, "protocol", "TCP");
    }
    for variable in items_mut(container, "/env") {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            fill(field, "apiVersion", "v1");
        }
        if let Some(file) = variable.pointer_mut("/valueFrom/fileKeyRef") {
            fill(file, "optional", false);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(name).filter(|probe| probe.is_object()) {
            default_probe(probe);
        }
    }
    for hook in ["/lifecycle/postStart/httpGet", "/lifecycle/preStop/httpGet"] {
        if let Some(get) = container.pointer_mut(hook).filter(|get| get.is_object()) {
            default_http_get(get);
        }
    }
}

/// Whether an image is named by the tag `latest`, which is also what no tag and no digest mean.
fn is_latest(image: &str) -> bool {
    if image.is_empty() || image.contains('@') {
        return false;
    }
    // A colon before the last slash belongs to the port of a registry.
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn default_probe(probe: &mut Value) {
    // Zero is as good as absent for these.
    for (field, default) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        if probe.get(field).and_then(Value::as_i64) == Some(0) {
            set(probe, field, Value::Null);
        }
        fill(probe, field, default);
    }
    if let Some(get) = probe.get_mut("httpGet").filter(|get| get.is_object()) {
        default_http_get(get);
    }
    if let Some(grpc) = probe.get_mut("grpc").filter(|grpc| grpc.is_object())
        && absent(grpc, "/service")
    {
        set(grpc, "service", "");
    }
}

fn default_http_get(get: &mut Value) {
    fill(get, "path", "/");
    fill(get, "scheme", "HTTP");
}

fn default_volume(volume: &mut Value) {
    let Some(map) = volume.as_object() else { return };
    if map.keys().all(|key| key == "name") {
        set(volume, "emptyDir", json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(source).filter(|s| s.is_object()) {
            fill(source, "defaultMode", FILE_MODE);
        }
    }
    let downward = items_mut(volume, "/downwardAPI/items");
    downward.for_each(default_field_ref);
    for source in items_mut(volume, "/projected/sources") {
        items_mut(source, "/downwardAPI/items").for_each(default_field_ref);
        if let Some(token) = source.get_mut("serviceAccountToken").filter(|t| t.is_object()) {
            fill(token, "expirationSeconds", 3600);
        }
    }
    if let Some(path) = volume.get_mut("hostPath").filter(|p| p.is_object())
        && absent(path, "/type")
    {
        set(path, "type", "");
    }
    let fixed: [(&str, &[(&str, Value)]); 4] = [
        ("iscsi", &[("iscsiInterface", "default".into())]),
        (
            "rbd",
            &[
                ("pool", "rbd".into()),
                ("user", "admin".into()),
                ("keyring", "/etc/ceph/keyring".into()),
            ],
        ),
        ("scaleIO", &[("storageMode", "ThinProvisioned".into()), ("fsType", "xfs".into())]),
        (
            "azureDisk",
            &[
                ("cachingMode", "ReadWrite".into()),
                ("kind", "Shared".into()),
                ("fsType", "ext4".into()),
                ("readOnly", false.into()),
            ],
        ),
    ];
    for (source, fields) in fixed {
        if let Some(source) = volume.get_mut(source).filter(|s| s.is_object()) {
            fields.iter().for_each(|(name, default)| fill(source, name, default.clone()));
        }
    }
    if let Some(spec) = volume.pointer_mut("/ephemeral/volumeClaimTemplate/spec") {
        fill(spec, "volumeMode", "Filesystem");
    }
}

fn default_field_ref(item: &mut Value) {
    if let Some(field) = item.get_mut("fieldRef").filter(|field| field.is_object()) {
        fill(field, "apiVersion", "v1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_without_tag_are_pulled_always() {
        let table = [
            ("nginx", true),
            ("nginx:latest", true),
            ("nginx:1.27", false),
            ("registry:5000/nginx", true),
            ("registry:5000/team/nginx:v1", false),
            ("nginx@sha256:abc", false),
            ("nginx:latest@sha256:abc", false),
            ("", false),
        ];
        for (image, latest) in table {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }
}
