//! What the server says about itself: discovery, OpenAPI, version and health.

use bytes::Bytes;
use http::{Method, StatusCode, header, request::Parts};
use jiff::SignedDuration;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    accept::{Accept, Text},
    answer::Answer,
    builtin::{discovery, openapi, openapi_v2},
    failure::Failure,
    query::Query,
    registry::Served,
    route::Route,
    server::{Server, header_text},
    signing::{ALGORITHM, ISSUER},
};

/// Answers for everything that is no resource.
pub(super) fn answer(server: &Server, route: &Route<'_>, parts: &Parts) -> Answer {
    let served = server.registry.served();
    if parts.method != Method::GET && is_for_get_alone(&served, route) {
        return Failure::method_not_routed().into();
    }
    let accepts = header_text(parts, &header::ACCEPT);
    match route {
        Route::Groups { legacy } => groups(&served, *legacy, accepts, parts),
        Route::Group(group) => plain(discovery::group(&served.definitions, group), accepts),
        Route::Version { group, version } => {
            plain(discovery::resource_list(&served.definitions, group, version), accepts)
        }
        Route::OpenApiIndex => open_api_index(&served),
        Route::OpenApi(path) => open_api(server, &served, path, accepts, parts),
        Route::OpenApiV2 => open_api_v2(&served, accepts),
        Route::Version2 => plain(Some(version()), accepts),
        Route::Health { endpoint, check } => health(server, endpoint, *check, parts),
        Route::Metrics => metrics(server),
        Route::Issuer => Answer::value(StatusCode::OK, &issuer(&address(parts)), Text::Json)
            .cached(AN_HOUR_PUBLIC),
        Route::IssuerKeys => {
            Answer::value(StatusCode::OK, &server.credentials.key.key_set(), Text::Json)
                .of_type("application/jwk-set+json")
                .cached(AN_HOUR_PUBLIC)
        }
        Route::Root => plain(Some(root(&served)), accepts),
        Route::Resource(_) => Answer::no_page(),
    }
}

/// Upstream answers the rest whatever the method is.
fn is_for_get_alone(served: &Served, route: &Route<'_>) -> bool {
    match route {
        Route::Groups { legacy } => *legacy,
        Route::Version { group, version } => served.has_builtin(group, version),
        Route::Version2 | Route::Issuer | Route::IssuerKeys => true,
        _ => false,
    }
}

fn plain(document: Option<impl Serialize>, accepts: &str) -> Answer {
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
            .of_type(discovery::AGGREGATED_CONTENT_TYPE)
            .cached("public")
            .tagged(&tag_of(bytes), header_text(parts, &header::IF_NONE_MATCH));
    }
    let document = match legacy {
        true => discovery::core_versions(&address(parts)),
        false => discovery::group_list(&served.definitions),
    };
    plain(Some(document), accepts)
}

/// The `host:port` under which the client has reached the server.
fn address(parts: &Parts) -> String {
    let host = parts.uri.authority().map(http::uri::Authority::as_str);
    host.unwrap_or_else(|| header_text(parts, &header::HOST)).to_owned()
}

/// Who signs tokens of service accounts, as OpenID Connect Discovery tells it.
fn issuer(address: &str) -> Value {
    json!({
        "issuer": ISSUER,
        "jwks_uri": format!("https://{address}/openid/v1/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
    })
}

const AN_HOUR_PUBLIC: &str = "public, max-age=3600";

fn open_api_index(served: &Served) -> Answer {
    let index = served
        .documents()
        .open_api_index
        .get_or_init(|| text(&openapi::index(&served.definitions)));
    Answer::json(StatusCode::OK, index.clone())
}

/// One document. Whoever asks with its hash, as the index says it, may keep it for ever.
fn open_api(server: &Server, served: &Served, path: &str, accepts: &str, parts: &Parts) -> Answer {
    let pieces: Vec<&str> = path.split('/').collect();
    let (group, version) = match pieces.as_slice() {
        ["api", version] => ("", *version),
        ["apis", group, version] => (*group, *version),
        _ => return Answer::no_page(),
    };
    let Some(hash) = openapi::hash(&served.definitions, group, version) else {
        return Answer::no_page();
    };
    if !takes_json(accepts) {
        return Failure::not_acceptable().into();
    }
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let asked = query.get("hash");
    if asked.is_some_and(|asked| asked != hash) {
        let to = openapi::address(path, &hash);
        return Answer::json(StatusCode::MOVED_PERMANENTLY, Bytes::new())
            .with(header::LOCATION, to)
            .tagged(&hash, "");
    }
    let answer = Answer::json(StatusCode::OK, kept_document(served, group, version))
        .tagged(&hash, header_text(parts, &header::IF_NONE_MATCH));
    match asked {
        None => answer,
        Some(_) => {
            let expires = server.now() + A_YEAR;
            answer
                .cached("public, immutable")
                .with(header::EXPIRES, expires.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        }
    }
}

/// The most that HTTP recommends.
const A_YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);

fn kept_document(served: &Served, group: &str, version: &str) -> Bytes {
    let mut made =
        served.documents().open_api.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let key = (group.to_owned(), version.to_owned());
    let make = || text(&openapi::document(&served.definitions, group, version).unwrap_or_default());
    made.entry(key).or_insert_with(make).clone()
}

fn takes_json(accepts: &str) -> bool {
    Accept::choose(accepts).is_ok_and(|accept| accept.text == Text::Json)
}

fn tag_of(document: &[u8]) -> String {
    hex::encode_upper(Sha256::digest(document))
}

/// JSON for those who take it; clients of Kubernetes ask for protobuf, under the older name or the newer one.
fn open_api_v2(served: &Served, accepts: &str) -> Answer {
    let types: Vec<&str> =
        accepts.split(',').filter_map(|offer| offer.split(';').next()).map(str::trim).collect();
    let takes = |known: &[&str]| types.iter().any(|offer| known.contains(offer));
    let document = || openapi_v2::document(&served.definitions);
    if takes(&[OPEN_API_V2, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"]) {
        return Answer::json(StatusCode::OK, openapi_v2::encode(&document())).of_type(OPEN_API_V2);
    }
    match takes_json(accepts) {
        true => Answer::json(StatusCode::OK, text(&document())),
        false => Failure::not_acceptable().into(),
    }
}

/// The content type of OpenAPI v2 in protobuf.
const OPEN_API_V2: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

fn text(document: &Value) -> Bytes {
    serde_json::to_vec(document).unwrap_or_default().into()
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": format!("{}+tidegate-{}", openapi::VERSION, env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": concat!("linux/", "amd64"),
    })
}

/// What is looked at: whether the server answers at all, and whether it can store.
const CHECKS: &[&str] = &["ping", "store"];

/// `/healthz`, `/livez` and `/readyz`: every check or one, in a word or, with `?verbose` or when one fails, in a line
/// each. A store that only waits for room has all it had, so that starting again would not help it: it is alive.
fn health(server: &Server, endpoint: &str, check: Option<&str>, parts: &Parts) -> Answer {
    let trouble = server.store.trouble().filter(|t| endpoint != "livez" || !t.is_whole);
    let failed = |check: &str| trouble.as_ref().filter(|_| check == "store").map(|t| &t.why);
    if let Some(check) = check {
        return match (CHECKS.contains(&check), failed(check)) {
            (false, _) => Answer::no_page(),
            (true, None) => Answer::text(StatusCode::OK, "ok"),
            (true, Some(why)) => Answer::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("internal server error: {why}\n"),
            ),
        };
    }
    let lines: String = CHECKS
        .iter()
        .map(|check| match failed(check) {
            None => format!("[+]{check} ok\n"),
            Some(why) => format!("[-]{check} failed: {why}\n"),
        })
        .collect();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    match (&trouble, query.has("verbose")) {
        (Some(_), _) => Answer::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{lines}{endpoint} check failed\n"),
        ),
        (None, true) => Answer::text(StatusCode::OK, format!("{lines}{endpoint} check passed\n")),
        (None, false) => Answer::text(StatusCode::OK, "ok"),
    }
}

/// What the server counts, as Prometheus reads it, under the names of kube-apiserver.
fn metrics(server: &Server) -> Answer {
    let version = openapi::VERSION;
    let mut text = format!(
        "# HELP kubernetes_build_info What is served: the version of the API.\n\
         # TYPE kubernetes_build_info gauge\n\
         kubernetes_build_info{{git_version=\"{version}\",major=\"1\",minor=\"36\"}} 1\n\
         # HELP apiserver_resource_objects Objects that are stored, by resource.\n\
         # TYPE apiserver_resource_objects gauge\n"
    );
    let mut counts = server.store.counts();
    counts.sort_by(|(a, _), (b, _)| (&a.group, &a.plural).cmp(&(&b.group, &b.plural)));
    for (of, count) in counts {
        let (group, plural) = (&of.group, &of.plural);
        text.push_str(&format!(
            "apiserver_resource_objects{{group=\"{group}\",resource=\"{plural}\"}} {count}\n"
        ));
    }
    Answer::text(StatusCode::OK, text).of_type("text/plain; version=0.0.4; charset=utf-8")
}

fn root(served: &Served) -> Value {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for definition in &served.definitions {
        if !definition.group.is_empty() {
            paths.push(format!("/apis/{}", definition.group));
            paths.push(format!("/apis/{}", definition.api_version()));
        }
    }
    paths.extend(
        [
            "/.well-known/openid-configuration",
            "/healthz",
            "/livez",
            "/metrics",
            "/openapi/v3",
            "/openid/v1/jwks",
            "/readyz",
            "/version",
        ]
        .map(str::to_owned),
    );
    paths.sort();
    paths.dedup();
    json!({"paths": paths})
}
