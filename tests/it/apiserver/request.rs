//! Requests as they are on the wire.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tidegate::apiserver::{ApiServer, Body, Options};
use tower::ServiceExt as _;

struct Answer {
    code: StatusCode,
    headers: BTreeMap<String, String>,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }
}

async fn send(
    server: &ApiServer,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<Body> {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    server.clone().oneshot(request).await.unwrap()
}

async fn ask(server: &ApiServer, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let response = send(server, line, headers, body).await;
    let code = response.status();
    let headers = response
        .headers()
        .iter()
        .map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()))
        .collect();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Answer { code, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn server() -> ApiServer {
    ApiServer::open(Options::default()).await.unwrap()
}

#[tokio::test]
async fn refusals_are_worded_as_kubernetes_words_them() {
    let server = server().await;
    let post = format!("POST {MAPS}");
    let json_type = [("content-type", "application/json")];
    let made = ask(&server, &post, &json_type, r#"{"metadata":{"name":"a"}}"#).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let cases: Vec<(String, &str, &str, u16, &str, &str)> = vec![
        (format!("GET {MAPS}/b"), "", "", 404, "NotFound", "configmaps \"b\" not found"),
        (
            "GET /apis/apps/v1/namespaces/default/deployments/b".into(),
            "",
            "",
            404,
            "NotFound",
            "deployments.apps \"b\" not found",
        ),
        (post.clone(), "application/json", "{", 400, "BadRequest", "*"),
        (post.clone(), "text/csv", "a", 415, "UnsupportedMediaType", "*"),
        (
            post.clone(),
            "application/json",
            r#"{"metadata":{"name":"a"}}"#,
            409,
            "AlreadyExists",
            "configmaps \"a\" already exists",
        ),
        (
            post.clone(),
            "application/json",
            r#"{"metadata":{"name":"b","namespace":"x"}}"#,
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            format!("{post}?fieldValidation=Strict"),
            "application/json",
            r#"{"metadata":{"name":"b"},"data":{"a":"1","a":"2"},"x":1}"#,
            400,
            "BadRequest",
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \"data.a\", unknown field \"x\"",
        ),
        (
            format!("PUT {MAPS}/a"),
            "application/json",
            r#"{"metadata":{"name":"z"}}"#,
            400,
            "BadRequest",
            "the name of the object (z) does not match the name on the URL (a)",
        ),
        (
            format!("PUT {MAPS}/a"),
            "application/json",
            r#"{"metadata":{"name":"a","resourceVersion":"1"}}"#,
            409,
            "Conflict",
            "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again",
        ),
        (
            format!("PATCH {MAPS}/a"),
            "application/json",
            "{}",
            415,
            "UnsupportedMediaType",
            "415: Unsupported Media Type",
        ),
        (
            format!("PATCH {MAPS}/a"),
            "application/apply-patch+yaml",
            "{}",
            422,
            "Invalid",
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ),
        (format!("GET {MAPS}?resourceVersion=9999999"), "", "", 504, "Timeout", "*"),
        (format!("GET {MAPS}?labelSelector=a%20in"), "", "", 400, "BadRequest", "*"),
        (format!("GET {MAPS}?fieldSelector=data.x%3D1"), "", "", 400, "BadRequest", "*"),
        (format!("GET {MAPS}?continue=xyz"), "", "", 400, "BadRequest", "*"),
        ("POST /api/v1/configmaps".into(), "application/json", "{}", 405, "MethodNotAllowed", "*"),
        (format!("DELETE {MAPS}/a?dryRun=Some"), "", "", 422, "Invalid", "*"),
    ];
    for (line, content_type, body, code, reason, message) in cases {
        let answer = ask(&server, &line, &[("content-type", content_type)], body).await;
        let status = answer.json();
        assert_eq!(
            (answer.code.as_u16(), status["reason"].as_str().unwrap()),
            (code, reason),
            "{line}: {status}"
        );
        assert_eq!(
            (&status["kind"], &status["apiVersion"], &status["status"]),
            (&json!("Status"), &json!("v1"), &json!("Failure"))
        );
        if message != "*" {
            assert_eq!(status["message"], message, "{line}");
        }
    }
    let not_acceptable = ask(
        &server,
        &format!("GET {MAPS}"),
        &[("accept", "application/vnd.kubernetes.protobuf")],
        "",
    )
    .await;
    assert_eq!(not_acceptable.code, 406);
    let too_large = ask(&server, &post, &json_type, &" ".repeat(4 << 20)).await;
    assert_eq!(too_large.code, 413);
    for nowhere in ["/apis/none.io/v1/x", "/what"] {
        let answer = ask(&server, &format!("GET {nowhere}"), &[], "").await;
        assert_eq!(
            (answer.code.as_u16(), answer.text.as_str()),
            (404, "404 page not found\n"),
            "{nowhere}"
        );
    }
}

#[tokio::test]
async fn warnings_are_headers_and_dry_runs_leave_nothing() {
    let server = server().await;
    let body = r#"{"metadata":{"name":"a"},"data":{"a":"1","a":"2"}}"#;
    let answer = ask(
        &server,
        &format!("POST {MAPS}?dryRun=All"),
        &[("content-type", "application/json")],
        body,
    )
    .await;
    assert_eq!(answer.code, 201);
    assert_eq!(answer.headers["warning"], r#"299 - "duplicate field \"data.a\"""#);
    assert_eq!(answer.json()["data"]["a"], "2");
    assert_eq!(ask(&server, &format!("GET {MAPS}/a"), &[], "").await.code, 404);
}

#[tokio::test]
async fn forms_are_chosen_by_the_accept_header() {
    let server = server().await;
    ask(&server, &format!("POST {MAPS}"), &[], r#"{"metadata":{"name":"a"},"data":{"k":"v"}}"#)
        .await;
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")];
    let list = ask(&server, &format!("GET {MAPS}?limit=500"), &table, "").await.json();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    assert_eq!(list["rows"][0]["cells"][0], "a");
    assert_eq!(list["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert!(list["metadata"]["resourceVersion"].is_string());
    let partial = [("accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")];
    let list = ask(&server, &format!("GET {MAPS}"), &partial, "").await.json();
    assert_eq!(
        (&list["kind"], &list["items"][0]["kind"]),
        (&json!("PartialObjectMetadataList"), &json!("PartialObjectMetadata"))
    );
    assert_eq!(list["items"][0].get("data"), None);
    let yaml = ask(&server, &format!("GET {MAPS}/a"), &[("accept", "application/yaml")], "").await;
    assert!(yaml.text.contains("\ndata:\n  k: v"), "{}", yaml.text);
    assert_eq!(yaml.headers["content-type"], "application/yaml");
}

#[tokio::test]
async fn watches_begin_with_what_is_there_when_asked() {
    let server = server().await;
    for name in ["a", "b"] {
        let body = json!({"metadata": {"name": name}}).to_string();
        ask(&server, &format!("POST {MAPS}"), &[], &body).await;
    }
    let initial = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let response = send(&server, &format!("GET {MAPS}?{initial}"), &[], "").await;
    let mut pieces = response.into_body().into_data_stream();
    let piece = pieces.next().await.unwrap().unwrap();
    let events: Vec<Value> = std::str::from_utf8(&piece)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["ADDED", "ADDED", "BOOKMARK"]);
    assert_eq!(events[2]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let forbidden =
        ask(&server, &format!("GET {MAPS}?watch=true&sendInitialEvents=true"), &[], "").await;
    assert_eq!(forbidden.code, 422);

    let outrun =
        send(&server, &format!("GET {MAPS}?watch=true&resourceVersion=999"), &[], "").await;
    let piece = outrun.into_body().into_data_stream().next().await.unwrap().unwrap();
    let event: Value = serde_json::from_slice(&piece).unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
}

#[tokio::test]
async fn watches_end_with_a_bookmark() {
    let server = server().await;
    let line = format!(
        "GET {MAPS}?watch=true&resourceVersion=0&allowWatchBookmarks=true&timeoutSeconds=1"
    );
    let text = ask(&server, &line, &[], "").await.text;
    let types: Vec<Value> =
        text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["type"].take()).collect();
    assert_eq!(types, ["BOOKMARK"]);
}

#[tokio::test]
async fn owners_and_dependents() {
    let server = server().await;
    let make = |name: &str, owner: Option<(String, bool)>| {
        let owners = owner.map(|(uid, blocks)| {
            json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "blockOwnerDeletion": blocks}])
        });
        let body = json!({"metadata": {"name": name, "ownerReferences": owners}}).to_string();
        let server = server.clone();
        async move { ask(&server, &format!("POST {MAPS}"), &[], &body).await.json() }
    };
    let gone = |name: &'static str| {
        let server = server.clone();
        async move {
            let line = format!("GET {MAPS}?watch=true&fieldSelector=metadata.name%3D{name}");
            let mut pieces = send(&server, &line, &[], "").await.into_body().into_data_stream();
            if ask(&server, &format!("GET {MAPS}/{name}"), &[], "").await.code == 404 {
                return;
            }
            while let Some(piece) = pieces.next().await {
                if std::str::from_utf8(&piece.unwrap()).unwrap().contains("\"type\":\"DELETED\"") {
                    return;
                }
            }
        }
    };
    for (policy, owner_waits) in [("Background", false), ("Foreground", true)] {
        let owner = make("owner", None).await["metadata"]["uid"].as_str().unwrap().to_owned();
        make("child", Some((owner, true))).await;
        let answer =
            ask(&server, &format!("DELETE {MAPS}/owner?propagationPolicy={policy}"), &[], "").await;
        assert_eq!(answer.json()["kind"] == "ConfigMap", owner_waits, "{policy}: {}", answer.text);
        gone("child").await;
        gone("owner").await;
    }
    let owner = make("owner", None).await["metadata"]["uid"].as_str().unwrap().to_owned();
    make("child", Some((owner, true))).await;
    ask(&server, &format!("DELETE {MAPS}/owner?propagationPolicy=Orphan"), &[], "").await;
    gone("owner").await;
    let child = ask(&server, &format!("GET {MAPS}/child"), &[], "").await.json();
    assert_eq!(child["metadata"].get("ownerReferences"), None);
    make("stray", Some(("nobody".to_owned(), false))).await;
    gone("stray").await;
}

#[tokio::test]
async fn json_is_indented_for_people() {
    let server = server().await;
    for (agent, query, indented) in [
        ("kubectl/v1", "", false),
        ("curl/8.0", "", true),
        ("Mozilla/5.0 (X11)", "", true),
        ("curl/8.0", "?pretty=false", false),
        ("kubectl/v1", "?pretty=true", true),
        ("kubectl/v1", "?pretty=1", true),
        ("kubectl/v1", "?pretty=yes", false),
    ] {
        for path in ["/api/v1/namespaces/default", "/version", "/api/v1/namespaces/none"] {
            let line = format!("GET {path}{query}");
            let answer = ask(&server, &line, &[("user-agent", agent)], "").await;
            assert_eq!(answer.text.starts_with("{\n  \""), indented, "{agent} {line}");
            assert!(answer.json()["kind"].is_string() || path == "/version");
        }
    }
}

#[tokio::test]
async fn health_is_told_check_by_check() {
    let server = server().await;
    let asked = ask(&server, "GET /readyz?verbose", &[], "").await;
    assert_eq!(asked.text, "[+]ping ok\n[+]store ok\nreadyz check passed\n");
    assert_eq!(ask(&server, "GET /livez/store", &[], "").await.text, "ok");
    assert_eq!(ask(&server, "GET /livez/etcd", &[], "").await.code, 404);
}

#[tokio::test]
async fn the_older_openapi_comes_as_json_or_protobuf() {
    let server = server().await;
    let get = |accept: &'static str| {
        let server = server.clone();
        async move { send(&server, "GET /openapi/v2", &[("accept", accept)], "").await }
    };
    for json in ["", "*/*", "application/json;q=0.9"] {
        let answer = get(json).await;
        assert_eq!(answer.headers()["content-type"], "application/json", "{json}");
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(document["swagger"], "2.0");
    }
    for dot in ['.', '@'] {
        let accept = match dot {
            '.' => "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
            _ => "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
        };
        let answer = get(accept).await;
        let content_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
        assert_eq!(answer.headers()["content-type"], content_type);
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(bytes.windows(5).any(|field| field == b"\x0a\x032.0"), "the field `swagger`");
    }
    assert_eq!(get("text/html").await.status(), 406);
}

#[tokio::test]
async fn what_clients_may_keep_is_said() {
    let server = server().await;
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let index = ask(&server, "GET /openapi/v3", &[], "").await.json();
    let address = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    for (path, accept, control) in [
        ("/apis", aggregated, "public"),
        ("/openapi/v3/apis/apps/v1", "application/json", "no-cache, private"),
        (address.as_str(), "application/json", "public, immutable"),
    ] {
        let line = format!("GET {path}");
        let first = ask(&server, &line, &[("accept", accept)], "").await;
        assert_eq!(first.headers["cache-control"], control, "{path}");
        assert_eq!(first.headers["vary"], "Accept", "{path}");
        assert_eq!(first.headers.contains_key("expires"), path == address, "{path}");
        let held = [("accept", accept), ("if-none-match", first.headers["etag"].as_str())];
        let again = ask(&server, &line, &held, "").await;
        assert_eq!((again.code, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}");
        let other = [("accept", accept), ("if-none-match", "\"another\"")];
        assert_eq!(ask(&server, &line, &other, "").await.code, StatusCode::OK);
    }
    let old = ask(&server, "GET /openapi/v3/apis/apps/v1?hash=OLD", &[], "").await;
    assert_eq!((old.code, &old.headers["location"]), (StatusCode::MOVED_PERMANENTLY, &address));
    let html = ask(&server, "GET /openapi/v3/apis/apps/v1", &[("accept", "text/html")], "").await;
    assert_eq!(html.code, StatusCode::NOT_ACCEPTABLE);
    let none = ask(&server, "GET /openapi/v3/apis/apps/v9", &[], "").await;
    assert_eq!(none.code, StatusCode::NOT_FOUND);
}
