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

    /// Returns whether the server did not answer, or does not know who asks: no right and no flag would help.
    pub fn is_about_the_way(&self) -> bool {
        match self {
            Self::Configuration(_) | Self::Unreachable { .. } => true,
            Self::Forbidden { message, .. } => message.contains(UNAUTHORIZED),
            _ => false,
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
            kube::Error::SerdeError(source) => {
                Self::Malformed { detail: told(&what, source.to_string()), what }
            }
            source => Self::Unreachable { what, source: Box::new(source) },
        }
    }

    fn of_status(status: &Status, what: String) -> Self {
        let message = status.message.clone();
        match (status.code, status.reason.as_str()) {
            (404, _) => match missing_namespace(status, &what) {
                Some(namespace) => {
                    Self::NotFound { what: format!("{NAMESPACE}{namespace}` of {what}") }
                }
                None => Self::NotFound { what },
            },
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
                Self::Refused { message: told(&what, message), what, code: status.code }
            }
            // What an apply sets and the schema does not have: kube-apiserver calls that an internal error of its own.
            (500, _) if message.starts_with("failed to create typed patch object") => {
                Self::Refused { message: told(&what, message), what, code: status.code }
            }
            _ => Self::Unavailable { message: told(&what, message), what },
        }
    }
}

/// Returns the words about an object, but none about a Secret: what is wrong with one is said by quoting it.
fn told(what: &str, words: String) -> String {
    const LEFT_OUT: &str = "the words are left out, for they may quote what it holds (`kubectl apply --server-side --dry-run=server` shows them)";
    match what.starts_with("Secret ") {
        true => LEFT_OUT.to_owned(),
        false => words,
    }
}

/// How API servers answer whom they do not know.
const UNAUTHORIZED: &str = "Unauthorized";

/// How a namespace that is missing is named.
const NAMESPACE: &str = "namespace `";

/// Returns the namespace that is not there, when the answer about an object is about its namespace.
fn missing_namespace(status: &Status, what: &str) -> Option<String> {
    let details = status.details.as_ref().filter(|details| details.kind == "namespaces")?;
    (!what.starts_with("Namespace ")).then(|| details.name.clone())
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
            Self::NotFound { what } if what.starts_with(NAMESPACE) => {
                Some("commit the namespace, too, or create it on the hub".into())
            }
            Self::Conflict { .. } => Some(
                "let the other manager give the fields up, or take them out of the manifest".into(),
            ),
            Self::Forbidden { .. } if self.is_about_the_way() => Some(
                "the token or certificate in the kubeconfig is wrong or has expired; get a fresh kubeconfig"
                    .into(),
            ),
            Self::Unreachable { .. } => {
                Some("is it up? Else check the address of the context in the kubeconfig".into())
            }
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

    fn details(kind: &str, name: &str, causes: Vec<StatusCause>) -> StatusDetails {
        StatusDetails {
            name: name.to_owned(),
            group: String::new(),
            kind: kind.to_owned(),
            uid: String::new(),
            retry_after_seconds: 0,
            causes,
        }
    }

    fn status(code: u16, reason: &str, causes: Vec<StatusCause>) -> HubError {
        let details = details("", "", causes);
        let status = Status::failure("no", reason).with_code(code).with_details(details);
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
    fn what_a_secret_holds_is_in_no_error() {
        let quoted =
            "failed to create typed patch object: .stringData: expected map, got &{hunter2}";
        for (what, code, is_told) in [
            ("Secret a/b", 500, false),
            ("Secret a/b", 422, false),
            ("Secret a/b", 503, false),
            ("SecretStore a/b", 422, true),
            ("ConfigMap a/Secret", 422, true),
        ] {
            let status = Status::failure(quoted, "").with_code(code);
            let error = HubError::of(kube::Error::Api(status.boxed()), what);
            assert_eq!(error.to_string().contains("hunter2"), is_told, "{what} {code}");
            assert_eq!(format!("{error:?}").contains("hunter2"), is_told, "{what} {code}");
        }
    }

    /// Kubernetes answers 500 to a field that the schema does not have: trying again does not help.
    #[test]
    fn what_no_schema_takes_is_refused_and_a_missing_namespace_is_named() {
        let of = |code: u16, message: &str, details: StatusDetails| {
            let status = Status::failure(message, "").with_code(code).with_details(details);
            HubError::of(kube::Error::Api(status.boxed()), "ConfigMap other/x")
        };
        let typed = "failed to create typed patch object (other/x; /v1, Kind=ConfigMap): .data.a: expected string";
        let error = of(500, typed, details("", "", Vec::new()));
        assert_eq!(error.recovery(), Recovery::Stall);
        assert!(error.to_string().starts_with("the API server refuses ConfigMap other/x: "));
        let details = |kind: &str, name: &str| details(kind, name, Vec::new());
        let error = of(404, "namespaces \"other\" not found", details("namespaces", "other"));
        assert_eq!(error.to_string(), "namespace `other` of ConfigMap other/x not found");
        assert!(error.hint().unwrap().contains("create it on the hub"));
        let error = of(404, "no", details("configmaps", "x"));
        assert_eq!((error.to_string(), error.hint()), ("ConfigMap other/x not found".into(), None));
    }

    #[test]
    fn who_is_not_known_is_told_so_and_not_to_ask_for_rights() {
        let hint = |code: u16, message: &str| {
            let status = Status::failure(message, "").with_code(code);
            HubError::of(kube::Error::Api(status.boxed()), "x").hint().unwrap()
        };
        assert!(hint(401, "Unauthorized").contains("get a fresh kubeconfig"));
        assert!(hint(403, "x is forbidden: User \"y\" cannot list").contains("Role"));
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
