//! ValidatingAdmissionPolicies: what they say of a request (`apiserver/pkg/admission/plugin/policy/validating`).

mod matches;

use serde_json::{Value, json};

pub(super) use self::matches::Request;
use super::{
    builtin::value::{list, text},
    schema::{Scope, Script},
};

/// What policies say of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Why it is refused, and the reason in a word.
    pub denied: Option<(String, String)>,
    /// What its writer is warned of.
    pub warnings: Vec<String>,
}

/// A policy, one of its bindings, and the parameters of that.
pub(super) struct Bound<'p> {
    pub policy: &'p Value,
    pub binding: &'p Value,
    /// An object of the policy's kind of parameters; `null` where it has none.
    pub params: Value,
}

/// The bindings of policies that are about a request, each with its policy.
pub(super) fn about<'p>(
    request: &Request<'_>,
    policies: &'p [Value],
    bindings: &'p [Value],
) -> Vec<(&'p Value, &'p Value)> {
    let mut found = Vec::new();
    for policy in policies {
        let constraints = policy.pointer("/spec/matchConstraints").unwrap_or(&Value::Null);
        if !request.is_in(constraints, false) {
            continue;
        }
        let name = text(policy, "/metadata/name");
        for binding in bindings.iter().filter(|b| text(b, "/spec/policyName") == name) {
            let resources = binding.pointer("/spec/matchResources").unwrap_or(&Value::Null);
            if request.is_in(resources, true) {
                found.push((policy, binding));
            }
        }
    }
    found
}

/// Judges a request by policies that are about it.
pub(super) fn judge(request: &Request<'_>, bound: &[Bound<'_>]) -> Verdict {
    let mut verdict = Verdict::default();
    for one in bound {
        let (policy, binding) = (one.policy, one.binding);
        for (message, reason) in broken(request, policy, &one.params) {
            let (name, of) = (text(policy, "/metadata/name"), text(binding, "/metadata/name"));
            for action in list(binding, "/spec/validationActions") {
                match action.as_str() {
                    Some("Deny") if verdict.denied.is_none() => {
                        let said = format!(
                            "ValidatingAdmissionPolicy '{name}' with binding '{of}' denied request: {message}"
                        );
                        verdict.denied = Some((said, reason.clone()));
                    }
                    Some("Warn") => verdict.warnings.push(format!(
                        "Validation failed for ValidatingAdmissionPolicy '{name}' with binding '{of}': {message}"
                    )),
                    _ => {}
                }
            }
        }
    }
    verdict
}

/// What a request breaks of a policy: each message, and its reason.
fn broken(request: &Request<'_>, policy: &Value, params: &Value) -> Vec<(String, String)> {
    let mut scope = request.scope();
    scope.set("params", params);
    let ignores = text(policy, "/spec/failurePolicy") == "Ignore";
    let fault = |message: String| match ignores {
        true => Vec::new(),
        false => vec![(message, "Invalid".to_owned())],
    };
    for condition in list(policy, "/spec/matchConditions") {
        match Script::parse(text(condition, "/expression")).and_then(|s| scope.holds(&s)) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(error) => return fault(error),
        }
    }
    let variables: Vec<_> = list(policy, "/spec/variables")
        .iter()
        .map(|v| (text(v, "/name").to_owned(), Script::parse(text(v, "/expression"))))
        .collect();
    scope.set_made("variables", &variables);
    let mut broken = Vec::new();
    for validation in list(policy, "/spec/validations") {
        let source = text(validation, "/expression").trim();
        let reason = match text(validation, "/reason") {
            "" => "Invalid",
            reason => reason,
        };
        match Script::parse(source).and_then(|script| scope.holds(&script)) {
            Ok(true) => {}
            Ok(false) => {
                let made = Some(text(validation, "/messageExpression")).filter(|m| !m.is_empty());
                let made = made.and_then(|m| Script::parse(m).ok()).and_then(|m| scope.says(&m));
                let message = made.unwrap_or_else(|| match text(validation, "/message").trim() {
                    "" => format!("failed expression: {source}"),
                    message => message.to_owned(),
                });
                broken.push((message, reason.to_owned()));
            }
            Err(error) => {
                broken.extend(fault(format!("expression '{source}' resulted in error: {error}")));
            }
        }
    }
    broken
}

/// The refusal for parameters that are not there, unless the binding lets such requests through.
pub(super) fn without_params(policy: &Value, binding: &Value) -> Verdict {
    let allows = text(binding, "/spec/paramRef/parameterNotFoundAction") != "Deny"
        || text(policy, "/spec/failurePolicy") == "Ignore";
    if allows {
        return Verdict::default();
    }
    let (name, of) = (text(policy, "/metadata/name"), text(binding, "/metadata/name"));
    let said = format!(
        "ValidatingAdmissionPolicy '{name}' with binding '{of}' denied request: failed to configure binding: no \
         params found for policy binding with `Deny` parameterNotFoundAction"
    );
    Verdict { denied: Some((said, "Invalid".to_owned())), warnings: Vec::new() }
}

impl Request<'_> {
    /// What expressions may name of the request.
    fn scope(&self) -> Scope {
        let gvk = json!({"group": self.group, "version": self.version, "kind": self.kind});
        let gvr = json!({"group": self.group, "version": self.version, "resource": self.resource});
        let mut user = json!({"username": self.user.name, "groups": self.user.groups});
        if !self.user.uid.is_empty() {
            user["uid"] = self.user.uid.as_str().into();
        }
        let mut scope = Scope::default();
        scope.set("object", self.object.unwrap_or(&Value::Null));
        scope.set("oldObject", self.old.unwrap_or(&Value::Null));
        scope.set("namespaceObject", self.namespace_object.unwrap_or(&Value::Null));
        scope.set(
            "request",
            &json!({
                "kind": gvk, "requestKind": gvk, "resource": gvr, "requestResource": gvr,
                "subResource": self.subresource, "requestSubResource": self.subresource,
                "name": self.name, "namespace": self.namespace, "operation": self.operation,
                "userInfo": user, "dryRun": self.dry_run,
            }),
        );
        scope
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::user::User;

    fn policy(spec: Value) -> Value {
        let mut spec = spec;
        spec["matchConstraints"] = json!({"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["*"],
            "operations": ["CREATE"], "resources": ["deployments"]}]});
        json!({"metadata": {"name": "p"}, "spec": spec})
    }

    fn judged(policy: Value, actions: Value) -> Verdict {
        let binding = json!({"metadata": {"name": "b"},
            "spec": {"policyName": "p", "validationActions": actions}});
        let user = User::admin();
        let object = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 1}});
        let request = Request {
            operation: "CREATE",
            group: "apps",
            version: "v1",
            kind: "Deployment",
            resource: "deployments",
            subresource: "",
            namespaced: true,
            namespace: "n",
            name: "d",
            object: Some(&object),
            old: None,
            namespace_object: None,
            user: &user,
            dry_run: false,
        };
        let (policies, bindings) = ([policy], [binding]);
        let found = about(&request, &policies, &bindings);
        let bound: Vec<Bound<'_>> = found
            .into_iter()
            .map(|(policy, binding)| Bound { policy, binding, params: Value::Null })
            .collect();
        judge(&request, &bound)
    }

    #[test]
    fn what_breaks_a_policy_is_denied_or_warned_of() {
        let few = json!({"validations": [{"expression": "object.spec.replicas > 1",
            "messageExpression": "'got ' + string(object.spec.replicas)", "reason": "Forbidden"}]});
        let verdict = judged(policy(few.clone()), json!(["Deny", "Warn"]));
        let said = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: got 1";
        assert_eq!(verdict.denied, Some((said.to_owned(), "Forbidden".to_owned())));
        let said = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': got 1";
        assert_eq!(verdict.warnings, [said]);
        let mut elsewhere = few.clone();
        elsewhere["matchConditions"] =
            json!([{"name": "a", "expression": "request.operation == 'UPDATE'"}]);
        assert_eq!(judged(policy(elsewhere), json!(["Deny"])), Verdict::default());
        let audited = judged(policy(few), json!(["Audit"]));
        assert_eq!(audited, Verdict::default());
    }

    #[test]
    fn what_cannot_be_judged_fails_unless_that_is_ignored() {
        let odd = |failure: &str| {
            policy(json!({"failurePolicy": failure,
                "validations": [{"expression": "object.spec.nothing > 1"}]}))
        };
        let said = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: expression \
                    'object.spec.nothing > 1' resulted in error: no such key: nothing";
        let verdict = judged(odd("Fail"), json!(["Deny"]));
        assert_eq!(verdict.denied, Some((said.to_owned(), "Invalid".to_owned())));
        assert_eq!(judged(odd("Ignore"), json!(["Deny"])), Verdict::default());
    }
}
