//! The durable store when its file cannot grow.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tidegate::apiserver::{ApiServer, Options, StoreKind};
use tower::ServiceExt as _;

const CHILD: &str = "TIDEGATE_TEST_FULL_STORE";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn open(path: &Path) -> ApiServer {
    let options = Options { store: StoreKind::File(path.to_owned()), ..Options::default() };
    ApiServer::open(options).await.unwrap()
}

async fn ask(server: &ApiServer, line: &str, body: &Value) -> (StatusCode, String) {
    let (method, path) = line.split_once(' ').unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json");
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let answer = server.clone().oneshot(request).await.unwrap();
    let code = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8(bytes.to_vec()).unwrap())
}

fn map(name: &str, bytes: usize) -> Value {
    json!({"metadata": {"name": name}, "data": {"x": "y".repeat(bytes)}})
}

/// The process whose files cannot grow beyond a few MiB.
#[tokio::test]
async fn writes_until_full() {
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let server = open(&path).await;
    let create = format!("POST {MAPS}");
    let mut kept = Vec::new();
    let (code, said) = loop {
        let name = format!("n{}", kept.len());
        match ask(&server, &create, &map(&name, 200_000)).await {
            (StatusCode::CREATED, _) => kept.push(name),
            refused => break refused,
        }
    };
    assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR, "{said}");
    assert!(said.contains("the store cannot write: "), "{said}");

    let (code, said) = ask(&server, "GET /readyz", &Value::Null).await;
    assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0] == "[+]ping ok" && lines[2] == "readyz check failed", "{said}");
    assert!(lines[1].starts_with("[-]store failed: ") && lines[1].contains("os error"), "{said}");
    let (code, said) = ask(&server, "GET /readyz/store", &Value::Null).await;
    assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(said.starts_with("internal server error: "), "{said}");
    // What was stored is whole: a new start would not help.
    assert_eq!(ask(&server, "GET /livez", &Value::Null).await.0, StatusCode::OK);

    let first = kept.remove(0);
    let (code, said) = ask(&server, &format!("DELETE {MAPS}/{first}"), &Value::Null).await;
    assert_eq!(code, StatusCode::OK, "{said}");
    let (code, said) = ask(&server, "GET /readyz?verbose", &Value::Null).await;
    assert_eq!((code, said.lines().last()), (StatusCode::OK, Some("readyz check passed")));
    let (code, said) = ask(&server, &create, &map("small", 10)).await;
    assert_eq!(code, StatusCode::CREATED, "{said}");
    kept.push("small".to_owned());
    println!("\nkept {}", kept.join(" "));
    server.shutdown().await;
}

#[tokio::test]
async fn a_store_without_room_says_so_and_goes_on_when_there_is_some() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.redb");
    // Else the first write beyond the limit would end the process.
    let script = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "apiserver::full::writes_until_full", "--nocapture"])
        .env(CHILD, &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    let kept = said.lines().find_map(|line| line.strip_prefix("kept "));
    let kept = kept.unwrap_or_else(|| panic!("{said}\n{}", String::from_utf8_lossy(&child.stderr)));

    let server = open(&path).await;
    let (_, list) = ask(&server, &format!("GET {MAPS}"), &Value::Null).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    let names = list["items"].as_array().unwrap().iter();
    let names = names.map(|map| map["metadata"]["name"].as_str().unwrap());
    let mut kept: Vec<&str> = kept.split(' ').collect();
    kept.sort_unstable();
    assert_eq!(names.collect::<Vec<_>>(), kept);
    server.shutdown().await;
}
