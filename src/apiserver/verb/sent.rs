//! What a client sent, as an object of the kind that it was sent to.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Call;
use crate::apiserver::{
    builtin::{ResourceDefinition, admission},
    decode,
    failure::Failure,
    json::Decoded,
    object,
    schema::FieldError,
};

/// Why an object is none of the resource's kind.
pub(super) enum WrongKind {
    /// It is refused as it is.
    Refused(Failure),
    /// Go could not read it, with this reason.
    Unread(String),
}

impl Call {
    /// Decodes the body as an object of this kind.
    pub(super) fn decode(&self) -> Result<Decoded, Failure> {
        let kind = &self.definition().kind;
        let mut decoded = decode::object(&self.content_type, &self.body)
            .map_err(|error| error.about(kind, &self.body))?;
        let is_untyped = |value: &Value| value.get("kind").is_none_or(|kind| kind == "");
        if !self.definition().builtin && is_untyped(&decoded.value) {
            let (text, summary) =
                (String::from_utf8_lossy(&self.body), decode::summary(&self.body));
            return Err(Failure::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): Object 'Kind' is missing in '{text}' \
                 ({summary})"
            )));
        }
        if decoded.value.is_null() {
            decoded.value = json!({});
        }
        Ok(decoded)
    }

    /// Checks that a decoded body is an object of this kind, in this namespace.
    pub(super) fn check_identity(&self, object: &mut Value) -> Result<(), Failure> {
        self.check_kind(object).map_err(|why| match why {
            WrongKind::Refused(failure) => failure,
            WrongKind::Unread(why) => {
                let text = |field: &str| object.get(field).and_then(Value::as_str);
                let api_version = text("apiVersion").unwrap_or_default();
                let version = api_version.rsplit('/').next().unwrap_or_default();
                let (given, kind) = (text("kind").unwrap_or_default(), &self.definition().kind);
                Failure::bad_request(format!(
                    "{given} in version \"{version}\" cannot be handled as a {kind}: {why}"
                ))
            }
        })?;
        admission::check_types(self.definition(), object).map_err(|why| self.unreadable(&why))?;
        object::metadata_mut(object);
        self.check_namespace(object)
    }

    /// Checks the namespace of an object, and fills it in.
    pub(super) fn check_namespace(&self, object: &mut Value) -> Result<(), Failure> {
        let namespace = self.namespace();
        match object::namespace(object) {
            given if given == namespace => {}
            "" => object::set(object, "namespace", namespace.into()),
            _ if namespace.is_empty() => object::set(object, "namespace", Value::Null),
            _ => {
                return Err(Failure::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
        }
        Ok(())
    }

    /// Checks that an object has this resource's kind and version, and fills them in.
    pub(super) fn check_kind(&self, object: &mut Value) -> Result<(), WrongKind> {
        let definition = self.definition();
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion").to_owned(), text("kind").to_owned());
        let expected = definition.api_version();
        let has_kind = kind.is_empty() || kind == definition.kind;
        let has_version = api_version.is_empty() || api_version == expected;
        if has_kind && has_version {
            object["apiVersion"] = expected.into();
            object["kind"] = definition.kind.as_str().into();
            return Ok(());
        }
        if !definition.builtin {
            return Err(WrongKind::Refused(if has_version {
                let why = format!("must be {}", definition.kind);
                let error = FieldError::invalid("kind", &kind.as_str().into(), &why);
                Failure::invalid_kind(&definition.group, &kind, object::name(object), &[error])
            } else {
                Failure::bad_request(format!(
                    "the API version in the data ({api_version}) does not match the expected API version ({expected})"
                ))
            }));
        }
        let registered = self.server.registry.served().of_kind(&api_version, &kind).map(Arc::clone);
        let internal = |group: &str| match group.split('.').next() {
            None | Some("") => "core".to_owned(),
            Some(first) => first.to_owned(),
        };
        Err(WrongKind::Unread(match registered.filter(|r| r.definition.builtin) {
            Some(other) => format!(
                "converting ({}.{kind}) to ({}.{}): unknown conversion",
                other.definition.version,
                internal(&definition.group),
                definition.kind
            ),
            None => format!(
                "no kind \"{kind}\" is registered for version \"{api_version}\" in scheme \
                 \"pkg/runtime/scheme.go:111\""
            ),
        }))
    }

    /// 400 for a body that Go could not read as this kind.
    pub(super) fn unreadable(&self, why: &str) -> Failure {
        let ResourceDefinition { kind, version, .. } = self.definition();
        Failure::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"
        ))
    }
}
