//! Why a reconciliation failed.

use crate::hub::{HubError, Recovery};

/// A reconciliation failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A Kubernetes API said no, or nothing.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The placement's selectors cannot be met: for its author to change.
    #[error("the resource selectors are invalid: {0}")]
    Selection(String),
    /// Something that should be there soon is not there yet.
    #[error("{0} is not there yet")]
    Awaited(String),
    /// Fleet's controllers have come to the hub.
    #[error("Fleet's controllers have come to this hub: {0}")]
    Intruder(String),
    /// The engine was asked to stop.
    #[error("stopped")]
    Stopped,
}

impl EngineError {
    /// Returns what helps.
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Hub(error) => error.recovery(),
            Self::Selection(_) | Self::Intruder(_) => Recovery::Stall,
            Self::Awaited(_) | Self::Stopped => Recovery::Reread,
        }
    }
}
