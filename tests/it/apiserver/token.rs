//! Tokens of service accounts: what they open, how long, and that they outlive the process that signed them.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::{Value, json};
use tidegate::apiserver::{ApiServer, Options, StoreKind};
use tower::ServiceExt as _;

use super::served::{Served, TOKEN};

const ACCOUNT: &str = "/api/v1/namespaces/default/serviceaccounts/robot";
/// Long ago, so that no real clock is near.
static SECONDS: AtomicI64 = AtomicI64::new(1_500_000_000);

async fn open(path: &Path) -> ApiServer {
    let clock = || Timestamp::from_second(SECONDS.load(Ordering::Relaxed)).unwrap();
    let options = Options {
        store: StoreKind::File(path.to_owned()),
        clock: Arc::new(clock),
        ..Options::default()
    };
    ApiServer::open(options).await.unwrap()
}

async fn post(server: &ApiServer, path: &str, token: Option<&str>, body: Value) -> (u16, Value) {
    let mut request = Request::post(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
    let answer = server.clone().oneshot(request).await.unwrap();
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&bytes).unwrap())
}

async fn whoami(server: &ApiServer, token: &str) -> (u16, Value) {
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let (code, answer) = post(server, path, Some(token), json!({})).await;
    (code, answer["status"]["userInfo"]["username"].clone())
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_not_with_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.redb");
    let server = open(&path).await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let robot = json!({"metadata": {"name": "robot"}});
    assert_eq!(post(&server, accounts, None, robot).await.0, 201);
    let asked = json!({"spec": {"expirationSeconds": 600}});
    let (code, answer) = post(&server, &format!("{ACCOUNT}/token"), None, asked).await;
    assert_eq!(
        (code, &answer["status"]["expirationTimestamp"]),
        (201, &json!("2017-07-14T02:50:00Z"))
    );
    let token = answer["status"]["token"].as_str().unwrap();
    let name = json!("system:serviceaccount:default:robot");
    assert_eq!(whoami(&server, token).await, (201, name.clone()));
    server.shutdown().await;

    let server = open(&path).await;
    assert_eq!(whoami(&server, token).await, (201, name.clone()));
    // Clocks may differ by a minute.
    SECONDS.fetch_add(660, Ordering::Relaxed);
    assert_eq!(whoami(&server, token).await, (201, name));
    SECONDS.fetch_add(1, Ordering::Relaxed);
    assert_eq!(whoami(&server, token).await, (StatusCode::UNAUTHORIZED.as_u16(), Value::Null));
    server.shutdown().await;
}

fn code<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_service_account_comes_through_the_door_and_no_further_than_its_roles_say() {
    let served = Served::start().await;
    let admin = served.client(TOKEN);
    let accounts: Api<ServiceAccount> = Api::default_namespaced(admin.clone());
    let robot = serde_json::from_value(json!({"metadata": {"name": "robot"}})).unwrap();
    accounts.create(&PostParams::default(), &robot).await.unwrap();
    let asked = serde_json::from_value(json!({"spec": {"audiences": []}})).unwrap();
    let answer = accounts.create_token_request("robot", &PostParams::default(), &asked).await;
    let token = answer.unwrap().status.unwrap().token;

    let robot = served.client(&token);
    let maps: Api<ConfigMap> = Api::default_namespaced(robot.clone());
    assert_eq!(code(maps.list(&ListParams::default()).await), 403);
    let bindings: Api<k8s_openapi::api::rbac::v1::RoleBinding> = Api::default_namespaced(admin);
    let binding = serde_json::from_value(json!({
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
    }))
    .unwrap();
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    assert!(maps.list(&ListParams::default()).await.is_ok());
    assert_eq!(code(Api::<ConfigMap>::all(robot).list(&ListParams::default()).await), 403);

    accounts.delete("robot", &DeleteParams::default()).await.unwrap();
    assert_eq!(code(maps.list(&ListParams::default()).await), 401);
    accounts
        .create(
            &PostParams::default(),
            &serde_json::from_value(json!({"metadata": {"name": "robot"}})).unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(code(maps.list(&ListParams::default()).await), 401, "another account of that name");
}
