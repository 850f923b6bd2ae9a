//! In which order objects reach a hub.

use super::Manifest;

/// Kinds that others need, in the order of need; every other kind comes after them.
const FIRST: &[(&str, &str)] = &[
    ("", "Namespace"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "StorageClass"),
    ("", "ServiceAccount"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("", "ResourceQuota"),
    ("", "LimitRange"),
    ("", "Secret"),
    ("", "ConfigMap"),
    ("", "PersistentVolume"),
    ("", "PersistentVolumeClaim"),
    ("", "Service"),
];

/// Kinds that may stop what comes after them from being accepted.
const LAST: &[(&str, &str)] = &[
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
];

/// Sorts objects into the order of applying: namespaces and definitions first, webhooks last, by name among equals.
/// Backwards it is the order of deleting.
pub fn apply_order(manifests: &mut [Manifest]) {
    manifests.sort_by(|a, b| (rank(a), &a.key).cmp(&(rank(b), &b.key)));
}

fn rank(manifest: &Manifest) -> usize {
    rank_of(&manifest.key.group, &manifest.key.kind)
}

/// Returns a kind's place in the order of applying.
pub fn rank_of(group: &str, kind: &str) -> usize {
    let at = |list: &[(&str, &str)]| list.iter().position(|known| *known == (group, kind));
    match (at(FIRST), at(LAST)) {
        (Some(place), _) => place,
        (None, Some(place)) => FIRST.len() + 1 + place,
        (None, None) => FIRST.len(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{manifest::Place, model::ObjectKey};

    #[test]
    fn what_others_need_comes_first() {
        let object = |group: &str, kind: &str, name: &str| Manifest {
            key: ObjectKey {
                group: group.into(),
                kind: kind.into(),
                namespace: String::new(),
                name: name.into(),
            },
            place: Place::default(),
            document: 0,
            pointer: String::new(),
            object: json!({}),
        };
        let mut all = [
            object("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "w"),
            object("apps", "Deployment", "d"),
            object("example.com", "Namespace", "not-the-core-one"),
            object("", "ConfigMap", "b"),
            object("", "ConfigMap", "a"),
            object("apiextensions.k8s.io", "CustomResourceDefinition", "c"),
            object("", "Namespace", "n"),
        ];
        apply_order(&mut all);
        let names: Vec<_> = all.iter().map(|m| m.key.name.as_str()).collect();
        assert_eq!(names, ["n", "c", "a", "b", "d", "not-the-core-one", "w"]);
    }
}
