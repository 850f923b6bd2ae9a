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

fn definition(kind: &str) -> Value {
    let named = |definition: &Value| definition["spec"]["names"]["kind"] == kind;
    crd::all().into_iter().find(named).unwrap()
}

fn schema(kind: &str, version: &str) -> Schema {
    let definition = definition(kind);
    let versions = definition["spec"]["versions"].as_array().unwrap();
    let served = versions.iter().find(|served| served["name"] == version).unwrap();
    Schema::compile(&served["schema"]["openAPIV3Schema"]).unwrap()
}

/// Headings as kubectl printed them for real KubeFleet, and the one column that only the tutorial has.
#[test]
fn tables_have_the_columns_that_fleet_prints() {
    const PLACEMENT: &str = "NAME GEN SCHEDULED SCHEDULED-GEN AVAILABLE AVAILABLE-GEN AGE";
    const RUN: &str = "NAME PLACEMENT RESOURCE-SNAPSHOT-INDEX POLICY-SNAPSHOT-INDEX INITIALIZED PROGRESSING SUCCEEDED AGE";
    const REQUEST: &str = "NAME UPDATE-RUN STAGE APPROVED APPROVALACCEPTED AGE";
    for (kind, headings) in [
        ("ResourcePlacement", PLACEMENT),
        ("ResourceSnapshot", "NAME GEN AGE"),
        ("SchedulingPolicySnapshot", "NAME GEN AGE"),
        ("ResourceBinding", "NAME WORKSYNCHRONIZED RESOURCESAPPLIED AGE"),
        ("StagedUpdateStrategy", "NAME AGE"),
        ("StagedUpdateRun", RUN),
        ("ApprovalRequest", REQUEST),
    ] {
        for kind in [kind.to_owned(), format!("Cluster{kind}")] {
            for version in definition(&kind)["spec"]["versions"].as_array().unwrap() {
                let columns = version["additionalPrinterColumns"].as_array().cloned();
                let columns = columns.unwrap_or_else(|| vec![serde_json::json!({"name": "Age"})]);
                let mut printed = vec!["NAME".to_owned()];
                let narrow = columns.iter().filter(|column| column.get("priority").is_none());
                printed
                    .extend(narrow.map(|column| column["name"].as_str().unwrap().to_uppercase()));
                assert_eq!(printed.join(" "), headings, "{kind} {}", version["name"]);
            }
        }
    }
}

#[test]
fn an_absent_index_stays_absent() {
    let run = |index: Option<&str>| {
        let mut run = serde_json::json!({"metadata": {"name": "r"},
            "spec": {"placementName": "p", "stagedRolloutStrategyName": "s", "state": "Initialize"}});
        if let Some(index) = index {
            run["spec"]["resourceSnapshotIndex"] = index.into();
        }
        run
    };
    let schema = schema("StagedUpdateRun", "v1beta1");
    let refused = |old: Option<&str>, new: Option<&str>| -> Vec<String> {
        schema.validate(&run(new), Some(&run(old))).iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        refused(None, Some("")),
        [] as [&str; 0],
        "a Go client writes nothing as the empty text"
    );
    assert_eq!(refused(Some(""), None), [] as [&str; 0]);
    assert_eq!(refused(Some("1"), Some("1")), [] as [&str; 0]);
    for (old, new) in [(None, Some("1")), (Some("1"), None)] {
        let errors = refused(old, new);
        assert!(
            matches!(&errors[..], [one] if one.ends_with("resourceSnapshotIndex is immutable")),
            "{old:?} to {new:?}: {errors:?}"
        );
    }
    assert!(!refused(Some(""), Some("1")).is_empty());
}

#[test]
fn versions_differ_only_as_fleets_do() {
    let pruned = |kind: &str, object: &Value| {
        ["v1", "v1beta1"].map(|version| schema(kind, version).prune(&mut object.clone()))
    };
    let strategy = serde_json::json!({"spec": {"strategy": {
        "type": "External", "deleteStrategy": {"propagationPolicy": "Abandon"}, "reportBackStrategy": {"type": "Disabled"}}}});
    let none: Vec<String> = vec![];
    let lost = vec![
        "spec.strategy.deleteStrategy".to_owned(),
        "spec.strategy.reportBackStrategy".to_owned(),
    ];
    assert_eq!(pruned("ResourcePlacement", &strategy), [lost, none.clone()]);
    let member =
        serde_json::json!({"spec": {"deleteOptions": {}}, "status": {"namespaces": {"a": "b"}}});
    let lost = vec!["spec.deleteOptions".to_owned(), "status.namespaces".to_owned()];
    assert_eq!(pruned("MemberCluster", &member), [lost, none.clone()]);
    let work = serde_json::json!({"spec": {"reportBackStrategy": {"type": "Disabled"}}});
    assert_eq!(pruned("Work", &work), [vec!["spec.reportBackStrategy".to_owned()], none]);
}

#[test]
fn runs_answer_to_the_names_that_the_tutorial_types() {
    for (kind, names) in [
        ("ClusterStagedUpdateRun", ["csur", "clusterstagedupdaterrun"]),
        ("StagedUpdateRun", ["sur", "stagedupdaterrun"]),
    ] {
        assert_eq!(definition(kind)["spec"]["names"]["shortNames"], serde_json::json!(names));
    }
}

/// A policy snapshot lacks the number of clusters that the placement's rules demand.
#[test]
fn a_frozen_policy_needs_no_number() {
    let policy = serde_json::json!({"placementType": "PickN"});
    let snapshot = serde_json::json!({"metadata": {"name": "p-0"}, "spec": {"policy": policy, "policyHash": "AAAA"}});
    assert_eq!(schema("SchedulingPolicySnapshot", "v1beta1").validate(&snapshot, None), []);
}
