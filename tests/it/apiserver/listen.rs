//! TLS, the token, and the end of a listener.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    api::{ListParams, WatchParams},
};

use super::served::{Served, TOKEN};

#[tokio::test]
async fn only_the_token_opens_the_door() {
    let served = Served::start().await;
    let namespaces: Api<Namespace> = Api::all(served.client(TOKEN));
    assert_eq!(namespaces.list(&ListParams::default()).await.unwrap().items.len(), 4);
    let stranger = served.client("another");
    let refused =
        Api::<Namespace>::all(stranger.clone()).list(&ListParams::default()).await.unwrap_err();
    let kube::Error::Api(status) = refused else { panic!("{refused:?}") };
    assert_eq!(
        (status.code, status.reason.as_str(), status.message.as_str()),
        (401, "Unauthorized", "Unauthorized")
    );
    assert_eq!(stranger.apiserver_version().await.unwrap().major, "1");
    let unknown = Config::new(served.address.parse().unwrap());
    let untrusted = Client::try_from(unknown).unwrap().apiserver_version().await;
    assert!(untrusted.is_err(), "nobody else signed the certificate");
}

#[tokio::test]
async fn watches_end_with_the_listener() {
    let mut served = Served::start().await;
    let namespaces: Api<Namespace> = Api::all(served.client(TOKEN));
    let mut events = namespaces.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    for _ in 0..4 {
        assert!(events.try_next().await.unwrap().is_some());
    }
    let ended = served.end();
    assert!(events.try_next().await.unwrap().is_none());
    drop((events, namespaces));
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap();
    // The server itself goes on without it.
    let within = Client::new(served.server.clone(), "default");
    assert_eq!(
        Api::<Namespace>::all(within).list(&ListParams::default()).await.unwrap().items.len(),
        4
    );
}
