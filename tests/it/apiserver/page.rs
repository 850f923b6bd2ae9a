//! Lists in pages that show one moment.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;
use tidegate::apiserver::{ApiServer, Options};

fn named(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

async fn api(options: Options) -> Api<ConfigMap> {
    let api: Api<ConfigMap> =
        Api::default_namespaced(Client::new(ApiServer::open(options).await.unwrap(), "default"));
    for number in 0..10 {
        api.create(&PostParams::default(), &named(&format!("c{number}"))).await.unwrap();
    }
    api
}

#[tokio::test]
async fn later_pages_show_the_moment_of_the_first() {
    let api = api(Options::default()).await;
    let first = api.list(&ListParams::default().limit(4)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(6));
    let token = first.metadata.continue_.clone().unwrap();
    api.delete("c7", &DeleteParams::default()).await.unwrap();
    api.delete("c0", &DeleteParams::default()).await.unwrap();
    api.create(&PostParams::default(), &named("c55")).await.unwrap();
    let second = api.list(&ListParams::default().limit(100).continue_token(&token)).await.unwrap();
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    assert_eq!(second.metadata.continue_.unwrap_or_default(), "");
    let names: Vec<String> =
        first.items.iter().chain(&second.items).map(|o| o.name_any()).collect();
    let expected: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_page_that_is_too_late_is_told_so() {
    let api = api(Options { watch_history: 3, ..Options::default() }).await;
    let first = api.list(&ListParams::default().limit(4)).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    for number in 0..5 {
        api.create(&PostParams::default(), &named(&format!("d{number}"))).await.unwrap();
    }
    let expired = api.list(&ListParams::default().continue_token(&token)).await.unwrap_err();
    let kube::Error::Api(status) = expired else { panic!("{expired:?}") };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    let old = first.metadata.resource_version.unwrap();
    let exact = ListParams::default().at(&old).matching(kube::api::VersionMatch::Exact);
    let expired = api.list(&exact).await.unwrap_err();
    let kube::Error::Api(status) = expired else { panic!("{expired:?}") };
    assert_eq!(status.code, 410);
    assert_eq!(status.message, "The resourceVersion for the provided list is too old.");
    let names: BTreeSet<String> = api
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .iter()
        .map(|o| o.name_any())
        .collect();
    assert_eq!(names.len(), 15);
}
