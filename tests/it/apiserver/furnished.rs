//! What namespaces have on a server that pods could reach.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ObjectMeta, PostParams},
    runtime::wait::await_condition,
};
use serde::de::DeserializeOwned;
use tidegate::apiserver::{ApiServer, Options};

/// The object as soon as it is there, and another one than that with `uid`.
async fn other<K>(api: Api<K>, name: &str, uid: Option<String>) -> K
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Default,
{
    let found = await_condition(api, name, move |object: Option<&K>| {
        object.is_some_and(|object| object.meta().uid.is_some() && object.meta().uid != uid)
    });
    let found = tokio::time::timeout(Duration::from_secs(30), found).await;
    found.unwrap_or_else(|_| panic!("{name} does not come")).unwrap().unwrap()
}

#[tokio::test]
async fn every_namespace_has_an_account_and_the_authority() {
    let server = ApiServer::open(Options::default()).await.unwrap();
    let client = Client::new(server.clone(), "default");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mine = |name: &str| Namespace {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    namespaces.create(&PostParams::default(), &mine("before")).await.unwrap();
    server.furnish("the authority");
    namespaces.create(&PostParams::default(), &mine("after")).await.unwrap();
    for namespace in ["default", "kube-system", "before", "after"] {
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
        other(accounts, "default", None).await;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let map = other(maps, "kube-root-ca.crt", None).await;
        assert_eq!(map.data.unwrap()["ca.crt"], "the authority");
    }

    // Who deletes one gets another.
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "after");
    let old = maps.get("kube-root-ca.crt").await.unwrap();
    maps.delete("kube-root-ca.crt", &DeleteParams::default()).await.unwrap();
    other(maps, "kube-root-ca.crt", old.metadata.uid).await;

    // They hold no namespace that goes.
    namespaces.delete("after", &DeleteParams::default()).await.unwrap();
    let gone = await_condition(namespaces, "after", |found: Option<&Namespace>| found.is_none());
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap().unwrap();
}
