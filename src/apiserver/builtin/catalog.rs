//! The kinds that the server brings itself.

use super::{
    ResourceDefinition,
    definition::{Scale, SchemaCell, Verb},
    table, types,
};

/// One built-in kind.
struct Entry {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    namespaced: bool,
    serves: Serves,
    selectable_fields: &'static [&'static str],
}

/// How much of a resource is served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Serves {
    /// All verbs, no subresource.
    Objects,
    /// All verbs and `status`.
    Status,
    /// All verbs, `status` and `scale`.
    Scale,
    /// Only `create`: the answer is computed, nothing is stored.
    Answers,
}

const ALL: &[&str] = &["all"];
const EXTENSIONS: &[&str] = &["api-extensions"];
const NONE: &[&str] = &[];

#[rustfmt::skip]
const ENTRIES: &[Entry] = &[
    entry("", "v1", "Binding", "bindings", NONE, NONE, true, Serves::Answers, NONE),
    entry("", "v1", "ConfigMap", "configmaps", &["cm"], NONE, true, Serves::Objects, NONE),
    entry("", "v1", "Endpoints", "endpoints", &["ep"], NONE, true, Serves::Objects, NONE),
    entry("", "v1", "Event", "events", &["ev"], NONE, true, Serves::Objects, EVENT_FIELDS),
    entry("", "v1", "LimitRange", "limitranges", &["limits"], NONE, true, Serves::Objects, NONE),
    entry("", "v1", "Namespace", "namespaces", &["ns"], NONE, false, Serves::Status, &["status.phase"]),
    entry("", "v1", "Node", "nodes", &["no"], NONE, false, Serves::Status, &["spec.unschedulable"]),
    entry("", "v1", "PersistentVolume", "persistentvolumes", &["pv"], NONE, false, Serves::Status, NONE),
    entry("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", &["pvc"], NONE, true, Serves::Status, NONE),
    entry("", "v1", "Pod", "pods", &["po"], ALL, true, Serves::Status, POD_FIELDS),
    entry("", "v1", "PodTemplate", "podtemplates", NONE, NONE, true, Serves::Objects, NONE),
    entry("", "v1", "ReplicationController", "replicationcontrollers", &["rc"], ALL, true, Serves::Scale, &["status.replicas"]),
    entry("", "v1", "ResourceQuota", "resourcequotas", &["quota"], NONE, true, Serves::Status, NONE),
    entry("", "v1", "Secret", "secrets", NONE, NONE, true, Serves::Objects, &["type"]),
    entry("", "v1", "Service", "services", &["svc"], ALL, true, Serves::Status, &["spec.clusterIP", "spec.type"]),
    entry("", "v1", "ServiceAccount", "serviceaccounts", &["sa"], NONE, true, Serves::Objects, NONE),
    entry("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", NONE, EXTENSIONS, false, Serves::Objects, NONE),
    entry("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", NONE, EXTENSIONS, false, Serves::Objects, NONE),
    entry("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", NONE, EXTENSIONS, false, Serves::Objects, NONE),
    entry("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", NONE, EXTENSIONS, false, Serves::Status, NONE),
    entry("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", NONE, EXTENSIONS, false, Serves::Objects, NONE),
    entry("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", NONE, EXTENSIONS, false, Serves::Objects, NONE),
    entry("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", &["crd", "crds"], EXTENSIONS, false, Serves::Status, NONE),
    entry("apiregistration.k8s.io", "v1", "APIService", "apiservices", NONE, EXTENSIONS, false, Serves::Status, NONE),
    entry("apps", "v1", "ControllerRevision", "controllerrevisions", NONE, NONE, true, Serves::Objects, NONE),
    entry("apps", "v1", "DaemonSet", "daemonsets", &["ds"], ALL, true, Serves::Status, NONE),
    entry("apps", "v1", "Deployment", "deployments", &["deploy"], ALL, true, Serves::Scale, NONE),
    entry("apps", "v1", "ReplicaSet", "replicasets", &["rs"], ALL, true, Serves::Scale, &["status.replicas"]),
    entry("apps", "v1", "StatefulSet", "statefulsets", &["sts"], ALL, true, Serves::Scale, NONE),
    entry("events.k8s.io", "v1", "Event", "events", &["ev"], NONE, true, Serves::Objects, NEW_EVENT_FIELDS),
    entry("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", NONE, NONE, false, Serves::Answers, NONE),
    entry("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", NONE, NONE, false, Serves::Answers, NONE),
    entry("authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", NONE, NONE, true, Serves::Answers, NONE),
    entry("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", NONE, NONE, false, Serves::Answers, NONE),
    entry("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", NONE, NONE, false, Serves::Answers, NONE),
    entry("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", NONE, NONE, false, Serves::Answers, NONE),
    entry("autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"], ALL, true, Serves::Status, NONE),
    entry("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"], ALL, true, Serves::Status, NONE),
    entry("batch", "v1", "CronJob", "cronjobs", &["cj"], ALL, true, Serves::Status, NONE),
    entry("batch", "v1", "Job", "jobs", NONE, ALL, true, Serves::Status, &["status.successful"]),
    entry("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", &["csr"], NONE, false, Serves::Status, &["spec.signerName"]),
    entry("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", NONE, NONE, true, Serves::Objects, NONE),
    entry("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", NONE, NONE, false, Serves::Status, NONE),
    entry("flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations", NONE, NONE, false, Serves::Status, NONE),
    entry("networking.k8s.io", "v1", "IPAddress", "ipaddresses", &["ip"], NONE, false, Serves::Objects, NONE),
    entry("networking.k8s.io", "v1", "IngressClass", "ingressclasses", NONE, NONE, false, Serves::Objects, NONE),
    entry("networking.k8s.io", "v1", "Ingress", "ingresses", &["ing"], NONE, true, Serves::Status, NONE),
    entry("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", &["netpol"], NONE, true, Serves::Objects, NONE),
    entry("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", NONE, NONE, false, Serves::Status, NONE),
    entry("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", NONE, NONE, false, Serves::Objects, NONE),
    entry("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", &["pdb"], NONE, true, Serves::Status, NONE),
    entry("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", NONE, NONE, false, Serves::Objects, NONE),
    entry("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", NONE, NONE, false, Serves::Objects, NONE),
    entry("rbac.authorization.k8s.io", "v1", "Role", "roles", NONE, NONE, true, Serves::Objects, NONE),
    entry("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", NONE, NONE, true, Serves::Objects, NONE),
    entry("resource.k8s.io", "v1", "DeviceClass", "deviceclasses", NONE, NONE, false, Serves::Objects, NONE),
    entry("resource.k8s.io", "v1", "ResourceClaim", "resourceclaims", NONE, NONE, true, Serves::Status, NONE),
    entry("resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates", NONE, NONE, true, Serves::Objects, NONE),
    entry("resource.k8s.io", "v1", "ResourceSlice", "resourceslices", NONE, NONE, false, Serves::Objects, &["spec.driver", "spec.nodeName"]),
    entry("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", &["pc"], NONE, false, Serves::Objects, NONE),
    entry("storage.k8s.io", "v1", "CSIDriver", "csidrivers", NONE, NONE, false, Serves::Objects, NONE),
    entry("storage.k8s.io", "v1", "CSINode", "csinodes", NONE, NONE, false, Serves::Objects, NONE),
    entry("storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities", NONE, NONE, true, Serves::Objects, NONE),
    entry("storage.k8s.io", "v1", "StorageClass", "storageclasses", &["sc"], NONE, false, Serves::Objects, NONE),
    entry("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", NONE, NONE, false, Serves::Status, NONE),
    entry("storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses", &["vac"], NONE, false, Serves::Objects, NONE),
    entry("coordination.k8s.io", "v1", "Lease", "leases", NONE, NONE, true, Serves::Objects, NONE),
];

const POD_FIELDS: &[&str] = &[
    "spec.host",
    "spec.hostNetwork",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.nominatedNodeName",
    "status.phase",
    "status.podIP",
    "status.podIPs",
];
const EVENT_FIELDS: &[&str] = &[
    "involvedObject.apiVersion",
    "involvedObject.fieldPath",
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.resourceVersion",
    "involvedObject.uid",
    "reason",
    "reportingComponent",
    "source",
    "type",
];
const NEW_EVENT_FIELDS: &[&str] = &[
    "reason",
    "regarding.apiVersion",
    "regarding.fieldPath",
    "regarding.kind",
    "regarding.name",
    "regarding.namespace",
    "regarding.resourceVersion",
    "regarding.uid",
    "reportingController",
    "type",
];

#[expect(clippy::too_many_arguments, reason = "the columns of a table")]
const fn entry(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    namespaced: bool,
    serves: Serves,
    selectable_fields: &'static [&'static str],
) -> Entry {
    Entry {
        group,
        version,
        kind,
        plural,
        short_names,
        categories,
        namespaced,
        serves,
        selectable_fields,
    }
}

/// The kinds that the server brings itself, in the order in which discovery lists groups.
#[must_use]
pub fn catalog() -> Vec<ResourceDefinition> {
    // Every entry has a type, of which a test says so.
    ENTRIES.iter().filter_map(Entry::definition).collect()
}

/// What is sent to the part `token` of a service account, which is no resource of its own.
#[must_use]
pub fn token_request() -> Option<ResourceDefinition> {
    const KIND: (&str, &str, &str) = ("authentication.k8s.io", "v1", "TokenRequest");
    entry(KIND.0, KIND.1, KIND.2, "tokenrequests", NONE, NONE, true, Serves::Answers, NONE)
        .definition()
}

impl Entry {
    fn definition(&self) -> Option<ResourceDefinition> {
        let type_id = types::TYPES.kind(self.group, self.version, self.kind)?;
        let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        let (stored_group, stored_version) = match self.kind {
            "Event" => ("", self.version),
            "HorizontalPodAutoscaler" => (self.group, "v2"),
            _ => (self.group, self.version),
        };
        Some(ResourceDefinition {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            kind: self.kind.to_owned(),
            list_kind: format!("{}List", self.kind),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            short_names: owned(self.short_names),
            categories: owned(self.categories),
            namespaced: self.namespaced,
            verbs: match self.serves {
                Serves::Answers => vec![Verb::Create],
                // Namespaces end one by one.
                _ if self.kind == "Namespace" => {
                    Verb::ALL.into_iter().filter(|verb| *verb != Verb::DeleteCollection).collect()
                }
                _ => Verb::ALL.to_vec(),
            },
            status: matches!(self.serves, Serves::Status | Serves::Scale),
            scale: (self.serves == Serves::Scale).then(|| Scale {
                spec_replicas: ".spec.replicas".to_owned(),
                status_replicas: ".status.replicas".to_owned(),
                label_selector: Some(".spec.selector".to_owned()),
            }),
            columns: table::columns_of(self.group, self.kind),
            selectable_fields: owned(self.selectable_fields),
            stored_as: (stored_group.to_owned(), stored_version.to_owned()),
            builtin: true,
            deprecation_warning: (self.kind == "Endpoints").then(|| {
                "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
                    .to_owned()
            }),
            schema: SchemaCell::lazy(type_id),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_a_type_and_a_structural_schema() {
        let catalog = catalog();
        assert_eq!(catalog.len(), ENTRIES.len());
        for definition in &catalog {
            let compiled = crate::apiserver::schema::Schema::compile(definition.schema_json());
            assert!(compiled.is_ok(), "{}: {:?}", definition.qualified_name(), compiled.err());
        }
    }
}
