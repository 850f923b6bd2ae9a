//! Where a Fleet object lives.

use std::fmt;

/// The whole cluster, or one namespace. Fleet has every kind of a rollout in both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Cluster-scoped kinds: `ClusterResourcePlacement`, `ClusterStagedUpdateRun`, …
    Cluster,
    /// Namespaced kinds in this namespace: `ResourcePlacement`, `StagedUpdateRun`, …
    Namespace(String),
}

impl Scope {
    /// Returns the scope of an object with this `metadata.namespace`.
    pub fn of(namespace: Option<&str>) -> Self {
        match namespace {
            Some(namespace) if !namespace.is_empty() => Self::Namespace(namespace.to_owned()),
            _ => Self::Cluster,
        }
    }

    /// Returns the namespace, or nothing for the cluster scope.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Cluster => None,
            Self::Namespace(namespace) => Some(namespace),
        }
    }

    /// Returns `namespace/name`, with an empty namespace for the cluster scope: the form of a key in Fleet's messages
    /// (fleet-semantics §5.2).
    pub fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace().unwrap_or_default())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the cluster"),
            Self::Namespace(namespace) => write!(f, "namespace `{namespace}`"),
        }
    }
}
