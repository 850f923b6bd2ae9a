//! `deploy/crds` is what the code says, and its schemas hold.

use std::{fs, path::Path};

use serde_json::Value;
use tidegate::{api::crd, apiserver::schema::Schema};

#[test]
fn the_files_are_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/crds");
    let advice = "run `UPDATE=1 cargo test --test it the_files_are_fresh`";
    let mut expected = Vec::new();
    for definition in crd::all() {
        let name = definition["metadata"]["name"].as_str().unwrap();
        let (plural, group) = name.split_once('.').unwrap();
        let file = format!("{group}_{plural}.yaml");
        let text = format!(
            "# Made from src/api/crd by a test; {advice}\n{}",
            serde_yaml::to_string(&definition).unwrap()
        );
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(&file), &text).unwrap();
        }
        assert_eq!(
            fs::read_to_string(folder.join(&file)).unwrap_or_default(),
            text,
            "{file}: {advice}"
        );
        expected.push(file);
    }
    expected.sort();
    let mut found: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, expected, "files that no kind stands behind");
}

#[test]
fn every_schema_is_structural_and_its_rules_compile() {
    for definition in crd::all() {
        for version in definition["spec"]["versions"].as_array().unwrap() {
            let schema: &Value = &version["schema"]["openAPIV3Schema"];
            if let Err(errors) = Schema::compile(schema) {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                panic!("{} {}: {errors:#?}", definition["metadata"]["name"], version["name"]);
            }
        }
    }
}
