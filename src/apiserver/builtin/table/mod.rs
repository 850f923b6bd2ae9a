//! `meta.k8s.io/v1` Tables: what `kubectl get` prints.

mod age;
mod autoscaling;
mod column;
mod endpoint;
mod event;
mod flow;
mod json_path;
mod kinds;
mod node;
mod pod;
mod request;
mod selector_text;
mod service;
mod shared;
mod storage;
mod webhook;
mod workload;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(in crate::apiserver) use self::shared::of_scale;
pub use self::{
    column::{Cell, Column, ColumnType},
    json_path::{JsonPath, JsonPathError},
};
pub(super) use self::{
    kinds::columns_of,
    shared::{age_of_creation, name as name_column},
};
/// What each row carries beside its cells (`includeObject` in the query).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncludeObject {
    /// No object.
    None,
    /// The object's metadata, as `PartialObjectMetadata`; what a request without the parameter gets.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

impl IncludeObject {
    /// Reads the query parameter; empty is [`IncludeObject::Metadata`], unknown words are `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<IncludeObject> {
        match text {
            "" | "Metadata" => Some(Self::Metadata),
            "None" => Some(Self::None),
            "Object" => Some(Self::Object),
            _ => None,
        }
    }
}

/// Makes a Table of `items`. `list_meta` becomes its metadata: `resourceVersion`, `continue`, `remainingItemCount`. Where
/// it is `null`, as for the answer to a GET of one object or for a watch event, the Table has the version of its one
/// item.
#[must_use]
pub fn render(
    columns: &[Column],
    items: &[&Value],
    list_meta: &Value,
    include_object: IncludeObject,
    now: Timestamp,
) -> Value {
    let definitions: Vec<Value> = columns.iter().map(Column::definition).collect();
    let rows: Vec<Value> = items
        .iter()
        .map(|item| {
            let cells: Vec<Value> = columns.iter().map(|c| c.cell(item, now)).collect();
            let mut row = Map::new();
            row.insert("cells".to_owned(), Value::Array(cells));
            if let Some(conditions) = pod::row_conditions(item) {
                row.insert("conditions".to_owned(), conditions);
            }
            row.insert("object".to_owned(), row_object(item, include_object));
            Value::Object(row)
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": if list_meta.is_object() { list_meta.clone() } else { version_of_one(items) },
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

fn version_of_one(items: &[&Value]) -> Value {
    let version = match items {
        [item] => item.pointer("/metadata/resourceVersion"),
        _ => None,
    };
    version.map_or_else(|| json!({}), |version| json!({"resourceVersion": version}))
}

fn row_object(item: &Value, include: IncludeObject) -> Value {
    match include {
        IncludeObject::None => Value::Null,
        IncludeObject::Object => item.clone(),
        IncludeObject::Metadata => json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": item.get("metadata").cloned().unwrap_or_else(|| json!({})),
        }),
    }
}

#[cfg(test)]
mod tests;
