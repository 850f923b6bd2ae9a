//! Placements (fleet-semantics §2.4, §2.5).

use serde_json::{Value, json};

use super::{
    definition::{Column, Definition, age, condition, generation},
    schema::{
        about, apply_strategy, conditions, label_selector, list, list_up_to, namespaced_name,
        object, resource_identifier, text, troubled_placements, with_properties, with_rules, word,
        word_or,
    },
};
use crate::api::kind::{self, Kind};

pub(super) fn all() -> Vec<Value> {
    vec![
        placement(kind::CLUSTER_RESOURCE_PLACEMENT, &["crp"], CLUSTER_RULES),
        placement(kind::RESOURCE_PLACEMENT, &["rp"], &[]),
    ]
}

const CLUSTER_RULES: &[(&str, &str)] = &[(
    "!(has(self.spec.statusReportingScope) && self.spec.statusReportingScope == 'NamespaceAccessible') || size(self.spec.resourceSelectors.filter(x, x.kind == 'Namespace')) == 1",
    "when statusReportingScope is NamespaceAccessible, exactly one resourceSelector with kind 'Namespace' is required",
)];

fn placement(
    kind: Kind,
    short: &'static [&'static str],
    rules: &'static [(&'static str, &'static str)],
) -> Value {
    let about = "Which objects of the hub go to which clusters, and how they get there.";
    let (spec, status) = (spec(!kind.namespaced), Some(status()));
    Definition {
        kind,
        short,
        about,
        spec,
        status,
        status_subresource: true,
        columns: columns(kind.name),
        rules,
    }
    .build()
}

fn columns(prefix: &str) -> Vec<Column> {
    let of = |name, kind: &str, field, priority| {
        condition(name, &format!("{prefix}{kind}"), field, priority)
    };
    vec![
        generation(),
        ("Type", ".spec.policy.placementType".to_owned(), "string", 1),
        of("Scheduled", "Scheduled", "status", 0),
        of("Scheduled-Gen", "Scheduled", "observedGeneration", 0),
        of("Work-Synchronized", "WorkSynchronized", "status", 1),
        of("Work-Synchronized-Gen", "WorkSynchronized", "observedGeneration", 1),
        of("Available", "Available", "status", 0),
        of("Available-Gen", "Available", "observedGeneration", 0),
        age(),
    ]
}

fn spec(cluster: bool) -> Value {
    let mut scope = word_or(&["ClusterScopeOnly", "NamespaceAccessible"], "ClusterScopeOnly");
    if cluster {
        scope = with_rules(scope, &[("self == oldSelf", "statusReportingScope is immutable")]);
    }
    let mut selectors = list_up_to(100, selector());
    selectors["minItems"] = json!(1);
    let spec = object(
        json!({
            "policy": policy(),
            "resourceSelectors": selectors,
            "revisionHistoryLimit": {"type": "integer", "format": "int32", "default": 10, "minimum": 1, "maximum": 1000},
            "statusReportingScope": scope,
            "strategy": strategy(),
        }),
        &["resourceSelectors"],
    );
    let with_selectors =
        "(has(x.selectionScope) && x.selectionScope == 'NamespaceWithResourceSelectors')";
    let namespaces = "x.group == '' && x.version == 'v1' && x.kind == 'Namespace'";
    let rules = [
        (
            "!(has(oldSelf.policy) && !has(self.policy))".to_owned(),
            "policy cannot be removed once set",
        ),
        (
            format!(
                "size(self.resourceSelectors.filter(x, {namespaces} && {with_selectors})) <= 1"
            ),
            "only one namespace selector with NamespaceWithResourceSelectors mode is allowed",
        ),
        (
            format!(
                "self.resourceSelectors.all(x, !({namespaces} && {with_selectors}) || (has(x.name) && size(x.name) > 0))"
            ),
            "namespace selector with NamespaceWithResourceSelectors mode must select by name (not by label)",
        ),
        (
            format!(
                "!self.resourceSelectors.exists(x, {namespaces} && {with_selectors}) || size(self.resourceSelectors.filter(x, {namespaces})) == 1"
            ),
            "when using NamespaceWithResourceSelectors mode, only one namespace selector is allowed (cannot mix with other namespace selectors)",
        ),
    ];
    let rules: Vec<(&str, &str)> =
        rules.iter().map(|(rule, message)| (rule.as_str(), *message)).collect();
    with_rules(spec, &rules)
}

fn selector() -> Value {
    let selector = object(
        json!({
            "group": text(),
            "kind": text(),
            "labelSelector": label_selector(),
            "name": text(),
            "selectionScope": word_or(
                &["NamespaceOnly", "NamespaceWithResources", "NamespaceWithResourceSelectors"],
                "NamespaceWithResources",
            ),
            "version": text(),
        }),
        &["group", "kind", "version"],
    );
    let rule = "!(has(self.name) && size(self.name) > 0 && has(self.labelSelector))";
    with_rules(
        selector,
        &[(rule, "name and labelSelector are mutually exclusive in a resource selector")],
    )
}

/// The scheduling policy; policy snapshots hold one too.
pub(super) fn policy_fields() -> Value {
    let tolerations = list_up_to(
        100,
        with_rules(
            object(
                json!({
                    "effect": word(&["NoSchedule"]),
                    "key": text(),
                    "operator": word_or(&["Equal", "Exists"], "Equal"),
                    "value": text(),
                }),
                &[],
            ),
            &[
                (
                    "!(has(self.operator) && self.operator == 'Exists' && has(self.value) && size(self.value) > 0)",
                    "value must be empty when operator is Exists",
                ),
                (
                    "(has(self.key) && size(self.key) > 0) || (has(self.operator) && self.operator == 'Exists')",
                    "operator must be Exists when key is empty",
                ),
            ],
        ),
    );
    let spread = object(
        json!({
            "maxSkew": {"type": "integer", "format": "int32", "default": 1, "minimum": 1},
            "topologyKey": text(),
            "whenUnsatisfiable": word_or(&["DoNotSchedule", "ScheduleAnyway"], "DoNotSchedule"),
        }),
        &["topologyKey"],
    );
    object(
        json!({
            "affinity": affinity(),
            "clusterNames": list_up_to(100, text()),
            "numberOfClusters": {"type": "integer", "format": "int32", "minimum": 0},
            "placementType": word_or(&["PickAll", "PickN", "PickFixed"], "PickAll"),
            "tolerations": tolerations,
            "topologySpreadConstraints": list(spread),
        }),
        &[],
    )
}

fn policy() -> Value {
    let mut policy = policy_fields();
    let kind = policy["properties"]["placementType"].take();
    policy["properties"]["placementType"] =
        with_rules(kind, &[("self == oldSelf", "placement type is immutable")]);
    with_rules(
        policy,
        &[
            (
                "!(self.placementType == 'PickFixed' && (has(self.affinity) || has(self.numberOfClusters) || has(self.topologySpreadConstraints) || has(self.tolerations)))",
                "affinity, numberOfClusters, topologySpreadConstraints, and tolerations cannot be set when placementType is PickFixed",
            ),
            (
                "!(self.placementType == 'PickAll' && (has(self.clusterNames) || has(self.numberOfClusters) || has(self.topologySpreadConstraints)))",
                "clusterNames, numberOfClusters, and topologySpreadConstraints cannot be set when placementType is PickAll",
            ),
            (
                "!(self.placementType == 'PickN' && (has(self.clusterNames) || !has(self.numberOfClusters)))",
                "clusterNames cannot be set and numberOfClusters must be set when placementType is PickN",
            ),
        ],
    )
}

fn affinity() -> Value {
    let expression = object(
        json!({
            "name": text(),
            "operator": word(&["Gt", "Ge", "Eq", "Ne", "Lt", "Le"]),
            "values": {"type": "array", "items": text(), "maxItems": 1},
        }),
        &["name", "operator", "values"],
    );
    let properties = object(json!({"matchExpressions": list(expression)}), &["matchExpressions"]);
    let sorter = object(
        json!({"name": text(), "sortOrder": word(&["Descending", "Ascending"])}),
        &["name", "sortOrder"],
    );
    let term = object(
        json!({"labelSelector": label_selector(), "propertySelector": properties, "propertySorter": sorter}),
        &[],
    );
    let preferred = object(
        json!({"preference": term, "weight": {"type": "integer", "format": "int32", "minimum": -100, "maximum": 100}}),
        &["preference", "weight"],
    );
    let required =
        object(json!({"clusterSelectorTerms": list_up_to(10, term)}), &["clusterSelectorTerms"]);
    let cluster = object(
        json!({
            "preferredDuringSchedulingIgnoredDuringExecution": list(preferred),
            "requiredDuringSchedulingIgnoredDuringExecution": required,
        }),
        &[],
    );
    object(json!({"clusterAffinity": cluster}), &[])
}

fn strategy() -> Value {
    let amount = || {
        json!({
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "default": "25%",
            "pattern": "^((100|[0-9]{1,2})%|[0-9]+)$",
            "x-kubernetes-int-or-string": true,
        })
    };
    let rolling = object(
        json!({
            "maxSurge": amount(),
            "maxUnavailable": amount(),
            "unavailablePeriodSeconds": {"type": "integer", "default": 60, "minimum": 0},
        }),
        &[],
    );
    let report = with_rules(
        object(
            json!({
                "destination": word(&["OriginalResource", "WorkAPI"]),
                "type": word_or(&["Disabled", "Mirror"], "Disabled"),
            }),
            &[],
        ),
        &[(
            "!(self.type == 'Mirror' && !has(self.destination))",
            "when reportBackStrategy.type is 'Mirror', a destination must be specified",
        )],
    );
    let strategy = object(
        json!({
            "applyStrategy": apply_strategy(),
            "deleteStrategy": object(json!({"propagationPolicy": word_or(&["Abandon", "Delete"], "Delete")}), &[]),
            "reportBackStrategy": report,
            "rollingUpdate": about(rolling, "Not with type External."),
            "type": word_or(&["RollingUpdate", "External"], "RollingUpdate"),
        }),
        &[],
    );
    let rule = "!(has(oldSelf.type) && oldSelf.type == 'External' && self.type != 'External')";
    with_rules(
        strategy,
        &[(rule, "cannot change rollout strategy type from 'External' to other types")],
    )
}

fn status() -> Value {
    let cluster = object(
        json!({
            "applicableClusterResourceOverrides": list(text()),
            "applicableResourceOverrides": list(namespaced_name()),
            "clusterName": text(),
            "conditions": conditions(),
            "observedResourceIndex": text(),
        }),
        &[],
    );
    object(
        json!({
            "conditions": conditions(),
            "observedResourceIndex": text(),
            "placementStatuses": list(with_properties(cluster, troubled_placements())),
            "selectedResources": list(resource_identifier()),
        }),
        &[],
    )
}
