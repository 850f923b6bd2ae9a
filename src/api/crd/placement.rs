//! Placements and the mirrored status (fleet-semantics §2.4, §2.5).

use super::{
    definition::{Column, Definition},
    schema::{Schema, int32, integer, list, object, root, text, time},
    shared::{
        Version, amount, apply_strategy, conditions, diffed_placements, drifted_placements,
        failed_placements, label_selector, namespaced_name, report_back_strategy,
        resource_identifier,
    },
};
use crate::api::kind;

/// The name of a placement is the value of a label on everything that belongs to it. Fleet refuses longer ones in a
/// webhook; hubs without it need the rule here.
const SHORT_NAME: &str = "size(self.metadata.name) < 64";
const LONG_NAME: &str = "the name field cannot have length exceeding 63";

/// `ClusterResourcePlacement`.
pub(super) fn cluster() -> Definition {
    Definition::of_fleet(
        kind::CLUSTER_RESOURCE_PLACEMENT,
        &["crp"],
        |version| {
            root([
                (
                    "spec",
                    spec(version)
                        .rule(
                            "!has(self.statusReportingScope) || self.statusReportingScope != 'NamespaceAccessible' || \
                             self.resourceSelectors.filter(s, s.kind == 'Namespace').size() == 1",
                            "when statusReportingScope is NamespaceAccessible, exactly one resourceSelector with kind 'Namespace' is required",
                        )
                        .rule(
                            "!has(oldSelf.statusReportingScope) || !has(self.statusReportingScope) || \
                             self.statusReportingScope == oldSelf.statusReportingScope",
                            "statusReportingScope is immutable",
                        ),
                ),
                ("status", status(version)),
            ])
            .require(["spec"])
            .rule(SHORT_NAME, LONG_NAME)
            .about("Selects cluster-scoped objects, or whole namespaces, and places them on member clusters.")
        },
        columns([
            r#".status.conditions[?(@.type=="ClusterResourcePlacementScheduled")].status"#,
            r#".status.conditions[?(@.type=="ClusterResourcePlacementScheduled")].observedGeneration"#,
            r#".status.conditions[?(@.type=="ClusterResourcePlacementWorkSynchronized")].status"#,
            r#".status.conditions[?(@.type=="ClusterResourcePlacementWorkSynchronized")].observedGeneration"#,
            r#".status.conditions[?(@.type=="ClusterResourcePlacementAvailable")].status"#,
            r#".status.conditions[?(@.type=="ClusterResourcePlacementAvailable")].observedGeneration"#,
        ]),
    )
}

/// `ResourcePlacement`.
pub(super) fn namespaced() -> Definition {
    Definition::of_fleet(
        kind::RESOURCE_PLACEMENT,
        &["rp"],
        |version| {
            root([("spec", spec(version)), ("status", status(version))])
                .require(["spec"])
                .rule(SHORT_NAME, LONG_NAME)
                .about("Selects objects of its namespace and places them on member clusters.")
        },
        columns([
            r#".status.conditions[?(@.type=="ResourcePlacementScheduled")].status"#,
            r#".status.conditions[?(@.type=="ResourcePlacementScheduled")].observedGeneration"#,
            r#".status.conditions[?(@.type=="ResourcePlacementWorkSynchronized")].status"#,
            r#".status.conditions[?(@.type=="ResourcePlacementWorkSynchronized")].observedGeneration"#,
            r#".status.conditions[?(@.type=="ResourcePlacementAvailable")].status"#,
            r#".status.conditions[?(@.type=="ResourcePlacementAvailable")].observedGeneration"#,
        ]),
    )
}

/// `ClusterResourcePlacementStatus`.
pub(super) fn mirrored_status() -> Definition {
    Definition::of_fleet(
        kind::CLUSTER_RESOURCE_PLACEMENT_STATUS,
        &["crps"],
        |version| {
            root([
                ("sourceStatus", status(version)),
                ("lastUpdatedTime", time().about("When the copy was made.")),
            ])
            .about("A copy of a placement's status, for those who may read only the namespace it is in.")
        },
        vec![
            Column::text("Resource-Index", ".sourceStatus.observedResourceIndex"),
            Column::date("Last-Updated", ".lastUpdatedTime"),
            Column::age(),
        ],
    )
    .without_status()
}

fn columns(paths: [&'static str; 6]) -> Vec<Column> {
    let [scheduled, scheduled_gen, synchronized, synchronized_gen, available, available_gen] =
        paths;
    vec![
        Column::text("Gen", ".metadata.generation"),
        Column::wide("Type", ".spec.policy.placementType"),
        Column::text("Scheduled", scheduled),
        Column::text("Scheduled-Gen", scheduled_gen),
        Column::wide("Work-Synchronized", synchronized),
        Column::wide("Work-Synchronized-Gen", synchronized_gen),
        Column::text("Available", available),
        Column::text("Available-Gen", available_gen),
        Column::age(),
    ]
}

fn spec(version: Version) -> Schema {
    const SELECTED_INSIDE: &str = "s.group == '' && s.kind == 'Namespace' && has(s.selectionScope) && \
                                   s.selectionScope == 'NamespaceWithResourceSelectors'";
    let inside = format!("self.resourceSelectors.filter(s, {SELECTED_INSIDE})");
    object([
        (
            "resourceSelectors",
            list(selector())
                .items_at_least(1)
                .items_at_most(100)
                .about("What to place: objects that any of them picks."),
        ),
        ("policy", policy()),
        ("strategy", strategy(version)),
        (
            "revisionHistoryLimit",
            int32()
                .at_least(1)
                .at_most(1000)
                .default(10)
                .about("How many resource snapshot groups, and how many policy snapshots, are kept."),
        ),
        (
            "statusReportingScope",
            text()
                .one_of(["ClusterScopeOnly", "NamespaceAccessible"])
                .default("ClusterScopeOnly")
                .about("Whether the status is also copied into the selected namespace."),
        ),
    ])
    .require(["resourceSelectors"])
    .rule(
        "!(has(oldSelf.policy) && !has(self.policy))",
        "policy cannot be removed once set",
    )
    .rule(
        &format!("{inside}.size() <= 1"),
        "only one namespace selector with NamespaceWithResourceSelectors mode is allowed",
    )
    .rule(
        &format!("{inside}.all(s, has(s.name) && s.name != '')"),
        "namespace selector with NamespaceWithResourceSelectors mode must select by name (not by label)",
    )
    .rule(
        &format!(
            "{inside}.size() == 0 || \
             self.resourceSelectors.filter(s, s.group == '' && s.kind == 'Namespace').size() == 1"
        ),
        "when using NamespaceWithResourceSelectors mode, only one namespace selector is allowed (cannot mix with other namespace selectors)",
    )
    .about("What to place, where, and how.")
}

fn selector() -> Schema {
    object([
        ("group", text().about("API group; empty for the core group.")),
        ("version", text().about("API version.")),
        ("kind", text().about("Kind.")),
        ("name", text().about("Exact name. Without a name and a selector, all of the kind.")),
        ("labelSelector", label_selector().about("Picks by labels.")),
        (
            "selectionScope",
            text()
                .one_of([
                    "NamespaceOnly",
                    "NamespaceWithResources",
                    "NamespaceWithResourceSelectors",
                ])
                .default("NamespaceWithResources")
                .about(
                    "What a selector of a Namespace covers: the Namespace alone, with all that is in it, or with what \
                     other selectors pick in it.",
                ),
        ),
    ])
    .require(["group", "kind", "version"])
    .rule(
        "!(has(self.name) && self.name != '' && has(self.labelSelector))",
        "name and labelSelector are mutually exclusive in a resource selector",
    )
}

fn policy() -> Schema {
    policy_fields(text().immutable("placement type is immutable"))
    .rule(
        "!(self.placementType == 'PickFixed' && (has(self.affinity) || has(self.numberOfClusters) || \
         has(self.topologySpreadConstraints) || has(self.tolerations)))",
        "affinity, numberOfClusters, topologySpreadConstraints, and tolerations cannot be set when placementType is PickFixed",
    )
    .rule(
        "!(self.placementType == 'PickAll' && (has(self.clusterNames) || has(self.numberOfClusters) || \
         has(self.topologySpreadConstraints)))",
        "clusterNames, numberOfClusters, and topologySpreadConstraints cannot be set when placementType is PickAll",
    )
    .rule(
        "!(self.placementType == 'PickN' && (has(self.clusterNames) || !has(self.numberOfClusters)))",
        "clusterNames cannot be set and numberOfClusters must be set when placementType is PickN",
    )
    .about("Which clusters. Absent: all of them.")
}

/// The scheduling policy as policy snapshots repeat it: without the number of clusters, so without the rules that demand it.
pub(super) fn frozen_policy() -> Schema {
    policy_fields(text()).about("The policy, without the number of clusters.")
}

fn policy_fields(placement_type: Schema) -> Schema {
    object([
        (
            "placementType",
            placement_type
                .one_of(["PickAll", "PickN", "PickFixed"])
                .default("PickAll")
                .about("All eligible clusters, the best N, or a list."),
        ),
        ("clusterNames", list(text()).items_at_most(100).about("The list, for PickFixed.")),
        ("numberOfClusters", int32().at_least(0).about("N, for PickN.")),
        ("affinity", affinity()),
        ("topologySpreadConstraints", topology_spread_constraints()),
        ("tolerations", tolerations()),
    ])
}

fn term() -> Schema {
    let property = || text().about("Name of the cluster property.");
    object([
        ("labelSelector", label_selector().about("Labels of the cluster.")),
        (
            "propertySelector",
            object([(
                "matchExpressions",
                list(
                    object([
                        ("name", property()),
                        (
                            "operator",
                            text()
                                .one_of(["Gt", "Ge", "Eq", "Ne", "Lt", "Le"])
                                .about("How to compare."),
                        ),
                        ("values", list(text()).items_at_most(1).about("Exactly one quantity.")),
                    ])
                    .require(["name", "operator", "values"]),
                )
                .about("Demands that all must be met."),
            )])
            .require(["matchExpressions"])
            .about("Properties of the cluster."),
        ),
        (
            "propertySorter",
            object([
                ("name", property()),
                (
                    "sortOrder",
                    text().one_of(["Descending", "Ascending"]).about("Which end is better."),
                ),
            ])
            .require(["name", "sortOrder"])
            .about("Prefers clusters by a property; in preferences only."),
        ),
    ])
}

fn affinity() -> Schema {
    object([(
        "clusterAffinity",
        object([
            (
                "requiredDuringSchedulingIgnoredDuringExecution",
                object([(
                    "clusterSelectorTerms",
                    list(term())
                        .items_at_most(10)
                        .about("A cluster is eligible when any term matches."),
                )])
                .require(["clusterSelectorTerms"])
                .about("What a cluster must have."),
            ),
            (
                "preferredDuringSchedulingIgnoredDuringExecution",
                list(
                    object([
                        (
                            "weight",
                            int32().at_least(-100).at_most(100).about("How much it counts."),
                        ),
                        ("preference", term().about("What is preferred.")),
                    ])
                    .require(["preference", "weight"]),
                )
                .about("What a cluster should have; for PickN."),
            ),
        ])
        .about("By labels and properties of clusters."),
    )])
    .about("Which clusters are eligible, and which are better.")
}

fn topology_spread_constraints() -> Schema {
    list(
        object([
            ("maxSkew", int32().at_least(1).default(1).about("How uneven the spread may be.")),
            ("topologyKey", text().about("The label that tells domains apart.")),
            (
                "whenUnsatisfiable",
                text()
                    .one_of(["DoNotSchedule", "ScheduleAnyway"])
                    .default("DoNotSchedule")
                    .about("Whether the constraint is a demand or a wish."),
            ),
        ])
        .require(["topologyKey"]),
    )
    .about("How picked clusters spread; for PickN.")
}

fn tolerations() -> Schema {
    list(
        object([
            ("key", text().about("Key of the taint; empty for all, with Exists.")),
            (
                "operator",
                text().one_of(["Equal", "Exists"]).default("Equal").about("How to compare."),
            ),
            ("value", text().about("Value of the taint, for Equal.")),
            ("effect", text().one_of(["NoSchedule"]).about("Effect of the taint; empty for all.")),
        ])
        .rule(
            "!(self.operator == 'Exists' && has(self.value) && self.value != '')",
            "value must be empty when operator is Exists",
        )
        .rule(
            "(has(self.key) && self.key != '') || self.operator == 'Exists'",
            "operator must be Exists when key is empty",
        ),
    )
    .items_at_most(100)
    .about("Taints of clusters that do not matter here.")
}

fn strategy(version: Version) -> Schema {
    let pace = |about: &str| amount().default("25%").about(about);
    let whole = object([
        (
            "type",
            text()
                .one_of(["RollingUpdate", "External"])
                .default("RollingUpdate")
                .rule(
                    "!(self != 'External' && oldSelf == 'External')",
                    "cannot change rollout strategy type from 'External' to other types",
                )
                .about("Who rolls out: the placement by itself, or staged update runs."),
        ),
        (
            "rollingUpdate",
            object([
                ("maxUnavailable", pace("How many clusters may be unavailable at a time.")),
                ("maxSurge", pace("How many clusters may be added at a time.")),
                (
                    "unavailablePeriodSeconds",
                    integer()
                        .at_least(0)
                        .default(60)
                        .about("How long objects that cannot be watched count as unavailable."),
                ),
            ])
            .about("Pace of a rolling update."),
        ),
        ("applyStrategy", apply_strategy()),
        (
            "deleteStrategy",
            object([(
                "propagationPolicy",
                text()
                    .one_of(["Delete", "Abandon"])
                    .default("Delete")
                    .about("Whether placed objects go with the placement."),
            )])
            .about("What happens to placed objects when the placement is deleted."),
        ),
        ("reportBackStrategy", report_back_strategy()),
    ])
    // A webhook's rule in Fleet; the spelling is its.
    .rule(
        "!(has(self.type) && self.type == 'External' && has(self.rollingUpdate))",
        "rollingUpdateConifg is not valid for ExternalRollout strategy type",
    )
    .about("How changes reach the clusters.");
    match version {
        Version::V1 => whole.without("deleteStrategy").without("reportBackStrategy"),
        Version::V1Beta1 => whole,
    }
}

fn status(version: Version) -> Schema {
    object([
        ("selectedResources", list(resource_identifier(version)).about("What is placed.")),
        (
            "observedResourceIndex",
            text().about(
                "The resource snapshot index that all clusters share; empty while they differ.",
            ),
        ),
        ("placementStatuses", list(cluster_status(version)).about("One a cluster.")),
        ("conditions", conditions("How the placement goes as a whole.")),
    ])
    .about("How the placement goes.")
}

fn cluster_status(version: Version) -> Schema {
    object([
        ("clusterName", text().about("The cluster; absent when one is needed but not found.")),
        (
            "observedResourceIndex",
            text().about("The resource snapshot index that the cluster should have."),
        ),
        (
            "applicableClusterResourceOverrides",
            list(text()).about("Snapshots of cluster-scoped overrides in force."),
        ),
        (
            "applicableResourceOverrides",
            list(namespaced_name()).about("Snapshots of namespaced overrides in force."),
        ),
        ("failedPlacements", failed_placements(version)),
        ("driftedPlacements", drifted_placements(version)),
        ("diffedPlacements", diffed_placements(version)),
        ("conditions", conditions("How the cluster goes.")),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_stable_version_lacks_what_fleet_serves_only_in_beta() {
        let has = |version, field| {
            Value::from(strategy(version)).pointer(&format!("/properties/{field}")).is_some()
        };
        assert!(has(Version::V1Beta1, "deleteStrategy") && !has(Version::V1, "deleteStrategy"));
        assert!(has(Version::V1, "applyStrategy"));
    }
}
