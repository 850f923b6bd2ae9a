//! Shapes that several kinds share.

use super::schema::{Schema, boolean, int_or_text, int64, list, map, object, text, time};

/// Version of a kind, where the two that are served differ (fleet-semantics §2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// The stable version: fewer fields.
    V1,
    /// The stored version.
    V1Beta1,
}

impl Version {
    /// Returns the wire's word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1Beta1 => "v1beta1",
        }
    }
}

/// One condition, as `meta/v1` defines it.
pub(super) fn condition() -> Schema {
    object([
        ("type", text().about("What the condition is about.").chars(0, 316).pattern(
            r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
        )),
        ("status", text().about("Whether it is so.").one_of(["True", "False", "Unknown"])),
        ("observedGeneration", int64().about("The generation of the object that the condition speaks of.").at_least(0)),
        ("lastTransitionTime", time().about("When the status last changed.")),
        ("reason", text().about("One word for machines.").chars(1, 1024).pattern(r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")),
        ("message", text().about("A sentence for people; may be empty.").chars(0, 32768)),
    ])
    .require(["lastTransitionTime", "message", "reason", "status", "type"])
}

/// Conditions, one of a type.
pub(super) fn conditions(about: &str) -> Schema {
    list(condition()).keyed_by("type").about(about)
}

/// A label selector, as `meta/v1` defines it.
pub(super) fn label_selector() -> Schema {
    object([
        ("matchLabels", map(text()).about("Labels with exactly these values.")),
        (
            "matchExpressions",
            list(
                object([
                    ("key", text().about("The label.")),
                    ("operator", text().about("In, NotIn, Exists or DoesNotExist.")),
                    ("values", list(text()).atomic_list().about("For In and NotIn.")),
                ])
                .require(["key", "operator"]),
            )
            .atomic_list()
            .about("Demands that all must be met."),
        ),
    ])
    .atomic()
}

/// How objects are applied on members (§2.4).
pub(super) fn apply_strategy() -> Schema {
    object([
        (
            "type",
            text()
                .about("Who merges: the client, the member's API server, or nobody.")
                .one_of(["ClientSideApply", "ServerSideApply", "ReportDiff"])
                .default("ClientSideApply"),
        ),
        (
            "comparisonOption",
            text()
                .about("Which fields count as drift: those in the manifest, or all.")
                .one_of(["PartialComparison", "FullComparison"])
                .default("PartialComparison"),
        ),
        (
            "whenToApply",
            text()
                .about("Whether drifted objects are applied again.")
                .one_of(["Always", "IfNotDrifted"])
                .default("Always"),
        ),
        (
            "whenToTakeOver",
            text()
                .about("Whether objects that Fleet did not make are taken over.")
                .one_of(["Always", "IfNoDiff", "Never"])
                .default("Always"),
        ),
        ("allowCoOwnership", boolean().about("Tolerates owners other than Fleet.")),
        (
            "serverSideApplyConfig",
            object([("force", boolean().about("Wins conflicts with other field managers."))])
                .about("For ServerSideApply."),
        ),
    ])
    .about("How objects are applied on members.")
}

/// What members report of applied objects; only in the stored version.
pub(super) fn report_back_strategy() -> Schema {
    object([
        (
            "type",
            text()
                .about("Whether statuses come back to the hub.")
                .one_of(["Disabled", "Mirror"])
                .default("Disabled"),
        ),
        (
            "destination",
            text().about("Where they are put.").one_of(["OriginalResource", "WorkAPI"]),
        ),
    ])
    .require(["type"])
    .rule(
        "self.type != 'Mirror' || has(self.destination)",
        "when reportBackStrategy.type is 'Mirror', a destination must be specified",
    )
    .about("What members report of applied objects.")
}

/// Name and namespace of an override snapshot.
pub(super) fn namespaced_name() -> Schema {
    object([("name", text().about("Its name.")), ("namespace", text().about("Its namespace."))])
        .require(["name"])
}

/// One object that a placement selects.
pub(super) fn resource_identifier(version: Version) -> Schema {
    let envelope = match version {
        Version::V1 => text().one_of(["ClusterResourceEnvelope", "ResourceEnvelope"]),
        Version::V1Beta1 => text()
            .one_of(["ConfigMap", "ClusterResourceEnvelope", "ResourceEnvelope"])
            .default("ConfigMap"),
    };
    object([
        ("group", text().about("Empty for the core group.")),
        ("version", text().about("API version.")),
        ("kind", text().about("Kind.")),
        ("name", text().about("Name.")),
        ("namespace", text().about("Empty for cluster-scoped objects.")),
        (
            "envelope",
            object([
                ("name", text().about("Name of the envelope.")),
                ("namespace", text().about("Namespace of the envelope.")),
                ("type", envelope.about("Kind of the envelope.")),
            ])
            .require(["name"])
            .about("The envelope that carries the object."),
        ),
    ])
    .require(["kind", "name", "version"])
}

fn differences(about: &str) -> Schema {
    list(
        object([
            ("path", text().about("JSON path of the field.")),
            ("valueInMember", text().about("What the member has.")),
            ("valueInHub", text().about("What the hub has.")),
        ])
        .require(["path"]),
    )
    .about(about)
}

/// Objects that failed.
pub(super) fn failed_placements(version: Version) -> Schema {
    list(
        resource_identifier(version)
            .fields([("condition", condition().about("Why it failed."))])
            .require(["condition", "kind", "name", "version"]),
    )
    .items_at_most(100)
    .about("Objects that could not be applied or are not available.")
}

/// Objects that drifted after they were applied.
pub(super) fn drifted_placements(version: Version) -> Schema {
    list(
        resource_identifier(version)
            .fields([
                ("observationTime", time().about("When this was last seen.")),
                ("targetClusterObservedGeneration", int64().about("Generation on the member.")),
                ("firstDriftedObservedTime", time().about("When this was first seen.")),
                ("observedDrifts", differences("What drifted.")),
            ])
            .require([
                "firstDriftedObservedTime",
                "kind",
                "name",
                "observationTime",
                "targetClusterObservedGeneration",
                "version",
            ]),
    )
    .items_at_most(100)
    .about("Objects that someone changed on the member.")
}

/// Objects that differ from what would be applied.
pub(super) fn diffed_placements(version: Version) -> Schema {
    list(
        resource_identifier(version)
            .fields([
                ("observationTime", time().about("When this was last seen.")),
                ("targetClusterObservedGeneration", int64().about("Generation on the member.")),
                ("firstDiffedObservedTime", time().about("When this was first seen.")),
                ("observedDiffs", differences("What differs.")),
            ])
            .require(["firstDiffedObservedTime", "kind", "name", "observationTime", "version"]),
    )
    .items_at_most(100)
    .about("Objects on the member that differ from the hub's.")
}

/// Drift of one manifest of a work.
pub(super) fn drift_details() -> Schema {
    object([
        ("observationTime", time().about("When this was last seen.")),
        ("observedInMemberClusterGeneration", int64().about("Generation on the member.")),
        ("firstDriftedObservedTime", time().about("When this was first seen.")),
        ("observedDrifts", differences("What drifted.")),
    ])
    .about("What someone changed on the member.")
}

/// Difference of one manifest of a work.
pub(super) fn diff_details() -> Schema {
    object([
        ("observationTime", time().about("When this was last seen.")),
        ("observedInMemberClusterGeneration", int64().about("Generation on the member.")),
        ("firstDiffedObservedTime", time().about("When this was first seen.")),
        ("observedDiffs", differences("What differs.")),
    ])
    .about("How the member's object differs from the manifest.")
}

/// Why a cluster was picked, or not.
pub(super) fn cluster_decision() -> Schema {
    object([
        ("clusterName", text().about("The member cluster.")),
        ("selected", boolean().about("Whether it was picked.")),
        (
            "clusterScore",
            object([
                ("affinityScore", integer32("From preferred affinity terms.")),
                ("priorityScore", integer32("From topology spread constraints.")),
            ])
            .about("How good the cluster is."),
        ),
        ("reason", text().about("A sentence.")),
    ])
    .require(["clusterName", "reason", "selected"])
}

fn integer32(about: &str) -> Schema {
    super::schema::int32().about(about)
}

/// A count, or a percentage of something.
pub(super) fn amount() -> Schema {
    int_or_text().pattern(r"^((100|[0-9]{1,2})%|[0-9]+)$")
}
