//! The rules of our own CustomResourceDefinitions, literally as users of Fleet know them (fleet-semantics §2).
//!
//! Schemas are compiled and evaluated as the embedded API server does it, without the server.

use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

use serde_json::{Value, json};
use tidegate::apiserver::schema::Schema;

/// Every schema of `deploy/crds` by version and kind.
static SCHEMAS: LazyLock<BTreeMap<(String, String), Schema>> = LazyLock::new(read_schemas);

fn read_schemas() -> BTreeMap<(String, String), Schema> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/crds");
    let mut schemas = BTreeMap::new();
    for entry in fs::read_dir(&directory).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let crd: Value = serde_yaml::from_str(&text).unwrap();
        let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        for version in crd["spec"]["versions"].as_array().unwrap() {
            let schema = Schema::compile(&version["schema"]["openAPIV3Schema"])
                .unwrap_or_else(|errors| panic!("{}: {errors:?}", text("/metadata/name")));
            let version = version["name"].as_str().unwrap();
            schemas.insert((version.to_owned(), text("/spec/names/kind")), schema);
        }
    }
    schemas
}

/// What is wrong with an object of `kind` with this spec, after `old`, in every served version that has the kind.
fn errors(kind: &str, spec: &Value, old: Option<&Value>) -> Vec<String> {
    let served = |v: &str| matches!(v, "v1" | "v1beta1");
    let versions: Vec<_> = SCHEMAS.iter().filter(|((v, k), _)| k == kind && served(v)).collect();
    assert!(!versions.is_empty(), "no schema for {kind}");
    let mut found: Option<Vec<String>> = None;
    for ((version, _), schema) in versions {
        let object = |spec: &Value| json!({"metadata": {"name": "x"}, "spec": spec});
        let mut new = object(spec);
        assert_eq!(schema.prune(&mut new), [] as [String; 0], "{kind} {version}");
        schema.apply_defaults(&mut new);
        let old = old.map(|spec| {
            let mut old = object(spec);
            schema.apply_defaults(&mut old);
            old
        });
        let errors: Vec<String> =
            schema.validate(&new, old.as_ref()).iter().map(ToString::to_string).collect();
        if let Some(before) = &found {
            assert_eq!(before, &errors, "versions of {kind} disagree");
        }
        found = Some(errors);
    }
    found.unwrap_or_default()
}

const NONE: [&str; 0] = [];

fn both(kind: &str) -> [String; 2] {
    [kind.to_owned(), format!("Cluster{kind}")]
}

#[test]
fn a_run_moves_between_states_as_documented() {
    let spec = |state: &str| json!({"placementName": "p", "stagedRolloutStrategyName": "s", "state": state});
    let refused = |from: &str, to: &str| {
        vec![format!(
            "spec: Invalid value: invalid state transition: cannot transition from {from} to {to}"
        )]
    };
    for kind in both("StagedUpdateRun") {
        for from in ["Initialize", "Run", "Stop"] {
            assert_eq!(errors(&kind, &spec(from), None), NONE, "create {kind} in {from}");
            for to in ["Initialize", "Run", "Stop"] {
                let expected = match (from, to) {
                    ("Initialize", "Stop") | ("Run" | "Stop", "Initialize") => refused(from, to),
                    _ => vec![],
                };
                assert_eq!(
                    errors(&kind, &spec(to), Some(&spec(from))),
                    expected,
                    "{kind} {from} {to}"
                );
            }
        }
    }
}

#[test]
fn a_run_keeps_what_it_was_started_with() {
    let spec = json!({"placementName": "p", "stagedRolloutStrategyName": "s", "resourceSnapshotIndex": "1"});
    for kind in both("StagedUpdateRun") {
        for field in ["placementName", "stagedRolloutStrategyName", "resourceSnapshotIndex"] {
            let mut changed = spec.clone();
            changed[field] = json!("2");
            assert_eq!(
                errors(&kind, &changed, Some(&spec)),
                [format!("spec.{field}: Invalid value: \"2\": {field} is immutable")],
                "{kind}"
            );
        }
        let unknown =
            json!({"placementName": "p", "stagedRolloutStrategyName": "s", "state": "Pause"});
        assert_eq!(
            errors(&kind, &unknown, None)[0],
            r#"spec.state: Unsupported value: "Pause": supported values: "Initialize", "Run", "Stop""#
        );
        assert!(
            errors(&kind, &json!({}), None)
                .contains(&"spec.placementName: Required value".to_owned())
        );
    }
}

#[test]
fn a_name_has_63_characters_at_most() {
    for kind in both("StagedUpdateRun") {
        let named = |length: usize| {
            let object = json!({"metadata": {"name": "n".repeat(length)},
                "spec": {"placementName": "p", "stagedRolloutStrategyName": "s"}});
            let schema = &SCHEMAS[&("v1".to_owned(), kind.clone())];
            schema.validate(&object, None).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(named(63), NONE);
        assert_eq!(named(64), ["<nil>: Invalid value: metadata.name max length is 63"]);
    }
}

#[test]
fn stages_and_tasks_are_checked() {
    let stage = |extra: Value| {
        let mut stage = json!({"name": "a"});
        stage.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"stages": [stage]})
    };
    let at = "spec.stages[0]";
    let percent = |value: &str| {
        format!(
            "{at}.maxConcurrency: Invalid value: \"{value}\": {at}.maxConcurrency in body should match '^(100|[1-9][0-9]?)%$'"
        )
    };
    let least = |value: i64| {
        format!("{at}.maxConcurrency: Invalid value: {value}: maxConcurrency must be at least 1")
    };
    let task = |task: Value| stage(json!({"afterStageTasks": [task]}));
    let before = |task: Value| stage(json!({"beforeStageTasks": [task]}));
    let wait = |value: &str| task(json!({"type": "TimedWait", "waitTime": value}));
    let wait_refused = |value: &str| {
        let path = format!("{at}.afterStageTasks[0].waitTime");
        format!(
            "{path}: Invalid value: \"{value}\": {path} in body should match '^(?:(?:0|[1-9][0-9]*)(\\.[0-9]+)?(?:s|m|h))+$'"
        )
    };
    let table = [
        (stage(json!({"maxConcurrency": 1})), vec![]),
        (stage(json!({"maxConcurrency": "100%"})), vec![]),
        (stage(json!({"maxConcurrency": "0%"})), vec![percent("0%")]),
        (stage(json!({"maxConcurrency": "101%"})), vec![percent("101%")]),
        (stage(json!({"maxConcurrency": "2"})), vec![percent("2")]),
        (stage(json!({"maxConcurrency": 0})), vec![least(0)]),
        (stage(json!({"maxConcurrency": -1})), vec![least(-1)]),
        (task(json!({"type": "Approval"})), vec![]),
        (
            task(json!({"type": "Approval", "waitTime": "1m"})),
            vec![format!(
                "{at}.afterStageTasks: Invalid value: AfterStageTaskType is Approval, waitTime is not allowed"
            )],
        ),
        (
            task(json!({"type": "TimedWait"})),
            vec![format!(
                "{at}.afterStageTasks: Invalid value: AfterStageTaskType is TimedWait, waitTime is required"
            )],
        ),
        (wait("1h30m"), vec![]),
        (wait("1.5s"), vec![]),
        (wait("1d"), vec![wait_refused("1d")]),
        (wait("01m"), vec![wait_refused("01m")]),
        (wait("20ms"), vec![wait_refused("20ms")]),
        (before(json!({"type": "Approval"})), vec![]),
    ];
    for kind in both("StagedUpdateStrategy") {
        for (spec, expected) in &table {
            // A rule over tasks may stand at the list, as upstream's, or at its items.
            let found: Vec<String> = errors(&kind, spec, None)
                .iter()
                .map(|e| e.replace("Tasks[0]: Invalid value: After", "Tasks: Invalid value: After"))
                .collect();
            assert_eq!(&found, expected, "{kind} {spec}");
        }
        let found = errors(&kind, &before(json!({"type": "TimedWait", "waitTime": "1m"})), None);
        assert!(
            found.iter().any(|e| e.ends_with("BeforeStageTaskType cannot be TimedWait")),
            "{found:?}"
        );
        let found = errors(&kind, &before(json!({"type": "Approval", "waitTime": "1m"})), None);
        assert!(
            found
                .iter()
                .any(|e| e.ends_with("AfterStageTaskType is Approval, waitTime is not allowed")),
            "{found:?}"
        );
        let stages: Vec<Value> = (0..32).map(|n| json!({"name": format!("s{n}")})).collect();
        assert_eq!(
            errors(&kind, &json!({"stages": stages}), None)[0],
            "spec.stages: Too many: 32: must have at most 31 items"
        );
        assert_eq!(
            errors(&kind, &json!({"stages": [{"name": "a-b"}]}), None),
            [format!(
                "{at}.name: Invalid value: \"a-b\": {at}.name in body should match '^[a-z0-9]+$'"
            )]
        );
    }
}

#[test]
fn an_approval_request_asks_one_thing() {
    let spec = json!({"parentStageRollout": "r", "targetStage": "s"});
    for kind in both("ApprovalRequest") {
        assert_eq!(errors(&kind, &spec, None), NONE);
        let changed = json!({"parentStageRollout": "r", "targetStage": "t"});
        assert_eq!(
            errors(&kind, &changed, Some(&spec)),
            ["spec: Invalid value: The spec field is immutable"]
        );
    }
}

#[test]
fn a_placement_says_one_thing() {
    let placement = |extra: Value| {
        let mut spec = json!({"resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": "n"}]});
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        spec
    };
    let kinds = ["ResourcePlacement", "ClusterResourcePlacement"];
    let external = placement(json!({"strategy": {"type": "External"}}));
    let rolling = placement(json!({"strategy": {"type": "RollingUpdate"}}));
    let picked =
        placement(json!({"policy": {"placementType": "PickFixed", "clusterNames": ["a"]}}));
    for kind in kinds {
        let ends = |spec: &Value, old: Option<&Value>, text: &str| {
            let found = errors(kind, spec, old);
            assert!(
                found.iter().any(|e| e.ends_with(&format!(": {text}"))),
                "{kind}: {text} not in {found:?}"
            );
        };
        assert_eq!(errors(kind, &external, Some(&rolling)), NONE);
        ends(
            &rolling,
            Some(&external),
            "cannot change rollout strategy type from 'External' to other types",
        );
        ends(&placement(json!({})), Some(&picked), "policy cannot be removed once set");
        ends(
            &placement(json!({"policy": {"placementType": "PickAll"}})),
            Some(&picked),
            "placement type is immutable",
        );
        ends(
            &placement(
                json!({"policy": {"placementType": "PickFixed", "clusterNames": ["a"], "numberOfClusters": 1}}),
            ),
            None,
            "affinity, numberOfClusters, topologySpreadConstraints, and tolerations cannot be set when placementType is PickFixed",
        );
        ends(
            &placement(json!({"policy": {"placementType": "PickAll", "clusterNames": ["a"]}})),
            None,
            "clusterNames, numberOfClusters, and topologySpreadConstraints cannot be set when placementType is PickAll",
        );
        ends(
            &placement(json!({"policy": {"placementType": "PickN"}})),
            None,
            "clusterNames cannot be set and numberOfClusters must be set when placementType is PickN",
        );
        ends(
            &placement(
                json!({"policy": {"tolerations": [{"key": "k", "operator": "Exists", "value": "v"}]}}),
            ),
            None,
            "value must be empty when operator is Exists",
        );
        ends(
            &placement(json!({"policy": {"tolerations": [{"value": "v"}]}})),
            None,
            "operator must be Exists when key is empty",
        );
        ends(
            &json!({"resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": "n", "labelSelector": {}}]}),
            None,
            "name and labelSelector are mutually exclusive in a resource selector",
        );
        assert_eq!(
            errors(kind, &json!({"resourceSelectors": []}), None),
            [
                "spec.resourceSelectors: Invalid value: 0: spec.resourceSelectors in body should have at least 1 items"
            ]
        );
    }
    let crp = |spec: &Value, old: Option<&Value>| errors("ClusterResourcePlacement", spec, old);
    let reporting = placement(json!({"statusReportingScope": "NamespaceAccessible"}));
    assert!(crp(&reporting, None).is_empty());
    assert!(
        crp(&placement(json!({})), Some(&reporting))[0]
            .ends_with("statusReportingScope is immutable")
    );
    let two = json!({"statusReportingScope": "NamespaceAccessible", "resourceSelectors": [
        {"group": "", "version": "v1", "kind": "Namespace", "name": "n"},
        {"group": "", "version": "v1", "kind": "Namespace", "name": "m"}]});
    assert!(crp(&two, None)[0].ends_with(
        "when statusReportingScope is NamespaceAccessible, exactly one resourceSelector with kind 'Namespace' is required"
    ));
}
