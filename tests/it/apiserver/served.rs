//! A server on a socket, and kubectl for it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::{Client, Config};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::json;
use tidegate::apiserver::{
    ApiServer, Options,
    listen::{self, Tls},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::support::process::isolate;

pub const TOKEN: &str = "a-token-for-tests";

/// A server on a port of its own, with a folder for kubectl's files.
pub struct Served {
    pub server: ApiServer,
    pub address: String,
    pub authority: String,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

impl Served {
    pub async fn start() -> Served {
        let folder = tempfile::tempdir().unwrap();
        let server = ApiServer::open(Options::default()).await.unwrap();
        let tls = Tls::open(&folder.path().join("tls")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let authority = tls.authority_pem().to_owned();
        let stop = CancellationToken::new();
        let served = server.clone();
        let serving =
            tokio::spawn(listen::serve(listener, tls, TOKEN.to_owned(), served, stop.clone()));
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "hub",
            "clusters": [{"name": "hub", "cluster": {
                "server": address, "certificate-authority-data": STANDARD.encode(&authority),
            }}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "contexts": [{"name": "hub", "context": {"cluster": "hub", "user": "admin"}}],
        });
        std::fs::write(folder.path().join("config"), kubeconfig.to_string()).unwrap();
        Served { server, address, authority, folder, stop, serving: Some(serving) }
    }

    /// Returns a client that trusts the server, and shows this token.
    pub fn client(&self, token: &str) -> Client {
        let mut config = Config::new(self.address.parse().unwrap());
        let certificate = CertificateDer::from_pem_slice(self.authority.as_bytes()).unwrap();
        config.root_cert = Some(vec![certificate.to_vec()]);
        config.auth_info.token = Some(token.to_owned().into());
        Client::try_from(config).unwrap()
    }

    /// Tells the listener to end, and answers what to wait for.
    pub fn end(&mut self) -> JoinHandle<()> {
        self.stop.cancel();
        self.serving.take().unwrap()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A kubectl that knows this server alone, and nothing from before.
    pub fn kubectl(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        isolate(&mut command, self.folder.path());
        let cache = self.file(&format!("cache-{}", uuid::Uuid::new_v4()));
        command
            .arg("--kubeconfig")
            .arg(self.file("config"))
            .arg("--cache-dir")
            .arg(cache)
            .args(arguments);
        command.current_dir(self.folder.path());
        command
    }
}

/// Runs a command on a thread that may block.
pub async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}
