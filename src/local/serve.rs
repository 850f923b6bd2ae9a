//! A fleet on loopback, over TLS.

use std::{io, net::Ipv4Addr};

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{directory::DataDirectory, fleet::Fleet, kubeconfig::Context};
use crate::{
    apiserver::listen::{self, Tls, TlsError},
    model::Hint,
};

/// A fleet that can be reached.
pub struct Endpoint {
    /// The clusters, the hub first.
    pub contexts: Vec<Context>,
    /// Certificate of the authority that signed the servers' certificates.
    pub authority_pem: String,
    tasks: JoinSet<()>,
}

impl Endpoint {
    /// Waits until every listener has ended, which they do when told to stop.
    pub async fn ended(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// The fleet cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is taken, or not ours to take.
    #[error("cannot listen on 127.0.0.1:{port} for `{cluster}`")]
    Listen {
        /// The port asked for.
        port: u16,
        /// The hub or a member.
        cluster: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No certificates.
    #[error("cannot prepare certificates")]
    Certificates(#[source] TlsError),
}

impl Hint for ServeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { port, source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some(format!(
                    "port {port} is in use; name another with --port, or leave it out for ports that are free"
                ))
            }
            Self::Listen { .. } => Some("name another port with --port".to_owned()),
            Self::Certificates(_) => None,
        }
    }
}

/// Listens for every cluster: on `port` and those after it, or, when it is 0, on the ports of the last time where they
/// are still free.
///
/// # Errors
/// When a port that was asked for cannot be had.
pub async fn serve(
    fleet: &Fleet,
    directory: &DataDirectory,
    port: u16,
    token: &str,
    stop: &CancellationToken,
) -> Result<Endpoint, ServeError> {
    let tls = Tls::open(&directory.certificates()).map_err(ServeError::Certificates)?;
    let remembered = directory.ports();
    let mut listeners = Vec::new();
    for (number, (cluster, _)) in fleet.servers().iter().enumerate() {
        let wanted = if port == 0 {
            0
        } else {
            port.saturating_add(u16::try_from(number).unwrap_or(u16::MAX))
        };
        let again = remembered.get(number).copied().filter(|_| port == 0);
        listeners.push(listen(cluster, wanted, again).await?);
    }
    let ports: Vec<u16> = listeners
        .iter()
        .filter_map(|l| l.local_addr().ok())
        .map(|address| address.port())
        .collect();
    if let Err(error) = directory.remember_ports(&ports) {
        tracing::warn!(%error, "ports will change at the next start");
    }
    let mut tasks = JoinSet::new();
    let mut contexts = Vec::new();
    for ((listener, port), (cluster, server)) in
        listeners.into_iter().zip(ports).zip(fleet.servers())
    {
        contexts
            .push(Context { name: cluster.clone(), server: format!("https://127.0.0.1:{port}") });
        let (tls, token, server, stop) =
            (tls.clone(), token.to_owned(), server.clone(), stop.clone());
        server.furnish(tls.authority_pem());
        tasks.spawn(async move { listen::serve(listener, tls, token, server, stop).await });
    }
    Ok(Endpoint { contexts, authority_pem: tls.authority_pem().to_owned(), tasks })
}

async fn listen(cluster: &str, wanted: u16, again: Option<u16>) -> Result<TcpListener, ServeError> {
    let bind = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = again
        && let Ok(listener) = bind(port).await
    {
        return Ok(listener);
    }
    bind(wanted).await.map_err(|source| ServeError::Listen {
        port: wanted,
        cluster: cluster.to_owned(),
        source,
    })
}
