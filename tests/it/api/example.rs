//! The example fleets: every object is one that our definitions accept, and the parts name one another.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tidegate::{
    api::{self, Placement, Strategy},
    apiserver::schema::Schema,
};

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            into.push(path);
        }
    }
}

/// Every object of an example, by kind and name.
fn objects(example: &str) -> BTreeMap<(String, String), Value> {
    let mut paths = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo").join(example), &mut paths);
    let mut objects = BTreeMap::new();
    for path in paths {
        let found: Vec<Value> =
            serde_yaml::from_multiple(&fs::read_to_string(&path).unwrap()).unwrap();
        for object in found {
            let text =
                |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
            let key = (text("/kind"), text("/metadata/name"));
            assert!(objects.insert(key, object).is_none(), "{} is there twice", path.display());
        }
    }
    objects
}

#[test]
fn every_object_is_accepted() {
    let definitions = api::crd::all();
    for example in ["cluster-scoped", "namespace-scoped"] {
        let mut checked = 0;
        for ((kind, name), object) in objects(example) {
            let named = |definition: &&Value| definition["spec"]["names"]["kind"] == kind.as_str();
            let Some(definition) = definitions.iter().find(named) else {
                assert!(matches!(kind.as_str(), "Namespace" | "ConfigMap"), "{example}: {kind}");
                continue;
            };
            let (_, version) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
            let versions = definition["spec"]["versions"].as_array().unwrap();
            let served = versions.iter().find(|served| served["name"] == version).unwrap();
            let schema = Schema::compile(&served["schema"]["openAPIV3Schema"]).unwrap();
            let mut stored = object.clone();
            assert_eq!(schema.prune(&mut stored), [] as [String; 0], "{example}: {kind} {name}");
            schema.apply_defaults(&mut stored);
            assert_eq!(schema.validate(&stored, None), [], "{example}: {kind} {name}");
            // A Rollout is in a namespace or not as its author likes.
            if kind != "Rollout" {
                let namespaced = definition["spec"]["scope"] == "Namespaced";
                let has = object["metadata"].get("namespace").is_some();
                assert_eq!(has, namespaced, "{example}: {kind} {name}");
            }
            checked += 1;
        }
        assert!(checked >= 3, "{example} has only {checked} objects of Fleet's");
    }
}

#[test]
fn rollouts_name_what_is_there() {
    for (example, rollout, prefix) in [
        ("cluster-scoped", "web", "Cluster"),
        ("namespace-scoped", "web", ""),
        ("namespace-scoped", "test-namespace", "Cluster"),
    ] {
        let objects = objects(example);
        let named = |kind: &str, name: &Value| {
            objects[&(format!("{prefix}{kind}"), name.as_str().unwrap().to_owned())].clone()
        };
        let spec = &objects[&("Rollout".to_owned(), rollout.to_owned())]["spec"];
        let placement: Placement =
            serde_json::from_value(named("ResourcePlacement", &spec["placementName"])).unwrap();
        assert_eq!(placement.spec.strategy_type(), api::placement::EXTERNAL, "{example}");
        if let Some(strategy) = spec.get("strategyName") {
            let strategy: Strategy =
                serde_json::from_value(named("StagedUpdateStrategy", strategy)).unwrap();
            let stages: Vec<&str> = strategy.spec.stages.iter().map(|s| s.name.as_str()).collect();
            assert_eq!(stages, ["staging", "canary"], "{example}: the tutorial's stages");
        }
        for selector in &placement.spec.resource_selectors {
            let key = (selector.kind.clone(), selector.name.clone().unwrap());
            assert!(objects.contains_key(&key), "{example}: {key:?} is selected and not there");
        }
    }
}
