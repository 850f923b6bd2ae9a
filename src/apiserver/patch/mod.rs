//! The four ways to patch an object: JSON patch, JSON merge patch, strategic merge patch and server-side apply.

pub mod apply;
pub mod json;
pub mod merge;
pub mod strategic;

#[cfg(test)]
mod builtin_tests;

/// Why a patch could not be applied. The HTTP status is [`PatchError::code`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch itself is malformed: 400 `BadRequest`.
    #[error("{0}")]
    Malformed(String),
    /// The patch is well formed but does not fit the object: 422 `Invalid`. kube-apiserver's message for it is "the
    /// server rejected our request due to an error in our request", with this text as the cause.
    #[error("{0}")]
    Unprocessable(String),
    /// The patch is over a limit: 413 `RequestEntityTooLarge`.
    #[error("{0}")]
    TooLarge(String),
}

impl PatchError {
    /// The HTTP status that kube-apiserver answers with.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unprocessable(_) => 422,
            Self::TooLarge(_) => 413,
        }
    }
}
