//! Finding the API server.

use std::path::PathBuf;

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::{Hub, HubError};

/// Where the API server's address and credentials come from.
#[derive(Clone, Debug, Default)]
pub enum Connection {
    /// What kubectl would use: `KUBECONFIG` or `~/.kube/config`; inside a pod, its service account.
    #[default]
    Inferred,
    /// A kubeconfig.
    Kubeconfig {
        /// The file; nothing for the default path.
        path: Option<PathBuf>,
        /// The context; nothing for the current one.
        context: Option<String>,
    },
    /// The pod's service account.
    InCluster,
}

/// Returns the address and the credentials that `connection` describes. Sends nothing.
///
/// # Errors
/// [`HubError::Configuration`] when the kubeconfig cannot be read or lacks the context, or when there is no service
/// account.
pub async fn configure(connection: &Connection) -> Result<Config, HubError> {
    match connection {
        Connection::Inferred => Config::infer().await.map_err(configuration),
        Connection::InCluster => Config::incluster().map_err(configuration),
        Connection::Kubeconfig { path, context } => {
            let options = KubeConfigOptions { context: context.clone(), ..Default::default() };
            match path {
                None => Config::from_kubeconfig(&options).await.map_err(configuration),
                Some(path) => {
                    let file = Kubeconfig::read_from(path).map_err(configuration)?;
                    Config::from_custom_kubeconfig(file, &options).await.map_err(configuration)
                }
            }
        }
    }
}

/// Returns hands on the API server that `connection` describes. Sends nothing yet.
///
/// # Errors
/// As [`configure`], and when the credentials cannot be used.
pub async fn connect(connection: &Connection) -> Result<Hub, HubError> {
    let config = configure(connection).await?;
    Ok(Hub::new(Client::try_from(config).map_err(configuration)?))
}

fn configuration(source: impl std::error::Error + Send + Sync + 'static) -> HubError {
    HubError::Configuration(Box::new(source))
}
