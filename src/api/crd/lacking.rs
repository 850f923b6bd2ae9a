//! What another definition of a kind lacks.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// How many differences are worth telling.
const TOLD: usize = 3;

/// Returns what `installed`, a CustomResourceDefinition of a hub's, lacks of what `ours` describes at the version that
/// we store; at most a few, and nothing when it will do. More than ours is fine.
pub fn lacking(installed: &Value, ours: &Value) -> Vec<String> {
    let Some(wanted) = versions(ours).iter().find(|version| version["storage"] == true) else {
        return Vec::new();
    };
    let name = wanted["name"].as_str().unwrap_or_default();
    let served = |version: &&Value| version["name"] == wanted["name"] && version["served"] == true;
    let Some(held) = versions(installed).iter().find(served) else {
        return vec![format!("version {name}")];
    };
    let mut lacks = Lacks::default();
    if installed["spec"]["scope"] != ours["spec"]["scope"] {
        let scope = ours["spec"]["scope"].as_str().unwrap_or_default();
        lacks.add(format!("scope {scope}"));
    }
    let status = |version: &Value| version.pointer("/subresources/status").is_some();
    if status(wanted) && !status(held) {
        lacks.add("the status subresource".to_owned());
    }
    const SCHEMA: &str = "/schema/openAPIV3Schema";
    if let (Some(held), Some(wanted)) = (held.pointer(SCHEMA), wanted.pointer(SCHEMA)) {
        fields(held, wanted, "", &mut lacks);
    }
    lacks.told
}

#[derive(Default)]
struct Lacks {
    told: Vec<String>,
    seen: BTreeSet<String>,
}

impl Lacks {
    fn add(&mut self, what: String) {
        if self.told.len() < TOLD && self.seen.insert(what.clone()) {
            self.told.push(what);
        }
    }
}

fn versions(definition: &Value) -> &[Value] {
    definition["spec"]["versions"].as_array().map_or(&[], Vec::as_slice)
}

/// Walks both schemas side by side. As deep as ours, which is ours to keep shallow.
fn fields(held: &Value, wanted: &Value, path: &str, lacks: &mut Lacks) {
    let open = |schema: &Value| schema["x-kubernetes-preserve-unknown-fields"] == true;
    if open(held) {
        return;
    }
    let empty = Map::new();
    let properties = |schema: &'_ Value| schema["properties"].as_object().cloned();
    let held_properties = properties(held).unwrap_or_else(|| empty.clone());
    for (name, schema) in wanted["properties"].as_object().unwrap_or(&empty) {
        let below = format!("{path}.{name}");
        match held_properties.get(name) {
            Some(held) => fields(held, schema, &below, lacks),
            None => lacks.add(format!("field {}", below.trim_start_matches('.'))),
        }
    }
    for (inner, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
        if let (Some(held), Some(wanted)) = (held.get(inner), wanted.get(inner)) {
            fields(held, wanted, &format!("{path}{mark}"), lacks);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run() -> Value {
        let all = super::super::all();
        let named = |definition: &&Value| definition["spec"]["names"]["kind"] == "StagedUpdateRun";
        all.iter().find(named).unwrap().clone()
    }

    fn edited(edit: impl Fn(&mut Value)) -> Vec<String> {
        let mut installed = run();
        for version in installed["spec"]["versions"].as_array_mut().unwrap() {
            edit(version);
        }
        lacking(&installed, &run())
    }

    #[test]
    fn ours_will_do_and_so_does_more() {
        assert_eq!(edited(|_| ()), [] as [&str; 0]);
        let more = edited(|version| {
            version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["new"] =
                json!({"type": "string"});
        });
        assert_eq!(more, [] as [&str; 0]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let lost = edited(|version| {
            let status = &mut version["schema"]["openAPIV3Schema"]["properties"]["status"];
            status["properties"].as_object_mut().unwrap().remove("resourceSnapshotIndexUsed");
        });
        assert_eq!(lost, ["field status.resourceSnapshotIndexUsed"]);
        let deep = edited(|version| {
            let status = &mut version["schema"]["openAPIV3Schema"]["properties"]["status"];
            let stages = &mut status["properties"]["stagesStatus"]["items"]["properties"];
            stages.as_object_mut().unwrap().remove("stageName");
        });
        assert_eq!(deep, ["field status.stagesStatus[].stageName"]);
        assert_eq!(edited(|version| version["served"] = json!(false)), ["version v1beta1"]);
        let bare = edited(|version| drop(version.as_object_mut().unwrap().remove("subresources")));
        assert_eq!(bare, ["the status subresource"]);
    }
}
