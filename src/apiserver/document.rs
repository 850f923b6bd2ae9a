//! What the server says about itself: discovery, OpenAPI, version and health.

use bytes::Bytes;
use http::{Method, StatusCode, header, request::Parts};
use serde_json::{Value, json};

use super::{
    accept::Accept,
    answer::Answer,
    builtin::{discovery, openapi},
    failure::Failure,
    registry::Served,
    route::Route,
    server::{Server, header_text},
};

/// Answers for everything that is no resource.
pub(super) fn answer(server: &Server, route: &Route<'_>, parts: &Parts) -> Answer {
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return Answer::text(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed\n");
    }
    let accepts = header_text(parts, &header::ACCEPT);
    let served = server.registry.served();
    match route {
        Route::Groups { legacy } => groups(&served, *legacy, accepts, parts),
        Route::Group(group) => plain(discovery::group(&served.definitions, group), accepts),
        Route::Version { group, version } => {
            plain(discovery::resource_list(&served.definitions, group, version), accepts)
        }
        Route::OpenApiIndex => open_api_index(&served),
        Route::OpenApi(path) => open_api(&served, path),
        // Clients ask for version 2 in protobuf only, and go on without it.
        Route::OpenApiV2 => Failure::not_acceptable().into(),
        Route::Version2 => plain(Some(version()), accepts),
        Route::Health => Answer::text(StatusCode::OK, "ok"),
        Route::Root => plain(Some(root(&served)), accepts),
        Route::Resource(_) => Answer::no_page(),
    }
}

fn plain(document: Option<Value>, accepts: &str) -> Answer {
    match (document, Accept::choose(accepts)) {
        (Some(document), Ok(accept)) => Answer::value(StatusCode::OK, &document, accept.text),
        (None, _) => Answer::no_page(),
        (_, Err(failure)) => failure.into(),
    }
}

fn groups(served: &Served, legacy: bool, accepts: &str, parts: &Parts) -> Answer {
    let documents = served.documents();
    if Accept::takes_aggregated_discovery(accepts) {
        let bytes = if legacy {
            documents
                .aggregated_core
                .get_or_init(|| text(&discovery::aggregated_core(&served.definitions)))
        } else {
            documents
                .aggregated_groups
                .get_or_init(|| text(&discovery::aggregated_groups(&served.definitions)))
        };
        return Answer::json(StatusCode::OK, bytes.clone())
            .of_type(discovery::AGGREGATED_CONTENT_TYPE);
    }
    let host = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = host.unwrap_or_else(|| header_text(parts, &header::HOST));
    let document = match legacy {
        true => discovery::core_versions(host),
        false => discovery::group_list(&served.definitions),
    };
    plain(Some(document), accepts)
}

fn open_api_index(served: &Served) -> Answer {
    let index = served
        .documents()
        .open_api_index
        .get_or_init(|| text(&openapi::index(&served.definitions)));
    Answer::json(StatusCode::OK, index.clone())
}

fn open_api(served: &Served, path: &str) -> Answer {
    let parts: Vec<&str> = path.split('/').collect();
    let (group, version) = match parts.as_slice() {
        ["api", version] => ("", *version),
        ["apis", group, version] => (*group, *version),
        _ => return Answer::no_page(),
    };
    let mut made =
        served.documents().open_api.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let key = (group.to_owned(), version.to_owned());
    if let Some(document) = made.get(&key) {
        return Answer::json(StatusCode::OK, document.clone());
    }
    let Some(document) = openapi::document(&served.definitions, group, version) else {
        return Answer::no_page();
    };
    let document = text(&document);
    made.insert(key, document.clone());
    Answer::json(StatusCode::OK, document)
}

fn text(document: &Value) -> Bytes {
    serde_json::to_vec(document).unwrap_or_default().into()
}

/// The Kubernetes version whose behavior clients may expect.
fn version() -> Value {
    json!({
        "major": "1",
        "minor": "34",
        "gitVersion": concat!("v1.34.0+tidegate-", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": concat!("linux/", "amd64"),
    })
}

fn root(served: &Served) -> Value {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for definition in &served.definitions {
        if !definition.group.is_empty() {
            paths.push(format!("/apis/{}", definition.group));
            paths.push(format!("/apis/{}", definition.api_version()));
        }
    }
    paths.extend(["/healthz", "/livez", "/openapi/v3", "/readyz", "/version"].map(str::to_owned));
    paths.sort();
    paths.dedup();
    json!({"paths": paths})
}
