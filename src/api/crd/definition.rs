//! What a kind is, and the CustomResourceDefinition that says it to a hub.

use serde_json::{Map, Value, json};

use super::{schema::Schema, shared::Version};
use crate::api::Kind;

/// A column that `kubectl get` prints after the name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Title; kubectl prints it in capitals.
    pub(super) name: &'static str,
    /// JSONPath of the cell.
    pub(super) path: &'static str,
    /// `string` or `date`.
    pub(super) kind: &'static str,
    /// Whether it is printed with `-o wide` only.
    pub(super) wide: bool,
}

impl Column {
    /// Returns a column of text.
    pub(super) const fn text(name: &'static str, path: &'static str) -> Self {
        Self { name, path, kind: "string", wide: false }
    }

    /// Returns a column of text that is printed with `-o wide` only.
    pub(super) const fn wide(name: &'static str, path: &'static str) -> Self {
        Self { name, path, kind: "string", wide: true }
    }

    /// Returns a column of times, printed as ages.
    pub(super) const fn date(name: &'static str, path: &'static str) -> Self {
        Self { name, path, kind: "date", wide: false }
    }

    /// Returns the column of the object's age.
    pub(super) const fn age() -> Self {
        Self::date("Age", ".metadata.creationTimestamp")
    }
}

/// One kind in all versions that it is served in. The stored one is the kind's own version.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    /// Which kind.
    pub(super) kind: Kind,
    /// Short names.
    pub(super) short: &'static [&'static str],
    /// Name and schema of each version, newest first.
    pub(super) versions: Vec<(&'static str, Schema)>,
    /// Printed columns.
    pub(super) columns: Vec<Column>,
    /// Whether the status is a subresource.
    pub(super) status: bool,
}

impl Definition {
    /// Returns a kind that is served in `v1` and `v1beta1`, as Fleet's are.
    pub(super) fn of_fleet(
        kind: Kind,
        short: &'static [&'static str],
        schema: impl Fn(Version) -> Schema,
        columns: Vec<Column>,
    ) -> Self {
        let versions =
            [Version::V1, Version::V1Beta1].map(|version| (version.as_str(), schema(version)));
        Self { kind, short, versions: versions.into(), columns, status: true }
    }

    /// Drops the status subresource.
    pub(super) fn without_status(mut self) -> Self {
        self.status = false;
        self
    }

    /// Returns the CustomResourceDefinition.
    pub(super) fn manifest(&self) -> Value {
        let kind = &self.kind;
        let mut names = json!({
            "kind": kind.name,
            "listKind": format!("{}List", kind.name),
            "plural": kind.plural,
            "singular": kind.name.to_lowercase(),
            "categories": categories(kind.group),
        });
        if let (false, Some(names)) = (self.short.is_empty(), names.as_object_mut()) {
            names.insert("shortNames".to_owned(), json!(self.short));
        }
        let mut manifest = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{}.{}", kind.plural, kind.group)},
            "spec": {
                "group": kind.group,
                "names": names,
                "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
            },
        });
        // Moved in: the macro would copy them.
        manifest["spec"]["versions"] =
            self.versions.iter().map(|version| self.version(version)).collect();
        manifest
    }

    fn version(&self, (name, schema): &(&'static str, Schema)) -> Value {
        let mut version = Map::from_iter([
            ("name".to_owned(), json!(name)),
            ("served".to_owned(), json!(true)),
            ("storage".to_owned(), json!(*name == self.kind.version)),
            (
                "schema".to_owned(),
                Map::from_iter([("openAPIV3Schema".to_owned(), Value::from(schema.clone()))])
                    .into(),
            ),
        ]);
        if !self.columns.is_empty() {
            let columns: Vec<Value> = self.columns.iter().map(column).collect();
            version.insert("additionalPrinterColumns".to_owned(), json!(columns));
        }
        if self.status {
            version.insert("subresources".to_owned(), json!({"status": {}}));
        }
        Value::Object(version)
    }
}

fn column(column: &Column) -> Value {
    let mut value = json!({"name": column.name, "jsonPath": column.path, "type": column.kind});
    if let (true, Some(value)) = (column.wide, value.as_object_mut()) {
        value.insert("priority".to_owned(), json!(1));
    }
    value
}

/// Returns the categories of a group's kinds: `kubectl get fleet` lists them (fleet-semantics §1.3).
fn categories(group: &str) -> Vec<&'static str> {
    match group {
        crate::api::kind::PLACEMENT_GROUP => vec!["fleet", "fleet-placement"],
        crate::api::kind::CLUSTER_GROUP => vec!["fleet", "fleet-cluster"],
        _ => vec!["tidegate"],
    }
}
