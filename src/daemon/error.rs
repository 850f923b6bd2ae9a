//! Why the daemon does not start.

use crate::{hub::HubError, model::Hint};

/// The daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The hub does not know what a Rollout, or a placement, is.
    #[error("the hub has no {kind} ({group})")]
    NoKind {
        /// The kind.
        kind: &'static str,
        /// Its group.
        group: &'static str,
    },
    /// The hub does not answer, or refuses.
    #[error("cannot look at the hub")]
    Hub(#[from] HubError),
    /// A repository's address or policy cannot be used.
    #[error("cannot follow `{repository}`: {detail}")]
    Source {
        /// The repository, without credentials.
        repository: String,
        /// Why.
        detail: String,
    },
}

impl Hint for DaemonError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoKind { .. } => Some(
                "install the CustomResourceDefinitions: `tidegate install | kubectl apply -f -`"
                    .into(),
            ),
            Self::Hub(error) => error.hint(),
            Self::Source { .. } => None,
        }
    }
}
