//! A kube client in process.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
        PostParams, WatchEvent, WatchParams,
    },
    core::Status,
};
use serde_json::json;
use tidegate::apiserver::{ApiServer, Options};

async fn client() -> Client {
    Client::new(ApiServer::open(Options::default()).await.unwrap(), "default")
}

fn config_map(name: &str, data: &[(&str, &str)]) -> ConfigMap {
    let data: BTreeMap<String, String> =
        data.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap()
}

fn status(error: kube::Error) -> Status {
    match error {
        kube::Error::Api(status) => *status,
        other => panic!("no status: {other:?}"),
    }
}

fn widgets() -> CustomResourceDefinition {
    let version = |name: &str, storage: bool| {
        json!({
            "name": name, "served": true, "storage": storage,
            "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {
                    "size": {"type": "integer", "minimum": 1, "default": 1},
                    "color": {"type": "string"},
                }},
                "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
            }}},
        })
    };
    serde_json::from_value(json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [version("v1", true), version("v1beta1", false)],
        },
    }))
    .unwrap()
}

fn widget_api(client: &Client, version: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("example.com", version, "Widget");
    Api::default_namespaced_with(client.clone(), &ApiResource::from_gvk(&kind))
}

fn widget(version: &str, spec: serde_json::Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": format!("example.com/{version}"), "kind": "Widget", "metadata": {"name": "w"}, "spec": spec,
    }))
    .unwrap()
}

#[tokio::test]
async fn objects_are_created_read_changed_and_deleted() {
    let client = client().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let made = api.create(&PostParams::default(), &config_map("a", &[("k", "1")])).await.unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    let read = api.get("a").await.unwrap();
    assert_eq!(read, made);
    let again =
        status(api.create(&PostParams::default(), &config_map("a", &[])).await.unwrap_err());
    assert_eq!(
        (again.reason.as_str(), again.message.as_str()),
        ("AlreadyExists", "configmaps \"a\" already exists")
    );

    let mut changed = read.clone();
    changed.data = Some([("k".to_owned(), "2".to_owned())].into());
    let changed = api.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert_ne!(changed.resource_version(), read.resource_version());
    let stale = status(api.replace("a", &PostParams::default(), &read).await.unwrap_err());
    assert_eq!(stale.code, 409);
    assert_eq!(
        stale.message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to \
         the latest version and try again"
    );
    let same = api.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert_eq!(
        same.resource_version(),
        changed.resource_version(),
        "a write that changes nothing is none"
    );

    let patch = Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}}));
    let patched = api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.labels()["x"], "y");
    assert_eq!(patched.data, changed.data);
    let found = api.list(&ListParams::default().labels("x in (y, z)")).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(api.list(&ListParams::default().labels("!x")).await.unwrap().items.len(), 0);

    api.delete("a", &DeleteParams::default()).await.unwrap();
    let missing = status(api.get("a").await.unwrap_err());
    assert_eq!((missing.code, missing.message.as_str()), (404, "configmaps \"a\" not found"));
}

#[tokio::test]
async fn a_watch_tells_what_happens() {
    let client = client().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let list = api.list(&ListParams::default()).await.unwrap();
    let from = list.metadata.resource_version.unwrap();
    let mut events =
        api.watch(&WatchParams::default().labels("seen=yes"), &from).await.unwrap().boxed();
    api.create(&PostParams::default(), &config_map("a", &[])).await.unwrap();
    let label = |value: &str| Patch::Merge(json!({"metadata": {"labels": {"seen": value}}}));
    api.patch("a", &PatchParams::default(), &label("yes")).await.unwrap();
    api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "v"}})))
        .await
        .unwrap();
    let hidden = api.patch("a", &PatchParams::default(), &label("no")).await.unwrap();
    api.patch("a", &PatchParams::default(), &label("yes")).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let (word, object) = match events.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(o) => ("added", o),
            WatchEvent::Modified(o) => ("modified", o),
            WatchEvent::Deleted(o) => ("deleted", o),
            other => panic!("{other:?}"),
        };
        seen.push(word);
        if seen.len() == 3 {
            assert_eq!(object.resource_version(), hidden.resource_version());
        }
    }
    assert_eq!(seen, ["added", "modified", "deleted", "added", "deleted"]);
}

#[tokio::test]
async fn definitions_are_served_at_once_in_all_their_versions() {
    let client = client().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions.create(&PostParams::default(), &widgets()).await.unwrap();
    let (v1, v1beta1) = (widget_api(&client, "v1"), widget_api(&client, "v1beta1"));
    let mut events = v1beta1.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let made =
        v1.create(&PostParams::default(), &widget("v1", json!({"unknown": 1}))).await.unwrap();
    assert_eq!(made.data["spec"], json!({"size": 1}), "pruned and defaulted");
    assert_eq!(made.metadata.generation, Some(1));
    let WatchEvent::Added(other) = events.try_next().await.unwrap().unwrap() else { panic!() };
    assert_eq!(other.types.unwrap().api_version, "example.com/v1beta1");
    let other = v1beta1.get("w").await.unwrap();
    assert_eq!(other.metadata.resource_version, made.metadata.resource_version);

    let bad = status(
        v1.patch("w", &PatchParams::default(), &Patch::Merge(json!({"spec": {"size": 0}})))
            .await
            .unwrap_err(),
    );
    assert_eq!((bad.code, bad.reason.as_str()), (422, "Invalid"));
    assert!(
        bad.message
            .starts_with("Widget.example.com \"w\" is invalid: spec.size: Invalid value: 0: "),
        "{}",
        bad.message
    );

    let both = Patch::Merge(json!({"spec": {"color": "red"}, "status": {"ready": true}}));
    let through_main = v1.patch("w", &PatchParams::default(), &both).await.unwrap();
    assert_eq!(through_main.metadata.generation, Some(2));
    assert_eq!(through_main.data.get("status"), None);
    let through_status = v1
        .patch_status(
            "w",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"color": "blue"}, "status": {"ready": true}})),
        )
        .await
        .unwrap();
    assert_eq!(through_status.metadata.generation, Some(2));
    assert_eq!(through_status.data["spec"]["color"], "red");
    assert_eq!(through_status.data["status"]["ready"], true);

    definitions.delete("widgets.example.com", &DeleteParams::default()).await.unwrap();
    let gone = events
        .try_filter(|event| futures::future::ready(matches!(event, WatchEvent::Deleted(_))))
        .next()
        .await;
    assert!(gone.is_some(), "objects go with their definition");
}

#[tokio::test]
async fn a_namespace_goes_with_its_content() {
    let client = client().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let space: Namespace = serde_json::from_value(json!({"metadata": {"name": "x"}})).unwrap();
    namespaces.create(&PostParams::default(), &space).await.unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "x");
    api.create(&PostParams::default(), &config_map("a", &[])).await.unwrap();
    let elsewhere: Api<ConfigMap> = Api::namespaced(client.clone(), "y");
    let refused =
        status(elsewhere.create(&PostParams::default(), &config_map("a", &[])).await.unwrap_err());
    assert_eq!(refused.message, "namespaces \"y\" not found");
    let uid = namespaces.get("x").await.unwrap().uid().unwrap();
    namespaces.delete("x", &DeleteParams::default()).await.unwrap();
    kube::runtime::wait::await_condition(
        namespaces.clone(),
        "x",
        kube::runtime::conditions::is_deleted(&uid),
    )
    .await
    .unwrap();
    assert!(api.list(&ListParams::default()).await.unwrap().items.is_empty());
    let kept = status(namespaces.delete("default", &DeleteParams::default()).await.unwrap_err());
    assert_eq!(
        kept.message,
        "namespaces \"default\" is forbidden: this namespace may not be deleted"
    );
}

#[tokio::test]
async fn applied_fields_have_owners() {
    let client = client().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let apply = |manager: &str, value: &str| {
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}});
        let (api, parameters) = (api.clone(), PatchParams::apply(manager));
        async move { api.patch("a", &parameters, &Patch::Apply(&body)).await }
    };
    let made = apply("one", "1").await.unwrap();
    assert_eq!(made.managed_fields()[0].manager.as_deref(), Some("one"));
    let again = apply("one", "1").await.unwrap();
    assert_eq!(again.resource_version(), made.resource_version());
    let conflict = status(apply("two", "2").await.unwrap_err());
    assert_eq!((conflict.code, conflict.reason.as_str()), (409, "Conflict"));
}
