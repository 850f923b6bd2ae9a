//! Conflicts and their wording.

use crate::apiserver::{
    field::{Element, Entry, Operation, Set},
    schema::quote,
};

/// One field that another manager owns with another value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The manager that owns the field.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The version through which it owns the field.
    pub api_version: String,
    /// The subresource through which it owns the field, or empty.
    pub subresource: String,
    /// When it last changed what it owns.
    pub time: Option<String>,
    /// The field: `.data.key`, `.spec.containers[name="app"].image`.
    pub path: String,
    pub(super) elements: Vec<Element>,
}

impl Conflict {
    /// The message of a Status cause: `conflict with "kubectl" using v1`.
    #[must_use]
    pub fn message(&self) -> String {
        format!("conflict with {}", self.owner())
    }

    fn owner(&self) -> String {
        let mut text = quote(&self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {}", quote(&self.subresource)));
        }
        if self.operation == Operation::Update.name() {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

/// The fields of `changed` that the entries own.
pub(super) fn find(entries: &[Entry], changed: &Set) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for entry in entries {
        for elements in entry.fields.intersection(changed).paths() {
            conflicts.push(Conflict {
                manager: entry.manager.clone(),
                operation: entry.operation.name().to_owned(),
                api_version: entry.api_version.clone(),
                subresource: entry.subresource.clone(),
                time: entry.time.clone(),
                path: elements.iter().map(ToString::to_string).collect(),
                elements,
            });
        }
    }
    // Of one owner in the order of its fields.
    conflicts.sort_by_key(Conflict::owner);
    conflicts
}

/// The message of the Status, as kubectl prints it.
pub(super) fn message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: {}: {}", only.message(), only.path);
    }
    let mut lines = Vec::new();
    let mut owner = None;
    // Sorted by manager, so each owner's stand together.
    for conflict in conflicts {
        let this = conflict.owner();
        if owner.as_ref() != Some(&this) {
            lines.push(format!("conflicts with {this}:"));
            owner = Some(this);
        }
        lines.push(format!("- {}", conflict.path));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}
