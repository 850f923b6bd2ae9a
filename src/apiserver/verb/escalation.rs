//! Who may not do everything gives nobody more than they have.

use serde_json::{Value, json};

use super::Call;
use crate::apiserver::{
    access::{self, Wish},
    builtin::value::{list, text},
    failure::Failure,
    grant, object,
};

const GROUP: &str = "rbac.authorization.k8s.io";

impl Call {
    /// Refuses a role or a binding that gives what its writer does not have.
    pub(super) fn check_escalation(&self, new: &Value, old: Option<&Value>) -> Result<(), Failure> {
        let definition = self.definition();
        let is_ours = definition.builtin && definition.group == GROUP;
        if !is_ours || self.user.is_master() || old.is_some_and(|old| may_go_on(new, old)) {
            return Ok(());
        }
        match definition.kind.as_str() {
            "Role" | "ClusterRole" => self.check_role(new, old),
            _ => self.check_binding(new),
        }
    }

    fn check_role(&self, new: &Value, old: Option<&Value>) -> Result<(), Failure> {
        let name = self.name.as_deref().unwrap_or_default();
        if self.may("escalate", &self.definition().plural, name) {
            return Ok(());
        }
        self.confirm(new, list(new, "/rules"))?;
        let gathers =
            |role: &Value| !list(role, "/aggregationRule/clusterRoleSelectors").is_empty();
        let all = [
            json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
            json!({"verbs": ["*"], "nonResourceURLs": ["*"]}),
        ];
        if (gathers(new) || old.is_some_and(gathers)) && self.confirm(new, &all).is_err() {
            let why = "must have cluster-admin privileges to use the aggregationRule";
            return Err(Failure::forbidden(self.definition(), object::name(new), why));
        }
        Ok(())
    }

    fn check_binding(&self, new: &Value) -> Result<(), Failure> {
        let (kind, name) = (text(new, "/roleRef/kind"), text(new, "/roleRef/name"));
        let plural = match kind {
            "ClusterRole" => "clusterroles",
            "Role" => "roles",
            _ => {
                let why = format!("unsupported role reference kind: \"{kind}\"");
                return Err(Failure::faulty(why));
            }
        };
        if self.may("bind", plural, name) {
            return Ok(());
        }
        let rules = access::rules_of(&self.server, kind, name, self.namespace());
        let rules = rules.ok_or_else(|| Failure::not_found(self.definition(), name))?;
        self.confirm(new, &rules)
    }

    fn may(&self, verb: &str, resource: &str, name: &str) -> bool {
        let wish = Wish::Resource {
            verb: verb.to_owned(),
            group: GROUP.to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
            namespace: self.namespace().to_owned(),
        };
        access::judge(&self.server, &self.user, &wish).allowed
    }

    /// Refuses rules that the user does not have.
    fn confirm(&self, object: &Value, rules: &[Value]) -> Result<(), Failure> {
        let held = access::rules(&self.server, &self.user, self.namespace());
        let missing = grant::beyond(&held, rules);
        if missing.is_empty() {
            return Ok(());
        }
        let groups: Vec<String> = self.user.groups.iter().map(|g| format!("{g:?}")).collect();
        let why = format!(
            "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
            self.user.name,
            groups.join(" "),
            missing.join("\n")
        );
        Err(Failure::forbidden(self.definition(), object::name(object), &why))
    }
}

/// Whether a change only lets an object end: who collects garbage need not have what it grants.
fn may_go_on(new: &Value, old: &Value) -> bool {
    let rest = |object: &Value| {
        let mut object = object.clone();
        for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion"] {
            object::set(&mut object, field, Value::Null);
        }
        object
    };
    rest(new) == rest(old)
}
