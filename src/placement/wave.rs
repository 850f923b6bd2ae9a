//! The order in which a member applies objects (fleet-semantics §7.3).
//!
//! Objects of a wave are applied at the same time; a wave begins when the one before is through, whatever came of it.

/// Kinds by wave, with the groups that they are known in.
const WAVES: &[&[(&str, &[&str])]] = &[
    &[("", &["Namespace"]), ("scheduling.k8s.io", &["PriorityClass"])],
    &[
        (
            "",
            &[
                "ResourceQuota",
                "LimitRange",
                "ServiceAccount",
                "Secret",
                "ConfigMap",
                "PersistentVolume",
                "PersistentVolumeClaim",
            ],
        ),
        ("networking.k8s.io", &["NetworkPolicy", "IngressClass"]),
        ("policy", &["PodSecurityPolicy", "PodDisruptionBudget"]),
        ("storage.k8s.io", &["StorageClass"]),
        ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ],
    &[("rbac.authorization.k8s.io", &["ClusterRole", "Role"])],
    &[("rbac.authorization.k8s.io", &["ClusterRoleBinding", "RoleBinding"])],
    &[
        ("", &["Service", "Pod", "ReplicationController"]),
        ("apps", &["DaemonSet", "ReplicaSet", "Deployment", "StatefulSet"]),
        ("autoscaling", &["HorizontalPodAutoscaler"]),
        ("batch", &["Job", "CronJob"]),
        ("networking.k8s.io", &["Ingress"]),
    ],
    &[
        ("apiregistration.k8s.io", &["APIService"]),
        (
            "admissionregistration.k8s.io",
            &["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"],
        ),
    ],
];

/// Returns the wave of a kind. Custom resources come last: what defines them, and what admits them, is there by then.
pub fn wave(group: &str, kind: &str) -> usize {
    let known = |wave: &[(&str, &[&str])]| {
        wave.iter().any(|(of, kinds)| *of == group && kinds.contains(&kind))
    };
    WAVES.iter().position(|wave| known(wave)).unwrap_or(WAVES.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_stand_on_comes_first() {
        for (group, kind, want) in [
            ("", "Namespace", 0),
            ("", "ConfigMap", 1),
            ("apiextensions.k8s.io", "CustomResourceDefinition", 1),
            ("rbac.authorization.k8s.io", "Role", 2),
            ("rbac.authorization.k8s.io", "RoleBinding", 3),
            ("apps", "Deployment", 4),
            ("networking.k8s.io", "Ingress", 4),
            ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", 5),
            ("example.com", "Widget", 6),
            ("example.com", "Namespace", 6),
        ] {
            assert_eq!(wave(group, kind), want, "{group}/{kind}");
        }
    }
}
