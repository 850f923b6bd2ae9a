//! API servers in this process, and waiting on what is on them.

use std::{collections::BTreeMap, time::Duration};

use kube::Client;
use serde_json::Value;
use tidegate::{
    apiserver::{ApiServer, Options},
    hub::Hub,
    model::ObjectKey,
};
use tokio::time::Instant;

use super::process::PATIENCE;

/// How long between two looks at what has no watch here.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Names an object.
pub fn key(group: &str, kind: &str, namespace: &str, name: &str) -> ObjectKey {
    ObjectKey {
        group: group.into(),
        kind: kind.into(),
        namespace: namespace.into(),
        name: name.into(),
    }
}

/// Starts a server in memory with these definitions.
pub async fn server<'d>(definitions: impl IntoIterator<Item = &'d Value>) -> (ApiServer, Hub) {
    let server = ApiServer::open(Options::default()).await.unwrap();
    let hub = Hub::new(Client::new(server.clone(), "default"));
    for definition in definitions {
        hub.create_object(definition, "test").await.unwrap();
    }
    (server, hub)
}

/// Changes an object by a merge patch.
pub async fn patch(hub: &Hub, key: &ObjectKey, patch: &Value) {
    let resource = hub.locate_any(&key.group, &key.kind).await.unwrap();
    hub.merge_object(&resource, key, patch, "test").await.unwrap();
}

/// Waits until the object that `get` finds is as wanted, and returns it.
pub async fn until(
    key: &ObjectKey,
    what: &str,
    get: impl AsyncFn() -> Option<Value>,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = get().await;
        if let Some(object) = &found
            && wanted(object)
        {
            return object.clone();
        }
        if Instant::now() > deadline {
            let found = found.map(|mut found| {
                found["metadata"]["managedFields"].take();
                serde_yaml::to_string(&found).unwrap_or_default()
            });
            panic!("{key} is not {what}:\n{}", found.unwrap_or_default());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Returns what a ConfigMap says under `key` on every member.
pub async fn values(members: &BTreeMap<String, Hub>, map: &ObjectKey) -> Vec<Option<String>> {
    let mut values = Vec::new();
    for member in members.values() {
        let object = member.get_object(map).await.unwrap();
        values.push(object.map(|object| object["data"]["key"].as_str().unwrap().to_owned()));
    }
    values
}

/// Waits until the ConfigMap says this on the members.
pub async fn until_values(
    members: &BTreeMap<String, Hub>,
    map: &ObjectKey,
    wanted: &[Option<&str>],
) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let values = values(members, map).await;
        if values.iter().map(Option::as_deref).eq(wanted.iter().copied()) {
            return;
        }
        assert!(Instant::now() < deadline, "members have {values:?}, not {wanted:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
