//! The frame of a definition: names, versions, columns.

use serde_json::{Value, json};

use crate::api::kind::{CLUSTER_GROUP, Kind};

/// What a definition is made of, besides its [`Kind`].
pub(super) struct Definition {
    pub(super) kind: Kind,
    /// kubectl's short names.
    pub(super) short: &'static [&'static str],
    /// One sentence.
    pub(super) about: &'static str,
    /// Schema of `spec`.
    pub(super) spec: Value,
    /// Schema of `status`, for kinds that have one.
    pub(super) status: Option<Value>,
    /// Whether `status` is a subresource.
    pub(super) status_subresource: bool,
    /// Name, JSON path, type and priority of each column.
    pub(super) columns: Vec<Column>,
    /// Rules on the whole object: expression and message.
    pub(super) rules: &'static [(&'static str, &'static str)],
}

pub(super) type Column = (&'static str, String, &'static str, u8);

/// Versions that are served, the one that people see first; the last one is stored (fleet-semantics §1.2).
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

impl Definition {
    /// Returns the whole CustomResourceDefinition.
    pub(super) fn build(self) -> Value {
        let Kind { group, name, plural, namespaced, .. } = self.kind;
        let singular = name.to_lowercase();
        let family = if group == CLUSTER_GROUP { "fleet-cluster" } else { "fleet-placement" };
        let mut names = json!({
            "categories": ["fleet", family], "kind": name, "listKind": format!("{name}List"), "plural": plural, "singular": singular,
        });
        if !self.short.is_empty() {
            names["shortNames"] = json!(self.short);
        }
        let versions: Vec<Value> = VERSIONS.iter().map(|version| self.version(version)).collect();
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group,
                "names": names,
                "scope": if namespaced { "Namespaced" } else { "Cluster" },
                "versions": versions,
            },
        })
    }

    fn version(&self, version: &str) -> Value {
        let mut properties = json!({
            "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}, "spec": self.spec,
        });
        if let Some(status) = &self.status {
            properties["status"] = status.clone();
        }
        let mut schema = json!({"description": self.about, "type": "object", "required": ["spec"], "properties": properties});
        if !self.rules.is_empty() {
            schema["x-kubernetes-validations"] = self
                .rules
                .iter()
                .map(|(rule, message)| json!({"rule": rule, "message": message}))
                .collect();
        }
        let mut entry = json!({
            "name": version, "served": true, "storage": version == self.kind.version, "schema": {"openAPIV3Schema": schema},
        });
        let columns: Vec<Value> = self.columns.iter().map(column).collect();
        if !columns.is_empty() {
            entry["additionalPrinterColumns"] = columns.into();
        }
        if self.status_subresource {
            entry["subresources"] = json!({"status": {}});
        }
        entry
    }
}

fn column((name, path, kind, priority): &Column) -> Value {
    let mut column = json!({"name": name, "jsonPath": path, "type": kind});
    if *priority > 0 {
        column["priority"] = json!(priority);
    }
    column
}

/// The columns that every kind ends with.
pub(super) fn age() -> Column {
    ("Age", ".metadata.creationTimestamp".to_owned(), "date", 0)
}

/// The generation, as Fleet prints it.
pub(super) fn generation() -> Column {
    ("Gen", ".metadata.generation".to_owned(), "string", 0)
}

/// The status of a condition.
pub(super) fn condition(name: &'static str, kind: &str, field: &str, priority: u8) -> Column {
    (name, format!(".status.conditions[?(@.type==\"{kind}\")].{field}"), "string", priority)
}

/// A plain field.
pub(super) fn field(name: &'static str, path: &str) -> Column {
    (name, path.to_owned(), "string", 0)
}
