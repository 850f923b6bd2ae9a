//! A repository on a server: over TLS of a private authority, with a token from a file.
//!
//! The server is `git http-backend`, git's own, behind a small TLS front.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidegate::git::{Remote, Repository};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::repository::TestRepository;

const TOKEN: &str = "s3cret-token";

/// Who is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Door {
    /// Whoever has the token.
    Token,
    /// Everybody.
    Open,
    /// Everybody, in the first version of the protocol.
    Old,
    /// Nobody: they are sent on to another server.
    Elsewhere(String),
}

/// A server with one repository.
pub struct GitServer {
    folder: tempfile::TempDir,
    pub url: String,
    counts: Arc<Counts>,
    /// What it serves.
    pub repository: TestRepository,
}

#[derive(Default)]
struct Counts {
    connected: AtomicUsize,
    asked: AtomicUsize,
    trusted: AtomicUsize,
}

impl GitServer {
    /// Starts a server that wants the token.
    pub async fn start() -> Self {
        Self::with(Door::Token).await
    }

    /// Starts a server that lets everybody in.
    pub async fn open() -> Self {
        Self::with(Door::Open).await
    }

    /// Starts a server that lets everybody in, and knows of no later version of the protocol than the first.
    pub async fn old() -> Self {
        Self::with(Door::Old).await
    }

    /// Starts a server that sends everybody on to another one.
    pub async fn sending_to(url: &str) -> Self {
        Self::with(Door::Elsewhere(url.to_owned())).await
    }

    async fn with(door: Door) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let acceptor = acceptor(folder.path());
        fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/fleet.git", listener.local_addr().unwrap().port());
        let repository = TestRepository::new();
        let counts = Arc::<Counts>::default();
        let front = Front { root: repository.path(), door, counts: counts.clone() };
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, front) = (acceptor.clone(), front.clone());
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(socket).await else { return };
                    front.counts.connected.fetch_add(1, Ordering::SeqCst);
                    let service = service_fn(move |request| front.clone().answer(request));
                    let builder =
                        hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(tls), service).await;
                });
            }
        });
        Self { folder, url, counts, repository }
    }

    /// Returns the path of a file beside the repository: `ca.pem`, `token`, or one of a test's own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns how many connections were made so far.
    pub fn connected(&self) -> usize {
        self.counts.connected.load(Ordering::SeqCst)
    }

    /// Returns how many requests came so far.
    pub fn asked(&self) -> usize {
        self.counts.asked.load(Ordering::SeqCst)
    }

    /// Returns how many of them brought credentials.
    pub fn trusted(&self) -> usize {
        self.counts.trusted.load(Ordering::SeqCst)
    }

    /// Follows branch main, with the token in the file of this name.
    pub fn follow(&self, token: Option<&str>) -> Repository {
        let token = token.map(|name| self.file(name));
        let remote = Remote::parse(&self.url, token, Some(self.file("ca.pem"))).unwrap();
        Repository::new(remote, "main", self.file("mirror"))
    }
}

/// Makes an authority for `localhost`, whose certificate is then in `ca.pem`.
fn acceptor(folder: &Path) -> TlsAcceptor {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(folder.join("ca.pem"), certified.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[derive(Clone)]
struct Front {
    root: PathBuf,
    door: Door,
    counts: Arc<Counts>,
}

impl Front {
    async fn answer(
        self,
        mut request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let credentials = request.headers().get("authorization");
        self.counts.asked.fetch_add(1, Ordering::SeqCst);
        self.counts.trusted.fetch_add(usize::from(credentials.is_some()), Ordering::SeqCst);
        let wanted = format!("Basic {}", STANDARD.encode(format!("x-access-token:{TOKEN}")));
        let refused = match &self.door {
            Door::Elsewhere(url) => {
                let tail = request.uri().to_string().replacen("/fleet.git", "", 1);
                Some(Response::builder().status(302).header("location", format!("{url}{tail}")))
            }
            Door::Token if credentials.is_none_or(|got| got.as_bytes() != wanted.as_bytes()) => {
                let realm = "Basic realm=\"git\"";
                Some(Response::builder().status(401).header("www-authenticate", realm))
            }
            // The repository was renamed, which is told to those who may know.
            Door::Token if request.uri().path().starts_with("/old.git/") => {
                let there = request.uri().to_string().replacen("/old.git", "/fleet.git", 1);
                Some(Response::builder().status(301).header("location", there))
            }
            Door::Old => {
                request.headers_mut().remove("git-protocol");
                None
            }
            Door::Token | Door::Open => None,
        };
        Ok(match refused {
            Some(refused) => refused.body(Full::default()).unwrap(),
            None => backend(request, &self.root).await,
        })
    }
}

/// Runs git's own CGI program for a request, as a web server would.
async fn backend(request: Request<Incoming>, root: &Path) -> Response<Full<Bytes>> {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let environment = BTreeMap::from([
        ("GIT_PROJECT_ROOT", root.join(".git").to_string_lossy().into_owned()),
        ("GIT_HTTP_EXPORT_ALL", "1".to_owned()),
        ("REQUEST_METHOD", request.method().to_string()),
        ("PATH_INFO", request.uri().path().trim_start_matches("/fleet.git").to_owned()),
        ("QUERY_STRING", request.uri().query().unwrap_or_default().to_owned()),
        ("CONTENT_TYPE", header("content-type")),
        ("HTTP_CONTENT_ENCODING", header("content-encoding")),
        ("GIT_PROTOCOL", header("git-protocol")),
    ]);
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = Command::new("git")
            .arg("http-backend")
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&body).unwrap();
        child.wait_with_output().unwrap().stdout
    });
    let output = output.await.unwrap();
    let split = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..split]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(&value[..3]),
            _ => response.header(name, value),
        };
    }
    response.body(Full::from(output[split + 4..].to_vec())).unwrap()
}
