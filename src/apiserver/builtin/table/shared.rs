//! Columns that many kinds have, and what columns are made with.

use jiff::Timestamp;
use serde_json::Value;

use super::{Cell, Column, ColumnType, age::age_of};

/// What computes a cell.
pub(super) type Compute = fn(&Value, Timestamp) -> Value;

pub(super) fn column(
    name: &str,
    column_type: ColumnType,
    priority: i64,
    about: &str,
    cell: Compute,
) -> Column {
    Column {
        name: name.to_owned(),
        column_type,
        format: String::new(),
        description: about.to_owned(),
        priority,
        cell: Cell::Computed(cell),
    }
}

pub(super) fn text(name: &str, about: &str, cell: Compute) -> Column {
    column(name, ColumnType::String, 0, about, cell)
}

pub(super) fn whole(name: &str, about: &str, cell: Compute) -> Column {
    column(name, ColumnType::Integer, 0, about, cell)
}

pub(super) fn wide(name: &str, about: &str, cell: Compute) -> Column {
    column(name, ColumnType::String, 1, about, cell)
}

/// The column that every table of objects starts with.
pub(in crate::apiserver::builtin) fn name() -> Column {
    Column {
        name: "Name".to_owned(),
        column_type: ColumnType::String,
        format: "name".to_owned(),
        description: "Name of the object, unique in its namespace.".to_owned(),
        priority: 0,
        cell: Cell::Name,
    }
}

/// The name, with a mark where the object is the one that is taken unless said.
pub(super) fn marked_name(is_default: fn(&Value) -> bool) -> Column {
    Column { cell: Cell::Marked(is_default), ..name() }
}

const AGE: &str = "How long ago the object was created.";

pub(super) fn age() -> Column {
    text("Age", AGE, |object, now| {
        age_of(object.pointer("/metadata/creationTimestamp"), now).into()
    })
}

/// The columns of the Scale of a built-in or a custom kind.
pub(in crate::apiserver) fn of_scale(builtin: bool) -> [Column; 4] {
    let (name, age) = match builtin {
        true => (Column { format: String::new(), ..name() }, age()),
        false => (name(), age_of_creation()),
    };
    [
        name,
        whole("Desired", "How many replicas are wanted.", |scale, _| {
            scale.pointer("/spec/replicas").cloned().unwrap_or_default()
        }),
        whole("Available", "How many replicas there are.", |scale, _| {
            scale.pointer("/status/replicas").cloned().unwrap_or_default()
        }),
        age,
    ]
}

/// The column of CustomResourceDefinitions that declare none.
pub(in crate::apiserver::builtin) fn age_of_creation() -> Column {
    column("Age", ColumnType::Date, 0, AGE, |object, now| {
        age_of(object.pointer("/metadata/creationTimestamp"), now).into()
    })
}

pub(super) fn created_at() -> Column {
    column("Created At", ColumnType::Date, 0, "When the object was created.", |object, _| {
        object.pointer("/metadata/creationTimestamp").cloned().unwrap_or_default()
    })
}
