//! What is served under one group, version and plural name.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::{
    table::Column,
    types::{self, TypeId},
};
use crate::apiserver::schema::Schema;

/// What is served under one group, version and plural name.
#[derive(Debug, Clone)]
pub struct ResourceDefinition {
    /// API group; empty for the core group.
    pub group: String,
    /// Version within the group, such as `v1beta1`.
    pub version: String,
    /// Kind of one object, such as `ConfigMap`.
    pub kind: String,
    /// Kind of a list of them, such as `ConfigMapList`.
    pub list_kind: String,
    /// The name in paths, such as `configmaps`.
    pub plural: String,
    /// Lower-case name of one, such as `configmap`.
    pub singular: String,
    /// Other names that kubectl accepts, such as `cm`.
    pub short_names: Vec<String>,
    /// Groups of resources that kubectl gets together, such as `all`.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// What may be done with it, in discovery's order (sorted by name).
    pub verbs: Vec<Verb>,
    /// Whether `status` is a subresource with its own endpoint.
    pub status: bool,
    /// Where the `scale` subresource finds its numbers, if there is one.
    pub scale: Option<Scale>,
    /// The columns of a table, after those kubectl adds itself (`NAMESPACE`).
    pub columns: Vec<Column>,
    /// Fields that a field selector may name besides `metadata.name` and `metadata.namespace`, as dotted paths
    /// (`spec.color`, `involvedObject.kind`).
    pub selectable_fields: Vec<String>,
    /// Group and version whose form is stored. For versions of a CustomResourceDefinition only the version differs;
    /// `events.k8s.io/v1` is stored as core `v1` and converted ([`convert`](super::convert)).
    pub stored_as: (String, String),
    /// Whether the server brings the kind itself rather than by a CustomResourceDefinition.
    pub builtin: bool,
    /// The text of the warning that every request for a deprecated version gets; `None` for versions in good standing.
    pub deprecation_warning: Option<String>,
    /// The schema; see [`ResourceDefinition::schema`].
    pub(super) schema: Arc<SchemaCell>,
}

/// Paths of the `scale` subresource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// JSON path of the wanted number of replicas, such as `.spec.replicas`.
    pub spec_replicas: String,
    /// JSON path of the observed number of replicas, such as `.status.replicas`.
    pub status_replicas: String,
    /// JSON path of the label selector: text, or for built-in kinds a `LabelSelector` object.
    pub label_selector: Option<String>,
}

/// What a client may do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// POST on the collection.
    Create,
    /// DELETE on one object.
    Delete,
    /// DELETE on the collection.
    DeleteCollection,
    /// GET of one object.
    Get,
    /// GET of the collection.
    List,
    /// PATCH of one object.
    Patch,
    /// PUT of one object.
    Update,
    /// GET of the collection with `watch=true`.
    Watch,
}

impl Verb {
    /// Every verb, in discovery's order.
    pub const ALL: [Verb; 8] = [
        Verb::Create,
        Verb::Delete,
        Verb::DeleteCollection,
        Verb::Get,
        Verb::List,
        Verb::Patch,
        Verb::Update,
        Verb::Watch,
    ];

    /// The word in discovery documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Patch => "patch",
            Verb::Update => "update",
            Verb::Watch => "watch",
        }
    }
}

impl ResourceDefinition {
    /// `group/version`, or the version alone for the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// `plural.group`, as error messages and CustomResourceDefinitions name the resource; the plural alone for the
    /// core group.
    #[must_use]
    pub fn qualified_name(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// The compiled schema. Built-in schemas are compiled when first asked for, so that starting a server costs
    /// nothing for kinds that nobody uses.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        self.schema.compiled()
    }

    /// The OpenAPI v3 structural schema of whole objects, without `$ref`s.
    #[must_use]
    pub fn schema_json(&self) -> &Arc<Value> {
        self.schema.json()
    }

    /// The type of a built-in kind; `None` for custom ones.
    pub(super) fn type_id(&self) -> Option<TypeId> {
        self.schema.of
    }

    /// Whether the verb is served.
    #[must_use]
    pub fn allows(&self, verb: Verb) -> bool {
        self.verbs.contains(&verb)
    }
}

/// `group/version`, or the version alone for the core group.
pub(super) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// A schema that is made when first asked for.
#[derive(Debug)]
pub struct SchemaCell {
    /// The built-in type that the schema is of; none where it was given.
    of: Option<TypeId>,
    json: OnceLock<Arc<Value>>,
    compiled: OnceLock<Arc<Schema>>,
}

impl SchemaCell {
    /// The schema of a built-in type.
    pub(super) fn lazy(of: TypeId) -> Arc<SchemaCell> {
        Arc::new(SchemaCell { of: Some(of), json: OnceLock::new(), compiled: OnceLock::new() })
    }

    /// A schema that is there already.
    pub(super) fn ready(json: Value, compiled: Schema) -> Arc<SchemaCell> {
        Arc::new(SchemaCell {
            of: None,
            json: OnceLock::from(Arc::new(json)),
            compiled: OnceLock::from(Arc::new(compiled)),
        })
    }

    fn json(&self) -> &Arc<Value> {
        self.json.get_or_init(|| Arc::new(self.of.map_or(Value::Null, types::structural_schema)))
    }

    fn compiled(&self) -> &Arc<Schema> {
        self.compiled.get_or_init(|| {
            // Built-in schemas are structural (a test compiles each), so the open schema never serves.
            let schema = Schema::compile(self.json()).unwrap_or_else(|_| Schema::open());
            Arc::new(match self.of {
                Some(of) => schema
                    .with_blank(types::blank(of))
                    .with_metadata_beside_status(types::status_brings_metadata(of)),
                None => schema,
            })
        })
    }
}
