//! Real API servers in tests: they work, and they never outlive the tests.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
    runtime::wait::{await_condition, conditions},
};
use serde_json::json;

use crate::support::{
    kubernetes::{Kubernetes, Plan, User, client},
    process::PATIENCE,
    watchdog::{hold, hold_nothing, is_killed, nothing_outlives},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_apart_know_users_and_end_namespaces() {
    let user = User::service_account("shop", "seller");
    let plan = Plan::servers(["hub", "member"])
        .with_controllers("hub")
        .with_user(user.clone())
        .with_audit();
    let Some(real) = Kubernetes::start("the harness of real API servers", plan) else { return };
    let (hub, member) = (real.client("hub").await, real.client("member").await);
    let shop = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    let namespaces: Api<Namespace> = Api::all(hub.clone());
    let made = namespaces.create(&PostParams::default(), &shop).await.unwrap();
    assert!(Api::<Namespace>::all(member).get_opt("shop").await.unwrap().is_none());

    let seller = client(&real.kubeconfig_of(&user.name), "hub").await;
    let maps: Api<ConfigMap> = Api::namespaced(seller, "shop");
    let refused = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(refused.to_string().contains(&user.name), "{refused}");
    let lists = |code| {
        move |asked: &&crate::support::kubernetes::Audited| {
            asked.verb == "list" && asked.resource == "configmaps" && asked.code == code
        }
    };
    let audited = real.audited("hub");
    let asked: Vec<_> = audited.iter().filter(lists(403)).collect();
    assert_eq!(asked.len(), 1, "{audited:?}");
    assert_eq!((&*asked[0].user, &*asked[0].namespace), (&*user.name, "shop"));

    namespaces.delete("shop", &DeleteParams::default()).await.unwrap();
    let uid = made.metadata.uid.unwrap();
    let gone = await_condition(namespaces, "shop", conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("the namespace ends").unwrap();
}

/// The process that is killed.
#[test]
fn holds_servers_until_killed() {
    if !is_killed() {
        return;
    }
    match Kubernetes::start("ending what was started", Plan::servers(["hub"])) {
        Some(real) => hold(&[&real.servers()[0].address], real.folder()),
        None => hold_nothing(),
    }
}

#[test]
fn nothing_outlives_a_killed_test() {
    nothing_outlives("conformance::harness::holds_servers_until_killed");
}
