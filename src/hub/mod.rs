//! Hands on a Kubernetes API: connect, discover, read, write.
//!
//! This room translates between our types and HTTP and classifies what went wrong. It decides nothing: which field
//! manager forces what, and whether to try again, is the caller's business. A [`Hub`] is any Kubernetes API server;
//! engine and daemon use the same type for the hub and for members.

pub mod connect;
pub mod discovery;
pub mod error;
pub mod kubeconfig;
pub mod object;
pub mod typed;
pub mod watch;

pub use connect::{Connection, configure, connect};
pub use discovery::{Inventory, Resource};
pub use error::{FieldConflict, HubError, Recovery};
pub use object::{Apply, Delete};
pub use watch::Told;

use std::sync::Arc;

/// A Kubernetes API server, and what is known about its resources. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    client: kube::Client,
    discovery: Arc<discovery::Discovery>,
}

impl Hub {
    /// Returns hands on the API server behind `client`. Sends nothing yet.
    pub fn new(client: kube::Client) -> Self {
        Self { client, discovery: Arc::default() }
    }

    /// Returns the client, for typed `kube::Api`s and watches.
    pub fn client(&self) -> &kube::Client {
        &self.client
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("namespace", &self.client.default_namespace())
            .finish_non_exhaustive()
    }
}
