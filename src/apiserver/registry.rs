//! Which resources are served now.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use bytes::Bytes;
use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    builtin::{self, ResourceDefinition, autoscaler, convert},
    object,
    store::{Event, Range, ResourceId, Store, Stored},
};

const DEFINITION_GROUP: &str = "apiextensions.k8s.io";
const DEFINITIONS: &str = "customresourcedefinitions";

/// One resource in one served version.
#[derive(Debug)]
pub(super) struct Resource {
    /// What is served.
    pub definition: ResourceDefinition,
    /// Where its objects are stored, whatever version serves them.
    pub id: Arc<ResourceId>,
    /// Objects of this or an older revision may have been stored under another schema or version.
    pub settled_at: u64,
    /// Whether the definition is going away, so that nothing new may be made.
    pub is_terminating: bool,
    /// Cancelled when another definition takes over, or none: watches end and clients come back.
    pub ended: CancellationToken,
}

/// Everything that is served. Never changes; the next one replaces it.
#[derive(Debug, Default)]
pub(super) struct Served {
    resources: BTreeMap<String, BTreeMap<String, BTreeMap<String, Arc<Resource>>>>,
    /// All definitions, for documents about them.
    pub definitions: Vec<ResourceDefinition>,
    documents: Documents,
}

/// Documents about what is served, made when first asked for.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub aggregated_core: OnceLock<Bytes>,
    pub aggregated_groups: OnceLock<Bytes>,
    pub open_api_index: OnceLock<Bytes>,
    pub open_api: std::sync::Mutex<BTreeMap<(String, String), Bytes>>,
}

/// What one CustomResourceDefinition adds.
#[derive(Debug)]
struct Custom {
    /// The revision that brought the spec.
    revision: u64,
    spec: Value,
    definitions: Vec<ResourceDefinition>,
    is_terminating: bool,
    /// Dropped with the rest, which cancels it.
    ended: DropGuard,
}

/// The resources that are served now, and the way to change them.
#[derive(Debug)]
pub(super) struct Registry {
    builtin: Vec<ResourceDefinition>,
    custom: RwLock<BTreeMap<String, Custom>>,
    served: RwLock<Arc<Served>>,
}

impl Registry {
    /// Serves the built-in kinds.
    pub(super) fn new(builtin: Vec<ResourceDefinition>) -> Registry {
        let served = Arc::new(Served::of(&builtin, &BTreeMap::new()));
        Registry { builtin, custom: RwLock::default(), served: RwLock::new(served) }
    }

    /// What is served now.
    pub(super) fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves what is defined in a store that was opened.
    pub(super) fn restore(&self, store: &Store) {
        let range = Range::default();
        let Some(page) = self.definitions().and_then(|id| store.list(&id, &range).ok()) else {
            return;
        };
        for stored in page.objects {
            self.define(&stored.value(), stored.revision);
        }
    }

    /// Keeps in step with a stored event.
    pub(super) fn observe(&self, event: &Event) {
        let stored = &event.object;
        if stored.key.resource.plural != DEFINITIONS
            || stored.key.resource.group != DEFINITION_GROUP
        {
            return;
        }
        match event.current() {
            Some(stored) => self.define(&stored.value(), stored.revision),
            None => self.undefine(&stored.key.name),
        }
    }

    fn definitions(&self) -> Option<Arc<ResourceId>> {
        let served = self.served();
        served.find(DEFINITION_GROUP, "v1", DEFINITIONS).map(|resource| Arc::clone(&resource.id))
    }

    fn define(&self, crd: &Value, revision: u64) {
        let name = object::name(crd);
        let is_terminating = object::is_deleting(crd);
        let mut custom = self.custom.write().unwrap_or_else(PoisonError::into_inner);
        let spec = crd.get("spec").cloned().unwrap_or_default();
        let replaced = match custom.get_mut(name) {
            // A new status or label makes no other resource, and compiling schemas takes its time.
            Some(known) if known.spec == spec => {
                if known.is_terminating == is_terminating {
                    return;
                }
                known.is_terminating = is_terminating;
                None
            }
            _ => {
                let definitions = builtin::from_crd(crd).unwrap_or_else(|errors| {
                    tracing::warn!(name, ?errors, "a stored definition is faulty");
                    Vec::new()
                });
                let ended = CancellationToken::new().drop_guard();
                custom.insert(
                    name.to_owned(),
                    Custom { revision, spec, definitions, is_terminating, ended },
                )
            }
        };
        self.serve(&custom);
        // Watches of the old end when the new is there to come back to.
        drop(replaced);
    }

    fn undefine(&self, name: &str) {
        let mut custom = self.custom.write().unwrap_or_else(PoisonError::into_inner);
        let removed = custom.remove(name);
        self.serve(&custom);
        drop(removed);
    }

    fn serve(&self, custom: &BTreeMap<String, Custom>) {
        let served = Arc::new(Served::of(&self.builtin, custom));
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = served;
    }
}

impl Served {
    fn of(builtin: &[ResourceDefinition], custom: &BTreeMap<String, Custom>) -> Served {
        let mut served = Served::default();
        for definition in builtin {
            served.add(definition, 0, false, CancellationToken::new());
        }
        for custom in custom.values() {
            for definition in &custom.definitions {
                let ended = custom.ended.token().clone();
                served.add(definition, custom.revision, custom.is_terminating, ended);
            }
        }
        served
    }

    fn add(
        &mut self,
        definition: &ResourceDefinition,
        settled_at: u64,
        is_terminating: bool,
        ended: CancellationToken,
    ) {
        let definition = definition.clone();
        let id =
            ResourceId { group: definition.stored_as.0.clone(), plural: definition.plural.clone() };
        self.definitions.push(definition.clone());
        let versions = self.resources.entry(definition.group.clone()).or_default();
        versions.entry(definition.version.clone()).or_default().insert(
            definition.plural.clone(),
            Arc::new(Resource { definition, id: Arc::new(id), settled_at, is_terminating, ended }),
        );
    }

    /// The resource at a path.
    pub(super) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources.get(group)?.get(version)?.get(plural)
    }

    /// Whether a group and version has built-in kinds.
    pub(super) fn has_builtin(&self, group: &str, version: &str) -> bool {
        let resources = self.resources.get(group).and_then(|versions| versions.get(version));
        resources.is_some_and(|all| all.values().any(|resource| resource.definition.builtin))
    }

    /// Any version of a stored resource, for those who only need to reach its objects.
    pub(super) fn any_version(&self, id: &ResourceId) -> Option<&Arc<Resource>> {
        let versions = self.resources.get(&id.group)?;
        versions.values().find_map(|resources| resources.get(&id.plural))
    }

    /// The resource whose objects have this `apiVersion` and kind.
    pub(super) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resources = self.resources.get(group)?.get(version)?;
        resources.values().find(|resource| resource.definition.kind == kind)
    }

    /// The documents about what is served.
    pub(super) fn documents(&self) -> &Documents {
        &self.documents
    }
}

impl Resource {
    /// Whether the stored text of `stored` is what a client of this version reads.
    pub(super) fn reads_as_stored(&self, stored: &Stored) -> bool {
        self.is_stored_version() && stored.revision > self.settled_at
    }

    fn is_stored_version(&self) -> bool {
        let (group, version) = &self.definition.stored_as;
        *group == self.definition.group && *version == self.definition.version
    }

    /// The object as a client of this version reads it.
    pub(super) fn read(&self, stored: &Stored) -> Value {
        let object = stored.value();
        if self.reads_as_stored(stored) { object } else { self.convert(object) }
    }

    fn convert(&self, mut object: Value) -> Value {
        let definition = &self.definition;
        if definition.builtin {
            return match (self.is_stored_version(), definition.kind.as_str()) {
                (true, _) => object,
                (false, "Event") => convert::event_from_core(object),
                (false, _) => autoscaler::to_v1(object),
            };
        }
        // Conversion "None" of CustomResourceDefinitions: only the version's name differs, and each version prunes and
        // defaults with its own schema.
        object["apiVersion"] = definition.api_version().into();
        definition.schema().prune(&mut object);
        definition.schema().apply_defaults(&mut object);
        object
    }

    /// The object as it is stored, from how a client of this version writes it.
    pub(super) fn to_stored(&self, mut object: Value) -> Value {
        if self.is_stored_version() {
            return object;
        }
        if self.definition.builtin {
            return match self.definition.kind.as_str() {
                "Event" => convert::event_to_core(object),
                _ => autoscaler::from_v1(object),
            };
        }
        let (group, version) = &self.definition.stored_as;
        object["apiVersion"] = format!("{group}/{version}").into();
        object
    }

    /// Whether this is a built-in kind.
    pub(super) fn is(&self, group: &str, kind: &str) -> bool {
        let definition = &self.definition;
        definition.builtin && definition.group == group && definition.kind == kind
    }

    /// Whether objects count the changes of what they ask for in `metadata.generation`.
    pub(super) fn counts_generations(&self) -> bool {
        let definition = &self.definition;
        let kind = definition.kind.as_str();
        !definition.builtin
            || match definition.group.as_str() {
                "" => matches!(kind, "Pod" | "PodTemplate" | "ReplicationController"),
                "apps" => kind != "ControllerRevision",
                "admissionregistration.k8s.io"
                | "apiextensions.k8s.io"
                | "batch"
                | "discovery.k8s.io"
                | "flowcontrol.apiserver.k8s.io"
                | "policy"
                | "scheduling.k8s.io" => true,
                "networking.k8s.io" => !matches!(kind, "IPAddress" | "ServiceCIDR"),
                "resource.k8s.io" => matches!(kind, "DeviceClass" | "ResourceSlice"),
                // Counted from its first change on.
                "storage.k8s.io" => kind == "CSIDriver",
                _ => false,
            }
    }
}
