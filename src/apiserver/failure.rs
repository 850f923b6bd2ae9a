//! Refusals: `meta/v1.Status` with the reasons and words that clients of Kubernetes expect
//! (`apimachinery/pkg/api/errors`).

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    builtin::ResourceDefinition,
    patch::apply::{ApplyError, Conflict},
    schema::FieldError,
    store::CommitError,
};

/// A request that is not fulfilled.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Map<String, Value>,
    /// Whether details are written although there are none.
    has_details: bool,
    warnings: Vec<String>,
    continue_token: Option<String>,
}

/// `the object has been modified…`, what optimistic concurrency answers.
const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

impl Failure {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            code,
            reason,
            message: message.into(),
            details: Map::new(),
            has_details: false,
            warnings: Vec::new(),
            continue_token: None,
        }
    }

    /// A refusal from where kube-apiserver knows neither resource nor object.
    fn general(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Failure {
        Failure { has_details: true, ..Failure::new(code, reason, message) }
    }

    /// 404 for a path below a group of built-in kinds.
    pub(super) fn no_such_resource() -> Failure {
        let message = "the server could not find the requested resource";
        Failure::general(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// 500 with a plain message.
    pub(super) fn faulty(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    fn about(mut self, definition: &ResourceDefinition, name: &str) -> Failure {
        self.detail("name", name);
        self.detail("group", &definition.group);
        self.detail("kind", &definition.plural);
        self
    }

    fn detail(&mut self, field: &str, text: &str) {
        if !text.is_empty() {
            self.details.insert(field.to_owned(), text.into());
        }
    }

    /// 400.
    pub(super) fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 401.
    pub(super) fn unauthorized() -> Failure {
        Failure::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// 403: `configmaps "x" is forbidden: TEXT`.
    pub(super) fn forbidden(definition: &ResourceDefinition, name: &str, why: &str) -> Failure {
        let resource = definition.qualified_name();
        let message = format!("{resource} \"{name}\" is forbidden: {why}");
        Failure::new(StatusCode::FORBIDDEN, "Forbidden", message).about(definition, name)
    }

    /// What an admission policy refuses, with the code of its reason.
    pub(super) fn denied(
        definition: &ResourceDefinition,
        name: &str,
        message: &str,
        reason: &str,
    ) -> Failure {
        let (code, reason) = match reason {
            "Forbidden" => (StatusCode::FORBIDDEN, "Forbidden"),
            "Unauthorized" => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            "RequestEntityTooLarge" => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid"),
        };
        let mut failure = Failure::forbidden(definition, name, message);
        (failure.code, failure.reason) = (code, reason);
        failure.details.insert("causes".to_owned(), json!([{"message": message}]));
        failure
    }

    /// 403 for what a user may not do, whether or not there is such a resource.
    pub(super) fn not_allowed(group: &str, resource: &str, name: &str, why: &str) -> Failure {
        let qualified = match group {
            "" => resource.to_owned(),
            group => format!("{resource}.{group}"),
        };
        let message = match (resource, name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{qualified} is forbidden: {why}"),
            (_, name) => format!("{qualified} \"{name}\" is forbidden: {why}"),
        };
        let mut failure = Failure::general(StatusCode::FORBIDDEN, "Forbidden", message);
        failure.detail("name", name);
        failure.detail("group", group);
        failure.detail("kind", resource);
        failure
    }

    /// 403 for a create in a namespace that is going away.
    pub(super) fn namespace_terminating(
        definition: &ResourceDefinition,
        name: &str,
        namespace: &str,
    ) -> Failure {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut failure = Failure::forbidden(definition, name, &why);
        failure.details.insert(
            "causes".to_owned(),
            json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]),
        );
        failure
    }

    /// 404: `configmaps "x" not found`.
    pub(super) fn not_found(definition: &ResourceDefinition, name: &str) -> Failure {
        let message = format!("{} \"{name}\" not found", definition.qualified_name());
        Failure::new(StatusCode::NOT_FOUND, "NotFound", message).about(definition, name)
    }

    /// 405.
    pub(super) fn method_not_allowed(definition: &ResourceDefinition, verb: &str) -> Failure {
        if definition.builtin {
            return Failure::method_not_routed();
        }
        let message = format!(
            "{verb} is not supported on resources of kind \"{}\"",
            definition.qualified_name()
        );
        let mut failure = Failure::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message);
        failure.detail("group", &definition.group);
        failure.detail("kind", &definition.plural);
        failure
    }

    /// 405 for a path that nothing with this method is at.
    pub(super) fn method_not_routed() -> Failure {
        let message = "the server does not allow this method on the requested resource";
        Failure::general(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// 405 with another text.
    pub(super) fn method_not_allowed_because(
        definition: &ResourceDefinition,
        why: &str,
    ) -> Failure {
        let mut failure = Failure::method_not_allowed(definition, "create");
        failure.message = why.to_owned();
        failure
    }

    /// 406.
    pub(super) fn not_acceptable() -> Failure {
        let message =
            "only the following media types are accepted: application/json, application/yaml";
        Failure::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// 406 for one object asked for as a list, or the other way round.
    pub(super) fn other_form(
        asked: &str,
        is: &str,
        definition: &ResourceDefinition,
        suffix: &str,
    ) -> Failure {
        let of = match (definition.builtin, definition.group.split('.').next()) {
            (false, _) => format!("unstructured.Unstructured{suffix}"),
            (true, None | Some("")) => format!("core.{}{suffix}", definition.kind),
            (true, Some(group)) => format!("{group}.{}{suffix}", definition.kind),
        };
        let message = format!("you requested {asked}, but the requested object {is} (*{of})");
        Failure::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// 409: `configmaps "x" already exists`.
    pub(super) fn already_exists(definition: &ResourceDefinition, name: &str) -> Failure {
        let message = format!("{} \"{name}\" already exists", definition.qualified_name());
        Failure::new(StatusCode::CONFLICT, "AlreadyExists", message).about(definition, name)
    }

    /// 409: the object is no longer what the client thinks.
    pub(super) fn modified(definition: &ResourceDefinition, name: &str) -> Failure {
        Failure::conflict(definition, name, MODIFIED)
    }

    /// 409 with another text.
    pub(super) fn conflict(definition: &ResourceDefinition, name: &str, why: &str) -> Failure {
        let resource = definition.qualified_name();
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Failure::new(StatusCode::CONFLICT, "Conflict", message).about(definition, name)
    }

    /// 409 of a deletion, which kube-apiserver says of the kind rather than of the resource.
    pub(super) fn precondition(definition: &ResourceDefinition, name: &str, why: &str) -> Failure {
        let resource = match definition.group.as_str() {
            "" => definition.kind.clone(),
            group => format!("{}.{group}", definition.kind),
        };
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        let mut failure = Failure::new(StatusCode::CONFLICT, "Conflict", message);
        failure.about_kind(definition, name);
        failure
    }

    fn about_kind(&mut self, definition: &ResourceDefinition, name: &str) {
        self.detail("name", name);
        self.detail("group", &definition.group);
        self.detail("kind", &definition.kind);
    }

    /// 409 or another code, as server-side apply refuses.
    pub(super) fn apply(error: ApplyError) -> Failure {
        let message = error.to_string();
        match error {
            ApplyError::Conflicts(conflicts) => {
                let mut failure = Failure::new(StatusCode::CONFLICT, "Conflict", message);
                let causes: Vec<Value> = conflicts.iter().map(conflict_cause).collect();
                failure.details.insert("causes".to_owned(), causes.into());
                failure
            }
            ApplyError::Invalid(_) => Failure::bad_request(message),
            ApplyError::Mistyped(_) => Failure::faulty(message),
        }
    }

    /// 409 about a part of an object: `Operation cannot be fulfilled on pods/binding "x": …`.
    pub(super) fn about_part(
        definition: &ResourceDefinition,
        part: &str,
        name: &str,
        why: &str,
    ) -> Failure {
        let resource = format!("{}/{part}", definition.qualified_name());
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        let mut failure = Failure::new(StatusCode::CONFLICT, "Conflict", message);
        failure.detail("name", name);
        failure.detail("kind", &resource);
        failure
    }

    /// 429: a disruption budget is against it, and why. To be tried again after some seconds, if any are said.
    pub(super) fn too_many_disruptions(message: &str, why: &str, seconds: u64) -> Failure {
        let code = StatusCode::TOO_MANY_REQUESTS;
        let mut failure = Failure::new(code, "TooManyRequests", message);
        let cause = json!([{"reason": "DisruptionBudget", "message": why}]);
        failure.details.insert("causes".to_owned(), cause);
        if seconds > 0 {
            failure.details.insert("retryAfterSeconds".to_owned(), seconds.into());
        }
        failure
    }

    /// 410: history does not reach back that far.
    pub(super) fn expired(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::GONE, "Expired", message)
    }

    /// 410 for a watch: `too old resource version: 3 (17)`.
    pub(super) fn too_old(asked: u64, oldest: u64) -> Failure {
        Failure::expired(format!("too old resource version: {asked} ({oldest})"))
    }

    /// A token with which the client may go on although the state has moved.
    pub(super) fn continue_with(mut self, token: String) -> Failure {
        self.continue_token = Some(token);
        self
    }

    /// 413.
    pub(super) fn too_large(limit: usize) -> Failure {
        let message = format!("limit is {limit}");
        let message = format!("Request entity too large: {message}");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// 415 as kube-apiserver's router of built-in kinds words it.
    pub(super) fn no_such_media_type() -> Failure {
        let message = "415: Unsupported Media Type";
        Failure::general(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// 415.
    pub(super) fn unsupported_media_type(accepted: &[&str]) -> Failure {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// 422: `ConfigMap "x" is invalid: data: …`, with a cause for each error.
    pub(super) fn invalid(
        definition: &ResourceDefinition,
        name: &str,
        errors: &[FieldError],
    ) -> Failure {
        let qualified = match definition.group.as_str() {
            "" => definition.kind.clone(),
            group => format!("{}.{group}", definition.kind),
        };
        let message = format!("{qualified} \"{name}\" is invalid: {}", aggregate(errors));
        let mut failure = Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        failure.detail("name", name);
        failure.detail("group", &definition.group);
        failure.detail("kind", &definition.kind);
        let causes: Vec<Value> = errors.iter().map(cause).collect();
        failure.details.insert("causes".to_owned(), causes.into());
        failure
    }

    /// 422 for a write that must say which version it replaces. It comes from where kube-apiserver knows the resource,
    /// but not its kind (`registry/generic/registry.Store`).
    pub(super) fn unversioned(definition: &ResourceDefinition, name: &str) -> Failure {
        let text = "must be specified for an update";
        let error = FieldError::invalid("metadata.resourceVersion", &Value::from(0), text);
        let mut failure = Failure::invalid(definition, name, std::slice::from_ref(&error));
        failure.message = format!("{} \"{name}\" is invalid: {error}", definition.qualified_name());
        failure.detail("kind", &definition.plural);
        failure
    }

    /// 422 about the parameters of a request: `CreateOptions.meta.k8s.io "" is invalid: …`.
    pub(super) fn invalid_options(kind: &str, errors: &[FieldError]) -> Failure {
        let message = format!("{kind}.meta.k8s.io \"\" is invalid: {}", aggregate(errors));
        let mut failure = Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        failure.detail("group", "meta.k8s.io");
        failure.detail("kind", kind);
        let causes: Vec<Value> = errors.iter().map(cause).collect();
        failure.details.insert("causes".to_owned(), causes.into());
        failure
    }

    /// 422 about one field of something that is called otherwise than the resource's kind.
    pub(super) fn invalid_kind(
        group: &str,
        kind: &str,
        name: &str,
        errors: &[FieldError],
    ) -> Failure {
        let message = format!("{kind}.{group} \"{name}\" is invalid: {}", aggregate(errors));
        let mut failure = Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        failure.detail("name", name);
        failure.detail("group", group);
        failure.detail("kind", kind);
        let causes: Vec<Value> = errors.iter().map(cause).collect();
        failure.details.insert("causes".to_owned(), causes.into());
        failure
    }

    /// 422 about a patch, shown by `shown`, whose result is no object of the kind.
    pub(super) fn invalid_patch(shown: &str, why: &str) -> Failure {
        let error = FieldError::invalid("patch", &shown.into(), why);
        let message = format!(" \"\" is invalid: {error}");
        let mut failure = Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        failure.details.insert("causes".to_owned(), json!([cause(&error)]));
        failure
    }

    /// 400 for a `resourceVersion` that is no number.
    pub(super) fn invalid_revision(text: &str) -> Failure {
        Failure::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"
        ))
    }

    /// The refusal of a `resourceVersion` where kube-apiserver reads it for one object.
    pub(super) fn of_one_object(self) -> Failure {
        match self.message.strip_prefix("invalid resource version: ") {
            Some(message) => Failure::faulty(message),
            None => self,
        }
    }

    /// 422 for a patch that does not fit.
    pub(super) fn unprocessable() -> Failure {
        let message = "the server rejected our request due to an error in our request";
        Failure::general(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }

    /// 500.
    pub(super) fn internal(why: impl std::fmt::Display) -> Failure {
        let message = format!("Internal error occurred: {why}");
        let mut failure = Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message);
        failure.details.insert("causes".to_owned(), json!([{"message": why.to_string()}]));
        failure
    }

    /// 504: a revision that is still to come.
    pub(super) fn too_new(asked: u64, current: u64) -> Failure {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let mut failure =
            Failure::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", format!("Timeout: {message}"));
        failure.details.insert(
            "causes".to_owned(),
            json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]),
        );
        failure.details.insert("retryAfterSeconds".to_owned(), 1.into());
        failure
    }

    /// 413 with another text.
    pub(super) fn too_large_because(why: impl Into<String>) -> Failure {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", why)
    }

    /// With what the client is warned of besides.
    pub(super) fn warn(mut self, warnings: Vec<String>) -> Failure {
        self.warnings = warnings;
        self
    }

    /// What the client is warned of besides.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// After how many seconds to ask again.
    pub(super) fn retry_after(&self) -> Option<u64> {
        self.details.get("retryAfterSeconds").and_then(Value::as_u64)
    }

    /// Whether there is no such object.
    pub(super) fn is_not_found(&self) -> bool {
        self.code == StatusCode::NOT_FOUND
    }

    /// Whether the name is taken.
    pub(super) fn is_already_exists(&self) -> bool {
        self.reason == "AlreadyExists"
    }

    /// The HTTP status.
    pub(super) fn code(&self) -> StatusCode {
        self.code
    }

    /// The Status object.
    pub(super) fn status(&self) -> Value {
        let mut metadata = json!({});
        if let Some(token) = &self.continue_token {
            metadata["continue"] = token.as_str().into();
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
            "code": self.code.as_u16(),
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if self.has_details || !self.details.is_empty() {
            status["details"] = Value::Object(self.details.clone());
        }
        status
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Failure {
        match error {
            // Verbs handle staleness themselves; what gets here has lost too often.
            CommitError::Stale => Failure::new(StatusCode::CONFLICT, "Conflict", MODIFIED),
            unavailable @ CommitError::Unavailable(_) => Failure::internal(unavailable.to_string()),
        }
    }
}

/// One error as it is; several in brackets, without repetition, as Go's `utilerrors.Aggregate` prints them.
fn aggregate(errors: &[FieldError]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in errors {
        let text = error.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

fn cause(error: &FieldError) -> Value {
    json!({"reason": error.kind.reason(), "message": error.detail, "field": error.path})
}

fn conflict_cause(conflict: &Conflict) -> Value {
    json!({"reason": "FieldManagerConflict", "message": conflict.message(), "field": conflict.path})
}
