//! TLS, the token, and the end of a listener.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use http::{Method, Version, header::CONTENT_LENGTH};
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

/// A body where none may be ends an HTTP/2 stream with an error, and takes an HTTP/1.1 connection out of step.
#[tokio::test]
async fn a_head_has_no_body() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let served = Served::start().await;
    let authority = reqwest::Certificate::from_pem(served.authority.as_bytes()).unwrap();
    for (http1, version) in [(false, Version::HTTP_2), (true, Version::HTTP_11)] {
        let client = reqwest::Client::builder().tls_certs_only([authority.clone()]);
        let client = if http1 { client.http1_only() } else { client }.build().unwrap();
        for (path, token, code) in [
            ("/healthz", TOKEN, 200),
            ("/apis/apiextensions.k8s.io", TOKEN, 200),
            ("/api/v1/namespaces/default", TOKEN, 405),
            ("/nowhere", TOKEN, 404),
            ("/api", "another", 401),
        ] {
            let ask = |method| client.request(method, served.address.clone() + path);
            let head = ask(Method::HEAD).bearer_auth(token).send().await.unwrap();
            assert_eq!((head.version(), head.status().as_u16()), (version, code), "{path}");
            let length = head.headers()[CONTENT_LENGTH].to_str().unwrap().to_owned();
            assert!(head.bytes().await.unwrap().is_empty(), "{path}");
            if code != 405 {
                let get = ask(Method::GET).bearer_auth(token).send().await.unwrap();
                assert_eq!(get.bytes().await.unwrap().len().to_string(), length, "{path}");
            }
        }
        let stranger = client.head(served.address.clone() + "/api").send().await.unwrap();
        assert_eq!(stranger.status(), 401);
    }
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
