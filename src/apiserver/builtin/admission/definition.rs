//! CustomResourceDefinitions: defaults, names and status, and what is refused.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    super::{
        ResourceDefinition, crd,
        value::{absent, fill, flag, list, object_at, set, text, texts},
    },
    Context, format,
};
use crate::apiserver::schema::FieldError;

/// Fills the defaults of a CustomResourceDefinition and says in its status which names and versions the server took.
pub(super) fn prepare(object: &mut Value, context: &Context<'_>) {
    let Some(spec) = object_at(object, "spec") else { return };
    if let Some(names) = object_at(spec, "names") {
        let kind = text(names, "/kind").to_owned();
        if !kind.is_empty() {
            fill(names, "singular", kind.to_lowercase());
            fill(names, "listKind", format!("{kind}List"));
        }
    }
    if let Some(conversion) = object_at(spec, "conversion") {
        fill(conversion, "strategy", "None");
    }
    let conflict = conflict(object, context.served);
    let names = object.pointer("/spec/names").cloned().unwrap_or_default();
    let storage = storage_version(object).to_owned();
    let Some(status) = object_at(object, "status") else { return };
    let mut stored = texts(status, "/storedVersions");
    if !storage.is_empty() && !stored.contains(&storage) {
        stored.push(storage);
    }
    set(status, "storedVersions", stored);
    let established = list(status, "/conditions")
        .iter()
        .any(|c| text(c, "/type") == "Established" && text(c, "/status") == "True");
    let now = context.now;
    match conflict {
        None => {
            set(status, "acceptedNames", names);
            condition(status, "NamesAccepted", true, ("NoConflicts", "no conflicts found"), now);
            let said = ("InitialNamesAccepted", "the initial names have been accepted");
            condition(status, "Established", true, said, now);
        }
        Some((reason, message)) => {
            if absent(status, "/acceptedNames") {
                set(status, "acceptedNames", json!({"plural": "", "kind": ""}));
            }
            condition(status, "NamesAccepted", false, (reason, &message), now);
            if !established {
                let said = ("NotAccepted", "not all names are accepted");
                condition(status, "Established", false, said, now);
            }
        }
    }
}

fn storage_version(object: &Value) -> &str {
    let stored = list(object, "/spec/versions").iter().find(|v| flag(v, "/storage"));
    stored.map_or("", |version| text(version, "/name"))
}

/// The first name that another resource of the group has.
fn conflict(object: &Value, served: &[ResourceDefinition]) -> Option<(&'static str, String)> {
    let (group, plural) = (text(object, "/spec/group"), text(object, "/spec/names/plural"));
    let mut resources = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for other in served.iter().filter(|d| d.group == group && d.plural != plural) {
        resources.extend([other.plural.as_str(), &other.singular]);
        resources.extend(other.short_names.iter().map(String::as_str));
        kinds.extend([other.kind.as_str(), &other.list_kind]);
    }
    let taken = |name: &str| format!("{name:?} is already in use");
    let (singular, kind, list_kind) = (
        text(object, "/spec/names/singular"),
        text(object, "/spec/names/kind"),
        text(object, "/spec/names/listKind"),
    );
    if resources.contains(plural) {
        return Some(("PluralConflict", taken(plural)));
    }
    if resources.contains(singular) {
        return Some(("SingularConflict", taken(singular)));
    }
    let short: Vec<String> = texts(object, "/spec/names/shortNames")
        .into_iter()
        .filter(|name| resources.contains(name.as_str()))
        .collect();
    if !short.is_empty() {
        let said: Vec<String> = short.iter().map(|name| taken(name)).collect();
        return Some(("ShortNamesConflict", said.join(", ")));
    }
    if kinds.contains(kind) {
        return Some(("KindConflict", taken(kind)));
    }
    kinds.contains(list_kind).then(|| ("ListKindConflict", taken(list_kind)))
}

/// Sets a condition; its time moves only with its status.
fn condition(
    status: &mut Value,
    kind: &str,
    holds: bool,
    (reason, message): (&str, &str),
    now: Timestamp,
) {
    let holds = if holds { "True" } else { "False" };
    let mut conditions = list(status, "/conditions").to_vec();
    let known = conditions.iter_mut().find(|c| text(c, "/type") == kind);
    let since = known.as_ref().filter(|c| text(c, "/status") == holds);
    let since = match since.map(|c| text(c, "/lastTransitionTime")) {
        Some(since) if !since.is_empty() => since.to_owned(),
        _ => now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    };
    let condition = json!({
        "type": kind, "status": holds, "reason": reason, "message": message, "lastTransitionTime": since,
    });
    match known {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
    set(status, "conditions", conditions);
}

/// Validates a CustomResourceDefinition.
pub(super) fn validate(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let (group, plural) = (text(new, "/spec/group"), text(new, "/spec/names/plural"));
    if old.is_none() && text(new, "/metadata/name") != format!("{plural}.{group}") {
        let said = "must be spec.names.plural+\".\"+spec.group";
        let name = text(new, "/metadata/name");
        errors.push(FieldError::invalid("metadata.name", &name.into(), said));
    }
    if let Some(old) = old {
        if old.get("spec") == new.get("spec") {
            return;
        }
        unchanged(new, old, errors);
    }
    match format::dns_subdomain(group) {
        _ if group.is_empty() => {}
        faults if !faults.is_empty() => {
            errors.push(FieldError::invalid("spec.group", &group.into(), &faults.join(",")));
        }
        _ if !group.contains('.') => {
            let said = "should be a domain with at least one dot";
            errors.push(FieldError::invalid("spec.group", &group.into(), said));
        }
        _ => {}
    }
    let scope = text(new, "/spec/scope");
    if !scope.is_empty() && !matches!(scope, "Cluster" | "Namespaced") {
        let known = ["Cluster", "Namespaced"].map(str::to_owned);
        errors.push(FieldError::not_supported("spec.scope", &scope.into(), &known));
    }
    names(new, errors);
    versions(new, errors);
    approval(new, group, errors);
    if flag(new, "/spec/preserveUnknownFields") && old.is_none() {
        let said = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
                    spec.versions[*].schema instead";
        errors.push(FieldError::invalid("spec.preserveUnknownFields", &true.into(), said));
    }
}

/// What decides where objects are stored cannot change.
fn unchanged(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    for path in ["group", "names/plural", "scope", "names/kind"] {
        let pointer = format!("/spec/{path}");
        let now = text(new, &pointer);
        if now != text(old, &pointer) {
            let path = format!("spec.{}", path.replace('/', "."));
            errors.push(FieldError::invalid(path, &now.into(), "field is immutable"));
        }
    }
}

fn names(object: &Value, errors: &mut Vec<FieldError>) {
    let Some(names) = object.pointer("/spec/names") else { return };
    let path = "spec.names";
    for (field, mixed_case) in
        [("plural", false), ("singular", false), ("kind", true), ("listKind", true)]
    {
        let name = text(names, &format!("/{field}"));
        let faults = match mixed_case {
            true => format::dns_1035_label(&name.to_lowercase()),
            false => format::dns_1035_label(name),
        };
        if name.is_empty() {
            errors.push(FieldError::required(format!("{path}.{field}"), ""));
        } else if !faults.is_empty() {
            let prefix =
                if mixed_case { "may have mixed case, but should otherwise match: " } else { "" };
            let said = format!("{prefix}{}", faults.join(","));
            errors.push(FieldError::invalid(format!("{path}.{field}"), &name.into(), &said));
        }
    }
    for field in ["shortNames", "categories"] {
        for (index, name) in texts(names, &format!("/{field}")).iter().enumerate() {
            let faults = format::dns_1035_label(name);
            if !faults.is_empty() {
                let path = format!("{path}.{field}[{index}]");
                errors.push(FieldError::invalid(path, &name.as_str().into(), &faults.join(",")));
            }
        }
    }
    let (kind, list_kind) = (text(names, "/kind"), text(names, "/listKind"));
    if !kind.is_empty() && kind == list_kind {
        let said = "kind and listKind may not be the same";
        errors.push(FieldError::invalid(format!("{path}.listKind"), &list_kind.into(), said));
    }
}

fn versions(object: &Value, errors: &mut Vec<FieldError>) {
    let versions = list(object, "/spec/versions");
    let mut seen = BTreeSet::new();
    let mut unique = true;
    for (index, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{index}]");
        let name = text(version, "/name");
        unique &= seen.insert(name);
        let faults = format::dns_1035_label(name);
        if !name.is_empty() && !faults.is_empty() {
            let path = format!("{path}.name");
            errors.push(FieldError::invalid(path, &name.into(), &faults.join(",")));
        }
        if absent(version, "/schema/openAPIV3Schema") {
            errors.push(FieldError::required(format!("{path}.schema.openAPIV3Schema"), ""));
        } else if let Err(faults) = crd::schema(version, &path) {
            errors.extend(faults);
        }
        if let Err(faults) = crd::columns(version, &path) {
            errors.extend(faults);
        }
        scale_paths(version, &path, errors);
    }
    let mut wrong = |said: &str| {
        errors.push(FieldError::invalid("spec.versions", &Value::from(versions), said));
    };
    if !unique {
        wrong("must contain unique version names");
    }
    if versions.iter().filter(|v| flag(v, "/storage")).count() != 1 {
        wrong("must have exactly one version marked as storage version");
    }
}

fn scale_paths(version: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let Some(scale) = version.pointer("/subresources/scale").filter(|s| s.is_object()) else {
        return;
    };
    for (field, root) in [
        ("specReplicasPath", ".spec."),
        ("statusReplicasPath", ".status."),
        ("labelSelectorPath", ""),
    ] {
        let given = text(scale, &format!("/{field}"));
        let fits = match root {
            "" => given.is_empty() || given.starts_with(".spec.") || given.starts_with(".status."),
            root => given.is_empty() || given.starts_with(root),
        };
        if !fits {
            let known =
                if root.is_empty() { ".spec or .status" } else { root.trim_end_matches('.') };
            let said = format!("should be a json path under {known}");
            let path = format!("{path}.subresources.scale.{field}");
            errors.push(FieldError::invalid(path, &given.into(), &said));
        }
    }
}

/// Groups of the Kubernetes community want to be approved.
fn approval(object: &Value, group: &str, errors: &mut Vec<FieldError>) {
    const APPROVAL: &str = "api-approved.kubernetes.io";
    let protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|name| group == *name || group.ends_with(&format!(".{name}")));
    let given = object.pointer("/metadata/annotations").and_then(|a| a.get(APPROVAL));
    if protected && given.and_then(Value::as_str).unwrap_or_default().is_empty() {
        let said = format!(
            "protected groups must have approval annotation {APPROVAL:?}, see \
             https://github.com/kubernetes/enhancements/pull/1111"
        );
        errors.push(FieldError::required(format!("metadata.annotations[{APPROVAL}]"), &said));
    }
}
