//! Server-side apply (KEP-555): merging what a manager declares, with ownership of fields.
//!
//! An apply says everything that the manager has an opinion on. What it says is merged into the object and owned by
//! it; what it said before and says no more is removed, unless somebody else owns it too; what somebody else owns with
//! another value is a conflict.

mod conflict;
mod declare;
mod merge;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::conflict::Conflict;
use crate::apiserver::{
    field::{self, Comparison, Entry, Operation, Set},
    schema::Schema,
};

/// The annotation in which client-side `kubectl apply` keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// One apply.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The stored object, or none when apply creates it.
    pub live: Option<&'a Value>,
    /// The configuration that the manager declares.
    pub applied: &'a Value,
    /// The field manager's name.
    pub manager: &'a str,
    /// Take over fields that others own with another value.
    pub force: bool,
    /// `status` when the status subresource is applied.
    pub subresource: Option<&'a str>,
    /// The time written for changed entries.
    pub now: Timestamp,
}

/// Why an apply is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Other managers own fields that this apply would change: 409 `Conflict` with one cause for each.
    #[error("{}", conflict::message(.0))]
    Conflicts(Vec<Conflict>),
    /// The configuration says something that no configuration may say: 400 `BadRequest`.
    #[error("{0}")]
    Invalid(String),
    /// The configuration does not fit the schema: duplicate keys, unknown fields, wrong types. kube-apiserver answers
    /// 500 without a reason.
    #[error("{0}")]
    Mistyped(String),
}

impl ApplyError {
    /// The HTTP status that kube-apiserver answers with.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::Conflicts(_) => 409,
            Self::Invalid(_) => 400,
            Self::Mistyped(_) => 500,
        }
    }
}

/// Applies a configuration: the merged object, its `metadata.managedFields` included. Defaults and everything else that
/// the server does to a new object come after. When nothing changes, the object and all times are those of `live`.
///
/// # Errors
/// [`ApplyError::Conflicts`] unless forced, the others for what cannot be applied.
pub fn apply(request: &Request<'_>, schema: &Schema) -> Result<Value, ApplyError> {
    let applied = request.applied;
    if applied.pointer("/metadata/managedFields").is_some_and(|m| !m.is_null()) {
        return Err(ApplyError::Invalid("metadata.managedFields must be nil".to_owned()));
    }
    declare::check(schema, applied).map_err(ApplyError::Mistyped)?;
    let mut live = request.live.cloned().unwrap_or_else(|| json!({}));
    let mut entries = field::read(&live).ok_or_else(|| {
        ApplyError::Invalid("failed to decode managed fields of the stored object".to_owned())
    })?;
    field::remove(&mut live);
    if entries.is_empty() && request.live.is_some() {
        // Until now nobody cared. What is there belongs to those who came before, so that it can conflict.
        let before = field::updater(&live, "before-first-apply", request.subresource);
        field::record_update(&mut entries, schema.blank(), &live, before, schema, request.now);
    }
    let (mut object, entries) =
        match merge_with(request, &live, entries.clone(), request.force, schema) {
            Err(ApplyError::Conflicts(conflicts)) if request.manager == "kubectl" => {
                // Client-side apply of the same tool is no stranger: its fields are taken over without a conflict.
                let own = last_applied_fields(&live, schema);
                let foreign: Vec<_> =
                    conflicts.into_iter().filter(|c| !own.has_path(&c.elements)).collect();
                if !foreign.is_empty() {
                    return Err(ApplyError::Conflicts(foreign));
                }
                merge_with(request, &live, entries, true, schema)?
            }
            other => other?,
        };
    if request.manager == "kubectl" {
        refresh_last_applied(&mut object, applied);
    }
    field::write(&mut object, entries);
    Ok(object)
}

/// Merges, prunes and moves ownership. The object is without its entries.
fn merge_with(
    request: &Request<'_>,
    live: &Value,
    mut entries: Vec<Entry>,
    force: bool,
    schema: &Schema,
) -> Result<(Value, Vec<Entry>), ApplyError> {
    let root = Some(schema.root());
    let merged = merge::merge(root, live, request.applied);
    let said = field::set_of(root, request.applied);
    let mut own = Entry {
        operation: Operation::Apply,
        fields: field::in_reach(&said, request.subresource, schema),
        ..field::updater(request.applied, request.manager, request.subresource)
    };
    let before = entries.iter().position(|e| e.is_same_manager(&own)).map(|at| entries.remove(at));
    own.time = before.as_ref().and_then(|e| e.time.clone());
    let last = before.map(|e| e.fields).unwrap_or_default();
    let owned = entries.iter().fold(own.fields.clone(), |all, e| all.union(&e.fields));
    let object = prune(merged, &last, &own.fields, &owned, schema);
    let change = Comparison::of(root, live, &object)
        .filter(|set| field::in_reach(set, request.subresource, schema));
    if !force {
        let conflicts = conflict::find(&entries, &change.changed());
        if !conflicts.is_empty() {
            return Err(ApplyError::Conflicts(conflicts));
        }
    }
    field::dispossess(&mut entries, &change);
    if object != *live {
        own.time = Some(field::stamp(request.now));
    }
    own.fields = field::ownable(&own.fields);
    entries.push(own);
    Ok((object, entries))
}

/// Removes from `merged` what the manager said last time, says no more, and nobody else owns.
fn prune(merged: Value, last: &Set, said: &Set, owned: &Set, schema: &Schema) -> Value {
    if last.difference(said).is_empty() {
        return merged;
    }
    let root = Some(schema.root());
    let complete = |set: &Set| field::with_declared_fields(root, set);
    let set_of = |value: &Value| complete(&field::set_of(root, value));
    let without = |set: &Set| {
        if set.is_empty() { merged.clone() } else { field::without(root, &merged, set) }
    };
    let (last, there) = (complete(last), set_of(&merged));
    // Without all that it said; then without only what nobody owns; and of that only what it said itself, for what
    // nobody owned and it never said just happened to be inside.
    let bare = set_of(&without(&last));
    let unowned = there.difference(&bare.union(&complete(owned)));
    let rest = set_of(&without(&unowned));
    without(&there.difference(&rest).intersection(&last))
}

/// The fields that client-side apply set and that still have the values it gave them.
fn last_applied_fields(live: &Value, schema: &Schema) -> Set {
    let root = Some(schema.root());
    let Some(applied) =
        last_applied(live).and_then(|text| serde_json::from_str::<Value>(text).ok())
    else {
        return Set::default();
    };
    if applied.get("apiVersion") != live.get("apiVersion") {
        return Set::default();
    }
    let change = Comparison::of(root, &applied, live);
    field::set_of(root, &applied).difference(&change.changed()).difference(&change.removed)
}

fn last_applied(object: &Value) -> Option<&str> {
    let text = object.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str()?;
    (!text.is_empty()).then_some(text)
}

/// Keeps the annotation of client-side apply true, where there is one.
fn refresh_last_applied(object: &mut Value, applied: &Value) {
    if last_applied(object).is_none() {
        return;
    }
    let mut applied = applied.clone();
    if let Some(annotations) =
        applied.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(LAST_APPLIED);
    }
    if let Some(annotations) =
        object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        annotations.insert(LAST_APPLIED.to_owned(), format!("{applied}\n").into());
    }
}
