//! The example fleets: our definitions accept every object, and the daemon understands every Rollout.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use tidegate::{
    api::{self, Placement, Strategy},
    apiserver::schema::Schema,
    manifest::Limits,
    render::{File, Parsed, Repository, wanted, wanted::Survey},
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

/// What the daemon would make of an example.
fn survey(example: &str) -> Survey {
    let limits = Limits::default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo");
    let mut paths = Vec::new();
    files(&root.join(example), &mut paths);
    let mut files: Vec<File> = paths
        .iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).unwrap().to_str().unwrap();
            File::new(inside, fs::read(path).unwrap())
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let repository =
        Repository::of(example, files, &limits, |file| Arc::new(Parsed::of(file, &limits)));
    wanted(&repository)
}

#[test]
fn every_rollout_is_understood_and_nothing_is_ignored() {
    for (example, rollouts) in [
        ("cluster-scoped", &[("web", "example-placement", 2, &["staging", "canary"][..])][..]),
        (
            "namespace-scoped",
            &[
                ("test-namespace", "test-namespace-placement", 1, &["everywhere"][..]),
                ("test-namespace/web", "example-placement", 1, &["staging", "canary"][..]),
            ][..],
        ),
    ] {
        let survey = survey(example);
        assert_eq!((survey.notes, survey.unreadable), (vec![], vec![]), "{example}");
        let mut found = Vec::new();
        for (name, wanted) in &survey.rollouts {
            let wanted = wanted.as_ref().unwrap_or_else(|faults| panic!("{name}: {faults:#?}"));
            let placement: Placement =
                serde_json::from_value(wanted.placement.as_ref().unwrap().object.clone()).unwrap();
            let strategy: Strategy =
                serde_json::from_value(wanted.strategy.as_ref().unwrap().object.clone()).unwrap();
            let stages: Vec<String> = strategy.spec.stages.iter().map(|s| s.name.clone()).collect();
            let content: BTreeSet<(&str, &str)> = wanted
                .content
                .iter()
                .map(|object| (object.key.kind.as_str(), object.key.name.as_str()))
                .collect();
            for selector in &placement.spec.resource_selectors {
                let key = (selector.kind.as_str(), selector.name.as_deref().unwrap());
                assert!(content.contains(&key), "{name} selects {key:?}, which it does not bring");
            }
            found.push((name.to_string(), wanted.intent.placement.clone(), content.len(), stages));
        }
        let expected: Vec<_> = rollouts
            .iter()
            .map(|(name, placement, objects, stages)| {
                let stages = stages.iter().map(ToString::to_string).collect();
                ((*name).to_owned(), (*placement).to_owned(), *objects, stages)
            })
            .collect();
        assert_eq!(found, expected, "{example}");
    }
}
