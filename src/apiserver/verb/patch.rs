//! PATCH of one object, in four ways.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Call, Part,
    create::Made,
    options::WriteOptions,
    prepare::Origin,
    scale,
    sent::WrongKind,
    update::{Unstored, check_name},
};
use crate::apiserver::{
    answer::Answer,
    builtin::admission,
    failure::Failure,
    json::{self, Decoded},
    object,
    patch::{self, PatchError, apply},
    schema::FieldError,
    yaml,
};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// How a patch is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Json,
    Merge,
    Strategic,
    Apply,
}

/// Times that a patch is made anew because somebody else wrote in between. Each time somebody else got on.
const ATTEMPTS: usize = 64;

pub(super) async fn patch(call: &Call, name: &str, part: Part) -> Result<Answer, Failure> {
    let way = way(call)?;
    let options = call.write_options("PatchOptions")?;
    let force = call.query.switch("force");
    check_options(call, way, force)?;
    let body = decode(call, way)?;
    let definition = call.definition();
    let key = call.key(name);
    for _ in 0..ATTEMPTS {
        let Some(stored) = call.server.store.get(&key) else {
            if way == Way::Apply && part == Part::Main {
                match create_by_apply(call, name, &body, &options).await {
                    Err(failure) if failure.is_already_exists() => continue,
                    made => return made?.answer(call, StatusCode::CREATED),
                }
            }
            return Err(Failure::not_found(definition, name));
        };
        let old = call.resource.read(&stored);
        let new = match way {
            Way::Apply => {
                apply_to(call, name, part, Some(&old), &body.value, &options, force == Some(true))?
            }
            _ => patched(call, name, part, way, &old, &body.value)?,
        };
        let seen = object::revision(&new);
        if seen.is_some_and(|seen| seen != stored.revision) {
            return Err(Failure::modified(definition, name));
        }
        let mut new = new;
        let origin = if way == Way::Apply { Origin::Apply } else { Origin::Patch };
        check_patched(call, name, &mut new, origin)?;
        if seen.is_none() && !call.takes_unconditional_updates() {
            return Err(Failure::unversioned(definition, name));
        }
        let new = Decoded { value: new, duplicates: body.duplicates.clone() };
        let prepared = call.prepare_change(&old, new, part, &options, origin)?;
        match call.replace(&key, &stored, &old, prepared, part, &options).await {
            Ok(made) => return scale::or_whole(call, part, made, StatusCode::OK),
            Err(Unstored::Stale) => {}
            Err(Unstored::Failed(failure)) => return Err(failure),
        }
    }
    Err(Failure::modified(definition, name))
}

fn way(call: &Call) -> Result<Way, Failure> {
    match call.content_type.as_str() {
        JSON => Ok(Way::Json),
        MERGE => Ok(Way::Merge),
        STRATEGIC if call.definition().builtin => Ok(Way::Strategic),
        APPLY => Ok(Way::Apply),
        _ if call.definition().builtin => Err(Failure::no_such_media_type()),
        _ => Err(Failure::unsupported_media_type(&[JSON, MERGE, APPLY])),
    }
}

fn check_options(call: &Call, way: Way, force: Option<bool>) -> Result<(), Failure> {
    let mut errors = Vec::new();
    if way == Way::Apply && call.query.get("fieldManager").is_none() {
        errors.push(FieldError::required("fieldManager", "is required for apply patch"));
    }
    if way != Way::Apply && force.is_some() {
        errors.push(FieldError::forbidden("force", "may not be specified for non-apply patch"));
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::invalid_options("PatchOptions", &errors)) }
}

/// Decodes the patch.
fn decode(call: &Call, way: Way) -> Result<Decoded, Failure> {
    const MAP: &str = "into Go value of type map[string]interface {}";
    if way == Way::Apply {
        let body = yaml::decode(&call.body).map_err(|why| {
            Failure::bad_request(format!(
                "error decoding YAML: error converting YAML to JSON: {why}"
            ))
        })?;
        return match &body.value {
            Value::Object(_) => Ok(body),
            Value::Null => Ok(Decoded { value: json!({}), ..body }),
            other => Err(Failure::bad_request(format!(
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} {MAP}",
                patch::json_kind(other)
            ))),
        };
    }
    let prefix = if way == Way::Strategic { "" } else { "error decoding patch: " };
    let body =
        json::decode(&call.body).map_err(|why| Failure::bad_request(format!("{prefix}{why}")))?;
    match (way, &body.value) {
        (Way::Json, _) | (_, Value::Object(_)) => Ok(body),
        (Way::Strategic, Value::Null) => Ok(Decoded { value: json!({}), ..body }),
        (_, Value::Null) => Err(Failure::bad_request("Invalid JSON Patch")),
        (_, other) => Err(Failure::bad_request(format!(
            "{prefix}json: cannot unmarshal {} {MAP}",
            patch::json_kind(other)
        ))),
    }
}

async fn create_by_apply(
    call: &Call,
    name: &str,
    body: &Decoded,
    options: &WriteOptions,
) -> Result<Made, Failure> {
    let mut object = apply_to(call, name, Part::Main, None, &body.value, options, false)?;
    let uid = object::text(&object, "uid");
    if !uid.is_empty() {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(Failure::conflict(call.definition(), name, &why));
    }
    call.check_identity(&mut object)?;
    call.create_object(object, &body.duplicates, options, Origin::Apply).await
}

/// What is applied is of the kind, and has the name, of the path. What is there already need not be named.
fn check_applied(
    call: &Call,
    name: &str,
    part: Part,
    live: Option<&Value>,
    applied: &Value,
) -> Result<(), Failure> {
    let definition = call.definition();
    let text = |field: &str| applied.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let is_expected = match part {
        Part::Scale => api_version == "autoscaling/v1" && kind == "Scale",
        _ => api_version == definition.api_version() && kind == definition.kind,
    };
    if !is_expected {
        let shown = if api_version.contains('/') {
            api_version.to_owned()
        } else {
            format!("/{api_version}")
        };
        return Err(Failure::bad_request(format!("invalid object type: {shown}, Kind={kind}")));
    }
    call.check_namespace(&mut applied.clone())?;
    match object::name(applied) {
        "" if live.is_some() => Ok(()),
        _ => check_name(applied, name),
    }
}

fn apply_to(
    call: &Call,
    name: &str,
    part: Part,
    live: Option<&Value>,
    applied: &Value,
    options: &WriteOptions,
    force: bool,
) -> Result<Value, Failure> {
    let definition = call.definition();
    check_applied(call, name, part, live, applied)?;
    let applied = match (part, live) {
        (Part::Scale, Some(live)) => &scale::applied(definition, live, applied)?,
        _ => applied,
    };
    if let (Some(live), Some(seen)) = (live, object::revision(applied))
        && object::revision(live) != Some(seen)
    {
        return Err(Failure::modified(definition, name));
    }
    let request = apply::Request {
        live,
        applied,
        manager: &options.manager,
        force,
        subresource: part.subresource(),
        now: call.server.now(),
    };
    apply::apply(&request, definition.schema()).map_err(Failure::apply)
}

fn patched(
    call: &Call,
    name: &str,
    part: Part,
    way: Way,
    old: &Value,
    body: &Value,
) -> Result<Value, Failure> {
    let definition = call.definition();
    let refuse = |error: PatchError| match error {
        PatchError::Malformed(why) => Failure::bad_request(why),
        PatchError::Unprocessable(_) => Failure::unprocessable(),
        PatchError::Faulty(why) => Failure::faulty(why),
        PatchError::TooLarge(why) => Failure::too_large_because(why),
    };
    let scale;
    let target = if part == Part::Scale {
        scale = scale::read(definition, old).ok_or_else(|| Failure::not_found(definition, name))?;
        &scale
    } else {
        old
    };
    let patched = match way {
        Way::Json => patch::json::apply(target, body).map_err(refuse)?,
        Way::Strategic if part != Part::Scale => {
            patch::strategic::apply(target, body, definition.schema()).map_err(refuse)?
        }
        _ => patch::merge::apply(target, body),
    };
    if part == Part::Scale { scale::write(definition, old, &patched) } else { Ok(patched) }
}

/// A patch may not make another object of it.
fn check_patched(call: &Call, name: &str, new: &mut Value, origin: Origin) -> Result<(), Failure> {
    let definition = call.definition();
    let (api_version, expected) = (
        new.get("apiVersion").and_then(Value::as_str).unwrap_or_default().to_owned(),
        definition.api_version(),
    );
    if !definition.builtin {
        let has_kind = new.get("kind").and_then(Value::as_str).is_some_and(|kind| !kind.is_empty());
        if !has_kind {
            let why = format!("Object 'Kind' is missing in '{new}'");
            return Err(call.unfit(new, &why));
        }
        if api_version != expected {
            let why = format!("must be {expected}");
            let error = FieldError::invalid("apiVersion", &api_version.into(), &why);
            let (group, kind) = (&definition.group, &definition.kind);
            return Err(Failure::invalid_kind(group, kind, name, &[error]));
        }
    }
    call.check_kind(new).map_err(|why| match why {
        WrongKind::Refused(failure) => failure,
        WrongKind::Unread(why) => call.unfit(new, &why),
    })?;
    // What server-side apply merged has the types of its schema.
    if origin == Origin::Patch {
        let check = match way(call)? {
            Way::Strategic => admission::check_restored,
            _ => admission::check_types,
        };
        check(definition, new).map_err(|why| call.unfit(new, &why))?;
    }
    object::metadata_mut(new);
    check_name(new, name)?;
    call.check_namespace(new)
}

impl Call {
    /// 422 about a patch whose result is no object of the kind. A strategic merge patch is quoted as it came, others by
    /// what they made.
    pub(super) fn unfit(&self, patched: &Value, why: &str) -> Failure {
        let shown = match (self.content_type.as_str(), json::decode(&self.body)) {
            (STRATEGIC, Ok(patch)) => patch::go_print(&patch.value),
            _ => patched.to_string(),
        };
        Failure::invalid_patch(&shown, why)
    }
}
