//! Questions that are answered rather than stored: who one is, and what one or somebody else may do.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Call,
    question::{self, Question},
};
use crate::apiserver::{
    accept::Form,
    access::{self, Wish},
    answer::Answer,
    authenticate::authenticate,
    builtin::admission,
    failure::Failure,
    object,
    user::User,
};

/// Answers a question.
pub(super) fn answer(call: &Call) -> Result<Answer, Failure> {
    let mut question = call.question()?;
    if call.accept.form == Form::Table {
        return Err(Failure::not_acceptable());
    }
    question::forget_server_metadata(&mut question.value);
    call.complete(&mut question, None);
    let Question { mut value, warnings, .. } = question;
    let status = status(&value, call).map_err(|failure| failure.warn(warnings.clone()))?;
    value["status"] = status;
    if call.definition().kind == "SelfSubjectReview" {
        // Only this answer is dated, and says nothing of the question.
        value["metadata"] = json!({"creationTimestamp": object::time(call.server.now())});
    }
    Ok(call.present_value(StatusCode::CREATED, &value)?.warn(warnings))
}

fn status(question: &Value, call: &Call) -> Result<Value, Failure> {
    Ok(match call.definition().kind.as_str() {
        "SelfSubjectReview" => json!({"userInfo": user_info(&call.user)}),
        "SelfSubjectRulesReview" => {
            let namespace = text(question, "/spec/namespace");
            if namespace.is_empty() {
                return Err(Failure::bad_request("no namespace on request"));
            }
            let rules = access::rules(&call.server, &call.user, &namespace);
            let (paths, resources): (Vec<Value>, Vec<Value>) =
                rules.into_iter().partition(|rule| rule.get("nonResourceURLs").is_some());
            json!({"incomplete": false, "resourceRules": resources, "nonResourceRules": paths})
        }
        "TokenReview" => whose(question, call)?,
        kind => {
            let errors = admission::review_faults(kind, question);
            if !errors.is_empty() {
                // kube-apiserver has forgotten the kind by then.
                return Err(Failure::invalid_kind(&call.definition().group, "", "", &errors));
            }
            let who = match kind {
                "SelfSubjectAccessReview" => call.user.clone(),
                _ => somebody(question),
            };
            judged(question, &who, call)
        }
    })
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Whose the token is that was sent.
fn whose(question: &Value, call: &Call) -> Result<Value, Failure> {
    let token = text(question, "/spec/token");
    if token.is_empty() {
        return Err(Failure::bad_request("token is required for TokenReview in authentication"));
    }
    let audiences = question.pointer("/spec/audiences").and_then(Value::as_array);
    let audiences = audiences.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let audiences: Vec<String> = audiences.collect();
    Ok(match authenticate(&call.server, &token, &audiences) {
        Ok(known) => json!({
            "authenticated": true, "user": user_info(&known.user), "audiences": known.audiences,
        }),
        Err(unknown) => json!({"user": {}, "error": unknown.to_string()}),
    })
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
