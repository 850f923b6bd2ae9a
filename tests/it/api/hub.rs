//! Our definitions on our API server: accepted, discovered, and enforced through a client.

use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{Status, discovery::ApiResource},
};
use serde_json::{Value, json};
use tidegate::{
    api::{Kind, crd, kind},
    apiserver::{ApiServer, Options},
};

/// A hub with every definition, and a namespace.
async fn hub() -> Client {
    let client = Client::new(ApiServer::open(Options::default()).await.unwrap(), "default");
    let definitions = core(
        &client,
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    );
    for definition in crd::all() {
        let definition: DynamicObject = serde_json::from_value(definition).unwrap();
        definitions.create(&PostParams::default(), &definition).await.unwrap();
    }
    let namespaces = core(&client, "", "v1", "Namespace", "namespaces");
    for name in [
        "team",
        "fleet-member-member1",
        "fleet-member-member2",
        "fleet-member-member3",
        "test-namespace",
    ] {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let namespace: DynamicObject = serde_json::from_value(namespace).unwrap();
        namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    }
    client
}

fn core(
    client: &Client,
    group: &str,
    version: &str,
    kind: &str,
    plural: &str,
) -> Api<DynamicObject> {
    let api_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    Api::all_with(client.clone(), &resource)
}

/// A kind as `version` serves it.
fn api(client: &Client, kind: Kind, version: &'static str) -> Api<DynamicObject> {
    let resource = Kind { version, ..kind }.resource();
    if kind.namespaced {
        Api::namespaced_with(client.clone(), "team", &resource)
    } else {
        Api::all_with(client.clone(), &resource)
    }
}

fn object(kind: Kind, name: &str, spec: Value) -> DynamicObject {
    let object = json!({"apiVersion": kind.api_version(), "kind": kind.name, "metadata": {"name": name}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

fn refusal(error: kube::Error) -> Status {
    match error {
        kube::Error::Api(status) => *status,
        other => panic!("no status: {other:?}"),
    }
}

/// Discovery, which kubectl reads names from, has every kind in every version.
#[tokio::test]
async fn every_kind_is_discovered_with_its_names() {
    let client = hub().await;
    for definition in crd::all() {
        let spec = &definition["spec"];
        let group = spec["group"].as_str().unwrap();
        for version in spec["versions"].as_array().unwrap() {
            let version = version["name"].as_str().unwrap();
            let found =
                client.list_api_group_resources(&format!("{group}/{version}")).await.unwrap();
            let plural = spec["names"]["plural"].as_str().unwrap();
            let resource = found.resources.iter().find(|resource| resource.name == plural);
            let resource = resource.unwrap_or_else(|| panic!("{version} has no {plural}"));
            assert_eq!(json!(resource.kind), spec["names"]["kind"]);
            assert_eq!(resource.namespaced, spec["scope"] == "Namespaced", "{plural}");
            assert_eq!(json!(resource.short_names), spec["names"]["shortNames"], "{plural}");
            assert_eq!(json!(resource.categories), spec["names"]["categories"], "{plural}");
            let status = format!("{plural}/status");
            let has_status = found.resources.iter().any(|resource| resource.name == status);
            let wants_status = spec["versions"][0].get("subresources").is_some();
            assert_eq!(has_status, wants_status, "{status}");
        }
    }
}

#[tokio::test]
async fn a_run_moves_only_as_fleet_lets_it() {
    let client = hub().await;
    for kind in [kind::CLUSTER_STAGED_UPDATE_RUN, kind::STAGED_UPDATE_RUN] {
        let runs = api(&client, kind, "v1");
        let spec = json!({"placementName": "p", "stagedRolloutStrategyName": "s"});
        let made = runs
            .create(&PostParams::default(), &object(Kind { version: "v1", ..kind }, "r", spec))
            .await
            .unwrap();
        assert_eq!(made.data["spec"]["state"], "Initialize", "the default");
        let mut from = "Initialize";
        let mut generation = made.metadata.generation.unwrap();
        for (to, allowed) in [
            ("Stop", false),
            ("Run", true),
            ("Initialize", false),
            ("Stop", true),
            ("Initialize", false),
            ("Run", true),
            ("Pause", false),
        ] {
            let patch = Patch::Merge(json!({"spec": {"state": to}}));
            match runs.patch("r", &PatchParams::default(), &patch).await {
                Ok(run) => {
                    assert!(allowed, "to {to}");
                    generation += 1;
                    from = to;
                    assert_eq!(run.metadata.generation, Some(generation));
                }
                Err(error) => {
                    let status = refusal(error);
                    assert!(!allowed, "to {to}: {}", status.message);
                    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
                    let words = if to == "Pause" {
                        r#"supported values: "Initialize", "Run", "Stop""#.to_owned()
                    } else {
                        format!("invalid state transition: cannot transition from {from} to {to}")
                    };
                    assert!(status.message.contains(&words), "{}", status.message);
                    let begin = format!("{}.{} \"r\" is invalid: ", kind.name, kind.group);
                    assert!(status.message.starts_with(&begin), "{}", status.message);
                }
            }
        }
        let status = Patch::Merge(json!({"status": {"resourceSnapshotIndexUsed": "0"}}));
        let written = runs.patch_status("r", &PatchParams::default(), &status).await.unwrap();
        assert_eq!(
            written.metadata.generation,
            Some(generation),
            "a status is no change of what is asked"
        );
    }
}

#[tokio::test]
async fn an_approval_is_a_whole_condition() {
    let client = hub().await;
    let kind = kind::CLUSTER_APPROVAL_REQUEST;
    let requests = api(&client, kind, "v1");
    let spec = json!({"parentStageRollout": "r", "targetStage": "canary"});
    requests
        .create(
            &PostParams::default(),
            &object(Kind { version: "v1", ..kind }, "r-before-canary", spec),
        )
        .await
        .unwrap();
    let mut condition = json!({"type": "Approved", "status": "True", "reason": "lgtm", "message": "lgtm",
        "lastTransitionTime": "2026-11-23T14:00:00Z", "observedGeneration": 1});
    let patch = |condition: &Value| Patch::Merge(json!({"status": {"conditions": [condition]}}));
    let name = "r-before-canary";
    for field in ["lastTransitionTime", "reason", "message", "status"] {
        let mut less = condition.clone();
        less.as_object_mut().unwrap().remove(field);
        let error =
            requests.patch_status(name, &PatchParams::default(), &patch(&less)).await.unwrap_err();
        let message = refusal(error).message;
        assert!(
            message.contains(&format!("status.conditions[0].{field}: Required value")),
            "{message}"
        );
    }
    condition["reason"] = "looks good".into();
    let error =
        requests.patch_status(name, &PatchParams::default(), &patch(&condition)).await.unwrap_err();
    assert!(
        refusal(error)
            .message
            .contains("status.conditions[0].reason: Invalid value: \"looks good\"")
    );
    condition["reason"] = "lgtm".into();
    let approved =
        requests.patch_status(name, &PatchParams::default(), &patch(&condition)).await.unwrap();
    assert_eq!(approved.data["status"]["conditions"], json!([condition]));
}

/// What real KubeFleet stored can be stored here, and comes back as it was, in the version that it was asked for in.
#[tokio::test]
async fn recorded_objects_come_back_as_they_were() {
    let client = hub().await;
    let definitions = crd::all();
    let mut stored = 0;
    for file in [
        "10-succeeded",
        "20-ns-only-crp",
        "22-ns-succeeded",
        "23-members",
        "23-works",
        "23-appliedworks-member1",
    ] {
        for recorded in super::trace::objects_of(file) {
            let named =
                |definition: &&Value| definition["spec"]["names"]["kind"] == recorded["kind"];
            let Some(definition) = definitions.iter().find(named) else { continue };
            let (group, version) =
                recorded["apiVersion"].as_str().unwrap().split_once('/').unwrap();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let resource = ApiResource {
                group: group.to_owned(),
                version: version.to_owned(),
                api_version: text(&recorded["apiVersion"]),
                kind: text(&recorded["kind"]),
                plural: text(&definition["spec"]["names"]["plural"]),
            };
            let api: Api<DynamicObject> = match recorded["metadata"]["namespace"].as_str() {
                Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
                None => Api::all_with(client.clone(), &resource),
            };
            let name = text(&recorded["metadata"]["name"]);
            let mut fresh = recorded.clone();
            let metadata = fresh["metadata"].as_object_mut().unwrap();
            metadata.retain(|field, _| {
                ["name", "namespace", "labels", "annotations"].contains(&field.as_str())
            });
            let fresh: DynamicObject = serde_json::from_value(fresh).unwrap();
            let what = format!("{file} {} {name}", resource.kind);
            // The same Namespace-only placement and its kin are in two files.
            if let Err(error) = api.create(&PostParams::default(), &fresh).await {
                let status = refusal(error);
                assert_eq!(status.reason, "AlreadyExists", "{what}: {}", status.message);
                continue;
            }
            if let Some(status) = recorded.get("status") {
                let patch = Patch::Merge(json!({"status": status}));
                api.patch_status(&name, &PatchParams::default(), &patch).await.unwrap();
            }
            let held = api.get(&name).await.unwrap();
            for part in ["spec", "status"] {
                assert_eq!(held.data.get(part), recorded.get(part), "{what}: {part}");
            }
            stored += 1;
        }
    }
    assert!(stored >= 40, "only {stored} objects");
}
