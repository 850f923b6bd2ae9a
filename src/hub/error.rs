//! What can go wrong with a Kubernetes API, and what helps.

use std::{error::Error as StdError, fmt};

use kube::core::Status;

use crate::model::hint::Hint;

/// A request to a Kubernetes API failed.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// No usable address or credentials.
    #[error("no way to the Kubernetes API server")]
    Configuration(#[source] Box<dyn StdError + Send + Sync>),
    /// The server serves no such kind.
    #[error("the API server knows no kind `{kind}` in `{api_version}`")]
    UnknownKind {
        /// `group/version`, or the group alone when no version was asked for.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// The object that should be written has no apiVersion, kind or name, or the answer has another shape than asked.
    #[error("{what} is malformed: {detail}")]
    Malformed {
        /// Which object.
        what: String,
        /// What is missing or wrong.
        detail: String,
    },
    /// There is no such object.
    #[error("{what} not found")]
    NotFound {
        /// Which object.
        what: String,
    },
    /// There is an object of this name already.
    #[error("{what} exists already")]
    AlreadyExists {
        /// Which object.
        what: String,
    },
    /// The object changed since it was read, or a precondition does not hold.
    #[error("{what} changed in the meantime: {message}")]
    Stale {
        /// Which object.
        what: String,
        /// The server's words.
        message: String,
    },
    /// Other field managers own fields that the apply would change.
    #[error("{what} has fields that others manage: {}", list(.conflicts))]
    Conflict {
        /// Which object.
        what: String,
        /// Who owns what.
        conflicts: Vec<FieldConflict>,
    },
    /// The server refuses the object.
    #[error("the API server refuses {what}: {message}")]
    Refused {
        /// Which object.
        what: String,
        /// HTTP status code.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// We may not do this.
    #[error("no permission for {what}: {message}")]
    Forbidden {
        /// Which object.
        what: String,
        /// The server's words.
        message: String,
    },
    /// The server is overloaded, starting, or failing.
    #[error("the API server cannot serve {what} now: {message}")]
    Unavailable {
        /// Which object.
        what: String,
        /// The server's words.
        message: String,
    },
    /// The server did not answer.
    #[error("no answer from the API server for {what}")]
    Unreachable {
        /// Which object.
        what: String,
        /// The transport's error.
        #[source]
        source: Box<kube::Error>,
    },
}

/// A field that another manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldConflict {
    /// The owner, as the server names it: `"kubectl-edit" using v1`.
    pub manager: String,
    /// The field's path, such as `.data.key`.
    pub path: String,
}

/// What helps against an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Read the object again and decide anew, at once.
    Reread,
    /// Try the same again, later and later.
    BackOff,
    /// Nothing until somebody changes something.
    Stall,
}

impl HubError {
    /// Returns what helps.
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::NotFound { .. } | Self::AlreadyExists { .. } | Self::Stale { .. } => {
                Recovery::Reread
            }
            // A kind may be installed, and a permission granted, without a word to us: look again, ever more rarely.
            Self::UnknownKind { .. }
            | Self::Forbidden { .. }
            | Self::Unavailable { .. }
            | Self::Unreachable { .. } => Recovery::BackOff,
            Self::Configuration(_)
            | Self::Malformed { .. }
            | Self::Conflict { .. }
            | Self::Refused { .. } => Recovery::Stall,
        }
    }

    /// Returns whether there is no such object.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Returns what a failed request about `what` means.
    pub(super) fn of(error: kube::Error, what: impl fmt::Display) -> Self {
        let what = what.to_string();
        match error {
            kube::Error::Api(status) => Self::of_status(&status, what),
            kube::Error::SerdeError(source) => Self::Malformed { what, detail: source.to_string() },
            source => Self::Unreachable { what, source: Box::new(source) },
        }
    }

    fn of_status(status: &Status, what: String) -> Self {
        let message = status.message.clone();
        match (status.code, status.reason.as_str()) {
            (404, _) => Self::NotFound { what },
            (409, "AlreadyExists") => Self::AlreadyExists { what },
            (409, _) => {
                let conflicts = field_conflicts(status);
                if conflicts.is_empty() {
                    Self::Stale { what, message }
                } else {
                    Self::Conflict { what, conflicts }
                }
            }
            (401 | 403, _) => Self::Forbidden { what, message },
            (400..=499, _) if status.code != 429 && status.code != 408 => {
                Self::Refused { what, code: status.code, message }
            }
            _ => Self::Unavailable { what, message },
        }
    }
}

/// Returns the causes with reason `FieldManagerConflict`: message `conflict with "manager" using version`.
fn field_conflicts(status: &Status) -> Vec<FieldConflict> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| FieldConflict {
            manager: cause
                .message
                .strip_prefix("conflict with ")
                .unwrap_or(&cause.message)
                .to_owned(),
            path: cause.field.clone(),
        })
        .collect()
}

fn list(conflicts: &[FieldConflict]) -> String {
    const SHOWN: usize = 5;
    let mut text = conflicts
        .iter()
        .take(SHOWN)
        .map(|conflict| format!("{} by {}", conflict.path, conflict.manager))
        .collect::<Vec<_>>()
        .join(", ");
    if conflicts.len() > SHOWN {
        text.push_str(&format!(" and {} more", conflicts.len() - SHOWN));
    }
    text
}

impl Hint for HubError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Configuration(_) => {
                Some("name a kubeconfig with --kubeconfig and a context with --context".into())
            }
            Self::UnknownKind { .. } => Some("install its CustomResourceDefinition first".into()),
            Self::Conflict { .. } => Some(
                "let the other manager give the fields up, or take them out of the manifest".into(),
            ),
            Self::Forbidden { .. } => {
                Some("give the account a Role or ClusterRole that allows it".into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    fn status(code: u16, reason: &str, causes: Vec<StatusCause>) -> HubError {
        let status = Status::failure("no", reason).with_code(code).with_details(StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            retry_after_seconds: 0,
            causes,
        });
        HubError::of(kube::Error::Api(status.boxed()), "ConfigMap a/b")
    }

    #[test]
    fn status_codes_say_what_helps() {
        for (code, reason, want) in [
            (404, "NotFound", Recovery::Reread),
            (409, "AlreadyExists", Recovery::Reread),
            (409, "Conflict", Recovery::Reread),
            (403, "Forbidden", Recovery::BackOff),
            (422, "Invalid", Recovery::Stall),
            (400, "BadRequest", Recovery::Stall),
            (429, "TooManyRequests", Recovery::BackOff),
            (500, "InternalError", Recovery::BackOff),
            (503, "ServiceUnavailable", Recovery::BackOff),
        ] {
            assert_eq!(status(code, reason, Vec::new()).recovery(), want, "{code} {reason}");
        }
    }

    #[test]
    fn apply_conflicts_name_manager_and_path() {
        let error = status(
            409,
            "Conflict",
            vec![StatusCause {
                reason: "FieldManagerConflict".into(),
                message: "conflict with \"kubectl-edit\" using v1".into(),
                field: ".data.key".into(),
            }],
        );
        assert_eq!(error.recovery(), Recovery::Stall);
        assert_eq!(
            error.to_string(),
            "ConfigMap a/b has fields that others manage: .data.key by \"kubectl-edit\" using v1"
        );
    }
}
