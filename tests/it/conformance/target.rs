//! The two servers, asked in the same way.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tidegate::apiserver::{ApiServer, Options};
use tower::ServiceExt as _;

use crate::support::kubernetes::{ADMIN, Kubernetes};

/// Who asks, which also names the manager of fields.
const AGENT: &str = "conformance/1.0";

/// Headers that clients look at.
const HEADERS: &[&str] = &[
    "content-type",
    "warning",
    "cache-control",
    "retry-after",
    "allow",
    "etag",
    "location",
    "vary",
];

/// A server.
#[derive(Clone)]
pub enum Target {
    Real { client: reqwest::Client, address: String, token: String },
    Embedded(ApiServer),
}

/// A request on the wire.
#[derive(Debug, Clone)]
pub struct Sent {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Sent {
    /// A question.
    pub fn get(path: &str) -> Sent {
        Sent { method: "GET", path: path.to_owned(), headers: Vec::new(), body: String::new() }
    }
}

/// An answer whose body is still to be read.
pub struct Answer {
    pub code: u16,
    /// The values of each of [`HEADERS`], in order.
    pub headers: BTreeMap<String, Vec<String>>,
    pub pieces: BoxStream<'static, Bytes>,
}

impl Target {
    /// A real server.
    pub fn real(kubernetes: &Kubernetes, name: &str) -> Target {
        let server = kubernetes.server(name);
        let roots = reqwest::Certificate::from_pem_bundle(server.authority.as_bytes()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only(roots)
            .user_agent(AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(90))
            .build()
            .unwrap();
        let (address, token) = (server.address.clone(), kubernetes.token(ADMIN).to_owned());
        Target::Real { client, address, token }
    }

    /// The embedded server, in memory.
    pub async fn embedded() -> Target {
        Target::Embedded(ApiServer::open(Options::default()).await.unwrap())
    }

    /// Sends a request and reads its answer to the end.
    pub async fn ask(&self, sent: Sent) -> (u16, BTreeMap<String, Vec<String>>, Vec<u8>) {
        let mut answer = self.send(sent).await;
        let mut bytes = Vec::new();
        // What does not end is a watch that was not expected.
        let end = tokio::time::Instant::now() + Duration::from_secs(10);
        while let Ok(Some(piece)) = tokio::time::timeout_at(end, answer.pieces.next()).await {
            bytes.extend_from_slice(&piece);
        }
        (answer.code, answer.headers, bytes)
    }

    /// Sends a request.
    pub async fn send(&self, sent: Sent) -> Answer {
        match self {
            Target::Real { client, address, token } => {
                let method = sent.method.parse().unwrap();
                let mut request = client.request(method, format!("{address}{}", sent.path));
                for (name, value) in &sent.headers {
                    request = request.header(name, value);
                }
                if !sent.headers.iter().any(|(name, _)| name == "authorization") {
                    request = request.bearer_auth(token);
                }
                let answer = request.body(sent.body).send().await.unwrap();
                let (code, headers) = (answer.status().as_u16(), headers(answer.headers()));
                let pieces = futures::stream::unfold(answer, |mut answer| async move {
                    let piece = answer.chunk().await.ok()??;
                    Some((piece, answer))
                });
                Answer { code, headers, pieces: pieces.boxed() }
            }
            Target::Embedded(server) => {
                let mut request = Request::builder()
                    .method(sent.method)
                    .uri(&sent.path)
                    .header("user-agent", AGENT)
                    .header("host", "127.0.0.1");
                if !sent.headers.iter().any(|(name, _)| name == "accept") {
                    request = request.header("accept", "*/*");
                }
                for (name, value) in &sent.headers {
                    request = request.header(name, value);
                }
                let request = request.body(Full::new(Bytes::from(sent.body))).unwrap();
                let answer = server.clone().oneshot(request).await.unwrap();
                let (code, headers) = (answer.status().as_u16(), headers(answer.headers()));
                let pieces = answer.into_body().into_data_stream();
                Answer { code, headers, pieces: pieces.map(Result::unwrap).boxed() }
            }
        }
    }
}

fn headers(all: &http::HeaderMap) -> BTreeMap<String, Vec<String>> {
    let values = |name: &str| -> Vec<String> {
        let mut values: Vec<String> =
            all.get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect();
        // Upstream meets the fields of a patched object in the random order of Go's maps.
        if values.iter().all(|value| value.starts_with("299 - \"unknown field")) {
            values.sort();
        }
        values
    };
    let found = HEADERS.iter().map(|name| ((*name).to_owned(), values(name)));
    found.filter(|(_, values)| !values.is_empty()).collect()
}
