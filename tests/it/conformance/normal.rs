//! Answers without what differs from one server to the next: identities, versions, times.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::{Captures, Regex};
use serde_json::{Map, Value};

static UUID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap()
});
static SIGNED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]*").unwrap());
static TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(\d{4})-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").unwrap());
static STORAGE_KEY: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"Key: /\S+,").unwrap());
static CURRENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(current: |ResourceVersion in record \()\d+").unwrap());
/// Addresses that servers give to services; cases choose none of them.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"10\.96\.\d+\.\d+").unwrap());
/// Hashes of documents, whose descriptions are sentences of our own.
static HASH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"("|hash=)[0-9A-F]{64,128}\b"#).unwrap());
static SECONDS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\d+s$").unwrap());

/// What one case saw of one server. Each uid and version gets a number when it is first seen, so that the same one is
/// still the same, and another one is another.
#[derive(Debug, Default)]
pub struct Seen {
    uids: BTreeMap<String, usize>,
    revisions: BTreeMap<String, usize>,
    generated: BTreeMap<String, String>,
}

impl Seen {
    /// A body without what differs. YAML is compared as what it means.
    pub fn normal(&mut self, bytes: &[u8]) -> Value {
        let text = String::from_utf8_lossy(bytes);
        let value = serde_json::from_str::<Value>(&text).ok();
        let yaml = || serde_yaml::from_str::<Value>(&text).ok().filter(Value::is_object);
        match value.or_else(yaml) {
            Some(value) => self.document(value),
            None => self.text(&text).into(),
        }
    }

    /// A document without what differs.
    pub fn document(&mut self, mut value: Value) -> Value {
        self.note_generated(&value);
        if value.get("kind").and_then(Value::as_str) == Some("Table") {
            // Descriptions of built-in kinds are sentences of our own.
            let columns = value.get_mut("columnDefinitions").and_then(Value::as_array_mut);
            for column in columns.into_iter().flatten() {
                column["description"] = "<description>".into();
            }
            let rows = value.get_mut("rows").and_then(Value::as_array_mut);
            for cell in rows.into_iter().flatten().filter_map(|row| row.get_mut("cells")) {
                for cell in cell.as_array_mut().into_iter().flatten() {
                    if cell.as_str().is_some_and(|text| SECONDS.is_match(text)) {
                        *cell = "<age>".into();
                    }
                }
            }
        }
        match value.get("kind").and_then(Value::as_str) {
            Some("APIResourceList") => settle_resources(&mut value),
            Some("APIGroupDiscoveryList") => settle_discovery(&mut value),
            Some("APIGroupList") => settle_groups(&mut value),
            _ => {}
        }
        if value.get("kind").and_then(Value::as_str) == Some("Status") {
            settle_errors(&mut value);
            settle_causes(&mut value);
        }
        self.value(value)
    }

    fn value(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => self.text(&text).into(),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                let is_list = fields.contains_key("items") || fields.contains_key("rows");
                // In an order of its own, so that numbers do not depend on the server's order.
                let fields: BTreeMap<String, Value> = fields.into_iter().collect();
                let normal = fields.into_iter().map(|(name, value)| {
                    let value = match (name.as_str(), value) {
                        ("metadata", Value::Object(metadata)) => self.metadata(metadata, is_list),
                        ("managedFields", Value::Array(entries)) => self.managers(entries),
                        (_, value) => self.value(value),
                    };
                    // Keys of lists in managed fields may hold identities.
                    (self.text(&name), value)
                });
                Value::Object(normal.collect::<Map<String, Value>>())
            }
            other => other,
        }
    }

    fn metadata(&mut self, mut metadata: Map<String, Value>, is_list: bool) -> Value {
        if let Some(Value::String(revision)) = metadata.get("resourceVersion") {
            let number = self.revisions.len() + 1;
            let known = if is_list {
                "<some>".to_owned()
            } else {
                format!("<version {}>", self.revisions.entry(revision.clone()).or_insert(number))
            };
            metadata.insert("resourceVersion".to_owned(), known.into());
        }
        if metadata.get("continue").is_some_and(|token| token != "") {
            metadata.insert("continue".to_owned(), "<continue>".into());
        }
        self.value(Value::Object(metadata))
    }

    /// Entries of one second come in any order. Upstream loses times of entries on the way through a Scale. Who writes a
    /// time of a status anew owns it, unless it is of the same second as before.
    fn managers(&mut self, mut entries: Vec<Value>) -> Value {
        for entry in &mut entries {
            entry.as_object_mut().and_then(|entry| entry.remove("time"));
            let status = entry.pointer_mut("/fieldsV1/f:status").and_then(Value::as_object_mut);
            status.and_then(|status| status.remove("f:lastPhaseTransitionTime"));
        }
        entries.sort_by_cached_key(|entry| {
            ["operation", "manager", "subresource", "apiVersion"].map(|f| entry[f].to_string())
        });
        self.value(Value::Array(entries))
    }

    fn note_generated(&mut self, value: &Value) {
        let text = |field: &str| value.pointer(field).and_then(Value::as_str).unwrap_or_default();
        let (prefix, name) = (text("/metadata/generateName"), text("/metadata/name"));
        if !prefix.is_empty() && name.len() == prefix.len() + 5 && name.starts_with(prefix) {
            let number = self.generated.len() + 1;
            let known = format!("{prefix}<generated {number}>");
            self.generated.entry(name.to_owned()).or_insert(known);
        }
    }

    fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, known) in &self.generated {
            text = text.replace(name.as_str(), known);
        }
        let text = CURRENT.replace_all(&text, "$1<some>");
        let text = STORAGE_KEY.replace_all(&text, "Key: <key>,");
        let text = HASH.replace_all(&text, "$1<hash>");
        let text = ADDRESS.replace_all(&text, "<address>");
        let text = SIGNED.replace_all(&text, "<token>");
        let uids = &mut self.uids;
        let text = UUID.replace_all(&text, |found: &Captures<'_>| {
            let number = uids.len() + 1;
            format!("<uid {}>", uids.entry(found[0].to_owned()).or_insert(number))
        });
        // Times that a case chose are of other years.
        let year = jiff::Timestamp::now().strftime("%Y").to_string();
        TIME.replace_all(&text, |found: &Captures<'_>| match &found[1] == year.as_str() {
            true => format!("<time{}>", if found.get(2).is_some() { ", precise" } else { "" }),
            false => found[0].to_owned(),
        })
        .into_owned()
    }
}

/// The order of resources and verbs means nothing.
/// Upstream meets custom kinds in the random order of Go's maps.
fn sort_by(list: &mut Value, field: &str) {
    if let Some(list) = list.as_array_mut() {
        list.sort_by_cached_key(|entry| entry[field].to_string());
    }
}

fn settle_resources(list: &mut Value) {
    let version = list["groupVersion"].as_str().unwrap_or_default();
    let version = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
    retain(&mut list["resources"], |resource| {
        // What is stored is a server's own.
        if let Some(hash) = resource.get_mut("storageVersionHash") {
            *hash = "<hash>".into();
        }
        let name = resource["name"].as_str().unwrap_or_default();
        // A subresource goes with its resource.
        let whole = name.split('/').next().unwrap_or_default();
        is_compared(&format!("{version}/{whole}")) && is_compared(&format!("{version}/{name}"))
    });
    sort_by(&mut list["resources"], "name");
}

/// What kube-apiserver serves and the embedded server does not, as `group/version[/resource[/subresource]]`: a list that
/// has to be right, as neither a kind that is missing nor one that is served after all would go unnoticed.
pub const NOT_SERVED: &[&str] =
    &["/v1/componentstatuses", "/v1/nodes/proxy", "/v1/pods/proxy", "/v1/services/proxy"];

fn is_compared(path: &str) -> bool {
    !NOT_SERVED.contains(&path)
}

/// Groups that other cases bring come and go meanwhile.
fn is_of_a_case(group: &str) -> bool {
    group.ends_with(".example.com") || group.ends_with("commands.io")
}

fn retain(list: &mut Value, keep: impl FnMut(&mut Value) -> bool) -> bool {
    let Some(list) = list.as_array_mut() else { return false };
    list.retain_mut(keep);
    !list.is_empty()
}

fn settle_discovery(list: &mut Value) {
    let named = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    retain(&mut list["items"], |group| {
        let name = group.pointer("/metadata/name").map(named).unwrap_or_default();
        !is_of_a_case(&name)
            && retain(&mut group["versions"], |version| {
                let path = format!("{name}/{}", named(&version["version"]));
                sort_by(&mut version["resources"], "resource");
                is_compared(&path)
                    && retain(&mut version["resources"], |resource| {
                        let path = format!("{path}/{}", named(&resource["resource"]));
                        let compared = |sub: &Value| {
                            is_compared(&format!("{path}/{}", named(&sub["subresource"])))
                        };
                        if let Some(subs) = resource.get_mut("subresources")
                            && !retain(subs, |sub| compared(sub))
                            && let Some(resource) = resource.as_object_mut()
                        {
                            resource.remove("subresources");
                        }
                        is_compared(&path)
                    })
            })
    });
}

fn settle_groups(list: &mut Value) {
    retain(&mut list["groups"], |group| {
        let name = group["name"].as_str().unwrap_or_default().to_owned();
        !is_of_a_case(&name)
            && retain(&mut group["versions"], |version| {
                is_compared(version["groupVersion"].as_str().unwrap_or_default())
            })
    });
}

/// Upstream types an applied object in the random order of Go's maps.
fn settle_errors(status: &mut Value) {
    let message = status["message"].as_str().unwrap_or_default();
    if let Some((start, errors)) = message.split_once("errors:\n") {
        let mut errors: Vec<&str> = errors.lines().collect();
        errors.sort_unstable();
        status["message"] = format!("{start}errors:\n{}", errors.join("\n")).into();
    }
}

/// Upstream finds what is wrong in the random order of Go's maps, and says some of it more than once.
fn settle_causes(status: &mut Value) {
    let Some(causes) = status.pointer_mut("/details/causes").and_then(Value::as_array_mut) else {
        return;
    };
    causes.sort_by_cached_key(Value::to_string);
    causes.dedup();
    let several = causes.len() > 1;
    for message in causes.iter_mut().filter_map(|cause| cause.get_mut("message")) {
        forget_patched(message);
    }
    if let Some(message) = status.get_mut("message") {
        match message.as_str().and_then(|text| text.split_once(" is invalid: [")) {
            Some((start, _)) if several => {
                *message = format!("{start} is invalid: <causes>").into()
            }
            _ => forget_patched(message),
        }
    }
}

/// What a refused patch would have made is quoted in Go's order of fields.
fn forget_patched(message: &mut Value) {
    if let Some((start, _)) = message.as_str().and_then(|text| text.split_once("is missing in '{"))
    {
        *message = format!("{start}is missing in <object>").into();
    }
    let quoted = message.as_str().and_then(|text| {
        let (start, rest) = text
            .split_once("Invalid value: \"{\\\"")
            .or_else(|| text.split_once("Invalid value: \"map["))?;
        let (_, end) = rest.split_once("\": ")?;
        Some(format!("{start}Invalid value: <patched>: {end}"))
    });
    if let Some(quoted) = quoted {
        *message = quoted.into();
    }
}

/// Every difference between two values, with its path.
pub fn differences(path: &str, real: &Value, embedded: &Value, into: &mut Vec<String>) {
    match (real, embedded) {
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let path = format!("{path}.{name}");
                match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => differences(&path, a, b, into),
                    (a, b) => into.push(line(&path, a, b)),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for index in 0..a.len().max(b.len()) {
                let path = format!("{path}[{index}]");
                match (a.get(index), b.get(index)) {
                    (Some(a), Some(b)) => differences(&path, a, b, into),
                    (a, b) => into.push(line(&path, a, b)),
                }
            }
        }
        (a, b) if a == b => {}
        (a, b) => into.push(line(path, Some(a), Some(b))),
    }
}

fn line(path: &str, real: Option<&Value>, embedded: Option<&Value>) -> String {
    let shown = |value: Option<&Value>| value.map_or("-".to_owned(), Value::to_string);
    format!("{path}\n        real:     {}\n        embedded: {}", shown(real), shown(embedded))
}
