//! `metadata.managedFields`: who owns what, as entries.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::set::Set;

/// How many `Update` entries an object keeps before the oldest are put together, as upstream.
const MAX_UPDATES: usize = 10;

/// The name under which the oldest `Update` entries are put together.
const ANCIENT: &str = "ancient-changes";

/// `Apply` or `Update`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Apply,
    Update,
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// One entry: what one manager owns through one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
    /// When the manager last changed what it owns, RFC 3339.
    pub(crate) time: Option<String>,
    pub(crate) fields: Set,
}

impl Entry {
    /// Whether both entries are the same manager's. An applier is one whatever version it applies.
    pub(crate) fn is_same_manager(&self, other: &Entry) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    fn seconds(&self) -> i64 {
        self.time
            .as_deref()
            .and_then(|t| t.parse::<Timestamp>().ok())
            .map_or(0, Timestamp::as_second)
    }

    fn read(entry: &Value) -> Option<Entry> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let operation = match text("operation")? {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        let fields = match entry.get("fieldsV1") {
            None | Some(Value::Null) => Set::default(),
            Some(fields) => Set::from_json(fields)?,
        };
        Some(Entry {
            manager: text("manager").unwrap_or_default().to_owned(),
            operation,
            api_version: text("apiVersion").filter(|v| !v.is_empty())?.to_owned(),
            subresource: text("subresource").unwrap_or_default().to_owned(),
            time: text("time").map(str::to_owned),
            fields: (text("fieldsType")? == "FieldsV1").then_some(fields)?,
        })
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "apiVersion": self.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_json(),
            "manager": self.manager,
            "operation": self.operation.name(),
        });
        if let Some(map) = entry.as_object_mut() {
            if !self.subresource.is_empty() {
                map.insert("subresource".to_owned(), self.subresource.as_str().into());
            }
            if let Some(time) = &self.time {
                map.insert("time".to_owned(), time.as_str().into());
            }
        }
        entry
    }
}

/// `now` as objects carry it: whole seconds.
pub(crate) fn stamp(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads the entries of `object`. None when one is malformed.
pub(crate) fn read(object: &Value) -> Option<Vec<Entry>> {
    match object.pointer("/metadata/managedFields") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(entries)) => entries.iter().map(Entry::read).collect(),
        Some(_) => None,
    }
}

/// Whether a request asks to forget all ownership: an empty list, or one empty entry.
pub(crate) fn is_reset(object: &Value) -> bool {
    match object.pointer("/metadata/managedFields").and_then(Value::as_array).map(Vec::as_slice) {
        Some([]) => true,
        Some([Value::Object(only)]) => only.is_empty(),
        _ => false,
    }
}

/// Removes the entries from `object`, so that they do not own themselves.
pub(crate) fn remove(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
}

/// Writes the entries that own something, in the order of upstream: applies first, then by time.
pub(crate) fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|e| !e.fields.is_empty());
    entries.sort_by(|a, b| {
        let rest = |e: &Entry| (e.manager.clone(), e.api_version.clone(), e.subresource.clone());
        (a.operation, a.seconds())
            .cmp(&(b.operation, b.seconds()))
            .then_with(|| rest(a).cmp(&rest(b)))
    });
    remove(object);
    if entries.is_empty() {
        return;
    }
    let Some(object) = object.as_object_mut() else { return };
    let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if let Some(metadata) = metadata.as_object_mut() {
        let entries = entries.iter().map(Entry::write).collect();
        metadata.insert("managedFields".to_owned(), Value::Array(entries));
    }
}

/// Puts the oldest `Update` entries of each version together until there are no more than [`MAX_UPDATES`].
pub(crate) fn cap(entries: &mut Vec<Entry>) {
    let is_update = |e: &Entry| e.operation == Operation::Update;
    let mut count = entries.iter().filter(|e| is_update(e)).count();
    if count <= MAX_UPDATES {
        return;
    }
    entries.sort_by_cached_key(|e| {
        (e.operation, e.seconds(), e.manager.clone(), e.subresource.clone())
    });
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in std::mem::take(entries) {
        let older = kept.iter_mut().find(|e| is_update(e) && e.api_version == entry.api_version);
        match older {
            Some(older) if count > MAX_UPDATES && is_update(&entry) => {
                ANCIENT.clone_into(&mut older.manager);
                older.subresource.clear();
                older.fields.add(&entry.fields);
                older.time = entry.time;
                count -= 1;
            }
            _ => kept.push(entry),
        }
    }
    *entries = kept;
}
