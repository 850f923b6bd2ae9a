//! Which objects on the hub a placement selects (fleet-semantics §3.2).
//!
//! Two steps, so that judgement stays pure: [`wants`] says what must be listed, [`select`] picks from what was.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{ApiResource, Selector, SelectorExt as _};
use serde_json::Value;

use super::{
    canonical,
    exclude::{self, placeable, reserved_namespace},
    order::order,
    prune::prune,
};
use crate::{
    api::{
        placement::{NAMESPACE_ONLY, NAMESPACE_WITH_RESOURCE_SELECTORS, ResourceSelector},
        reference::ResourceIdentifier,
    },
    model::Scope,
};

/// A kind that the hub serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Group, version, kind and plural.
    pub api: ApiResource,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
}

/// What the hub serves.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The kinds that selectors name, at their versions. A kind that is missing is not served.
    pub named: Vec<Served>,
    /// Every kind that can be listed, at one version each: the content of namespaces.
    pub all: Vec<Served>,
}

/// A list to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Of which kind.
    pub resource: ApiResource,
    /// In one namespace, or everywhere.
    pub namespace: Option<String>,
    /// The object of this name only, or all.
    pub name: Option<String>,
}

impl Want {
    /// Returns whether this list has everything that another one has.
    fn covers(&self, other: &Self) -> bool {
        self.resource == other.resource
            && (self.namespace.is_none() || self.namespace == other.namespace)
            && (self.name.is_none() || self.name == other.name)
    }
}

/// The selectors cannot be met. The text is Fleet's: it ends up in the placement's status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to process the request due to a client error: {0}")]
pub struct SelectionError(String);

impl SelectionError {
    /// Returns the text without Fleet's class of error before it.
    pub fn why(&self) -> &str {
        &self.0
    }
}

/// What a placement selects now: pruned, in snapshot order.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The objects.
    pub objects: Vec<Value>,
    /// Hash of all of them.
    pub hash: String,
}

impl Selection {
    /// Returns the selection of these objects, as they are on the hub.
    pub fn of(objects: Vec<Value>) -> Self {
        let mut objects: Vec<Value> = objects.into_iter().map(prune).collect();
        order(&mut objects);
        let hash = canonical::hash(&objects);
        Self { objects, hash }
    }

    /// Returns how many of the objects are envelopes.
    pub fn envelopes(&self) -> usize {
        self.objects.iter().filter(|object| exclude::is_envelope(object)).count()
    }
}

/// Returns the identity of an object, as placements report it.
pub fn identifier(object: &Value) -> ResourceIdentifier {
    let text =
        |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let api_version = text("/apiVersion");
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
    ResourceIdentifier {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: text("/kind"),
        name: text("/metadata/name"),
        namespace: text("/metadata/namespace"),
        envelope: None,
    }
}

/// What one selector asks for.
enum Reach<'a> {
    /// Objects of this kind; in this namespace only, if one is given.
    Kind(&'a Served, Option<String>),
    /// Namespaces with everything in them.
    Content(&'a Served),
}

struct Ask<'a> {
    selector: &'a ResourceSelector,
    reach: Reach<'a>,
}

fn is_namespace(selector: &ResourceSelector) -> bool {
    selector.group.is_empty() && selector.version == "v1" && selector.kind == "Namespace"
}

fn with_selectors(selector: &ResourceSelector) -> bool {
    is_namespace(selector)
        && selector.selection_scope.as_deref() == Some(NAMESPACE_WITH_RESOURCE_SELECTORS)
}

/// Reads the selectors in order. A selector of a kind that never leaves the hub asks for nothing.
fn asks<'a>(
    name: &str,
    scope: &Scope,
    selectors: &'a [ResourceSelector],
    catalog: &'a Catalog,
) -> Result<Vec<Ask<'a>>, SelectionError> {
    let inside = selectors.iter().find(|selector| with_selectors(selector));
    let inside = inside.and_then(|selector| selector.name.clone());
    let mut asks = Vec::new();
    for selector in selectors.iter().filter(|s| placeable(&s.group, &s.kind)) {
        let key = scope.key(name);
        let served = catalog.named.iter().find(|served| {
            (&served.api.group, &served.api.version, &served.api.kind)
                == (&selector.group, &selector.version, &selector.kind)
        });
        let served = served.ok_or_else(|| {
            let version = api_version(&selector.group, &selector.version);
            SelectionError(format!(
                "invalid placement {key}, failed to get GVR of the selector: no matches for kind \"{}\" in version \"{version}\"",
                selector.kind
            ))
        })?;
        let resource = resource_text(&served.api);
        let reach = match scope {
            Scope::Namespace(_) if is_namespace(selector) => {
                return Err(SelectionError(format!(
                    "invalid placement {key}: cannot select cluster-scoped resource Namespace in a resourcePlacement"
                )));
            }
            Scope::Namespace(_) if !served.namespaced => {
                return Err(SelectionError(format!(
                    "invalid placement {key}: cannot select cluster-scoped resource {resource} in a resourcePlacement"
                )));
            }
            Scope::Namespace(namespace) => Reach::Kind(served, Some(namespace.clone())),
            Scope::Cluster if is_namespace(selector) => match selector.selection_scope.as_deref() {
                Some(NAMESPACE_ONLY | NAMESPACE_WITH_RESOURCE_SELECTORS) => {
                    Reach::Kind(served, None)
                }
                _ => Reach::Content(served),
            },
            Scope::Cluster if served.namespaced => match &inside {
                Some(namespace) => Reach::Kind(served, Some(namespace.clone())),
                None => {
                    return Err(SelectionError(format!(
                        "invalid placement {key}: cannot select namespace-scoped resource {resource} in a clusterResourcePlacement"
                    )));
                }
            },
            Scope::Cluster => Reach::Kind(served, None),
        };
        asks.push(Ask { selector, reach });
    }
    Ok(asks)
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Returns a resource as Go prints a `GroupVersionResource`.
fn resource_text(api: &ApiResource) -> String {
    format!("{}/{}, Resource={}", api.group, api.version, api.plural)
}

fn content(catalog: &Catalog) -> impl Iterator<Item = &Served> {
    catalog
        .all
        .iter()
        .filter(|served| served.namespaced && placeable(&served.api.group, &served.api.kind))
}

/// Returns the lists that [`select`] needs for a placement: no object is in two of them.
///
/// # Errors
/// When a selector can never be met.
pub fn wants(
    name: &str,
    scope: &Scope,
    selectors: &[ResourceSelector],
    catalog: &Catalog,
) -> Result<Vec<Want>, SelectionError> {
    let mut wants: Vec<Want> = Vec::new();
    let mut want = |served: &Served, namespace: Option<&str>, name: Option<&str>| {
        // Endpoints of a Service are not selected: its name, which is theirs, must be known.
        let services = (served.api.group.is_empty() && served.api.kind == "Endpoints").then(|| {
            ApiResource { kind: "Service".into(), plural: "services".into(), ..served.api.clone() }
        });
        for resource in services.into_iter().chain([served.api.clone()]) {
            let (namespace, name) = (namespace.map(str::to_owned), name.map(str::to_owned));
            let wanted = Want { resource, namespace, name };
            if !wants.iter().any(|held| held.covers(&wanted)) {
                wants.retain(|held| !wanted.covers(held));
                wants.push(wanted);
            }
        }
    };
    for ask in asks(name, scope, selectors, catalog)? {
        let named = ask.selector.name.as_deref().filter(|name| !name.is_empty());
        match ask.reach {
            Reach::Kind(served, namespace) => want(served, namespace.as_deref(), named),
            Reach::Content(namespaces) => {
                want(namespaces, None, named);
                for served in content(catalog) {
                    want(served, named, None);
                }
            }
        }
    }
    Ok(wants)
}

/// Picks what a placement selects from `candidates`: all objects that were listed for [`wants`].
///
/// # Errors
/// When a selector can never be met, a namespace may not propagate, or two selectors reach the same object.
pub fn select(
    name: &str,
    scope: &Scope,
    selectors: &[ResourceSelector],
    catalog: &Catalog,
    candidates: &[Value],
) -> Result<Selection, SelectionError> {
    let hub = Candidates::new(candidates);
    let mut picked = Picked::default();
    for ask in asks(name, scope, selectors, catalog)? {
        match &ask.reach {
            Reach::Kind(served, namespace) => {
                let mut count = 0;
                for object in hub.matching(&served.api, namespace.as_deref(), ask.selector)? {
                    picked.add(object)?;
                    count += 1;
                }
                let named = ask.selector.name.as_deref().unwrap_or_default();
                if with_selectors(ask.selector) && (count == 0 || reserved_namespace(named)) {
                    return Err(SelectionError(format!(
                        "invalid clusterResourcePlacement {name}: NamespaceWithResourceSelectors mode requires exactly one namespace, but no namespaces were selected"
                    )));
                }
            }
            Reach::Content(namespaces) => {
                for namespace in hub.matching(&namespaces.api, None, ask.selector)? {
                    let within = text(namespace, "/metadata/name");
                    if reserved_namespace(within) {
                        return Err(SelectionError(format!(
                            "invalid clusterResourcePlacement {name}: namespace {within} is not allowed to propagate"
                        )));
                    }
                    picked.add(namespace)?;
                    for served in content(catalog) {
                        for object in hub.of(&served.api, Some(within)) {
                            picked.add(object)?;
                        }
                    }
                }
            }
        }
    }
    Ok(Selection::of(picked.objects))
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What was listed, by apiVersion and kind.
struct Candidates<'a> {
    by_kind: BTreeMap<(&'a str, &'a str), Vec<&'a Value>>,
}

impl<'a> Candidates<'a> {
    fn new(candidates: &'a [Value]) -> Self {
        let services: BTreeSet<String> = candidates
            .iter()
            .filter(|object| {
                text(object, "/apiVersion") == "v1" && text(object, "/kind") == "Service"
            })
            .map(|object| {
                format!(
                    "{}/{}",
                    text(object, "/metadata/namespace"),
                    text(object, "/metadata/name")
                )
            })
            .collect();
        let mut by_kind: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for object in candidates.iter().filter(|object| exclude::selectable(object, &services)) {
            let kind = (text(object, "/apiVersion"), text(object, "/kind"));
            by_kind.entry(kind).or_default().push(object);
        }
        Self { by_kind }
    }

    fn of(&self, api: &ApiResource, namespace: Option<&str>) -> Vec<&'a Value> {
        let all = self.by_kind.get(&(api.api_version.as_str(), api.kind.as_str()));
        let within = |object: &&Value| {
            namespace.is_none_or(|within| text(object, "/metadata/namespace") == within)
        };
        all.into_iter().flatten().copied().filter(within).collect()
    }

    fn matching(
        &self,
        api: &ApiResource,
        namespace: Option<&str>,
        selector: &ResourceSelector,
    ) -> Result<Vec<&'a Value>, SelectionError> {
        let labels = label_selector(selector.label_selector.as_ref())?;
        let named = selector.name.as_deref().filter(|name| !name.is_empty());
        Ok(self
            .of(api, namespace)
            .into_iter()
            .filter(|object| named.is_none_or(|name| text(object, "/metadata/name") == name))
            .filter(|object| {
                labels.as_ref().is_none_or(|labels| labels.matches(&labels_of(object)))
            })
            .collect())
    }
}

fn label_selector(selector: Option<&LabelSelector>) -> Result<Option<Selector>, SelectionError> {
    let parsed = selector.cloned().map(Selector::try_from).transpose();
    parsed.map_err(|error| SelectionError(format!("cannot parse the label selector: {error}")))
}

fn labels_of(object: &Value) -> BTreeMap<String, String> {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[derive(Default)]
struct Picked {
    objects: Vec<Value>,
    seen: BTreeSet<(String, String, String, String)>,
}

impl Picked {
    fn add(&mut self, object: &Value) -> Result<(), SelectionError> {
        let id = identifier(object);
        let key = (id.group.clone(), id.kind.clone(), id.namespace.clone(), id.name.clone());
        if !self.seen.insert(key) {
            return Err(SelectionError(format!(
                "found duplicate resource {{Group:{} Version:{} Kind:{} Name:{} Namespace:{} Envelope:<nil>}}",
                id.group, id.version, id.kind, id.name, id.namespace
            )));
        }
        self.objects.push(object.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn served(group: &str, version: &str, kind: &str, plural: &str, namespaced: bool) -> Served {
        let api = ApiResource {
            group: group.into(),
            version: version.into(),
            api_version: api_version(group, version),
            kind: kind.into(),
            plural: plural.into(),
        };
        Served { api, namespaced }
    }

    fn catalog() -> Catalog {
        let all = vec![
            served("", "v1", "Namespace", "namespaces", false),
            served("", "v1", "ConfigMap", "configmaps", true),
            served("", "v1", "Pod", "pods", true),
            served("", "v1", "Secret", "secrets", true),
            served("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false),
        ];
        Catalog { named: all.clone(), all }
    }

    fn hub() -> Vec<Value> {
        let object = |kind: &str, namespace: &str, name: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"namespace": namespace, "name": name, "labels": {"name": name}}});
        vec![
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"team": "x"}}}),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b", "labels": {"team": "x"}}}),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}),
            object("ConfigMap", "a", "one"),
            object("ConfigMap", "a", "two"),
            object("ConfigMap", "b", "one"),
            object("ConfigMap", "a", "kube-root-ca.crt"),
            object("Pod", "a", "p"),
            object("Secret", "a", "s"),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}}),
        ]
    }

    fn selector(value: Value) -> ResourceSelector {
        serde_json::from_value(value).unwrap()
    }

    fn picked(scope: &Scope, selectors: &[Value]) -> Result<Vec<String>, String> {
        let selectors: Vec<_> = selectors.iter().cloned().map(selector).collect();
        let catalog = catalog();
        wants("web", scope, &selectors, &catalog).map_err(|error| error.to_string())?;
        let selection = select("web", scope, &selectors, &catalog, &hub());
        let name = |object: &Value| {
            let id = identifier(object);
            format!("{} {}/{}", id.kind, id.namespace, id.name)
        };
        selection
            .map(|selection| selection.objects.iter().map(name).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn cluster_scoped_placements() {
        let namespace = |scope: &str, name: &str| json!({"group": "", "version": "v1", "kind": "Namespace", "name": name, "selectionScope": scope});
        for (selectors, want) in [
            (vec![namespace("NamespaceOnly", "a")], vec!["Namespace /a"]),
            (
                vec![json!({"group": "", "version": "v1", "kind": "Namespace", "name": "a"})],
                vec!["Namespace /a", "Secret a/s", "ConfigMap a/one", "ConfigMap a/two"],
            ),
            (
                vec![
                    json!({"group": "", "version": "v1", "kind": "Namespace", "labelSelector": {"matchLabels": {"team": "x"}}}),
                ],
                vec![
                    "Namespace /a",
                    "Namespace /b",
                    "Secret a/s",
                    "ConfigMap a/one",
                    "ConfigMap a/two",
                    "ConfigMap b/one",
                ],
            ),
            (
                vec![
                    namespace("NamespaceWithResourceSelectors", "a"),
                    json!({"group": "", "version": "v1", "kind": "ConfigMap", "name": "two"}),
                    json!({"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "ClusterRole"}),
                ],
                vec!["Namespace /a", "ConfigMap a/two", "ClusterRole /r"],
            ),
            (vec![namespace("NamespaceOnly", "missing")], vec![]),
            (vec![json!({"group": "", "version": "v1", "kind": "Pod"})], vec![]),
        ] {
            assert_eq!(picked(&Scope::Cluster, &selectors).unwrap(), want, "{selectors:?}");
        }
    }

    #[test]
    fn namespaced_placements_stay_in_their_namespace() {
        let scope = Scope::Namespace("a".into());
        let config = json!({"group": "", "version": "v1", "kind": "ConfigMap", "labelSelector": {"matchLabels": {"name": "one"}}});
        assert_eq!(picked(&scope, &[config]).unwrap(), ["ConfigMap a/one"]);
    }

    #[test]
    fn what_cannot_be_met_is_refused_in_fleets_words() {
        const CLIENT: &str = "failed to process the request due to a client error: ";
        let within = Scope::Namespace("a".into());
        for (scope, selectors, want) in [
            (
                &Scope::Cluster,
                vec![json!({"group": "", "version": "v1", "kind": "ConfigMap"})],
                "invalid placement /web: cannot select namespace-scoped resource /v1, Resource=configmaps in a clusterResourcePlacement",
            ),
            (
                &within,
                vec![json!({"group": "", "version": "v1", "kind": "Namespace", "name": "a"})],
                "invalid placement a/web: cannot select cluster-scoped resource Namespace in a resourcePlacement",
            ),
            (
                &within,
                vec![
                    json!({"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "ClusterRole"}),
                ],
                "invalid placement a/web: cannot select cluster-scoped resource rbac.authorization.k8s.io/v1, Resource=clusterroles in a resourcePlacement",
            ),
            (
                &Scope::Cluster,
                vec![json!({"group": "example.com", "version": "v1", "kind": "Widget"})],
                "invalid placement /web, failed to get GVR of the selector: no matches for kind \"Widget\" in version \"example.com/v1\"",
            ),
            (
                &Scope::Cluster,
                vec![
                    json!({"group": "", "version": "v1", "kind": "Namespace", "name": "kube-system"}),
                ],
                "invalid clusterResourcePlacement web: namespace kube-system is not allowed to propagate",
            ),
            (
                &Scope::Cluster,
                vec![
                    json!({"group": "", "version": "v1", "kind": "Namespace", "name": "gone", "selectionScope": "NamespaceWithResourceSelectors"}),
                ],
                "invalid clusterResourcePlacement web: NamespaceWithResourceSelectors mode requires exactly one namespace, but no namespaces were selected",
            ),
            (
                &within,
                vec![
                    json!({"group": "", "version": "v1", "kind": "ConfigMap", "name": "one"}),
                    json!({"group": "", "version": "v1", "kind": "ConfigMap"}),
                ],
                "found duplicate resource {Group: Version:v1 Kind:ConfigMap Name:one Namespace:a Envelope:<nil>}",
            ),
        ] {
            assert_eq!(picked(scope, &selectors).unwrap_err(), format!("{CLIENT}{want}"));
        }
    }

    /// Plural, namespace and name of each list.
    fn listed(scope: &Scope, selectors: &[Value]) -> Vec<String> {
        let selectors: Vec<_> = selectors.iter().cloned().map(selector).collect();
        let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
        wants("web", scope, &selectors, &catalog())
            .unwrap()
            .iter()
            .map(|w| format!("{} {}/{}", w.resource.plural, text(&w.namespace), text(&w.name)))
            .collect()
    }

    #[test]
    fn only_what_may_matter_is_listed() {
        let a = json!({"group": "", "version": "v1", "kind": "Namespace", "name": "a"});
        let lists = ["namespaces */a", "configmaps a/*", "secrets a/*"];
        assert_eq!(listed(&Scope::Cluster, std::slice::from_ref(&a)), lists);
        let role = json!({"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "ClusterRole", "name": "r"});
        assert_eq!(listed(&Scope::Cluster, &[role]), ["clusterroles */r"]);
        let map = json!({"group": "", "version": "v1", "kind": "ConfigMap", "name": "one"});
        let within = Scope::Namespace("a".to_owned());
        assert_eq!(listed(&within, std::slice::from_ref(&map)), ["configmaps a/one"]);
        let all = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
        assert_eq!(listed(&within, &[map, all]), ["configmaps a/*"]);
    }

    /// Objects that are listed twice would look like two selectors that reach the same object.
    #[test]
    fn nothing_is_listed_twice() {
        let a = json!({"group": "", "version": "v1", "kind": "Namespace", "name": "a"});
        let labelled = json!({"group": "", "version": "v1", "kind": "Namespace", "labelSelector": {"matchLabels": {"team": "y"}}});
        let lists = ["namespaces */*", "configmaps */*", "secrets */*"];
        assert_eq!(listed(&Scope::Cluster, &[a.clone(), labelled.clone()]), lists);
        assert_eq!(listed(&Scope::Cluster, &[labelled, a]), lists);
    }
}
