//! What controllers are made of: watchers, stores, owned objects, events.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Event, ObjectReference, Secret},
    events::v1::Event as NewEvent,
};
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::{
        Controller, WatchStreamExt as _,
        controller::Action,
        events::{EventType, Recorder},
        reflector,
        watcher::{self, watcher},
    },
};
use serde_json::json;
use tidegate::apiserver::{ApiServer, Options};

const PATIENCE: Duration = Duration::from_secs(30);

async fn client() -> Client {
    Client::new(ApiServer::open(Options::default()).await.unwrap(), "default")
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"k": "v"}})).unwrap()
}

/// Makes a Secret for each ConfigMap, and heals it.
#[tokio::test]
async fn a_controller_keeps_what_it_owns() {
    let client = client().await;
    let (maps, secrets): (Api<ConfigMap>, Api<Secret>) =
        (Api::default_namespaced(client.clone()), Api::default_namespaced(client.clone()));
    let reconcile = |map: Arc<ConfigMap>, secrets: Arc<Api<Secret>>| async move {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": map.name_any(), "ownerReferences": [map.controller_owner_ref(&())]},
            "stringData": map.data,
        });
        secrets
            .patch(&map.name_any(), &PatchParams::apply("test").force(), &Patch::Apply(&secret))
            .await?;
        Ok::<_, kube::Error>(Action::await_change())
    };
    let controller = Controller::new(maps.clone(), watcher::Config::default())
        .owns(secrets.clone(), watcher::Config::default())
        .run(reconcile, |_, _, _| Action::await_change(), Arc::new(secrets.clone()))
        .for_each(|_| async {});
    let story = async {
        let present = |secret: Option<&Secret>| secret.is_some();
        maps.create(&PostParams::default(), &config_map("a")).await.unwrap();
        kube::runtime::wait::await_condition(secrets.clone(), "a", present).await.unwrap();
        let first = secrets.get("a").await.unwrap();
        assert_eq!(first.data.as_ref().unwrap()["k"].0, b"v");
        secrets.delete("a", &DeleteParams::default()).await.unwrap();
        let healed = |secret: Option<&Secret>| secret.is_some_and(|s| s.uid() != first.uid());
        kube::runtime::wait::await_condition(secrets.clone(), "a", healed).await.unwrap();
        maps.delete("a", &DeleteParams::default()).await.unwrap();
        let gone = |secret: Option<&Secret>| secret.is_none();
        kube::runtime::wait::await_condition(secrets.clone(), "a", gone).await.unwrap();
    };
    tokio::select! {
        () = controller => panic!("the controller ended"),
        told = tokio::time::timeout(PATIENCE, story) => told.unwrap(),
    }
}

#[tokio::test]
async fn a_reflector_sees_everything_in_either_way() {
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let client = client().await;
        let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
        maps.create(&PostParams::default(), &config_map("before")).await.unwrap();
        let (reader, writer) = reflector::store();
        let stream = watcher(maps.clone(), config).reflect(writer).applied_objects();
        let task = tokio::spawn(stream.for_each(|_| async {}));
        tokio::time::timeout(PATIENCE, reader.wait_until_ready()).await.unwrap().unwrap();
        maps.create(&PostParams::default(), &config_map("after")).await.unwrap();
        let both = async {
            while reader.state().len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, both).await.unwrap();
        task.abort();
    }
}

#[tokio::test]
async fn events_are_one_storage_under_two_names() {
    let client = client().await;
    let map = Api::<ConfigMap>::default_namespaced(client.clone())
        .create(&PostParams::default(), &config_map("a"))
        .await
        .unwrap();
    let about: ObjectReference = map.object_ref(&());
    let recorder = Recorder::new(client.clone(), "test-controller".into());
    let event = kube::runtime::events::Event {
        type_: EventType::Normal,
        reason: "Because".into(),
        note: Some("it did".into()),
        action: "Doing".into(),
        secondary: None,
    };
    recorder.publish(&event, &about).await.unwrap();
    recorder.publish(&event, &about).await.unwrap();
    let new: Api<NewEvent> = Api::default_namespaced(client.clone());
    let new = new.list(&ListParams::default()).await.unwrap().items;
    assert_eq!((new.len(), new[0].note.as_deref()), (1, Some("it did")));
    assert_eq!(new[0].series.as_ref().unwrap().count, 2);
    let old: Api<Event> = Api::default_namespaced(client);
    let by_object =
        ListParams::default().fields("involvedObject.name=a,involvedObject.kind=ConfigMap");
    let old = old.list(&by_object).await.unwrap().items;
    assert_eq!(old[0].message.as_deref(), Some("it did"));
    assert_eq!(old[0].involved_object.uid, map.uid());
    assert_eq!(old[0].metadata.resource_version, new[0].metadata.resource_version);
}
