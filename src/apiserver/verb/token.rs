//! POST on `token` of a service account: a token with which a program is that account.

use std::sync::Arc;

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Call, question::Question};
use crate::apiserver::{
    answer::Answer,
    builtin,
    builtin::ResourceDefinition,
    failure::Failure,
    object,
    registry::Resource,
    schema::FieldError,
    signing::ISSUER,
    store::{Key, ResourceId, Stored},
};

/// Unless said.
const AN_HOUR: i64 = 60 * 60;
const SHORTEST: i64 = 10 * 60;
const LONGEST: i64 = 1 << 32;

/// Answers a request for an account's token. None for other parts.
pub(super) fn part(call: &Call, name: &str, part: &str) -> Option<Result<Answer, Failure>> {
    if !call.resource.is("", "ServiceAccount") || part != "token" {
        return None;
    }
    Some(match call.method {
        Method::POST => request(call, name),
        _ => {
            let verb = super::verb_of(&call.method);
            Err(Failure::method_not_allowed(call.definition(), verb))
        }
    })
}

fn request(call: &Call, name: &str) -> Result<Answer, Failure> {
    let definition = builtin::token_request().ok_or_else(Failure::no_such_resource)?;
    let asking = asking(call, definition);
    let mut question = asking.question()?;
    let value = &mut question.value;
    if value.pointer("/spec/expirationSeconds").is_none_or(Value::is_null) {
        if !value["spec"].is_object() {
            value["spec"] = json!({});
        }
        value["spec"]["expirationSeconds"] = AN_HOUR.into();
    }
    asking.complete(&mut question, Some("token"));
    let Question { mut value, warnings, .. } = question;
    issue(call, &asking.resource.definition, name, &mut value)
        .map_err(|failure| failure.warn(warnings.clone()))?;
    Ok(asking.present_value(StatusCode::CREATED, &value)?.warn(warnings))
}

/// Fills a request with the token that it asks for.
fn issue(
    call: &Call,
    definition: &ResourceDefinition,
    name: &str,
    request: &mut Value,
) -> Result<(), Failure> {
    let (said, given) = (object::name(request), object::text(request, "uid"));
    if !said.is_empty() && said != name {
        let why = "must match the service account name if specified";
        let error = FieldError::invalid("metadata.name", &said.into(), why);
        return Err(Failure::invalid(definition, name, &[error]));
    }
    let account = call.server.store.get(&call.key(name));
    let account = account.ok_or_else(|| Failure::not_found(&call.resource.definition, name))?;
    if !given.is_empty() && *given != *account.uid {
        let why = format!(
            "the UID in the token request ({given}) does not match the UID of the service account ({})",
            account.uid
        );
        return Err(Failure::precondition(definition, name, &why));
    }
    if request["spec"]["audiences"].as_array().is_none_or(Vec::is_empty) {
        request["spec"]["audiences"] = json!([ISSUER]);
    }
    let now = call.server.now();
    let of = [("name", name), ("namespace", call.namespace()), ("uid", &*account.uid)];
    for (field, text) in of {
        object::set(request, field, text.into());
    }
    object::set(request, "creationTimestamp", object::time(now).into());
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(AN_HOUR);
    check_time(definition, seconds)?;
    let mut about = json!({
        "namespace": call.namespace(),
        "serviceaccount": {"name": name, "uid": &*account.uid},
    });
    for Bound { kind, name, uid } in bound(call, name, &request["spec"]["boundObjectRef"])? {
        about[kind] = json!({"name": name});
        if !uid.is_empty() {
            about[kind]["uid"] = uid.into();
        }
    }
    let issued = now.as_second();
    let ends = issued.saturating_add(seconds);
    let claims = json!({
        "aud": request["spec"]["audiences"], "iss": ISSUER, "jti": Uuid::new_v4().to_string(),
        "sub": format!("system:serviceaccount:{}:{name}", call.namespace()),
        "iat": issued, "nbf": issued, "exp": ends, "kubernetes.io": about,
    });
    let token = call.server.credentials.key.sign(&claims);
    let token = token.map_err(|_| Failure::internal("failed to generate token"))?;
    let ends = Timestamp::from_second(ends).unwrap_or(Timestamp::MAX);
    request["status"] = json!({"token": token, "expirationTimestamp": object::time(ends)});
    Ok(())
}

/// The same request, about a kind that is no resource of its own.
fn asking(call: &Call, definition: ResourceDefinition) -> Call {
    let id = ResourceId { group: definition.group.clone(), plural: definition.plural.clone() };
    let resource = Resource {
        definition,
        id: Arc::new(id),
        settled_at: 0,
        is_terminating: false,
        ended: call.resource.ended.clone(),
    };
    Call { resource: Arc::new(resource), is_watch_path: false, ..call.clone() }
}

fn check_time(definition: &ResourceDefinition, seconds: i64) -> Result<(), Failure> {
    let why = if seconds < SHORTEST {
        "may not specify a duration less than 10 minutes"
    } else if seconds > LONGEST {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Ok(());
    };
    let error = FieldError::invalid("spec.expirationSeconds", &seconds.into(), why);
    Err(Failure::invalid(definition, "", &[error]))
}

/// An object that a token ends with, or tells of.
struct Bound {
    kind: &'static str,
    name: String,
    /// Empty when there is no such object.
    uid: String,
}

fn bound(call: &Call, account: &str, reference: &Value) -> Result<Vec<Bound>, Failure> {
    let text = |field: &str| reference.get(field).and_then(Value::as_str).unwrap_or_default();
    if !reference.is_object() {
        return Ok(Vec::new());
    }
    let (api_version, kind, name) = (text("apiVersion"), text("kind"), text("name"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let (word, plural, namespace) = match (group, kind) {
        ("", "Pod") => ("pod", "pods", call.namespace()),
        ("", "Secret") => ("secret", "secrets", call.namespace()),
        ("", "Node") => ("node", "nodes", ""),
        _ => {
            let why = format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
            return Err(Failure::bad_request(why));
        }
    };
    let (of, found) = find(call, plural, namespace, name)?;
    let mut bound = vec![Bound { kind: word, name: name.to_owned(), uid: found.uid.to_string() }];
    if word == "pod" {
        let pod = found.value();
        let spec = |field: &str| pod["spec"][field].as_str().unwrap_or_default().to_owned();
        if spec("serviceAccountName") != account {
            return Err(Failure::bad_request(format!(
                "cannot bind token for serviceaccount \"{account}\" to pod running with different serviceaccount name."
            )));
        }
        let node = spec("nodeName");
        if !node.is_empty() {
            let uid = find(call, "nodes", "", &node).map(|(_, node)| node.uid.to_string());
            bound.push(Bound { kind: "node", name: node, uid: uid.unwrap_or_default() });
        }
    }
    let uid = text("uid");
    if !uid.is_empty() && *uid != *found.uid {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. \
             The object might have been deleted and then recreated"
        );
        return Err(Failure::precondition(&of.definition, name, &why));
    }
    Ok(bound)
}

fn find(
    call: &Call,
    plural: &str,
    namespace: &str,
    name: &str,
) -> Result<(Arc<Resource>, Arc<Stored>), Failure> {
    let served = call.server.registry.served();
    let resource = served.find("", "v1", plural).ok_or_else(Failure::no_such_resource)?;
    let found = call.server.store.get(&Key::new(&resource.id, namespace, name));
    let found = found.ok_or_else(|| Failure::not_found(&resource.definition, name))?;
    Ok((Arc::clone(resource), found))
}
