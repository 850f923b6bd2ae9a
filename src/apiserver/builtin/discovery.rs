//! Discovery documents: which groups, versions and resources there are.
//!
//! Clients ask `/api` and `/apis` for everything at once (the aggregated form, KEP-3352), or walk the older documents:
//! versions of the core group, groups, one group, resources of one group version.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    ResourceDefinition,
    definition::{Verb, api_version},
    version::compare_versions,
};

/// The `Content-Type` of aggregated documents.
pub const AGGREGATED_CONTENT_TYPE: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The groups that kube-apiserver lists first, in its order; the others follow by name.
const GROUP_ORDER: &[&str] = &[
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
];

type Versions<'d> = Vec<(&'d str, Vec<&'d ResourceDefinition>)>;

/// Groups in the order of discovery, their versions from the most to the least preferred, resources by plural.
fn groups(definitions: &[ResourceDefinition]) -> Vec<(&str, Versions<'_>)> {
    let mut groups: BTreeMap<(usize, &str), BTreeMap<&str, Vec<&ResourceDefinition>>> =
        BTreeMap::new();
    for definition in definitions {
        let group = definition.group.as_str();
        let rank = GROUP_ORDER.iter().position(|g| *g == group).unwrap_or(GROUP_ORDER.len());
        let versions = groups.entry((rank, group)).or_default();
        versions.entry(&definition.version).or_default().push(definition);
    }
    groups
        .into_iter()
        .map(|((_, group), versions)| {
            let mut versions: Versions<'_> = versions.into_iter().collect();
            versions.sort_by(|a, b| compare_versions(a.0, b.0));
            for (_, resources) in &mut versions {
                resources.sort_by(|a, b| a.plural.cmp(&b.plural));
            }
            (group, versions)
        })
        .collect()
}

/// `GET /api`, aggregated: the core group.
#[must_use]
pub fn aggregated_core(definitions: &[ResourceDefinition]) -> Value {
    aggregated(definitions, true)
}

/// `GET /apis`, aggregated: every other group.
#[must_use]
pub fn aggregated_groups(definitions: &[ResourceDefinition]) -> Value {
    aggregated(definitions, false)
}

fn aggregated(definitions: &[ResourceDefinition], core: bool) -> Value {
    let items: Vec<Value> = groups(definitions)
        .into_iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .into_iter()
                .map(|(version, resources)| {
                    let resources: Vec<Value> =
                        resources.into_iter().map(aggregated_resource).collect();
                    json!({"version": version, "freshness": "Current", "resources": resources})
                })
                .collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

fn aggregated_resource(of: &ResourceDefinition) -> Value {
    let mut resource = Map::new();
    let mut put = |key: &str, value: Value| resource.insert(key.to_owned(), value);
    put("resource", of.plural.as_str().into());
    put("responseKind", response_kind(of, &of.group, &of.version, &of.kind));
    put("scope", if of.namespaced { "Namespaced" } else { "Cluster" }.into());
    put("singularResource", of.singular.as_str().into());
    put("verbs", verbs(&of.verbs));
    if !of.short_names.is_empty() {
        put("shortNames", json!(of.short_names));
    }
    if !of.categories.is_empty() {
        put("categories", json!(of.categories));
    }
    let subresources: Vec<Value> = subresources(of)
        .into_iter()
        .map(|sub| {
            json!({
                "subresource": sub.name,
                "responseKind": response_kind(of, sub.group, sub.version, sub.kind),
                "verbs": verbs(sub.verbs),
            })
        })
        .collect();
    if !subresources.is_empty() {
        put("subresources", subresources.into());
    }
    Value::Object(resource)
}

/// Where a built-in kind is of the group and version around it, it does not say them again.
fn response_kind(of: &ResourceDefinition, group: &str, version: &str, kind: &str) -> Value {
    let (group, version) = match of.builtin && group == of.group && version == of.version {
        true => ("", ""),
        false => (group, version),
    };
    json!({"group": group, "version": version, "kind": kind})
}

fn verbs(verbs: &[Verb]) -> Value {
    verbs.iter().map(|v| v.name()).collect::<Vec<_>>().into()
}

struct Subresource<'d> {
    name: &'static str,
    group: &'d str,
    version: &'d str,
    kind: &'d str,
    verbs: &'static [Verb],
}

fn subresources(of: &ResourceDefinition) -> Vec<Subresource<'_>> {
    const READ_WRITE: &[Verb] = &[Verb::Get, Verb::Patch, Verb::Update];
    let own = |name, verbs| Subresource {
        name,
        group: &of.group,
        version: &of.version,
        kind: &of.kind,
        verbs,
    };
    let mut list = Vec::new();
    if of.builtin && of.group.is_empty() && of.kind == "Namespace" {
        list.push(own("finalize", &[Verb::Update]));
    }
    if of.builtin && of.group == "certificates.k8s.io" {
        list.push(own("approval", READ_WRITE));
    }
    if of.builtin && of.group.is_empty() && of.kind == "Pod" {
        list.extend(pod_subresources(of));
    }
    if of.builtin && of.group.is_empty() && of.kind == "ServiceAccount" {
        list.push(Subresource {
            name: "token",
            group: "authentication.k8s.io",
            version: "v1",
            kind: "TokenRequest",
            verbs: &[Verb::Create],
        });
    }
    if of.scale.is_some() {
        list.push(Subresource {
            name: "scale",
            group: "autoscaling",
            version: "v1",
            kind: "Scale",
            verbs: READ_WRITE,
        });
    }
    if of.status {
        // Built-in kinds have theirs by name, custom ones the status first.
        let at = if of.builtin { list.len() } else { 0 };
        list.insert(at, own("status", READ_WRITE));
    }
    list
}

/// What Pods have beside their status. What needs a node is there as well, to be refused in the usual words.
fn pod_subresources(of: &ResourceDefinition) -> Vec<Subresource<'_>> {
    const READ_WRITE: &[Verb] = &[Verb::Get, Verb::Patch, Verb::Update];
    const CONNECT: &[Verb] = &[Verb::Create, Verb::Get];
    let own =
        |name, kind, verbs| Subresource { name, group: "", version: &of.version, kind, verbs };
    vec![
        own("attach", "PodAttachOptions", CONNECT),
        own("binding", "Binding", &[Verb::Create]),
        own("ephemeralcontainers", "Pod", READ_WRITE),
        Subresource {
            name: "eviction",
            group: "policy",
            version: "v1",
            kind: "Eviction",
            verbs: &[Verb::Create],
        },
        own("exec", "PodExecOptions", CONNECT),
        own("log", "Pod", &[Verb::Get]),
        own("portforward", "PodPortForwardOptions", CONNECT),
        own("resize", "Pod", READ_WRITE),
    ]
}

/// `GET /api`, plain: `APIVersions`. `server_address` is the `host:port` that clients reach the server at.
#[must_use]
pub fn core_versions(server_address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [
            {"clientCIDR": "0.0.0.0/0", "serverAddress": server_address},
        ],
    })
}

/// `GET /apis`, plain: `APIGroupList`.
#[must_use]
pub fn group_list(definitions: &[ResourceDefinition]) -> Value {
    let groups: Vec<Value> = groups(definitions)
        .iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, versions)| group_entry(group, versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `GET /apis/GROUP`: `APIGroup`; `None` for a group that is not served.
#[must_use]
pub fn group(definitions: &[ResourceDefinition], name: &str) -> Option<Value> {
    let groups = groups(definitions);
    let (_, versions) = groups.iter().find(|(group, _)| !group.is_empty() && *group == name)?;
    let mut entry = group_entry(name, versions);
    entry["kind"] = "APIGroup".into();
    entry["apiVersion"] = "v1".into();
    Some(entry)
}

fn group_entry(group: &str, versions: &Versions<'_>) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(
            |(version, _)| json!({"groupVersion": api_version(group, version), "version": version}),
        )
        .collect();
    json!({"name": group, "preferredVersion": versions.first(), "versions": versions})
}

/// An `APIResourceList`. Its fields are in the order in which kube-apiserver writes them: people read the text of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceList<'d> {
    kind: &'static str,
    /// Left out for the core group, whose list is as old as Kubernetes and says less of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    group_version: String,
    resources: Vec<PlainResource<'d>>,
}

/// A resource or a subresource in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlainResource<'d> {
    name: String,
    singular_name: &'d str,
    namespaced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'d str>,
    kind: &'d str,
    verbs: Vec<&'static str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    short_names: &'d [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    categories: &'d [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_version_hash: Option<String>,
}

/// `GET /api/v1` and `GET /apis/GROUP/VERSION`; `None` for what is not served.
#[must_use]
pub fn resource_list<'d>(
    definitions: &'d [ResourceDefinition],
    group: &str,
    version: &str,
) -> Option<ResourceList<'d>> {
    let groups = groups(definitions);
    let (_, versions) = groups.iter().find(|(name, _)| *name == group)?;
    let (_, served) = versions.iter().find(|(name, _)| *name == version)?;
    let mut resources = Vec::new();
    for of in served {
        resources.push(plain_resource(of));
        resources.extend(subresources(of).into_iter().map(|sub| plain_subresource(of, &sub)));
    }
    Some(ResourceList {
        kind: "APIResourceList",
        api_version: (!group.is_empty()).then_some("v1"),
        group_version: api_version(group, version),
        resources,
    })
}

fn plain_resource(of: &ResourceDefinition) -> PlainResource<'_> {
    PlainResource {
        name: of.plural.clone(),
        singular_name: &of.singular,
        namespaced: of.namespaced,
        group: None,
        version: None,
        kind: &of.kind,
        verbs: of.verbs.iter().map(|verb| verb.name()).collect(),
        short_names: &of.short_names,
        categories: &of.categories,
        storage_version_hash: of.allows(Verb::Get).then(|| storage_version_hash(of)),
    }
}

fn plain_subresource<'d>(of: &'d ResourceDefinition, sub: &Subresource<'d>) -> PlainResource<'d> {
    let is_of_another_group = sub.group != of.group;
    PlainResource {
        name: format!("{}/{}", of.plural, sub.name),
        singular_name: "",
        namespaced: of.namespaced,
        group: is_of_another_group.then_some(sub.group),
        version: is_of_another_group.then_some(sub.version),
        kind: sub.kind,
        verbs: sub.verbs.iter().map(|verb| verb.name()).collect(),
        short_names: &[],
        categories: &[],
        storage_version_hash: None,
    }
}

/// What tells clients that objects are stored in another form than before.
fn storage_version_hash(of: &ResourceDefinition) -> String {
    let (group, version) = &of.stored_as;
    let digest = Sha256::digest(format!("{group}/{version}/{}", of.kind));
    STANDARD.encode(&digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::builtin::{catalog, from_crd};

    fn served() -> Vec<ResourceDefinition> {
        let version = |name: &str, storage: bool| {
            json!({"name": name, "served": true, "storage": storage,
                   "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {"type": "object"}}})
        };
        let mut definitions = catalog();
        definitions.extend(
            from_crd(&json!({"spec": {
                "group": "example.com", "scope": "Cluster",
                "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
                "versions": [version("v1beta1", false), version("v1", true)],
            }}))
            .unwrap(),
        );
        definitions
    }

    #[test]
    fn groups_are_listed_in_order_with_the_preferred_version_first() {
        let list = group_list(&served());
        let names: Vec<_> = list["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|g| g["name"].as_str().unwrap())
            .collect();
        assert_eq!(names.first(), Some(&"apiregistration.k8s.io"));
        assert_eq!(names.last(), Some(&"example.com"));
        assert_eq!(
            group(&served(), "example.com").unwrap(),
            json!({
                "kind": "APIGroup", "apiVersion": "v1", "name": "example.com",
                "preferredVersion": {"groupVersion": "example.com/v1", "version": "v1"},
                "versions": [
                    {"groupVersion": "example.com/v1", "version": "v1"},
                    {"groupVersion": "example.com/v1beta1", "version": "v1beta1"},
                ],
            })
        );
        assert_eq!(group(&served(), ""), None);
        assert_eq!(group(&served(), "nowhere.io"), None);
    }

    #[test]
    fn resources_come_with_their_subresources() {
        let served = served();
        let text = |group, version| {
            let list = resource_list(&served, group, version)?;
            serde_json::to_string(&list).ok()
        };
        let list: Value = serde_json::from_str(&text("apps", "v1").unwrap()).unwrap();
        let names: Vec<_> = list["resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            names[..6],
            [
                "controllerrevisions",
                "daemonsets",
                "daemonsets/status",
                "deployments",
                "deployments/scale",
                "deployments/status"
            ]
        );
        assert_eq!(list["resources"][4]["group"], "autoscaling");
        assert_eq!(text("apps", "v2"), None);
        let core = text("", "v1").unwrap();
        assert!(core.starts_with(r#"{"kind":"APIResourceList","groupVersion":"v1","#), "{core}");
        let entry = concat!(
            r#"{"name":"configmaps","singularName":"configmap","namespaced":true,"kind":"ConfigMap","#,
            r#""verbs":["create","delete","deletecollection","get","list","patch","update","watch"],"#,
            r#""shortNames":["cm"],"storageVersionHash":"qFsyl6wFWjQ="}"#,
        );
        assert!(core.contains(entry), "{core}");
    }

    #[test]
    fn aggregated_documents_hold_everything() {
        let core = aggregated_core(&served());
        assert_eq!(core["items"].as_array().unwrap().len(), 1);
        assert_eq!(core["items"][0]["metadata"], json!({}));
        let namespaces = core["items"][0]["versions"][0]["resources"]
            .as_array()
            .unwrap()
            .iter()
            .find(|r| r["resource"] == "namespaces")
            .unwrap();
        assert_eq!(
            *namespaces,
            json!({
                "resource": "namespaces",
                "responseKind": {"group": "", "version": "", "kind": "Namespace"},
                "scope": "Cluster",
                "singularResource": "namespace",
                "shortNames": ["ns"],
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
                "subresources": [
                    {"subresource": "finalize", "verbs": ["update"],
                     "responseKind": {"group": "", "version": "", "kind": "Namespace"}},
                    {"subresource": "status", "verbs": ["get", "patch", "update"],
                     "responseKind": {"group": "", "version": "", "kind": "Namespace"}},
                ],
            })
        );
        let groups = aggregated_groups(&served());
        let last = groups["items"].as_array().unwrap().last().unwrap();
        assert_eq!(last["metadata"]["name"], "example.com");
        assert_eq!(last["versions"][0]["version"], "v1");
        assert_eq!(last["versions"][0]["resources"][0]["scope"], "Cluster");
    }
}
