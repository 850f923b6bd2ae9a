//! A repository on a server: over TLS of a private authority, with a token from a file.
//!
//! The server is `git http-backend`, git's own, behind a small TLS front.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    io::Write,
    path::PathBuf,
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
use tidegate::git::{Class, Limits, Poll, Remote, Repository};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::repository::TestRepository;

const TOKEN: &str = "s3cret-token";

struct Server {
    folder: tempfile::TempDir,
    url: String,
    asked: Arc<AtomicUsize>,
    /// How many requests brought credentials.
    trusted: Arc<AtomicUsize>,
    test: TestRepository,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts a server; one that sends everybody on to `redirect`, if that is given.
    async fn start_with(redirect: Option<String>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(folder.path().join("ca.pem"), certified.cert.pem()).unwrap();
        fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let key =
            rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/fleet.git", listener.local_addr().unwrap().port());
        let test = TestRepository::new();
        let asked = Arc::new(AtomicUsize::new(0));
        let trusted = Arc::new(AtomicUsize::new(0));
        let (root, count) = (test.path(), Arc::clone(&asked));
        let brought = Arc::clone(&trusted);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, root, count) = (acceptor.clone(), root.clone(), Arc::clone(&count));
                let (brought, redirect) = (Arc::clone(&brought), redirect.clone());
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(socket).await else { return };
                    let service = service_fn(move |request: Request<Incoming>| {
                        let credentials = request.headers().contains_key("authorization");
                        brought.fetch_add(usize::from(credentials), Ordering::SeqCst);
                        let sent_on = redirect.as_ref().map(|to| {
                            let tail = request.uri().to_string().replacen("/fleet.git", "", 1);
                            let moved = Response::builder().status(302);
                            moved.header("location", format!("{to}{tail}"))
                        });
                        let answered = answer(request, root.clone(), Arc::clone(&count));
                        async move {
                            match sent_on {
                                Some(moved) => Ok(moved.body(Full::default()).unwrap()),
                                None => answered.await,
                            }
                        }
                    });
                    let builder =
                        hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(tls), service).await;
                });
            }
        });
        Self { folder, url, asked, trusted, test }
    }

    fn follow(&self, token: Option<&str>) -> Repository {
        let token = token.map(|name| self.folder.path().join(name));
        let remote =
            Remote::parse(&self.url, token, Some(self.folder.path().join("ca.pem"))).unwrap();
        Repository::new(remote, "main", self.folder.path().join("mirror"))
    }
}

/// Runs git's own CGI program for a request, as a web server would.
async fn answer(
    request: Request<Incoming>,
    root: PathBuf,
    asked: Arc<AtomicUsize>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    asked.fetch_add(1, Ordering::SeqCst);
    let wanted = format!("Basic {}", STANDARD.encode(format!("x-access-token:{TOKEN}")));
    if request.headers().get("authorization").is_none_or(|got| got.as_bytes() != wanted.as_bytes())
    {
        let refused =
            Response::builder().status(401).header("www-authenticate", "Basic realm=\"git\"");
        return Ok(refused.body(Full::default()).unwrap());
    }
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
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
    Ok(response.body(Full::from(output[split + 4..].to_vec())).unwrap())
}

async fn poll(
    repository: &Repository,
    known: Option<tidegate::model::CommitId>,
) -> Result<Poll, tidegate::git::GitError> {
    let repository = repository.clone();
    tokio::task::spawn_blocking(move || repository.poll(known.as_ref())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_mirrored_and_asked_only_once_when_nothing_changed() {
    let server = Server::start().await;
    let first = server.test.write("fleet/a.yaml", "one").commit("first");
    let followed = server.follow(Some("token"));
    assert_eq!(poll(&followed, None).await.unwrap(), Poll::Tip(first.clone()));
    let file = |commit| {
        followed.file(commit, "fleet", "a.yaml", Limits::default()).unwrap().unwrap().bytes
    };
    assert_eq!(file(&first), b"one");

    let packs = || fs::read_dir(server.folder.path().join("mirror/objects/pack")).unwrap().count();
    let (before, asked) = (packs(), server.asked.load(Ordering::SeqCst));
    assert_eq!(poll(&followed, Some(first.clone())).await.unwrap(), Poll::Unchanged);
    assert_eq!(packs(), before, "nothing is written");
    let requests = server.asked.load(Ordering::SeqCst) - asked;
    // The handshake without and with credentials, and one ls-refs.
    assert!(requests <= 3, "{requests} requests for an idle poll");

    let second = server.test.write("fleet/a.yaml", "two").commit("second");
    assert_eq!(poll(&followed, Some(first.clone())).await.unwrap(), Poll::Tip(second.clone()));
    assert_eq!(file(&second), b"two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused_and_never_shown() {
    let server = Server::start().await;
    server.test.write("a", "1").commit("first");
    fs::write(server.folder.path().join("wrong"), "hunter2").unwrap();
    for token in [None, Some("wrong"), Some("missing")] {
        let error = poll(&server.follow(token), None).await.unwrap_err();
        assert_eq!(error.class, Class::Refused, "{token:?}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_an_unknown_authority_is_not_trusted() {
    let server = Server::start().await;
    server.test.write("a", "1").commit("first");
    let remote =
        Remote::parse(&server.url, Some(server.folder.path().join("token")), None).unwrap();
    let followed = Repository::new(remote, "main", server.folder.path().join("mirror"));
    let error = poll(&followed, None).await.unwrap_err();
    assert_eq!(error.class, Class::Untrusted, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_not_there_is_said_with_those_that_are() {
    let server = Server::start().await;
    let follow = || {
        let mirror = server.folder.path().join("mirror");
        Repository::new(server.follow(Some("token")).remote().clone(), "live", mirror)
    };
    let empty = poll(&follow(), None).await.unwrap_err();
    assert_eq!(empty.class, Class::Empty, "{empty}");
    server.test.write("a", "1").commit("first");
    let missing = poll(&follow(), None).await.unwrap_err();
    assert_eq!(missing.class, Class::NoSuchRef { known: vec!["main".to_owned()] }, "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_not_there_is_told_from_a_server_that_is_not() {
    let server = Server::start().await;
    server.test.write("a", "1").commit("first");
    let follow = |url: String| {
        let file = |name| Some(server.folder.path().join(name));
        let remote = Remote::parse(&url, file("token"), file("ca.pem")).unwrap();
        Repository::new(remote, "main", server.folder.path().join("mirror"))
    };
    fs::rename(server.test.path().join(".git"), server.test.path().join("gone")).unwrap();
    let error = poll(&follow(server.url.clone()), None).await.unwrap_err();
    assert_eq!(error.class, Class::NotThere, "{error}");
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = poll(&follow(format!("https://localhost:{port}/404.git")), None).await.unwrap_err();
    assert_eq!(error.class, Class::Unreachable, "{error}");
    assert!(error.is_passing());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_was_lost_is_fetched_again() {
    let server = Server::start().await;
    let first = server.test.write("a", "1").commit("first");
    let followed = server.follow(Some("token"));
    let mirror = server.folder.path().join("mirror");
    poll(&followed, None).await.unwrap();
    // What a process leaves that was killed while it put a fresh mirror in place.
    fs::rename(&mirror, mirror.with_extension("old")).unwrap();
    fs::create_dir(mirror.with_extension("new")).unwrap();
    fs::write(mirror.with_extension("new").join("HEAD"), "half").unwrap();
    assert_eq!(poll(&followed, Some(first.clone())).await.unwrap(), Poll::Unchanged);
    assert_eq!(followed.commit(&first).unwrap().subject, "first");
    assert!(!mirror.with_extension("old").exists() && !mirror.with_extension("new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_another_sends_us_to_gets_no_token() {
    let other = Server::start().await;
    other.test.write("a", "1").commit("first");
    let server = Server::start_with(Some(other.url.clone())).await;
    let authority = |server: &Server| fs::read(server.folder.path().join("ca.pem")).unwrap();
    let both = [authority(&server), authority(&other)].concat();
    fs::write(server.folder.path().join("ca.pem"), both).unwrap();
    let error = poll(&server.follow(Some("token")), None).await.unwrap_err();
    assert_eq!(error.class, Class::Refused, "{error}");
    assert!(other.asked.load(Ordering::SeqCst) > 0, "it was sent there");
    assert_eq!(other.trusted.load(Ordering::SeqCst), 0, "without credentials");
}
