//! `docs/reference/kinds.md` is what the definitions say.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use serde_json::Value;
use tidegate::api::crd;

const ADVICE: &str = "run `UPDATE=1 cargo test --test it the_reference_of_kinds_is_fresh`";

#[test]
fn the_reference_of_kinds_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/kinds.md");
    let text = reference();
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "{ADVICE}");
}

/// Kinds that differ in scope only stand together, under the name that they share.
fn reference() -> String {
    let all = crd::all();
    let mut families: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for definition in &all {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        families.entry(kind.trim_start_matches("Cluster")).or_default().push(definition);
    }
    let mut text = format!(
        "# Kinds\n\n<!-- Made from src/api/crd by a test; {ADVICE}. -->\n\nEvery kind that Tidegate installs on a hub that has none of \
         Fleet's own definitions: `tidegate local` does it by itself, and [deploy/crds](../../deploy/crds) has them as files. \
         Rollout and Source are our own; of all others, fields, rules and messages are Fleet's, and [fleet.md](fleet.md) says which Fleet's.\n\n\
         `kubectl explain KIND.spec` tells the same on a hub. Conditions and label selectors are Kubernetes' own and not spelt out.\n"
    );
    for family in families.values() {
        section(family, &mut text);
    }
    text
}

fn section(family: &[&Value], text: &mut String) {
    let kinds: Vec<&str> =
        family.iter().map(|d| d["spec"]["names"]["kind"].as_str().unwrap()).collect();
    writeln!(text, "\n## {}\n", kinds.join(", ")).unwrap();
    for definition in family {
        let spec = &definition["spec"];
        let stored = stored(definition);
        let about = stored["schema"]["openAPIV3Schema"]["description"].as_str().unwrap();
        writeln!(text, "**{}**: {about}\n", spec["names"]["kind"].as_str().unwrap()).unwrap();
        let versions: Vec<String> = spec["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| format!("`{}`", version["name"].as_str().unwrap()))
            .collect();
        let words = |field: &str| -> String {
            let list = spec["names"][field].as_array().cloned().unwrap_or_default();
            let words: Vec<String> =
                list.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect();
            if words.is_empty() { "none".to_owned() } else { words.join(", ") }
        };
        writeln!(
            text,
            "- `{}.{}`, {}, in {}",
            spec["names"]["plural"].as_str().unwrap(),
            spec["group"].as_str().unwrap(),
            if spec["scope"] == "Cluster" { "cluster-scoped" } else { "namespaced" },
            versions.join(" and "),
        )
        .unwrap();
        writeln!(
            text,
            "- short names: {}; categories: {}",
            words("shortNames"),
            words("categories")
        )
        .unwrap();
        writeln!(text, "- columns: {}\n", columns(stored)).unwrap();
    }
    let first = family[0];
    let schema = &stored(first)["schema"]["openAPIV3Schema"];
    let stable = first["spec"]["versions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|version| version["name"] == "v1")
        .map(|version| &version["schema"]["openAPIV3Schema"]);
    text.push_str("| field | type | meaning |\n|---|---|---|\n");
    for (name, property) in schema["properties"].as_object().unwrap() {
        if !["apiVersion", "kind", "metadata"].contains(&name.as_str()) {
            let required = is_required(schema, name);
            let stable = stable.map(|stable| stable["properties"].get(name));
            field(name, property, required, stable, text);
        }
    }
    rules(family, text);
}

fn stored(definition: &Value) -> &Value {
    let versions = definition["spec"]["versions"].as_array().unwrap();
    versions.iter().find(|version| version["storage"] == true).unwrap()
}

fn columns(version: &Value) -> String {
    let columns = version["additionalPrinterColumns"].as_array().cloned().unwrap_or_default();
    let mut names = vec!["NAME".to_owned()];
    if columns.is_empty() {
        names.push("AGE".to_owned());
    }
    names.extend(columns.iter().map(|column| {
        let name = column["name"].as_str().unwrap().to_uppercase();
        if column["priority"] == 1 { format!("{name} (wide)") } else { name }
    }));
    names.join(", ")
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|list| list.iter().any(|field| field == name))
}

/// One row a field, and its own fields below it. `stable` is the same field in `v1`, where `v1` is served.
fn field(
    path: &str,
    schema: &Value,
    required: bool,
    stable: Option<Option<&Value>>,
    text: &mut String,
) {
    let mut kind = kind(schema);
    if required {
        kind.push_str(", required");
    }
    if let Some(default) = schema.get("default") {
        write!(kind, ", default `{}`", plain(default)).unwrap();
    }
    let mut meaning = schema["description"].as_str().unwrap_or_default().to_owned();
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("`{}`", plain(word))).collect();
        write!(meaning, " One of {}.", words.join(", ")).unwrap();
    }
    meaning.push_str(&bounds(schema));
    if stable == Some(None) {
        meaning.push_str(" Only in `v1beta1`.");
    }
    writeln!(text, "| `{path}` | {kind} | {} |", meaning.trim().replace('|', "\\|")).unwrap();
    if is_common(schema) {
        return;
    }
    let stable = stable.flatten();
    let (inner, stable_inner, path) = match schema["type"].as_str() {
        Some("array") => (&schema["items"], stable.map(|s| &s["items"]), format!("{path}[]")),
        Some("object") if schema.get("additionalProperties").is_some() => (
            &schema["additionalProperties"],
            stable.map(|s| &s["additionalProperties"]),
            format!("{path}.*"),
        ),
        _ => (schema, stable, path.to_owned()),
    };
    for (name, property) in inner["properties"].as_object().into_iter().flatten() {
        let required = is_required(inner, name);
        let stable = stable_inner.map(|stable| stable["properties"].get(name));
        field(&format!("{path}.{name}"), property, required, stable, text);
    }
}

/// Kubernetes' own shapes, which everybody knows.
fn is_common(schema: &Value) -> bool {
    let conditions = schema["x-kubernetes-list-map-keys"] == serde_json::json!(["type"]);
    let one_condition = schema["properties"].get("lastTransitionTime").is_some();
    let selector = schema["properties"].get("matchExpressions").is_some()
        && schema["properties"].get("matchLabels").is_some();
    conditions || one_condition || selector
}

fn kind(schema: &Value) -> String {
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    match schema["type"].as_str() {
        _ if schema["x-kubernetes-int-or-string"] == true => "number or text".to_owned(),
        _ if schema["x-kubernetes-embedded-resource"] == true => "whole object".to_owned(),
        _ if schema["properties"].get("lastTransitionTime").is_some() => "condition".to_owned(),
        Some("array") if schema["x-kubernetes-list-map-keys"].is_array() => "conditions".to_owned(),
        Some("array") => format!("list of {}", plural(&kind(&schema["items"]))),
        Some("object") if is_common(schema) => "label selector".to_owned(),
        Some("object") if schema.get("additionalProperties").is_some() => {
            format!("map of {}", plural(&kind(&schema["additionalProperties"])))
        }
        Some("object") => "object".to_owned(),
        Some("string") if schema["format"] == "date-time" => "time".to_owned(),
        Some("string") if schema["format"] == "byte" => "base64".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer") => "number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        _ if open => "anything".to_owned(),
        other => panic!("a type that the reference cannot name: {other:?}"),
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "text" | "number or text" | "anything" | "conditions" => kind.to_owned(),
        kind => format!("{kind}s"),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn bounds(schema: &Value) -> String {
    let number = |key: &str| schema.get(key).map(plain);
    let mut text = String::new();
    match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => write!(text, " From {least} to {most}.").unwrap(),
        (Some(least), None) => write!(text, " At least {least}.").unwrap(),
        _ => {}
    }
    match (number("minItems"), number("maxItems")) {
        (Some(least), Some(most)) => write!(text, " {least} to {most} items.").unwrap(),
        (None, Some(most)) => write!(text, " At most {most}.").unwrap(),
        _ => {}
    }
    if let Some(most) = number("maxLength") {
        write!(text, " At most {most} characters.").unwrap();
    }
    if let (Some(pattern), false) = (
        number("pattern"),
        schema["x-kubernetes-int-or-string"] == true && schema.get("default").is_none(),
    ) {
        write!(text, " Matches `{pattern}`.").unwrap();
    }
    text
}

/// What is refused with a message of its own, once a message.
fn rules(family: &[&Value], text: &mut String) {
    fn collect<'a>(path: &str, schema: &'a Value, into: &mut Vec<(String, &'a str)>) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            into.push((path.to_owned(), rule["message"].as_str().unwrap()));
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            collect(&inner, property, into);
        }
        if let Some(items) = schema.get("items") {
            collect(&format!("{path}[]"), items, into);
        }
    }
    let mut seen: Vec<(String, &str, Vec<&str>)> = Vec::new();
    for definition in family {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        let mut found = Vec::new();
        collect("", &stored(definition)["schema"]["openAPIV3Schema"], &mut found);
        found.retain(|(path, _)| !path.starts_with("status"));
        found.dedup();
        for (path, message) in found {
            match seen.iter_mut().find(|(p, m, _)| *p == path && *m == message) {
                Some((_, _, kinds)) => {
                    if !kinds.contains(&kind) {
                        kinds.push(kind);
                    }
                }
                None => seen.push((path, message, vec![kind])),
            }
        }
    }
    if seen.is_empty() {
        return;
    }
    text.push_str("\nRefused with these words:\n\n");
    for (path, message, kinds) in seen {
        let place = if path.is_empty() { "the object".to_owned() } else { format!("`{path}`") };
        let only = if kinds.len() < family.len() {
            format!(" ({} only)", kinds.join(", "))
        } else {
            String::new()
        };
        writeln!(text, "- {place}: {message}{only}").unwrap();
    }
}
