//! Questions that are answered rather than stored: who one is, and what one or somebody else may do.

use http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use crate::apiserver::{
    accept::Form,
    access::{self, Wish},
    answer::Answer,
    failure::Failure,
    object,
    schema::FieldError,
    user::User,
};

/// Answers a question.
pub(super) fn answer(mut question: Value, call: &Call) -> Result<Answer, Failure> {
    if call.accept.form == Form::Table {
        return Err(Failure::not_acceptable());
    }
    question["status"] = match call.definition().kind.as_str() {
        "SelfSubjectReview" => {
            json!({"userInfo": user_info(&call.user)})
        }
        "SelfSubjectRulesReview" => {
            let rules =
                access::rules(&call.server, &call.user, &text(&question, "/spec/namespace"));
            let (paths, resources): (Vec<Value>, Vec<Value>) =
                rules.into_iter().partition(|rule| rule.get("nonResourceURLs").is_some());
            json!({"incomplete": false, "resourceRules": resources, "nonResourceRules": paths})
        }
        "SelfSubjectAccessReview" => {
            check(&question, call, false)?;
            judged(&question, &call.user, call)
        }
        kind => {
            let is_local = kind == "LocalSubjectAccessReview";
            check(&question, call, true)?;
            let at = question.pointer("/spec/resourceAttributes/namespace");
            if is_local && at.and_then(Value::as_str).unwrap_or_default() != call.namespace() {
                let given = at.cloned().unwrap_or_else(|| "".into());
                let path = "spec.resourceAttributes.namespace";
                let error = FieldError::invalid(path, &given, "must match metadata.namespace");
                return Err(refusal(call, &[error]));
            }
            judged(&question, &somebody(&question), call)
        }
    };
    // Only this question is dated.
    let created = match call.definition().kind.as_str() {
        "SelfSubjectReview" => object::time(call.server.now()).into(),
        _ => Value::Null,
    };
    object::set(&mut question, "creationTimestamp", created);
    call.present_value(StatusCode::CREATED, &question)
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Refuses a question that does not ask for one thing, or not about somebody.
fn check(question: &Value, call: &Call, about_others: bool) -> Result<(), Failure> {
    let part = |name: &str| question.pointer(&format!("/spec/{name}")).filter(|p| p.is_object());
    let (resource, path) = (part("resourceAttributes"), part("nonResourceAttributes"));
    let mut errors = Vec::new();
    if let (Some(_), Some(path)) = (resource, path) {
        let said = "cannot be specified in combination with resourceAttributes";
        errors.push(FieldError::invalid("spec.nonResourceAttributes", path, said));
    }
    if resource.is_none() && path.is_none() {
        let said = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        errors.push(FieldError::invalid("spec.resourceAttributes", &Value::Null, said));
    }
    let groups = question.pointer("/spec/groups").and_then(Value::as_array);
    let is_nobody = text(question, "/spec/user").is_empty() && groups.is_none_or(Vec::is_empty);
    if about_others && is_nobody {
        let said = "at least one of user or group must be specified";
        errors.push(FieldError::invalid("spec.user", &"".into(), said));
    }
    if errors.is_empty() { Ok(()) } else { Err(refusal(call, &errors)) }
}

/// 422, of nothing that has a kind.
fn refusal(call: &Call, errors: &[FieldError]) -> Failure {
    let definition = call.definition();
    match errors {
        [error] => Failure::invalid_kind(&definition.group, "", "", error),
        errors => Failure::invalid(definition, "", errors),
    }
}

/// Whom a question is about.
fn somebody(question: &Value) -> User {
    let groups = question.pointer("/spec/groups").and_then(Value::as_array);
    let groups = groups.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    User { name: text(question, "/spec/user"), groups: groups.collect(), ..User::default() }
}

/// A user as reviews tell of one.
fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

fn judged(question: &Value, who: &User, call: &Call) -> Value {
    let spec = |field: &str| text(question, &format!("/spec/{field}"));
    let what = if question.pointer("/spec/resourceAttributes").is_some_and(Value::is_object) {
        let of = |field: &str| spec(&format!("resourceAttributes/{field}"));
        let mut resource = of("resource");
        if !of("subresource").is_empty() {
            resource = format!("{resource}/{}", of("subresource"));
        }
        Wish::Resource {
            verb: of("verb"),
            group: of("group"),
            resource,
            name: of("name"),
            namespace: of("namespace"),
        }
    } else {
        let of = |field: &str| spec(&format!("nonResourceAttributes/{field}"));
        Wish::Path { verb: of("verb"), path: of("path") }
    };
    let verdict = access::judge(&call.server, who, &what);
    let mut status = json!({"allowed": verdict.allowed});
    if !verdict.reason.is_empty() {
        status["reason"] = verdict.reason.into();
    }
    status
}
