//! PATCH of one object, in four ways.

use http::StatusCode;
use serde_json::Value;

use super::{
    Call, Part, create::Made, options::WriteOptions, prepare::Origin, scale, update::Unstored,
};
use crate::apiserver::{
    answer::Answer,
    decode::{self, Decoded},
    failure::Failure,
    object,
    patch::{self, PatchError, apply},
    schema::FieldError,
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
    let body =
        if way == Way::Apply { decode::yaml(&call.body)? } else { decode::json(&call.body)? };
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
        check_patched(call, name, &new)?;
        let origin = if way == Way::Apply { Origin::Apply } else { Origin::Patch };
        let new = Decoded { value: new, duplicates: body.duplicates.clone() };
        let (new, warnings) = call.prepare_change(&old, new, part, &options, origin)?;
        match call.replace(&key, &stored, &old, new, warnings, &options).await {
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
        _ if call.definition().builtin => {
            Err(Failure::unsupported_media_type(&[JSON, MERGE, STRATEGIC, APPLY]))
        }
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

async fn create_by_apply(
    call: &Call,
    name: &str,
    body: &Decoded,
    options: &WriteOptions,
) -> Result<Made, Failure> {
    let mut applied = body.value.clone();
    if object::revision(&applied).is_some_and(|revision| revision != 0) {
        return Err(Failure::modified(call.definition(), name));
    }
    name_applied(call, name, &mut applied)?;
    let object = apply_to(call, name, Part::Main, None, &applied, options, false)?;
    call.create_object(object, &body.duplicates, options, Origin::Apply).await
}

/// What is applied has the name of the path.
fn name_applied(call: &Call, name: &str, applied: &mut Value) -> Result<(), Failure> {
    let said = |field: &str| {
        applied.get(field).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
    };
    if !said("apiVersion") || !said("kind") {
        return Err(Failure::bad_request(
            "invalid object type: /, Kind=: apiVersion and kind must be set in what is applied",
        ));
    }
    call.check_identity(applied)?;
    match object::name(applied) {
        "" => object::set(applied, "name", name.into()),
        given if given == name => {}
        given => {
            return Err(Failure::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            )));
        }
    }
    Ok(())
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
    let mut applied = applied.clone();
    name_applied(call, name, &mut applied)?;
    if let (Some(live), Some(seen)) = (live, object::revision(&applied))
        && object::revision(live) != Some(seen)
    {
        return Err(Failure::modified(definition, name));
    }
    let request = apply::Request {
        live,
        applied: &applied,
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
        PatchError::Unprocessable(why) => Failure::unprocessable(definition, name, &why),
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
        _ if !body.is_object() => return Err(Failure::bad_request("the patch is no JSON object")),
        _ => patch::merge::apply(target, body),
    };
    if part == Part::Scale { scale::write(definition, old, &patched) } else { Ok(patched) }
}

/// A patch may not make another object of it.
fn check_patched(call: &Call, name: &str, new: &Value) -> Result<(), Failure> {
    let definition = call.definition();
    let text = |field: &str| new.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("apiVersion") != definition.api_version() || text("kind") != definition.kind {
        return Err(Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {})",
            definition.kind
        )));
    }
    if object::name(new) != name {
        let given = object::name(new);
        return Err(Failure::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    if object::namespace(new) != call.namespace() {
        let (given, expected) = (object::namespace(new), call.namespace());
        return Err(Failure::bad_request(format!(
            "the namespace of the object ({given}) does not match the namespace on the request ({expected})"
        )));
    }
    Ok(())
}
